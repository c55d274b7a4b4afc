"""The schema: what the tables say and what the migrations make are one, however often and by whomever they run."""

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text
from sqlmodel import SQLModel

from exchange.kernel import UnavailableError, UnsafeSettingError, from_micros
from exchange.kernel.timekeeping import Timekeeping
from exchange.store import Migrated, OutgrownError, Store, head, migrate, revision
from exchange.store.database import schema
from exchange.store.database.engine import checked_url, new_engine
from exchange.store.tables.log_tables import LogStateTable
from exchange.store.tables.main_tables import table
from tests.support.store import open_store, rows_of


async def test_migrated_schema_is_what_the_tables_say(store_url: str) -> None:
    def is_comparable(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        # An index on an expression: SQLite does not tell of it, PostgreSQL in words of its own. That walks follow it
        # is asked in `test_searching.py`.
        return (kind, name) != ("index", "audit_search_owner_member_facet")

    def difference(connection: Connection) -> list[object]:
        opts = {"compare_type": True, "compare_server_default": True, "include_object": is_comparable}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, SQLModel.metadata))

    engine = new_engine(checked_url(store_url), wait_seconds=5)
    async with engine.connect() as connection:
        found = await connection.run_sync(difference)
    await engine.dispose()

    assert found == []


def test_whatever_has_an_id_is_found_by_it_along_an_index() -> None:
    by_id = [each for each in table("report").metadata.sorted_tables if "id" in each.c]
    begins = {
        (each.name, next(iter(keys)).name)
        for each in by_id
        for keys in (each.primary_key.columns, *(index.columns for index in each.indexes))
    }

    assert [each.name for each in by_id if (each.name, "id") not in begins] == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_nothing_that_hardly_gives_way_is_compressed(store: Store) -> None:
    as_it_is = "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attstorage = 'e' AND attnum > 0"

    kept = {tuple(row) for row in await rows_of(store, as_it_is)}
    ciphertexts = {("report", "sealed_header"), ("report_part", "ciphertext")}
    assert kept >= {*ciphertexts, ("log_tile", "hashes"), ("audit_entry", "content")}


async def test_migrating_again_changes_nothing(store: Store, store_url: str) -> None:
    before = await rows_of(store, "SELECT * FROM policy_state")

    assert await migrate(store_url) == Migrated(head(), head())
    assert await rows_of(store, "SELECT * FROM policy_state") == before


async def test_index_over_the_log_that_was_made_before_the_upgrade_is_left(store: Store, store_url: str) -> None:
    """Whoever makes it in the upgrade keeps everybody from recording meanwhile."""

    def upgrade(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            ScriptDirectory(str(schema._MIGRATIONS)).get_revision("0055").module.upgrade()

    engine = new_engine(checked_url(store_url), wait_seconds=5)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()

    assert await store.log.about_holds() == []


async def test_head_is_what_alembic_says_and_what_migrating_leaves(store: Store, store_url: str) -> None:
    assert head() == ScriptDirectory(str(schema._MIGRATIONS)).get_current_head()
    assert await revision(store_url) == head()


def test_head_is_the_last_migration_by_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", tmp_path)
    (tmp_path / "versions").mkdir()
    for name in ("0002_b.py", "0010_a.py", "0009_c.py", "0011_draft.txt", "notes.py"):
        (tmp_path / "versions" / name).touch()

    assert head.__wrapped__() == "0010"


def test_installation_without_migrations_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schema, "_MIGRATIONS", tmp_path)

    with pytest.raises(UnavailableError, match="no migrations"):
        head.__wrapped__()


_SIGNED = {"log": 1, "origin": "x", "keys": "x", "began_at": 1, "size": 0, "root": b"", "signed_at": 17, "note": b"x"}


async def test_upgraded_exchange_holds_its_clock_against_what_was_signed_last(store: Store, store_url: str) -> None:
    """Else whatever the clock says at the first look after the upgrade would be believed."""

    def upgrade(connection: Connection) -> None:
        connection.execute(text("DROP TABLE timekeeping"))
        connection.execute(insert(LogStateTable), _SIGNED)
        with Operations.context(MigrationContext.configure(connection)):
            ScriptDirectory(str(schema._MIGRATIONS)).get_revision("0035").module.upgrade()

    engine = new_engine(checked_url(store_url), wait_seconds=5)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()

    assert await store.time.kept() == Timekeeping(from_micros(17))


async def test_empty_database_is_refused_with_the_mend(database_url: str) -> None:
    assert await revision(database_url) is None
    with pytest.raises(UnavailableError, match="exchange migrate"):
        await open_store(database_url)


async def test_missing_file_is_called_missing_and_not_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is missing: put it back"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path}/gone.db")

    assert modes_in(tmp_path) == set()


async def test_asking_for_the_revision_makes_no_file(tmp_path: Path) -> None:
    assert await revision(f"sqlite+aiosqlite:///{tmp_path}/none.db") is None
    assert modes_in(tmp_path) == set()


async def test_database_file_is_its_user_s_alone(tmp_path: Path) -> None:
    await migrate(f"sqlite+aiosqlite:///{tmp_path}/exchange.db")

    assert modes_in(tmp_path) == {0o600}


def modes_in(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "url", ["sqlite:///file.db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "mysql+aiomysql://host/name"]
)
async def test_database_that_keeps_nothing_safe_is_refused(url: str) -> None:
    with pytest.raises(UnsafeSettingError):
        await open_store(url)


async def test_folder_that_is_missing_is_named_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        await migrate(f"sqlite+aiosqlite:///{tmp_path}/no/such/exchange.db")


@pytest.mark.parametrize(("revision", "floor", "is_outgrown"), [("9001", "0000", False), ("9001", "9001", True)])
async def test_store_that_a_newer_version_made_its_own_meanwhile_reads_nothing_more(
    store: Store, store_url: str, revision: str, floor: str, *, is_outgrown: bool
) -> None:
    await rows_of(store, f"UPDATE alembic_version SET version_num = '{revision}'")
    await rows_of(store, f"UPDATE schema_floor SET revision = '{floor}'")
    await store.look_at_schema()

    assert store.lineage.has_ended.is_set() is is_outgrown
    if not is_outgrown:
        await store.caller("")
        return
    for _ in range(2):
        with pytest.raises(OutgrownError, match="run a version at `9001` or newer"):
            await store.caller("")
    # Nor does what is begun anew.
    with pytest.raises(OutgrownError, match="run a version at `9001` or newer"):
        await open_store(store_url)
