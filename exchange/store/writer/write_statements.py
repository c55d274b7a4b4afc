"""The statements of the writer, compiled for one database."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import bindparam, delete, select, update

from exchange.store.database.dialect import Sql, Statement, Value
from exchange.store.tables.blob_tables import BlobDebrisTable
from exchange.store.tables.life_tables import NoticeTable
from exchange.store.tables.main_tables import table
from exchange.store.tables.personal_tables import PersonalKeyTable
from exchange.store.tables.upload_tables import PartPieceTable
from exchange.store.writer.places import places
from exchange.store.writer.rates import lease_statement

_ENTRY_COLUMNS = ("id", "content")
_CLASS_COLUMNS = ("id", "digest", "facts")
# What has not moved yet was posted where it is.
_REPORT_COLUMNS = tuple(each.name for each in table("report").c if each.name != "posted_class")
_PART_COLUMNS = table("report_part").c.keys()
_KEY_COLUMNS = table("idempotency").c.keys()
_DEBRIS = str(BlobDebrisTable.__tablename__)
_DEBRIS_COLUMNS = table(_DEBRIS).c.keys()
_NOTICE = str(NoticeTable.__tablename__)
# The database numbers them.
_NOTICE_COLUMNS = tuple(each.name for each in table(_NOTICE).c if each.name != "number")
_PIECE = str(PartPieceTable.__tablename__)
_PIECE_COLUMNS = table(_PIECE).c.keys()
_PERSONAL_KEY_COLUMNS = table(PersonalKeyTable).c.keys()

_NUMBERED = re.compile(r"\$(\d+)")

_POSTED: Mapping[str, Sequence[str]] = {
    "report": _REPORT_COLUMNS,
    "report_part": _PART_COLUMNS,
    "audit_entry": _ENTRY_COLUMNS,
}


@dataclass(frozen=True, slots=True)
class WriteStatements:
    """`outbox` is None where `entry` fills the outbox too, `posted` where one statement cannot fill several tables.

    `posted` is `report`, `part`, `entry` and `advance_state` in one; `by_column` gives its rows. `probe` is what a
    write that changes nothing takes besides `lock_state`.
    """

    lock_state: Statement
    probe: tuple[Statement, ...]
    state_and_classes: Statement
    advance_state: Statement
    known_keys: Statement
    forget_keys: Statement
    places: Statement
    supersede: Statement
    notice: Statement
    new_class: Statement
    report: Statement
    part: Statement
    key: Statement
    personal_key: Statement
    expected_blob: Statement
    settle_blobs: Statement
    piece: Statement
    remove_pieces: Statement
    holders: Statement
    lease: Statement
    entry: Statement
    outbox: Statement | None
    posted: Statement | None

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Compile all of them."""
        state, key, known, report = (table(name) for name in ("policy_state", "idempotency", "release_class", "report"))
        debris, piece, held = table(_DEBRIS), table(_PIECE), table("client_certificate")
        advance_state = sql.compile(
            update(state).values(
                class_version=bindparam("to_class"),
                report_seq=bindparam("to_seq"),
                recorded_at=bindparam("to_time"),
            )
        )
        return cls(
            # Writes what is there: the lock on the row, held to the commit, is the purpose.
            lock_state=sql.compile(update(state).values(report_seq=state.c.report_seq)),
            # SQLite writes no page for a row that stays as it is: there and back again it does.
            probe=tuple(
                sql.compile(update(state).values(report_seq=state.c.report_seq + step))
                for step in ((1, -1) if sql.is_sqlite else ())
            ),
            # A statement of its own, behind the lock: one that waited for it would see what was before it.
            state_and_classes=sql.compile(
                select(state.c.policy_version, state.c.class_version, state.c.report_seq, state.c.recorded_at)
                .add_columns(known.c.digest, known.c.id)
                .select_from(state.outerjoin(known, sql.is_one_of(known.c.digest, "digests")))
            ),
            advance_state=advance_state,
            known_keys=sql.compile(
                select(key.c.client_id, key.c.key, key.c.request_digest, key.c.report_id, key.c.created_at).where(
                    sql.is_one_of(key.c.client_id, "client_ids"), sql.is_one_of(key.c.key, "keys")
                )
            ),
            forget_keys=sql.compile(delete(key).where(key.c.created_at <= bindparam("since"))),
            places=sql.compile(places(sql.is_one_of(report.c.id, "report_ids"))),
            supersede=sql.compile(
                update(report)
                .values(status="superseded")
                .where(sql.is_one_of(report.c.id, "report_ids"), report.c.status == "current")
            ),
            notice=sql.insert(_NOTICE, _NOTICE_COLUMNS),
            new_class=sql.insert("release_class", _CLASS_COLUMNS),
            report=sql.insert("report", _REPORT_COLUMNS),
            part=sql.insert("report_part", _PART_COLUMNS),
            key=sql.insert("idempotency", _KEY_COLUMNS),
            personal_key=sql.insert("personal_key", _PERSONAL_KEY_COLUMNS),
            expected_blob=sql.insert(_DEBRIS, _DEBRIS_COLUMNS),
            settle_blobs=sql.compile(delete(debris).where(sql.is_one_of(debris.c.location, "locations"))),
            piece=sql.insert(_PIECE, _PIECE_COLUMNS),
            remove_pieces=sql.compile(delete(piece).where(sql.is_one_of(piece.c.location, "locations"))),
            holders=sql.compile(
                select(held.c.thumbprint, held.c.client_id).where(sql.is_one_of(held.c.thumbprint, "thumbprints"))
            ),
            lease=lease_statement(sql),
            entry=sql.insert("audit_entry", _ENTRY_COLUMNS) if sql.is_sqlite else _entry_and_outbox(sql),
            outbox=sql.insert("audit_outbox", ("entry_id",)) if sql.is_sqlite else None,
            posted=None if sql.is_sqlite else _report_part_and_entry(sql, advance_state),
        )


def _entry_and_outbox(sql: Sql) -> Statement:
    """Return one statement for both rows, so that a batch of entries is one round trip and needs no BEGIN."""
    entry = sql.insert("audit_entry", _ENTRY_COLUMNS, then=" RETURNING id")
    both = f"WITH entry AS ({entry.sql}) INSERT INTO audit_outbox (entry_id) SELECT id FROM entry"  # noqa: S608  names of ours
    return Statement(both, entry.order, entry.constants)


def _report_part_and_entry(sql: Sql, advance_state: Statement) -> Statement:
    """Return one statement for the rows of posts and the state after them: references are looked at when it ends."""
    inserts: list[str] = []
    order: list[str] = []
    for name, columns in _POSTED.items():
        insert = sql.insert(name, columns, then=" RETURNING id" if name == "audit_entry" else "")
        inserts.append(f"{name}_ AS ({_renumbered(insert.sql, len(order))})")
        order += [f"{name}.{column}" for column in columns]
    outbox = "outbox_ AS (INSERT INTO audit_outbox (entry_id) SELECT id FROM audit_entry_)"
    advance = _renumbered(advance_state.sql, len(order))
    both = f"WITH {', '.join((*inserts, outbox))} {advance}"
    return Statement(both, (*order, *advance_state.order), advance_state.constants)


def _renumbered(sql: str, by: int) -> str:
    return _NUMBERED.sub(lambda found: f"${int(found[1]) + by}", sql)


def by_column(tables: Mapping[str, Sequence[tuple[Value, ...]]]) -> dict[str, Value]:
    """Return the rows of each table as the parameters of `posted`: a list for each column, of none too."""
    parameters: dict[str, Any] = {}
    for name, rows in tables.items():
        columns = _POSTED[name]
        values = zip(*rows, strict=True) if rows else ((),) * len(columns)
        parameters |= {f"{name}.{column}": list(each) for column, each in zip(columns, values, strict=True)}
    return parameters
