"""Classes 8, 9, 12, 21: the log tells an auditor nothing of what is not its own, whatever it asks for and how often."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest

from exchange.markings import Label
from exchange.release import Reason
from exchange.reports import PostedPart
from exchange.usecases import pull_report
from exchange.usecases.steps.registering import register_reads
from tests.attacks.hidden import AGREEMENT_OF_TWO, Api, Hidden, random_id, report_body, seen
from tests.support.placing import place_anew, place_entries
from tests.support.treaty import sign_by_call
from tests.support.world import World, thumbprint_of

ENTRIES = "/v1/audit/entries"
OUTSIDERS = ("NOR auditor", "DNK auditor")


async def with_an_auditor(api: Api) -> Api:
    await api.world.enrol("DNK auditor", "DNK", "auditor", level="TOP SECRET", compartments=("ATOMAL",))
    return api


def probes(hidden: Hidden) -> list[dict[str, str]]:
    """Return every filter with what would find the hidden things."""
    values: dict[str, tuple[str, ...]] = {
        "member": ("GBR", "ESP"),
        "client": (hidden.client,),
        "report": (hidden.report, hidden.other_report),
        "subject": (hidden.agreement, hidden.client, hidden.entry),
        "owner": ("GBR", "ESP"),
        "agreement": (hidden.agreement,),
        "level": ("SECRET",),
        "event": ("report.posted", "client.enrolled", "agreement.signed"),
        "agency": ("NCSC",),
        "reason": ("not-releasable",),
        "text": ("e",),
        "crisis": (hidden.entry,),
        "source": ("192.0.2.7",),
        "thumbprint": (thumbprint_of("GBR reader"), thumbprint_of("ESP reader")),
    }
    single = [{name: value} for name, each in values.items() for value in each]
    pairs = [one | other for one, other in itertools.combinations(single, 2) if one.keys().isdisjoint(other)]
    return [{}, *single, *pairs]


@pytest.mark.parametrize("name", OUTSIDERS)
async def test_12_search_is_the_same_with_and_without_what_is_hidden(
    api: Api, plain_api: Api, hidden: Hidden, name: str
) -> None:
    for each in (api, plain_api):
        await with_an_auditor(each)
    for probe in probes(hidden):
        answers = [seen(await each.as_client(name).get(ENTRIES, params=probe)) for each in (api, plain_api)]

        assert answers[0].status == (422 if {"report", "subject"} <= probe.keys() else 200)
        assert _without_cursor(answers[0].body) == _without_cursor(answers[1].body), probe
        assert answers[0].length == answers[1].length


def _without_cursor(body: bytes) -> bytes:
    return body.partition(b'"next"')[0]


async def test_09_what_others_agree_on_and_share_changes_no_view(api: Api) -> None:
    world = api.world
    await world.enrol("NOR cleared auditor", "NOR", "auditor", compartments=("ATOMAL",))
    await world.enrol("GBR cleared auditor", "GBR", "auditor", compartments=("ATOMAL",))
    for name in ("NOR reader", "GBR reader"):
        await api.as_client(name).get("/v1/reports")
    world.sequence()

    async def extents(name: str) -> set[str]:
        asked = {"event": "report.listed", "limit": "500"}
        return {each["extent"] for each in (await api.as_client(name).get(ENTRIES, params=asked)).json()["items"]}

    shown = [await extents("NOR cleared auditor")]
    two = await world.agree(AGREEMENT_OF_TWO.replace("ceiling: SECRET", "ceiling: TOP SECRET"), signatories=["GBR"])
    shown.append(await extents("NOR cleared auditor"))
    await sign_by_call(world.services, world.call("ESP signatory"), two)
    await world.post(label=Label("NATO", "TOP SECRET", releasable_to=("ESP", "GBR")))
    shown.append(await extents("NOR cleared auditor"))

    assert shown == [{"whole"}] * 3
    assert await extents("GBR cleared auditor") == {"cleared"}


async def test_08_auditor_is_cleared_for_all_where_it_is_for_what_its_member_was_given_by_consent(
    plain_api: Api,
) -> None:
    world = plain_api.world
    await world.enrol("ESP low auditor", "ESP", "auditor", level="RESTRICTED")
    await world.enrol("ESP auditor", "ESP", "auditor", level="CONFIDENTIAL")
    report = await world.post(label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")))
    onward = {"recipient": "ESP", "reason": "the operation is theirs"}
    made = await plain_api.as_client("NOR reader").post(f"/v1/reports/{report}/onward-requests", json=onward)
    granting = f"/v1/onward-requests/{made.json()['id']}/grant"
    assert (await plain_api.as_client("GBR releaser").post(granting, json={})).is_success
    await plain_api.as_client("ESP reader").get("/v1/reports")
    world.sequence()

    async def listed(name: str) -> tuple[str, list[str]]:
        (item,) = [each for each in await _all_of(plain_api, name) if each["entry"]["type"] == "report.listed"]
        return item["extent"], item["entry"]["result_ids"]

    assert await listed("ESP auditor") == ("whole", [report])
    assert await listed("ESP low auditor") == ("cleared", [])


@pytest.mark.parametrize("name", OUTSIDERS)
async def test_21_no_canary_of_what_is_hidden_is_in_any_answer(api: Api, hidden: Hidden, name: str) -> None:
    await with_an_auditor(api)
    canaries = [each.encode() for each in (hidden.report, hidden.other_report, hidden.agreement, hidden.client)]
    for order in ("newest", "oldest"):
        after: dict[str, str] = {}
        for _ in range(50):
            answer = await api.as_client(name).get(ENTRIES, params={"limit": "7", "order": order, **after})
            page = answer.json()
            assert not any(canary in answer.content for canary in canaries)
            if page["next"] is None or not page["items"]:
                break
            after = {"after": page["next"]}


async def test_08_refusal_shows_what_was_sent_and_nothing_of_what_stayed_invisible(api: Api, hidden: Hidden) -> None:
    world = api.world
    client = api.as_client("NOR reader")
    shown = []
    for report in (hidden.report, hidden.other_report, random_id()):
        answer = await client.get(f"/v1/reports/{report}", headers={"Exchange-Purpose": "law-enforcement"})
        world.sequence()
        (item,) = (await api.as_client("NOR auditor").get(ENTRIES, params={"report": report})).json()["items"]
        assert item["id"] == answer.headers["x-audit-entry"]
        assert item["leaf"] == answer.headers["x-audit-leaf"]
        shown.append(_masked(item["entry"], report))

    assert shown[0] == shown[1] == shown[2]
    assert shown[0]["decision"] == "refused"
    assert {"label", "owner", "agreement", "scope", "reasons", "policies", "purpose"}.isdisjoint(shown[0])


def _masked(entry: dict[str, Any], report: str) -> dict[str, Any]:
    own = {name: value for name, value in entry.items() if name not in {"id", "request_id", "node_seq", "ts"}}
    assert own["object"].pop("id") == report
    return own


async def test_12_no_filter_on_what_a_refusal_withholds_finds_it(api: Api, hidden: Hidden) -> None:
    await api.as_client("NOR reader").get(f"/v1/reports/{hidden.report}")
    api.world.sequence()
    auditor = api.as_client("NOR auditor")
    withheld = [
        {"owner": "GBR"},
        {"agreement": api.world.agreement_id},
        {"level": "SECRET"},
        {"crisis": hidden.entry},
        *({"reason": reason.value} for reason in Reason),
        *({"text": text} for text in ("releasable", "a", "e", "-")),
    ]
    (found,) = (await auditor.get(ENTRIES, params={"report": hidden.report})).json()["items"]
    for probe in withheld:
        for narrowed in ({}, {"report": hidden.report}, {"outcome": "refused"}, {"event": "report.read"}):
            items = (await auditor.get(ENTRIES, params={**probe, **narrowed, "limit": "500"})).json()["items"]
            assert found["id"] not in {item["id"] for item in items}, (probe, narrowed)


async def test_11_page_sizes_and_ends_are_the_same_with_and_without_what_is_hidden(
    api: Api, plain_api: Api, world: World, plain: World
) -> None:
    for number in range(6):
        secret = await world.post(label=Label("NATO", "SECRET"), subject=f"hidden {number}")
        await pull_report(world.services, world.call("GBR reader"), secret)
    for each in (world, plain):
        each.sequence()

    shapes = []
    for side in (api, plain_api):
        client, after, pages = side.as_client("NOR auditor"), {}, []
        for _ in range(20):
            page = (await client.get(ENTRIES, params={"limit": "2", **after})).json()
            pages.append((len(page["items"]), page["next"] is None, len(page["next"] or "")))
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        shapes.append(pages)

    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 2


async def test_11_cursor_of_another_auditor_opens_nothing(api: Api) -> None:
    page = (await api.as_client("auditor").get(ENTRIES, params={"limit": "1"})).json()
    for name in ("NOR auditor", "auditor"):
        answer = await api.as_client(name).get(ENTRIES, params={"after": page["next"]})
        assert answer.status_code == (200 if name == "auditor" else 400)


@pytest.mark.parametrize("name", ["NOR reader", "NOR contributor", "NOR operator", "NOR releaser", "operator"])
async def test_21_nobody_but_an_auditor_reads_the_log(api: Api, hidden: Hidden, name: str) -> None:
    for place in (ENTRIES, f"{ENTRIES}/{hidden.entry}", f"{ENTRIES}/{random_id()}"):
        answer = await api.as_client(name).get(place)
        assert (answer.status_code, answer.json()["code"]) == (403, "role-missing")


async def test_21_no_answer_holds_what_was_posted(api: Api) -> None:
    for name in ("auditor", "NOR auditor"):
        answer = await api.as_client(name).get(ENTRIES, params={"limit": "500"})
        assert answer.json()["items"]
        for canary in (b"Canary subject 4711", b"first part", b"For all"):
            assert canary not in answer.content


async def test_09_who_decides_and_its_auditor_learn_nothing_of_a_report_above_their_clearance(
    api: Api, hidden: Hidden
) -> None:
    world = api.world
    await world.enrol("GBR low releaser", "GBR", "releaser", level="RESTRICTED")
    await world.enrol("GBR low auditor", "GBR", "auditor", level="RESTRICTED")
    low = api.as_client("GBR low releaser")
    answers, entries = [], []
    ids = ((hidden.onward, hidden.derivation, hidden.report), (random_id(), random_id(), random_id()))
    for onward, derivation, report in ids:
        asked = [await low.get(f"/v1/reports/{report}/explanation")]
        for path in (f"/v1/onward-requests/{onward}", f"/v1/derivation-requests/{derivation}"):
            asked += [
                await low.post(f"{path}/grant", json={}),
                await low.post(f"{path}/refusal", json={"reason": "not theirs"}),
                await low.post(f"{path}/revocation", json={}),
            ]
        answers.append([seen(answer) for answer in asked])
        entries.append([answer.headers["x-audit-entry"] for answer in asked])
    world.sequence()
    shown = (await api.as_client("GBR low auditor").get(f"{ENTRIES}?limit=500")).json()["items"]
    told = {each["id"]: (each["entry"]["object"]["type"], each["entry"].get("detail")) for each in shown}

    assert answers[0] == answers[1]
    assert [told[each] for each in entries[0]] == [told[each] for each in entries[1]]


async def test_08_no_entry_names_a_report_above_an_auditors_clearance_but_to_say_what_its_own_client_sent(
    api: Api,
) -> None:
    world = api.world
    for member in ("GBR", "NOR"):
        await world.enrol(f"{member} low auditor", member, "auditor", level="RESTRICTED")
    await world.enrol("GBR auditor", "GBR", "auditor")
    await world.enrol("GBR operator", "GBR", "operator")
    report = await world.post()
    await place_anew(world)
    onward = {"recipient": "ESP", "reason": "the operation is theirs"}
    content = {"parts": [{"media_type": "text/plain", "name": "b.txt", "content": "again", "encoding": "utf-8"}]}
    amended = {
        name: value for name, value in report_body(world.agreement_id).items() if name not in {"agreement", "scope"}
    }
    acts: tuple[tuple[str, str, str, Any], ...] = (
        ("NOR reader", "GET", "/v1/reports", None),
        ("NOR reader", "GET", f"/v1/reports/{report}", None),
        ("NOR operator", "GET", f"/v1/reports/{report}", None),
        ("GBR operator", "GET", f"/v1/reports/{report}", None),
        ("NOR reader", "POST", f"/v1/reports/{report}/onward-requests", onward),
        ("GBR releaser", "GET", "/v1/onward-requests", None),
        ("GBR contributor", "POST", f"/v1/reports/{report}/amendments", amended | content),
        ("NOR reader", "GET", "/v1/notices", None),
        ("GBR releaser", "POST", f"/v1/reports/{report}/recall", {"reason": "the source is at risk"}),
        ("NOR reader", "GET", "/v1/destructions", None),
        ("NOR reader", "POST", f"/v1/reports/{report}/destruction", {"method": "erased", "copies": 1}),
    )
    for name, method, path, body in acts:
        world.clock.advance(timedelta(seconds=1))
        answer = await api.as_client(name).request(method, path, json=body)
        assert answer.status_code in {200, 201, 403}, (name, path, answer.text)
        await place_entries(world, is_searchable=True)
    for name in ("GBR auditor", "NOR auditor"):
        for item in await _all_of(api, name):
            await api.as_client(name).get(f"{ENTRIES}/{item['id']}")
    await place_entries(world, is_searchable=True)

    for name in ("GBR low auditor", "NOR low auditor"):
        shown = (await api.as_client(name).get(ENTRIES, params={"limit": "500"})).json()["items"]
        naming = [item for item in shown if report in json.dumps(item)]
        assert {item["extent"] for item in naming} == {"refusal"}
        assert {item["entry"]["member"] for item in naming} == {name[:3]}
        above = {item["id"] for item in await _all_of(api, f"{name[:3]} auditor")} - {item["id"] for item in shown}
        assert above
        assert not any(each in json.dumps(item) for item in shown for each in above)
        # Each list is cut, whatever was in it: a cut one would tell that something is missing.
        lists = [item for item in shown if not {"result_ids", "result_count"}.isdisjoint(item["entry"])]
        assert {item["extent"] for item in lists} == {"cleared"}
        assert all(item["entry"]["result_count"] == len(item["entry"]["result_ids"]) for item in lists)
        exported = (await api.as_client(name).get("/v1/audit/export")).text.splitlines()
        assert [line for line in exported if report in line and '"extent":"refusal"' not in line] == []
        for each in above:
            assert (await api.as_client(name).get(f"{ENTRIES}/{each}")).status_code == 404
    listed = [item["entry"].get("result_ids", []) for item in await _all_of(api, "NOR auditor")]
    assert any(report in each for each in listed)


@pytest.mark.parametrize("end", ["confirmation", "refusal"])
async def test_08_act_about_a_report_above_an_auditors_clearance_leaves_no_entry_for_it(api: Api, end: str) -> None:
    world = api.world
    await world.enrol("GBR auditor", "GBR", "auditor")
    await world.enrol("GBR low auditor", "GBR", "auditor", level="RESTRICTED")
    report = await world.post()
    onward = {"recipient": "ESP", "reason": "the operation is theirs"}
    made = await api.as_client("NOR reader").post(f"/v1/reports/{report}/onward-requests", json=onward)
    granted = await api.as_client("GBR releaser").post(f"/v1/onward-requests/{made.json()['id']}/grant", json={})
    act, second = granted.json()["act"], api.as_client("GBR second releaser")
    shown = await second.get(f"/v1/acts/{act}")
    body = {"digest": shown.json()["digest"]} if end == "confirmation" else {}
    assert (await second.post(f"/v1/acts/{act}/{end}", json=body)).is_success
    world.sequence()
    seen_by = {
        name: [item for item in await _all_of(api, name) if act in json.dumps(item)]
        for name in ("GBR auditor", "GBR low auditor")
    }

    assert len(seen_by["GBR auditor"]) >= len(("asked", "shown", "ended"))
    assert seen_by["GBR low auditor"] == []


async def _all_of(api: Api, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.as_client(name).get(ENTRIES, params={"limit": "500"})).json()["items"]
    return found


async def test_08_auditor_of_a_tear_line_s_reader_is_told_what_the_reader_was(api: Api) -> None:
    await with_an_auditor(api)
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    parts = (
        PostedPart(None, "text/plain", "secret.txt", b"the whole story"),
        PostedPart(low, "text/plain", "low.txt", b"what all may know"),
    )
    torn = await api.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")), parts=parts)
    reader, place = api.as_client("DNK reader"), f"/v1/reports/{torn}"
    for path in (place, f"{place}/parts/1", f"{place}/explanation"):
        assert (await reader.get(path)).status_code == 200
    for path in (place, f"{place}/parts/1"):
        assert (await reader.request("HEAD", path)).status_code == 200
    assert (await reader.post(f"{place}/receipts", json={})).is_success
    body = {"recipient": "ESP", "parts": [1], "reason": "theirs is the operation"}
    asked = (await reader.post(f"{place}/onward-requests", json=body)).json()
    assert (await reader.post(f"/v1/onward-requests/{asked['id']}/withdrawal", json={})).is_success
    api.world.sequence()
    await register_reads(api.world.services.store, api.world.services.register)
    api.world.sequence()
    everything = {"report": torn, "limit": "500"}
    shown = [
        each["entry"] for each in (await api.as_client("DNK auditor").get(ENTRIES, params=everything)).json()["items"]
    ]

    assert {each["type"] for each in shown} >= {
        *("report.read", "report.part_read", "report.explained", "report.described", "report.received"),
        *("onward.requested", "onward.withdrawn"),
    }
    for each in shown:
        assert each.get("label", low.as_json()) == low.as_json(), each
        assert "part" not in each.get("detail", {}), each
    # What was received is not of a level that is registered: only that it was acknowledged is told.
    assert [each["detail"]["how"] for each in shown if each["type"] == "report.received"] == ["acknowledged"]
    # Who may know the report is told which part it was.
    items = (await api.as_client("auditor").get(ENTRIES, params={"report": torn, "event": "report.part_read"})).json()
    assert [each["entry"]["detail"]["part"] for each in items["items"]] == [2]


@pytest.mark.parametrize("whole", [("CONFIDENTIAL", ()), ("SECRET", ()), ("SECRET", ("ATOMAL",))])
async def test_08_auditors_of_a_tear_line_s_reader_tell_the_whole_by_no_clearance(
    api: Api, whole: tuple[str, tuple[str, ...]]
) -> None:
    await with_an_auditor(api)
    await api.world.enrol("DNK low auditor", "DNK", "auditor", level="RESTRICTED")
    low = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    parts = (PostedPart(None, "text/plain", "a.txt", b"all"), PostedPart(low, "text/plain", "b.txt", b"some"))
    label = Label("NATO", whole[0], compartments=whole[1], releasable_to=("GBR", "NOR"))
    torn = await api.world.post(label=label, parts=parts)
    reader = api.as_client("DNK reader")
    body = {"recipient": "ESP", "parts": [1], "reason": "theirs is the operation"}
    asked = (await reader.post(f"/v1/reports/{torn}/onward-requests", json=body)).json()
    assert (await reader.post(f"/v1/onward-requests/{asked['id']}/withdrawal", json={})).is_success
    assert torn in {each["id"] for each in (await reader.get("/v1/reports")).json()["items"]}
    api.world.sequence()
    told = {}
    for name in ("DNK auditor", "DNK low auditor"):
        entries = [each["entry"] for each in await _all_of(api, name)]
        told[name] = [each["type"] for each in entries if torn in json.dumps(each) and each["type"] != "audit.searched"]

    assert told["DNK low auditor"] == told["DNK auditor"]
    assert {"report.listed", "onward.requested", "onward.withdrawn"} <= set(told["DNK auditor"])
