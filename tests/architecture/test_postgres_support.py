"""The private cluster keeps its word: separate databases, both durabilities, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.postgres import PostgresServer


def test_databases_do_not_see_each_other(postgres_server: PostgresServer) -> None:
    one, other = postgres_server.create_database(), postgres_server.create_database()
    postgres.execute(_plain(one), "CREATE TABLE seen (n int)")

    assert _tables(one) == ["seen"]
    assert _tables(other) == []
    postgres_server.drop_database(one)
    postgres_server.drop_database(other)


def test_template_is_built_once_and_copied(postgres_server: PostgresServer) -> None:
    built: list[str] = []

    def build(url: str) -> None:
        built.append(url)
        postgres.execute(_plain(url), "CREATE TABLE migrated (n int)")

    name = f"probe_{os.getpid()}"
    postgres_server.template(name, build)
    url = postgres_server.create_database(postgres_server.template(name, build))

    assert len(built) == 1
    assert _tables(url) == ["migrated"]
    postgres_server.drop_database(url)


def test_empty_database_is_postgresql_over_asyncpg(empty_postgres_url: str) -> None:
    assert empty_postgres_url.startswith("postgresql+asyncpg://")
    assert _tables(empty_postgres_url) == []


def test_both_backends_are_offered(backend: str, database_url: str) -> None:
    assert database_url.startswith(backend)


@pytest.mark.durability
def test_durable_cluster_has_fsync_on(durable_postgres_url: str) -> None:
    assert postgres.fetch(_plain(durable_postgres_url), "SHOW fsync")[0][0] == "on"


def test_private_cluster_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = postgres.run_folder()
    monkeypatch.setattr(postgres, "run_folder", lambda **_: folder)
    with postgres.private_cluster(fsync=False) as url:
        assert _tables(url) == []

    assert not folder.exists()


def test_cluster_ends_when_its_owner_is_killed() -> None:
    program = (
        "import os, sys, time\n"
        "from tests.support import postgres\n"
        "folder = postgres.run_folder()\n"
        "postgres.server_of_run(folder, os.getpid())\n"
        "print(folder, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
    owner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=postgres.ROOT, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    assert (folder / postgres.READY).exists()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()

    assert _gone(folder)


def _gone(folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not folder.exists()


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


def _tables(url: str) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return [row[0] for row in postgres.fetch(_plain(url), query)]
