"""Classes 21 and 23: over HTTP, personal data is erased by two of those who may, and by nobody else."""

import pytest

from tests.attacks.hidden import Api, Hidden, random_id
from tests.support.world import Entry

WANTED = {"period": "2026-06", "reason": "asked for by the data subject"}


async def entry_of(api: Api, name: str) -> Entry:
    """Return the entry of a harmless act of a client."""
    answer = await api.as_client(name).get("/v1/whoami")
    (entry,) = [entry for entry in await api.world.entries() if entry["id"] == answer.headers["x-audit-entry"]]
    return entry


async def test_two_persons_erase_over_http(api: Api) -> None:
    await entry_of(api, "NOR reader")
    body = {"subject": api.world.clients["NOR reader"].id, **WANTED}
    asked = await api.as_client("NOR operator").post("/v1/audit/erasures", json=body)
    alone = await api.as_client("NOR operator").post(f"{asked.headers['location']}/approval", json={})
    done = await api.as_client("auditor").post(f"{asked.headers['location']}/approval", json={})
    again = await api.as_client("auditor").post(f"{asked.headers['location']}/approval", json={})

    assert (asked.status_code, asked.json()["state"], asked.json()["approver"]) == (201, "requested", None)
    assert asked.headers["location"] == f"/v1/audit/erasures/{asked.json()['id']}"
    assert (alone.status_code, alone.json()["code"]) == (409, "second-person-needed")
    assert (done.status_code, done.json()["state"], done.json()["keys"]) == (200, "erased", 1)
    assert done.json()["approver"] == api.world.clients["auditor"].id
    assert (again.status_code, again.json()["code"]) == (409, "approved-already")
    assert all("x-audit-leaf" in answer.headers for answer in (asked, alone, done, again))


@pytest.mark.parametrize("name", ["NOR operator", "NOR auditor"])
async def test_23_nobody_erases_for_another_member(api: Api, hidden: Hidden, name: str) -> None:
    foreign, before = api.world.clients["GBR reader"].id, api.world.sql("SELECT count(*) FROM pending_act")
    answers = [
        await api.as_client(name).post("/v1/audit/erasures", json={"subject": subject, **WANTED})
        for subject in (foreign, random_id(), "stranger", "x")
    ]
    answers += [
        await api.as_client(name).post(f"/v1/audit/erasures/{an_id}/approval", json={})
        for an_id in (hidden.erasure, random_id())
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert api.world.sql("SELECT count(*) FROM pending_act") == before
    done = "SELECT count(*) FROM pending_act WHERE kind = 'erase-personal' AND approver IS NOT NULL"
    assert api.world.sql(done) == [(0,)]


async def test_21_answers_about_personal_data_hold_none(api: Api) -> None:
    subject = api.world.clients["NOR reader"].id
    await entry_of(api, "NOR reader")
    asked = await api.as_client("operator").post("/v1/audit/erasures", json={"subject": subject, **WANTED})
    done = await api.as_client("auditor").post(f"{asked.headers['location']}/approval", json={})

    for answer in (asked, done):
        assert "192.0.2.7" not in answer.text
        assert "NOR reader" not in answer.text


async def test_21_shown_entry_says_what_is_personal_to_who_may_read_it(api: Api) -> None:
    entry = await entry_of(api, "NOR reader")
    place = f"/v1/audit/entries/{entry['id']}"
    own, whole = await api.as_client("NOR auditor").get(place), await api.as_client("auditor").get(place)
    subject = api.world.clients["NOR reader"].id
    asked = await api.as_client("operator").post("/v1/audit/erasures", json={"subject": subject, **WANTED})
    await api.as_client("auditor").post(f"{asked.headers['location']}/approval", json={})
    after = await api.as_client("NOR auditor").get(place)

    assert own.json()["personal"] == whole.json()["personal"]
    assert (own.json()["personal"]["name"], own.json()["personal"]["source"]) == ("NOR reader", "192.0.2.7")
    assert after.json() == {**own.json(), "personal": "erased"}


async def test_act_is_confirmed_over_http_by_its_digest_and_by_another_person(api: Api) -> None:
    await entry_of(api, "NOR reader")
    body = {"subject": api.world.clients["NOR reader"].id, **WANTED}
    act_id = (await api.as_client("NOR operator").post("/v1/audit/erasures", json=body)).json()["id"]
    place = f"/v1/acts/{act_id}"
    shown = (await api.as_client("NOR auditor").get(place)).json()
    own = (await api.as_client("NOR operator").get(place)).json()
    confirmation = {"digest": shown["digest"]}
    alone = await api.as_client("NOR operator").post(f"{place}/confirmation", json=confirmation)
    blind = await api.as_client("NOR auditor").post(f"{place}/confirmation", json={})
    other = await api.as_client("NOR auditor").post(f"{place}/confirmation", json={"digest": "0" * 64})
    done = await api.as_client("NOR auditor").post(f"{place}/confirmation", json=confirmation)
    ended = await api.as_client("NOR operator").post(f"{place}/refusal", json={})

    assert (shown["state"], shown["kind"], shown["may_confirm"]) == ("requested", "erase-personal", True)
    assert own == {**shown, "may_confirm": False}
    assert (alone.status_code, alone.json()["code"]) == (409, "second-person-needed")
    assert blind.status_code == 422
    assert (other.status_code, other.json()["code"]) == (409, "digest-differs")
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert (ended.status_code, ended.json()["code"]) == (409, "approved-already")


async def test_23_hidden_act_is_in_no_list_of_those_who_have_nothing_to_do_with_it(api: Api, hidden: Hidden) -> None:
    lists = {
        name: (await api.as_client(name).get("/v1/acts")).json()["items"]
        for name in ("NOR operator", "NOR auditor", "auditor")
    }

    assert (lists["NOR operator"], lists["NOR auditor"]) == ([], [])
    assert [each["id"] for each in lists["auditor"]] == [hidden.erasure]
