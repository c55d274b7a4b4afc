"""A roll: the newer version expands the database under the older one at work, and both serve it side by side."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from exchange.store import head, migrate, revision
from tests.attacks.hidden import report_body
from tests.attacks.served import WAIT_SECONDS, Instance, Running, client, make_instance, serving
from tests.support.newer_program import (
    CONTRACTS,
    NEWER,
    NewerInstance,
    migrating_environment,
    newer_environment,
    newer_program,
)
from tests.support.postgres import execute
from tests.support.prepared import PROGRAM, PreparedProcess, prepared_version, run_prepared

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

CLIENTS: dict[str, tuple[str, ...]] = {"GBR writer": ("contributor",), "GBR reader": ("reader",)}


@pytest.fixture
def instance(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Instance:
    url = None if backend == "sqlite" else str(request.getfixturevalue("empty_postgres_url"))
    return make_instance(tmp_path / "instance", url, CLIENTS)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The newer version, loaded once for all of its processes."""
    folder = newer_program(tmp_path_factory.mktemp("newer"))
    with prepared_version(os.environ | newer_environment(folder)):
        yield folder


@pytest.fixture
def newer(instance: Instance, program: Path) -> NewerInstance:
    return NewerInstance(instance.folder, instance.database_url, instance.agreement, program)


def migrating(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [*PROGRAM, "migrate", "--dir", str(folder)]
    return PreparedProcess(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def url_of(instance: Instance) -> str:
    return instance.database_url or f"sqlite+aiosqlite:///{instance.folder}/exchange.db"


def make_its_own(instance: Instance) -> None:
    """Raise the floor, as the migration of a newer version does that takes something away."""
    raised = f"UPDATE schema_floor SET revision = '{NEWER}'"
    if instance.database_url is not None:
        execute(instance.database_url.replace("+asyncpg", ""), raised)
        return
    with closing(sqlite3.connect(instance.folder / "exchange.db", timeout=60)) as connection, connection:
        connection.execute(raised)


async def post(instance: Instance, at: Running, subject: str) -> str:
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]}
    async with client(instance, at, "GBR writer") as writer:
        answer = await writer.post("/v1/reports", json=report_body(instance.agreement, label=label, subject=subject))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def pull(instance: Instance, at: Running, report: str) -> httpx2.Response:
    async with client(instance, at, "GBR reader") as reader:
        return await reader.get(f"/v1/reports/{report}")


def test_process_of_either_version_is_a_copy_of_what_loaded_that_version(program: Path) -> None:
    code = "import sys; print('exchange.app' in sys.modules); from exchange.store import head; print(head())"
    newer = os.environ | newer_environment(program)

    assert [run_prepared("-c", code, env=each).stdout.split() for each in (newer, os.environ)] == [
        ["True", NEWER],
        ["True", head()],
    ]


async def test_old_and_new_serve_one_database_side_by_side(instance: Instance, newer: NewerInstance) -> None:
    with serving(instance) as old:
        before = await post(instance, old, "before")
        roll = migrating(newer.folder, newer.environment)
        while roll.poll() is None:
            await post(instance, old, "under way")
        _, fault = roll.communicate()
        assert roll.returncode == 0, fault
        assert await revision(url_of(instance)) == NEWER

        with serving(newer, "--no-jobs") as new, serving(instance, "--no-jobs") as restarted:
            nodes = (old, new, restarted)
            reports = [before, *[await post(instance, node, f"by {node.url}") for node in nodes]]
            found = [await pull(instance, node, report) for node in nodes for report in reports]
        make_its_own(instance)
        code = await asyncio.to_thread(old.process.wait, WAIT_SECONDS)

    assert [answer.status_code for answer in found] == [200] * len(nodes) * len(reports)
    # It had no need to be told: nobody starts it, and nobody asks it.
    assert (code, f"run a version at `{NEWER}` or newer" in old.log.read_text()) == (1, True)


async def test_versions_that_migrate_at_once_leave_the_newest(instance: Instance, newer: NewerInstance) -> None:
    environments = [instance.environment, newer.environment] * 2
    running = [migrating(instance.folder, environment) for environment in environments]
    told = [process.communicate(timeout=90) for process in running]

    assert [process.returncode for process in running] == [0] * 4, told
    assert await revision(url_of(instance)) == NEWER


def test_contracted_database_turns_the_older_version_away(database_url: str, tmp_path: Path) -> None:
    asyncio.run(migrate(database_url))
    program = newer_program(tmp_path / "newer", CONTRACTS)
    contract = f"import asyncio\nfrom exchange.store import migrate\nasyncio.run(migrate({database_url!r}))"
    done = subprocess.run(
        [sys.executable, "-c", contract],
        env=migrating_environment(None, program),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    refused = run_prepared("-c", contract)
    assert f"run a version at `{NEWER}` or newer" in refused.stderr
