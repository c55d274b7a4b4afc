"""Streams tell of requests and breaches: to whom each concerns and may know of it then, once, in the order of reports."""

import json
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.reports import Precedence
from exchange.usecases import ClearanceChange, DutyWatch, Told
from exchange.usecases.telling import stream_reports
from tests.support.listening import Listener, listening, patient
from tests.support.world import AGREEMENT, World
from tests.usecases.test_information_requests import ask

FOR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
OWING = AGREEMENT.replace(
    "obligations: []", "obligations:\n  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}"
)


def told(listener: Listener) -> list[tuple[str, dict[str, str]]]:
    return [(each.kind, json.loads(each.facts_json)) for each in listener.heard if isinstance(each, Told)]


def heard(listener: Listener) -> list[str]:
    return [type(each).__name__ for each in listener.heard]


async def breach(world: World, services: Any = None) -> str:
    """Let NOR fail to acknowledge a report of GBR's, and return the report."""
    await world.agree(OWING)
    world.clock.advance(timedelta(minutes=1))
    report = await world.post(precedence=Precedence.FLASH, label=FOR_NOR)
    world.clock.advance(timedelta(minutes=11))
    await DutyWatch(services or world.services).round()
    return report


async def entries(world: World, event: str) -> list[dict[str, Any]]:
    return [each for each in await world.entries() if each["type"] == event]


async def test_asked_reader_is_told_of_a_request_made_on_another_node_and_nobody_else_is(populated: World) -> None:
    await populated.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
    services = patient(populated.services)
    async with (
        populated.another_node() as other,
        listening(patient(other), populated.call("NOR reader")) as nor,
        listening(services, populated.call("NOR junior")) as junior,
        listening(services, populated.call("GBR reader")) as asker,
        listening(services, populated.call("DNK reader")) as dnk,
    ):
        request = await ask(populated, precedence=Precedence.FLASH)
        (one,) = await nor.until(1, Told)
        recorded = await entries(populated, "request.notified")
        await populated.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))
        for each in (nor, junior, asker, dnk):
            await each.until(1)

    assert told(nor) == [("request", {"request": request, "precedence": "FLASH"})]
    assert not any(word in one.facts_json for word in (b"Canary", b"SECRET", b"GBR", b"cyber"))
    assert [told(each) for each in (junior, asker, dnk)] == [[], [], []]
    (entry,) = [each for each in recorded if each["decision"] == "permitted"]
    reader = populated.clients["NOR reader"].id
    assert (entry["actor"], entry["detail"]["client"]) == ({"kind": "service"}, reader)
    # Whoever is passed over is on the record with why, and that is not told to it.
    (refused,) = [each for each in await entries(populated, "request.notified") if each["decision"] == "refused"]
    assert (refused["detail"]["client"], refused["reasons"]) == (
        populated.clients["NOR junior"].id,
        ["above-clearance"],
    )


async def test_breach_is_told_to_readers_of_the_two_who_may_read_the_report_and_names_no_report(
    populated: World,
) -> None:
    await populated.enrol("NOR junior", "NOR", "reader", level="CONFIDENTIAL")
    services = patient(populated.services)
    async with (
        listening(services, populated.call("NOR reader")) as nor,
        listening(services, populated.call("NOR junior")) as junior,
        listening(services, populated.call("GBR reader")) as gbr,
        listening(services, populated.call("DNK reader")) as dnk,
    ):
        report = await breach(populated)
        await nor.until(1, Told)
        await gbr.until(1, Told)
        await populated.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))
        for each in (junior, dnk):
            await each.until(1)

    ((kind, facts),) = told(nor)
    assert told(gbr) == [(kind, facts)]
    assert (kind, facts["party"], facts["owed_to"], facts["kind"]) == ("breach", "NOR", "GBR", "acknowledgement")
    assert report not in json.dumps(facts)
    assert [told(each) for each in (junior, dnk)] == [[], []]
    notified = {each["detail"]["client"] for each in await entries(populated, "breach.notified")}
    assert notified == {populated.clients[name].id for name in ("NOR reader", "GBR reader")}


async def test_resumed_stream_tells_what_came_meanwhile_once_and_in_order(populated: World) -> None:
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await populated.post(label=FOR_NOR, subject="first")
        await nor.until(1)
    await populated.post(label=FOR_NOR, subject="second")
    missed = await ask(populated)
    await populated.post(label=FOR_NOR, subject="third")
    last = await ask(populated)
    async with listening(services, populated.call("NOR reader"), nor.cursor) as again:
        await again.until(2, Told)
    in_between = next(each.cursor for each in again.heard if isinstance(each, Told))
    async with listening(services, populated.call("NOR reader"), in_between) as behind:
        await behind.until(1, Told)
    async with listening(services, populated.call("NOR reader"), again.cursor) as at_the_end:
        await populated.post(label=FOR_NOR, subject="fourth")
        await at_the_end.until(1)

    assert heard(again) == ["Begun", "Shown", "Told", "Shown", "Told"]
    assert [facts["request"] for _, facts in told(again)] == [missed, last]
    assert heard(behind) == ["Begun", "Shown", "Told"]
    assert (behind.subjects, told(behind)) == (["third"], told(again)[1:])
    assert heard(at_the_end) == ["Begun", "Shown"]


async def test_kind_that_a_newer_version_tells_is_not_told_and_keeps_no_other_away(populated: World) -> None:
    """Nor one that was altered: it ended the stream of every reader of its member, each time anew."""
    services = patient(populated.services)
    start = (await usecases.list_reports(services, populated.call("NOR reader"), usecases.ListQuery())).value.next
    newer, known = await ask(populated), await ask(populated)
    populated.sql("UPDATE stream_event SET kind = 'newer' WHERE subject = $1", newer)
    async with listening(services, populated.call("NOR reader"), start) as nor:
        await nor.until(1, Told)

    assert [facts["request"] for _, facts in told(nor)] == [known]


async def test_more_than_a_page_of_reports_keeps_its_order_with_what_is_told_between(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_reports, "_PAGE", 3)
    services = patient(populated.services)
    start = (await usecases.list_reports(services, populated.call("NOR reader"), usecases.ListQuery())).value.next
    for number in range(5):
        await populated.post(label=FOR_NOR, subject=str(number))
        await ask(populated)
    async with listening(services, populated.call("NOR reader"), start) as nor:
        await nor.until(5, Told)

    assert heard(nor) == ["Begun", *(["Shown", "Told"] * 5)]
    assert nor.subjects == [str(number) for number in range(5)]


async def test_what_may_not_be_known_at_the_moment_of_telling_is_not_told_then_nor_later(populated: World) -> None:
    services, reader = patient(populated.services), populated.clients["NOR reader"].id

    async def cleared(level: str) -> None:
        await usecases.change_clearance(services, populated.call(None), reader, ClearanceChange(level))

    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
    for end in (usecases.withdraw_request, usecases.close_request):
        await end(services, populated.call("GBR reader"), await ask(populated))
    async with listening(services, populated.call("NOR reader"), nor.cursor) as ended:
        await populated.post(label=FOR_NOR)
        await ended.until(1)
    await cleared("RESTRICTED")
    await ask(populated)
    async with listening(services, populated.call("NOR reader"), ended.cursor) as low:
        low_report = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
        await populated.post(label=low_report)
        await low.until(1)
    await cleared("SECRET")
    async with listening(services, populated.call("NOR reader"), low.cursor) as high:
        await populated.post(label=FOR_NOR)
        await high.until(1)

    assert told(ended) == told(low) == told(high) == []


async def test_log_that_cannot_be_written_ends_the_stream_untold(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = patient(populated.services)
    async with listening(services, populated.call("NOR reader")) as nor:
        await nor.settled()
        append = services.store.append

        async def away(draft: Any) -> Any:
            if draft.event.value == "request.notified":
                raise UnavailableError("the log cannot be written")
            return await append(draft)

        monkeypatch.setattr(services.store, "append", away)
        await ask(populated)
        assert await nor.ended() == "unavailable"
    monkeypatch.undo()
    async with listening(services, populated.call("NOR reader"), nor.cursor) as again:
        await again.until(1, Told)

    assert told(nor) == []
