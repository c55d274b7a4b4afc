"""Classes 30, 33, 36: contents that would run, names that lead elsewhere, ciphertext that was moved."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.attacks.hidden import Api, kept_state, open_api, report_body
from tests.support.world import World

PAGE = "<!doctype html><script>fetch('/v1/reports')</script>"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><a href="javascript:alert(2)">x</a></svg>'
LONG = "a" * 300
NAMES = ("../../etc/passwd", "..", "/etc/passwd", "a\\b", "a\x00b", "a\nb", "\u202etxt.exe", "CON", "nul.txt", "", LONG)


def body_with(agreement: str, **part: str) -> dict[str, object]:
    shown = {"media_type": "text/plain", "name": "a.txt", "content": "first part", "encoding": "utf-8"}
    return report_body(agreement, parts=[shown | part])


@pytest.mark.parametrize(
    ("media_type", "content"), [("text/html", PAGE), ("image/svg+xml", DRAWING), ("text/plain", PAGE)]
)
async def test_30_part_is_a_file_to_keep_and_nothing_in_it_runs(
    api: Api, world: World, media_type: str, content: str
) -> None:
    encoded = base64.b64encode(content.encode()).decode()
    body = body_with(world.agreement_id, media_type=media_type, content=encoded, encoding="base64")
    posted = await api.as_client("GBR contributor").post("/v1/reports", json=body)
    assert posted.status_code == 201, posted.text

    part = await api.as_client("NOR reader").get(f"/v1/reports/{posted.json()['id']}/parts/1")

    assert (part.status_code, part.content) == (200, content.encode())
    assert part.headers["content-disposition"].startswith("attachment;")
    assert part.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert part.headers["x-content-type-options"] == "nosniff"


async def test_30_script_in_texts_comes_back_as_json_and_nothing_else(api: Api, world: World) -> None:
    body = report_body(world.agreement_id, subject="<script>alert(1)</script> javascript:alert(2)")
    posted = await api.as_client("GBR contributor").post("/v1/reports", json=body)
    report_id = posted.json()["id"]

    for path in ("/v1/reports", f"/v1/reports/{report_id}", f"/v1/reports/{report_id}/explanation"):
        answer = await api.as_client("NOR reader").get(path, headers={"Accept": "text/html,*/*"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", NAMES)
async def test_33_name_that_leads_elsewhere_is_refused_and_nothing_is_written(
    api: Api, world: World, name: str
) -> None:
    report_id = await world.post()
    before = kept_state(world)
    body = body_with(world.agreement_id, name=name)
    amendment = {field: value for field, value in body.items() if field not in {"agreement", "scope"}}

    posted = await api.as_client("GBR contributor").post("/v1/reports", json=body)
    amended = await api.as_client("GBR contributor").post(
        f"/v1/reports/{report_id}/amendments", json=amendment, headers={"If-Match": '"1"'}
    )

    for answer in (posted, amended):
        assert answer.status_code == 422
        assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/parts/0/name"}
    assert kept_state(world) == before


def _moved(columns: str) -> Callable[[World, str, str], None]:
    def move(world: World, report: str, other: str) -> None:
        sources = ", ".join(
            f"{each} = (SELECT {each} FROM report_part AS p WHERE p.report_id = $1)" for each in columns.split()
        )
        world.sql(f"UPDATE report_part SET {sources} WHERE report_id = $2", other, report)

    return move


def _lower(world: World, report: str) -> None:
    ((class_id, facts),) = world.sql(
        "SELECT c.id, c.facts FROM release_class AS c JOIN report AS r ON r.class_id = c.id WHERE r.id = $1", report
    )
    world.sql("UPDATE release_class SET facts = $1 WHERE id = $2", facts.replace("SECRET", "RESTRICTED"), class_id)


def _of_another_version(world: World, report: str, _other: str) -> None:
    world.sql("UPDATE report SET version = 2 WHERE id = $1", report)


MOVES = {
    "ciphertext": _moved("ciphertext"),
    "ciphertext with its key": _moved("ciphertext wrapped_key key_id key_version wrap_suite suite"),
    "version": _of_another_version,
}


@pytest.mark.parametrize("moved", MOVES.values(), ids=MOVES)
async def test_36_ciphertext_opens_at_its_own_place_alone_and_that_is_recorded(
    both: World, moved: Callable[[World, str, str], None]
) -> None:
    report, other = await both.post(), await both.post(subject="the other one")
    moved(both, report, other)
    async with both.another_node() as node, open_api(both) as api:
        api.app.state.services = node
        for path in (f"/v1/reports/{report}", f"/v1/reports/{report}/parts/1"):
            answer = await api.as_client("NOR reader").get(path)

            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert b"first part" not in answer.content
            ((content,),) = both.sql("SELECT content FROM audit_entry WHERE id = $1", answer.headers["x-audit-entry"])
            assert (json.loads(content)["type"], json.loads(content)["decision"]) == ("key.opened", "failed")


async def test_36_label_lowered_in_the_database_lowers_nothing(both: World) -> None:
    await both.enrol("NOR lower", "NOR", "reader", level="RESTRICTED")
    report = await both.post()
    _lower(both, report)
    async with both.another_node() as node, open_api(both) as api:
        api.app.state.services = node
        for path in (f"/v1/reports/{report}", f"/v1/reports/{report}/parts/1"):
            answers = [await api.as_client(name).get(path) for name in ("NOR reader", "NOR lower")]

            # Read from what is sealed for it: as it was posted, for those alone who were cleared for it then.
            assert [each.status_code for each in answers] == [200, 404]
