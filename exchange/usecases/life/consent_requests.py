"""What is asked of a report's originator and waits for its word: what onward release and lower marking have in common.

Promises: a request is asked about the version that was read, and of the newest one only; few of one client wait before
one originator; one that is about somebody else's report, or about none that the releaser may know, is absent; one whose
second person refused, or did not come, ends or is to be decided still, and never stays between.
Does not: say what is wished for, or what a consent gives (`onward_release`, `derivations`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from exchange.audit import DeedKind, Detail, EntryDraft, EventName, Outcome, fit_text, says_as
from exchange.kernel import ConflictError, NotFoundError
from exchange.markings import Label
from exchange.members import ActKind, Client, PendingAct, Role
from exchange.reports import ReportAct, require_act
from exchange.store import UNDECIDED, ConsentState, DerivationRow, OnwardRow, Parts, PolicyState, ReportRow, UnitOfWork
from exchange.store.rows.unread import Unread, UnreadRow, UnreadRowError
from exchange.usecases.steps.authenticate import authenticate, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.originating import (
    OwnReport,
    is_absent_for,
    is_cleared_still,
    loaded_report,
    may_know_report,
    own_report,
)
from exchange.usecases.steps.recording import about_report, draft, named, on_record
from exchange.usecases.steps.requested_consents import Asking, as_asked
from exchange.usecases.steps.second_person import end_waiting, hold_waiting, waiting_about
from exchange.usecases.steps.seeking import own_class
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import is_any_naming
from exchange.usecases.steps.unopened import Asker
from exchange.usecases.steps.unread import record_unread

_TWO_PERSONS_ABOVE: Final = "CONFIDENTIAL"
"""A level of the base policy: for what stands above it two persons consent."""

MOST_UNDECIDED = 100
"""Of one client, before one originator: its releasers are shown each of them, whenever they look for any."""
MOST_UNDECIDED_OF_MEMBER = 300
"""Of all clients of one member, before one originator: a member may enrol as many as it likes."""

_WITHDRAWN: Final = "who asked has withdrawn the request"

RequestT = TypeVar("RequestT", OnwardRow, DerivationRow)


class Requests(Protocol[RequestT]):
    """The requests of one kind, within a unit of work."""

    async def of_member(self, member: str, unread: Unread) -> list[RequestT]:
        """Return those about a member's reports and those that it made, oldest first; what cannot be read is noted."""

    async def one(self, request_id: str) -> RequestT | None:
        """Return a request, held to the end of the unit."""

    async def put(self, row: RequestT) -> None:
        """Keep what became of a request."""


@dataclass(frozen=True, slots=True)
class ConsentKind(Generic[RequestT]):
    """One kind of request: how the log names it, the act that a second person confirms, where it is kept, its events.

    `askers` are the roles of who asks, `detail` is what its entries say of one besides the report, `deed` what a grant
    of one is signed as.
    """

    name: str
    deed: DeedKind
    act: ActKind
    askers: tuple[Role, ...]
    book: Callable[[UnitOfWork], Requests[RequestT]]
    detail: Callable[[RequestT], Detail]
    requested: EventName
    refused: EventName
    withdrawn: EventName


async def hold_as_read(unit: UnitOfWork, report: ReportRow, state: PolicyState) -> None:
    """Hold a report that something is asked about; ConflictError where it has a newer version by now, or has ended.

    Raises StalePolicyError where the policy moved since it was read as of `state`: it may be another's to read by now.
    """
    await unit.reports().hold_order(state.policy_version)
    # INVARIANT: a newer version, or the end, ends the requests that stand by then: none is added behind it.
    held = await unit.reports().held(report.id)
    if held is None or held.version != report.version:
        raise ConflictError("the report changed while it was asked for: read it again, then ask")
    require_act(held.stored_status, ReportAct.RELEASE)


def require_few_undecided(counts: tuple[int, int], originator: str) -> None:
    """Raise ConflictError where too many requests wait for the releasers of one member already.

    `counts` are of how many one client asked, and all clients of its member.
    """
    # Not held: of those that come at one moment a few may pass it, which costs nobody anything.
    for count, most, whose in zip(
        counts, (MOST_UNDECIDED, MOST_UNDECIDED_OF_MEMBER), ("of yours", "of your member"), strict=True
    ):
        if count >= most:
            message = f"{most} requests {whose} wait for {originator}: have some of them decided first"
            raise ConflictError(message, code="too-many-waiting")


async def listed(
    services: Services, call: Call, kind: ConsentKind[RequestT], *, event: EventName
) -> tuple[Client, Recorded[list[RequestT]]]:
    """Return the caller, and the requests that it has to do with: its own; to a releaser, those about its member's."""
    client = await authenticate(services, call, *{*kind.askers, Role.RELEASER}, event=event)
    unread = Unread()
    async with services.store.unit_of_work() as unit:
        waiting = await waiting_about(unit, kind.act, "request")
        known = [_as_it_stands(row, waiting) for row in await kind.book(unit).of_member(client.member, unread)]
    # Behind the unit: however many there are, whoever writes does not wait for them.
    visible = [row for row in known if await _is_visible(services, call, client, row, kind)]
    rows = await as_asked(services, visible, unread, lambda row: _asking(row, kind))
    ids = tuple(row.id for row in rows)
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    return client, Recorded(rows, receipt, await record_unread(services, unread, client))


def _asking(row: RequestT, kind: ConsentKind[RequestT]) -> Asking:
    unread = UnreadRow(f"{kind.name} {row.id}", frozenset({row.originator, row.requester_member}))
    return Asking(kind.requested, "request", row.id, row.report, row.requester, unread)


async def _is_visible(
    services: Services, call: Call, client: Client, row: RequestT, kind: ConsentKind[RequestT]
) -> bool:
    if row.requester == client.id and not client.roles.isdisjoint(kind.askers):
        # INVARIANT: nobody is told in what words something was decided about a report of which it may read nothing.
        return await is_cleared_still(services, call, client, row.report, for_part=True) or await may_know_report(
            services, call, client, row.report
        )
    return is_decider(row, client) and await may_know_report(services, call, client, row.report)


def is_decider(row: OnwardRow | DerivationRow, client: Client) -> bool:
    """Return whether a client is a releaser of the originator that is asked."""
    return Role.RELEASER in client.roles and row.originator == client.member


def is_above(services: Services, labels: Sequence[Label]) -> bool:
    """Return whether one of these labels stands above what one person may consent to alone."""
    catalogue = services.law.catalogue
    return any(catalogue.protection_rank(each) > catalogue.clearance_rank(_TWO_PERSONS_ABOVE) for each in labels)


async def own_request(
    services: Services, call: Call, request_id: str, kind: ConsentKind[RequestT], *, event: EventName
) -> tuple[Client, RequestT, OwnReport]:
    """Return a request about a report of the calling releaser's own member; absent and foreign are one answer."""
    client = await authenticate(services, call, Role.RELEASER, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named(kind.name, request_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        row = await kind.book(unit).one(sought_id(request_id))
        if row is None or row.originator != client.member or await is_absent_for(services, call, client, row.report):
            raise NotFoundError("no such request, or none that you may decide")
    own = await own_report(services, call, row.report, Role.RELEASER, event=event)
    return own.caller, row, own


async def refused(
    services: Services, call: Call, request_id: str, reason: str, kind: ConsentKind[RequestT]
) -> Recorded[RequestT]:
    """Refuse a request (releaser of the originator); the reason is told to who asked. Raises as `own_request`.

    An act that waits about it ends with it: nobody is asked any more to confirm what is refused.
    """
    client, row, own = await own_request(services, call, request_id, kind, event=kind.refused)

    async def refuse(*, is_again: bool) -> Recorded[RequestT]:
        async with services.store.unit_of_work() as unit:
            await hold_waiting(unit, kind.act, request=row.id)
            held = _undecided(services, await kind.book(unit).one(row.id), kind, is_again=is_again)
            decided = replace(held, decided_at=call.now, decided_by=client.id, conditions=fit_text(reason))
            ended = replace(decided, state=ConsentState.REFUSED)
            await kind.book(unit).put(ended)
            acts = await end_waiting(unit, client, kind.act, fit_text(reason), request=row.id)
            detail = kind.detail(row) | ({"acts": acts} if acts else {})
            receipt = await unit.record(own.entry(call, kind.refused, Outcome.PERMITTED, detail=detail))
        return Recorded(ended, receipt)

    return await taken_away(services, own.entry(call, kind.refused, Outcome.REFUSED), refuse)


async def withdrawn(services: Services, call: Call, request_id: str, kind: ConsentKind[RequestT]) -> Recorded[RequestT]:
    """Take back a request that the caller made and nobody has decided; an act that waits about it ends with it.

    Raises NotFoundError alike for an absent request and for one that another client made, ConflictError for one that
    was decided, or is over.
    """
    event = kind.withdrawn
    client = await authenticate(services, call, *kind.askers, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named(kind.name, request_id))
    async with on_record(services, attempt):
        async with services.store.unit_of_work() as unit:
            row = await kind.book(unit).one(sought_id(request_id))
        if row is None or row.requester != client.id:
            raise NotFoundError("no such request, or none that you made")
        if row.state not in UNDECIDED and not await _is_visible(services, call, client, row, kind):
            raise NotFoundError("no such request, or none that you made")
        entry = await _entry_about(services, call, client, row, event)

    async def withdraw(*, is_again: bool) -> Recorded[RequestT]:
        async with services.store.unit_of_work() as unit:
            await hold_waiting(unit, kind.act, request=row.id)
            held = _undecided(services, await kind.book(unit).one(row.id), kind, is_again=is_again)
            ended = replace(held, state=ConsentState.WITHDRAWN, decided_at=call.now, decided_by=client.id)
            await kind.book(unit).put(ended)
            acts = await end_waiting(unit, client, kind.act, _WITHDRAWN, request=row.id)
            detail = kind.detail(row) | ({"acts": acts} if acts else {})
            receipt = await unit.record(replace(entry, detail=detail))
        return Recorded(ended, receipt)

    return await taken_away(services, entry, withdraw)


def _undecided(services: Services, held: RequestT | None, kind: ConsentKind[RequestT], *, is_again: bool) -> RequestT:
    """Return a request that is held and undecided; `is_again` one that its row alone says was refused or withdrawn."""
    try:
        return in_state(held, *UNDECIDED)
    except ConflictError as refusal:
        # What has lapsed no entry tells of.
        if held is None or held.state not in {ConsentState.REFUSED, ConsentState.WITHDRAWN}:
            raise
        if not is_again:
            said = {"subject": held.report, "field": "request", "of": held.id}
            is_told = partial(is_any_naming, services, kind.refused, kind.withdrawn, **said)
            raise SaidByRowError(refusal, is_told) from None
        return held


async def _entry_about(
    services: Services, call: Call, client: Client, row: OnwardRow | DerivationRow, event: EventName
) -> EntryDraft:
    found = await services.store.report_for(required_thumbprint(call), row.report, parts=Parts.NONE)
    if found.report is None:
        raise NotFoundError("no such request, or none that you made")
    kept = await own_class(services, Asker(call, client, found.state), found.report, event=event)
    about = about_report(found.report.id, found.report.version, kept.facts)
    # Without a label: who is shown some parts alone is told of no label but theirs, and so are its auditors.
    return replace(draft(call, client, event, Outcome.PERMITTED, **about), label=None)


def in_state(held: RequestT | None, *states: ConsentState) -> RequestT:
    """Return a request that is held and stands in one of these states; ConflictError where it does not."""
    if held is not None and held.state is ConsentState.WITHDRAWN and held.state not in states:
        raise ConflictError(_WITHDRAWN, code="request-ended")
    if held is None or held.state not in states:
        state = "gone" if held is None else held.state.value
        raise ConflictError(f"the request is {state}: this cannot be done to it now", code="request-ended")
    return held


def require_as_granted(held: OnwardRow | DerivationRow, kind: ConsentKind[RequestT]) -> None:
    """Raise UnreadRowError where a grant is about another report than was signed: that one's would go on."""
    if not is_as_granted(held, kind):
        raise UnreadRowError(f"{kind.name} {held.id}")


def is_as_granted(held: OnwardRow | DerivationRow, kind: ConsentKind[RequestT]) -> bool:
    """Return whether a grant of this request, about the report that its row names, was signed."""
    return says_as(held.note or b"", kind.deed, {"request": held.id, "report": held.report})


async def end_with_act(  # noqa: PLR0913, PLR0917  one call's surroundings, and which kind of request
    services: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct, kind: ConsentKind[RequestT]
) -> None:
    """End the request whose grant a second releaser refused; one that was taken back is to be decided still."""
    request_id = act.said("request")
    held = await kind.book(unit).one(sought_id(request_id))
    if held is None or held.state is not ConsentState.AWAITING:
        return
    if act.refuser == act.requester:
        await kind.book(unit).put(_to_decide(held))
        return
    decided = replace(held, decided_at=call.now, decided_by=client.id, conditions=act.refusal)
    await kind.book(unit).put(replace(decided, state=ConsentState.REFUSED))
    own = await loaded_report(services, call, client, held.report)
    await unit.record(own.entry(call, kind.refused, Outcome.PERMITTED, detail=kind.detail(held)))


def _as_it_stands(row: RequestT, waiting: Collection[str]) -> RequestT:
    """Return a request as it is told; `waiting` are those whose act waits.

    One whose second person did not come in time is to be decided still.
    """
    return _to_decide(row) if row.state is ConsentState.AWAITING and row.id not in waiting else row


def _to_decide(row: RequestT) -> RequestT:
    return replace(row, state=ConsentState.ASKED, decided_by=None, conditions=None)
