"""`GET /v1/audit/export`: each format whole with its last record, its receipt in the head, faults pointed at."""

import csv
import io
import json
from typing import Any

import pytest

from exchange.audit.export import FORMATS, ExportedEntry, FormatName, Place, Statement, ndjson, parse_place
from tests.support.placing import place_entries

EXPORT = "/v1/audit/export"


@pytest.fixture
async def placed(world):
    await world.enrol("NOR auditor", "NOR", "auditor")
    await place_entries(world)
    return world


def items_of(content: bytes) -> list[ExportedEntry | Statement]:
    return [ndjson.read_line(line + b"\n") for line in content.split(b"\n")[:-1]]


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("ndjson", "application/x-ndjson"),
        ("ocsf", "application/x-ndjson"),
        ("csv", "text/csv; charset=utf-8; header=present"),
        ("cef", "text/plain; charset=utf-8"),
    ],
)
async def test_every_format_is_whole(placed, http, entry_of, name, media):
    answer = await http("NOR auditor").get(EXPORT, params={"format": name})

    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert answer.headers["content-disposition"] == f'attachment; filename="audit.{name}"'
    assert answer.headers["cache-control"] == "no-store"
    form = FORMATS[FormatName(name)]
    lines = [line + b"\n" for line in answer.content.removeprefix(form.head).split(b"\n")[:-1]]
    places = [form.place_in(line) for line in lines]
    assert places[-1] is None
    assert places[:-1] == sorted(filter(None, places))
    assert parse_place(answer.headers["x-audit-export-end"]) > places[-2]
    assert (await entry_of(answer))["type"] == "audit.exported"


@pytest.mark.parametrize("path", [EXPORT, "/v1/stream"])
async def test_head_names_no_length_of_what_has_none_before_its_end(placed, http, entry_of, path):
    answer = await http("NOR auditor" if path == EXPORT else "NOR reader").head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-length" not in answer.headers
    assert (await entry_of(answer))["type"] in {"audit.exported", "stream.opened"}


async def test_format_is_ndjson_where_none_is_asked_for(placed, http):
    items = items_of((await http("auditor").get(EXPORT)).content)

    assert all(isinstance(item, ExportedEntry) for item in items[:-1])
    assert isinstance(items[-1], Statement)
    assert items[-1].count == len(items) - 1


async def test_export_goes_on_behind_a_place(placed, http):
    whole = items_of((await http("auditor").get(EXPORT)).content)
    rest = items_of((await http("auditor").get(EXPORT, params={"after": "1.3"})).content)

    assert rest[: len(whole) - 5] == whole[4:-1]
    assert rest[0].place == Place(1, 4)


async def test_csv_has_its_head_once(placed, http):
    first = await http("auditor").get(EXPORT, params={"format": "csv"})
    more = await http("auditor").get(EXPORT, params={"format": "csv", "after": "1.3"})

    assert next(csv.reader(io.StringIO(first.text)))[:3] == ["log", "position", "id"]
    assert next(csv.reader(io.StringIO(more.text)))[:2] == ["1", "4"]


async def test_filters_are_those_of_the_search(placed, http):
    asked = {"event": "client.enrolled", "member": "", "since": "2020-01-01T00:00:00Z"}
    del asked["member"]
    items = items_of((await http("auditor").get(EXPORT, params=asked)).content)

    assert {item.entry["type"] for item in items[:-1]} == {"client.enrolled"}


async def test_proofs_stand_beside_the_entries(placed, http):
    items = items_of((await http("auditor").get(EXPORT, params={"proofs": "true"})).content)

    assert all(item.proof for item in items[:-1])


async def test_head_sends_no_line(placed, http, entry_of):
    answer = await http("auditor").head(EXPORT)

    assert (answer.status_code, answer.content) == (200, b"")
    assert "x-audit-export-end" in answer.headers
    assert (await entry_of(answer))["decision"] == "permitted"


async def test_faults_are_pointed_at(placed, http, subtests):
    for asked, pointer in (
        ({"format": "xml"}, "/format"),
        ({"format": ""}, "/format"),
        ({"after": "12"}, "/after"),
        ({"after": "1.-1"}, "/after"),
        ({"follow": "yes"}, "/follow"),
        ({"proofs": "1"}, "/proofs"),
        ({"proofs": "true", "format": "csv"}, "/proofs"),
        ({"event": "report.red"}, "/event"),
        ({"since": "yesterday"}, "/since"),
        ({"limit": "10"}, "/limit"),
    ):
        answer = await http("auditor").get(EXPORT, params=asked)

        with subtests.test(asked=asked):
            assert answer.status_code == 422
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
            assert "x-audit-entry" in answer.headers


@pytest.mark.parametrize(("name", "status"), [("GBR reader", 403), ("operator", 403), ("stranger", 401)])
async def test_others_get_nothing(placed, http, name, status):
    answer = await http(name).get(EXPORT)

    assert answer.status_code == status
    assert json.loads(answer.content)["code"] in {"role-missing", "not-authenticated"}


async def test_log_that_fails_exports_nothing(placed, http, monkeypatch):
    from exchange.kernel import UnavailableError

    async def refuse(*_: Any) -> None:
        raise UnavailableError("disk full")

    monkeypatch.setattr(type(placed.services.store), "append", refuse)
    answer = await http("auditor").get(EXPORT)

    assert answer.status_code == 503
    assert b'"entry"' not in answer.content
