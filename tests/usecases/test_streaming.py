"""Streams: what a list would show, as soon as it would, recorded before it is sent; what takes rights ends them."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import pytest

from exchange import usecases
from exchange.kernel import ForbiddenError, LimitExceededError, MalformedError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.usecases import Begun, ClearanceChange, Silence, Unopened
from exchange.usecases.steps.positions import is_unfinished
from exchange.usecases.telling import stream_reports
from tests.support.listening import listening, patient
from tests.support.world import World

FOR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
FOR_DNK = Label("NATO", "SECRET", releasable_to=("DNK", "GBR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


async def listed(world: World, name: str) -> list[dict]:
    page = await usecases.list_reports(world.services, world.call(name), usecases.ListQuery())
    return [json.loads(item) for item in page.value.items]


@asynccontextmanager
async def one_beat(services: usecases.Services, monkeypatch):
    """Hold the pulse: one beat tells of whatever comes to pass meanwhile."""
    beat, is_held, may_beat = services.store.pulse.beat, asyncio.Event(), asyncio.Event()

    async def held():
        is_held.set()
        await may_beat.wait()
        return await beat()

    monkeypatch.setattr(services.store.pulse, "beat", held)
    await is_held.wait()
    try:
        yield
    finally:
        may_beat.set()


async def test_report_posted_on_another_node_is_told_as_the_list_shows_it(populated: World):
    services = patient(populated.services)
    await populated.post(label=FOR_NOR, subject="before")
    async with populated.another_node() as other, listening(services, populated.call("NOR reader")) as nor:
        posted = populated.posted(label=FOR_NOR, subject="after")
        await usecases.post_report(other, populated.call("GBR contributor"), posted)
        (shown,) = await nor.until(1)

    assert nor.subjects == ["after"]
    assert json.loads(shown.header_json) == (await listed(populated, "NOR reader"))[-1]


async def test_each_event_is_recorded_before_it_is_told(populated: World):
    async with listening(patient(populated.services), populated.call("NOR reader")) as nor:
        report = await populated.post(label=FOR_NOR)
        await nor.until(1)
        entries = await populated.entries()
    (closed,) = [entry for entry in await populated.entries() if entry["type"] == "stream.closed"]
    (opened,) = [entry for entry in entries if entry["type"] == "stream.opened"]
    shown = [entry for entry in entries if entry["type"] == "report.listed" and entry["result_ids"]]

    assert [entry["result_ids"] for entry in shown] == [[report]]
    assert {entry["request_id"] for entry in (opened, closed, *shown)} == {opened["request_id"]}
    assert closed["detail"] == {"finding": "reader-gone"}


async def test_log_that_cannot_be_written_ends_the_stream_untold(populated: World, monkeypatch):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        append = services.store.append

        async def away(draft):
            if draft.event.value == "report.listed":
                raise UnavailableError("the log cannot be written")
            return await append(draft)

        monkeypatch.setattr(services.store, "append", away)
        await populated.post(label=FOR_NOR)

        assert await nor.ended() == "unavailable"
    assert nor.subjects == []


async def test_resumed_stream_goes_on_behind_the_last_id_and_a_list_begins_one(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        for number in range(3):
            await populated.post(label=FOR_NOR, subject=f"{number}")
        first = (await nor.until(3))[0]
    await populated.post(label=FOR_NOR, subject="missed")
    page = await usecases.list_reports(services, populated.call("NOR reader"), usecases.ListQuery(limit=2))

    async with listening(services, populated.call("NOR reader"), first.cursor) as again:
        await again.until(3)
    async with listening(services, populated.call("NOR reader"), page.value.next) as behind_a_list:
        await behind_a_list.until(2)

    assert again.subjects == ["1", "2", "missed"]
    assert behind_a_list.subjects == ["2", "missed"]


async def test_nothing_is_missed_and_nothing_comes_twice_while_many_post(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await asyncio.gather(*(populated.post(label=FOR_NOR, subject=f"{number}") for number in range(120)))
        await nor.until(120)

    assert sorted(nor.subjects) == sorted(str(number) for number in range(120))


async def test_what_a_reader_may_not_see_neither_shows_nor_wakes_it(populated: World, monkeypatch):
    services = patient(populated.services)
    await populated.post(label=FOR_DNK, subject="class that is known")
    asked: list[str] = []
    look = stream_reports.list_reports

    async def noting(services, call, query):
        asked.append(call.thumbprint)
        return await look(services, call, query)

    async with (
        listening(services, populated.call("NOR reader")) as nor,
        listening(services, populated.call("DNK reader")) as dnk,
    ):
        await asyncio.gather(nor.settled(), dnk.settled())
        await populated.post(label=LOW, subject="both")
        await asyncio.gather(nor.until(1), dnk.until(1))
        monkeypatch.setattr(stream_reports, "list_reports", noting)
        await populated.post(label=FOR_DNK, subject="hidden")
        await dnk.until(2)
        await populated.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)), subject="a class of its own")
        await populated.post(label=FOR_DNK, subject="hidden")
        await dnk.until(3)

    assert nor.subjects == ["both"]
    assert populated.call("NOR reader").thumbprint not in asked
    assert len({len(notice.cursor) for notice in (*await nor.until(1), *await dnk.until(3))}) == 1


async def test_silence_is_counted_from_what_was_told_and_not_from_what_stirred(populated: World):
    services = patient(populated.services, silence_seconds=0.5)
    async with listening(services, populated.call("ESP reader")) as esp:
        for level, members in itertools.product(("RESTRICTED", "CONFIDENTIAL", "SECRET"), (1, 2, 3)):
            # Each a class of its own: the reader learns anew what it may read, which is nothing.
            await populated.post(label=Label("NATO", level, releasable_to=("DNK", "GBR", "NOR")[:members]))
            await asyncio.sleep(0.1)
        await esp.until(1, Silence)
        told = esp.silences

    assert told >= 1


async def test_silence_is_told_again_after_as_long_a_silence_and_not_before(populated: World):
    services, begun_at = patient(populated.services, silence_seconds=0.1), monotonic()
    async with listening(services, populated.call("ESP reader")) as esp:
        await esp.until(3, Silence)

    assert monotonic() - begun_at >= 3 * 0.1


@pytest.mark.parametrize("act", ["revoked", "suspended", "certificate", "member"])
async def test_who_is_turned_away_is_cut_off_though_nothing_is_posted(populated: World, act: str):
    services, host = patient(populated.services), populated.call(None)
    async with populated.another_node() as other, listening(services, populated.call("NOR reader")) as nor:
        client = populated.clients["NOR reader"].id if populated.clients else ""
        match act:
            case "certificate":
                thumbprint = populated.call("NOR reader").thumbprint
                await usecases.remove_certificate(other, host, client, thumbprint)
            case "member":
                await usecases.suspend_member(other, host, "NOR")
            case standing:
                await usecases.change_standing(other, host, client, Standing(standing))
        why = await nor.ended()
        with pytest.raises(Exception, match=r"enrolled|client is (suspended|revoked)"):
            await usecases.open_stream(services, populated.call("NOR reader"), nor.cursor)

    assert why == "turned-away"
    refused = [entry for entry in await populated.entries() if entry["decision"] == "refused"]
    assert {entry["type"] for entry in refused} <= {"stream.opened", "report.listed"}
    assert len(refused) >= 2
    assert nor.subjects == []


async def test_lower_clearance_ends_the_stream_and_the_next_shows_what_is_left(populated: World):
    services = patient(populated.services)
    await populated.post(label=FOR_NOR, subject="high")
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        lower = ClearanceChange("RESTRICTED")
        await usecases.change_clearance(services, populated.call(None), populated.clients["NOR reader"].id, lower)
        assert await nor.ended() == "rights-changed"
    async with listening(services, populated.call("NOR reader"), nor.cursor) as again:
        await populated.post(label=FOR_NOR, subject="high")
        await populated.post(label=LOW, subject="low")
        await again.until(1)

    assert again.subjects == ["low"]


async def test_clearance_that_runs_out_ends_the_stream_by_time_alone(populated: World):
    services = patient(populated.services)
    client = populated.clients["NOR reader"].id
    until = populated.clock.now + timedelta(hours=1)
    await usecases.change_clearance(services, populated.call(None), client, ClearanceChange("SECRET", until=until))
    await populated.post(label=FOR_NOR, subject="before")
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        populated.clock.advance(timedelta(hours=2))

        assert await nor.ended() == "rights-changed"


async def test_agreement_that_is_suspended_ends_the_streams_of_its_readers_alone(populated: World):
    services = patient(populated.services)
    await populated.post(label=LOW)
    async with (
        listening(services, populated.call("NOR reader")) as nor,
        listening(services, populated.call("ESP reader")) as esp,
    ):
        await asyncio.gather(nor.settled(), esp.settled())
        await usecases.suspend_agreement(services, populated.call("GBR signatory"), populated.agreement_id)

        assert await nor.ended() == "rights-changed"
        assert len(esp.heard) == 1


async def test_what_a_change_of_rights_opens_is_told_once(populated: World):
    services = patient(populated.services)
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    for number in range(3):
        await populated.post(label=FOR_NOR, subject=f"old {number}")
    async with listening(services, populated.call("NOR junior")) as junior:
        await junior.settled()
        await populated.post(label=LOW, subject="low")
        await junior.until(1)
        client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
        await usecases.change_clearance(services, populated.call(None), client, raised)
        await junior.until(4)
        await populated.post(label=FOR_NOR, subject="new")
        await junior.until(5)

    assert junior.subjects == ["low", "old 0", "old 1", "old 2", "new"]


async def test_what_opened_while_nobody_listened_comes_where_it_lies_behind_what_was_told_last(populated: World):
    """What it may not see moves no place; the id with which a stream stands is behind all that there was."""
    services, call = patient(populated.services), populated.call("NOR junior")
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    await populated.post(label=FOR_NOR, subject="before it listened")
    async with listening(services, call) as junior:
        await populated.post(label=LOW, subject="told")
        await junior.until(1)
        await populated.post(label=FOR_NOR, subject="passed over")
    async with listening(services, call, junior.cursor) as junior:
        await junior.caught_up()
    page = await usecases.list_reports(services, call, usecases.ListQuery())
    client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
    await usecases.change_clearance(services, populated.call(None), client, raised)
    async with listening(services, call, junior.cursor) as again, listening(services, call, page.value.next) as listed:
        await populated.post(label=FOR_NOR, subject="new")
        await again.until(2)
        await listed.until(1)

    assert (again.subjects, listed.subjects) == (["passed over", "new"], ["new"])


async def test_what_comes_with_a_change_of_rights_is_told_once_too(populated: World, monkeypatch):
    services = patient(populated.services)
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    await populated.post(label=FOR_NOR, subject="old")
    async with listening(services, populated.call("NOR junior")) as junior:
        await junior.settled()
        async with one_beat(services, monkeypatch):
            client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
            await usecases.change_clearance(services, populated.call(None), client, raised)
            await populated.post(label=FOR_NOR, subject="new")
        await junior.until(2)
        await populated.post(label=FOR_NOR, subject="last")
        await junior.until(3)

    assert junior.subjects == ["old", "new", "last"]


async def test_report_that_was_altered_ends_nobodys_stream(populated: World, monkeypatch):
    """Its readers are told that it is there, and are shown what comes with it and after it."""
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        async with one_beat(services, monkeypatch):
            altered = await populated.post(label=FOR_NOR)
            await populated.post(label=FOR_NOR, subject="whole")
            populated.sql("UPDATE report SET version = 2 WHERE id = $1", altered)
        await nor.until(1)
        await populated.post(label=FOR_NOR, subject="later")
        await nor.until(2)

    assert nor.subjects == ["whole", "later"]
    assert [notice.report for notice in await nor.until(1, Unopened)] == [None]


async def test_who_breaks_off_among_what_a_change_of_rights_opened_is_told_to_list_anew(populated: World):
    """What is left of it lies before every id: a stream that goes on behind one would never come to it."""
    services, call = patient(populated.services), populated.call("NOR junior")
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    for number in range(3):
        await populated.post(label=FOR_NOR, subject=f"old {number}")
    async with listening(services, call) as junior:
        await junior.settled()
        client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
        await usecases.change_clearance(services, populated.call(None), client, raised)
        broken, *_ = await junior.until(3)
        await junior.until(2, usecases.Begun)
    async with listening(services, call, broken.cursor) as again, listening(services, call, junior.cursor) as whole:
        await again.until(1, usecases.ListAnew)
        await populated.post(label=FOR_NOR, subject="new")
        await again.until(1)
        await whole.until(1)
    async with listening(services, call, again.cursor) as third:
        await third.settled()

    assert [type(notice).__name__ for notice in again.heard] == ["Begun", "ListAnew", "Begun", "Shown"]
    assert [type(notice).__name__ for notice in whole.heard] == ["Begun", "Shown"]
    assert [type(notice).__name__ for notice in third.heard] == ["Begun"]


async def test_what_is_opened_by_a_change_that_takes_something_too_is_to_be_listed_anew(populated: World):
    """Such a change ends the stream: the next one knows no rights from before, and would not tell of what came."""
    services, call = patient(populated.services), populated.call("NOR junior")
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED", compartments=("ATOMAL",))
    await populated.post(label=Label("NATO", "RESTRICTED", ("ATOMAL",), ("GBR", "NOR")))
    await populated.post(label=FOR_NOR)
    async with listening(services, call) as junior:
        await junior.settled()
        client, moved = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
        await usecases.change_clearance(services, populated.call(None), client, moved)
        assert await junior.ended() == "rights-changed"
    async with listening(services, call, junior.cursor) as again:
        await again.until(1, usecases.ListAnew)

    assert (junior.subjects, again.subjects) == ([], [])


async def test_more_than_is_sent_is_a_hint_to_list_anew(populated: World, monkeypatch):
    monkeypatch.setattr(stream_reports, "_MOST_MADE_VISIBLE", 2)
    monkeypatch.setattr(stream_reports, "_PAGE", 2)
    services = patient(populated.services)
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    for number in range(5):
        await populated.post(label=FOR_NOR, subject=f"old {number}")
    async with listening(services, populated.call("NOR junior")) as junior:
        await junior.settled()
        client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
        await usecases.change_clearance(services, populated.call(None), client, raised)
        await junior.until(1, usecases.ListAnew)

    assert junior.subjects == ["old 0", "old 1"]


async def test_report_that_was_altered_is_told_of_among_what_a_change_of_rights_opens(populated: World):
    services = patient(populated.services)
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    altered = await populated.post(label=FOR_NOR)
    await populated.post(label=FOR_NOR, subject="whole")
    populated.sql("UPDATE report SET version = 2 WHERE id = $1", altered)
    async with listening(services, populated.call("NOR junior")) as junior:
        await junior.settled()
        client, raised = populated.clients["NOR junior"].id, ClearanceChange("SECRET")
        await usecases.change_clearance(services, populated.call(None), client, raised)
        (unopened,) = await junior.until(1, Unopened)
        await junior.until(2, Begun)

    assert junior.subjects == ["whole"]
    # Who breaks off there does not know what is left.
    assert is_unfinished(services, populated.clients["NOR junior"], unopened.cursor)


async def test_client_has_so_many_streams_and_no_more(populated: World):
    services = patient(populated.services, per_client=2)
    call = populated.call("NOR reader")
    async with listening(services, call), listening(services, call):
        refused = await populated.attempt(usecases.open_stream(services, call, None))
        async with listening(services, populated.call("DNK reader")):
            pass
    async with listening(services, call):
        pass

    assert isinstance(refused.error, LimitExceededError)
    assert [entry["type"] for entry in refused.entries if entry["decision"] == "refused"] == ["stream.opened"]


async def test_node_that_stops_ends_its_streams_and_takes_none(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        services.watching.end_all()

        assert await nor.ended() == "stopping"
        with pytest.raises(UnavailableError):
            await usecases.open_stream(services, populated.call("DNK reader"), None)


async def test_foreign_and_forged_ids_are_refused_on_the_record(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        pass
    forged = nor.cursor[:-2] + ("BA" if nor.cursor.endswith("AA") else "AA")
    for cursor in (forged, "x", ""):
        with pytest.raises(MalformedError):
            await usecases.open_stream(services, populated.call("NOR reader"), cursor)
    tried = await populated.attempt(usecases.open_stream(services, populated.call("DNK reader"), nor.cursor))

    assert isinstance(tried.error, MalformedError)
    assert (tried.entry["type"], tried.entry["decision"]) == ("stream.opened", "refused")
    assert len(services.watching) == 0


@pytest.mark.parametrize("name", ["GBR contributor", "operator", "auditor"])
async def test_who_is_no_reader_hears_nothing(populated: World, name: str):
    tried = await populated.attempt(usecases.open_stream(populated.services, populated.call(name), None))

    assert isinstance(tried.error, ForbiddenError)
    assert tried.entry["reasons"] == ["role-missing"]


@pytest.mark.parametrize("fault", [UnavailableError("the database is away"), TypeError("a row was altered")])
async def test_pulse_that_failed_goes_on_and_says_so_once(populated: World, monkeypatch, caplog, fault: Exception):
    services = patient(populated.services)
    monkeypatch.setattr(stream_reports, "_AWAY_SECONDS", 0.01)
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        beat, failed, faults = services.store.pulse.beat, asyncio.Event(), [fault, fault, fault]

        async def fails_at_first():
            if not faults:
                failed.set()
                return await beat()
            raise faults.pop()

        monkeypatch.setattr(services.store.pulse, "beat", fails_at_first)
        await failed.wait()
        await populated.post(label=FOR_NOR, subject="after")
        await nor.until(1)

    assert nor.subjects == ["after"]
    assert ["streams wait" in each for each in caplog.messages].count(True) == 1


async def test_stream_that_cannot_be_recorded_holds_no_place(populated: World, monkeypatch):
    services = patient(populated.services)

    async def away(_draft):
        raise UnavailableError("the log cannot be written")

    monkeypatch.setattr(services.store, "append", away)
    with pytest.raises(UnavailableError):
        await usecases.open_stream(services, populated.call("NOR reader"), None)

    assert not services.watching.is_needed


async def test_law_that_this_node_does_not_have_ends_its_streams(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        populated.sql("UPDATE policy_state SET policy_digest = 'other', policy_version = policy_version + 1")

        assert await nor.ended() == "unavailable"


async def test_what_was_known_before_nobody_listened_is_believed_no_more(populated: World, monkeypatch):
    """Rights may have moved since: who listens then is not taken for who it was at the last beat."""
    services, call, known = patient(populated.services), populated.call("NOR reader"), []
    async with listening(services, call) as nor:
        await nor.settled()
    beat = services.store.pulse.beat

    async def noted():
        known.append((services.watching.state, services.watching.seq))
        return await beat()

    monkeypatch.setattr(services.store.pulse, "beat", noted)
    async with listening(services, call, nor.cursor) as again:
        await again.settled()

    assert known[0] == (None, None)


async def test_database_is_asked_nothing_while_nobody_listens(populated: World):
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")):
        assert services.watching.beating is not None

    assert services.watching.beating.done()
