"""PostgreSQL's own types are asked about once per run: each test has connections of its own, and each asks again.

What an array is made of the driver reads at each connection that meets one, by a query that takes the server ten
milliseconds: that was half of what it did for the tests of use cases.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import asyncpg
import pytest

FIRST_OF_A_DATABASE = 10_000
"""What has a lower number is PostgreSQL's own: the same in each database of a version, and nobody alters it."""


class _NotAsked:
    """In place of the statement that asks, where none was run: it has taken the place of no other on its connection."""

    name = "none"


@pytest.fixture(scope="session", autouse=True)
def introspected_once() -> Iterator[None]:
    """Give every connection of this process what another one was told of the same types."""
    ask = asyncpg.Connection._introspect_types
    told: dict[Any, Any] = {}

    async def introspect(connection: Any, types: Iterable[int], timeout: float | None) -> Any:  # noqa: ASYNC109  the driver's
        wanted = frozenset(types)
        key = (connection.get_server_version(), wanted)
        if key in told:
            return told[key], _NotAsked
        rows, statement = await ask(connection, wanted, timeout)
        if max(wanted) < FIRST_OF_A_DATABASE:
            told[key] = rows
        return rows, statement

    asyncpg.Connection._introspect_types = introspect
    yield
    asyncpg.Connection._introspect_types = ask
