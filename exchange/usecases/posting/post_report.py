"""Post one report: checked against its agreement, encrypted, and on the record in the transaction that makes it exist.

Steps: (1) the caller may contribute; (2) its member is a party of an agreement in force, for its own part
too; (3) the report lies inside the scope; (4) it is well formed and builds only on what its poster may see;
(5) every part and the header are encrypted under keys that custody wraps; (6) report, class, parts, entry
and idempotency key become durable together, if the policy they were decided under still holds; else again.
Who was given a report in whose place it comes is told in (6) too.

No clearance is asked of the poster: posting shows nothing (ADR 0009).
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import assert_never

from exchange.audit import EntryDraft, EventName, Outcome
from exchange.crypto import OpeningError
from exchange.kernel import ConflictError, StalePolicyError, parse_rfc3339
from exchange.members import Client, Role
from exchange.reports import Header, PostedReport, ReportId, ReportStatus
from exchange.store import CallerRow, Idempotency, IdempotentReplay, Parts, PostedRow
from exchange.usecases.posting.places import taking_place
from exchange.usecases.posting.postable import idempotency_of, postable
from exchange.usecases.posting.superseding import superseding_of
from exchange.usecases.steps.authenticate import admit, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_as_of
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.recording import about_report, draft, on_record, record_tampering, refuse
from exchange.usecases.steps.registering import distribution_draft
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.sealing import seal_report, stored_json, with_status
from exchange.usecases.steps.told_entries import all_told_until_now, require_readable


@dataclass(frozen=True, slots=True)
class PostedAnswer:
    """The report as posted: its id and whole header as JSON bytes. `is_replayed`: an earlier post with the same key."""

    report_id: str
    header_json: bytes
    is_replayed: bool


async def post_report(
    services: Services,
    call: Call,
    posted: PostedReport,
    *,
    idempotency_key: str | None = None,
    seen: CallerRow | None = None,
) -> Recorded[PostedAnswer]:
    """Post a report for the caller's member.

    `seen` is the caller as it was authenticated before its body was read: what has changed since makes the policy
    version another one, and the post is decided again.
    Raises NotFoundError for an agreement the caller cannot see, ForbiddenError without the contributor's role,
    ConflictError where the agreement is not in force or the idempotency key was used for something else,
    InvalidError with every fault of scope, label or content.
    """

    def post(row: CallerRow) -> Awaitable[Recorded[PostedAnswer]]:
        return _post_once(services, call, posted, idempotency_key, row=row)

    return await decided_as_of(services, call, seen, post, "the report could be posted: post again")


async def _post_once(
    services: Services, call: Call, posted: PostedReport, idempotency_key: str | None, *, row: CallerRow
) -> Recorded[PostedAnswer]:
    # (1) who
    client = await admit(services, call, row.client, Role.CONTRIBUTOR, event=EventName.REPORT_POSTED)
    require_same_law(services, row.state)
    # (2) to (4): may it be posted
    event = EventName.REPORT_POSTED
    may = await postable(services, call, client, posted, row.state, event=event)
    header = may.header
    # (5) sealed
    header_json = stored_json(services, header)
    new = await seal_report(services, header, posted, header_json)
    new = replace(new, superseded_version=may.superseded_version)
    # (6) all of it durable, or none
    key = idempotency_of(services, client, header, posted, idempotency_key)
    entry = posted_draft(call, client, header, may.consents)
    registration = distribution_draft(services.law, header, entry)
    superseding = await superseding_of(services, call, client, may.superseded)
    version = row.state.policy_version
    taking = taking_place(services, call, client, header.supersedes)
    async with on_record(services, replace(entry, subject=None)), taking:
        new = await services.store.large_parts.put_away(new)
        try:
            kept = await services.store.post_report(
                *(new, entry),
                policy_version=version,
                idempotency=key,
                registration=registration,
                superseding=superseding,
            )
        except (ConflictError, StalePolicyError):
            await services.store.large_parts.discard_parts(new.parts)
            raise
    match kept:
        case PostedRow():
            return Recorded(posted_answer(services, header, posted, header_json), kept.receipt)
        case IdempotentReplay():
            await services.store.large_parts.discard_parts(new.parts)
            return await _replay(services, call, client, kept, key, posted=posted, sent=header)
        case other:
            assert_never(other)


async def _replay(  # noqa: PLR0913  what was posted before, and what is posted again
    services: Services,
    call: Call,
    client: Client,
    replay: IdempotentReplay,
    asked: Idempotency | None,
    *,
    posted: PostedReport,
    sent: Header,
) -> Recorded[PostedAnswer]:
    row = await services.store.report_for(required_thumbprint(call), replay.report_id, parts=Parts.NONE)
    header = None
    try:
        if sent.originator != client.member:
            await _require_posted_by(services, client, replay)
        if row.report is not None and row.report.sealed_header:
            kept = await services.knowledge.release_class(services.store, row.report.class_id)
            header = await open_sealed_header(services, row.report, kept)
        if header is None or header.version > 1:
            # Sealed so, hence nothing was altered; what was sent is not what stands there any more.
            sent = replace(sent, id=ReportId(replay.report_id), posted_at=replay.posted_at)
            return await _moved_on(services, call, client, sent, posted, is_gone=header is None)
        # INVARIANT: no Permit is asked here, so what is shown is what this client sent, whatever the row points at.
        is_same = asked is not None and idempotency_of(services, client, header, posted, asked.key) == asked
        if not is_same or not set(posted.references) <= set(header.references):
            raise OpeningError("the report kept for an idempotency key is not what was posted with it")
    except UNOPENED as exc:
        await record_tampering(services, call, client, f"report {replay.report_id}", exc)
    return await _told_again(services, call, client, header, posted)


async def _require_posted_by(services: Services, client: Client, replay: IdempotentReplay) -> None:
    """Raise OpeningError where no entry says that a client posted this report then, UnavailableError where none can.

    INVARIANT: who posted for another is told by no row alone what it posted. It is asked whatever became of the report:
    how long it takes tells nothing of that.
    """
    await require_readable(services, "what was posted")
    async for entry in all_told_until_now(services, EventName.REPORT_POSTED, subject=replay.report_id):
        is_its = entry["actor"].get("id") == client.id and "replayed" not in entry.get("detail", {})
        if is_its and parse_rfc3339(entry["ts"]) == replay.posted_at:
            return
    raise OpeningError("the report kept for an idempotency key is not one that this client posted then")


async def _moved_on(  # noqa: PLR0913  what was sent, and what became of it
    services: Services, call: Call, client: Client, sent: Header, posted: PostedReport, *, is_gone: bool
) -> Recorded[PostedAnswer]:
    if sent.originator != client.member:
        # INVARIANT: who posted for another member is told what it sent, and nothing of what became of that.
        return await _told_again(services, call, client, sent, posted)
    gone, moved = (
        "is gone: post again with another key",
        "was amended or lowered since: look for it before you post again",
    )
    error = ConflictError(f"the report posted with this key {gone if is_gone else moved}")
    return await refuse(services, draft(call, client, EventName.REPORT_POSTED, Outcome.REFUSED), error)


async def _told_again(
    services: Services, call: Call, client: Client, header: Header, posted: PostedReport
) -> Recorded[PostedAnswer]:
    again = posted_draft(call, client, header)
    receipt = await services.store.append(replace(again, detail={**again.detail, "replayed": "yes"}))
    answer = posted_answer(services, header, posted, stored_json(services, header))
    return Recorded(replace(answer, is_replayed=True), receipt)


def posted_answer(services: Services, header: Header, posted: PostedReport, header_json: bytes) -> PostedAnswer:
    """Return what its poster is told of a report; `header_json` is the header's `stored_json`."""
    # What it goes on building on, this client did not name and may not be able to see.
    is_whole = header.references == posted.references
    shown = header_json if is_whole else stored_json(services, replace(header, references=posted.references))
    return PostedAnswer(header.id, with_status(shown, ReportStatus.CURRENT), is_replayed=False)


def posted_draft(call: Call, client: Client, header: Header, consents: tuple[str, ...] = ()) -> EntryDraft:
    """Return the entry of a post."""
    detail: dict[str, str | int | list[str]] = {}
    if header.originator != client.member:
        detail["on_behalf_of"] = str(header.originator)
    if consents:
        detail["consents"] = list(consents)
    if header.supersedes is not None:
        detail["supersedes"] = header.supersedes
    return draft(
        call,
        client,
        EventName.REPORT_POSTED,
        Outcome.PERMITTED,
        **about_report(header.id, header.version, header),
        size_bytes=sum(part.size_bytes for part in header.parts),
        detail=detail,
    )
