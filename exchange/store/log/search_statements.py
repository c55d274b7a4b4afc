"""The statements behind a search of the log: walks along one index each, in the order of time, a few rows at a time.

A lane is one value of one index: the entries of one client, of one facet. Every statement takes its lanes in the order
of the index and stops after `share` rows; what else is asked for is checked on the rows that it passes. So nothing here
sorts or counts, and what a search costs follows from what it finds. On SQLite, where nobody is answered meanwhile, it
stops after `stretch` rows that it has passed too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self

from exchange.store.database.dialect import Sql, Statement


class Along(Enum):
    """What is walked along: a column of `audit_search` with its index, or (`TIME`) all entries."""

    TIME = "at_micros"
    FACET = "facet"
    OWNER_FACET = "owner_facet"
    OWNER_MEMBER_FACET = "owner_member_facet"
    OWNER_CLIENT = "owner_client"
    MEMBER_SUBJECT = "member_subject"
    OWNER_REASONS = "owner_reasons"
    MEMBER_REASONS = "member_reasons"
    CLIENT = "actor_id"
    AGENCY = "agency"
    SUBJECT = "subject_id"
    AGREEMENT = "agreement"
    REASONS = "reasons"
    SOURCE = "source_member"
    THUMBPRINT = "thumbprint_member"

    @property
    def key(self) -> str:
        """Return what its index begins with, of a row `s`."""
        return _PAIRED if self is Along.OWNER_MEMBER_FACET else f"s.{self.value}"


_PAIRED = "(s.owner || '|' || s.facet)"
"""What others did with a member's reports, whose doing it was first; no column, for both parts stand there already."""

LISTED = (
    *(Along.FACET, Along.OWNER_FACET, Along.REASONS, Along.OWNER_REASONS, Along.MEMBER_REASONS),
    Along.OWNER_MEMBER_FACET,
    *(Along.SOURCE, Along.THUMBPRINT),
)
"""What has few values, so that they can be listed: by jumping from one to the next along the index.

An address or a certificate has as many as there are members that it was seen with.
"""

_IS_PLACE = "typeof(passed.position) = 'integer'"
_CONTENT = "SELECT id, content FROM audit_entry WHERE "
_CONTENTS = "SELECT e.id, e.content, l.leaf_hash FROM audit_entry e LEFT JOIN log_leaf l ON l.entry_id = e.id WHERE "
_LANE = ("lane_key", "lane_at", "lane_position")
_EQUAL = {
    "member": "member",
    "agency": "agency",
    "client": "actor_id",
    "subject": "subject_id",
    "owner": "owner",
    "agreement": "agreement",
    "event": "event",
    "outcome": "outcome",
    "level": "level",
    "source": "source",
    "thumbprint": "thumbprint",
}


@dataclass(frozen=True, slots=True)
class SearchStatements:
    """The statements of a search for one database. SQLite walks one lane at a time, PostgreSQL all of them at once."""

    newest_first: Mapping[Along, Statement]
    oldest_first: Mapping[Along, Statement]
    values: Mapping[Along, Statement]
    contents: Statement
    content: Statement
    owner: Statement

    @classmethod
    def compiled(cls, sql: Sql) -> Self:
        """Write all of them."""
        several, one, owner = (_Numbered(is_sqlite=sql.is_sqlite) for _ in range(3))
        return cls(
            newest_first={along: _walk(sql, along, newest_first=True) for along in Along},
            oldest_first={along: _walk(sql, along, newest_first=False) for along in Along},
            values={along: _values_of(sql, along) for along in LISTED},
            contents=several.statement(_CONTENTS + several.is_listed("e.id", "ids")),
            content=one.statement(f"{_CONTENT} id = {one.text('entry_id')}"),
            owner=owner.statement(
                f"SELECT s.owner FROM audit_search s WHERE s.subject_id = {owner.text('subject')}"  # noqa: S608  ours
                " ORDER BY s.at_micros, s.position LIMIT 1"
            ),
        )


class _Numbered:
    """Numbers the parameters of one statement in the order in which they are first named."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._order: list[str] = []

    def text(self, name: str) -> str:
        return self._mark(name, "text")

    def number(self, name: str) -> str:
        return self._mark(name, "bigint")

    def array(self, name: str, kind: str) -> str:
        return self._mark(name, f"{kind}[]")

    def is_listed(self, column: str, name: str) -> str:
        if self._is_sqlite:
            return f"{column} IN (SELECT value FROM json_each({self.text(name)}))"  # noqa: S608  names of ours
        return f"{column} = ANY({self.array(name, 'text')})"

    def holds(self, column: str, name: str) -> str:
        return f"{'instr' if self._is_sqlite else 'strpos'}({column}, {self.text(name)}) > 0"

    def statement(self, sql: str) -> Statement:
        return Statement(sql, tuple(self._order), {})

    def _mark(self, name: str, kind: str) -> str:
        if name not in self._order:
            self._order.append(name)
        number = self._order.index(name) + 1
        return f"?{number}" if self._is_sqlite else f"${number}::{kind}"


def _walk(sql: Sql, along: Along, *, newest_first: bool) -> Statement:
    """Return the statement of a walk; on SQLite its last row, of no lane, says where it was cut off, if it was."""
    given = _Numbered(is_sqlite=sql.is_sqlite)
    if sql.is_sqlite:
        place = {name: given.text(name) for name in _LANE}
        where, order = _bounds(given, along, place, newest_first=newest_first)
        stretch, share = given.number("stretch"), given.number("share")
        # A query with a limit of its own is not merged with the one around it: so many rows are passed, and no more.
        # Asked by itself, the place where it ends would be that of a log to which others have added meanwhile.
        return given.statement(
            "SELECT 0, at_micros, position, id, log FROM"  # noqa: S608  names of ours
            f" (SELECT * FROM audit_search s WHERE {where} ORDER BY {order} LIMIT {stretch}) AS passed"
            # What is written in where a position belongs is none, and nobody goes on behind it.
            f" WHERE {' AND '.join([_IS_PLACE, *_filters(given, 'passed')])}"
            " UNION ALL SELECT NULL, at_micros, position, NULL, NULL FROM (SELECT s.at_micros, s.position"
            f" FROM audit_search s WHERE {where} ORDER BY {order} LIMIT 1 OFFSET {stretch} - 1) LIMIT {share}"
        )
    kinds = ("text", "bigint", "bigint")
    lanes = ", ".join(given.array(name, kind) for name, kind in zip(_LANE, kinds, strict=True))
    where, order = _bounds(given, along, {name: f"lane.{name}" for name in _LANE}, newest_first=newest_first)
    return given.statement(
        "SELECT lane.number - 1, found.at_micros, found.position, found.id, found.log"  # noqa: S608  names of ours
        f" FROM unnest({lanes}) WITH ORDINALITY AS lane({', '.join(_LANE)}, number)"
        " CROSS JOIN LATERAL (SELECT s.at_micros, s.position, s.id, s.log FROM audit_search s"
        f" WHERE {' AND '.join([where, *_filters(given, 's')])}"
        f" ORDER BY {order} LIMIT {given.number('share')}) AS found"
    )


def _bounds(given: _Numbered, along: Along, place: Mapping[str, str], *, newest_first: bool) -> tuple[str, str]:
    """Return the condition and the order of a lane behind a place."""
    beyond, towards, order = ("<", "<=", "DESC") if newest_first else (">", ">=", "ASC")
    wanted = [
        # The first bound is the one that begins the walk in the index, the second is exact.
        f"s.at_micros {towards} {place['lane_at']}",
        f"(s.at_micros, s.position) {beyond} ({place['lane_at']}, {place['lane_position']})",
        f"s.at_micros >= {given.number('since')}",
        f"s.at_micros < {given.number('until')}",
    ]
    if along is not Along.TIME:
        wanted.insert(0, f"{along.key} = {place['lane_key']}")
    if along is Along.OWNER_MEMBER_FACET:
        wanted.append("s.owner_member IS NOT NULL")  # as its index says, word for word
    return " AND ".join(wanted), f"s.at_micros {order}, s.position {order}"


def _filters(given: _Numbered, row: str) -> list[str]:
    """Return what is checked on the rows that a walk passes; a parameter that is NULL asks for nothing.

    INVARIANT: none of them drops a row that the slice would show: it is the slice that decides (`exchange.audit`).
    """
    equal = [f"({given.text(name)} IS NULL OR {row}.{column} = {given.text(name)})" for name, column in _EQUAL.items()]
    within = [f"({given.text(name)} IS NULL OR {given.holds(f'{row}.reasons', name)})" for name in ("reason", "text")]
    of, told, under = given.text("slice_of"), given.text("only_told"), given.text("under")
    is_below = f"{row}.level IS NULL OR {given.is_listed(f'{row}.level', 'levels_listed')}"
    # What an own client was refused is shown whatever its label was; what others were, as everything else.
    is_own_refusal = f"{of} IS NOT NULL AND {row}.member = {of} AND {row}.outcome <> 'permitted'"
    return [
        *equal,
        *within,
        f"({given.text('levels')} IS NULL OR {is_below} OR ({is_own_refusal}))",
        f"({of} IS NULL OR {row}.member = {of} OR {row}.owner = {of} OR {row}.subject_kind = 'agreement')",
        # A list is about no agreement.
        f"({under} IS NULL OR {row}.agreement IS NULL OR {row}.agreement = {under})",
        f"({told} IS NULL OR {row}.outcome = 'permitted' OR {row}.owner = {of})",
    ]


def _values_of(sql: Sql, along: Along) -> Statement:
    given, key = _Numbered(is_sqlite=sql.is_sqlite), along.key
    first, beyond = given.text("first"), given.text("beyond")
    is_foreign = "s.owner_member IS NOT NULL AND " if along is Along.OWNER_MEMBER_FACET else ""
    step = f"FROM audit_search s WHERE {is_foreign}{key} {{}} ORDER BY {key} LIMIT 1"
    # PostgreSQL compares in the column's own order only where the column stands alone.
    is_within = f"({beyond} IS NULL OR value < {beyond})"
    return given.statement(
        f"WITH RECURSIVE listed(value) AS (SELECT (SELECT {key} {step.format(f'>= {first}')})"  # noqa: S608  names of ours
        f" UNION ALL SELECT (SELECT {key} {step.format('> listed.value')}) FROM listed"
        f" WHERE value IS NOT NULL AND {is_within})"
        f" SELECT value FROM listed WHERE value IS NOT NULL AND {is_within}"
    )
