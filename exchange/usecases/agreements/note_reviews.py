"""Reviews of agreements that fall due: noted in the log once, for the auditors of the parties to see."""

from collections.abc import Mapping
from datetime import date

from exchange.agreements import last_review_due
from exchange.audit import Entry, EventName, Subject
from exchange.kernel import ConflictError
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import entries_named, is_borne_out_by
from exchange.usecases.steps.unread import known_agreements


async def note_reviews(services: Services) -> int:
    """Note every review that has fallen due and was not noted; return how many."""
    now = services.clock()
    state = (await services.store.caller("")).state
    require_same_law(services, state)
    agreements = await known_agreements(services, state)
    due = {(each.id, day): each for each in agreements.values() if (day := last_review_due(each, now)) is not None}
    async with services.store.unit_of_work() as unit:
        noted = await unit.reviews().noted()
    # A row alone keeps no review from being noted: somebody may have written it beforehand.
    told = await entries_named(services, (noted[each] for each in due if each in noted))
    new = sorted(each for each in due if each not in noted or not _is_borne_out(told, noted[each], *each))
    for agreement_id, day in new:
        agreement = due[agreement_id, day]
        entry = service_draft(
            services,
            EventName.AGREEMENT_REVIEW_DUE,
            subject=Subject("agreement", agreement.id, agreement.version),
            agreement=agreement.id,
            detail={"parties": list(agreement.terms.parties), "due": day.isoformat()},
        )
        try:
            async with services.store.unit_of_work() as unit:
                receipt = await unit.record(entry)
                before = noted.get((agreement.id, day))
                await unit.reviews().note(agreement.id, day, receipt.entry, instead_of=before)
        except ConflictError:
            continue  # another process has noted it
    return len(new)


def _is_borne_out(told: Mapping[str, Entry | None], entry_id: str, agreement_id: str, day: date) -> bool:
    says = (EventName.AGREEMENT_REVIEW_DUE.value, agreement_id, day.isoformat())

    def notes(entry: Entry) -> bool:
        return (entry["type"], entry.get("object", {}).get("id"), entry.get("detail", {}).get("due")) == says

    return is_borne_out_by(told, entry_id, notes)
