"""The private cluster keeps its word: separate databases, both durabilities, nothing left behind."""

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.postgres import PostgresServer, database_of


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


TABLES = """
CREATE TABLE guarded (n int PRIMARY KEY, word text, twice int GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE beside (id int GENERATED ALWAYS AS IDENTITY, n int REFERENCES guarded);
CREATE TABLE empty (n int);
INSERT INTO guarded VALUES (1, 'one'), (2, NULL), (3, '');
INSERT INTO beside (n) VALUES (1), (2);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'kept'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def lent(postgres_server: PostgresServer) -> str:
    """The name of a template that has been lent once, which is when the next to be lent is read."""
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("of a server that others run nothing is lent")
    name = f"lent_{secrets.token_hex(4)}"
    template = postgres_server.template(name, lambda url: postgres.execute(_plain(url), TABLES))
    postgres_server.drop_database(postgres_server.lend_database(template))
    return template


def _held(url: str) -> list[list[tuple[object, ...]]]:
    """Return all that is in a database, and which number comes next."""
    tables = ("guarded", "beside", "empty")
    rows = postgres.rows_of_each(url, *((f"SELECT * FROM {table}",) for table in tables))
    return [*rows, *postgres.rows_of_each(url, ("SELECT last_value, is_called FROM beside_id_seq",))]


def test_database_that_was_used_is_lent_as_its_template_is(
    postgres_server: PostgresServer, lent: str, subtests: pytest.Subtests
) -> None:
    url = postgres_server.lend_database(lent)
    first = _held(url)
    for change in (
        "INSERT INTO guarded VALUES (4, 'four')",
        "UPDATE guarded SET word = 'other' WHERE n = 2",
        "DELETE FROM beside WHERE n = 1",
        "INSERT INTO empty VALUES (1), (2)",
        "SELECT nextval('beside_id_seq')",
        "UPDATE guarded SET word = 'other'; DELETE FROM beside; INSERT INTO beside (n) VALUES (3)",
        "DELETE FROM beside WHERE n = 1; INSERT INTO beside (n) VALUES (1)",
        "SELECT 1",
    ):
        for statement in change.split("; "):
            postgres.rows_of_each(url, (statement,))
        postgres_server.drop_database(url)

        with subtests.test(change):
            assert postgres_server.lend_database(lent) == url
            assert [sorted(map(str, rows)) for rows in _held(url)] == [sorted(map(str, rows)) for rows in first]
    postgres_server.drop_database(url)


def test_database_of_another_shape_is_lent_to_nobody(
    postgres_server: PostgresServer, lent: str, subtests: pytest.Subtests
) -> None:
    for change in (
        "ALTER TABLE guarded DISABLE TRIGGER ALL",
        "DROP TRIGGER refuse ON guarded",
        "ALTER TABLE guarded ADD COLUMN more int",
        "ALTER TABLE empty ALTER COLUMN n SET NOT NULL",
        "ALTER TABLE beside DROP CONSTRAINT beside_n_fkey",
        "ALTER TABLE empty ALTER COLUMN n SET DEFAULT 7",
        "CREATE TABLE another (n int)",
        "DROP TABLE empty",
        "TRUNCATE beside",
        "CREATE INDEX found ON beside (n)",
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        "CREATE SCHEMA other",
        "GRANT SELECT ON guarded TO public",
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET work_mem = 1000'; END $$",
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' CONNECTION LIMIT 5'; END $$",
    ):
        url = postgres_server.lend_database(lent)
        postgres.rows_of_each(url, (change,))
        postgres_server.drop_database(url)

        with subtests.test(change):
            another = postgres_server.lend_database(lent)
            assert database_of(another) != database_of(url)
            postgres_server.drop_database(another)


STAYS = """
import asyncio, sys, asyncpg

async def stay():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute("BEGIN; LOCK TABLE guarded")
    print("in", flush=True)
    await asyncio.sleep(600)

asyncio.run(stay())
"""
_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"


def test_database_that_is_taken_back_has_nobody_left_in_it(postgres_server: PostgresServer, lent: str) -> None:
    url = postgres_server.lend_database(lent)
    postgres.rows_of_each(url, ("SET statement_timeout = 7777",), ("LISTEN told",), ("SELECT pg_advisory_lock(7)",))
    with subprocess.Popen(
        [sys.executable, "-c", STAYS, _plain(url)], stdout=subprocess.PIPE, cwd=postgres.ROOT
    ) as other:
        assert other.stdout is not None
        began = other.stdout.readline()
        postgres_server.drop_database(url)
        ((left,),) = postgres.rows_of_each(url, (_OTHERS,))[0]
        other.kill()

    assert (began, left) == (b"in\n", 0)
    assert postgres_server.lend_database(lent) == url
    asked = ("SHOW statement_timeout", "SELECT count(*) FROM pg_listening_channels()", _HELD)
    assert postgres.rows_of_each(url, *((each,) for each in asked)) == [[("0",)], [(0,)], [(0,)]]
    postgres_server.drop_database(url)


def test_database_that_is_dropped_twice_is_lent_once(postgres_server: PostgresServer, lent: str) -> None:
    url = postgres_server.lend_database(lent)
    postgres_server.drop_database(url)
    postgres_server.drop_database(url)

    both = [postgres_server.lend_database(lent) for _ in range(2)]
    assert both[0] == url != both[1]
    for each in both:
        postgres_server.drop_database(each)


def test_database_where_a_role_was_given_anything_is_dropped(postgres_server: PostgresServer, lent: str) -> None:
    url, role = postgres_server.lend_database(lent), f"role_{secrets.token_hex(4)}"
    postgres.execute(_plain(url), f"CREATE ROLE {role}")
    postgres.execute(_plain(url), f"GRANT SELECT ON guarded TO {role}")
    postgres_server.drop_database(url)

    postgres.execute(postgres_server.admin_url, f"DROP ROLE {role}")


def test_database_that_was_a_template_is_lent_to_nobody_any_more(postgres_server: PostgresServer, lent: str) -> None:
    """A world in which something was done is lent itself, and its copies too."""
    lived = postgres_server.lend_database(lent)
    copies = [postgres_server.lend_database(database_of(lived)) for _ in range(2)]
    for url in (*copies, lived):
        postgres_server.drop_database(url)

    assert postgres_server.lend_database(lent) == lived
    another = postgres_server.lend_database(database_of(lived))
    assert another not in copies
    names = [row[0] for row in postgres.fetch(postgres_server.admin_url, "SELECT datname FROM pg_database")]
    assert not {database_of(url) for url in copies} & set(names)
    for url in (another, lived):
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
