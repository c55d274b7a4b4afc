"""What SQLAlchemy makes and learns is kept for the run: each test has an engine of its own, which forgets it.

SQL is made of a statement once per kind of database, and PostgreSQL is asked once what it is.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

_OF_ONE_ENGINE = "_type_memos"


class _Compiled(dict[Any, Any]):
    """Compiled statements by their keys, in which a dialect of the same kind stands for every other.

    A key begins with the dialect that compiled, an object of its own for each engine.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_its_kind(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_its_kind(key), compiled)


def _of_its_kind(key: Any) -> Any:
    dialect = key[0]
    return (type(dialect), dialect.server_version_info, dialect.paramstyle, key[1:])


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Give every connection of this process the same compiled statements: a seventh of what the use cases' tests take."""
    compiled, begin = _Compiled(), Engine.__init__

    def begun(engine: Engine, *given: Any, **named: Any) -> None:
        # Put in its place, and not told to each connection by a listener: an engine that has one asks at every
        # statement for more.
        begin(engine, *given, **named)
        engine._compiled_cache = compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "__init__", begun)
        yield


@pytest.fixture(scope="session", autouse=True)
def asked_once() -> Iterator[None]:
    """Tell every engine what another one was told by a PostgreSQL of this version: it asks three things when it begins."""
    told: dict[Any, dict[str, Any]] = {}
    ask: Any = PGDialect_asyncpg.initialize

    def initialize(dialect: Any, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        version = driver.get_server_version()
        if version not in told:
            before = dict(vars(dialect))
            ask(dialect, connection)
            learned = {name: value for name, value in vars(dialect).items() if before.get(name, told) is not value}
            told[version] = {name: value for name, value in learned.items() if name != _OF_ONE_ENGINE}
        vars(dialect).update(told[version])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PGDialect_asyncpg, "initialize", initialize)
        yield
