"""A frozen log: signing goes on where nothing contradicts any more, or a new log begins where the old one is lost.

Both are deeds of the operator at the host, and entries. Recovery does not hide the loss: entry 0 of the new log names
the old one, what the database still holds of it, and the last checkpoint that this host or a witness knows. Nor does
it hide what came back: what was ended since is alive again, so nothing is served before an operator has seen to it.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from exchange.audit import Detail, EventName, Outcome, Subject
from exchange.audit.merkle import EMPTY_ROOT, TreeHead, hash_leaf
from exchange.audit.note_keys import NoteError
from exchange.audit.tile_paths import TilePath
from exchange.audit.tiles import grow_tiles, head_from_tiles
from exchange.custody import LogKey, checkpoint_signed_by, stated_seconds
from exchange.kernel import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    MalformedError,
    UnsafeSettingError,
    from_micros,
    rfc3339,
    to_micros,
)
from exchange.store.books.restore_claims import unknown_acts
from exchange.store.log.last_signed import LastSigned, Signed
from exchange.store.log.log_reader import LogReader
from exchange.store.log.sequencing import Growth, LogMovedError, SignedHead
from exchange.store.rows.log_rows import LogState
from exchange.usecases.log.guard_log import LogContradictionError, LogGuard
from exchange.usecases.log.sequence_log import Desk, Sequencer, check_or_adopt
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.recording import draft

RESTORED_FROM: Final = "restored from the backup of"
"""Why a log is frozen whose rows a restore put there: what came after them is to be confirmed already."""

_MICROS: Final = 1_000_000

_GIVEN_UP: Final = "its keys are given up:"


@dataclass(frozen=True, slots=True)
class Recovered:
    """The log that begins, and the one that it follows."""

    origin: str
    old: LogState


async def resume_log(services: Services, call: Call, desk: Desk) -> LogState:
    """Let a frozen log sign again and return it.

    Raises ConflictError where it is not frozen, and where what froze it still holds.
    """
    state = await frozen_log(call, desk)
    guard = LogGuard(desk.tree.reader, desk.file, desk.witnessed)
    try:
        await check_or_adopt(desk, guard, state, desk.file.read())
        await guard.check_witnesses(state)
    except (LogContradictionError, UnsafeSettingError) as exc:
        raise ConflictError(f"the log stays frozen: {exc.message}") from exc
    detail: Detail = {"was": state.frozen_why or "", "size": state.size}
    subject = Subject("log", state.origin)
    entry = draft(call, None, EventName.LOG_RESUMED, Outcome.PERMITTED, subject=subject, detail=detail)
    await services.store.append(entry)
    await desk.tree.freeze(state.log, at=None, why=None)
    return state


async def frozen_log(call: Call, desk: Desk) -> LogState:
    """Return the log in use, which is frozen; raises ConflictError where it is not.

    One that nobody sequenced since its database became another is frozen here: the service does not start over it.
    """
    if not call.is_host:
        raise ForbiddenError("the log is mended at the host")
    state = await desk.tree.reader.state()
    if state is None or state.frozen_why is None:
        with suppress(LogMovedError):
            await Sequencer(desk).step()
        state = await desk.tree.reader.state()
    if state is None or state.frozen_why is None:
        raise ConflictError("the log is not frozen: there is nothing to mend")
    return state


async def log_with_keys(services: Services, call: Call) -> LogState:
    """Return the log in use, whose keys are to be given up; raises ConflictError where there is none yet."""
    if not call.is_host:
        raise ForbiddenError("the log is mended at the host")
    state = await services.store.log.state()
    if state is None:
        raise ConflictError("there is no log yet, and no keys to give up: `exchange migrate` makes them")
    return state


async def give_up_keys(services: Services, call: Call, desk: Desk, why: str) -> None:
    """Freeze the log in use because its keys are lost, or somebody else has them; what follows is its recovery.

    Nothing more is signed with them from then on. A log that is frozen already is left as it is. Raises ConflictError
    where there is no log yet.
    """
    state = await log_with_keys(services, call)
    if state.frozen_why is not None:
        return
    told, subject = f"{_GIVEN_UP} {why}", Subject("log", state.origin)
    detail: Detail = {"why": told, "size": state.size}
    entry = draft(call, None, EventName.LOG_FROZEN, Outcome.PERMITTED, subject=subject, detail=detail)
    await services.store.append(entry)
    await desk.tree.freeze(state.log, at=to_micros(call.now), why=told)


async def next_origin(log: LogReader) -> str:
    """Return the origin of the log that a recovery would begin."""
    states = await log.states()
    return f"{states[0].origin}/{states[-1].log + 1}"


async def recover_log(
    services: Services, call: Call, desk: Desk, *, key: LogKey, witnessed: bytes | None = None
) -> Recovered:
    """Begin the log of `key` in place of the frozen one; entries that wait go into it.

    `witnessed` is the last checkpoint of the old log that somebody else holds, as its signed note. Raises InvalidError
    where the old log's keys did not sign it, ConflictError where the log is not frozen.
    """
    old = await frozen_log(call, desk)
    known = await _signed_before(desk, old)
    is_held_against = witnessed is not None or "signed_size" in known
    known |= _witnessed(old, witnessed)
    recovery = _Recovery(old, key.origin, known, is_held_against, _signed_at(old, to_micros(call.now)))
    entry_id, content, number = await _recorded(services, call, desk, recovery)
    leaf = hash_leaf(content)
    tiles = grow_tiles(0, [leaf], dict[TilePath, bytes]().__getitem__)
    head = head_from_tiles(1, {tile.path: tile.content for tile in tiles}.__getitem__)
    signed_at = max(to_micros(call.now), recovery.last_signed_at)
    note = key.sign(head, signed_at // 1_000_000)
    begun = LogState(old.log + 1, key.origin, key.verifier_keys, 0, EMPTY_ROOT, 0, b"", None)
    signed = SignedHead(head, note, signed_at, is_kept=True)
    first = Growth(begun, [number], [(entry_id, leaf)], tiles, signed)
    await desk.tree.begin(begun, at=to_micros(call.now), first=first)
    desk.file.write(LastSigned(key.origin, Signed(head, signed_at, note)))
    return Recovered(key.origin, old)


async def _recorded(services: Services, call: Call, desk: Desk, recovery: "_Recovery") -> tuple[str, bytes, int]:
    """Record the recovery; return its entry, the entry's bytes and its row in the outbox."""
    old, subject = recovery.old, Subject("log", recovery.origin)
    detail: Detail = {
        "old_origin": old.origin,
        **_told("database", old.head),
        **recovery.known,
    }
    entry = draft(call, None, EventName.LOG_RECOVERED, Outcome.PERMITTED, subject=subject, detail=detail)
    async with services.store.unit_of_work() as unit:
        # What was lost is numbered once more: clients that go on where they were would pass over what comes now.
        await unit.begin_lineage()
        if recovery.is_older:
            await unit.leave_to_confirm(unknown_acts(rfc3339(from_micros(recovery.last_signed_at))))
        receipt = await unit.record(entry)
    waiting = await desk.tree.waiting_entry(receipt.entry)
    if waiting is None or waiting.content is None:
        raise ConflictError("another sequencer took the entry of the recovery: stop it and begin again")
    return receipt.entry, waiting.content, waiting.number


@dataclass(frozen=True, slots=True)
class _Recovery:
    """`known` is what this host and witnesses know of the old log.

    `is_held_against`: some of it does not come from the database itself, which knows nothing of what came after it.
    `last_signed_at`: when the old log was signed last, in microseconds since 1970.
    """

    old: LogState
    origin: str
    known: dict[str, str | int]
    is_held_against: bool
    last_signed_at: int

    @property
    def is_older(self) -> bool:
        """Return whether the database may be of before something was ended, and nothing else asks to look at it."""
        why = self.old.frozen_why or ""
        if why.startswith(RESTORED_FROM):
            return False
        sizes = (self.known.get(f"{whose}_size") for whose in ("signed", "witnessed"))
        is_short = any(isinstance(size, int) and size > self.old.size for size in sizes)
        return is_short or not self.is_held_against or not why.startswith(_GIVEN_UP)


def _signed_at(old: LogState, now: int) -> int:
    """Return when a log was signed last: by its checkpoint, for beside it may stand what somebody wrote there."""
    try:
        seconds = stated_seconds(old.keys, old.note)
    except (NoteError, MalformedError):
        return min(max(0, old.signed_at), now)
    return old.signed_at if old.signed_at // _MICROS == seconds else seconds * _MICROS


async def _signed_before(desk: Desk, old: LogState) -> dict[str, str | int]:
    try:
        said = desk.file.read()
    except UnsafeSettingError:
        said = None  # what a witness cosigned is known all the same
    told = {} if said is None or said.origin != old.origin else _told("signed", said.confirmed.head)
    kept = await desk.tree.reader.cosigned_checkpoint(old.log)
    return told if kept is None else {**told, **_told("witnessed", TreeHead(kept.size, kept.root))}


def _witnessed(old: LogState, note: bytes | None) -> dict[str, str | int]:
    if note is None:
        return {}
    try:
        checkpoint = checkpoint_signed_by(old.keys, note)
    except (NoteError, MalformedError) as exc:
        raise InvalidError(f"this is no checkpoint of the log `{old.origin}`: {exc.message}") from exc
    if checkpoint.origin != old.origin:
        raise InvalidError(f"this is a checkpoint of `{checkpoint.origin}`, not of `{old.origin}`")
    return _told("witnessed", checkpoint.head)


def _told(whose: str, head: TreeHead) -> dict[str, str | int]:
    return {f"{whose}_size": head.size, f"{whose}_root": head.root.hex()}
