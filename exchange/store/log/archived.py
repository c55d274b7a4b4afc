"""Entries that left the database for the archive: read back whole bundle by whole bundle, and compared.

Every reader of entries comes through here for what it does not find: what the archive says is believed when its leaf
hashes are those in the tree.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from exchange.audit.bundles import parse_bundle
from exchange.audit.merkle import hash_leaf
from exchange.audit.tile_paths import TILE_WIDTH
from exchange.kernel import MalformedError, UnavailableError
from exchange.store.database.dialect import Fetch, Sql, Statement, as_bytes
from exchange.store.log.archive import BundleArchive
from exchange.store.log.blobs import BlobMissingError, BlobsAwayError
from exchange.store.log.log_statements import in_stretch
from exchange.store.tables.main_tables import table

_BUNDLES_KEPT = 8
"""A page of a search walks through one or two; each has some 300 KB, and 16 MiB at worst."""


class LogDamagedError(UnavailableError):
    """The store lacks a part of the log that it says it has; whoever verifies the log names it and goes on."""

    code = "log-damaged"


class BundleGoneError(BlobsAwayError):
    """The archive answers, and lacks a bundle.

    A missing blob is damage to the report that it is of; this accuses none, of the log.
    """


class ArchiveReads(NamedTuple):
    """The statements, compiled for one database."""

    moved: Statement
    newest: Statement
    leaves: Statement
    places: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> "ArchiveReads":
        """Return the statements for one database."""
        leaf, moved = table("log_leaf"), table("log_archive")
        in_log = moved.c.log == bindparam("log")
        return cls(
            sql.compile(select(moved.c.location, moved.c.digest).where(in_log, moved.c.idx == bindparam("index"))),
            sql.compile(select(moved.c.idx).where(in_log).order_by(moved.c.idx.desc()).limit(1)),
            sql.compile(select(leaf.c.leaf_hash).where(*in_stretch(leaf)).order_by(leaf.c.position)),
            sql.compile(
                select(leaf.c.entry_id, leaf.c.log, leaf.c.position).where(sql.is_one_of(leaf.c.entry_id, "ids"))
            ),
        )


class ArchivedEntries:
    """What of one database's logs stands in its archive. `archive` None: nobody said where that is."""

    def __init__(self, fetch: Fetch, sql: Sql, archive: BundleArchive | None) -> None:
        self._fetch = fetch
        self._archive = archive
        self._kept: dict[tuple[int, int], list[bytes]] = {}
        self._reads = sql.once(ArchiveReads.compiled)

    async def at(self, log: int, positions: Iterable[int]) -> dict[int, bytes]:
        """Return the entries at these positions.

        Raises LogDamagedError for one that was not moved here, or whose bundle is not what was moved, and
        UnavailableError where the archive is away.
        """
        wanted = list(positions)
        found = await self.those_of(log, wanted)
        for position in wanted:
            if position not in found:
                raise LogDamagedError(f"the store lacks the entry at position {position}")
        return found

    async def those_of(self, log: int, positions: Iterable[int]) -> dict[int, bytes]:
        """Return those of the entries at these positions that were moved here; raises as `at` for their bundles."""
        found: dict[int, bytes] = {}
        for position in positions:
            bundle = await self._bundle(log, position // TILE_WIDTH)
            if bundle is not None:
                found[position] = bundle[position % TILE_WIDTH]
        return found

    async def named(self, entry_ids: Sequence[str]) -> dict[str, bytes]:
        """Return those of these entries that were moved here; raises as `at`."""
        found: dict[str, bytes] = {}
        for entry_id, log, position in await self._fetch(self._reads.places, {"ids": list(entry_ids)}):
            bundle = await self._bundle(log, position // TILE_WIDTH)
            if bundle is not None:
                found[entry_id] = bundle[position % TILE_WIDTH]
        return found

    async def named_there_are(self, entry_ids: Sequence[str]) -> dict[str, bytes | None]:
        """Return what `named` does, None of one whose bundle is damaged, gone or away; raises nothing of that.

        An archive that does not answer is asked once: each answer may be waited for for half a minute.
        """
        bundles: dict[tuple[int, int], dict[str, int]] = {}
        for entry_id, log, position in await self._fetch(self._reads.places, {"ids": list(entry_ids)}):
            bundles.setdefault((log, position // TILE_WIDTH), {})[entry_id] = position % TILE_WIDTH
        found: dict[str, bytes | None] = {}
        is_away = False
        for place, entries in bundles.items():
            bundle = None
            try:
                bundle = None if is_away else await self._bundle(*place)
            except (LogDamagedError, BundleGoneError):
                pass  # that one alone
            except UnavailableError:
                is_away = True
            found |= {entry_id: None if bundle is None else bundle[at] for entry_id, at in entries.items()}
        return found

    async def check_newest(self, log: int) -> bool:
        """Read the newest bundle that was moved here; False where none was. Raises as `unproven`."""
        rows = await self._fetch(self._reads.newest, {"log": log})
        return bool(rows) and await self.unproven(log, int(rows[0][0])) is not None

    async def unproven(self, log: int, index: int) -> list[bytes] | None:
        """Return a bundle for whoever proves it; None where it was never moved.

        Raises MalformedError where it is not what was moved, UnavailableError where it is not there.
        """
        rows = await self._fetch(self._reads.moved, {"log": log, "index": index})
        if not rows:
            return None
        location, digest = rows[0]
        if self._archive is None:
            raise UnavailableError(f"bundle `{location}` is in the archive, and nobody said where that is")
        try:
            content = await self._archive.read(location)
        except BlobMissingError as exc:
            raise BundleGoneError(exc.message, told=exc.told) from exc
        if hashlib.sha256(content).digest() != as_bytes(digest):
            raise MalformedError(
                f"archived bundle `{location}` was changed: its digest is not the one of what was moved"
            )
        try:
            return parse_bundle(content, TILE_WIDTH)
        except MalformedError as exc:
            raise MalformedError(f"archived bundle `{location}` is none: {exc.message}") from exc

    async def _bundle(self, log: int, index: int) -> list[bytes] | None:
        known = self._kept.get((log, index))
        if known is not None:
            return known
        try:
            bundle = await self.unproven(log, index)
        except MalformedError as exc:
            raise LogDamagedError(exc.message) from exc
        if bundle is None:
            return None
        await self._prove(log, index, bundle)
        if len(self._kept) >= _BUNDLES_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[log, index] = bundle
        return bundle

    async def _prove(self, log: int, index: int, bundle: Sequence[bytes]) -> None:
        start = index * TILE_WIDTH
        rows = await self._fetch(self._reads.leaves, {"log": log, "start": start, "stop": start + TILE_WIDTH})
        if [as_bytes(row[0]) for row in rows] != [hash_leaf(content) for content in bundle]:
            raise LogDamagedError(f"archived bundle {index} was changed: its leaf hashes are not those in the tree")
