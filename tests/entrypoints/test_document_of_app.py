"""The document that the app itself gives is the one that is served, its examples are what it describes, and it is kept."""

from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI

from exchange.entrypoints.api import add_api, api_document
from exchange.entrypoints.api.examples import IDS, WORDS, example_of
from exchange.entrypoints.http.visit import BodyLimits
from tests.support.documented import undocumented

ABSENT = "01980000-0000-7000-8000-000000000000"
SCHEMAS: dict[str, Any] = api_document()["components"]["schemas"]
OPERATIONS = [
    (f"{method} {path}", operation)
    for path, methods in api_document()["paths"].items()
    for method, operation in methods.items()
]


def valid(example: Any, schema: dict[str, Any]) -> bool:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": {"schemas": SCHEMAS}}
    return jsonschema_rs.validator_for(whole | schema).is_valid(example)


def test_app_describes_itself_as_it_is_served() -> None:
    app = FastAPI()
    add_api(app, BodyLimits(1000, 1.0))

    assert app.openapi() == api_document()
    assert "post" in app.openapi()["paths"]["/v1/reports"]


def test_only_what_may_be_sent_without_a_body_says_so() -> None:
    bodies = {place: each["requestBody"]["required"] for place, each in OPERATIONS if "requestBody" in each}

    assert [place for place, is_required in bodies.items() if not is_required] == ["post /v1/reports/{id}/completion"]


@pytest.mark.parametrize(("place", "operation"), OPERATIONS, ids=[place for place, _ in OPERATIONS])
def test_every_body_and_answer_in_json_has_an_example_that_is_valid(place: str, operation: dict[str, Any]) -> None:
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    answers = [each for each in operation["responses"].values() if "$ref" not in each]
    told = [
        each["content"]["application/json"] for each in (*bodies, *answers) if "application/json" in each["content"]
    ]

    for each in told:
        assert "example" in each
        assert valid(each["example"], each["schema"])


@pytest.mark.parametrize("status", api_document()["components"]["responses"])
def test_every_problem_has_an_example_that_is_valid(status: str) -> None:
    content = api_document()["components"]["responses"][status]["content"]["application/problem+json"]

    assert valid(content["example"], content["schema"])
    assert content["example"]["detail"]


@pytest.mark.parametrize("model", SCHEMAS)
def test_example_of_every_model_is_valid_and_says_something(model: str) -> None:
    assert valid(example_of(SCHEMAS[model], SCHEMAS), {"$ref": f"#/components/schemas/{model}"})
    for field, schema in SCHEMAS[model].get("properties", {}).items():
        # Text for which nobody gave an example would come out as the field's own name.
        assert example_of(schema, SCHEMAS, name=field) not in (None, field, [field]), field


def test_no_word_is_kept_for_a_field_that_is_not_there() -> None:
    fields = {field for schema in SCHEMAS.values() for field in schema.get("properties", {})}

    assert set(WORDS) <= fields
    assert fields >= IDS


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("GET", f"/v1/reports/{ABSENT}", 200, "application/json"), None),
        (("POST", "/v1/reports", 201, "application/json", ["Location", "Date"]), None),
        (("GET", "/v1/reports", 200, "application/json", ["location"]), "with ['location']"),
        (("HEAD", f"/v1/reports/{ABSENT}", 404, "application/problem+json"), None),
        (("PUT", f"/v1/reports/{ABSENT}", 405, "application/problem+json"), None),
        (("GET", f"/v1/reports/{ABSENT}/parts/1", 206, "text/plain"), None),
        (("GET", "/v1/audit/tile/0/x001/234", 200, "application/octet-stream"), None),
        (("GET", "/v1/nothing", 418, "text/plain"), None),
        (("GET", f"/v1/reports/{ABSENT}", 418, "application/json"), "documents no such answer"),
        (("POST", "/v1/reports", 206, "application/json"), "documents no such answer"),
        (("GET", f"/v1/reports/{ABSENT}", 404, "text/html"), "documented are"),
    ],
)
def test_answer_that_nobody_documented_is_noticed(asked: tuple[Any, ...], told: str | None) -> None:
    found = undocumented(*asked)

    assert found is None if told is None else told in str(found)
