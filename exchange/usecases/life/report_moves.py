"""A report's next version, put in the place of the one before: with its digests on the record, and its readers told.

Steps: (1) the new version is sealed under its own label, place and version; (2) the order of reports is held, this one
is still as it was loaded, and no answer to a request becomes wider than it was given; (3) the entry names both versions
by their digests; (4) the new version takes the place of the old one, whose digest is kept; (5) who was given the report
is told. All of it durable together.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NoReturn

from exchange.audit import EntryDraft, EventName, Outcome, Receipt
from exchange.crypto import decrypt_part
from exchange.kernel import ConflictError
from exchange.reports import Header, ReportAct, require_act, version_digest
from exchange.store import FormerVersion, GivenTo, NewReport, NoticeKind, NoticeRow, PartRow, Parts, UnitOfWork
from exchange.usecases.requests.answer_request import require_narrow_answers
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.given_to import given_to
from exchange.usecases.steps.opening import decrypted_pieces
from exchange.usecases.steps.originating import OwnReport, all_parts
from exchange.usecases.steps.recording import record_tampering
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.steps.sealing import Content, part_key, reseal_report

PAST_KEPT: Final[Mapping[str, str]] = MappingProxyType({"past": "kept"})
"""What the entry of a move says besides: what the report was until then is kept, in a row beside its own."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is done to a report: by which act, recorded as what, and of what its readers are told.

    `consents` are those under which it is marked lower than what it builds on; `people` did it where they were two.
    """

    act: ReportAct
    event: EventName
    notice: NoticeKind
    before: Header
    after: Header
    consents: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resealed:
    """A move that is ready to be made: the next version as it is kept, and who is told of it."""

    own: OwnReport
    move: Move
    new: NewReport
    readers: Sequence[GivenTo]


async def moved(services: Services, call: Call, own: OwnReport, move: Move, contents: Sequence[Content]) -> Receipt:
    """Make `move.after`, with its parts' `contents`, the current version of `own`.

    Raises ConflictError where somebody else came first, StalePolicyError where the policy moved since it was loaded.
    """
    ready = await resealed(services, own, move, contents)
    async with services.store.unit_of_work() as unit:
        return await put_in_place(services, unit, call, ready)


async def resealed(services: Services, own: OwnReport, move: Move, contents: Sequence[Content]) -> Resealed:
    """Return `move` ready to be made: outside of any unit, for a large part takes its time."""
    # (1) sealed anew
    new = await reseal_report(services, move.after, contents, under=own.facts.under)
    new = await services.store.large_parts.put_away(new)
    return Resealed(own, move, new, await given_to(services, own.report.id))


async def put_in_place(services: Services, unit: UnitOfWork, call: Call, ready: Resealed) -> Receipt:
    """Make what is `ready` the current version, within a unit of the caller's; raises as `moved`."""
    own, move, new = ready.own, ready.move, ready.new
    book = unit.reports()
    # (2) still what was loaded
    await book.hold_order(own.state.policy_version)
    held = await book.require_same(own.report.id, version=own.report.version, class_id=own.report.class_id)
    require_act(held.stored_status, move.act)
    await require_narrow_answers(services, unit, own, move.after)
    # (3) both versions by name
    receipt = await unit.record(_entry(call, own, move))
    # (4) the new one stands
    await book.move(new)
    digest = version_digest(move.before)
    await book.add_version(own.report.id, FormerVersion(own.report.version, digest, call.now, receipt.entry))
    # What was consented to was the version before.
    await lapse_consents(unit, own.report.id)
    # (5) told
    notices = [
        NoticeRow.of(each, move.notice, new.id, version=new.version, at=call.now, entry=receipt.entry)
        for each in ready.readers
    ]
    await book.tell(notices)
    return receipt


async def lapse_consents(unit: UnitOfWork, report_id: str) -> None:
    """End what was consented to, or asked for, about a report: it has another version, or none; order held before."""
    await unit.consents().lapse(report_id)
    await unit.derivations().lapse(report_id)


async def contents_of(services: Services, call: Call, own: OwnReport) -> list[Content]:
    """Return every part of an own report in the clear, to be sealed anew: nothing of it leaves the exchange.

    A large one is opened only while it is sealed, and never in memory whole. Raises ConflictError where somebody else
    came first.
    """
    contents: list[Content] = []
    try:
        for part in await all_parts(services, call, own):
            key, context = await _unwrapped(services, own, part)
            if part.location is not None and services.store.large_parts.is_large(part.size_bytes):
                contents.append(_pieces(services, call, own, part))
            else:
                contents.append(decrypt_part(key, context, await services.store.large_parts.ciphertext(part)))
    except (*UNOPENED, IndexError) as exc:
        await _record_unopened(services, call, own, exc)
    return contents


async def _record_unopened(services: Services, call: Call, own: OwnReport, cause: Exception) -> NoReturn:
    """Record that a part is not what was put there; ConflictError where it is of another version than was loaded."""
    report, now = own.report, (await services.store.report_for("", own.report.id, parts=Parts.NONE)).report
    # Parts are read after their report: what came between the two, or shredded them, was nobody's tampering.
    if now is None or (now.version, bool(now.sealed_header)) != (report.version, bool(report.sealed_header)):
        raise ConflictError("somebody else changed it meanwhile: read it again and repeat the change") from cause
    await record_tampering(services, call, own.client, f"report {report.id}", cause)


async def _unwrapped(services: Services, own: OwnReport, part: PartRow) -> tuple[bytes, bytes]:
    return await part_key(services, own.report, own.facts.part_labels[part.label_index], part)


async def _pieces(services: Services, call: Call, own: OwnReport, part: PartRow) -> AsyncIterator[bytes]:
    try:
        key, context = await _unwrapped(services, own, part)
        async for piece in decrypted_pieces(key, context, services.store.large_parts.ciphertext_pieces(part)):
            yield piece
    except UNOPENED as exc:
        await _record_unopened(services, call, own, exc)


def _entry(call: Call, own: OwnReport, move: Move) -> EntryDraft:
    before, after = move.before, move.after
    return own.entry(
        call,
        move.event,
        Outcome.PERMITTED,
        version=after.version,
        detail={
            "before": version_digest(before),
            "after": version_digest(after),
            "to_level": after.label.classification,
            "to_policy": after.label.policy,
            **PAST_KEPT,
            **({"precedence_before": before.precedence.value} if before.precedence is not after.precedence else {}),
            **({"consents": list(move.consents)} if move.consents else {}),
            **({"by": list(move.people)} if move.people else {}),
        },
    )
