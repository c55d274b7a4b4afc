"""Make a report whole whose parts came later: from here on it is a report like any other, and before it was none.

Steps: (1) the caller's own upload, and every part has come; (2) the decision is taken again, under the law, the
agreement and the consents of now; (3) the header is sealed as of now, the parts stay as they were sealed; (4) if policy
and parts are still those, the report takes its number, with the entries of a post, and what it supersedes goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from exchange.audit import EventName, Outcome
from exchange.kernel import ConflictError, StalePolicyError
from exchange.reports import Awaited, Header, ReportId, as_posted
from exchange.store import NewPart, NewReport, Sealed, UploadPartRow
from exchange.usecases.posting.places import taking_place
from exchange.usecases.posting.post_report import PostedAnswer, posted_answer, posted_draft
from exchange.usecases.posting.postable import postable
from exchange.usecases.posting.superseding import superseding_of
from exchange.usecases.posting.uploads import OwnUpload, hold_open, own_upload, received_parts, upload_entry
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.registering import distribution_draft
from exchange.usecases.steps.sealing import reseal_header, stored_json

_EVENT = EventName.UPLOAD_COMPLETED


@decided_anew("the report could be completed: ask again")
async def complete_upload(services: Services, call: Call, upload_id: str) -> Recorded[PostedAnswer]:
    """Complete a report that the caller began, and return it as posted.

    Raises NotFoundError alike for an absent upload and another client's, ConflictError for one that has ended or lacks
    parts, and what `post_report` raises where it may not be posted any more.
    """
    own = await own_upload(services, call, upload_id, event=_EVENT)
    refused = own.entry(call, _EVENT, Outcome.REFUSED)
    async with on_record(services, refused), taking_place(services, call, own.client, own.declared.supersedes):
        return await _completed(services, call, own)


async def _completed(services: Services, call: Call, own: OwnUpload) -> Recorded[PostedAnswer]:
    # (1) whole
    rows = await services.store.uploads.parts(own.row.id)
    received = await received_parts(services, call, own, rows)
    try:
        _require_all(own.declared, received)
    except ConflictError:
        # INVARIANT: nobody is told to send what has become a report, or was given up, since the upload was loaded.
        await own_upload(services, call, own.row.id, event=_EVENT)
        raise
    # (2) may it be posted, now
    posted = as_posted(own.declared, received, poster=own.client.member)
    report_id = ReportId(own.row.id)
    may = await postable(services, call, own.client, posted, own.state, event=_EVENT, report_id=report_id)
    header = may.header
    # (3) sealed
    new = replace(await _sealed(services, header, rows), superseded_version=may.superseded_version)
    # (4) all of it durable, or none
    entry = posted_draft(call, own.client, header, may.consents)
    completed = upload_entry(call, own.client, header, _EVENT, Outcome.PERMITTED, size_bytes=entry.size_bytes)
    registration = distribution_draft(services.law, header, entry)
    superseding = await superseding_of(services, call, own.client, may.superseded)
    async with services.store.unit_of_work() as unit:
        if await hold_open(unit, own) != own.row.revision:
            raise StalePolicyError("a part came while the report was being completed: decide again")
        receipt = await unit.record(entry)
        for beside in (completed, *(() if registration is None else (registration,))):
            await unit.record(beside)
        was_current = await unit.reports().add(new)
        if superseding is not None:
            superseding.require_due(was_current=was_current)
            about = await unit.record(superseding.draft)
            await unit.reports().tell(superseding.notices(about.entry))
        await unit.uploads().complete(own.row.id, new)
    return Recorded(posted_answer(services, header, posted, stored_json(services, header)), receipt)


def _require_all(declared: Header, received: Mapping[int, Awaited]) -> None:
    missing = [str(part.number) for part in declared.parts if part.number not in received]
    if missing:
        what = f"part {missing[0]} has" if len(missing) == 1 else f"parts {', '.join(missing)} have"
        raise ConflictError(f"{what} not come whole: send what is missing, then complete", code="parts-missing")


async def _sealed(services: Services, header: Header, rows: Sequence[UploadPartRow]) -> NewReport:
    """Return the report as the store keeps it; its parts stand sealed already, under the labels they have in it."""
    under = services.knowledge.posted_under(header.agreement, header.scope, header.posted_at)
    new = await reseal_header(services, header, (), under=under)
    labels = {part.number: new.facts.part_labels.index(part.label) for part in header.parts}
    parts = tuple(
        NewPart(
            row.number,
            labels[row.number],
            row.size_bytes,
            Sealed(row.part_key_id, row.part_key_version, row.wrap_suite, row.wrapped_key),
            row.suite,
            b"",
            row.location,
        )
        for row in rows
    )
    return replace(new, parts=parts)
