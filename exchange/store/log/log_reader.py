"""Reads of the log: checkpoints, tiles, places of entries, and proofs made from them.

Full tiles never change, so a process reads each once; partial ones are asked for every time. Nothing here believes
that tiles and checkpoint belong together: who needs that compares roots.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from exchange.audit.merkle import HASH_BYTES, TreeHead, hash_leaf, hash_level
from exchange.audit.proofs import NodeReader, consistency_proof, inclusion_proof, root_from_nodes
from exchange.audit.tile_paths import TILE_HEIGHT, TILE_WIDTH, BundlePath, TilePath
from exchange.kernel import micros_in
from exchange.store.database.dialect import Fetch, Row, Sql, Value, as_bytes, as_text
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archived import ArchivedEntries, LogDamagedError
from exchange.store.log.log_statements import TILE_LEVELS, LogReads
from exchange.store.log.searching import as_placed
from exchange.store.rows.log_rows import (
    Backlog,
    CosignatureRow,
    FoundBy,
    KeptCheckpoint,
    KeptEntry,
    LeafRow,
    LogState,
    Placed,
)

T = TypeVar("T")

_TILES_KEPT = 1024
"""8 MiB: every upper tile of a log of millions, and the leaves that are asked about now."""


_NODES_KEPT = 128

_COUNTED_AT_ONCE = 50_000
"""Rows of the search counted in one go, along its key: some milliseconds."""
"""5 MiB of nodes worked out of tiles: those of the upper levels are in every proof."""


class LogReader:
    """The log of one database, as seen by one process."""

    def __init__(self, fetch: Fetch, sql: Sql, archive: BundleArchive | None = None) -> None:
        self._fetch = fetch
        self.archived = ArchivedEntries(fetch, sql, archive)
        self._reads = sql.once(LogReads.compiled)
        self._kept: dict[tuple[int, int, int], bytes] = {}
        self._nodes: dict[bytes, list[list[bytes]]] = {}

    async def state(self) -> LogState | None:
        """Return the log in use, None before the sequencer first ran."""
        rows = await self._fetch(self._reads.state, {})
        return _state(rows[0]) if rows else None

    async def state_of(self, log: int) -> LogState | None:
        """Return one log, in use or superseded by recovery."""
        rows = await self._fetch(self._reads.state_of, {"log": log})
        return _state(rows[0]) if rows else None

    async def states(self) -> list[LogState]:
        """Return every log of this database, the one in use last."""
        return [_state(row) for row in await self._fetch(self._reads.states, {})]

    async def leaf(self, entry_id: str) -> LeafRow | None:
        """Return the place of an entry, None while it waits for one; LogDamagedError for what is no place."""
        rows = await self._fetch(self._reads.leaf, {"entry_id": entry_id})
        if not rows:
            return None
        log, position, leaf_hash = rows[0]
        if not isinstance(log, int) or not isinstance(position, int) or position < 0:
            raise LogDamagedError("what stands where the entry's place belongs is none")
        return LeafRow(log, position, as_bytes(leaf_hash))

    async def kept(self, entry_id: str) -> KeptEntry | None:
        """Return what the database has of an entry; None where it has neither its bytes nor a place for it."""
        ((content, leaf_hash, is_waiting, found, *by),) = await self._fetch(self._reads.kept, {"entry_id": entry_id})
        if content is None and leaf_hash is None:
            return None
        return KeptEntry(
            None if content is None else as_bytes(content),
            None if leaf_hash is None else as_bytes(leaf_hash),
            bool(is_waiting),
            None if found is None else FoundBy(*by),
        )

    async def contents_named(self, entry_ids: Iterable[str]) -> dict[str, bytes | None]:
        """Return the bytes of those of these entries that there are, looked up together.

        Empty where they are not those in the tree, and where they are in none and do not wait for a place: that is
        damage. None where the archive that they lie in is damaged, or away.
        """
        # What somebody wrote where an id was is in no list.
        ids = sorted({each for each in entry_ids if isinstance(each, str)})
        rows = await self._fetch(self._reads.contents, {"ids": ids}) if ids else []
        found = {str(id_): (as_bytes(content), leaf_hash) for id_, content, leaf_hash in rows}
        # Of those alone: nothing in the outbox is found by an entry's id, and a million may wait there.
        rest = [each for each in ids if each not in found or found[each][1] is None]
        leaves = {row[0]: row[1] for row in await self._fetch(self._reads.leaves, {"ids": rest})} if rest else {}
        contents: dict[str, bytes | None] = {}
        for each, (content, leaf_hash) in found.items():
            is_waiting = leaf_hash is None and each in leaves and leaves[each] is None
            contents[each] = content if is_waiting else as_placed(content, leaf_hash or leaves.get(each))
        gone = [each for each in rest if each not in found and leaves.get(each) is not None]
        return contents | (await self.archived.named_there_are(gone) if gone else {})

    async def contents(self, log: int, start: int, stop: int) -> list[bytes]:
        """Return the bytes of the entries at these positions, from the database or the archive.

        Raises LogDamagedError where one of them is missing, UnavailableError where the archive is away.
        """
        return [each.content for each in await self.placed(log, start, stop)]

    async def contents_there_are(self, log: int, start: int, stop: int) -> list[bytes | None]:
        """Return what `contents` does, None for an entry that is nowhere any more, or is not the one in the tree.

        For who must go on behind it. Raises LogDamagedError for a bundle that is not what was moved to the archive.
        """
        rows = await self._fetch(self._reads.placed, {"log": log, "start": start, "stop": stop})
        whole = {
            position: content
            for position, content, leaf_hash in rows
            if isinstance(content, bytes) and hash_leaf(content) == leaf_hash
        }
        whole |= await self.archived.those_of(log, [each for each in range(start, stop) if each not in whole])
        return [whole.get(position) for position in range(start, stop)]

    async def placed(self, log: int, start: int, stop: int) -> list[Placed]:
        """Return leaf hash and bytes of the entries at these positions, both as stored; raises as `contents`.

        Whether they belong together is for the reader to see.
        """
        rows = await self._side_by_side(log, start, stop)
        return await self._whole(log, rows)

    async def placed_at(self, log: int, positions: Sequence[int]) -> list[Placed]:
        """Return the entries at these positions, in their order; raises as `contents`."""
        rows = await self._fetch(self._reads.placed_at, {"log": log, "positions": list(positions)})
        if len(rows) != len(positions):
            missing = min(set(positions) - {row[0] for row in rows})
            raise LogDamagedError(f"the store lacks the entry at position {missing}")
        return await self._whole(log, rows)

    async def whole_at(self, log: int, positions: Sequence[int]) -> list[bytes]:
        """Return the entries at these positions, in the log's order, that are those in the tree.

        For who goes on behind what is damaged, or gone. Raises UnavailableError where the archive is away.
        """
        rows = await self._fetch(self._reads.placed_at, {"log": log, "positions": list(positions)})
        bundles: dict[int, list[int]] = {}
        for position, content, _ in rows:
            if content is None:
                bundles.setdefault(position // TILE_WIDTH, []).append(position)
        archived: dict[int, bytes] = {}
        for there in bundles.values():
            # One that was damaged is read once, and takes nothing from what is in others.
            with suppress(LogDamagedError):
                archived |= await self.archived.those_of(log, there)
        found = ((archived.get(each[0]) if each[1] is None else as_bytes(each[1]), each[2]) for each in rows)
        return [content for content, leaf_hash in found if content is not None and hash_leaf(content) == leaf_hash]

    async def bundle(self, log: int, path: BundlePath) -> list[bytes]:
        """Return the entries of a bundle, for `render_bundle`; raises as `contents`."""
        return await self.contents(log, path.start, path.start + path.width)

    async def leaf_hashes(self, log: int, start: int, stop: int) -> list[bytes]:
        """Return the leaf hashes at these positions, as many as there are."""
        rows = await self._fetch(self._reads.leaf_hashes, {"log": log, "start": start, "stop": stop})
        return [as_bytes(row[0]) for row in rows]

    async def tile(self, log: int, path: TilePath) -> bytes:
        """Return the hashes of a tile, one after the other; LogDamagedError where it is not (yet) so wide."""
        return (await self.tiles(log, [path]))[path]

    async def tiles(self, log: int, paths: Iterable[TilePath]) -> dict[TilePath, bytes]:
        """Return several tiles at once; LogDamagedError where one is missing or not so wide."""
        wanted = set(paths)
        found = {path: kept for path in wanted if (kept := self._kept.get((log, path.level, path.index))) is not None}
        asked = {(path.level, path.index): path for path in wanted if path not in found}
        if asked:
            which: dict[str, Value] = {"log": log}
            for level in range(TILE_LEVELS):
                which[f"indices_{level}"] = [index for at, index in asked if at == level]
            for level, index, width, hashes in await self._fetch(self._reads.tiles, which):
                found[asked[level, index]] = self._keep((log, level, index), width, as_bytes(hashes))
        return {path: _beginning(path, found.get(path)) for path in wanted}

    async def root(self, log: int, size: int) -> TreeHead:
        """Return the head of the tree of `size`, from the last tile of each level."""
        paths = edge_of(size)
        return await self._from_tiles(log, size, paths, lambda nodes: TreeHead(size, root_from_nodes(size, nodes)))

    async def inclusion_proof(self, log: int, index: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that leaf `index` is in the tree of `size`; ProofError where the tree has no such leaf."""
        paths = {*_path(index, size), *edge_of(size)}
        return await self._from_tiles(log, size, paths, lambda nodes: inclusion_proof(index, size, nodes))

    async def consistency_proof(self, log: int, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new_size` begins with that of `old_size`; ProofError where it cannot."""
        paths = {*_path(max(0, old_size - 1), new_size), *edge_of(new_size)} if 0 < old_size < new_size else set()
        return await self._from_tiles(log, new_size, paths, lambda nodes: consistency_proof(old_size, new_size, nodes))

    async def checkpoint(self, log: int, size: int) -> KeptCheckpoint | None:
        """Return the kept checkpoint of exactly this size."""
        rows = await self._fetch(self._reads.checkpoint, {"log": log, "size": size})
        return checkpoint_of(rows[0]) if rows else None

    async def checkpoints(self, log: int, *, after: int = -1, limit: int = 1000) -> list[KeptCheckpoint]:
        """Return kept checkpoints of a log, by size, beginning behind the size `after`."""
        rows = await self._fetch(self._reads.checkpoints_after, {"log": log, "size": after, "limit": limit})
        return [checkpoint_of(row) for row in rows]

    async def kept_checkpoint(self, log: int) -> KeptCheckpoint | None:
        """Return the newest kept checkpoint of a log: what witnesses are asked about."""
        rows = await self._fetch(self._reads.kept_last, {"log": log})
        return checkpoint_of(rows[0]) if rows else None

    async def cosigned_checkpoint(self, log: int) -> KeptCheckpoint | None:
        """Return the newest checkpoint of a log that any witness cosigned."""
        rows = await self._fetch(self._reads.cosigned_last, {"log": log})
        return checkpoint_of(rows[0]) if rows else None

    async def cosignatures(self, log: int, size: int) -> list[CosignatureRow]:
        """Return what witnesses say of the checkpoint of exactly this size, by witness."""
        rows = await self._fetch(self._reads.cosignatures, {"log": log, "size": size})
        return [cosignature_of(row) for row in rows]

    async def backlog(self) -> Backlog:
        """Return what waits for its place."""
        ((count, first),) = await self._fetch(self._reads.backlog, {})
        return Backlog(count, None if first is None else micros_in(first))

    async def about_holds(self) -> list[tuple[str, bytes, bytes | None]]:
        """Return ids and bytes of the entries here that say that they are about a legal hold, and their leaf hashes.

        Whether they belong together is for the reader to see; None is of one that has no place.
        """
        rows = await self._fetch(self._reads.holds, {})
        return [(str(id_), as_bytes(content), None if leaf is None else as_bytes(leaf)) for id_, content, leaf in rows]

    async def places(self, log: int) -> int:
        """Return up to where places in a log are taken: its size, unless somebody changed either of the two."""
        ((last,),) = await self._fetch(self._reads.placed_last, {"log": log})
        return 0 if last is None else int(last) + 1

    async def searched(self, log: int) -> int:
        """Return how many entries of a log can be found by search: it follows the tree a moment behind."""
        ((last,),) = await self._fetch(self._reads.searched_last, {"log": log})
        return 0 if last is None else int(last) + 1

    async def searched_among(self, log: int, start: int, stop: int) -> int:
        """Return how many of the entries from position `start` to `stop` (exclusive) of a log a search finds."""
        ((count,),) = await self._fetch(self._reads.searched_count, {"log": log, "start": start, "stop": stop})
        return int(count)

    async def is_all_searched(self) -> bool:
        """Return whether a search finds every entry that it has passed, and of logs that are superseded every one.

        It does not where one was damaged before it came so far, or was taken out of it.
        """
        logs = [each.log for each in await self.states()]
        for log in logs:
            end = await (self.searched(log) if log == logs[-1] else self.places(log))
            for start in range(0, end, _COUNTED_AT_ONCE):
                stop = min(end, start + _COUNTED_AT_ONCE)
                if await self.searched_among(log, start, stop) < stop - start:
                    return False
        return True

    async def _whole(self, log: int, rows: Sequence[Row]) -> list[Placed]:
        """Return the entries of `rows`, those that left the database from the archive."""
        archived = await self.archived.at(log, [position for position, content, _ in rows if content is None])
        return [
            Placed(position, as_bytes(leaf_hash), archived[position] if content is None else as_bytes(content))
            for position, content, leaf_hash in rows
        ]

    async def _side_by_side(self, log: int, start: int, stop: int) -> Sequence[Row]:
        """Return position, bytes (None: not in the database) and leaf hash of each, where not one is missing."""
        rows = await self._fetch(self._reads.placed, {"log": log, "start": start, "stop": stop})
        for expected, row in enumerate(rows, start):
            if row[0] != expected:
                raise LogDamagedError(f"the store lacks the entry at position {expected}")
        if len(rows) != stop - start:
            raise LogDamagedError(f"the store lacks the entry at position {start + len(rows)}")
        return rows

    async def _from_tiles(self, log: int, size: int, paths: Iterable[TilePath], work: Callable[[NodeReader], T]) -> T:
        """Return what `work` makes of the tree's nodes, from these tiles and no others."""
        tiles = await self.tiles(log, paths)

        def read_node(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, TILE_HEIGHT)
            tile, start = divmod(index << height, TILE_WIDTH)
            width = min(TILE_WIDTH, (size >> TILE_HEIGHT * tile_level) - tile * TILE_WIDTH)
            return self._nodes_in(tiles[TilePath(tile_level, tile, width)])[height][start >> height]

        return work(read_node)

    def _nodes_in(self, hashes: bytes) -> list[list[bytes]]:
        """Return the nodes that a tile holds and all above them, by height: found by content, so never stale."""
        nodes = self._nodes.get(hashes)
        if nodes is None:
            if len(self._nodes) >= _NODES_KEPT:
                del self._nodes[next(iter(self._nodes))]  # one at a time: freeing all of them takes milliseconds
            nodes = [[hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]]
            while len(nodes[-1]) > 1:
                nodes.append(hash_level(nodes[-1]))
            self._nodes[hashes] = nodes
        return nodes

    def _keep(self, name: tuple[int, int, int], width: int, hashes: bytes) -> bytes:
        if width == TILE_WIDTH and len(hashes) == TILE_WIDTH * HASH_BYTES:
            if len(self._kept) >= _TILES_KEPT:
                self._kept.clear()
            self._kept[name] = hashes
        return hashes


def _beginning(path: TilePath, hashes: bytes | None) -> bytes:
    length = path.width * HASH_BYTES
    if hashes is None or len(hashes) < length:
        raise LogDamagedError(f"the store lacks `{path}`")
    return hashes[:length]


def edge_of(size: int) -> set[TilePath]:
    """Return the partial tiles of a tree: they hold the roots of all its perfect subtrees."""
    paths, level = set(), 0
    while nodes := size >> TILE_HEIGHT * level:
        if width := nodes % TILE_WIDTH:
            paths.add(TilePath(level, nodes // TILE_WIDTH, width))
        level += 1
    return paths


def _path(index: int, size: int) -> set[TilePath]:
    """Return the tiles from a leaf up to the root: they hold the siblings on its way."""
    paths, level = set(), 0
    while (nodes := size >> TILE_HEIGHT * level) > (place := index >> TILE_HEIGHT * level):
        tile = place // TILE_WIDTH
        paths.add(TilePath(level, tile, min(TILE_WIDTH, nodes - tile * TILE_WIDTH)))
        level += 1
    return paths


def _state(row: Row) -> LogState:
    log, origin, keys, size, root, signed_at, note, why = row
    # A text that is none any more is compared and told as far as it can be read.
    frozen_why = None if why is None else as_text(why)
    return LogState(log, as_text(origin), as_text(keys), size, bytes(root), signed_at, bytes(note), frozen_why)


def checkpoint_of(row: Row) -> KeptCheckpoint:
    """Return the kept checkpoint in a row of `checkpoint_columns`."""
    log, size, root, signed_at, note = row
    return KeptCheckpoint(log, size, bytes(root), signed_at, bytes(note))


def cosignature_of(row: Row) -> CosignatureRow:
    """Return what a witness said, in columns as COSIGNATURE_COLUMNS, a line that is no text as the text of it."""
    log, size, witness, line, received_at = row
    return CosignatureRow(log, size, witness, as_text(line), received_at)
