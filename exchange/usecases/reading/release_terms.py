"""On what terms the originator has released a report to the member that reads it, and what it has asked of it.

Told with the report, to whoever is given it by such a consent: what binds a reader it must know; who is given a part by
itself is told where they stand. A consent whose parts the reader is not given is not told: it would tell of them.
"""

from dataclasses import dataclass
from datetime import datetime

from exchange.audit import DeedKind, says_as
from exchange.crypto import OpeningError
from exchange.kernel import to_micros
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Consent, Permit, live_consents
from exchange.reports import Header
from exchange.store import OnwardWish, Parts, Unread
from exchange.usecases.posting.derived_marking import Source, header_of
from exchange.usecases.steps.authenticate import required_thumbprint
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import Judged
from exchange.usecases.steps.recording import record_tampering


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """One consent as who reads by it is told it: for which purposes (none: any), until when, on what conditions."""

    purposes: tuple[str, ...]
    until: datetime | None
    conditions: str | None


async def terms_of_release(
    services: Services, call: Call, client: Client, judged: Judged, permit: Permit
) -> tuple[ReleaseTerms, ...] | None:
    """Return the terms of every consent that bears on what `permit` gives its reader; most reports have none.

    None where one of them has ended since the decision: what it binds its reader to cannot be told any more. Raises
    TamperedError, recorded, where a row names other conditions than were signed, or none tells of a consent that holds.
    """
    live = live_consents(judged.facts, judged.reader)
    if not live:
        return ()
    header = await header_of(services, call, Source(judged.report, judged.release_class))
    unread = Unread()
    async with services.store.unit_of_work() as unit:
        rows = await unit.consents().granted(judged.report.id, unread)
    bearing = [consent for consent in live if not permit.labels.isdisjoint(consent.labels)]
    # As the decision read it, and no other that came since.
    found = [(row, consent) for row in rows if (consent := consent_of(header, row.wish)) in bearing]
    if len({consent for _, consent in found}) < len(set(bearing)):
        await _require_moved(services, call, client, judged, unread)
        return None
    for row, _ in found:
        if not says_as(row.note or b"", DeedKind.ONWARD_GRANT, {"conditions": row.conditions}):
            altered = OpeningError("a consent is not what was granted")
            await record_tampering(services, call, client, f"onward {row.id}", altered)
    return tuple(ReleaseTerms(row.wish.purposes, row.wish.until, row.conditions) for row, _ in found)


def has_terms(judged: Judged, label: Label) -> bool:
    """Return whether a consent that holds now bears on parts of this label."""
    return any(label in consent.labels for consent in live_consents(judged.facts, judged.reader))


async def _require_moved(services: Services, call: Call, client: Client, judged: Judged, unread: Unread) -> None:
    """Raise TamperedError, recorded, where the report is as it was decided about: none of its consents has ended."""
    now = await services.store.report_for(required_thumbprint(call), judged.report.id, parts=Parts.NONE)
    if now.report == judged.report:
        place = next((row.place for row in unread.rows), f"report {judged.report.id}: consents")
        await record_tampering(services, call, client, place, OpeningError("no row tells of a consent that holds"))


def labels_of(header: Header, wish: OnwardWish) -> tuple[Label, ...]:
    """Return the labels that a wish is about: of the parts that it names, or of the report and all of them."""
    named_parts = [part.label for part in header.parts if not wish.parts or part.number in wish.parts]
    return tuple(dict.fromkeys([*(() if wish.parts else (header.label,)), *named_parts]))


def consent_of(header: Header, wish: OnwardWish) -> Consent:
    """Return the consent that a wish amounts to, once it is granted."""
    until = None if wish.until is None else to_micros(wish.until)
    return Consent.over(labels_of(header, wish), member=wish.recipient, purposes=wish.purposes, until_micros=until)
