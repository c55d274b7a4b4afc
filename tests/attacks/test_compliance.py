"""Classes 8, 9, 11, 12: a count is an answer, and nobody counts what a list does not show."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.reports import Precedence
from tests.attacks.hidden import Api, Seen, random_id, seen
from tests.support.world import AGREEMENT, World

OWED = "obligations:\n  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}"
ONLOOKERS = ("DNK reader", "NOR reader", "NOR junior")


@pytest.mark.parametrize("name", ONLOOKERS)
async def test_09_compliance_is_the_same_with_and_without_what_is_hidden(
    api: Api, plain_api: Api, world: World, name: str
) -> None:
    # Nothing of a class that only GBR may read, none of it new and none of it old.
    await world.post(label=Label("NATO", "SECRET"), precedence=Precedence.FLASH)
    path = f"/v1/agreements/{world.agreement_id}/compliance"
    queries = ({}, {"since": "2026-06-01T11:59:59Z"}, {"since": "2026-06-01T12:00:00Z"})

    answers = [
        [seen(await each.as_client(name).get(path, params=query)) for query in queries] for each in (api, plain_api)
    ]

    assert [answer.status for answer in answers[0]] == [200, 200, 200]
    assert answers[0] == answers[1]
    own = (await api.as_client("GBR reader").get(path)).json()
    assert own["parties"][0]["scopes"][0]["posts"] > 1


async def test_09_what_two_parties_owe_each_other_shows_a_third_nothing(api: Api, world: World) -> None:
    path = f"/v1/agreements/{await world.agree(AGREEMENT.replace('obligations: []', OWED))}/compliance"
    report = await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))
    before = {name: seen(await api.as_client(name).get(path)) for name in ("DNK reader", "GBR reader")}

    received = await api.as_client("NOR reader").post(f"/v1/reports/{report}/receipts", json={})

    assert received.status_code == 201
    assert seen(await api.as_client("DNK reader").get(path)) == before["DNK reader"]
    assert seen(await api.as_client("GBR reader").get(path)) != before["GBR reader"]


async def heard(api: Api, name: str, path: str) -> Seen:
    """Return what a signatory hears of breaches, the cursor masked but for its length."""
    answer = await api.as_client(name).get(path, params={"limit": 1})
    view, cursor = seen(answer), answer.json()["next"]
    return replace(view, body=view.body.replace(cursor.encode(), b"-" * len(cursor)))


@pytest.mark.parametrize("name", ["DNK signatory", "NOR signatory", "NOR low signatory"])
async def test_09_breaches_of_others_and_above_ones_clearance_leave_no_trace(api: Api, world: World, name: str) -> None:
    owed = OWED.replace("}}", "}}\n  - {party: GBR, scope: cyber-threats, report_every: P1D}")
    agreement = await world.agree(AGREEMENT.replace("obligations: []", owed))
    await world.enrol("NOR low signatory", "NOR", "signatory", level="RESTRICTED")
    await world.enrol("GBR special", "GBR", "signatory", compartments=("ATOMAL",))
    path = f"/v1/agreements/{agreement}/breaches"
    before = await heard(api, name, path)
    # None that this signatory is cleared for, in a scope that may hold more than it is cleared for.
    to = ("GBR", "NOR") if name == "NOR low signatory" else ("ESP", "GBR")
    await world.post(label=Label("NATO", "SECRET", releasable_to=to), precedence=Precedence.FLASH)
    world.clock.advance(timedelta(days=2))
    await usecases.DutyWatch(world.services).round()

    assert before.status == 200
    assert await heard(api, name, path) == before
    assert (await api.as_client("GBR special").get(path)).json()["items"]


async def test_08_consultation_shows_nothing_to_who_is_not_named_in_it(api: Api, world: World) -> None:
    place = f"/v1/agreements/{world.agreement_id}/consultations"
    before = seen(await api.as_client("DNK signatory").get(place))
    opened = await api.as_client("GBR signatory").post(
        place, json={"kind": "dispute", "text": "canary words", "members": ["NOR"]}
    )
    path = f"/v1/consultations/{opened.json()['id']}"

    assert opened.status_code == 201
    assert seen(await api.as_client("DNK signatory").get(place)) == before
    for act in ("answers", "settlement"):
        answers = [
            seen(await api.as_client("DNK signatory").post(f"{each}/{act}", json={"text": "me too"}))
            for each in (path, f"/v1/consultations/{random_id()}")
        ]
        assert answers[0].status == 404
        assert answers[0] == answers[1]
    heard = (await api.as_client("NOR signatory").get(place)).json()["items"]
    assert [len(each["said"]) for each in heard] == [1]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01T00:00:00Z", "2020-01-01T00:00:00Z", "2031-01-01T00:00:00Z"])
async def test_12_bad_periods_of_absent_and_foreign_agreements_are_one_answer(api: Api, hidden, since: str) -> None:
    answers = [
        await api.as_client("DNK reader").get(f"/v1/agreements/{each}/compliance", params={"since": since})
        for each in (random_id(), hidden.agreement, api.world.agreement_id)
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert {(answer.json()["code"], str(answer.json()["errors"])) for answer in answers} == {
        (answers[0].json()["code"], str(answers[0].json()["errors"]))
    }
