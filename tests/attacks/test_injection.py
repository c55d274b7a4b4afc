"""Class 32: what is typed is data, in names, values, ids, keys and cursors, on both databases.

With `--in-turn` each place is given half of the payloads on one of them and the others on the other.
"""

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.crypto import seal_token
from tests.attacks.callers import body_of, insider_of
from tests.attacks.hidden import filled, kept_state, open_api, random_id, report_body
from tests.attacks.test_writes import required_query
from tests.support.in_turn import InTurn
from tests.support.world import World

PAYLOADS = (
    "' OR '1'='1",
    "'; DROP TABLE report; --",
    '" UNION SELECT content FROM audit_entry --',
    "1) OR (1=1",
    "%",
    "_%",
    "\\",
    "$1",
    ":thumbprint",
    "?",
    "\x00",
    "a\x00b",
    "\ufeff",
    "\u202e",
    "\U0010ffff",
    "{{7*7}}",
    "../../etc/passwd",
    "A" * 3_000,
)
NAMES = (
    "seq",
    "order_by",
    "sort",
    "class_id",
    "thumbprint",
    "limit) OR (1",
    "after'",
    "topic--",
    "agreement[]",
    "topic.0",
)


async def test_32_values_of_parameters_are_data(both: World, in_turn: InTurn) -> None:
    before = kept_state(both)
    async with open_api(both) as api:
        for method, path, operation in api.operations():
            names = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
            ask = api.as_client(insider_of(operation)).request
            for number, name in enumerate(names):
                payloads = in_turn(PAYLOADS, number)
                answers = await asyncio.gather(
                    *(ask(method, filled(path, random_id()), params={name: payload}) for payload in payloads)
                )
                for payload, answer in zip(payloads, answers, strict=True):
                    assert answer.status_code < 500, (path, name, payload)
                    if answer.status_code == 200 and path == "/v1/reports":
                        assert answer.json()["items"] == []

    assert kept_state(both) == before


async def test_32_names_of_parameters_are_an_allow_list(both: World, in_turn: InTurn) -> None:
    async with open_api(both) as api:
        for method, path, operation in api.operations():
            if method == "GET":
                known = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
                names, caller = in_turn(sorted({*NAMES, *PAYLOADS} - known)), api.as_client("NOR reader")
                answers = await asyncio.gather(
                    *(caller.request(method, filled(path, random_id()), params={name: "1"}) for name in names)
                )
                for name, answer in zip(names, answers, strict=True):
                    assert answer.status_code == 422, (path, name)
                    assert answer.json()["errors"][0]["code"] == "unknown-field"


async def test_32_ids_in_paths_are_data(both: World, in_turn: InTurn) -> None:
    before = kept_state(both)
    async with open_api(both) as api:
        for number, (method, path, operation) in enumerate(api.operations()):
            if "{" not in path:
                continue
            needed = required_query(operation)
            kind = {"json": {"standing": "revoked"}} if method == "PATCH" else body_of(api, operation)
            places = [filled(path, in_a_path(payload)) for payload in in_turn(PAYLOADS, number)]
            # Asked by who may: of anybody else the id would not be looked at.
            ask = api.as_client(insider_of(operation)).request
            answers = await asyncio.gather(*(ask(method, place, params=needed, **kind) for place in places))
            for place, answer in zip(places, answers, strict=True):
                assert answer.status_code == 404, (method, place)

    assert kept_state(both) == before


def in_a_path(text: str) -> str:
    """Return what a client would send: nothing in it divides the path. Letters stay: a client reads thousands slowly."""
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in text.encode())


def documented_body(operation: dict[str, Any]) -> Any:
    """Return the body that the document shows: what is refused then is refused for the id."""
    shown = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return shown.get("example", {})


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the place of every text in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for step, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, step))


def with_leaf(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    """Return `value` with another text at one place."""
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = leaf
    return changed


async def test_32_texts_in_bodies_are_data(both: World, in_turn: InTurn) -> None:
    async with open_api(both) as api:
        for method, path, operation in api.operations():
            if "requestBody" not in operation:
                continue
            example = documented_body(operation)
            if path in {"/v1/reports", "/v1/simulations"}:
                example = {**example, "agreement": both.agreement_id}
            target = filled(path, both.clients["NOR reader"].id)
            client = api.as_client(insider_of(operation))
            for number, place in enumerate(leaves(example)):
                bodies = [with_leaf(example, place, payload) for payload in in_turn(PAYLOADS, number)]
                answers = await asyncio.gather(*(client.request(method, target, json=body) for body in bodies))
                assert max(answer.status_code for answer in answers) < 500, (path, place)
                assert min(answer.status_code for answer in answers) != 401, (path, place)
        assert both.sql("SELECT count(*) FROM client")[0][0] >= 14
        assert (await api.as_client("NOR reader").get("/v1/reports")).status_code == 200


async def test_32_surrogates_and_deep_bodies_are_refused(both: World) -> None:
    before = kept_state(both)
    async with open_api(both) as api:
        client = api.as_client("GBR contributor")
        for content in (
            b'{"subject": "\\ud800"}',
            b'{"subject": "\xff"}',
            b"[" * 10_000,
            b'{"a":' * 20_000,
            b'{"topic": "cyber", "topic": "cyber.apt"}',
            b"1e999",
            b"NaN",
            b"",
            b"\xef\xbb\xbf{}",
        ):
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/v1/reports", content=content, headers=headers)
            assert answer.status_code in {400, 422}, content[:20]
            assert answer.headers["x-audit-entry"]

    assert kept_state(both) == before


async def test_32_half_a_character_that_yaml_escapes_is_refused(both: World) -> None:
    guards = '@id("gbr.a") @reason("x") forbid (principal, action, resource) when { principal.member == "NOR" };'
    terms = (r'{"\ud800": 1}', r'{parties: ["\udfff", NOR]}', r'{scopes: [{"\ud83d\ude00": 1}]}')
    examples = (r'{"\ud800": 1}', r'examples: [{name: "\ud800", guard: "\udfff", forbids: true, report: {kind: x}}]')
    sent = [
        ("GBR signatory", path, "application/yaml", text)
        for path in ("/v1/agreements", "/v1/agreements/simulations")
        for text in terms
    ]
    sent += [
        ("GBR releaser", path, "application/json", json.dumps({"guards": guards, "examples": text}))
        for path in ("/v1/caveats", "/v1/caveats/checks")
        for text in examples
    ]
    if "GBR releaser" not in both.clients:
        await both.enrol("GBR releaser", "GBR", "releaser")
    before = kept_state(both)
    async with open_api(both) as api:
        for caller, path, media, body in sent:
            headers = {"Content-Type": media}
            answer = await api.as_client(caller).post(path, content=body.encode(), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), (path, body)
            assert "half a character" in answer.json()["errors"][0]["detail"]
            assert answer.headers["x-audit-entry"]

    assert kept_state(both) == before


async def test_32_payload_of_a_cursor_is_a_number_or_nothing(both: World, subtests: pytest.Subtests) -> None:
    # Nobody else has the key; were it lost, a cursor could still only name a place: here one behind all there is.
    reader = f"list cursor of {both.clients['NOR reader'].id}"
    async with open_api(both) as api:
        for payload, status in (
            *(
                (each, 400)
                for each in (b"", b"\x00", b"\xff" * 8, b"\x80" + bytes(7), bytes(9), bytes(8) + b"\x01\x01")
            ),
            *((each, 200) for each in (b"1 OR 1=1", b"\x7f" + b"\xff" * 7)),
        ):
            cursor = seal_token(both.services.cursor_key, reader, payload, bytes(12))
            answer = await api.as_client("NOR reader").get("/v1/reports", params={"after": cursor})

            with subtests.test(payload=payload):
                assert answer.status_code == status, answer.text
                assert status != 200 or answer.json()["items"] == []


async def test_32_keys_and_purposes_in_headers_are_data(both: World, in_turn: InTurn) -> None:
    async with open_api(both) as api:
        for payload in in_turn(payload for payload in PAYLOADS if payload.isascii() and payload.isprintable()):
            for number, name in enumerate(("Idempotency-Key", "Exchange-Purpose", "If-Match", "Range", "Accept")):
                body = report_body(both.agreement_id, subject=f"{number}")
                for method, path in (("POST", "/v1/reports"), ("GET", "/v1/reports"), ("GET", "/v1/whoami")):
                    answer = await api.as_client("GBR contributor").request(
                        method, path, headers={name: payload}, **({"json": body} if method == "POST" else {})
                    )
                    assert answer.status_code < 500, (name, payload)
