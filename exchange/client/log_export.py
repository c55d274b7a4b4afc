"""A whole log as the NDJSON file that its host exported, as a source for the verifier.

An export has no tiles: they are made here of the leaf hashes beside the entries, so a file that was changed shows as
hashes that differ from the entries, or as a root that no checkpoint was signed over.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from exchange.audit import checkpoint_in
from exchange.audit.export import Place, Statement, check_spelling, has_personal, read_head, read_statement
from exchange.audit.note import LARGEST_NOTE_BYTES
from exchange.audit.tile_paths import TILE_WIDTH, BundlePath, TilePath
from exchange.audit.tiles import grow_tiles
from exchange.audit.verify import KeptCheckpoint
from exchange.client.bare_source import BareSource
from exchange.kernel import InvalidError, MalformedError

_COMPLETE: Final = re.compile(rb'\{"complete":')

# An entry has at most 64 KiB, its proof and what it reveals some more; the last line holds a note, escaped.
_LONGEST_LINE_BYTES: Final = 2 * LARGEST_NOTE_BYTES


def export_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of an export; InvalidError for one that is longer than any that is written."""
    while line := file.readline(_LONGEST_LINE_BYTES + 1):
        if len(line) > _LONGEST_LINE_BYTES:
            raise InvalidError("a line of the export is longer than any that an exchange writes")
        yield line


class LogExport(BareSource):
    """A source of one file. Raises InvalidError where it is no export, or not one of a whole log."""

    has_entries = True
    personal: int
    """How many entries come with personal data in the clear."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: list[int] = []
        self._ends: tuple[Place, Place] | None = None
        self.personal = 0
        leaves, self._statement = self._indexed()
        self._tiles = {tile.path: tile.content for tile in grow_tiles(0, leaves, lambda _: b"")}

    def newest(self) -> KeptCheckpoint:
        """Return the checkpoint in the last line."""
        if self._statement.checkpoint is None:
            raise MalformedError("the export has no checkpoint: nothing was signed when it was made")
        return KeptCheckpoint(self._statement.checkpoint.encode())

    def older(self) -> Iterator[KeptCheckpoint]:
        """Return nothing: an auditor keeps its own."""
        return iter(())

    def tile(self, path: TilePath) -> bytes | None:
        """Return the hashes of a tile."""
        return self._tiles.get(path)

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle."""
        if path.index >= len(self._offsets):
            return None
        with self._path.open("rb") as file:
            file.seek(self._offsets[path.index])
            return [read_head(file.readline(_LONGEST_LINE_BYTES))[2] for _ in range(path.width)]

    def _indexed(self) -> tuple[list[bytes], Statement]:
        """Return the leaf hashes in order and the last line; remember where each bundle begins."""
        leaves: list[bytes] = []
        offset = 0
        with self._path.open("rb") as file:
            for line in export_lines(file):
                if _COMPLETE.match(line):
                    if file.read(1):
                        raise InvalidError(
                            f"`{self._path}` is no export of a whole log: something stands behind its last line"
                        )
                    return leaves, self._ended(line, len(leaves))
                place, leaf, _ = self._read(line, len(leaves))
                self._ends = (place if self._ends is None else self._ends[0], place)
                self.personal += has_personal(line)
                if place.position != len(leaves):
                    raise InvalidError(
                        f"`{self._path}` is no export of a whole log: position {len(leaves)} is not where it belongs"
                    )
                if len(leaves) % TILE_WIDTH == 0:
                    self._offsets.append(offset)
                leaves.append(leaf)
                offset += len(line)
        raise InvalidError(f"`{self._path}` is no complete export: its last line is missing")

    def _read(self, line: bytes, number: int) -> tuple[Place, bytes, bytes | None]:
        try:
            check_spelling(line)
            return read_head(line)
        except MalformedError as exc:
            raise InvalidError(f"`{self._path}`, line {number + 1}: {exc.message}") from exc

    def _ended(self, line: bytes, count: int) -> Statement:
        statement = self._stated(line)
        log = "1" if self._ends is None else self._ends[1].log
        if statement.end != f"{log}.{count}":
            raise InvalidError(f"`{self._path}` has {count} entries, and says that it ends at {statement.end}")
        first, last = (None, None) if self._ends is None else map(str, self._ends)
        told = (statement.count, statement.first, statement.last)
        if told != (count, first, last):
            raise InvalidError(f"`{self._path}` has {count} entries, {first} to {last}: its last line says otherwise")
        # No tile of the signed tree reaches to what stands behind it: nobody would look there.
        if (signed := _size_in(statement.checkpoint)) is not None and signed < count:
            raise InvalidError(f"`{self._path}` has {count} entries, and its checkpoint was signed over {signed}")
        return statement

    def _stated(self, line: bytes) -> Statement:
        try:
            check_spelling(line)
            return read_statement(line)
        except MalformedError as exc:
            raise InvalidError(f"`{self._path}`, last line: {exc.message}") from exc


def _size_in(checkpoint: str | None) -> int | None:
    try:
        return None if checkpoint is None else checkpoint_in(checkpoint.encode()).size
    except MalformedError:
        return None
