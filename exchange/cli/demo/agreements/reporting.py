"""Reports on the tour: posted, pulled byte for byte, hidden."""

from exchange.cli.demo import exchanging
from exchange.cli.demo.agreements import cast
from exchange.cli.demo.cast import Player
from exchange.cli.demo.inputs import marked
from exchange.cli.demo.stage import Stage
from exchange.client import ProblemError

_NOT_FOUND = 404


def post(stage: Stage, player: Player, marking: str, *, scope: str = cast.SCOPE, kind: str = "intrep") -> str:
    """Post the stage's inputs as one report and return its id, which the stage remembers too."""
    wanted = marked(marking, stage.inputs)
    header = exchanging.post(stage, player, stage.inputs, wanted, scope=scope, kind=kind)
    is_right = (header.marking, header.originator) == (wanted, player.member)
    stage.script.check(f"{player.member} posts report {stage.names[header.id]}", header.marking, is_right=is_right)
    return header.id


def require_pulled(stage: Stage, player: Player, report: str) -> None:
    """Pull a report and compare it byte for byte."""
    with stage.connect(player) as client:
        pulled = client.pull_report(report)
        got = {part.name: b"".join(client.content(report, part)) for part in pulled.parts}
    name = f"{player.member} pulls report {stage.names[report]}"
    stage.script.check(name, f"{len(got)} parts, the bytes that were posted", is_right=got == stage.contents())


def is_hidden(stage: Stage, player: Player, report: str) -> bool:
    """Return whether a player neither pulls a report nor finds it in its list."""
    with stage.connect(player) as client:
        try:
            client.pull_report(report)
        except ProblemError as exc:
            return exc.status == _NOT_FOUND and report not in {header.id for header in client.reports()}
    return False
