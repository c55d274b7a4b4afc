"""How a use case speaks to the log: entries with the actor filled in, and refusals that are durable before raised."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final, NoReturn, Protocol, TypedDict, Unpack

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Receipt, Subject
from exchange.crypto import OpeningError
from exchange.kernel import (
    LARGEST_INTEGER,
    ExchangeError,
    InvalidError,
    NotFoundError,
    StalePolicyError,
    UnavailableError,
    is_uuid7,
)
from exchange.markings import Label
from exchange.members import EXCHANGE_MEMBER, Client, InactiveError
from exchange.release import Reason
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.steps.context import Call, Services

_REASONS = frozenset(reason.value for reason in Reason)
"""Faults that are reasons of the contract are found as such; the others stand in `codes` alone."""


NOT_AS_PUT: Final = "what is stored does not match its label or place: nothing was released"


_TOLD_AGAIN: Final = timedelta(days=1)
"""What the jobs meet in every round is on record so often."""


class TamperedError(UnavailableError):
    """What is stored is not what was put there; its entry is durable, and nothing of it was released."""


class DraftFields(TypedDict, total=False):
    """The optional fields of an entry that a use case may know; see `EntryDraft`."""

    subject: Subject | None
    owner: str | None
    label: dict[str, str | list[str]] | None
    agreement: str | None
    scope: str | None
    purpose: str | None
    policies: tuple[str, ...]
    reasons: tuple[str, ...]
    size_bytes: int | None
    result_ids: tuple[str, ...] | None
    detail: dict[str, str | int | list[str]]


class AboutFields(TypedDict):
    """The fields of an entry that say what it is about, and whose that is."""

    subject: Subject
    owner: str
    label: dict[str, str | list[str]]
    agreement: str
    scope: str


class Controlled(Protocol):
    """What an originator controls: the class facts of a report or a request, or a header."""

    @property
    def originator(self) -> str: ...
    @property
    def label(self) -> Label: ...
    @property
    def agreement(self) -> str: ...
    @property
    def scope(self) -> str: ...


def about(subject: Subject, facts: Controlled) -> AboutFields:
    """Return what an entry says of a report, or of a request, that `facts` are of.

    INVARIANT: they are what is sealed, or what the log says, never a row's alone (`sealed_headers`): the entry tells
    whose it is, and so who sees it.
    """
    return AboutFields(
        subject=subject,
        owner=facts.originator,
        label=facts.label.as_json(),
        agreement=facts.agreement,
        scope=facts.scope,
    )


def about_report(report_id: str, version: int, facts: Controlled) -> AboutFields:
    """Return what an entry says of this version of a report; see `about`.

    INVARIANT: what somebody wrote where a version belongs goes into no entry: the log would hold one for ever that
    nobody can read.
    """
    return about(Subject("report", report_id, known_version(version)), facts)


def known_version(stored: object) -> int | None:
    """Return the version that stands on a report's row; None where what stands there is none."""
    return stored if isinstance(stored, int) and 0 < stored <= LARGEST_INTEGER else None


def actor_of(call: Call, client: Client | None) -> Actor:
    """Return who acts: the client with its clearance as of now, the exchange, its operator, or who is unknown."""
    if client is not None:
        return Actor(
            kind="client",
            id=client.id,
            member=client.member,
            agency=client.agency,
            thumbprint=call.thumbprint,
            level=client.clearance.level,
            compartments=client.clearance.compartments,
            name=client.name,
            certificate_subject=call.certificate_subject,
            version=client.version,
        )
    if call.is_service:
        return Actor(kind="service")
    if call.is_host:
        return Actor(kind="host")
    return Actor(kind="unknown", thumbprint=call.thumbprint, certificate_subject=call.certificate_subject)


def draft(
    call: Call, client: Client | None, event: EventName, outcome: Outcome, **fields: Unpack[DraftFields]
) -> EntryDraft:
    """Return the entry that says what `client` did in `call`."""
    return EntryDraft(
        event=event,
        outcome=outcome,
        at=call.now,
        actor=actor_of(call, client),
        request_id=call.request_id,
        source=call.source,
        user_agent=call.user_agent,
        **fields,
    )


async def refuse(services: Services, refusal: EntryDraft, error: ExchangeError) -> NoReturn:
    """Raise `error` once `refusal` is durable; where the log cannot be written, that failure is raised instead."""
    error.receipt = await services.store.append(refusal)
    raise error


@asynccontextmanager
async def on_record(services: Services, attempt: EntryDraft) -> AsyncIterator[None]:
    """Record as `attempt`, with the codes of its faults, what is refused inside, before it goes on.

    Enter it outside the unit of work: what is refused is rolled back, its entry is not. A failure of store, log
    or custody goes on as it is, and so does a policy that moved: the attempt begins again then. What was asked for by
    itself and is not what was put there is on record as that, and told as unavailable; as absent, where its row alone
    said whose it is.
    """
    try:
        yield
    except (UnavailableError, StalePolicyError):
        raise
    except OpeningError as exc:
        where = attempt.subject
        place = attempt.event.value if where is None else f"{where.kind} {where.id}"
        unread = exc if isinstance(exc, UnreadRowError) else None
        failed = replace(attempt, event=EventName.KEY_OPENED, outcome=Outcome.FAILED)
        failed = replace(failed, detail={"place": place if unread is None else unread.place})
        if unread is not None and where is not None and unread.is_of(where.id) and not _may_know(attempt.actor, where):
            # INVARIANT: whose it is nobody can say, and so nobody is told that it is there.
            await refuse(services, failed, NotFoundError("no such thing, or none that can be read"))
        raise await _tampered(services, failed) from exc
    except ExchangeError as exc:
        if exc.receipt is None:
            codes = codes_of(exc)
            reasons = tuple(code for code in codes if code in _REASONS)
            detail = {"codes": list(codes), **inactive_detail(exc)}
            refusal = replace(attempt, outcome=Outcome.REFUSED, reasons=reasons, detail=detail)
            exc.receipt = await services.store.append(refusal)
        raise


async def record_tampering(
    services: Services, call: Call, client: Client | None, place: str, cause: Exception
) -> NoReturn:
    """Record that what is stored at `place` is not what was put there, and raise: nothing of it was released.

    Where the exchange itself looks at it, which it does in every round, this process records it once a day.
    """
    told, now = services.knowledge.told_tampered, services.clock()
    if call.is_service and place in told and abs(now - told[place]) < _TOLD_AGAIN:
        raise TamperedError(NOT_AS_PUT) from cause
    failed = draft(call, client, EventName.KEY_OPENED, Outcome.FAILED, detail={"place": place})
    error = await _tampered(services, failed)
    if call.is_service:
        told[place] = now
    raise error from cause


async def _tampered(services: Services, failed: EntryDraft) -> TamperedError:
    error = TamperedError(NOT_AS_PUT)
    error.receipt = await services.store.append(failed)
    return error


def _may_know(actor: Actor, thing: Subject) -> bool:
    """Return whether a row that cannot be read is told as that to who asked for it."""
    # Of an agreement, its parties' rows say whose it is; clients are the exchange's own operators' to see, all of them.
    is_exchange = actor.kind == "host" or actor.member == EXCHANGE_MEMBER
    return thing.kind == "agreement" or (thing.kind == "client" and is_exchange)


async def note_tampering(services: Services, call: Call, client: Client | None, place: str) -> Receipt:
    """Record that what is stored at `place` is not what was put there, where the rest can be answered without it."""
    return await services.store.append(
        draft(call, client, EventName.KEY_OPENED, Outcome.FAILED, detail={"place": place})
    )


def inactive_detail(error: ExchangeError) -> dict[str, str | int | list[str]]:
    """Return what an entry says of a caller that is not active: whether the client is not, or its member."""
    return {"inactive": error.holder.value} if isinstance(error, InactiveError) else {}


def codes_of(error: ExchangeError) -> tuple[str, ...]:
    """Return the distinct codes of an error's faults, or its own."""
    faults = error.faults if isinstance(error, InvalidError) else ()
    return tuple(dict.fromkeys(fault.code for fault in faults)) or (error.code,)


def named(kind: str, typed: str) -> Subject:
    """Return the subject that a caller named; what is no id at all is not written down."""
    return Subject(kind, typed if is_uuid7(typed) else "malformed")


async def record_rejection(  # noqa: PLR0913  what a turned-away request leaves on the record
    services: Services,
    call: Call,
    *,
    method: str,
    route: str,
    code: str,
    count: int = 1,
    outcome: Outcome = Outcome.REFUSED,
) -> Receipt:
    """Record a request that was turned away, or failed, without an entry of its own; return the entry's receipt.

    `route` is the template, never the path as sent: what a stranger typed does not enter the log. `count` is for how
    many such requests the entry speaks.
    """
    client = None if call.thumbprint is None else (await services.store.caller(call.thumbprint)).client
    detail: dict[str, str | int | list[str]] = {"method": method, "route": route, "code": code}
    if count > 1:
        detail["count"] = count
    entry = draft(call, client, EventName.ROUTE_REQUESTED, outcome, detail=detail)
    return await services.store.append(entry)
