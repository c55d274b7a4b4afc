"""The statements of the log, compiled for one database: those that read, and those of the sequencer."""

from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    LargeBinary,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal_column,
    not_,
    null,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from exchange.store.database.dialect import Sql, Statement
from exchange.store.log.search_rows import SEARCH_COLUMNS
from exchange.store.rows.log_rows import FoundBy
from exchange.store.tables.main_tables import ABOUT_A_HOLD, table

LEAF_COLUMNS = ("log", "position", "entry_id", "leaf_hash")
TILE_COLUMNS = ("log", "level", "idx", "width", "hashes")
CHECKPOINT_COLUMNS = ("log", "size", "root", "signed_at", "note")
COSIGNATURE_COLUMNS = ("log", "size", "witness", "line", "received_at")

TILE_LEVELS = 5
"""Levels of tiles: enough for a million million entries."""

_NO_PLACE = 2**62
"""Beyond every position that an entry will have, and before whatever is no number."""

_BACKLOG_COUNTED = 100_000
"""Beyond it, how many wait is no longer what matters."""


@dataclass(frozen=True, slots=True)
class LogReads:
    """Statements that read the log."""

    state: Statement
    state_of: Statement
    states: Statement
    leaf: Statement
    kept: Statement
    contents: Statement
    leaves: Statement
    leaf_hashes: Statement
    placed: Statement
    placed_at: Statement
    tiles: Statement
    checkpoint: Statement
    checkpoints_after: Statement
    kept_last: Statement
    cosignatures: Statement
    cosigned_last: Statement
    backlog: Statement
    searched_last: Statement
    searched_count: Statement
    placed_last: Statement
    holds: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        entry, outbox = table("audit_entry"), table("audit_outbox")
        leaf, tile, kept, cosigned = (
            table(name) for name in ("log_leaf", "log_tile", "log_checkpoint", "log_cosignature")
        )
        state = _states()
        at_log = table("log_state").c.log == bindparam("log")
        in_range = in_stretch(leaf)
        placed = select(leaf.c.position, entry.c.content, leaf.c.leaf_hash).order_by(leaf.c.position)
        placed = placed.outerjoin_from(leaf, entry, entry.c.id == leaf.c.entry_id)
        by_size = checkpoint_columns()
        is_of = (cosigned.c.log == bindparam("log"), cosigned.c.size == bindparam("size"))
        is_cosigned = exists().where(cosigned.c.log == kept.c.log, cosigned.c.size == kept.c.size)
        waiting = select(outbox.c.id).limit(_BACKLOG_COUNTED).subquery()
        newest_kept = select(*by_size).where(kept.c.log == bindparam("log")).order_by(kept.c.size.desc()).limit(1)
        return cls(
            state=sql.compile(state.order_by(table("log_state").c.log.desc()).limit(1)),
            state_of=sql.compile(state.where(at_log)),
            states=sql.compile(state.order_by(table("log_state").c.log)),
            leaf=sql.compile(
                select(leaf.c.log, leaf.c.position, leaf.c.leaf_hash).where(leaf.c.entry_id == bindparam("entry_id"))
            ),
            kept=sql.compile(_kept()),
            contents=sql.compile(
                select(entry.c.id, entry.c.content, leaf.c.leaf_hash)
                .outerjoin_from(entry, leaf, leaf.c.entry_id == entry.c.id)
                .where(sql.is_one_of(entry.c.id, "ids"))
            ),
            leaves=sql.compile(leaves_of(sql)),
            placed=sql.compile(placed.where(*in_range)),
            placed_at=sql.compile(
                placed.where(leaf.c.log == bindparam("log"), sql.is_one_of(leaf.c.position, "positions"))
            ),
            leaf_hashes=sql.compile(select(leaf.c.leaf_hash).where(*in_range).order_by(leaf.c.position)),
            tiles=sql.compile(
                union_all(
                    *(
                        select(tile.c.level, tile.c.idx, tile.c.width, tile.c.hashes).where(
                            tile.c.log == bindparam("log"),
                            tile.c.level == literal_column(str(level)),
                            sql.is_one_of(tile.c.idx, f"indices_{level}"),
                        )
                        for level in range(TILE_LEVELS)
                    )
                )
            ),
            checkpoint=sql.compile(
                select(*by_size).where(kept.c.log == bindparam("log"), kept.c.size == bindparam("size"))
            ),
            checkpoints_after=sql.compile(
                select(*by_size)
                .where(kept.c.log == bindparam("log"), kept.c.size > bindparam("size"))
                .order_by(kept.c.size)
                .limit(bindparam("limit"))
            ),
            kept_last=sql.compile(newest_kept),
            cosignatures=sql.compile(
                select(*(cosigned.c[name] for name in COSIGNATURE_COLUMNS)).where(*is_of).order_by(cosigned.c.witness)
            ),
            cosigned_last=sql.compile(newest_kept.where(is_cosigned)),
            # On SQLite a text comes behind every number, and is no place.
            placed_last=sql.compile(
                select(func.max(leaf.c.position)).where(leaf.c.log == bindparam("log"), leaf.c.position < _NO_PLACE)
            ),
            searched_last=sql.compile(last_searched(bindparam("log"))),
            searched_count=sql.compile(select(func.count()).where(*in_stretch(table("audit_search")))),
            backlog=sql.compile(
                select(
                    select(func.count()).select_from(waiting).scalar_subquery(),
                    select(outbox.c.entry_id).order_by(outbox.c.id).limit(1).scalar_subquery(),
                )
            ),
            holds=sql.compile(
                select(
                    entry.c.id,
                    entry.c.content,
                    select(leaf.c.leaf_hash).where(leaf.c.entry_id == entry.c.id).scalar_subquery(),
                ).where(text(ABOUT_A_HOLD["sqlite" if sql.is_sqlite else "postgresql"]))
            ),
        )


@dataclass(frozen=True, slots=True)
class LogWrites:
    """Statements of the sequencer."""

    begin: Statement
    lock: Statement
    waiting: Statement
    waiting_these: Statement
    waiting_entry: Statement
    take: Statement
    leaf: Statement
    tile: Statement
    advance: Statement
    keep: Statement
    freeze: Statement
    unplaced_after: Statement
    missing_of: Statement
    outbox: Statement
    search: Statement
    searched_positions: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        state, entry, outbox, leaf = (table(name) for name in ("log_state", "audit_entry", "audit_outbox", "log_leaf"))
        search = table("audit_search")
        at_log = state.c.log == bindparam("log")
        passed = in_stretch(search)
        next_ones = select(outbox.c.id, outbox.c.entry_id).order_by(outbox.c.id).limit(bindparam("limit"))
        these = select(outbox.c.id, outbox.c.entry_id).where(sql.is_one_of(outbox.c.id, "ids"))
        of_entry = select(outbox.c.id, outbox.c.entry_id).where(outbox.c.entry_id == bindparam("entry_id"))
        some = select(entry.c.id).where(entry.c.id > bindparam("after")).order_by(entry.c.id).limit(bindparam("limit"))
        chunk = some.subquery("chunk")
        is_placed = exists().where(leaf.c.entry_id == entry.c.id)
        is_waiting = exists().where(outbox.c.entry_id == entry.c.id)
        to: dict[str, Any] = {name: bindparam(f"to_{name}") for name in ("size", "root", "signed_at", "note")}
        freezing: dict[str, Any] = {name: bindparam(f"to_{name}") for name in ("frozen_at", "frozen_why")}
        return cls(
            begin=sql.compile(
                insert(state).values(
                    {
                        **{name: bindparam(name) for name in ("log", "origin", "keys", "began_at", "size", "root")},
                        **{name: bindparam(name) for name in ("signed_at", "note")},
                        "frozen_at": null(),
                        "frozen_why": null(),
                    }
                )
            ),
            lock=sql.compile(_states().where(at_log).with_for_update()),
            waiting=sql.compile(_with_contents(next_ones)),
            waiting_these=sql.compile(_with_contents(these)),
            waiting_entry=sql.compile(_with_contents(of_entry)),
            take=sql.compile(delete(outbox).where(sql.is_one_of(outbox.c.id, "ids")).returning(outbox.c.id)),
            leaf=sql.insert("log_leaf", LEAF_COLUMNS),
            tile=sql.insert(
                "log_tile",
                TILE_COLUMNS,
                then=" ON CONFLICT (log, level, idx) DO UPDATE SET width = excluded.width, hashes = excluded.hashes",
            ),
            advance=sql.compile(update(state).where(at_log).values(to)),
            keep=sql.insert("log_checkpoint", CHECKPOINT_COLUMNS, then=" ON CONFLICT (log, size) DO NOTHING"),
            freeze=sql.compile(update(state).where(at_log).values(freezing)),
            unplaced_after=sql.compile(
                select(chunk.c.id, leaf.c.position)
                .outerjoin_from(chunk, leaf, leaf.c.entry_id == chunk.c.id)
                .order_by(chunk.c.id)
            ),
            missing_of=sql.compile(
                select(entry.c.id)
                .where(sql.is_one_of(entry.c.id, "ids"), not_(is_placed), not_(is_waiting))
                .order_by(entry.c.id)
            ),
            outbox=sql.insert("audit_outbox", ("entry_id",)),
            search=sql.insert("audit_search", SEARCH_COLUMNS, then=" ON CONFLICT DO NOTHING"),
            searched_positions=sql.compile(select(search.c.position).where(*passed)),
        )


def in_stretch(placed: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Return which rows are of the positions from `start` to `stop` (exclusive) of one `log`."""
    position = placed.c.position
    return (placed.c.log == bindparam("log"), position >= bindparam("start"), position < bindparam("stop"))


def checkpoint_columns() -> list[ColumnElement[Any]]:
    """Return the columns of a kept checkpoint, each of its type."""
    kept = table("log_checkpoint")
    return [_typed(kept.c[name]) for name in CHECKPOINT_COLUMNS]


def last_searched(log: ColumnElement[int]) -> Select[Any]:
    """Return the statement for the last place of a log that the search knows."""
    search, state = table("audit_search"), table("log_state")
    # INVARIANT: a row behind the log's end was written there by nobody of ours, or is no number, which on SQLite comes
    # behind all of them: taken for a place, nothing that comes would ever be found by a search again.
    size = select(_typed(state.c.size)).where(state.c.log == log).scalar_subquery()
    return select(func.max(search.c.position)).where(search.c.log == log, search.c.position < size)


def _kept() -> Select[Any]:
    """Return one row, whatever there is of the entry asked for: absent and foreign cost the same."""
    entry, leaf, outbox, search = (table(name) for name in ("audit_entry", "log_leaf", "audit_outbox", "audit_search"))
    asked = select(bindparam("entry_id", type_=String).label("id")).subquery("asked")
    is_waiting = exists().where(outbox.c.entry_id == asked.c.id)
    # What has a place waits for none; nothing in the outbox is found by an entry's id.
    waits = case((and_(entry.c.id.is_not(None), leaf.c.entry_id.is_(None)), is_waiting), else_=false())
    return select(
        entry.c.content, leaf.c.leaf_hash, waits, search.c.id, *(search.c[name] for name in FoundBy._fields)
    ).select_from(
        asked.outerjoin(entry, entry.c.id == asked.c.id)
        .outerjoin(leaf, leaf.c.entry_id == asked.c.id)
        .outerjoin(search, search.c.id == asked.c.id)
    )


def leaves_of(sql: Sql) -> CompoundSelect[Any]:
    """Return the leaf hashes of the entries `ids`, none of each that waits for its place."""
    leaf, outbox = table("log_leaf"), table("audit_outbox")
    # Both at one moment, what has a place last: whatever moves is in one of them.
    return union_all(
        select(outbox.c.entry_id, cast(null(), LargeBinary)).where(sql.is_one_of(outbox.c.entry_id, "ids")),
        select(leaf.c.entry_id, leaf.c.leaf_hash).where(sql.is_one_of(leaf.c.entry_id, "ids")),
    )


def _states() -> Select[Any]:
    state = table("log_state")
    names = ("log", "origin", "keys", "size", "root", "signed_at", "note", "frozen_why")
    return select(*(_typed(state.c[name]) for name in names))


def _typed(column: Column[Any]) -> ColumnElement[Any]:
    # SQLite keeps whatever its owner puts into a column; what is compared with a signature has one type.
    return cast(column, column.type)


def _with_contents(chosen: Select[Any]) -> Select[Any]:
    """Return rows of the outbox in their order: number, entry, its bytes (None: gone), its place (None: none yet)."""
    entry, leaf, waiting = table("audit_entry"), table("log_leaf"), chosen.subquery("waiting")
    # Looked up row by row, whatever is known of the tables: joined, a database that has no statistics yet reads all
    # entries there are for the few that wait.
    content = select(entry.c.content).where(entry.c.id == waiting.c.entry_id).scalar_subquery()
    position = select(leaf.c.position).where(leaf.c.entry_id == waiting.c.entry_id).scalar_subquery()
    return select(waiting.c.id, waiting.c.entry_id, content, position).order_by(waiting.c.id)
