"""`--in-turn`: a test of several cases tries them on the databases in turn, and not each of them on both.

Each test still runs on both. A fault that shows on one database alone, and there with one case of several alone, needs
the whole product: `make check` runs it.
"""

from collections import defaultdict
from typing import Any
from zlib import crc32

import pytest

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


def _database_of(item: pytest.Item) -> str | None:
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return next((str(params[fixture]) for fixture in _FIXTURES if params.get(fixture) in _DATABASES), None)
