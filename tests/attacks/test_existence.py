"""Classes 1, 2, 10: what you may not see does not exist, on every route that the document knows."""

import asyncio
import itertools
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pytest

from exchange.entrypoints.api import api_document
from tests.attacks.callers import body_of
from tests.attacks.hidden import (
    METHODS,
    SHARES,
    Api,
    Hidden,
    filled,
    kept_state,
    outsiders_of,
    random_id,
    report_body,
    seen,
)
from tests.attacks.hidden import segment_of as segment_before_id

WRITES: list[dict[str, Any]] = [
    {},
    {"json": {}},
    {"json": {"standing": "revoked"}, "headers": {"If-Match": '"1"'}},
    {"json": {"clearance": {"level": "TOP SECRET"}}},
    {"content": b"title: x", "headers": {"Content-Type": "application/yaml"}},
    {"json": {}, "headers": {"Exchange-Purpose": "no-such-purpose"}},
    {"content": b"canary ", "headers": {"Content-Type": "application/octet-stream"}},
    {"content": b"x" * 300_000, "headers": {"Content-Type": "application/octet-stream"}},
]
READS: list[dict[str, Any]] = [
    {},
    {"headers": {"Range": "bytes=0-0", "Exchange-Purpose": "law-enforcement"}},
    {"headers": {"Range": "bytes=999999999-"}},
    {"headers": {"If-None-Match": "*", "If-Modified-Since": "Mon, 01 Jun 2026 12:00:00 GMT"}},
    {"headers": {"Exchange-Purpose": "judicial"}},
    {"headers": {"Exchange-Purpose": "no-such-purpose"}},
    {"headers": {"Accept": "application/pdf"}},
    {"params": {"version": "1"}},
    {"params": {"on": "2026-06-01"}},
]


def attacks(api: Api, hidden: Hidden) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Give every path with an id x method, and the hidden ids for it."""
    for path, method in itertools.product(api.document["paths"], METHODS):
        segment = segment_before_id(path)
        if segment is not None:
            yield path, method, hidden.ids(segment)


def acts_of(api: Api, path: str, method: str) -> list[dict[str, Any]]:
    """Return how to ask: in every way where the method is there, bare where it is not.

    Among them as it should be asked: what is wrong with a body is told before anything is looked for.
    """
    known = api.document["paths"][path]
    if method in {"GET", "HEAD"} and "get" in known:
        return READS
    if method.lower() not in known:
        return [{}]
    asked = body_of(api, known[method.lower()])
    return [*WRITES, {**asked, "headers": {"If-Match": '"1"', **asked.get("headers", {})}}]


async def differences(api: Api, path: str, method: str, hidden_ids: tuple[str, ...], name: str) -> list[str]:
    """Return which acts tell a hidden id from a random one."""
    client, found = api.as_client(name), []
    for act in acts_of(api, path, method):
        absent, *forbidden = await asyncio.gather(
            *(client.request(method, filled(path, an_id), **act) for an_id in (random_id(), *hidden_ids))
        )
        found += [
            f"{name}: {method} {path} {act}: {seen(each)} v {seen(absent)}"
            for each in forbidden
            if seen(each) != seen(absent)
        ]
        assert 400 <= absent.status_code < 500, (method, path, absent.status_code)
    return found


PATHS = [path for path in api_document()["paths"] if segment_before_id(path) is not None]


@pytest.mark.parametrize("share", range(SHARES))
async def test_01_hidden_and_absent_are_one_answer_on_every_route(
    api: Api, hidden: Hidden, subtests: pytest.Subtests, share: int
) -> None:
    before, by_path = kept_state(api.world), itertools.groupby(attacks(api, hidden), key=itemgetter(0))
    for path, attacked in [(path, [*each]) for path, each in by_path if path in PATHS[share::SHARES]]:
        found = [
            differences(api, path, method, hidden_ids, name)
            for _, method, hidden_ids in attacked
            # Which methods a path has is the same for everybody: one asks for those that it has not.
            for name in outsiders_of(path)[: None if acts_of(api, path, method) != [{}] else 1]
        ]

        with subtests.test(path=path):
            told = [line for lines in await asyncio.gather(*found) for line in lines]
            assert found
            assert told == []
            assert kept_state(api.world) == before


async def test_01_sweep_would_notice_a_path_of_a_new_kind(api: Api, hidden: Hidden) -> None:
    with pytest.raises(AssertionError, match="new kind of path"):
        hidden.ids("attachments")
    with pytest.raises(AssertionError, match="new kind of parameter"):
        filled("/v1/reports/{id}/attachments/{attachment}", hidden.report)
    assert list(attacks(api, hidden))


async def test_02_digest_name_version_and_suffix_open_nothing(api: Api, hidden: Hidden) -> None:
    (digest,) = {part["sha256"] for part in (await _own_header(api, hidden))["parts"]}
    client = api.as_client("DNK reader")

    for place in (
        digest,
        f"{hidden.report}/versions/1",
        f"{hidden.report}/parts",
        f"{hidden.report}/parts/1/",
        f"{hidden.report}/",
        f"{hidden.report}.json",
        f"{hidden.report}%00",
        f"{hidden.report};v=1",
        f"{hidden.report.upper()}",
        f"{hidden.report.replace('-', '')}",
        f"{{{hidden.report}}}",
        f"urn:uuid:{hidden.report}",
        f"x/../{hidden.report}",
    ):
        assert (await client.get(f"/v1/reports/{place}")).status_code == 404, place


async def _own_header(api: Api, hidden: Hidden) -> dict[str, Any]:
    answer = await api.as_client("GBR reader").get(f"/v1/reports/{hidden.report}")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("route", ["/v1/reports", "/v1/simulations"])
async def test_10_hidden_agreement_in_a_body_is_like_an_absent_one(api: Api, hidden: Hidden, route: str) -> None:
    body = report_body(hidden.agreement)
    if route == "/v1/simulations":
        body = {name: body[name] for name in ("agreement", "scope", "kind", "topic", "regions", "label")}
    for name in ("NOR contributor", "DNK contributor"):
        client = api.as_client(name)
        told = await client.post(route, json=body)
        absent = await client.post(route, json={**body, "agreement": random_id()})

        assert told.status_code == 404
        assert seen(told) == seen(absent)


@pytest.mark.parametrize("field", ["supersedes", "references"])
async def test_10_hidden_source_in_a_body_is_like_an_absent_one(
    api: Api, hidden: Hidden, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    client, before = api.as_client("NOR contributor"), kept_state(api.world)
    custodian, costs, answers = api.world.services.custodian, [], []
    opened = custodian.open_headers

    async def counted(headers):
        costs[-1] += 1
        return await opened(headers)

    monkeypatch.setattr(custodian, "open_headers", counted)
    for source in (hidden.report, hidden.other_report, random_id(), hidden.agreement):
        body = report_body(api.world.agreement_id, **{field: source if field == "supersedes" else [source]})
        costs.append(0)
        answers.append(await client.post("/v1/reports", json=body))

    assert set(costs) == {1}
    assert {answer.status_code for answer in answers} == {422}
    assert len({seen(answer) for answer in answers}) == 1
    assert kept_state(api.world) == before


async def test_10_idempotency_key_of_another_client_is_no_oracle(api: Api) -> None:
    headers, body = {"Idempotency-Key": "shared-key"}, report_body(api.world.agreement_id)
    first = await api.as_client("GBR contributor").post("/v1/reports", json=body, headers=headers)
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["NOR"]}
    second = await api.as_client("NOR contributor").post(
        "/v1/reports", json={**body, "subject": "Another", "label": label}, headers=headers
    )

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["id"] != first.json()["id"]
    assert "idempotency-replayed" not in second.headers


async def test_10_filter_by_a_hidden_agreement_is_like_an_absent_one(api: Api, hidden: Hidden) -> None:
    client = api.as_client("DNK reader")
    told = (await client.get("/v1/reports", params={"agreement": hidden.agreement})).json()
    absent = (await client.get("/v1/reports", params={"agreement": random_id()})).json()

    assert told["items"] == absent["items"] == []
    assert len(told["next"]) == len(absent["next"])


class Weighed:
    """Counts the statements that the store runs and the bytes that come back."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        self.loaded_bytes = 0
        self.appended = 0
        database, store = api.world.services.store._database, api.world.services.store
        fetch, append = database.fetch, store.append

        async def weighed_fetch(statement, parameters):
            rows = await fetch(statement, parameters)
            self.statements.append(statement.sql)
            self.loaded_bytes += sum(len(value) for row in rows for value in row if isinstance(value, bytes | str))
            return rows

        async def weighed_append(draft):
            self.appended += 1
            return await append(draft)

        monkeypatch.setattr(database, "fetch", weighed_fetch)
        monkeypatch.setattr(store, "append", weighed_append)

    def taken(self) -> tuple[list[str], int, int]:
        """Return what was weighed since the last time."""
        taken = (self.statements, self.loaded_bytes, self.appended)
        self.statements, self.loaded_bytes, self.appended = [], 0, 0
        return taken


@pytest.mark.parametrize("suffix", ["", "/parts/1", "/explanation"])
async def test_10_hidden_report_costs_what_an_absent_one_costs(
    api: Api, hidden: Hidden, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    client, weighed = api.as_client("DNK reader"), Weighed(api, monkeypatch)
    # What is remembered for good is fetched once per process; an oracle would be what stays.
    await client.get(f"/v1/reports/{hidden.report}{suffix}")
    weighed.taken()

    await client.get(f"/v1/reports/{hidden.report}{suffix}")
    forbidden = weighed.taken()
    await client.get(f"/v1/reports/{random_id()}{suffix}")
    absent = weighed.taken()

    assert forbidden[0] == absent[0]
    assert forbidden[2] == absent[2] == 1
    # The row of a report without its content; the content here has 280,000 bytes.
    assert 0 <= forbidden[1] - absent[1] < 8_192
