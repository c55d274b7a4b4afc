"""The routes of auditors: what they ask, and how it is answered."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import orjson
import pytest

from exchange.usecases import search_tokens
from exchange.wire import EntryListBody, ShownEntryBody
from tests.support.world import World, thumbprint_of

ENTRIES = "/v1/audit/entries"
Http = Callable[[str | None], httpx2.AsyncClient]
EntryOf = Callable[[httpx2.Response], Awaitable[dict[str, Any]]]


@pytest.fixture
async def searched(world: World) -> World:
    report = await world.post()
    world.url = f"sqlite+aiosqlite:///{world.folder}/exchange.db"
    assert report
    world.sequence()
    return world


async def test_page_of_the_log_as_the_contract_says(searched: World, http: Http, entry_of: EntryOf) -> None:
    answer = await http("auditor").get(ENTRIES, params={"event": "report.posted", "limit": "1", "order": "oldest"})
    page = EntryListBody.model_validate_json(answer.content)
    (item,) = page.items

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (item.extent, item.entry["type"], item.id) == ("whole", "report.posted", item.entry["id"])
    # What is shown whole can be hashed again: its canonical form is what the log holds.
    leaf = hashlib.sha256(b"\0" + orjson.dumps(item.entry, option=orjson.OPT_SORT_KEYS)).digest()
    assert item.leaf == base64.b64encode(leaf).decode()
    assert page.next is not None
    assert (await entry_of(answer))["detail"] == {"event": "report.posted", "limit": 1, "order": "oldest"}


async def test_one_entry_is_shown_as_the_page_shows_it(searched: World, http: Http) -> None:
    client = http("auditor")
    (item,) = (await client.get(ENTRIES, params={"limit": "1"})).json()["items"]
    answer = await client.get(f"{ENTRIES}/{item['id']}")

    assert answer.json() == item
    assert ShownEntryBody.model_validate_json(answer.content)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "yesterday"}, "/since"),
        ({"until": "2026-01-01"}, "/until"),
        ({"order": "random"}, "/order"),
        ({"limit": "501"}, "/limit"),
        ({"report": "x", "subject": "y"}, "/subject"),
        ({"report": "x"}, "/report"),
        ({"event": "x"}, "/event"),
        ({"colour": "x"}, "/colour"),
        ({"source": "localhost"}, "/source"),
        ({"source": "192.0.2.0/24"}, "/source"),
        ({"thumbprint": "abc"}, "/thumbprint"),
        ({"thumbprint": "g" * 64}, "/thumbprint"),
    ],
)
async def test_fault_in_the_query_is_pointed_at(
    searched: World, http: Http, query: dict[str, str], pointer: str
) -> None:
    answer = await http("auditor").get(ENTRIES, params=query)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_misspelt_event_is_told_which_one_is_near_before_those_of_its_thing(searched: World, http: Http) -> None:
    (fault,) = (await http("auditor").get(ENTRIES, params={"event": "report.reads"})).json()["errors"]

    assert fault["detail"].startswith("is `report.read` or ")
    # An answer is cut behind 500 characters of a fault: of all events it would not show the last.
    assert fault["detail"].endswith("report.superseded")


async def test_report_is_the_subject(searched: World, http: Http) -> None:
    client = http("auditor")
    (item,) = (await client.get(ENTRIES, params={"event": "report.posted"})).json()["items"]
    report = item["entry"]["object"]["id"]
    pages = [(await client.get(ENTRIES, params={name: report})).json()["items"] for name in ("report", "subject")]

    assert pages[0] == pages[1]
    assert item in pages[0]
    assert {each["entry"]["type"] for each in pages[0]} == {"report.posted", "report.distributed"}
    assert (await client.get(ENTRIES, params={"since": "2026-06-01T12:00:01Z"})).json()["items"] == []


@pytest.mark.parametrize("name", ["auditor", "NOR auditor"])
async def test_address_and_certificate_find_what_the_auditor_may_see_of_them(
    searched: World, http: Http, entry_of: EntryOf, name: str
) -> None:
    await searched.enrol("NOR auditor", "NOR", "auditor")
    await http("NOR reader").get("/v1/reports")
    await http("GBR reader").get("/v1/reports")
    searched.sequence()
    client, listed = http(name), {"event": "report.listed"}
    wanted = [
        {"source": "192.0.2.7"},
        {"source": "::ffff:192.0.2.7"},
        {"source": "192.0.2.8"},
        {"thumbprint": thumbprint_of("NOR reader")},
        {"thumbprint": ":".join(re.findall("..", thumbprint_of("NOR reader").upper()))},
        {"thumbprint": thumbprint_of("GBR reader")},
    ]
    answers = [await client.get(ENTRIES, params={**listed, **each}) for each in wanted]
    found = [[item["entry"]["member"] for item in answer.json()["items"]] for answer in answers]

    sees_all = name == "auditor"
    by_address = ["GBR", "NOR"] if sees_all else ["NOR"]
    assert found == [by_address, by_address, [], ["NOR"], ["NOR"], ["GBR"] if sees_all else []]
    # What was searched for is in the log as it stands in entries: as a token.
    detail = (await entry_of(answers[0]))["detail"]
    assert detail["source"] == search_tokens(searched.services).of_address("192.0.2.7")


@pytest.mark.parametrize(
    ("place", "status"), [(f"{ENTRIES}/no-id", 404), (f"{ENTRIES}?after=forged", 400), (f"{ENTRIES}/x?y=1", 422)]
)
async def test_refusals(searched: World, http: Http, place: str, status: int) -> None:
    assert (await http("auditor").get(place)).status_code == status
    assert (await http("GBR reader").get(f"{ENTRIES}")).status_code == 403
