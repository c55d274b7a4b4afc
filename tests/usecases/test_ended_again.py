"""Reports that ended after a backup: after a restore everybody is told so, by an entry and a tombstone of its own."""

import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from exchange import usecases
from exchange.audit import EventName, Outcome, Subject, parse_entry, read_deed
from exchange.kernel import ForbiddenError, NotFoundError, UnavailableError, parse_rfc3339
from exchange.markings import Label
from exchange.store import TombstoneRow
from exchange.store.books.report_book import ReportBook
from exchange.store.dumping import Since, load
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.life.walk_reports import contradicted_reports
from exchange.usecases.steps.recording import draft
from exchange.usecases.upkeep.backups import After, read_contents, rows_of, what_came_after
from exchange.usecases.upkeep.end_again import end_again
from tests.support.lived import MakeLived
from tests.support.onward import ask, with_releasers
from tests.support.placing import place_entries
from tests.support.world import AGREEMENT, Entry, World
from tests.usecases.test_backups import backed_up, entry_of, reopened
from tests.usecases.test_report_life import NODE, amend
from tests.usecases.test_restoring import written

TIMES: dict[str, object] = dict.fromkeys(("read_at", "asked_at", "due_at"), 1)
KEPT = AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept")


@dataclass
class Backed:
    """A world, its backup, and the entries that the log had by then."""

    world: World
    lines: list[bytes]
    before: frozenset[bytes]

    @classmethod
    async def of(cls, world: World) -> "Backed":
        return cls(world, await backed_up(world), await entries_of(world))

    async def came_after(self) -> After:
        kept = await entries_of(self.world) - self.before
        return what_came_after(read_contents(self.lines), sorted(kept, key=_moment))


async def entries_of(world: World) -> frozenset[bytes]:
    return frozenset(await world.services.store.entries(10_000))


def _moment(content: bytes) -> tuple[str, int]:
    entry = parse_entry(content)
    return entry["ts"], entry["node_seq"]


Restore = Callable[[Backed], AbstractAsyncContextManager[tuple[World, After]]]


@pytest.fixture
def restore(unused_urls: list[str], tmp_path: Path) -> Restore:
    """Give a function: a world that was put aside -> the one that is put back, in the last of the databases."""

    @asynccontextmanager
    async def restored(backed: Backed) -> AsyncIterator[tuple[World, After]]:
        after = await backed.came_after()
        backed.world.clock.advance(timedelta(hours=1))
        since = Since("restored", after.replay, ())
        await load(unused_urls[-1], rows_of(backed.lines), since, clock=backed.world.clock)
        again = await reopened(backed.world, unused_urls[-1])
        again.folder = tmp_path / "again"
        again.folder.mkdir()
        try:
            yield again, after
        finally:
            await again.services.store.close()

    return restored


async def recall(world: World, report: str) -> None:
    world.clock.advance(timedelta(minutes=5))
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "mistaken")


async def told(world: World, event: str) -> list[Entry]:
    return [entry for entry in await world.entries() if entry["type"] == event and "restored" in entry["detail"]]


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("event", ["report.recalled", "report.ended"])
async def test_report_that_ended_since_is_told_as_it_ended(
    make_lived: MakeLived, restore: Restore, event: str, *, is_placed: bool
) -> None:
    """It was destroyed again, and nothing said so: whoever asked was told of damage, and so was the operator."""
    world = (await make_lived(with_releasers))[0]
    await world.agree(KEPT)
    report = await world.post()
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    backed, read_at = await Backed.of(world), world.clock.now
    if event == "report.recalled":
        await recall(world, report)
    else:
        world.clock.advance(timedelta(days=5 * 366))
        await sweep_reports(world.services, world.clock.now)
    ended_at = world.clock.now
    was = (await usecases.show_recall(world.services, world.call("GBR releaser"), report)).value.tombstone

    async with restore(backed) as (again, after):
        with pytest.raises(UnavailableError):
            await usecases.show_recall(again.services, again.call("GBR releaser"), report)
        await end_again(again.services, again.call(None), after.ends)
        if is_placed:
            await place_entries(again, is_searchable=True)
        made = await again.attempt(usecases.show_recall(again.services, again.call("GBR releaser"), report))
        stone = made.value.value.tombstone
        (entry,) = await told(again, event)
        with pytest.raises(NotFoundError):
            await usecases.pull_report(again.services, again.call("NOR reader"), report)
        readers = [
            (await usecases.readers_on(again.services, again.call("auditor"), report, moment)).value
            for moment in (read_at, ended_at + timedelta(minutes=1))
        ]
        posts = [each for each in await again.entries() if each["type"] == "report.posted"]
        contradicted = await contradicted_reports(again.services, posts)

    kept = after.ends[0].entry
    assert [each["type"] for each in made.entries] == ["report.recall_read"]
    assert (stone.cause, stone.at, stone.entry) == (was.cause, ended_at, entry["id"])
    assert read_deed(stone.note, [NODE]).content == read_deed(was.note, [NODE]).content
    assert (entry["actor"]["kind"], parse_rfc3339(entry["ts"])) == ("host", ended_at + timedelta(hours=1))
    assert (entry["detail"]["restored"], entry["detail"]["ended_at"]) == (kept["id"], kept["ts"])
    assert (entry["object"], entry["owner"], entry["label"]) == (kept["object"], "GBR", kept["label"])
    assert [{each.member for each in found.could} & {"GBR", "NOR"} for found in readers] == [{"GBR", "NOR"}, set()]
    assert contradicted == []


async def test_whoever_had_pulled_it_is_asked_to_destroy_it(make_lived: MakeLived, restore: Restore) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    backed = await Backed.of(world)
    await recall(world, report)

    async with restore(backed) as (again, after):
        await end_again(again.services, again.call(None), after.ends)
        await place_entries(again, is_searchable=True)
        swept = await sweep_reports(again.services, again.clock.now)
        (asked,) = (await usecases.list_destructions(again.services, again.call("NOR reader"))).value
        how = usecases.Certificate("shredded", 1)
        await usecases.certify_destruction(again.services, again.call("NOR reader"), report, how)
        shown = (await usecases.show_recall(again.services, again.call("GBR releaser"), report)).value

    assert (swept.followed_up, swept.left) == (1, 0)
    assert read_deed(asked.tombstone.note, [NODE]).content["reason"] == "mistaken"
    assert [(row.given.client, row.returned_by) for row in shown.asked] == [(again.clients["NOR reader"].id,) * 2]


async def test_so_is_whoever_pulled_it_after_the_backup(make_lived: MakeLived, restore: Restore) -> None:
    """That it was given to them stands in the kept log alone: nobody who looked for them afterwards found them."""
    world = (await make_lived(with_releasers))[0]
    await world.enrol("NOR second reader", "NOR", "reader")
    report, other = await world.post(), await world.post()
    backed = await Backed.of(world)
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    await usecases.pull_report(world.services, world.call("NOR reader"), report)
    await usecases.pull_report(world.services, world.call("NOR second reader"), other)
    await usecases.read_part(world.services, world.call("GBR reader"), report, 1)
    await recall(world, report)

    async with restore(backed) as (again, after):
        # Written by somebody before the backup: no entry tells of it.
        row: dict[str, object] = {"report_id": report, "client_id": world.clients["NOR reader"].id, "member": "DNK"}
        written(again, "report_destruction", {**row, **dict.fromkeys(("agency", "read_entry"), "x"), **TIMES})
        await end_again(again.services, again.call(None), after.ends)
        await place_entries(again, is_searchable=True)
        asked = []
        for _ in range(2):
            shown = (await usecases.show_recall(again.services, again.call("GBR releaser"), report)).value
            asked.append(sorted((row.given.member, row.given.entry) for row in shown.asked))
            await sweep_reports(again.services, again.clock.now)
        (to_destroy,) = (await usecases.list_destructions(again.services, again.call("NOR reader"))).value

    reads = {entry["id"]: entry["member"] for entry in await world.entries() if entry["type"].startswith("report.")}
    assert [[member for member, _ in each] for each in asked] == [["GBR", "NOR"]] * 2
    assert all(reads[entry] == member for member, entry in asked[0])
    assert to_destroy.row.report == report


async def test_what_was_asked_for_about_it_lapses_again(make_lived: MakeLived, restore: Restore) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    await ask(world, report)
    backed = await Backed.of(world)
    await recall(world, report)

    async with restore(backed) as (again, after):
        await end_again(again.services, again.call(None), after.ends)
        (view,) = (await usecases.list_onward(again.services, again.call("GBR releaser"))).value

    assert view.row.state.value == "lapsed"


async def test_reason_that_was_given_for_a_later_version_is_not_told_under_the_one_that_came_back(
    make_lived: MakeLived, restore: Restore
) -> None:
    world = (await make_lived(with_releasers))[0]
    report = await world.post()
    backed = await Backed.of(world)
    await amend(world, report)
    await recall(world, report)

    async with restore(backed) as (again, after):
        await end_again(again.services, again.call(None), after.ends)
        stone = (await usecases.show_recall(again.services, again.call("GBR releaser"), report)).value.tombstone
        (entry,) = await told(again, "report.recalled")

    content = read_deed(stone.note, [NODE]).content
    assert (entry["object"]["version"], "reason" in entry["detail"]) == (1, False)
    assert (content["version"], "reason" in content, content["by"]) == (1, False, world.clients["GBR releaser"].id)


async def test_what_came_after_the_backup_and_what_had_ended_in_it_is_passed_over(
    make_lived: MakeLived, restore: Restore
) -> None:
    world = (await make_lived(with_releasers))[0]
    before = await world.post()
    at = await entries_of(world)
    # Its entry has no place in the log yet: the kept log has it behind the backup's last.
    await recall(world, before)
    backed = Backed(world, await backed_up(world), at)
    await recall(world, await world.post())

    async with restore(backed) as (again, after):
        assert len(after.ends) == 2
        await end_again(again.services, again.call(None), after.ends)
        assert await told(again, "report.recalled") == []
        assert (await usecases.show_recall(again.services, again.call("GBR releaser"), before)).value


async def test_report_whose_row_was_altered_keeps_no_other_one_from_being_told(
    make_lived: MakeLived, restore: Restore
) -> None:
    world = (await make_lived(with_releasers))[0]
    altered, other = await world.post(label=Label("NATO", "CONFIDENTIAL")), await world.post()
    backed = await Backed.of(world)
    for report in (altered, other):
        await recall(world, report)

    async with restore(backed) as (again, after):
        class_of = "(SELECT class_id FROM report WHERE id = $1)"
        again.sql(f"UPDATE release_class SET facts = '{{}}' WHERE id = {class_of}", altered)
        await end_again(again.services, again.call(None), after.ends)
        assert [entry["object"]["id"] for entry in await told(again, "report.recalled")] == [other]


async def test_what_breaks_off_amid_the_ends_leaves_none_half_told_and_can_be_done_again(
    make_lived: MakeLived, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = (await make_lived(with_releasers))[0]
    reports = [await world.post() for _ in range(3)]
    backed = await Backed.of(world)
    for report in reports:
        await recall(world, report)
    add, added = ReportBook.add_tombstone, list[str]()

    async def breaking(book: ReportBook, stone: TombstoneRow) -> None:
        added.append(stone.report)
        await add(book, stone)
        if len(added) == 2:
            raise KeyboardInterrupt

    async with restore(backed) as (again, after):
        with monkeypatch.context() as patch:
            patch.setattr(ReportBook, "add_tombstone", breaking)
            with pytest.raises(KeyboardInterrupt):
                await end_again(again.services, again.call(None), after.ends)
        half = [entry["object"]["id"] for entry in await told(again, "report.recalled")]
        stones = [row[0] for row in again.sql("SELECT report_id FROM report_tombstone")]
        for _ in range(2):
            await end_again(again.services, again.call(None), after.ends)
            whole = [entry["object"]["id"] for entry in await told(again, "report.recalled")]
            assert whole == reports
        shown = [await usecases.show_recall(again.services, again.call("GBR releaser"), report) for report in reports]

    assert half == stones == reports[:1]
    assert len({each.value.tombstone.at for each in shown}) == 3


async def test_it_is_done_at_the_host_alone(make_lived: MakeLived) -> None:
    world = (await make_lived(with_releasers))[0]

    with pytest.raises(ForbiddenError):
        await end_again(world.services, world.call("operator"), [])


@dataclass(frozen=True)
class Reads:
    """A kept log, long for its time: many reports that were read once each, and the recall of the last one."""

    call: usecases.Call
    count: int = 5_000

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self.count):
            yield self._entry(EventName.REPORT_READ, number)
        yield self._entry(EventName.REPORT_RECALLED, self.count - 1)

    def _entry(self, event: EventName, report: int) -> bytes:
        told = draft(self.call, None, event, Outcome.PERMITTED, subject=Subject("report", f"r-{report}"))
        return entry_of(told, report)


async def test_of_all_that_was_read_since_a_backup_no_more_is_kept_than_of_what_was_recalled(populated: World) -> None:
    """A year of it would not fit into the memory of a host that is being put back."""
    contents, reads = read_contents(await backed_up(populated)), Reads(populated.call(None))
    tracemalloc.start()
    after = what_came_after(contents, reads)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1 << 20
    ((told, given),) = [(each.entry, each.given) for each in after.ends]
    assert (told["object"]["id"], len(given)) == ("r-4999", 1)
