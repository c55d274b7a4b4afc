"""The third-party rule: a reader asks for another, the originator consents by two persons, and takes it back."""

from datetime import timedelta

from exchange.cli.demo.agreements import cast
from exchange.cli.demo.agreements.reporting import is_hidden, require_pulled
from exchange.cli.demo.cast import Player
from exchange.cli.demo.stage import Stage
from exchange.client import ProblemError
from exchange.kernel import system_clock
from exchange.wire import OnwardRequest


def release_onward(stage: Stage) -> None:
    """Bring the stage's first report to Spain, which is no party, for a day, and take it from Spain again."""
    script, report = stage.script, stage.reports[0]
    with script.step("Norway asks on behalf of Spain") as check:
        before = is_hidden(stage, cast.ESP_DESK, report)
        wish = OnwardRequest(
            recipient="ESP", until=system_clock() + timedelta(days=1), reason="ESP runs the operation that it concerns"
        )
        with stage.connect(cast.NOR_DESK) as client:
            asked = client.onward.request(report, wish)
        hidden = is_hidden(stage, cast.ESP_DESK, report)
        found = f"{asked.state}; Spain sees {'nothing yet' if hidden else 'it'}"
        check(found, is_right=before and hidden and asked.state == "asked")
    with script.step("Britain's releaser consents") as check:
        with stage.connect(cast.GBR_RELEASER) as client:
            granted = client.onward.grant(asked.id, "not to be quoted")
        act = str(granted.act)
        check("SECRET goes on by two persons: a second one has to confirm", is_right=granted.act is not None)
    with script.step("alone it is not enough") as check:
        told = _confirmation(stage, cast.GBR_RELEASER, act)
        hidden = is_hidden(stage, cast.ESP_DESK, report)
        check(told, is_right=hidden and told != "done")
    with script.step("a second releaser confirms what it has seen") as check:
        told = _confirmation(stage, cast.GBR_SECOND, act)
        check(told, is_right=told == "done")
        require_pulled(stage, cast.ESP_DESK, report)
        with stage.connect(cast.ESP_DESK) as client:
            why = [rule.sentence for rule in client.explanation(report).rules if "consent" in rule.sentence]
        script.check("Spain is told why it may", why[0] if why else "no rule speaks of consent", is_right=bool(why))
    with script.step("Britain takes the consent back") as check:
        with stage.connect(cast.GBR_RELEASER) as client:
            state = client.onward.revoke(asked.id).state
        hidden = is_hidden(stage, cast.ESP_DESK, report)
        check(f"{state}; Spain finds nothing any more", is_right=hidden)


def _confirmation(stage: Stage, player: Player, act: str) -> str:
    with stage.connect(player) as client:
        try:
            return client.confirm_act(act, client.act(act).digest).state
        except ProblemError as exc:
            return str(exc.code)
