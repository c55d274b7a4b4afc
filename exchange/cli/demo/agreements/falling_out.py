"""A promise is broken: the exchange finds it, the states consult about it and settle it."""

import time

from exchange.cli.demo.agreements import cast
from exchange.cli.demo.stage import Stage
from exchange.wire import BreachBody, ConsultationOpening

_PATIENCE_SECONDS = 40
"""Deadlines are looked at every quarter of a minute."""


def consult(stage: Stage) -> None:
    """Find that Norway has not acknowledged in time what it promised to, and let the states settle it."""
    script = stage.script
    with script.step("Norway promised to acknowledge, and did not") as check:
        breach = _found(stage)
        found = "nobody noticed"
        if breach is not None:
            found = f"{breach.kind} owed to {breach.owed_to}, due at {breach.due:%H:%M:%S}"
        check(found, is_right=breach is not None and (breach.party, breach.owed_to) == ("NOR", "GBR"))
    with script.step("Britain opens a consultation, Norway answers, it is settled") as check:
        asked = "Your acknowledgements are late. What is wrong?"
        opening = ConsultationOpening(
            kind="consultation", text=asked, members=["NOR"], breach=None if breach is None else breach.id
        )
        with stage.connect(cast.GBR_SIGNATORY) as client:
            opened = client.duties.open(stage.agreement, opening)
        with stage.connect(cast.NOR_SIGNATORY) as client:
            client.duties.answer(opened.id, "Our night desk had no certificate; it has one now.")
        with stage.connect(cast.GBR_SIGNATORY) as client:
            state = client.duties.settle(opened.id, "Settled: certificates are renewed a month ahead.").state
        check(state, is_right=state == "settled")


def _found(stage: Stage) -> BreachBody | None:
    until = time.monotonic() + _PATIENCE_SECONDS
    with stage.connect(cast.GBR_SIGNATORY) as client:
        while time.monotonic() < until:
            breaches = list(client.duties.breaches(stage.agreement))
            if breaches:
                return breaches[0]
            time.sleep(0.5)
    return None
