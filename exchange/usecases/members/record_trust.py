"""Whom a process lets in from now on, as far as files say it: on the record, for whoever asks later what held when.

An act of the exchange itself. It comes after what it tells of: what is refused does not wait for the log.
"""

from dataclasses import dataclass

from exchange.audit import Detail, EventName, Outcome, Receipt
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What was taken up of a kind of files (`revocation-lists`, `authorities`, `edges`), or refused.

    `told` names the newest of `count`; with `is_start` it is all that the process begins with.
    """

    kind: str
    told: tuple[str, ...]
    count: int
    is_refused: bool = False
    is_start: bool = False


async def record_trust(services: Services, taken: TakenUp) -> Receipt:
    """Record what this process goes by, or refuses to, in letting anybody in."""
    outcome = Outcome.REFUSED if taken.is_refused else Outcome.PERMITTED
    detail: Detail = {"file": taken.kind, "told": list(taken.told), "count": taken.count}
    if taken.is_start:
        detail["at"] = "start"
    return await services.store.append(service_draft(services, EventName.TRUST_TAKEN_UP, outcome, detail=detail))
