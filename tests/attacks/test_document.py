"""The whole interface by its own document: whatever is sent, as whatever client, nothing fails and all is as described."""

import copy
import re
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal import charmap
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exchange.entrypoints.api import api_document
from tests.attacks.callers import body_of, insider_of
from tests.attacks.hidden import Api, Hidden, client_of, filled, random_id, segment_of
from tests.support.placing import place_anew
from tests.support.world import AGREEMENT, World, thumbprint_of

# Which characters a header takes is read from a file at each draw of one: that was a sixth of these searches.
charmap.intervals_from_codec = cache(charmap.intervals_from_codec)

YAML = "application/yaml"
OCTETS = "application/octet-stream"


def in_json_alone() -> dict[str, Any]:
    """Return the document without the bodies that it describes as text: what is no JSON is searched by itself below.

    An answer that is followed never ends: it cannot be searched.
    """
    document = copy.deepcopy(api_document())
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        bodies = operation.get("requestBody", {}).get("content", {})
        bodies.pop(YAML, None)
        if OCTETS in bodies:
            # As binary it would be searched with archives that hold the time of day: never the same twice.
            bodies[OCTETS] = {"schema": {"type": "string"}}
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "follow"]
    return document


OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(in_json_alone()).get_all_operations()]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CALLERS = (
    "GBR contributor",
    "GBR reader",
    "GBR releaser",
    "GBR signatory",
    "operator",
    "auditor",
    "NOR auditor",
    "nobody enrolled",
)
SEARCH = settings(
    max_examples=15,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
    phases=[Phase.generate],
)
_EXAMPLE_IDS = re.compile(r"01980000-0000-7000-8000-\d{11}[1f]")


def test_every_operation_is_searched() -> None:
    documented = [(method, path) for path, methods in api_document()["paths"].items() for method in methods]

    assert sorted((operation.method.lower(), operation.path) for operation in OPERATIONS) == sorted(documented)


@pytest.fixture
def ids(world: World, hidden: Hidden) -> dict[str, list[str]]:
    """Ids that lead somewhere, by the path segment before them."""
    return {
        "reports": [
            hidden.report,
            hidden.other_report,
            hidden.upload,
            *(row[0] for row in world.sql("SELECT id FROM report")),
        ],
        "agreements": [world.agreement_id, hidden.agreement],
        "clients": [world.clients["NOR reader"].id, hidden.client],
        "entries": [hidden.entry, *(row[0] for row in world.sql("SELECT id FROM audit_search LIMIT 5"))],
        "erasures": [hidden.erasure],
        "acts": [hidden.erasure],
        "subscriptions": [hidden.subscription],
        "onward-requests": [hidden.onward],
        "derivation-requests": [hidden.derivation],
        "proxies": [hidden.proxy],
        "caveats": [hidden.caveats],
        "information-requests": [hidden.request],
        "consultations": [hidden.consultation],
        "uploads": [hidden.upload],
    }


@cache
def cases_of(operation: Any) -> Any:
    """Return what is drawn from: to make it takes longer than to draw."""
    return operation.as_strategy()


def real(value: Any, agreement: str) -> Any:
    """Return a body whose example ids are the id of an agreement that exists."""
    if isinstance(value, str):
        return _EXAMPLE_IDS.sub(agreement, value)
    if isinstance(value, dict):
        return {key: real(each, agreement) for key, each in value.items()}
    return [real(each, agreement) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
@SEARCH
@given(drawn=st.data())
async def test_answers_are_as_documented_and_nothing_fails(
    api: Api, ids: dict[str, list[str]], operation: Any, drawn: st.DataObject
) -> None:
    caller = thumbprint_of(drawn.draw(st.sampled_from(CALLERS)))
    case = drawn.draw(cases_of(operation))
    if "id" in case.path_parameters:
        case.path_parameters["id"] = drawn.draw(st.sampled_from(ids[segment_of(case.path) or ""]))
    request = case.as_transport_kwargs(base_url="https://exchange.test")
    if "json" in request:
        request["json"] = real(request["json"], ids["agreements"][0])
    if "data" in request:
        request["content"] = request.pop("data")
    if case.path.endswith("/proof") and await api.world.services.store.log.state() is None:
        await place_anew(api.world)
    async with client_of(api.app, caller) as client:
        answer = await client.request(**{key: value for key, value in request.items() if key != "cookies"})

    case.validate_response(answer, checks=CHECKS)


async def test_what_a_purpose_bears_on_is_what_says_that_it_may_be_stated(api: Api, ids: dict[str, list[str]]) -> None:
    """Asked by who may, about what is there, for a purpose that the vocabulary has not."""
    told, documented = set(), set()
    for method, path, operation in api.operations():
        client, sent = api.as_client(insider_of(operation)), body_of(api, operation)
        query = (
            {"client": api.world.clients["GBR reader"].id} if operation["x-policy-action"] == "audit.explain" else {}
        )
        headers = {**sent.pop("headers", {}), "Exchange-Purpose": "nothing-known"}
        if any(each["name"] == "Exchange-Purpose" for each in operation["parameters"]):
            documented.add(operation["x-policy-action"])
        for an_id in ids.get(segment_of(path) or "", [random_id()]):
            answer = await client.request(method, filled(path, an_id), params=query, headers=headers, **sent)
            faults = answer.json().get("errors", []) if answer.status_code == 422 else []
            told |= {operation["x-policy-action"] for each in faults if each["pointer"] == "/exchange-purpose"}

    # Before all its parts have come nothing of it is looked at.
    assert told | {"report.complete"} == documented


LINES = st.sampled_from(
    [*AGREEMENT.splitlines(), "a: &a [*a]", "<<: {}", "!!python/object:os.system {}", "- [" * 50, "\t"]
)


@settings(SEARCH, max_examples=60)
@given(text=st.one_of(st.lists(LINES, max_size=25).map("\n".join), st.text(max_size=200)))
async def test_agreement_as_any_text_is_taken_or_refused_and_nothing_fails(api: Api, text: str) -> None:
    headers = {"Content-Type": YAML}
    answer = await api.as_client("operator").post("/v1/agreements", content=text.encode(), headers=headers)

    assert answer.status_code in {201, 400, 422}
    assert answer.headers["x-audit-entry"]
