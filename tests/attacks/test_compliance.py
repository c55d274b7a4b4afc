"""Classes 8, 9, 11, 12: a count is an answer, and nobody counts what a list does not show."""

import pytest

from exchange.markings import Label
from exchange.reports import Precedence
from tests.attacks.hidden import Api, random_id, seen
from tests.support.world import AGREEMENT, World

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
    owed = "obligations:\n  - {party: all, scope: cyber-threats, acknowledge: {FLASH: PT10M}}"
    path = f"/v1/agreements/{await world.agree(AGREEMENT.replace('obligations: []', owed))}/compliance"
    report = await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))
    before = {name: seen(await api.as_client(name).get(path)) for name in ("DNK reader", "GBR reader")}

    received = await api.as_client("NOR reader").post(f"/v1/reports/{report}/receipts", json={})

    assert received.status_code == 201
    assert seen(await api.as_client("DNK reader").get(path)) == before["DNK reader"]
    assert seen(await api.as_client("GBR reader").get(path)) != before["GBR reader"]


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
