"""The log of the instance on this host, read from its database: what a verifier is handed, as it lies there.

The service goes on meanwhile. INVARIANT: what came to be after the look began contradicts nothing that it is shown: the
next look finds it.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from exchange.audit import HASH_BYTES, BundlePath, TilePath, VerifierKey, parse_verifier_key
from exchange.audit.certificates_told import CertificateKept
from exchange.audit.rows_told import RowKept, RowName
from exchange.audit.rows_untold import RowCurrent
from exchange.audit.verify import KeptCheckpoint, KnownCheckpoint, PendingEntry, PersonalKeyState, StoredEntry
from exchange.cli.audit_keys import origin_of
from exchange.cli.log_here import LogHere
from exchange.client.log_reads import size_of
from exchange.crypto import VerifyingKey
from exchange.kernel import InvalidError, MalformedError, UnavailableError, micros_in
from exchange.settings import Settings, load_settings
from exchange.store.log.archive import BundleArchive
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.log_snapshot import SnapshotRow
from exchange.store.reads.log_desk import LogDesk
from exchange.store.rows.log_rows import LogState

T = TypeVar("T")

_CHECKPOINTS_AT_ONCE = 1000
_MOST_UNPLACED = 1000


class Waiter:
    """An event loop in a thread of its own: the verifier is plain code, the database is not."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="audit-database", daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Beginning:
    """What there was just before the state of a log was read.

    `kept` is the size of the largest checkpoint that is kept, `searched` how many entries had columns from the first
    one on, `destroyed` which keys of personal data were.
    """

    kept: int
    searched: int
    destroyed: frozenset[str]


NOTHING_YET = Beginning(kept=-1, searched=0, destroyed=frozenset())
"""Of a log that began after the look did."""


class InstanceLog:
    """One log of a database, as a source; `is_only` where there was never another one in it."""

    has_entries = True

    def __init__(
        self, desk: LogDesk, state: LogState, beginning: Beginning, wait: Waiter, *, is_only: bool = True
    ) -> None:
        self._desk = desk
        self._is_only = is_only
        self._state = state
        self._beginning = beginning
        self._wait = wait
        self._last: tuple[BundlePath, list[SnapshotRow | None]] | None = None

    def newest(self) -> KeptCheckpoint:
        """Return the newest checkpoint, with its cosignatures."""
        lines = self._cosignatures(self._state.size - 1, self._state.size)
        return KeptCheckpoint(_with_lines(self._state.note, lines.get(self._state.size)), self._state.signed_at)

    def older(self) -> Iterator[KeptCheckpoint]:
        """Yield the kept checkpoints, with their cosignatures."""
        after = -1
        while True:
            page = self._wait(self._desk.reader.checkpoints(self._state.log, after=after, limit=_CHECKPOINTS_AT_ONCE))
            if not page:
                return
            # Somebody may have written a size there that is none: it must not begin again for ever.
            if page[-1].size <= after:
                raise MalformedError("a kept checkpoint stands under a size that is none")
            lines = self._cosignatures(after, page[-1].size)
            for kept in page:
                # One that was signed since is larger, and takes nothing away from the tree.
                if kept.size <= max(self._state.size, self._beginning.kept):
                    yield KeptCheckpoint(_with_lines(kept.note, lines.get(kept.size)), kept.signed_at)
            after = page[-1].size

    def tile(self, path: TilePath) -> bytes | None:
        """Return the beginning of a tile as it is kept."""
        held = self._wait(self._desk.snapshot.tile(self._state.log, path))
        return None if held is None else held[: path.width * HASH_BYTES]

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle, None for one that is gone; archived ones as the archive has them."""
        found = [None if row is None else row.content for row in self._rows(path)]
        if None not in found:
            return found
        try:
            archived = self._wait(self._desk.reader.archived.unproven(self._state.log, path.index))
        except UnavailableError as exc:
            raise MalformedError(exc.message) from exc
        if archived is None:
            return found
        return [old if new is None else new for new, old in zip(found, archived[: path.width], strict=True)]

    def stored(self, path: BundlePath) -> Sequence[StoredEntry | None] | None:
        """Return the columns beside these entries, of those that had any when the look began."""
        known = max(0, self._beginning.searched - path.start)
        return [
            None if row is None or row.columns is None or number >= known else StoredEntry(row.columns, row.leaf_hash)
            for number, row in enumerate(self._rows(path))
        ]

    def pending(self) -> Iterator[PendingEntry]:
        """Yield entries without a place in what was signed, the oldest first; the time is that of their ids."""
        signed = {state.log: size_of(state.note) for state in self._wait(self._desk.reader.states())}
        for entry_id in self._wait(self._desk.snapshot.unplaced(signed, _MOST_UNPLACED)):
            # What is no id of ours is the oldest.
            yield PendingEntry(entry_id, micros_in(entry_id) or 0)

    def personal_keys(self) -> dict[str, PersonalKeyState]:
        """Return the keys of personal data, destroyed ones too."""
        found, before = self._wait(self._desk.snapshot.personal_keys()), self._beginning.destroyed
        return {
            kid: PersonalKeyState(subject, period, is_destroyed and kid in before)
            for kid, (subject, period, is_destroyed) in found.items()
        }

    def kept_rows(self, names: Collection[RowName]) -> dict[RowName, RowKept]:
        """Return what is kept under these names now."""
        return self._wait(self._desk.rows.of(names))

    def kept_certificates(self) -> list[CertificateKept] | None:
        """Return the certificates in use now; None where another log tells of some of them."""
        return self._wait(self._desk.rows.certificates()) if self._is_only else None

    def current_rows(self) -> list[RowCurrent] | None:
        """Return clients, members and keys as they are now; None where another log tells of some of them."""
        return self._wait(self._desk.rows.current()) if self._is_only else None

    def _rows(self, path: BundlePath) -> list[SnapshotRow | None]:
        if self._last is None or self._last[0] != path:
            start, stop = path.start, path.start + path.width
            found = self._wait(self._desk.snapshot.rows(self._state.log, start, stop))
            by_position = {row.position: row for row in found}
            self._last = (path, [by_position.get(position) for position in range(start, stop)])
        return self._last[1]

    def _cosignatures(self, after: int, upto: int) -> dict[int, list[str | bytes]]:
        return self._wait(self._desk.snapshot.cosignatures(self._state.log, after, upto))


@contextmanager
def logs_of_instance(folder: Path) -> Iterator[list[LogHere]]:
    """Open the database of the instance in `folder` to look at each log that was ever signed, the one in use last.

    Raises InvalidError where the one is missing that this host signed last.
    """
    settings = load_settings(folder)
    wait = Waiter()
    try:
        archive = BundleArchive(settings.audit_archive_url)
        desk = wait(LogDesk.open(settings.database_url_with_password(), archive=archive))
        try:
            yield list(_signed_logs(desk, settings, wait))
        finally:
            wait(desk.close())
    finally:
        wait.close()


def _signed_logs(desk: LogDesk, settings: Settings, wait: Waiter) -> Iterator[LogHere]:
    file = LastSignedFile(settings.last_signed_file).read()
    beginnings = wait(beginnings_of(desk))
    states = wait(desk.reader.states())
    signed = [state for state in states if state.note]
    is_only = len(signed) == 1
    # By what was signed: the name beside it is the database's owner's.
    origins = [origin_of(state.note) for state in signed]
    if file is not None and file.confirmed.head.size and file.origin not in origins:
        size, held = file.confirmed.head.size, "other logs" if signed else "no log"
        raise InvalidError(f"the database holds {held}, and this host signed `{file.origin}` of {size} entries")
    for state, origin in zip(signed, origins, strict=True):
        known: tuple[KnownCheckpoint, ...] = ()
        if file is not None and file.origin == origin:
            known = (KnownCheckpoint(file.confirmed.note, "this host's own record of what it signed"),)
        # A boot may reach over two logs of one database: neither has all of its numbers.
        node_keys = _node_keys(settings) if is_only else ()
        # Where the next log has begun, a log stands still for good: nothing is to be done about it.
        is_frozen = state.frozen_why is not None and state.log == states[-1].log
        remarks = (f"this log is frozen: {state.frozen_why}",) if is_frozen else ()
        log = InstanceLog(desk, state, beginnings.get(state.log, NOTHING_YET), wait, is_only=is_only)
        yield LogHere(log, _keys_of(state), known, node_keys, remarks)


def _node_keys(settings: Settings) -> tuple[VerifyingKey, ...]:
    # SQLite is one host's; on PostgreSQL there may be nodes whose keys are not here.
    is_shared = not settings.database_url.startswith("sqlite")
    return () if is_shared else (settings.node_key().verifying_key,)


async def beginnings_of(desk: LogDesk) -> dict[int, Beginning]:
    """Return what there is of each log; its state is read after this."""
    keys = await desk.snapshot.personal_keys()
    destroyed = frozenset(kid for kid, (_, _, is_destroyed) in keys.items() if is_destroyed)
    beginnings = {}
    for state in await desk.reader.states():
        kept = await desk.reader.kept_checkpoint(state.log)
        size = -1 if kept is None else kept.size
        beginnings[state.log] = Beginning(size, await desk.reader.searched(state.log), destroyed)
    return beginnings


def _keys_of(state: LogState) -> tuple[VerifierKey, ...]:
    """Return the keys that the database names; none where they are none: an auditor brings its own."""
    try:
        return tuple(parse_verifier_key(line) for line in state.keys.splitlines())
    except MalformedError:
        return ()


def _with_lines(note: bytes, lines: list[str | bytes] | None) -> bytes:
    """Return the note with these lines behind it, whatever they are: what is no signature, the verifier says."""
    each = (line if isinstance(line, bytes) else line.encode(errors="surrogatepass") for line in lines or ())
    return note + b"".join(line.removesuffix(b"\n") + b"\n" for line in each)
