"""Reads what witnesses said: of one of them the latest, of all of them from the newest checkpoint backwards."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select, text

from exchange.store.database.dialect import Fetch, Sql, Statement
from exchange.store.log.log_reader import checkpoint_of, cosignature_of
from exchange.store.log.log_statements import COSIGNATURE_COLUMNS, checkpoint_columns
from exchange.store.rows.log_rows import CosignatureRow, KeptCheckpoint
from exchange.store.tables.main_tables import table

ADD_COSIGNATURE: Final = text(
    "INSERT INTO log_cosignature (log, size, witness, line, received_at)"
    " VALUES (:log, :size, :witness, :line, :received_at) ON CONFLICT DO NOTHING"
)
"""The first one stays, also of two that come at the same moment."""

_BEYOND = 2**63 - 1


class WitnessReads(NamedTuple):
    """The statements, compiled for one database."""

    of_one: Statement
    before: Statement
    first_after: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> "WitnessReads":
        """Return the statements for one database."""
        cosigned, kept = table("log_cosignature"), table("log_checkpoint")
        lines = [cosigned.c[name] for name in COSIGNATURE_COLUMNS]
        at_log = cosigned.c.log == bindparam("log")
        of_one = (
            select(*lines)
            # A larger size nobody of ours wrote there; on SQLite what is no number comes behind all numbers.
            .where(at_log, cosigned.c.witness == bindparam("witness"), cosigned.c.size <= bindparam("upto"))
            .order_by(cosigned.c.size.desc())
            .limit(1)
        )
        # By size and then by witness, as the key is: read backwards, nothing is sorted.
        before = (
            select(*lines)
            .where(at_log, cosigned.c.size < bindparam("before"))
            .order_by(cosigned.c.size.desc(), cosigned.c.witness.desc())
            .limit(bindparam("limit"))
        )
        first_after = (
            select(*checkpoint_columns())
            .where(kept.c.log == bindparam("log"), kept.c.size > bindparam("after"))
            .order_by(kept.c.size)
            .limit(1)
        )
        return cls(sql.compile(of_one), sql.compile(before), sql.compile(first_after))


class WitnessReader:
    """The cosignatures of one database, as seen by one process."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._reads = sql.once(WitnessReads.compiled)

    async def latest_of(self, log: int, witness: str, *, upto: int) -> CosignatureRow | None:
        """Return what the witness with this key name said last, of the largest checkpoint that `upto` does not pass."""
        rows = await self._fetch(self._reads.of_one, {"log": log, "witness": witness, "upto": upto})
        return cosignature_of(rows[0]) if rows else None

    async def before(self, log: int, size: int | None, limit: int) -> Sequence[CosignatureRow]:
        """Return cosignatures of checkpoints smaller than `size` (None: of all), the largest first."""
        asked = {"log": log, "before": _BEYOND if size is None else size, "limit": limit}
        return [cosignature_of(row) for row in await self._fetch(self._reads.before, asked)]

    async def kept_after(self, log: int, size: int) -> KeptCheckpoint | None:
        """Return the smallest kept checkpoint that is larger than `size`."""
        rows = await self._fetch(self._reads.first_after, {"log": log, "after": size})
        return checkpoint_of(rows[0]) if rows else None
