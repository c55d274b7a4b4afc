"""Entry by entry: canonical form, the columns beside it, and a time that fits when it was signed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import TypeVar

from exchange.audit.columns import EntryColumns, project
from exchange.audit.entry import parse_entry
from exchange.audit.shape import Entry
from exchange.audit.tile_paths import TILE_WIDTH, BundlePath
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import Source, StoredEntry
from exchange.audit.verify.time_windows import TimeWindows
from exchange.audit.verify.tree import Leaves
from exchange.kernel import MalformedError, parse_micros

T = TypeVar("T")

_MICROS = 1_000_000

Observer = Callable[[int, Entry, bytes], None]
"""Is told each well-formed entry: its position, what it says, and the leaf hash of its bytes."""


class EntryChecks:
    """Looks at every entry once, in the order of the tree."""

    def __init__(
        self, source: Source, windows: TimeWindows, findings: Findings, *, observers: Sequence[Observer] = ()
    ) -> None:
        self._source = source
        self._windows = windows
        self._findings = findings
        self._observers = observers
        self._bare: tuple[int, str] | None = None
        self._bare_at_micros = 0
        self.seen = 0

    def unsearchable(self, signed_at_micros: int | None, *, behind_seconds: int) -> tuple[str, ...]:
        """Return a note where the newest entries are without columns, and not only for the moment that this takes."""
        if self._bare is None or signed_at_micros is None:
            return ()
        behind = (signed_at_micros - self._bare_at_micros) // _MICROS
        if behind <= behind_seconds:
            return ()
        return (f"entries from {self._bare[0]} on are without columns, for {behind} s: nobody finds them by a search",)

    def take(self, leaves: Leaves) -> None:
        """Check one bundle's worth of entries."""
        if leaves.contents is None:
            return
        stored = self._source.stored(leaves.path)
        for offset, content in enumerate(leaves.contents):
            if content is None:
                continue
            self.seen += 1
            row = None if stored is None else stored[offset]
            self._check(leaves.path.start + offset, content, leaves.hashes[offset], row)

    def _check(self, position: int, content: bytes, leaf_hash: bytes, row: StoredEntry | None) -> None:
        # (1) The bytes are an entry as this exchange seals it.
        try:
            entry = parse_entry(content)
        except MalformedError as exc:
            self._findings.add(Finding(Step.FORM, f"entry {position}", exc.message, position))
            return
        at_micros = parse_micros(entry["ts"])
        # (2) What stands beside them says the same; only the newest entries may still be without.
        if row is not None:
            self._compare(position, project(entry, at_micros=at_micros), leaf_hash, row)
        elif self._bare is None:
            self._bare, self._bare_at_micros = (position, entry["id"]), at_micros
        # (3) It was written when it says.
        fault = self._windows.fault(position, at_micros)
        if fault is not None:
            self._findings.add(Finding(Step.TIME, f"entry {position}", fault, position, entry["id"]))
        # (4) What it says of its node.
        for observe in self._observers:
            observe(position, entry, leaf_hash)

    def _compare(self, position: int, columns: EntryColumns, leaf_hash: bytes, row: StoredEntry) -> None:
        if self._bare is not None:
            place, entry_id = self._bare
            gone = "its columns are gone: nobody would find it"
            self._findings.add(Finding(Step.COLUMNS, f"entry {place}", gone, place, entry_id))
            self._bare = None
        why = None
        if row.columns != columns:
            name = first_other_column(columns, row.columns)
            why = f"column `{name}` was changed: the entry's bytes say something else"
        elif row.leaf_hash != leaf_hash:
            why = "the leaf hash beside it is not that of its bytes"
        if why is not None:
            self._findings.add(Finding(Step.COLUMNS, f"entry {position}", why, position, columns.id))


def entry_id_at(source: Source, position: int) -> str | None:
    """Return the id that stands at a position, in the entry's bytes or beside them; None where neither can be read."""
    path = BundlePath(position // TILE_WIDTH, position % TILE_WIDTH + 1)
    row = _last(source.stored(path), path.width)
    with suppress(MalformedError):
        content = _last(source.entries(path), path.width)
        if content is not None:
            return parse_entry(content)["id"]
    return None if row is None else row.columns.id


def first_other_column(ours: EntryColumns, theirs: EntryColumns) -> str:
    """Return the name of the first column in which two projections differ."""
    names = (field.name for field in fields(EntryColumns))
    return next(name for name in names if getattr(ours, name) != getattr(theirs, name))


def _last(found: Sequence[T | None] | None, width: int) -> T | None:
    return found[-1] if found is not None and len(found) == width else None
