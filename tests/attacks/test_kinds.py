"""Classes 3, 4: ids where they do not belong, in the path of another kind and in the bodies of one's own requests."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.entrypoints.api import api_document
from tests.attacks.callers import INSIDE, OUTSIDE, body_of, insider_of, roles_of
from tests.attacks.hidden import METHODS, SHARES, Api, Hidden, Seen, filled, kept_state, random_id, seen, segment_of

WITH_ID = [path for path in api_document()["paths"] if segment_of(path) is not None]


@pytest.mark.parametrize("share", range(SHARES))
async def test_04_id_of_another_kind_is_answered_like_an_absent_one(
    api: Api, hidden: Hidden, subtests: pytest.Subtests, share: int
) -> None:
    before = kept_state(api.world)
    for path in WITH_ID[share::SHARES]:
        with subtests.test(path=path):
            assert await _told_of_other_kinds(api, hidden, path) > len(METHODS)
            assert kept_state(api.world) == before


async def _told_of_other_kinds(api: Api, hidden: Hidden, path: str) -> int:
    own, told = hidden.ids(segment_of(path) or ""), 0
    for method, operation in api.document["paths"][path].items():
        how = body_of(api, operation)

        async def answered(name: str, an_id: str, method: str = method, how: dict[str, Any] = how) -> Seen:
            return seen(await api.as_client(name).request(method.upper(), filled(path, an_id), **how))

        # What is absent is answered alike however often it is asked for.
        absent = {name: await answered(name, random_id()) for name in {insider_of(operation), *INSIDE.values()}}
        assert {each.status // 100 for each in absent.values()} == {4}, (method, path)
        for kind, owner in INSIDE.items():
            # Asked by who may see the thing where it belongs, and by who may do this: only its kind is wrong.
            asked = list(itertools.product({owner, insider_of(operation)}, set(hidden.ids(kind)) - {*own}))
            forbidden = await asyncio.gather(*(answered(*each) for each in asked))
            for (name, _), answer in zip(asked, forbidden, strict=True):
                assert answer == absent[name], (name, method, path, kind)
                told += 1
    return told


def ids_within(api: Api) -> Iterator[tuple[str, str, str]]:
    """Give method, path and field of every id that a body in JSON may hold."""
    schemas = api.document["components"]["schemas"]
    for method, path, operation in api.operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        fields = schemas[content["schema"]["$ref"].rpartition("/")[2]].get("properties", {})
        yield from ((method, path, name) for name, field in fields.items() if _is_id(name, field))


FIELDS_OF_IDS = {
    *("agreement", "supersedes", "references", "client", "report", "crisis", "breach"),
    *("act", "entry", "replaces", "subject_id", "proxy_consent", "grant"),
}


def _is_id(name: str, field: dict[str, Any]) -> bool:
    return name in FIELDS_OF_IDS or "-7[0-9a-f]{3}-" in str(field)


async def test_03_foreign_id_in_a_body_is_like_an_absent_one(api: Api, hidden: Hidden) -> None:
    before, asked = kept_state(api.world), set()
    foreign = {hidden.report, hidden.other_report, hidden.agreement, hidden.client, hidden.entry, hidden.onward}
    for method, path, name in ids_within(api):
        operation = api.document["paths"][path][method.lower()]
        body = body_of(api, operation)["json"]
        for role, an_id in itertools.product(roles_of(operation), sorted(foreign)):
            answers = []
            for each in (an_id, random_id()):
                sent = {**body, name: [each] if name == "references" else each}
                place = filled(path, api.world.agreement_id)
                answer = await api.as_client(OUTSIDE[role]).request(
                    method, place, json=sent, headers={"If-Match": '"1"'}
                )
                answers.append((seen(answer).status, seen(answer).headers, answer.content.replace(each.encode(), b"-")))
            assert 400 <= answers[0][0] < 500, (method, path, name, role)
            assert _without_request(answers[0]) == _without_request(answers[1]), (method, path, name, role)
            asked.add((path, name))

    assert {
        ("/v1/reports", "agreement"),
        ("/v1/reports", "supersedes"),
        ("/v1/information-requests", "agreement"),
    } <= asked
    assert kept_state(api.world) == before


def _without_request(answer: tuple[int, Any, bytes]) -> tuple[int, Any, bytes]:
    status, headers, content = answer
    return status, headers, content.partition(b'"request_id"')[0]
