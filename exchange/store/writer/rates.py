"""How much each client has asked of all nodes together: one number per client, and tokens lent against it.

The number is when the client's bucket will be full again (the generic cell rate algorithm): lending tokens moves it on,
and nothing is lent that would move it further than one bucket ahead of now. Whoever lends, on whatever node, moves the
same row, so the sum holds; a worker takes some tokens at a time, so it hardly ever has to ask.
"""

from dataclasses import dataclass

from exchange.store.database.dialect import Sql, Statement

_MICROS = 1_000_000

_DATABASE_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""Nodes need not agree about the time where all of them ask the database."""


@dataclass(frozen=True, slots=True)
class LeaseJob:
    """Lend `tokens` to whoever may ask `per_second`, by its name: a client's is its id.

    A certificate's thumbprint stands for its client. `now` counts on SQLite alone, in microseconds.
    """

    client: str
    tokens: int
    per_second: int
    now: int

    def parameters(self) -> dict[str, str | int]:
        """Return what the statement is given: what the tokens cost and what may be owed beside it, in microseconds."""
        cost = self.tokens * _MICROS // self.per_second
        return {"client": self.client, "cost": cost, "spare": max(0, _MICROS - cost), "now": self.now}


def lease_statement(sql: Sql) -> Statement:
    """Return the statement that lends tokens; it gives a row where it did.

    A number further ahead than any lending could bring it is from before a clock was put back: it counts as empty.
    """
    if sql.is_sqlite:
        certificate, cost, spare, now = "?1", "?2", "?3", "?4"
        order: tuple[str, ...] = ("client", "cost", "spare", "now")
    else:
        certificate, cost, spare, now = "$1::text", "$2::bigint", "$3::bigint", _DATABASE_NOW
        order = ("client", "cost", "spare")
    full, far = "rate_bucket.full_at", 10 * _MICROS
    # A thumbprint names one client for ever: what it held in removed certificates is its own too.
    client = f"COALESCE((SELECT client_id FROM client_certificate WHERE thumbprint = {certificate}), {certificate})"  # noqa: S608  constants of ours
    text = (
        f"INSERT INTO rate_bucket (client, full_at) VALUES ({client}, {now} + {cost}) ON CONFLICT (client) DO UPDATE"  # noqa: S608  constants of ours
        f" SET full_at = CASE WHEN {full} < {now} OR {full} > {now} + {far} THEN {now} ELSE {full} END + {cost}"
        f" WHERE {full} <= {now} + {spare} OR {full} > {now} + {far} RETURNING full_at"
    )
    return Statement(text, order, {})
