"""Classes 11, 13: cursors of every list that has one serve who was given them alone, and no format shows more than a list."""

import re

import pytest

from exchange.entrypoints.api import api_document
from tests.attacks.callers import roles_of
from tests.attacks.hidden import Api, Hidden, filled
from tests.attacks.test_traces import VALUES, questions
from tests.support.world import World

PAGED = [
    path
    for path, methods in api_document()["paths"].items()
    if any(each["name"] == "after" for each in methods.get("get", {}).get("parameters", ()))
]
OF_THE_ORIGINATOR = "/v1/audit/reports/{id}/registry"
PAIRS = {
    "reader": ("NOR reader", "GBR reader"),
    "contributor": ("NOR contributor", "GBR contributor"),
    "releaser": ("NOR releaser", "GBR releaser"),
    "signatory": ("NOR signatory", "GBR signatory"),
    "auditor": ("NOR auditor", "auditor"),
    "operator": ("NOR operator", "operator"),
}
# Takes places in the log, which are the same for everybody (ADR 0012), and cursors of /v1/reports.
BY_PLACE = {"/v1/audit/export"}
CURSORS_FROM = {"/v1/stream": "/v1/reports"}


def forged(cursor: str) -> list[str]:
    """Return cursors that nobody was given."""
    middle = len(cursor) // 2
    changed = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    return [changed, cursor[:-4], f"{cursor}AAAA", "0", "-1", "AAAA", "01980000-0000-7000-8000-00000000000f", "'--"]


@pytest.mark.parametrize("path", sorted(set(PAGED) - BY_PLACE))
async def test_11_cursor_serves_who_was_given_it_alone(api: Api, hidden: Hidden, path: str) -> None:
    operation = api.document["paths"][path]["get"]
    await api.world.enrol("GBR auditor", "GBR", "auditor")
    an_id = api.world.agreement_id if "/agreements/" in path else _subject(api, path)
    place, source = filled(path, an_id), filled(CURSORS_FROM.get(path, path), an_id)
    for role in roles_of(operation):
        (first, second), found = PAIRS[role], {}
        first = "GBR auditor" if path == OF_THE_ORIGINATOR else first
        for name in (first, second):
            answer = await api.as_client(name).get(source, params={"limit": 1})
            assert answer.status_code == 200, (name, answer.text)
            found[name] = answer.json()["next"]
            for wrong in forged(found[name] or "x" * 60):
                told = await api.as_client(name).get(place, params={"after": wrong})
                assert told.status_code == 400, (name, wrong)
        for name, other in ((first, second), (second, first)):
            if found[other] is not None:
                assert (await api.as_client(name).get(place, params={"after": found[other]})).status_code == 400


def _subject(api: Api, path: str) -> str:
    """Return what both auditors may ask the registry of: a report of GBR that NOR may read, a client of NOR."""
    if "clients" in path:
        return api.world.clients["NOR reader"].id
    ((report,),) = api.world.sql("SELECT id FROM report ORDER BY seq LIMIT 1")
    return str(report)


MEDIA = (
    "*/*",
    "text/csv",
    "application/pdf",
    "application/atom+xml",
    "application/taxii+json;version=2.1",
    "text/html",
)


@pytest.mark.parametrize("name", ["DNK reader", "NOR reader", "NOR contributor", "NOR signatory", "NOR operator"])
async def test_13_no_answer_in_any_format_names_a_report_that_the_list_does_not_hold(
    api: Api, world: World, name: str
) -> None:
    every = {row[0] for row in world.sql("SELECT id FROM report")}
    client = api.as_client(name)
    listed = (await client.get("/v1/reports")).json().get("items", [])
    shown, formats = {item["id"] for item in listed}, set()
    for path, query in questions(api):
        if any(value.startswith("<") for value in query.values()) or len(query) > 1:
            continue
        for accepted in MEDIA:
            answer = await client.get(path, params=query, headers={"Accept": accepted})
            found = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.text))
            assert found & every <= shown, (path, query, accepted)
            formats.add((path, answer.headers["content-type"].partition(";")[0]))

    assert len(every) > len(shown)
    assert {"limit", "after"} <= VALUES.keys()
    assert len(formats) > 3
