"""Expand, deploy, contract: a revision only adds, or raises the floor, and what is below the floor does not run."""

import asyncio
import itertools
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, NullPool, create_engine, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from exchange.kernel import UnavailableError
from exchange.store import Store, head, migrate, revision, schema_state
from exchange.store.database import schema
from exchange.store.database.engine import checked_url, new_engine
from exchange.store.dumping import Replay, Since, dumped, load
from tests.support.store import NOW, open_store, rows_of

_FIRST = "0019"
"""The revision since which versions work with newer databases."""


@dataclass(frozen=True)
class Shape:
    """What of a schema an older version leans on: columns and what they take, and what rows must keep."""

    columns: dict[tuple[str, str], str]
    must_be_given: frozenset[tuple[str, str]]
    constraints: Mapping[str, frozenset[str]]
    floor: str | None

    def breaks(self, before: "Shape") -> list[str]:
        """Return what a version that knows the schema `before` stumbles over in this one."""
        changed = [f"{where} changed" for where, kind in before.columns.items() if self.columns.get(where) != kind]
        tables = {table for table, _ in before.columns}
        needed = self.must_be_given - before.must_be_given
        asked = [f"{where} must be given" for where in sorted(needed) if where[0] in tables]
        held = [
            f"{table} keeps {sorted(self.constraints.get(table, frozenset()) ^ known)}"
            for table, known in before.constraints.items()
            if self.constraints.get(table, frozenset()) != known
        ]
        return changed + asked + held


def shape_of(connection: Connection) -> Shape:
    # Of all tables at once: PostgreSQL was asked seven questions a table.
    found = inspect(connection)
    columns, needed = {}, set()
    for (_, table), there in found.get_multi_columns().items():
        for column in there:
            columns[table, column["name"]] = str(column["type"])
            if not column["nullable"] and column["default"] is None and column.get("autoincrement") is not True:
                needed.add((table, column["name"]))
    has_floor = found.has_table("schema_floor")
    floor = connection.scalar(text("SELECT revision FROM schema_floor")) if has_floor else None
    return Shape(columns, frozenset(needed), _constraints(found), floor)


def _constraints(found: Inspector) -> dict[str, frozenset[str]]:
    kept: dict[str, set[str]] = {table: set() for table in found.get_table_names()}
    for (_, table), indexes in found.get_multi_indexes().items():
        kept[table] |= {f"unique {index['column_names']}" for index in indexes if index["unique"]}
    for (_, table), uniques in found.get_multi_unique_constraints().items():
        kept[table] |= {f"unique {unique['column_names']}" for unique in uniques}
    for (_, table), checks in found.get_multi_check_constraints().items():
        kept[table] |= {check["sqltext"] for check in checks}
    for (_, table), keys in found.get_multi_foreign_keys().items():
        kept[table] |= {f"{key['constrained_columns']} -> {key['referred_table']}" for key in keys}
    for (_, table), primary in found.get_multi_pk_constraint().items():
        kept[table].add(f"primary {primary['constrained_columns'] if primary else []}")
    return {table: frozenset(told) for table, told in kept.items()}


async def shapes_of(url: str) -> list[tuple[str, Shape]]:
    """Migrate revision by revision and return the shape at each, from the first that matters on."""
    script = ScriptDirectory(str(schema._MIGRATIONS))
    numbers = [found.revision for found in reversed(list(script.walk_revisions()))]
    engine = new_engine(checked_url(url), wait_seconds=5, may_create=True)

    # A file is looked at without the thread behind which it is written: SQLite is asked some questions a table.
    beside = (
        create_engine(f"sqlite:///{engine.url.database}", poolclass=NullPool)
        if engine.dialect.name == "sqlite"
        else None
    )
    found = []
    for number in numbers[numbers.index(_FIRST) - 1 :]:
        await migrated_to(engine, number)
        if beside is None:
            async with engine.connect() as connection:
                found.append((number, await connection.run_sync(shape_of)))
        else:
            with beside.connect() as looking:
                found.append((number, shape_of(looking)))
    await engine.dispose()
    return found


async def test_every_revision_only_adds_or_raises_the_floor(database_url: str) -> None:
    steps = await shapes_of(database_url)

    assert [number for number, _ in steps][:2] == [f"{int(_FIRST) - 1:04}", _FIRST]
    for (_, before), (number, after) in itertools.pairwise(steps):
        breaks = after.breaks(before)
        assert not breaks or after.floor == number, (number, breaks)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE member RENAME COLUMN name TO title", "('member', 'name') changed"),
        ("DROP TABLE rate_bucket", "('rate_bucket', 'client') changed"),
        ("CREATE UNIQUE INDEX one_name ON member (name)", "member keeps [\"unique ['name']\"]"),
    ],
)
async def test_what_an_older_version_would_stumble_over_is_seen(store: Store, change: str, told: str) -> None:
    engine = store._engine
    async with engine.begin() as connection:
        before = await connection.run_sync(shape_of)
    await rows_of(store, change)
    async with engine.begin() as connection:
        after = await connection.run_sync(shape_of)

    assert told in after.breaks(before)


def test_column_that_an_older_version_would_not_give_is_seen() -> None:
    before = Shape({("member", "name"): "VARCHAR"}, frozenset(), {}, None)
    columns = before.columns | {("member", "later"): "INTEGER", ("later", "id"): "VARCHAR"}
    after = Shape(columns, frozenset({("member", "later"), ("later", "id")}), {"later": frozenset()}, None)

    assert after.breaks(before) == ["('member', 'later') must be given"]


async def newer_by(store: Store, floor: str) -> None:
    await rows_of(store, "UPDATE alembic_version SET version_num = '9001'")
    await rows_of(store, f"UPDATE schema_floor SET revision = '{floor}'")


async def test_schema_that_only_grew_is_worked_with_and_left_alone(store: Store, store_url: str) -> None:
    await newer_by(store, head())

    opened = await open_store(store_url)
    await opened.close()
    assert (await migrate(store_url)).reached == await revision(store_url) == "9001"
    found = await schema_state(store_url)
    assert found is not None
    assert found.is_newer
    assert found.is_workable


async def test_older_version_s_migration_gives_no_rights(empty_postgres_url: str) -> None:
    await migrate(empty_postgres_url)
    store = await open_store(empty_postgres_url)
    await newer_by(store, head())
    await rows_of(store, "CREATE TABLE later (id TEXT)")
    await migrate(empty_postgres_url)
    found = await rows_of(store, "SELECT has_table_privilege('exchange_service', 'later', 'DELETE')")
    await store.close()

    assert found == [(False,)]


async def test_version_below_the_floor_is_refused_with_the_mend(store: Store, store_url: str) -> None:
    await newer_by(store, "9000")

    for refused in (open_store(store_url), migrate(store_url)):
        with pytest.raises(UnavailableError, match=r"`9001`.*run a version at `9000` or newer"):
            await refused


async def test_newer_schema_that_does_not_say_is_refused(store: Store, store_url: str) -> None:
    await rows_of(store, "UPDATE alembic_version SET version_num = '9001'")
    await rows_of(store, "DROP TABLE schema_floor")

    with pytest.raises(UnavailableError, match="run a version at `9001` or newer"):
        await open_store(store_url)


async def test_newer_schema_whose_floor_is_lost_is_refused(store: Store, store_url: str) -> None:
    await rows_of(store, "UPDATE alembic_version SET version_num = '9001'")
    await rows_of(store, "DELETE FROM schema_floor")

    with pytest.raises(UnavailableError, match="9001"):
        await open_store(store_url)


async def test_restored_database_keeps_its_own_floor(store: Store, store_url: str, database_url: str) -> None:
    await rows_of(store, "UPDATE schema_floor SET revision = '0001'")
    rows = [found async for found in dumped(store_url)]
    if store_url == database_url:
        database_url = database_url.replace("exchange.db", "another.db")
    await load(database_url, iter(rows), Since("restored", Replay({}, ()), ()), clock=lambda: NOW)

    found = await schema_state(database_url)
    assert found is not None
    assert found.floor == "0019"


async def test_older_schema_is_refused_with_the_mend(store: Store, store_url: str) -> None:
    await rows_of(store, "UPDATE alembic_version SET version_num = '0016'")

    with pytest.raises(UnavailableError, match=r"`0016`.*exchange migrate"):
        await open_store(store_url)


async def test_nodes_of_several_threads_take_turns(database_url: str) -> None:
    done = await asyncio.gather(*(asyncio.to_thread(asyncio.run, migrate(database_url)) for _ in range(3)))

    assert [each.reached for each in done] == [head()] * 3
    opened = await open_store(database_url)
    assert await rows_of(opened, "SELECT count(*) FROM policy_state") == [(1,)]
    await opened.close()


async def migrated_to(engine: AsyncEngine, number: str) -> None:
    def step(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, number)

    async with engine.begin() as connection:
        await connection.run_sync(step)


async def test_migration_that_waits_for_a_backup_lets_the_service_go_on(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one that waits for a table everybody waits: 0031 alters the one that is read here."""
    monkeypatch.setattr(schema, "_WAIT_SECONDS", 1.0)
    monkeypatch.setattr(schema, "_PAUSE_SECONDS", 0.1)
    engine = new_engine(checked_url(empty_postgres_url), wait_seconds=5)
    await migrated_to(engine, "0030")
    look = text("SELECT count(*) FROM report_part")

    async with engine.connect() as backup:
        await backup.execute(look)
        migrating = asyncio.create_task(migrate(empty_postgres_url))
        async with engine.connect() as service:
            for _ in range(5):
                await asyncio.wait_for(service.execute(look), 10)
                await service.rollback()
                await asyncio.sleep(0.1)
        with pytest.raises(UnavailableError, match="nothing was changed, and the service goes on"):
            await asyncio.wait_for(migrating, 30)

    assert await revision(empty_postgres_url) == "0030"
    assert (await migrate(empty_postgres_url)).reached == head()
    await engine.dispose()


async def test_reports_from_before_the_first_release_are_refused_in_words_and_left(tmp_path: Path) -> None:
    file = tmp_path / "exchange.db"
    engine = new_engine(checked_url(f"sqlite+aiosqlite:///{file}"), wait_seconds=5, may_create=True)
    await migrated_to(engine, "0003")
    await engine.dispose()
    with closing(sqlite3.connect(file)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(report)")]
        database.execute(f"INSERT INTO report VALUES ({', '.join('1' for _ in columns)})")

    with pytest.raises(UnavailableError, match="from before the first release"):
        await migrate(f"sqlite+aiosqlite:///{file}")

    assert await revision(f"sqlite+aiosqlite:///{file}") == "0003"
