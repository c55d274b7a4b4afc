"""The law, read once: a process reads it when it starts, and tests start one in their own process for each command.

So does who checks it, as the doctor: the examples beside the guards are run each time.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import pytest

from exchange import services
from exchange.markings import Catalogue, load_catalogue
from exchange.release import Law, guard_examples, law, load_law


@lru_cache(maxsize=16)
def _loaded(files: frozenset[tuple[str, str]]) -> Law:
    return load_law(dict(files))


def law_of(files: Mapping[str, str]) -> Law:
    """Return the law of `files`, as `load_law` does; the same texts are not read twice."""
    return _loaded(frozenset(files.items()))


@pytest.fixture(scope="session", autouse=True)
def law_read_once() -> Iterator[None]:
    """Give whoever opens or checks an instance in this process a law that was read already, where its texts are the same."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(services, "load_law", law_of)
        patched.setattr(guard_examples, "load_law", law_of)
        yield


@lru_cache(maxsize=16)
def _catalogue(files: frozenset[tuple[str, str]]) -> Catalogue:
    return load_catalogue(dict(files))


@pytest.fixture(scope="session", autouse=True)
def catalogue_read_once() -> Iterator[None]:
    """Load each law whole, but for security policies whose texts were read already: they are most of the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(law, "load_catalogue", lambda files: _catalogue(frozenset(files.items())))
        yield
