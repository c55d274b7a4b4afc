"""Exports: each auditor's slice, complete and in order, gone on with anywhere, never before its entry is durable."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from exchange import usecases
from exchange.audit import (
    Auditor,
    Criteria,
    EventName,
    Extent,
    TreeHead,
    hash_leaf,
    parse_entry,
    verify_inclusion,
    view_of,
)
from exchange.audit.export import FORMATS, ExportedEntry, FormatName, Place, Statement, ndjson
from exchange.kernel import ForbiddenError, InvalidError, NotAuthenticatedError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.store import Placed
from exchange.usecases import ExportQuery, WantedErasure
from exchange.usecases.auditors import exporting, narrowing
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.placing import place_entries
from tests.support.world import World, thumbprint_of

TO_NOBODY = Label("NATO", "SECRET", releasable_to=("GBR",))
AUDITORS = ("auditor", "GBR auditor", "NOR auditor", "ESP auditor")
Items = AsyncIterator[Sequence[ExportedEntry] | Statement]
Taken = tuple[list[ExportedEntry], Statement]


@pytest.fixture
async def audited(make_lived: MakeLived) -> World:
    world, _ = await make_lived(what_happened)
    return world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def looked_at(share_lived: MakeLived) -> World:
    """The same, for tests that only look."""
    world, _ = await share_lived(what_happened)
    return world


async def what_happened(world: World) -> None:
    for member in ("GBR", "NOR", "ESP"):
        await world.enrol(f"{member} auditor", member, "auditor")
    shared, hidden = await world.post(), await world.post(label=TO_NOBODY)
    for reader in ("GBR reader", "NOR reader", "ESP reader", "stranger"):
        for report in (shared, hidden):
            await world.attempt(usecases.pull_report(world.services, world.call(reader), report))
    await place_entries(world)


async def taken(items: Items) -> Taken:
    entries: list[ExportedEntry] = []
    async for item in items:
        if isinstance(item, Statement):
            return entries, item
        entries += item
    pytest.fail("the export has no statement")


async def still_waiting_for(items: Items) -> asyncio.Future[Taken]:
    coming = asyncio.ensure_future(taken(items))
    await asyncio.sleep(0.05)
    assert not coming.done()
    return coming


async def export(world: World, name: str, **asked: Any) -> Taken:
    recorded = await usecases.export_entries(world.services, world.call(name), ExportQuery(**asked))
    return await taken(recorded.value.items)


async def whole_log(world: World) -> list[bytes]:
    state = await world.services.store.log.state()
    assert state is not None
    return await world.services.store.log.contents(state.log, 0, state.size)


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_export_is_the_auditors_slice_and_nothing_else(looked_at, name):
    member = looked_at.clients[name].member
    auditor = Auditor(None if member == "EXCHANGE" else member, lambda _: True)
    log = enumerate(await whole_log(looked_at))
    views = [(position, view_of(parse_entry(content), auditor)) for position, content in log]
    entries, _ = await export(looked_at, name)

    expected = [(position, view) for position, view in views if view is not None]
    assert [(one.place.position, one.extent, one.entry) for one in entries] == [
        (position, view.extent.value, view.fields) for position, view in expected
    ]


@IN_ONE_WORLD
async def test_bytes_are_there_only_where_all_of_the_entry_is_shown(looked_at):
    entries, _ = await export(looked_at, "NOR auditor")
    contents = await whole_log(looked_at)

    assert {one.extent for one in entries} >= {"whole", "refusal"}
    for one in entries:
        assert one.leaf == hash_leaf(contents[one.place.position])
        assert one.content == (contents[one.place.position] if one.extent == Extent.WHOLE.value else None)


@IN_ONE_WORLD
async def test_refusal_tells_nothing_of_what_stayed_invisible(looked_at):
    entries, _ = await export(looked_at, "NOR auditor", criteria=Criteria(event="report.read", outcome="refused"))

    assert entries
    for one in entries:
        line = ndjson.entry_line(one)
        assert b'"GBR"' not in line  # three letters alone may stand in a digest
        assert b'SECRET","policy' not in line
        assert b"not-releasable" not in line


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_statement_says_what_was_exported(looked_at, name):
    state = await looked_at.services.store.log.state()
    entries, statement = await export(looked_at, name)

    assert statement == Statement(
        at="2026-06-01T12:00:00Z",
        after=None,
        first=str(entries[0].place),
        last=str(entries[-1].place),
        count=len(entries),
        end=f"1.{state.size}",
        checkpoint=state.note.decode(),
    )


@IN_ONE_WORLD
async def test_export_is_gone_on_with_behind_any_entry(looked_at, monkeypatch):
    monkeypatch.setattr(exporting, "_STRETCH", 3)
    entries, _ = await export(looked_at, "GBR auditor")

    for number in range(len(entries)):
        rest, statement = await export(looked_at, "GBR auditor", after=entries[number].place)
        assert rest[: len(entries) - number - 1] == entries[number + 1 :]
        assert statement.after == str(entries[number].place)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@IN_ONE_WORLD
async def test_stretches_leave_no_seam(looked_at, monkeypatch, size):
    whole, _ = await export(looked_at, "auditor")
    monkeypatch.setattr(exporting, "_STRETCH", size)

    again, _ = await export(looked_at, "auditor")

    assert again[: len(whole)] == whole


@IN_ONE_WORLD
async def test_place_behind_the_end_has_nothing_behind_it(looked_at):
    entries, statement = await export(looked_at, "auditor", after=Place(1, 10**9))

    assert (entries, statement.count) == ([], 0)


async def test_log_that_was_never_signed_is_exported_as_empty(populated):
    await populated.enrol("NOR auditor", "NOR", "auditor")
    entries, statement = await export(populated, "NOR auditor")

    assert (entries, statement.end, statement.checkpoint) == ([], "1.0", None)


@IN_ONE_WORLD
async def test_entry_of_the_export_is_durable_before_the_first_line(looked_at):
    criteria = Criteria(member="NOR")
    query = ExportQuery(FormatName.CSV, Place(1, 2), criteria)
    attempt = await looked_at.attempt(usecases.export_entries(looked_at.services, looked_at.call("NOR auditor"), query))

    assert attempt.entry["type"] == "audit.exported"
    assert attempt.entry["decision"] == "permitted"
    assert attempt.entry["detail"] == {
        "format": "csv", "after": "1.2", "end": str(attempt.value.value.end), "member": "NOR",
    }  # fmt: skip
    assert attempt.value.receipt.entry == attempt.entry["id"]


@IN_ONE_WORLD
async def test_filters_narrow_what_is_exported(looked_at):
    whole, _ = await export(looked_at, "GBR auditor")
    criteria = Criteria(event="report.read", outcome="permitted")
    narrowed, _ = await export(looked_at, "GBR auditor", criteria=criteria)

    assert narrowed
    assert {one.entry["type"] for one in narrowed} == {"report.read"}
    assert set(map(str, (one.place for one in narrowed))) < set(map(str, (one.place for one in whole)))


async def what_is_indexed(world: World) -> None:
    await what_happened(world)
    await place_entries(world, is_searchable=True)
    for reader in ("NOR reader", "stranger", "ESP reader"):
        await world.attempt(usecases.list_reports(world.services, world.call(reader), usecases.ListQuery()))
    await place_entries(world)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_an_index(share_lived: MakeLived) -> World:
    return (await share_lived(what_is_indexed))[0]


@pytest.fixture
def indexed(with_an_index: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A log that the search knows all but the last entries of, in stretches so small that exports have several."""
    monkeypatch.setattr(exporting, "_STRETCH", 3)
    return with_an_index


CRITERIA = (
    Criteria(member="NOR"),
    Criteria(event="report.read", outcome="refused"),
    Criteria(level="SECRET"),
    Criteria(owner="GBR"),
    Criteria(reason="not-releasable"),
    Criteria(event="report.listed"),
    Criteria(event="key.rotated"),
)


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_filtered_export_is_what_reading_all_of_it_gives(indexed, monkeypatch, name):
    found = [await export(indexed, name, criteria=criteria) for criteria in CRITERIA]
    ends = [statement.end for _, statement in found]
    monkeypatch.setattr(narrowing, "_MOST_PLACES", -1)
    read = [await export(indexed, name, criteria=criteria) for criteria in CRITERIA]

    assert any(entries for entries, _ in found)
    assert ends == sorted(ends)
    # What the exports themselves left in the log has no place yet.
    assert [entries for entries, _ in found] == [entries for entries, _ in read]


@IN_ONE_WORLD
async def test_filtered_export_is_gone_on_with_behind_any_entry(indexed):
    criteria = Criteria(event="report.read")
    entries, _ = await export(indexed, "GBR auditor", criteria=criteria)

    assert len(entries) > 3
    for number, entry in enumerate(entries):
        rest, _ = await export(indexed, "GBR auditor", criteria=criteria, after=entry.place)
        assert rest == entries[number + 1 :]


@IN_ONE_WORLD
async def test_filtered_export_reads_what_the_index_names_and_what_it_lacks(indexed, monkeypatch):
    reader = indexed.services.store.log
    state, known = await reader.state(), await reader.searched(1)
    read: list[int] = []

    def counting(work):
        async def counted(*asked):
            placed = await work(*asked)
            read.extend(each.position for each in placed)
            return placed

        return counted

    monkeypatch.setattr(reader, "placed", counting(reader.placed))
    monkeypatch.setattr(reader, "placed_at", counting(reader.placed_at))
    entries, _ = await export(indexed, "auditor", criteria=Criteria(event="report.posted"))

    posted = [one.place.position for one in entries]
    assert 0 < len(posted) < known < state.size
    assert read == posted + list(range(known, state.size))


@pytest.mark.parametrize("name", ["GBR reader", "operator", "GBR signatory"])
@IN_ONE_WORLD
async def test_others_than_auditors_are_refused_on_the_record(looked_at, name):
    attempt = await looked_at.attempt(usecases.export_entries(looked_at.services, looked_at.call(name), ExportQuery()))

    assert isinstance(attempt.error, ForbiddenError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("audit.exported", "refused")


@IN_ONE_WORLD
async def test_stranger_is_refused(looked_at):
    attempt = await looked_at.attempt(
        usecases.export_entries(looked_at.services, looked_at.call("stranger"), ExportQuery())
    )

    assert isinstance(attempt.error, NotAuthenticatedError)


@IN_ONE_WORLD
async def test_misspelt_filter_is_refused_on_the_record(looked_at):
    query = ExportQuery(criteria=Criteria(event="report.red"))
    attempt = await looked_at.attempt(usecases.export_entries(looked_at.services, looked_at.call("auditor"), query))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["decision"] == "refused"


async def test_auditor_who_is_revoked_reads_no_further(audited, monkeypatch):
    monkeypatch.setattr(exporting, "_STRETCH", 2)
    recorded = await usecases.export_entries(audited.services, audited.call("NOR auditor"), ExportQuery())
    items = recorded.value.items
    while not (first := await anext(items)):
        continue
    await usecases.change_standing(
        audited.services, audited.call(None), audited.clients["NOR auditor"].id, Standing.REVOKED
    )
    audited.clock.advance(timedelta(seconds=1))

    assert first
    with pytest.raises(ForbiddenError, match="revoked for good"):
        await anext(items)
    last = (await audited.entries())[-1]
    assert (last["type"], last["decision"], last["reasons"]) == ("audit.exported", "refused", ["client-suspended"])


async def test_followed_log_says_what_is_new(audited, monkeypatch):
    monkeypatch.setattr(exporting, "_FOLLOW_SECONDS", 0.01)
    recorded = await usecases.export_entries(audited.services, audited.call("auditor"), ExportQuery(follow=True))
    items = recorded.value.items
    before, first = await taken(items)
    coming = await still_waiting_for(items)

    size = await place_entries(audited)
    after, second = await asyncio.wait_for(coming, 60)

    assert first.end == str(Place(1, before[-1].place.position + 1)) or before
    assert [one.entry["type"] for one in after] == ["audit.exported"]
    assert second.after is not None
    assert second.end == f"1.{size}"
    await items.aclose()


async def test_follower_hears_that_there_is_nothing_new(audited, monkeypatch):
    monkeypatch.setattr(exporting, "_FOLLOW_SECONDS", 0.01)
    await place_entries(audited)
    recorded = await usecases.export_entries(audited.services, audited.call("auditor"), ExportQuery(follow=True))
    items = recorded.value.items
    _, first = await taken(items)
    coming = await still_waiting_for(items)
    audited.clock.advance(timedelta(seconds=5))

    again, second = await asyncio.wait_for(coming, 60)

    assert (again, second.end) == ([], first.end)
    # Whoever is revoked hears not even that.
    auditor = audited.clients["auditor"].id
    await usecases.change_standing(audited.services, audited.call(None), auditor, Standing.REVOKED)
    audited.clock.advance(timedelta(seconds=5))
    with pytest.raises(ForbiddenError, match="revoked for good"):
        await asyncio.wait_for(anext(items), 60)


async def test_node_that_stops_sends_who_follows_away(audited, monkeypatch):
    monkeypatch.setattr(exporting, "_FOLLOW_SECONDS", 0.01)
    await place_entries(audited)
    recorded = await usecases.export_entries(audited.services, audited.call("auditor"), ExportQuery(follow=True))
    items = recorded.value.items
    await taken(items)
    audited.services.watching.end_all()

    with pytest.raises(UnavailableError, match="being stopped"):
        await asyncio.wait_for(anext(items), 60)


@IN_ONE_WORLD
async def test_proof_beside_an_entry_holds_in_the_checkpoint(looked_at):
    state = await looked_at.services.store.log.state()
    entries, _ = await export(looked_at, "NOR auditor", proofs=True)

    for one in entries:
        verify_inclusion(one.proof, one.leaf, index=one.place.position, head=TreeHead(state.size, state.root))


async def lines_at_host(world: World, **asked: Any) -> tuple[list[bytes], Statement]:
    exported = (await usecases.export_log(world.services, world.call(None), **asked)).value
    return [line async for _, lines in exported.lines for line in lines], exported.statement


async def fed(world: World) -> list[ExportedEntry]:
    entries, _ = await taken((await usecases.feed_log(world.services, world.call(None))).value.items)
    return entries


THE_THIRD = "(SELECT entry_id FROM log_leaf WHERE position = 2)"
CHANGED = f"UPDATE audit_entry SET content = $1 WHERE id IN {THE_THIRD}"
GONE = f"DELETE FROM audit_entry WHERE id IN {THE_THIRD}"

OTHER = (  # ids of one moment are in no order
    "UPDATE audit_entry SET content = (SELECT content FROM audit_entry WHERE id IN (SELECT entry_id FROM log_leaf "
    f"WHERE position = 0)) WHERE id IN {THE_THIRD}"
)


@pytest.mark.parametrize("change", [(CHANGED, b"not an entry"), (OTHER,), (GONE,)], ids=["changed", "another", "gone"])
async def test_entry_that_is_damaged_or_gone_keeps_no_later_one_from_being_fed(audited, caplog, change):
    before = await fed(audited)
    audited.unguard()
    audited.sql(*change)

    entries = await fed(audited)

    assert [one.place.position for one in entries[: len(before) - 1]] == [0, 1, *range(3, len(before))]
    assert entries[0] == before[0]
    assert "damaged or gone" in caplog.text


async def test_stretch_of_which_nothing_is_whole_is_passed_over_in_silence(audited, monkeypatch):
    before = await fed(audited)
    monkeypatch.setattr(exporting, "_STRETCH", 1)
    audited.unguard()
    audited.sql(CHANGED, b"not an entry")

    items = [item async for item in (await usecases.feed_log(audited.services, audited.call(None))).value.items]

    assert all(items)
    places = [one.place.position for item in items[:-1] for one in item]
    assert places[: len(before) - 1] == [0, 1, *range(3, len(before))]
    assert items[-1].count == len(places)


async def test_followed_feed_says_what_is_new_once_and_that_there_is_nothing(audited, monkeypatch):
    monkeypatch.setattr(exporting, "_FOLLOW_SECONDS", 0.01)
    items = (await usecases.feed_log(audited.services, audited.call(None), follow=True)).value.items
    before, first = await taken(items)
    coming = await still_waiting_for(items)

    size = await place_entries(audited)
    after, second = await asyncio.wait_for(coming, 60)
    coming = await still_waiting_for(items)
    audited.clock.advance(timedelta(seconds=5))
    nothing, third = await asyncio.wait_for(coming, 60)

    assert [one.place.position for one in (*before, *after)] == list(range(size))
    assert (first.end, second.end, nothing, third.end) == (f"1.{len(before)}", f"1.{size}", [], f"1.{size}")
    await items.aclose()


async def test_entry_that_is_damaged_keeps_no_auditor_from_later_ones(audited, caplog):
    audited.unguard()
    audited.sql(CHANGED, b"not an entry")

    entries, statement = await export(audited, "auditor")

    assert [one.place.position for one in entries][:4] == [0, 1, 3, 4]
    assert statement.count == len(entries)
    assert "damaged or gone" in caplog.text


@pytest.mark.parametrize("change", [GONE, f"DELETE FROM log_leaf WHERE entry_id IN {THE_THIRD}"])
async def test_log_that_lacks_what_comes_next_is_told_before_anything_is_answered(audited, change):
    audited.unguard("log_leaf")
    audited.unguard()
    audited.sql(change)

    with pytest.raises(UnavailableError) as fault:
        await usecases.export_entries(audited.services, audited.call("auditor"), ExportQuery())

    assert (fault.value.code, fault.value.told) == ("log-damaged", "the store lacks the entry at position 2")
    # Behind it, the auditor goes on.
    assert await export(audited, "auditor", after=Place(1, 2))


async def test_altered_entry_is_shown_to_nobody_who_could_not_find_it_out(audited):
    read = next(one for one in (await export(audited, "auditor"))[0] if is_of_norway(one.entry))
    purpose = read.content.replace(b'"purpose":"defence"', b'"purpose":"justice"')
    assert purpose != read.content
    audited.unguard()
    audited.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", purpose, read.entry["id"])

    told = {name: [one for one in (await export(audited, name))[0] if one.place == read.place] for name in AUDITORS}

    assert {name: len(each) for name, each in told.items()} == {
        **dict.fromkeys(AUDITORS, 0),
        "auditor": 1,
        "NOR auditor": 1,
    }
    assert {hash_leaf(one.content) == one.leaf for each in told.values() for one in each} == {False}


def is_of_norway(entry: Any) -> bool:
    return (entry["type"], entry["decision"], entry.get("member")) == ("report.read", "permitted", "NOR")


@IN_ONE_WORLD
async def test_host_exports_every_byte_of_the_log(looked_at):
    contents = await whole_log(looked_at)
    lines, statement = await lines_at_host(looked_at)

    assert [ndjson.read_entry(line).content for line in lines] == contents
    assert (statement.end, statement.after) == (f"1.{len(contents)}", None)


@IN_ONE_WORLD
async def test_host_goes_on_behind_a_place(looked_at):
    whole, _ = await lines_at_host(looked_at)
    rest, statement = await lines_at_host(looked_at, after=Place(1, 4))

    assert rest[: len(whole) - 5] == whole[5:]
    assert statement.after == "1.4"


@IN_ONE_WORLD
async def test_export_at_the_host_is_an_entry(looked_at):
    attempt = await looked_at.attempt(usecases.export_log(looked_at.services, looked_at.call(None)))

    assert (attempt.entry["type"], attempt.entry["actor"]["kind"]) == (EventName.AUDIT_EXPORTED.value, "host")


@pytest.mark.parametrize("act", [usecases.export_log, usecases.feed_log])
@pytest.mark.parametrize("name", ["auditor", "operator"])
@IN_ONE_WORLD
async def test_nobody_else_exports_or_feeds_the_whole_log(looked_at, name, act):
    attempt = await looked_at.attempt(act(looked_at.services, looked_at.call(name)))

    assert isinstance(attempt.error, ForbiddenError)
    assert attempt.entry["decision"] == "refused"


@IN_ONE_WORLD
async def test_later_log_is_exported_behind_the_earlier_one(looked_at, monkeypatch):
    state = await looked_at.services.store.log.state()
    asked: list[tuple[int, int, int]] = []

    async def placed(log: int, start: int, stop: int) -> list[Placed]:
        asked.append((log, start, stop))
        return []

    later = type(state)(2, "other", "", 3, b"", 0, b"", None)
    monkeypatch.setattr(looked_at.services.store.log, "placed", placed)
    for after in (None, Place(1, state.size - 1), Place(2, 0)):
        async for _ in exporting._stretches(looked_at.services, after, [state, later]):
            pass

    assert asked == [(1, 0, state.size), (2, 0, 3), (2, 0, 3), (2, 1, 3)]


@pytest.mark.parametrize("is_to_be_verified", [True, False])
@IN_ONE_WORLD
async def test_export_to_be_verified_holds_the_checkpoints_of_logs_that_ended(looked_at, is_to_be_verified):
    state = await looked_at.services.store.log.state()
    later = type(state)(2, "other", "", 3, b"", 0, b"newest", None)

    # Behind the log that ended too: who goes on with an export is told the end of all of it.
    said = exporting.statement_of(
        looked_at.call("NOR auditor").now, Place(2, 0), [state, later], is_to_be_verified=is_to_be_verified
    )

    assert said.checkpoint == "newest"
    assert said.earlier == ((state.note.decode(),) if is_to_be_verified else ())


@IN_ONE_WORLD
async def test_personal_data_stands_beside_the_bytes_for_who_may_read_it(looked_at):
    entries, _ = await export(looked_at, "NOR auditor", criteria=Criteria(member="NOR", event="report.read"))

    assert {(one.name, one.source, one.thumbprint) for one in entries} == {
        ("NOR reader", "192.0.2.7", thumbprint_of("NOR reader"))
    }
    assert all(b"192.0.2.7" not in (one.content or b"") for one in entries)


@IN_ONE_WORLD
async def test_originator_reads_nobody_elses_personal_data(looked_at):
    entries, _ = await export(looked_at, "GBR auditor", criteria=Criteria(member="NOR"))

    assert entries
    for one in entries:
        assert (one.extent, one.personal, one.source, one.thumbprint) == ("others", {}, "", None)


async def test_erased_personal_data_is_erased_in_every_format(audited):
    wanted = WantedErasure(audited.clients["NOR reader"].id, "2026-06", "asked for by the data subject")
    asked = await usecases.request_erasure(audited.services, audited.call("operator"), wanted)
    await usecases.approve_erasure(audited.services, audited.call("auditor"), asked.value.act.id)
    criteria = Criteria(client=audited.clients["NOR reader"].id)
    entries, _ = await export(audited, "NOR auditor", criteria=criteria)

    assert entries
    for one in entries:
        assert (one.name, one.source, one.thumbprint) == ("erased", "erased", "erased")
        for form in FORMATS.values():
            line = form.entry_line(one)
            assert b"erased" in line
            assert b"192.0.2.7" not in line
        assert ndjson.read_entry(ndjson.entry_line(one)) == one
