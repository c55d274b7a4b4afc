"""Rows that somebody damages to hide a report silently, or to tell a reader of what it may not see."""

import hashlib
import json

import pytest

from tests.attacks.callers import body_of
from tests.attacks.hidden import OUTSIDERS, Api, Hidden, filled, random_id, seen, segment_of
from tests.support.placing import place_anew
from tests.support.world import World

_DESTROYED = "UPDATE report SET sealed_header = zeroblob(64) WHERE id = $1"
_MOVED = "UPDATE report SET class_id = (SELECT min(class_id) FROM report) WHERE id = $1"
_WIDENED = 'UPDATE release_class SET facts = replace(facts, \'["GBR"]\', \'["DNK","GBR","NOR"]\')'
_CLASS_LOST = (
    "UPDATE release_class SET facts = '[]', digest = '0' WHERE id = (SELECT class_id FROM report WHERE id = $1)"
)
TAMPERINGS = {
    "destroyed": (_DESTROYED,),
    "moved to where others read": (_MOVED,),
    "moved and destroyed": (_MOVED, _DESTROYED),
    "class widened": (_WIDENED,),
    "class lost": (_CLASS_LOST,),
    "class lost and moved": (_CLASS_LOST, _MOVED),
}


async def tampered(world: World, hidden: Hidden, how: str) -> None:
    """Do as whoever owns the database can, once the log speaks of the report; the process knows nothing of it yet."""
    await place_anew(world)
    for statement in TAMPERINGS[how]:
        world.sql(statement, *([hidden.report] if "$1" in statement else []))
    world.services.knowledge.__init__()  # type: ignore[misc]  # as a process that was just begun


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize("reader", ["NOR reader", "DNK reader", "ESP reader"])
async def test_damage_tells_nobody_of_what_it_may_not_see(api: Api, hidden: Hidden, how: str, reader: str) -> None:
    paths = ("/v1/reports", "/v1/reports?limit=1", f"/v1/reports/{hidden.report}", "/v1/stream")
    client = api.as_client(reader)
    # `next` is sealed anew each time: as many bytes as ever.
    before = [without_next(seen(await client.get(path))) for path in paths]
    await tampered(api.world, hidden, how)
    after = [without_next(seen(await client.get(path))) for path in paths]

    assert after == before


def without_next(answer: object) -> str:
    told = repr(answer)
    return told if '"next"' not in told else told.partition('"next"')[0]


@pytest.mark.parametrize(
    ("how", "is_shown", "told"),
    [("destroyed", False, "which"), ("class widened", True, None), ("class lost", False, "that")],
)
async def test_who_may_see_what_was_damaged_is_told_and_loses_nothing_else(
    api: Api, hidden: Hidden, how: str, *, is_shown: bool, told: str | None
) -> None:
    reader = api.as_client("GBR reader")
    whole = {item["id"] for item in (await reader.get("/v1/reports")).json()["items"]}
    await tampered(api.world, hidden, how)
    page = (await reader.get("/v1/reports")).json()

    assert {item["id"] for item in page["items"]} == (whole if is_shown else whole - {hidden.report})
    expected = {"which": [{"id": hidden.report}], "that": [{"id": None}], None: None}[told]
    assert page.get("unopened") == expected
    assert "canary" not in json.dumps(page).replace("Canary subject", "")


LATEST = 2**63 - 1
NO_TEXT = "CAST(x'7bff' AS TEXT)"
LISTS = (
    ("/v1/onward-requests", f"UPDATE onward_release SET asked_at = {LATEST}", "GBR reader"),
    ("/v1/onward-requests", "UPDATE onward_release SET report_id = 'x'", "GBR reader"),
    ("/v1/onward-requests", "UPDATE onward_release SET decided_by = 'x'", "GBR releaser"),
    ("/v1/onward-requests", "UPDATE onward_release SET conditions = x'ff'", "GBR reader"),
    ("/v1/onward-requests", "UPDATE onward_release SET note = ''", "GBR reader"),
    ("/v1/onward-requests", """UPDATE onward_release SET asked = replace(asked, '"ESP"', '7')""", "GBR reader"),
    (
        "/v1/onward-requests",
        """UPDATE onward_release SET asked = replace(asked, '"parts": []', '"parts": ["x"]')""",
        "GBR reader",
    ),
    (
        "/v1/onward-requests",
        """UPDATE onward_release SET asked = replace(asked, '"parts": []', '"parts": 7')""",
        "GBR reader",
    ),
    ("/v1/derivation-requests", "UPDATE derivation_consent SET lowest = 'x'", "GBR contributor"),
    ("/v1/derivation-requests", "UPDATE derivation_consent SET decided_by = 'x'", "GBR releaser"),
    ("/v1/derivation-requests", "UPDATE derivation_consent SET reason = x'ff'", "GBR contributor"),
    (
        "/v1/derivation-requests",
        """UPDATE derivation_consent SET lowest = replace(lowest, '"NATO"', '""')""",
        "GBR releaser",
    ),
    (
        "/v1/derivation-requests",
        """UPDATE derivation_consent SET lowest = replace(lowest, '"GBR"', '"G"')""",
        "GBR releaser",
    ),
    (
        "/v1/derivation-requests",
        """UPDATE derivation_consent SET lowest = replace(lowest, '"NATO"', '"\\ud800"')""",
        "GBR releaser",
    ),
    (
        "/v1/onward-requests",
        """UPDATE onward_release SET asked = replace(asked, '"reason": "', '"reason": "\\ud800')""",
        "GBR reader",
    ),
    ("/v1/caveats", """UPDATE caveat_set SET told = '[["x", "\\ud800"]]'""", "GBR reader"),
    ("/v1/proxies", "UPDATE proxy_consent SET reason = x'ff'", "GBR releaser"),
    ("/v1/proxies", "UPDATE proxy_consent SET refusal = x'ff'", "GBR releaser"),
    ("/v1/proxies", "UPDATE proxy_consent SET state = 'x'", "GBR releaser"),
    ("/v1/caveats", f"UPDATE caveat_set SET in_force_at = {LATEST}", "GBR reader"),
    ("/v1/caveats", "UPDATE caveat_set SET replaces = 'x'", "GBR reader"),
    ("/v1/clients", "UPDATE client SET id = 'x' WHERE name = 'GBR contributor'", "GBR reader"),
    ("/v1/subscriptions", f"UPDATE subscription SET added_at = {LATEST}", "GBR reader"),
    ("/v1/subscriptions", "UPDATE subscription SET purpose = x'ff'", "GBR reader"),
    ("/v1/agreements", "UPDATE agreement SET terms = '{' WHERE title_of_two", "GBR reader"),
    ("/v1/agreements", "UPDATE agreement SET previous = 'x' WHERE title_of_two", "GBR reader"),
    (
        "/v1/agreements",
        "UPDATE agreement_party SET member = 'x' WHERE member = 'ESP' AND agreement_title_of_two",
        "GBR reader",
    ),
    (
        "/v1/agreements",
        "UPDATE agreement_party SET member = 'NOR' WHERE member = 'ESP' AND agreement_title_of_two",
        "GBR reader",
    ),
    ("/v1/acts", f"UPDATE pending_act SET requested_at = {LATEST}", "GBR releaser"),
    ("/v1/acts", f"UPDATE pending_act SET payload = {NO_TEXT}", "GBR releaser"),
    ("/v1/onward-requests", f"UPDATE onward_release SET conditions = {NO_TEXT}", "GBR reader"),
    ("/v1/derivation-requests", f"UPDATE derivation_consent SET reason = {NO_TEXT}", "GBR contributor"),
    ("/v1/proxies", f"UPDATE proxy_consent SET reason = {NO_TEXT}", "GBR releaser"),
    ("/v1/caveats", f"UPDATE caveat_set SET proposed_by = {NO_TEXT}", "GBR reader"),
    ("/v1/clients", f"UPDATE client SET purposes = {NO_TEXT} WHERE name = 'GBR contributor'", "GBR reader"),
)


@pytest.mark.parametrize(("path", "alter", "reader"), LISTS)
async def test_row_that_cannot_be_read_is_told_of_and_recorded(
    api: Api, hidden: Hidden, path: str, alter: str, reader: str
) -> None:
    before = (await api.as_client(reader).get(path)).json()
    api.world.unguard()
    api.world.sql(alter.replace("title_of_two", f"id = '{hidden.agreement}'"))
    answer = await api.as_client(reader).get(path)

    assert answer.status_code == 200
    told = answer.json()
    assert "unopened" not in before
    # Whose an act was, its row alone could say: nobody is told of it, and the log has it.
    count = 0 if path == "/v1/acts" else len(before["items"]) - len(told["items"])
    assert told.get("unopened", []) == [{"id": None}] * count
    assert count == 1 or path == "/v1/acts"
    assert "key.opened" in {entry["type"] for entry in await api.world.entries()}


async def test_client_that_cannot_be_read_is_told_as_that_to_who_sees_all_of_them(api: Api, hidden: Hidden) -> None:
    api.world.sql("UPDATE client SET standing = 'x' WHERE id = $1", hidden.client)
    path = f"/v1/clients/{hidden.client}"

    assert (await api.as_client("operator").get(path)).status_code == 503
    assert (await api.as_client("NOR operator").get(path)).status_code == 404


async def test_act_that_was_made_one_of_another_kind_takes_nothing_from_a_list(api: Api) -> None:
    releaser = api.as_client("GBR releaser")
    before = (await releaser.get("/v1/proxies")).json()
    api.world.unguard()
    api.world.sql("UPDATE pending_act SET kind = 'proxy-posting'")

    assert (await releaser.get("/v1/proxies")).json() == before


SAID_BY_AN_ACT = (
    "[]",
    "no json",
    "[" * 100_000,
    '{"members":["GBR"]}',
    '{"asked":[],"members":["GBR"]}',
    '{"asked":{},"members":["GBR"]}',
    '{"asked":{},"members":"GBR"}',
    '{"asked":{},"members":["gbr"]}',
    '{"asked":{"report":1,"consent":[]},"members":["GBR"]}',
    '{"asked":{"report":"\\ud800"},"members":["GBR"]}',
    '{"asked":{"agreement":"\\u0000","report":"\\u0000","clause":"x"},"members":["GBR"]}',
)


@pytest.mark.parametrize("payload", SAID_BY_AN_ACT, ids=lambda payload: payload[:40])
async def test_act_that_was_written_with_its_digest_takes_nothing_from_a_list(
    api: Api, hidden: Hidden, payload: str
) -> None:
    lists = [
        *((name, "/v1/acts") for name in ("operator", "GBR releaser", "GBR signatory")),
        *(("GBR releaser", path) for path in ("/v1/proxies", "/v1/onward-requests", "/v1/derivation-requests")),
    ]
    before = (await api.as_client("operator").get("/v1/acts")).json()["items"]
    ((act,),) = api.world.sql("SELECT id FROM pending_act WHERE kind = 'proxy-posting'")
    api.world.unguard()
    digest = hashlib.sha256(payload.encode()).hexdigest()
    for kind in ("proxy-posting", "onward-release", "derived-marking", "downgrade", "open-crisis"):
        api.world.sql(
            "UPDATE pending_act SET kind = $1, payload = $2, digest = $3 WHERE id = $4", kind, payload, digest, act
        )
        for name, path in lists:
            assert (await api.as_client(name).get(path)).status_code == 200, (kind, name, path)
        for method, path in (("GET", ""), ("POST", "/refusal")):
            for name in ("GBR second releaser", "GBR signatory"):
                answer = await api.as_client(name).request(method, f"/v1/acts/{act}{path}", json={})
                assert answer.status_code in {200, 404, 409}, (kind, name, path)

    assert (await api.as_client("operator").get("/v1/acts")).json()["items"] == before


@pytest.mark.parametrize(
    "payload",
    [*SAID_BY_AN_ACT, '{"subject":"stranger","period":"2026","reason":"x"}'],
    ids=lambda payload: payload[:40],
)
async def test_erasure_that_was_written_with_its_digest_is_none(api: Api, hidden: Hidden, payload: str) -> None:
    api.world.unguard()
    digest = hashlib.sha256(payload.encode()).hexdigest()
    api.world.sql("UPDATE pending_act SET payload = $1, digest = $2 WHERE id = $3", payload, digest, hidden.erasure)
    for method, path in (("GET", ""), ("POST", "/approval")):
        answer = await api.as_client("operator").request(method, f"/v1/audit/erasures/{hidden.erasure}{path}", json={})
        assert answer.status_code in {404, 409, 503}


async def test_act_whose_end_was_altered_is_told_of_to_nobody_as_a_fault(api: Api, hidden: Hidden) -> None:
    ((act,),) = api.world.sql("SELECT id FROM pending_act WHERE kind = 'proxy-posting'")
    second = api.as_client("GBR second releaser")
    assert (await second.post(f"/v1/acts/{act}/refusal", json={})).status_code == 200
    api.world.unguard("pending_act_end")
    api.world.sql("UPDATE pending_act_end SET client = 'x'")

    assert (await second.get(f"/v1/acts/{act}")).status_code in {404, 503}


async def test_row_makes_nobody_a_party_of_what_does_not_name_it(api: Api, hidden: Hidden) -> None:
    api.world.unguard()
    made = "UPDATE agreement_party SET member = 'NOR' WHERE member = 'GBR' AND agreement_id = $1"
    api.world.sql(made, hidden.agreement)
    outsider = api.as_client("NOR signatory")
    listed = (await outsider.get("/v1/agreements")).json()["items"]

    assert hidden.agreement not in [each["id"] for each in listed]
    for path in ("", "/export", "/amendments", "/crises", "/consultations"):
        assert (await outsider.get(f"/v1/agreements/{hidden.agreement}{path}")).status_code in {404, 503}


async def test_delivery_that_ended_at_no_time_takes_nothing_from_a_list(api: Api, hidden: Hidden) -> None:
    reader, path = api.as_client("GBR reader"), f"/v1/subscriptions/{hidden.subscription}"
    for _ in range(2):
        assert (await reader.post(f"{path}/test", json={})).status_code == 202
    api.world.sql(
        "UPDATE subscription_delivery SET ended_at = '' WHERE id = (SELECT max(id) FROM subscription_delivery)"
    )

    assert (await reader.get(f"{path}/deliveries")).status_code == 200


ASKED_FOR = {
    "onward-requests": f"UPDATE onward_release SET asked_at = {LATEST}",
    "derivation-requests": "UPDATE derivation_consent SET lowest = 'x'",
    "proxies": "UPDATE proxy_consent SET state = 'x'",
    "information-requests": "UPDATE information_request SET ended = 'x'",
    "acts": f"UPDATE pending_act SET requested_at = {LATEST}",
    "erasures": f"UPDATE pending_act SET requested_at = {LATEST}",
    "caveats": f"UPDATE caveat_set SET in_force_at = {LATEST}",
    "subscriptions": f"UPDATE subscription SET added_at = {LATEST}",
    "consultations": "UPDATE consultation SET kind = 'x'",
}


async def test_thing_that_cannot_be_read_is_there_for_nobody_it_was_hidden_from(api: Api, hidden: Hidden) -> None:
    api.world.unguard()
    for alter in ASKED_FOR.values():
        api.world.sql(alter)
    told = []
    for method, path, operation in api.operations():
        segment = segment_of(path)
        for name in OUTSIDERS[segment] if segment in ASKED_FOR else ():
            body, client = body_of(api, operation), api.as_client(name)
            damaged, absent = [
                await client.request(method, filled(path, each), **body)
                for each in (hidden.ids(segment)[0], random_id())
            ]
            if damaged.status_code != absent.status_code:
                told.append(f"{name}: {method} {path}")

    assert told == []


@pytest.mark.parametrize(
    "path", ["/v1/reports", "/v1/reports/{report}", "/v1/whoami", "/v1/agreements?limit=no", "/v1/no-path"]
)
async def test_caller_whose_own_row_cannot_be_read_is_told_so_and_it_is_on_record(
    api: Api, hidden: Hidden, path: str
) -> None:
    reader = api.world.clients["GBR reader"].id
    api.world.sql("UPDATE client SET standing = 'x' WHERE id = $1", reader)
    answer = await api.as_client("GBR reader").get(path.format(report=hidden.report))

    assert answer.status_code == 503
    entry = next(each for each in await api.world.entries() if each["id"] == answer.headers["X-Audit-Entry"])
    assert (entry["type"], entry["decision"]) == ("key.opened", "failed")
    assert entry["detail"]["place"] == f"client {reader}"
    # Nobody else is kept from anything.
    assert (await api.as_client("NOR reader").get("/v1/reports")).status_code == 200


async def test_altered_times_of_caveats_take_no_report_from_anybody(api: Api) -> None:
    """They still hold: what decides is their text, which its digest covers."""
    lists = {}
    for _ in range(2):
        for reader in ("GBR reader", "NOR reader", "DNK reader"):
            items = (await api.as_client(reader).get("/v1/reports")).json()["items"]
            assert lists.setdefault(reader, items) == items
        api.world.unguard()
        api.world.sql(f"UPDATE caveat_set SET in_force_at = {LATEST}")
        api.world.services.knowledge.__init__()  # type: ignore[misc]  # as a process that was just begun
