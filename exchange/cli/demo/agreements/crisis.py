"""A crisis clause: two states open together what their treaty keeps for that, and close it again."""

from exchange.cli.demo.agreements import cast
from exchange.cli.demo.agreements.reporting import is_hidden, post, require_pulled
from exchange.cli.demo.stage import Stage
from exchange.client import ProblemError
from exchange.wire import CrisisRequest


def open_and_close(stage: Stage) -> None:
    """Let Denmark, no reader of the scope, read what is posted while a crisis is open, and nothing else of it."""
    script = stage.script
    with script.step("before the crisis Denmark reads no warnings") as check:
        before = post(stage, cast.GBR_DESK, cast.WIDE_MARKING, scope=cast.WARNINGS, kind="threat-warning")
        hidden = is_hidden(stage, cast.DNK_DESK, before)
        check("it is no reader of this scope", is_right=hidden)
    crisis = _open(stage)
    with script.step("what is posted now is read by Denmark, and marked") as check:
        during = post(stage, cast.GBR_DESK, cast.WIDE_MARKING, scope=cast.WARNINGS, kind="threat-warning")
        require_pulled(stage, cast.DNK_DESK, during)
        with stage.connect(cast.DNK_DESK) as client:
            why = [rule.sentence for rule in client.explanation(during).rules if "crisis is open" in rule.sentence]
        check(why[0] if why else "no rule speaks of a crisis", is_right=bool(why))
        hidden = is_hidden(stage, cast.DNK_DESK, before)
        script.check("what is older stays where it was", "the clause says nothing of older reports", is_right=hidden)
    with script.step("Norway ends the crisis") as check:
        with stage.connect(cast.NOR_SIGNATORY) as client:
            ended = client.crises.end(stage.agreement, crisis)
        hidden = is_hidden(stage, cast.DNK_DESK, during)
        check("Denmark finds nothing any more", is_right=hidden and not ended.open)
    with script.step("every party sees that it was used") as check:
        with stage.connect(cast.DNK_SIGNATORY) as client:
            uses = client.crises.list(stage.agreement)
        check(f"{len(uses)} use: {uses[0].reason}" if uses else "none", is_right=[each.id for each in uses] == [crisis])


def _open(stage: Stage) -> str:
    """Have a signatory ask and one of another member confirm; return the crisis's id."""
    script = stage.script
    request = CrisisRequest(clause=cast.CLAUSE, reason="a second cable was cut this morning", hours=24)
    with script.step("Britain asks to open the clause"):
        with stage.connect(cast.GBR_SIGNATORY) as client:
            act = client.crises.ask(stage.agreement, request)
            told = "confirmed by itself"
            try:
                client.confirm_act(act.id, act.digest)
            except ProblemError as exc:
                told = str(exc.code)
        script.check("Britain asks to open the clause, and cannot alone", told, is_right=told == "second-person-needed")
    with script.step("Norway confirms, and it is open") as check:
        with stage.connect(cast.NOR_SIGNATORY) as client:
            client.confirm_act(act.id, client.act(act.id).digest)
            (opened,) = client.crises.list(stage.agreement)
        check(f"until {opened.until:%Y-%m-%d %H:%M} at the latest", is_right=opened.open)
    return opened.id
