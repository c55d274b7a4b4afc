"""What is read of a request, each condition by itself: no service, no socket."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request

from exchange.entrypoints.http import visit
from exchange.entrypoints.http.holders import Holder
from exchange.entrypoints.http.turns import TURN_KEY, Turn, Turns
from exchange.entrypoints.http.visit import (
    BodyLimits,
    arriving_body,
    moment_in,
    read_body,
    read_query,
    stated_purpose,
    stated_version,
)
from exchange.kernel import InvalidError, MalformedError

HOLDER = Holder("one", "NOR")


def request_of(*headers: tuple[str, str], query: bytes = b"", body: tuple[bytes, ...] = ()) -> Request:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict:
        return messages.pop(0)

    named = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": named, "query_string": query}, receive)


@pytest.mark.parametrize(
    ("headers", "version"), [((), None), ((("if-match", "*"),), None), ((("if-match", '"3"'),), 3)]
)
def test_version_is_what_stands_in_quotes_and_any_where_none_is_stated(headers, version) -> None:
    assert stated_version(request_of(*headers)) == version


@pytest.mark.parametrize(("purpose", "is_one"), [("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False)])
def test_purpose_is_a_short_name(purpose: str, is_one: bool) -> None:
    request = request_of(("exchange-purpose", purpose))
    if is_one:
        assert stated_purpose(request) == purpose
        return
    with pytest.raises(MalformedError):
        stated_purpose(request)


def test_parameter_without_a_value_is_not_left_out() -> None:
    """A filter that is left out would answer with more than was asked for."""
    assert read_query(request_of(query=b"topic="), frozenset({"topic"})) == {"topic": ""}
    with pytest.raises(InvalidError):
        read_query(request_of(query=b"debug="), frozenset())


@pytest.mark.parametrize("query", [b"&".join([b"topic=1"] * 33), b"topic=%ff", b"topic=\xff"])
def test_query_of_too_many_parameters_or_of_no_text_is_not_read(query: bytes) -> None:
    with pytest.raises(MalformedError):
        read_query(request_of(query=query), frozenset({"topic"}))


def test_fault_of_a_query_repeats_no_more_of_a_name_than_it_needs() -> None:
    with pytest.raises(InvalidError) as refused:
        read_query(request_of(query=b"x" * 5000 + b"=1"), frozenset())

    assert [fault.pointer for fault in refused.value.faults] == ["/" + "x" * 64]


async def test_who_has_sent_its_body_takes_its_turn_again() -> None:
    request, turns = request_of(body=(b"{", b"}")), Turns(1)
    turn = request.scope[TURN_KEY] = Turn(turns, HOLDER)
    turn.begin()

    assert await read_body(request, BodyLimits(100, 60.0)) == b"{}"
    assert not turns.begin(HOLDER)
    turn.end()
    assert turns.begin(HOLDER)


async def test_body_that_is_passed_on_takes_no_turn_and_has_time_for_each_stretch_of_it(monkeypatch) -> None:
    request, turns, dues = request_of(body=(b"ab", b"cd")), Turns(1), []
    turn = request.scope[TURN_KEY] = Turn(turns, HOLDER)
    turn.begin()
    as_ever, begun = asyncio.timeout_at, asyncio.get_running_loop().time()

    @asynccontextmanager
    async def noted(due: float):
        dues.append(due - begun)
        async with as_ever(due):
            yield

    monkeypatch.setattr(visit.asyncio, "timeout_at", noted)
    pieces = [(piece, turns.begin(HOLDER)) async for piece in arriving_body(request, BodyLimits(2, 60.0))]

    assert pieces == [(b"ab", True), (b"cd", False)]
    # A stretch of the largest size for one body, and one more of it: here two bytes each.
    assert [round(due / 60.0) for due in dues[:3]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("since", "is_hinted"), [("2026-01-01T00:00:00+01:00", True), ("2026-01-01%2000:00:00Z", False)]
)
def test_plus_that_a_query_lost_is_told_of(since: str, is_hinted: bool) -> None:
    query = read_query(request_of(query=f"since={since}".encode()), frozenset({"since"}))

    with pytest.raises(InvalidError) as refused:
        moment_in(query, "since")

    assert ("write a `+` as `%2B`" in str(refused.value)) is is_hinted
