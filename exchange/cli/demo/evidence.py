"""What is left behind: no plaintext on disk, and a log that tells all of it."""

from exchange.cli.demo import cast
from exchange.cli.demo.disk import files_below, files_holding, pieces_of, spellings_of
from exchange.cli.demo.record import Entry, outcome_of, reasons_of
from exchange.cli.demo.stage import Stage


def search_disk(stage: Stage, when: str) -> None:
    """Search every file of the instance for pieces of the inputs and for the subject line, as they are and as sent.

    The search is tried first on something that is there in the clear, so that finding nothing means something.
    """
    with stage.script.step(f"no plaintext on disk ({when})"):
        _search(stage, when)


def _search(stage: Stage, when: str) -> None:
    searched = {name: pieces_of(content) for name, content in stage.contents().items()}
    told_apart = [*searched.values(), [cast.SUBJECT.encode()]]
    pieces = [piece for found in told_apart for piece in (*found, *spellings_of(found))]
    control = files_holding(stage.folder, [cast.TITLE.encode()])
    stage.script.check(f"the search finds what is in the clear ({when})", ", ".join(control), is_right=bool(control))
    found = files_holding(stage.folder, pieces)
    told = ", ".join(found) or f"none of {len(pieces)} pieces in {len(files_below(stage.folder))} files"
    if nothing_telling := ", ".join(name for name, each in searched.items() if not each):
        told += f"; {nothing_telling}: too little to be told from chance"
    stage.script.check(f"no plaintext on disk ({when})", told, is_right=not found)


def check_log(stage: Stage) -> None:
    """Find the entry of each post, pull and refusal, with its reason."""
    script = stage.script
    posted = _about(stage, "report.posted", cast.GBR)
    script.check("the log has both posts", f"{len(posted)} entries", is_right=posted == set(stage.reports))
    read = _about(stage, "report.read", cast.NOR)
    script.check("the log has both pulls", f"{len(read)} entries", is_right=read == set(stage.reports))
    by_request = {str(entry.get("request_id")): entry for entry in stage.entries}
    told = dict.fromkeys(refused.who for refused in stage.refused)
    for who in told:
        expected = [refused for refused in stage.refused if refused.who == who]
        entries = [by_request.get(refused.request_id, {}) for refused in expected]
        is_right = all(_refuses(entry, expected[0].reason) for entry in entries)
        found = ", ".join(dict.fromkeys(reason for entry in entries for reason in reasons_of(entry))) or "no reason"
        script.check(f"the log says why: {who}", found, is_right=is_right)


def _about(stage: Stage, event: str, player: cast.Player) -> set[str]:
    """Return the reports that `player` was permitted under `event`."""
    found: set[str] = set()
    for entry in stage.entries:
        actor, held = entry.get("actor"), entry.get("object")
        is_his = isinstance(actor, dict) and actor.get("id") == stage.clients[player.name]
        if is_his and entry.get("type") == event and outcome_of(entry) == "permitted" and isinstance(held, dict):
            found.add(str(held.get("id")))
    return found


def _refuses(entry: Entry, reason: str) -> bool:
    return outcome_of(entry) == "refused" and reason in reasons_of(entry)
