"""The archiver: an entry is in the database until it is known to be in the archive, and every proof outlives its move."""

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.audit import Criteria, parse_entry
from exchange.audit.tile_paths import BundlePath
from exchange.audit.verify import Step
from exchange.kernel import ConflictError, UnavailableError, UnsafeSettingError
from exchange.store import Store
from exchange.store.books.personal_keys import PersonalCustody
from exchange.store.dumping import Replay, Since, load
from exchange.store.log.alert_reader import ALERT_COLUMNS
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.archiving import LogArchiving, Moved
from exchange.store.log.blobs import BlobsAwayError
from exchange.store.log.searching import Sought
from exchange.usecases.log.sweep_log import Sweep
from exchange.usecases.steps.sealed_headers import UNOPENED
from exchange.usecases.upkeep.backups import backup_lines
from exchange.usecases.upkeep.backups import rows_of as rows_in
from tests.support.archived_log import DAYS, LATER, archive_all, archive_at, archiver, kept, reading, verified
from tests.support.log import Log, check_log
from tests.support.store import NODE_KEY, NOW, draft, open_store, rows_of, wrap_nothing

FIRST_BUNDLE = "exchange.example/log/1/tile/entries/000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def test_old_bundles_move_and_everything_about_them_is_as_before(old: Log, folder: Path) -> None:
    before = await old.store.log.contents(1, 0, 520)

    assert await archive_all(old, folder) == 512

    assert await kept(old) == 8
    async with reading(old, folder) as store:
        assert await store.log.contents(1, 0, 520) == before
        assert await store.log.bundle(1, BundlePath(0)) == before[:256]
        assert await store.log.contents(1, 250, 260) == before[250:260]
        assert [each.leaf_hash for each in await store.log.placed(1, 0, 520)] == await store.log.leaf_hashes(1, 0, 520)
        entry_id = parse_entry(before[3])["id"]
        assert await store.entry(entry_id) == before[3]
        found = [hit async for hits in store.found_entries(Sought(Criteria(), None), at_a_time=100) for hit in hits]
        assert len(found) == 520
        assert {hit.content for hit in found} == set(before)
    assert (await verified(old, folder)).is_sound


async def test_what_moved_is_on_the_record_before_it_is_gone(old: Log, folder: Path) -> None:
    await archive_all(old, folder)

    (told,) = [entry for entry in map(parse_entry, await old.store.entries(600)) if entry["type"] == "tiles.archived"]
    moved = await rows_of(old.store, "SELECT idx, location, entry_id FROM log_archive ORDER BY idx")
    assert moved == [(0, FIRST_BUNDLE, told["id"]), (1, FIRST_BUNDLE[:-1] + "1", told["id"])]
    detail = told["detail"]
    assert (detail["first"], detail["count"], detail["archive"]) == (0, 512, folder.as_uri())
    digest = hashlib.sha256((folder / FIRST_BUNDLE).read_bytes()).hexdigest()
    assert detail["bundles"][0] == f"{FIRST_BUNDLE} {digest}"


async def test_backup_of_a_log_whose_beginning_moved_is_restored(
    old: Log, folder: Path, unused_urls: list[str]
) -> None:
    before = await old.store.log.contents(1, 0, 520)
    await archive_all(old, folder)
    lines = [line async for line in backup_lines(old.url, node="test", clock=old.clock, files={})]
    # As a database gives rows: in no order that anybody may count on.
    records = [(name, columns, some[::-1]) for name, columns, some in rows_in(lines)]

    for url in unused_urls:
        await load(url, iter(records), Since("restored", Replay(), ()), clock=old.clock)
        store = await open_store(url, archive=archive_at(folder))
        assert await store.log.contents(1, 0, 520) == before
        await store.close()


async def test_log_goes_on_after_its_beginning_moved(old: Log, folder: Path) -> None:
    await archive_all(old, folder)
    sequencer = await old.sequencer()
    await old.append(600)
    await old.drain(sequencer)

    # Another node's own folder: it would go with that node's disk.
    with pytest.raises(UnavailableError, match="001`, which was moved before, so nothing more is moved"):
        await archive_all(old, folder.with_name("another"))
    assert await archive_all(old, folder) == 512
    assert await archive_all(old, folder) == 0
    sweep = Sweep(old.trees[0], old.store.append, old.clock, os.urandom)
    while await sweep.chunk():
        continue
    async with reading(old, folder) as store:
        whole = Log(old.url, old.folder, store, old.key)
        await check_log(whole, complete=False)
    assert "entry.swept" not in await old.events()


@pytest.mark.parametrize(("now", "moved"), [(NOW + DAYS, 0), (NOW + DAYS + timedelta(milliseconds=1), 512)])
async def test_bundle_moves_when_its_newest_entry_is_older_than_the_age(
    old: Log, folder: Path, now: datetime, moved: int
) -> None:
    assert await archive_all(old, folder, now=now) == moved
    assert await kept(old) == 520 - moved


async def test_one_young_entry_keeps_its_bundle_and_all_behind_it(log: Log, folder: Path) -> None:
    sequencer = await log.sequencer()
    await log.append(300)
    await log.drain(sequencer)
    clock = {"clock": lambda: LATER, "personal": PersonalCustody(wrap_nothing, bytes(32))}
    young = await Store.open(log.url, node="n", randomness=os.urandom, identity=NODE_KEY, **clock)
    await young.append(draft(at=LATER))
    await young.close()
    await log.append(400)
    await log.drain(sequencer)

    assert await archive_all(log, folder) == 256
    assert await archive_all(log, folder) == 0
    assert await archive_all(log, folder, now=LATER + DAYS + timedelta(days=1)) == 256


async def test_dry_look_moves_nothing(old: Log, folder: Path) -> None:
    async with archiver(old, folder) as working:
        (due,) = await working.due()

    assert (due.first, due.stop, due.entries) == (0, 2, 512)
    assert await kept(old) == 520
    assert not folder.exists()  # noqa: ASYNC240


async def test_legal_hold_moves_nothing(old: Log, folder: Path) -> None:
    async def held() -> bool:
        return True

    with pytest.raises(ConflictError, match="legal hold"):
        await archive_all(old, folder, is_held=held)

    assert await kept(old) == 520
    assert not folder.exists()  # noqa: ASYNC240


async def test_frozen_log_keeps_everything(old: Log, folder: Path) -> None:
    await (await old.desk()).tree.freeze(1, at=1, why="it contradicts itself")

    assert await archive_all(old, folder) == 0


class Killed(BaseException):
    """Stands for the end of the process at one place."""


def dies(*_: object, **__: object) -> Any:
    raise Killed


@pytest.mark.parametrize("where", ["add", "read", "record", "let_go", "delete"])
async def test_killed_anywhere_nothing_is_lost_and_the_next_one_finishes(
    old: Log, folder: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await old.store.log.contents(1, 0, 520)
    with monkeypatch.context() as patch:
        owner, name = {
            "add": (BundleArchive, "add"),
            "read": (BundleArchive, "read"),
            "record": (BundleArchive, "none"),
            "let_go": (LogArchiving, "let_go"),
            "delete": (LogArchiving, "_letting_go"),
        }[where]
        if where == "delete":
            whole = LogArchiving._letting_go

            def half(self: LogArchiving, moved: list[Moved]) -> Any:
                steps = whole(self, moved)
                gone = yield next(steps)
                yield steps.send(gone)
                raise Killed  # with both statements done, and no commit

            patch.setattr(owner, name, half)
        elif where != "record":
            patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            await archive_all(old, folder, **({"record": dies} if where == "record" else {}))

    assert await rows_of(old.store, "SELECT * FROM log_archive") == []
    assert await old.store.log.contents(1, 0, 520) == before
    # As a process leaves it that is killed while it writes.
    (folder / FIRST_BUNDLE).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{FIRST_BUNDLE}#1").write_bytes(b"half of it")
    assert await archive_all(old, folder) == 512
    assert files(folder) == ["000", "001"]
    async with reading(old, folder) as store:
        assert await store.log.contents(1, 0, 520) == before


async def test_two_archivers_at_once_move_each_bundle_once(old: Log, folder: Path) -> None:
    await asyncio.gather(archive_all(old, folder), archive_all(old, folder))

    assert await rows_of(old.store, "SELECT idx FROM log_archive ORDER BY idx") == [(0,), (1,)]
    assert await kept(old) == 8


async def test_another_thing_under_the_name_stops_the_move(old: Log, folder: Path) -> None:
    (folder / FIRST_BUNDLE).parent.mkdir(parents=True)
    (folder / FIRST_BUNDLE).write_bytes(b"another thing")

    with pytest.raises(LogDamagedError, match="holds something else"):
        await archive_all(old, folder)
    assert (folder / FIRST_BUNDLE).read_bytes() == b"another thing"
    assert await kept(old) == 520


async def test_changed_entry_never_moves(old: Log, folder: Path) -> None:
    ((entry,),) = await rows_of(old.store, "SELECT entry_id FROM log_leaf WHERE position = 7")
    changed = "X'7b7d'" if old.url.startswith("sqlite") else "'{}'::bytea"
    await without_guards(old, f"UPDATE audit_entry SET content = {changed} WHERE id = '{entry}'")

    with pytest.raises(LogDamagedError, match="entry 7 is not what is in the tree"):
        await archive_all(old, folder)
    assert await kept(old) == 520


async def test_tile_that_is_not_of_its_entries_keeps_them_from_moving(old: Log, folder: Path) -> None:
    other = "(SELECT hashes FROM log_tile WHERE level = 0 AND idx = 1)"
    await without_guards(old, f"UPDATE log_tile SET hashes = {other} WHERE level = 0 AND idx = 0", of="log_tile")

    with pytest.raises(LogDamagedError, match="`tile/entries/000` is not what is in the tree"):
        await archive_all(old, folder)
    assert await kept(old) == 520


async def test_move_that_the_database_refuses_is_none_where_nobody_else_made_it(
    old: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object) -> None:
        raise ConflictError("refused")

    monkeypatch.setattr(LogArchiving, "let_go", refuses)
    with pytest.raises(ConflictError):
        await archive_all(old, folder)
    assert await kept(old) == 520


async def without_guards(log: Log, statement: str, *, of: str = "audit_entry") -> None:
    """Do as the database's owner can."""
    async with log.store._engine.begin() as connection:
        if log.url.startswith("sqlite"):
            await connection.exec_driver_sql(f"DROP TRIGGER {of}_no_update")
        else:
            await connection.exec_driver_sql("SET session_replication_role = replica")
        await connection.exec_driver_sql(statement)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("tamper", [change, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
async def test_tampered_archive_is_named_and_only_its_entries_are_away(
    old: Log, folder: Path, tamper: Callable[[Path], object]
) -> None:
    first, second = await old.store.log.contents(1, 0, 1), await old.store.log.contents(1, 256, 520)
    await archive_all(old, folder)
    tamper(folder / FIRST_BUNDLE)

    async with reading(old, folder) as store:
        with pytest.raises(UnavailableError, match="tile/entries/000"):
            await store.log.contents(1, 0, 1)
        with pytest.raises(UnavailableError):
            await store.entry(parse_entry(first[0])["id"])
        assert await store.log.contents(1, 256, 520) == second
    verification = await verified(old, folder)
    (finding,) = [each for each in verification.findings if each.step is Step.TREE]
    assert (finding.place, finding.position) == ("tile/entries/000", 0)
    assert FIRST_BUNDLE in finding.why


async def test_damaged_bundle_is_read_once_however_many_of_its_entries_are_sought(
    old: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = await old.store.log.contents(1, 256, 520)
    await archive_all(old, folder)
    change(folder / FIRST_BUNDLE)
    read, locations = BundleArchive.read, list[str]()

    async def counted(archive: BundleArchive, location: str) -> bytes:
        locations.append(location)
        return await read(archive, location)

    monkeypatch.setattr(BundleArchive, "read", counted)
    async with reading(old, folder) as store:
        assert await store.log.whole_at(1, range(520)) == contents

    assert locations.count(FIRST_BUNDLE) == 1
    assert len(locations) == 2


async def test_bundle_that_is_larger_than_any_is_not_read(old: Log, folder: Path) -> None:
    await archive_all(old, folder)
    os.truncate(folder / FIRST_BUNDLE, 256 << 20)
    async with reading(old, folder) as store:
        tracemalloc.start()
        with pytest.raises(LogDamagedError, match="no bundle is so large"):
            await store.log.contents(1, 0, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 16 << 20


async def test_archive_and_digest_changed_alike_are_found_by_the_tree(old: Log, folder: Path) -> None:
    await archive_all(old, folder)
    change(folder / FIRST_BUNDLE)
    digest = hashlib.sha256((folder / FIRST_BUNDLE).read_bytes()).hexdigest()
    literal = f"X'{digest}'" if old.url.startswith("sqlite") else rf"'\x{digest}'::bytea"
    if old.url.startswith("sqlite"):
        await rows_of(old.store, "DROP TRIGGER log_archive_no_update")
    else:
        await rows_of(old.store, "ALTER TABLE log_archive DISABLE TRIGGER log_archive_keep")
    await rows_of(old.store, f"UPDATE log_archive SET digest = {literal} WHERE idx = 0")

    async with reading(old, folder) as store:
        with pytest.raises(LogDamagedError, match="leaf hashes"):
            await store.log.contents(1, 0, 1)
    finding = next(each for each in (await verified(old, folder)).findings if each.step is Step.TREE)
    assert (finding.place, finding.position) == ("entry 0", 0)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["'x'", "7"])
@pytest.mark.parametrize(("name", "column"), [("log_archive", "digest"), ("log_leaf", "leaf_hash")])
async def test_what_is_no_hash_accuses_the_bundle(old: Log, folder: Path, name: str, column: str, value: str) -> None:
    await archive_all(old, folder)
    await rows_of(old.store, f"DROP TRIGGER {name}_no_update")
    await rows_of(old.store, f"UPDATE {name} SET {column} = {value}")

    async with reading(old, folder) as store:
        with pytest.raises(LogDamagedError, match="was changed"):
            await store.log.contents(1, 0, 1)


async def test_alert_is_shown_when_its_entry_moved(old: Log, folder: Path) -> None:
    (before,) = await old.store.log.contents(1, 9, 10)
    entry_id = parse_entry(before)["id"]
    said = f"1, 'a', 'pulls', 'mass-pulls', 'high', 'client', 'c', NULL, NULL, 1, '{entry_id}', '[]'"
    await rows_of(old.store, f"INSERT INTO alert ({', '.join(ALERT_COLUMNS)}) VALUES ({said})")
    await archive_all(old, folder)

    async with reading(old, folder) as store:
        ((alert, content),) = await store.alerts.page(after=0, limit=9, rule=None, member=None)
    assert (alert.entry_id, content) == (entry_id, before)
    (folder / FIRST_BUNDLE).unlink()
    async with reading(old, folder) as store:
        with pytest.raises(UnavailableError, match="it is not there"):
            await store.alerts.page(after=0, limit=9, rule=None, member=None)


async def test_bundle_that_an_operator_gives_up_is_damaged_and_away_no_more(old: Log, folder: Path) -> None:
    """An empty file in its place says that it does not come back: nothing waits for it any more."""
    await archive_all(old, folder)
    for path in (folder / FIRST_BUNDLE).parent.iterdir():
        path.write_bytes(b"")

    async with reading(old, folder) as store:
        with pytest.raises(LogDamagedError, match=FIRST_BUNDLE):
            await store.log.contents(1, 0, 1)
    assert await archive_all(old, folder) == 0


async def test_bundle_that_is_gone_is_no_damage_to_a_report(old: Log, folder: Path) -> None:
    """A report that was recalled is known by the log alone: nobody is told that its row was altered meanwhile."""
    await archive_all(old, folder)
    (folder / FIRST_BUNDLE).unlink()

    async with reading(old, folder) as store:
        with pytest.raises(UnavailableError, match="it is not there") as gone:
            await store.log.contents(1, 0, 1)
    assert not isinstance(gone.value, UNOPENED)
    assert gone.value.told == "the archive is away at the moment: try again later"


@pytest.mark.parametrize("tamper", [change, Path.unlink])
async def test_bundle_that_is_damaged_or_gone_takes_none_of_the_others_from_who_asks_by_name(
    old: Log, folder: Path, tamper: Callable[[Path], object]
) -> None:
    contents = await old.store.log.contents(1, 255, 257) + await old.store.log.contents(1, 519, 520)
    ids = [parse_entry(each)["id"] for each in contents]
    await archive_all(old, folder)

    async with reading(old, folder) as store:
        assert await store.log.contents_named([*ids, "x"]) == dict(zip(ids, contents, strict=True))
    tamper(folder / FIRST_BUNDLE)
    async with reading(old, folder) as store:
        assert await store.log.contents_named(ids) == dict(zip(ids, [None, *contents[1:]], strict=True))


async def test_archive_that_does_not_answer_is_asked_once_for_all_that_is_sought_by_name(
    old: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer may be waited for for half a minute: a page of what is old would take an hour."""
    contents = await old.store.log.contents(1, 255, 257)
    await archive_all(old, folder)
    asked: list[str] = []

    async def away(_: BundleArchive, location: str) -> bytes:
        asked.append(location)
        raise BlobsAwayError("the archive does not answer")

    monkeypatch.setattr(BundleArchive, "read", away)
    async with reading(old, folder) as store:
        told = await store.log.contents_named([parse_entry(each)["id"] for each in contents])

    assert (list(told.values()), len(asked)) == ([None, None], 1)


@pytest.mark.parametrize("index", [str(2**63 - 1), "2", "-5", "'x'"])
async def test_row_of_a_bundle_that_the_log_has_not_keeps_none_from_moving(
    old: Log, folder: Path, backend: str, index: str
) -> None:
    if backend == "sqlite":
        await rows_of(old.store, "DROP TRIGGER log_archive_next")
    elif index == "'x'":
        return  # a column of numbers
    else:
        await rows_of(old.store, "ALTER TABLE log_archive DISABLE TRIGGER ALL")
    digest = "x'00'" if backend == "sqlite" else "'\\x00'"
    await rows_of(old.store, f"INSERT INTO log_archive VALUES (1, {index}, 'x', {digest}, 1, 'x')")

    assert await archive_all(old, folder) == 512
    assert await archive_all(old, folder) == 0


async def test_reader_without_the_archive_says_so(old: Log, folder: Path) -> None:
    await archive_all(old, folder)

    with pytest.raises(UnavailableError, match="nobody said where"):
        await old.store.log.contents(1, 0, 1)
    assert len(await old.store.log.contents(1, 512, 520)) == 8


async def test_database_lets_nothing_else_go(old: Log, folder: Path, subtests: pytest.Subtests) -> None:
    await archive_all(old, folder)
    digest = f"X'{'11' * 32}'" if old.url.startswith("sqlite") else rf"'\x{'11' * 32}'::bytea"
    for statement in (
        "DELETE FROM audit_entry",
        "DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM log_leaf WHERE position >= 512)",
        "INSERT INTO log_archive VALUES (1, 2, 'x', {digest}, 1, 'x')",  # not whole
        "INSERT INTO log_archive VALUES (1, 3, 'x', {digest}, 1, 'x')",  # not next
        "INSERT INTO log_archive VALUES (2, 0, 'x', {digest}, 1, 'x')",  # no such log
        "UPDATE log_archive SET location = 'x'",
        "DELETE FROM log_archive",
    ):
        with subtests.test(statement), pytest.raises((UnavailableError, ConflictError)):
            await rows_of(old.store, statement.format(digest=digest))
    assert await kept(old) == 8


@pytest.mark.parametrize("url", ["/var/archive", "http://host/x", "s3://key:secret@bucket/x", "s3://bucket/x?token=1"])
def test_archive_whose_address_would_tell_too_much_is_refused(url: str) -> None:
    with pytest.raises(UnsafeSettingError):
        BundleArchive(url)
