"""Reviews of agreements that fall due: noted in the log once, for the auditors of the parties to see."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from functools import partial

from exchange.agreements import Agreement, is_party, last_review_due
from exchange.audit import Entry, EventName, Subject
from exchange.kernel import ConflictError, UnavailableError
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.judging import own_state
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import entries_named, is_borne_out_by, told_until_now
from exchange.usecases.steps.unread import known_agreements

_Place = tuple[str, date]
"""Of which agreement, due on which day."""


async def note_reviews(services: Services) -> int:
    """Note every review that has fallen due and was not noted; return how many."""
    now = services.clock()
    agreements = await known_agreements(services, await own_state(services))
    due: dict[_Place, Agreement] = {
        (each.id, day): each for each in agreements.values() if (day := last_review_due(each, now)) is not None
    }
    async with services.store.unit_of_work() as unit:
        noted = await unit.reviews().noted()
    new = sorted(due.keys() - noted.keys()) + await _noted_by_a_row_alone(services, due.keys() & noted.keys(), noted)
    for agreement_id, day in new:
        agreement = due[agreement_id, day]
        entry = service_draft(
            services,
            EventName.AGREEMENT_REVIEW_DUE,
            subject=Subject("agreement", agreement.id, agreement.version),
            agreement=agreement.id,
            # INVARIANT: the auditors of who has left learn nothing of what the others do since.
            detail={
                "parties": [each for each in agreement.terms.parties if is_party(agreement, each, now)],
                "due": day.isoformat(),
            },
        )
        try:
            async with services.store.unit_of_work() as unit:
                receipt = await unit.record(entry)
                if (agreement.id, day) not in noted:
                    await unit.reviews().note(agreement.id, day, receipt.entry)
        except ConflictError:
            continue  # another process has noted it
    return len(new)


async def _noted_by_a_row_alone(
    services: Services, places: Collection[_Place], noted: Mapping[_Place, str]
) -> list[_Place]:
    """Return of which of these no entry tells: somebody wrote their rows beforehand. They stand, and are in no way."""
    told = await entries_named(services, (noted[place] for place in places))
    doubted = (place for place in places if not is_borne_out_by(told, noted[place], partial(_notes, place)))
    return [place for place in sorted(doubted) if not await _is_told(services, place)]


async def _is_told(services: Services, place: _Place) -> bool:
    # What the log does not say now is asked again in the next round.
    with suppress(UnavailableError):
        entries = told_until_now(services, EventName.AGREEMENT_REVIEW_DUE, subject=place[0])
        return any([_notes(place, entry) async for entry in entries])
    return True


def _notes(place: _Place, entry: Entry) -> bool:
    said = (entry["type"], entry.get("object", {}).get("id"), entry.get("detail", {}).get("due"))
    return said == (EventName.AGREEMENT_REVIEW_DUE.value, place[0], place[1].isoformat())
