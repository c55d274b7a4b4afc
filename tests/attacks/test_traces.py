"""Classes 9, 11, 12, 13: what is hidden leaves no trace in lists, filters, counts, cursors or any other way of asking."""

import itertools
from typing import Any

import pytest

from exchange.markings import Label
from exchange.reports import PostedPart
from tests.attacks.hidden import Api, Seen, open_api, random_id, seen
from tests.support.world import World

# What each query parameter may be asked for; one that is not here fails the sweep.
VALUES: dict[str, list[str]] = {
    "limit": ["1", "2", "500"],
    "agreement": ["<agreement>", "<random>"],
    "topic": ["cyber", "cyber.apt"],
    "kind": ["intrep", "threat-warning"],
    "precedence": ["ROUTINE", "FLASH"],
    "since": ["2026-06-01T12:00:00Z", "2026-06-01T11:59:59Z", "2030-01-01T00:00:00Z"],
    "after": ["<own>"],
    "until": ["2026-06-01T12:00:01Z"],
    "order": ["oldest"],
    "member": ["GBR"],
    "agency": ["NCSC"],
    "client": ["<random>"],
    "report": ["<random>"],
    "subject": ["<agreement>"],
    "owner": ["GBR"],
    "event": ["report.posted"],
    "outcome": ["permitted"],
    "level": ["SECRET"],
    "reason": ["not-releasable"],
    "text": ["not"],
    "from": ["0", "1"],
    "to": ["1", "3"],
    "format": ["csv"],
    "follow": ["false"],
    "proofs": ["false"],
    "rule": ["mass-pulls"],
    "kept": ["true"],
    "witnessed": ["true"],
    "origin": ["exchange.example/log/1"],
    "source": ["192.0.2.1"],
    "thumbprint": ["ab" * 32],
    "crisis": ["01980000-0000-7000-8000-00000000000f"],
    "region": ["EUR"],
}
_LISTS = {"/v1/stream": "/v1/reports"}
"""Whose cursor a path takes that hands out none in JSON."""
ONLOOKERS = ("DNK reader", "DNK signatory", "NOR reader", "NOR contributor", "NOR operator", "NOR auditor")


def questions(api: Api) -> list[tuple[str, dict[str, str]]]:
    """Return every GET of the document without an id in its path, with every parameter alone and in pairs."""
    asked: list[tuple[str, dict[str, str]]] = []
    for method, path, operation in api.operations():
        if method != "GET" or "{" in path:
            continue
        names = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
        assert set(names) <= VALUES.keys(), f"say here what to ask `{path}` for"
        single = [{name: value} for name in names for value in VALUES[name]]
        pairs = [one | other for one, other in itertools.combinations(single, 2) if one.keys() != other.keys()]
        if path.startswith("/v1/audit/"):
            # An auditor's pairs are asked in `test_slices`; nobody else here hears anything.
            pairs = []
        asked += [(path, query) for query in ({}, *single, *pairs)]
    return asked


async def told(api: Api, name: str) -> list[tuple[str, Seen]]:
    """Return all that a client hears, cursors masked but for their length."""
    client, heard, cursors = api.as_client(name), [], {}
    for path, query in questions(api):
        stands_for = {
            "<agreement>": api.world.agreement_id,
            "<random>": random_id(),
            "<own>": cursors.get(_LISTS.get(path, path), ""),
        }
        wanted = {key: stands_for.get(value, value) for key, value in query.items()}
        if wanted.get("after") == "":
            continue
        answer = await client.get(path, params=wanted)
        is_json = answer.headers["content-type"] == "application/json"
        following = answer.json().get("next") if answer.status_code == 200 and is_json else None
        if following is not None:
            cursors.setdefault(path, following)
        view = seen(answer)
        body = view.body.replace((following or "\0").encode(), b"-" * len(following or ""))
        heard.append((f"{path} {sorted(query.items())}", Seen(view.status, view.headers, body, view.length)))
    return heard


@pytest.mark.parametrize("name", ONLOOKERS)
async def test_09_answers_are_the_same_with_and_without_what_is_hidden(api: Api, plain_api: Api, name: str) -> None:
    with_hidden, without = await told(api, name), await told(plain_api, name)

    assert len(with_hidden) > 3
    assert with_hidden == without


async def test_09_simulation_tells_nothing_of_who_is_no_party(api: Api, plain_api: Api) -> None:
    for client in ("ESP reader", "ESP second reader"):
        # One world has readers of ESP; in the other all of them are gone.
        plain_api.world.sql("UPDATE client SET roles = '[\"auditor\"]' WHERE name = $1", client)
    answers = []
    for each in (api, plain_api):
        label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["DNK", "ESP", "GBR"]}
        body: dict[str, Any] = {"agreement": each.world.agreement_id, "scope": "cyber-threats", "kind": "intrep"}
        body |= {"topic": "cyber.apt", "regions": ["EUR"], "label": label}
        answers.append(seen(await each.as_client("NOR contributor").post("/v1/simulations", json=body)))

    assert answers[0].status == 200
    assert answers[0] == answers[1]


async def test_09_explanation_and_pull_are_the_same_with_and_without_what_is_hidden(api: Api, plain_api: Api) -> None:
    (item,) = (await api.as_client("DNK reader").get("/v1/reports")).json()["items"]
    for suffix in ("", "/explanation", "/parts/1", "/parts/2"):
        place = f"/v1/reports/{item['id']}{suffix}"
        answers = [seen(await each.as_client("DNK reader").get(place)) for each in (api, plain_api)]

        assert answers[0] == answers[1]


async def test_11_pages_hold_as_many_and_end_as_soon_with_and_without_what_is_hidden(
    api: Api, plain_api: Api, world: World, plain: World
) -> None:
    everyone = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
    for each in range(4):
        hidden_id = await world.post(subject=f"hidden {each}", label=Label("NATO", "SECRET"))
        for shown in (world, plain):
            await shown.post(subject=f"shown {each}", label=everyone)
        assert hidden_id

    shapes = []
    for side in (api, plain_api):
        client, after, pages = side.as_client("DNK reader"), {}, []
        for _ in range(8):
            page = (await client.get("/v1/reports", params={"limit": 2, **after})).json()
            pages.append(([item["subject"] for item in page["items"]], len(page["next"])))
            after = {"after": page["next"]}
        shapes.append(pages)

    assert shapes[0] == shapes[1]
    assert [len(page[0]) for page in shapes[0]] == [2, 2, 1, 0, 0, 0, 0, 0]


async def test_11_cursors_tell_nothing_and_serve_one_client(api: Api) -> None:
    first = (await api.as_client("DNK reader").get("/v1/reports")).json()["next"]
    again = (await api.as_client("DNK reader").get("/v1/reports")).json()["next"]
    foreign = await api.as_client("NOR reader").get("/v1/reports", params={"after": first})

    assert first != again
    assert foreign.status_code == 400


async def test_12_no_filter_finds_what_the_list_does_not_hold(api: Api) -> None:
    client = api.as_client("DNK reader")
    whole = {item["id"] for item in (await client.get("/v1/reports")).json()["items"]}
    for path, query in questions(api):
        if path == "/v1/reports" and "<own>" not in query.values():
            wanted = {key: api.world.agreement_id if value == "<agreement>" else value for key, value in query.items()}
            answer = await client.get(path, params=wanted)
            assert {item["id"] for item in answer.json().get("items", [])} <= whole


async def test_13_every_way_to_a_report_opens_exactly_what_the_list_holds(world: World) -> None:
    low, high = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")), Label("NATO", "SECRET")
    parts = (PostedPart(None, "text/plain", "a.txt", b"high part"), PostedPart(low, "text/plain", "b.txt", b"low part"))
    await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")), parts=parts)
    await world.post(label=high, parts=(parts[0],))
    everything = [row[0] for row in world.sql("SELECT id FROM report")]
    assert len(everything) == 5

    async with open_api(world) as api:
        for name in ("GBR reader", "NOR reader", "NOR junior", "DNK reader", "ESP reader", "ESP second reader"):
            client = api.as_client(name)
            listed = {item["id"]: item for item in (await client.get("/v1/reports")).json()["items"]}
            for report in everything:
                place = f"/v1/reports/{report}"
                answers = [await client.get(place + suffix) for suffix in ("", "/parts/1", "/explanation")]
                answers.append(await client.head(place))
                assert {each.status_code == 200 for each in answers} == {report in listed}, (name, report)
            for report, header in listed.items():
                await _holds_the_same_everywhere(client, report, header)


async def _holds_the_same_everywhere(client: Any, report: str, header: dict[str, Any]) -> None:
    pulled = (await client.get(f"/v1/reports/{report}")).json()
    contents = [(part.pop("content"), part.pop("encoding")) for part in pulled["parts"]]
    assert pulled == header
    for part, (content, _) in zip(pulled["parts"], contents, strict=True):
        assert (await client.get(f"/v1/reports/{report}/parts/{part['number']}")).text == content
    beyond = await client.get(f"/v1/reports/{report}/parts/{len(pulled['parts']) + 1}")
    assert beyond.status_code == 404
