"""Fixtures that every test may ask for, and how properties are searched."""

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from exchange.store.writer import postgres
from tests.support.postgres import (
    PostgresServer,
    end_run,
    line_of_run,
    memory,
    private_cluster,
    run_folder,
    server_of_run,
)

pytest_plugins: list[str] = [
    "tests.support.brief_workers",
    "tests.support.in_turn",
    "tests.support.compiled",
    "tests.support.introspected",
    "tests.support.imported",
    "tests.support.store",
    "tests.support.log",
    "tests.support.archived_log",
]

# The run starts some hundreds of processes of this checkout: compiling its modules anew is a third of each one's start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A test makes much that goes with it: to look for garbage at every seven hundredth object was a twelfth of the run.
gc.set_threshold(20_000, 20, 20)

# Nothing here runs on trio. The client's transport asks for it at every request, along the whole path of imports: told at
# once that it is not there, the attacks take a twentieth less.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # what `import` itself writes down for "there is none"

# A run that was begun in the background may have been told to ignore interrupts, and so would each process it starts:
# those are stopped by one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Each test has a database of its own: on a disk, a tenth of the run would be waiting for it. Durability is no matter of
# the disk here: what is killed is a process.
if IN_MEMORY := memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# The private PostgreSQL speaks no TLS: to ask it at every connection, and to make ready for a yes, is a sixth of connecting.
if "TEST_DATABASE_URL" not in os.environ:
    os.environ.setdefault("PGSSLMODE", "disable")

# No deadline: the cores are shared, and a slow example is no fault. Not derandomized: every run searches elsewhere.
settings.register_profile("ci", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2000)
settings.register_profile("quick", parent=settings.get_profile("ci"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Cores are shared: what is slow is no fault, and no test here waits for a database that is silent.
postgres._CONNECT_SECONDS = postgres._ANSWER_SECONDS = 60.0

HANGUP = signal.getsignal(signal.SIGHUP)

FOLDER = pytest.StashKey[Path]()
OWNER = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run one folder; workers are told which by the process that owns the run."""
    told: dict[str, str] | None = getattr(config, "workerinput", None)
    if told is None:
        config.stash[FOLDER], config.stash[OWNER] = run_folder(), os.getpid()
    else:
        config.stash[FOLDER], config.stash[OWNER] = Path(told["postgres_folder"]), int(told["postgres_owner"])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected, and never look through these again: that was half of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes seconds a test: at the end both workers share what takes milliseconds, and end together."""
    items.sort(key=lambda item: item.get_closest_marker("journey") is None)


def pytest_runtest_teardown() -> None:
    """Answer a hangup as at first: a verb that serves goes on at one, and leaves it so to all that is begun behind it."""
    signal.signal(signal.SIGHUP, HANGUP)


class TellWorkers:
    """Hook of pytest-xdist; registered only when it is there."""

    @staticmethod
    def pytest_configure_node(node: object) -> None:
        config: pytest.Config = node.config  # type: ignore[attr-defined]  # xdist's WorkerController
        told: dict[str, str] = node.workerinput  # type: ignore[attr-defined]
        told["postgres_folder"] = str(config.stash[FOLDER])
        told["postgres_owner"] = str(config.stash[OWNER])


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.pluginmanager.hasplugin("dsession"):
        session.config.pluginmanager.register(TellWorkers())


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server of the run, also after Ctrl-C."""
    if getattr(config, "workerinput", None) is None and FOLDER in config.stash:
        end_run(config.stash[FOLDER])


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """The PostgreSQL of this run: TEST_DATABASE_URL, the system's, or the wheel's; never skipped."""
    server = server_of_run(pytestconfig.stash[FOLDER], pytestconfig.stash[OWNER])
    with line_of_run(server.admin_url) as line:
        yield replace(server, line=line)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The asyncpg address of an empty database of one's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def durable_postgres_url() -> Iterator[str]:
    """The same on a cluster of one's own with fsync on."""
    with private_cluster(fsync=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs on both."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database on the backend."""
    if backend == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/exchange.db"
    return str(request.getfixturevalue("empty_postgres_url"))
