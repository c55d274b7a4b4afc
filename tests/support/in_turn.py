"""`--in-turn`: a test of several cases tries them on the databases in turn, and not each of them on both.

So does a test whose cases are tried one after the other in one world: it asks for `in_turn` and gives it to them.
Each test still runs on both. A fault that shows on one database alone, and there with one case of several alone, needs
the whole product: `make check` runs it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar
from zlib import crc32

import pytest

T = TypeVar("T")

_DATABASES = ("sqlite", "postgresql")
_FIXTURES = ("backend", "backend_of_module")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the option."""
    parser.addoption("--in-turn", action="store_true", help="the cases of a test on the databases in turn, not on both")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out every second case of each database."""
    if not config.getoption("--in-turn"):
        return
    left_out = {id(item) for item in surplus(items)}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


def surplus(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return what need not run for each test to run on both databases and each of its cases on one.

    The same for every process of a run: it goes by the names of tests and of their cases.
    """
    tests: dict[str, dict[str, dict[str, pytest.Item]]] = defaultdict(lambda: defaultdict(dict))
    for item in items:
        database = _database_of(item)
        if database is not None and item.get_closest_marker("each_on_both") is None:
            name, _, case = item.nodeid.partition("[")
            tests[name][case.replace(database, "", 1)][database] = item
    found = []
    for name, cases in tests.items():
        paired = sorted(case for case, of in cases.items() if len(of) == len(_DATABASES))
        if len(paired) > 1:
            first = crc32(name.encode())
            found += [cases[case][_DATABASES[(first + number) % 2]] for number, case in enumerate(paired)]
    return found


class InTurn(Protocol):
    def __call__(self, cases: Iterable[T], shift: int = 0) -> list[T]:
        """Return the cases that this database tries; the other one tries those that it tries with another `shift`."""


@pytest.fixture
def in_turn(request: pytest.FixtureRequest) -> InTurn:
    """Give a function: the cases of a test -> those that its database tries, all but with `--in-turn`."""
    turn = turn_of(request.node) if request.config.getoption("--in-turn") else None
    return lambda cases, shift=0: share_of(cases, turn, shift)


def share_of(cases: Iterable[T], turn: int | None, shift: int = 0) -> list[T]:
    """Return every second case, all of them for no turn."""
    return [*cases] if turn is None else [*cases][(turn + shift) % 2 :: 2]


def turn_of(item: pytest.Item) -> int | None:
    """Return 0 or 1, another on each database; None for what has one, or whose other cases are tried in turn already."""
    database = _database_of(item)
    if database is None or _params_of(item).keys() - {*_FIXTURES}:
        return None
    return (crc32(item.nodeid.partition("[")[0].encode()) + _DATABASES.index(database)) % 2


def _database_of(item: pytest.Item) -> str | None:
    params = _params_of(item)
    return next((str(params[fixture]) for fixture in _FIXTURES if params.get(fixture) in _DATABASES), None)


def _params_of(item: pytest.Item) -> dict[str, Any]:
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return params
