"""May this log be signed? Compared before every signature with what was signed before and is known outside of it.

Steps: (1) the state of the log is one that its own keys signed; (2) its tiles are that tree; (3) it goes on from what
this host signed last; (4) it goes on from what a witness cosigned. What contradicts is never mended here: nothing is
signed until a person has looked.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from exchange.audit.merkle import TreeHead
from exchange.audit.note_keys import NoteError
from exchange.custody import checkpoint_signed_by, stated_seconds
from exchange.kernel import ExchangeError, MalformedError
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.last_signed import LastSigned, LastSignedFile, Signed
from exchange.store.log.log_reader import LogReader
from exchange.store.rows.log_rows import LogState

_HEADS_REMEMBERED = 1000
_MICROS = 1_000_000

_log = logging.getLogger("exchange.sequencer")

Witnessed = Callable[[str], Awaitable[TreeHead | None]]
"""Returns the newest head of the log of this origin that is known to be cosigned outside, None for none."""


class LogContradictionError(ExchangeError):
    """The log is not the one that was signed or cosigned before; the message says in what."""


async def nothing_witnessed(_origin: str) -> None:
    """Know of no witness outside the database."""


@dataclass(slots=True)
class LogGuard:
    """Compares the log with the file of what was signed last, and with what witnesses hold."""

    reader: LogReader
    file: LastSignedFile
    witnessed: Witnessed = nothing_witnessed
    _verified: set[TreeHead] = field(default_factory=set)

    async def check(self, state: LogState, said: LastSigned) -> LastSigned:
        """Return what the file says after the comparison (1) to (3); raises LogContradictionError."""
        is_same = (state.head, state.signed_at) == (said.confirmed.head, said.confirmed.signed_at)
        if is_same and said.prepared is None:
            return said  # nearly always: what this process signed itself
        self._verified.clear()
        with _damage_contradicts():
            # (1) signed by its keys, (2) and made of its tiles
            self._check_signature(state)
            await self._check_root(state, state.head, "its checkpoint says")
            # (3) behind what this host signed
            said = await self._settled(state, said)
            await self._check_root(state, said.confirmed.head, "this host signed")
        # Of one tree two nodes may each have signed a checkpoint: the one in the database counts.
        is_other = said.prepared is None and state.signed_at != said.confirmed.signed_at
        if state.size > said.confirmed.head.size or is_other:
            said = self.file.confirm(said, _as_signed(state))
        return said

    async def check_witnesses(self, state: LogState) -> None:
        """Do (4) before a signature; raises LogContradictionError."""
        kept = await self.reader.cosigned_checkpoint(state.log)
        inside = None if kept is None else TreeHead(kept.size, kept.root)
        with _damage_contradicts():
            for head in (inside, await self.witnessed(state.origin)):
                if head is not None:
                    await self._check_root(state, head, "a witness cosigned")

    async def adopt(self, state: LogState) -> LastSigned:
        """Begin the file for a log that stands already, or begins; raises LogContradictionError."""
        with _damage_contradicts():
            self._check_signature(state)
            await self._check_root(state, state.head, "its checkpoint says")
        said = LastSigned(state.origin, _as_signed(state))
        self.file.write(said)
        return said

    def _check_signature(self, state: LogState) -> None:
        if state.size == 0 and not state.note:
            return
        try:
            checkpoint = checkpoint_signed_by(state.keys, state.note)
            seconds = stated_seconds(state.keys, state.note)
        except (NoteError, MalformedError) as exc:
            raise LogContradictionError(f"the checkpoint in the database is not the log's: {exc.message}") from exc
        if (checkpoint.origin, checkpoint.head) != (state.origin, state.head):
            raise LogContradictionError("the checkpoint in the database is of another tree than the one beside it")
        if seconds != state.signed_at // _MICROS:
            # The next one would be signed with that time, and no later one ever with an earlier.
            raise LogContradictionError("the checkpoint in the database states another time than the one beside it")

    async def _settled(self, state: LogState, said: LastSigned) -> LastSigned:
        """Find out what became of a commit whose end is not known."""
        prepared = said.prepared
        if prepared is None or state.size <= said.confirmed.head.size:
            return said  # nothing was under way, or it did not come to pass: the sequencer does it again
        head = prepared.signed.head
        if state.size >= head.size and await self.reader.root(state.log, head.size) == head:
            return self.file.confirm(said, prepared.signed)
        # It did not come to pass, and another node went on from where it began.
        _log.warning("another node sequenced what this one had begun to")
        return replace(said, prepared=None)

    async def _check_root(self, state: LogState, head: TreeHead, whose: str) -> None:
        if head in self._verified:
            return
        if head.size > state.size:
            raise LogContradictionError(f"the database holds {state.size} entries of the log, {whose} {head.size}")
        if await self.reader.root(state.log, head.size) != head:
            raise LogContradictionError(f"the database holds another log: {whose} another tree of {head.size}")
        # INVARIANT: what was the log's beginning stays it while this process alone makes it grow.
        if len(self._verified) >= _HEADS_REMEMBERED:
            self._verified.clear()
        self._verified.add(head)


def _as_signed(state: LogState) -> Signed:
    return Signed(state.head, state.signed_at, state.note)


@contextmanager
def _damage_contradicts() -> Iterator[None]:
    try:
        yield
    except LogDamagedError as exc:
        raise LogContradictionError(exc.message) from exc
