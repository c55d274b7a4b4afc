"""Reads of the log itself: checkpoint, tiles, entry bundles, proofs. Each is an entry, durable before its answer."""

import asyncio
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import NoReturn, TypeVar

from exchange.audit import (
    NO_QUORUM,
    TILE_HEIGHT,
    TILE_WIDTH,
    EventName,
    Outcome,
    SignedNote,
    Subject,
    TilePath,
    TlogProof,
    parse_bundle_path,
    parse_checkpoint,
    parse_tile_path,
    render_bundle,
)
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    Fault,
    ForbiddenError,
    InvalidError,
    MalformedError,
    NotFoundError,
)
from exchange.members import EXCHANGE_MEMBER, Client, Role
from exchange.release import Reason
from exchange.store.log.archived import LogDamagedError
from exchange.store.rows.log_rows import FoundBy, LeafRow, LogState
from exchange.usecases.auditors.auditing import Gaze, admit_auditor, views_of
from exchange.usecases.auditors.personal import search_tokens
from exchange.usecases.log.quorum import enrolled, newest_witnessed, shown_note
from exchange.usecases.steps.authenticate import authenticate, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, refuse
from exchange.usecases.steps.whole_entries import placed_content, whole_entry

# An entry has its place within a second; who asks for its own newest one waits that long rather than asking again.
_WAIT_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.05

_EVENT = EventName.AUDIT_READ

T = TypeVar("T")


class WhichCheckpoint(Enum):
    """Which checkpoint is meant: the newest, the newest that is kept (and may be cosigned), or that has the quorum."""

    NEWEST = "newest"
    KEPT = "kept"
    WITNESSED = "witnessed"


async def read_checkpoint(
    services: Services,
    call: Call,
    which: WhichCheckpoint = WhichCheckpoint.NEWEST,
    origin: str | None = None,
) -> Recorded[bytes]:
    """Return a checkpoint as it was signed, with what witnesses said of it, to an auditor.

    Here and below `origin` names the log that is meant, as one that a recovery ended; None is the one in use.
    """
    client = await authenticate(services, call, Role.AUDITOR, event=_EVENT)
    state = await _state(services, call, client, Subject("checkpoint", which.value), origin)
    note = await _chosen(services, state, which)
    if note is None:
        return await _absent(services, call, client, Subject("checkpoint", which.value))
    size = parse_checkpoint(note.text).size
    return await _permitted(services, call, client, _of(origin, "checkpoint", str(size)), note.render())


async def read_tile(services: Services, call: Call, path_text: str, origin: str | None = None) -> Recorded[bytes]:
    """Return a tile's hashes to an auditor; absent where the log is not so large."""
    client = await authenticate(services, call, Role.AUDITOR, event=_EVENT)
    subject = Subject("tile", "malformed")
    try:
        path = parse_tile_path(path_text)
    except MalformedError:
        return await _absent(services, call, client, subject)
    subject = Subject("tile", str(path))
    state = await _state(services, call, client, subject, origin)
    if not _has_tile(state, path):
        return await _absent(services, call, client, subject)
    subject = _of(origin, "tile", str(path))
    return await _permitted(services, call, client, subject, await services.store.log.tile(state.log, path))


async def read_bundle(services: Services, call: Call, path_text: str, origin: str | None = None) -> Recorded[bytes]:
    """Return an entry bundle to an auditor of the exchange; a member's auditor is refused: it sees its slice."""
    client = await authenticate(services, call, Role.AUDITOR, event=_EVENT)
    try:
        path = parse_bundle_path(path_text)
    except MalformedError:
        path = None
    subject = Subject("entry-bundle", "malformed" if path is None else str(path))
    if client.member != EXCHANGE_MEMBER:
        error = ForbiddenError("entry bundles are for the exchange's own auditors", code=Reason.ROLE_MISSING.value)
        return await _refused(services, call, client, subject, error)
    if path is None:
        return await _absent(services, call, client, subject)
    state = await _state(services, call, client, subject, origin)
    if not _has_tile(state, TilePath(0, path.index, path.width)):
        return await _absent(services, call, client, subject)
    content = render_bundle(await services.store.log.bundle(state.log, path))
    return await _permitted(services, call, client, _of(origin, "entry-bundle", str(path)), content)


async def prove_entry(services: Services, call: Call, entry_id: str, size: int | None = None) -> Recorded[bytes]:
    """Return the `.tlog-proof` of an entry to whom it concerns: in the tree of `size`, or in the newest one.

    1. Who did what it records, the auditors of its member and of its object's, and the exchange's, may ask; so may who
       was a stranger then and comes with the same certificate.
    2. An entry without a place is waited for, two seconds; ConflictError then: ask again.
    3. The checkpoint is one that was signed: InvalidError for a size of which none was kept.
    """
    client = await authenticate(services, call, event=_EVENT)
    subject = named("entry", entry_id)
    # (1) whom it concerns; what it does not concern is as absent as what never was, and costs as much
    gaze = await admit_auditor(services, call, event=_EVENT) if Role.AUDITOR in client.roles else None
    own_token = search_tokens(services).of_thumbprint(required_thumbprint(call))

    def may_concern(by: FoundBy) -> bool:
        is_own = _is_own(client, own_token, by.actor_kind, by.actor_id, by.thumbprint)
        return is_own or (gaze is not None and gaze.may_see(by))

    content = await placed_content(services.store, sought_id(entry_id), may_concern)
    if content is None or not await _concerns(services, client, gaze, content, own_token):
        return await _absent(services, call, client, subject)
    # (2) its place
    leaf = await _placed(services, entry_id)
    if leaf is None:
        waiting = ConflictError("the entry has no place in the tree yet: ask again in a second", code="not-yet-placed")
        return await _refused(services, call, client, subject, waiting)
    # (3) its checkpoint
    note = await _note_of(services, leaf, size)
    if note is None:
        message = "no such checkpoint was kept behind the entry: leave `size` out for the newest"
        fault = InvalidError("the query has faults", (Fault("/size", "no-checkpoint", message),))
        return await _refused(services, call, client, subject, fault)
    tree_size, signed = note
    hashes = await services.store.log.inclusion_proof(leaf.log, leaf.position, tree_size)
    return await _permitted(services, call, client, subject, TlogProof(leaf.position, hashes, signed).render())


@dataclass(frozen=True, slots=True)
class Growth:
    """Two sizes of the log, and the proof that the larger tree begins with the smaller one."""

    old_size: int
    new_size: int
    proof: tuple[bytes, ...]


async def prove_growth(
    services: Services, call: Call, old_size: int, new_size: int, *, origin: str | None = None
) -> Recorded[Growth]:
    """Return the proof that the log of `new_size` entries begins with that of `old_size`, to any client."""
    client = await authenticate(services, call, event=_EVENT)
    subject = Subject("consistency", f"{old_size}-{new_size}")
    state = await _state(services, call, client, subject, origin)
    if not 0 <= old_size <= new_size <= state.size:
        fault = Fault("/to", "beyond-log", "`from` is at most `to`, and `to` at most the log's size")
        return await _refused(services, call, client, subject, InvalidError("the query has faults", (fault,)))
    proof = await services.store.log.consistency_proof(state.log, old_size, new_size)
    subject = _of(origin, "consistency", f"{old_size}-{new_size}")
    return await _permitted(services, call, client, subject, Growth(old_size, new_size, proof))


async def _concerns(services: Services, client: Client, gaze: Gaze | None, content: bytes, own_token: str) -> bool:
    entry = whole_entry(content)
    if entry is None:
        return False  # damaged: nobody can say any more whom it concerns
    actor = entry["actor"]
    if _is_own(client, own_token, actor["kind"], actor.get("id"), actor.get("thumbprint")):
        return True
    # What is in an auditor's slice
    return gaze is not None and await views_of(services, gaze, [entry]) != [None]


def _is_own(client: Client, own_token: str, kind: str, actor_id: str | None, thumbprint: str | None) -> bool:
    """Return whether it is its own deed, or was said to its certificate while nobody was enrolled with it."""
    return actor_id == client.id or (kind == "unknown" and thumbprint == own_token)


async def _placed(services: Services, entry_id: str) -> LeafRow | None:
    until = monotonic() + _WAIT_SECONDS
    while True:
        leaf = await services.store.log.leaf(entry_id)
        if leaf is not None or monotonic() >= until:
            return leaf
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _note_of(services: Services, leaf: LeafRow, size: int | None) -> tuple[int, SignedNote] | None:
    """Return the size and checkpoint of the tree that is asked for; None where none was kept, or it lacks the leaf.

    Raises LogDamagedError where no log of the database has the leaf.
    """
    state = await services.store.log.state_of(leaf.log)
    if state is None or state.size <= leaf.position:
        # Places and size are written together: somebody has changed one of them.
        raise LogDamagedError("the entry has a place that its log does not reach to")
    if size in {None, state.size}:
        return state.size, await shown_note(services, leaf.log, state.size, state.note)
    kept = None if size is None or size <= leaf.position else await services.store.log.checkpoint(leaf.log, size)
    return None if kept is None else (kept.size, await shown_note(services, leaf.log, kept.size, kept.note))


async def _chosen(services: Services, state: LogState, which: WhichCheckpoint) -> SignedNote | None:
    match which:
        case WhichCheckpoint.NEWEST:
            return await shown_note(services, state.log, state.size, state.note)
        case WhichCheckpoint.KEPT:
            kept = await services.store.log.kept_checkpoint(state.log)
            return None if kept is None else await shown_note(services, state.log, kept.size, kept.note)
        case WhichCheckpoint.WITNESSED:
            return await _witnessed(services, state)


async def _witnessed(services: Services, state: LogState) -> SignedNote | None:
    policy = enrolled(services)
    # Where nobody is asked for, what anybody said is still the better answer than the last few seconds.
    said = await services.store.log.cosigned_checkpoint(state.log) if policy.quorum == NO_QUORUM else None
    if said is not None:
        return await shown_note(services, state.log, said.size, said.note)
    return (await newest_witnessed(services, state, policy)).note


def _of(origin: str | None, kind: str, part: str) -> Subject:
    """Return what was read: of the log in use, or of the one that is named, which there is."""
    return Subject(kind, part if origin is None else f"{origin}/{part}")


async def _state(services: Services, call: Call, client: Client, subject: Subject, origin: str | None) -> LogState:
    log = services.store.log
    named_so = [] if origin is None else [each for each in await log.states() if each.origin == origin]
    state = await log.state() if origin is None else next(iter(named_so), None)
    # Before the first checkpoint there is nothing that could be shown.
    if state is None or not state.note:
        return await _absent(services, call, client, subject)
    return state


def _has_tile(state: LogState, path: TilePath) -> bool:
    return path.index * TILE_WIDTH + path.width <= state.size >> TILE_HEIGHT * path.level


async def _permitted(services: Services, call: Call, client: Client, subject: Subject, value: T) -> Recorded[T]:
    entry = draft(call, client, _EVENT, Outcome.PERMITTED, subject=subject)
    return Recorded(value, await services.store.append(entry))


async def _absent(services: Services, call: Call, client: Client, subject: Subject) -> NoReturn:
    await _refused(services, call, client, subject, NotFoundError("no such part of the log"))


async def _refused(services: Services, call: Call, client: Client, subject: Subject, error: ExchangeError) -> NoReturn:
    await refuse(services, draft(call, client, _EVENT, Outcome.REFUSED, subject=subject), error)
