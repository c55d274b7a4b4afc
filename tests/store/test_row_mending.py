"""What is ended again is the one row that is named, where it goes on, and every process hears of it."""

from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from exchange.audit import EventName
from exchange.audit.rows_told import RowKind, RowName
from exchange.store.books.book import Writing
from exchange.store.books.row_mending import RowMending
from tests.support.store import NOW


class Session:
    """A session that keeps what it is asked, and finds what it is told to find."""

    def __init__(self, found: str | None) -> None:
        self.asked: list[str] = []
        self._found = found

    async def execute(self, statement: Any) -> "Session":
        made = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        self.asked.append(" ".join(str(made).split()))
        return self

    async def scalar(self, statement: Any) -> str | None:
        await self.execute(statement)
        return self._found

    def first(self) -> str | None:
        return self._found


def mending(found: str | None) -> tuple[RowMending, list[str], list[str]]:
    """Return what mends, what it asks, and how often the law was noted to move."""
    session, noted = Session(found), list[str]()
    made: Any = session
    writing = Writing(made, NOW, note_write=lambda: noted.append("write"), note_law=lambda: noted.append("law"))
    return RowMending(writing), session.asked, noted


STATES = [
    (RowKind.PROXY, EventName.PROXY_REFUSED, "proxy_consent", "refused"),
    (RowKind.PROXY, EventName.PROXY_REVOKED, "proxy_consent", "revoked"),
    (RowKind.ONWARD, EventName.ONWARD_WITHDRAWN, "onward_release", "withdrawn"),
    (RowKind.ONWARD, EventName.ONWARD_REFUSED, "onward_release", "refused"),
    (RowKind.DERIVATION, EventName.DERIVATION_REFUSED, "derivation_consent", "refused"),
    (RowKind.DERIVATION, EventName.DERIVATION_WITHDRAWN, "derivation_consent", "withdrawn"),
    (RowKind.DERIVATION, EventName.DERIVATION_REVOKED, "derivation_consent", "revoked"),
]


@pytest.mark.parametrize(("kind", "event", "rows", "state"), STATES)
async def test_what_ends_by_its_state_ends_as_the_event_says(kind, event, rows, state) -> None:
    mends, asked, noted = mending("id")

    assert await mends.end(RowName(kind, "one"), event.value)
    assert asked == [
        f"UPDATE {rows} SET state='{state}' WHERE {rows}.id = 'one' AND {rows}.state IS DISTINCT FROM '{state}' RETURNING {rows}.id"
    ]
    assert noted == ["law"]


@pytest.mark.parametrize(
    ("kind", "rows", "key", "moment"),
    [
        (RowKind.SIGNATORY_KEY, "signatory_key", "key_id", "retired_at"),
        (RowKind.CRISIS, "agreement_crisis", "id", "ended_at"),
        (RowKind.SUBSCRIPTION, "subscription", "id", "ended_at"),
    ],
)
async def test_what_ends_by_a_moment_ends_now_where_it_has_none(kind, rows, key, moment) -> None:
    mends, asked, noted = mending("id")

    assert await mends.end(RowName(kind, "one"), "anything")
    (statement,) = asked
    assert statement.startswith(f"UPDATE {rows} SET {moment}=")
    assert statement.endswith(f"WHERE {rows}.{key} = 'one' AND {rows}.{moment} IS NULL RETURNING {rows}.{key}")
    assert noted == ["law"]


async def test_what_has_ended_or_ends_otherwise_is_not_ended_again() -> None:
    mends, asked, noted = mending(None)
    has_ended = await mends.end(RowName(RowKind.PROXY, "one"), EventName.PROXY_REVOKED.value)
    before = list(asked)
    is_of_a_kind = await mends.end(RowName(RowKind.MEMBER, "GBR"), EventName.MEMBER_SUSPENDED.value)

    assert (has_ended, is_of_a_kind) == (False, False)
    assert (asked, noted) == (before, ["law"])


@pytest.mark.parametrize("found", ["id", None])
async def test_grant_is_ended_where_it_is_one(found: str | None) -> None:
    mends, asked, noted = mending(found)

    assert await mends.end_grant(RowName(RowKind.ONWARD, "one")) is (found is not None)
    rows = "onward_release"
    assert asked == [
        f"UPDATE {rows} SET state='revoked' WHERE {rows}.id = 'one' AND {rows}.state = 'granted' RETURNING {rows}.id"
    ]
    assert noted == ["law"]


@pytest.mark.parametrize("found", ["id", None])
async def test_report_is_withheld_where_it_was_shown(found: str | None) -> None:
    mends, asked, noted = mending(found)

    assert await mends.withhold("one") is (found is not None)
    which = "WHERE report.id = 'one' AND report.status != 'expired'"
    written = [f"UPDATE report SET status='expired' {which}"]
    assert asked == [f"SELECT report.id FROM report {which}", *(written if found else [])]
    assert noted == (["law"] if found else [])
