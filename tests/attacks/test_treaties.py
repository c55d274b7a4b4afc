"""Classes 5, 7, 8, 16: what one learns and does about an agreement that one is no party of yet, or has left."""

import json
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import MatterKind, amended
from exchange.kernel import ConflictError
from exchange.markings import Label
from exchange.usecases import AmendmentView, EntryQuery, NewMatter
from exchange.wire import AgreementBody
from tests.attacks.hidden import Api, open_api, random_id, seen
from tests.support.treaty import signed, signing_key
from tests.support.world import AGREEMENT, World, thumbprint_of

ACCEDED = (
    AGREEMENT.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, NOR, ESP]")
    .replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR, ESP]")
    .replace("topics: [cyber]", "topics: [cyber.apt]")
)
OF_ALL_FOUR = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR, DNK, ESP]")
FOR_ALL_FOUR = Label("NATO", "RESTRICTED", releasable_to=("DNK", "ESP", "GBR", "NOR"))
LOOKS = {"agreement.read", "amendment.listed", "crisis.listed", "agreement.exported"}
WITHOUT_DNK = AGREEMENT.replace("GBR, NOR, DNK", "GBR, NOR")


async def proposed(world: World, text: str, by: str = "GBR signatory") -> AmendmentView:
    return (await usecases.propose_amendment(world.services, world.call(by), world.agreement_id, text)).value


async def signs(world: World, view: AmendmentView, name: str) -> AgreementBody:
    text = amended(view.agreement, view.amendment.terms, world.clock.now)
    given = signed(text, world.clients[name], signing_key(thumbprint_of(name)))
    view_after = (await usecases.sign_agreement(world.services, world.call(name), world.agreement_id, given)).value
    return AgreementBody.of(view_after.agreement, world.clock.now)


async def heard(world: World, auditor: str) -> list[dict[str, Any]]:
    world.sequence()
    found = await usecases.search_entries(world.services, world.call(auditor), EntryQuery())
    return [dict(each.view.fields) for each in found.value.items]


async def test_08_who_accedes_and_its_auditor_learn_nothing_of_the_text_before(both: World) -> None:
    await both.enrol("ESP auditor", "ESP", "auditor")
    view = await proposed(both, ACCEDED)
    await usecases.list_amendments(both.services, both.call("ESP signatory"), both.agreement_id)
    answered = await signs(both, view, "ESP signatory")
    entries = [each for each in await heard(both, "ESP auditor") if each.get("agreement") == both.agreement_id]

    assert (answered.state, answered.text) == ("draft", view.amendment.text)
    assert {each.member: each.state for each in answered.parties} == {
        "GBR": "pending",
        "NOR": "pending",
        "ESP": "signed",
    }
    assert answered.scopes[0].topics == ["cyber.apt"]
    assert {each["type"] for each in entries} == {"amendment.listed", "agreement.signed"}
    # As a word: three letters come up in any signature.
    assert '"DNK"' not in json.dumps(entries)


async def test_16_who_has_left_sees_proposes_and_hears_of_no_later_text(both: World) -> None:
    await both.enrol("DNK auditor", "DNK", "auditor")
    await usecases.withdraw_agreement(both.services, both.call("DNK signatory"), both.agreement_id)
    during = await proposed(both, WITHOUT_DNK)
    both.clock.advance(timedelta(days=91))
    after = await proposed(both, ACCEDED)
    listed = await usecases.list_amendments(both.services, both.call("DNK signatory"), both.agreement_id)
    texts = json.dumps(await heard(both, "DNK auditor"))

    assert not listed.value
    with pytest.raises(ConflictError, match="only a party"):
        await proposed(both, AGREEMENT.replace("title: North", "title: Old North"), by="DNK signatory")
    assert during.amendment.text in texts
    assert after.amendment.text not in texts

    # Nor, by what cannot be read, that there is one.
    both.sql("UPDATE agreement_amendment SET terms = '{'")
    unread = {
        member: await usecases.list_amendments(both.services, both.call(f"{member} signatory"), both.agreement_id)
        for member in ("DNK", "GBR")
    }
    assert {member: each.unopened for member, each in unread.items()} == {"DNK": 0, "GBR": 2}


async def test_16_who_has_left_finds_nothing_of_the_others_in_the_entries_of_its_own_looks(both: World) -> None:
    await both.enrol("DNK auditor", "DNK", "auditor")
    await usecases.withdraw_agreement(both.services, both.call("DNK signatory"), both.agreement_id)
    both.clock.advance(timedelta(days=91))

    async def looks() -> list[Any]:
        for look in (
            usecases.show_agreement,
            usecases.list_amendments,
            usecases.list_crises,
            usecases.export_agreement,
        ):
            await look(both.services, both.call("DNK signatory"), both.agreement_id)
        seen_by_auditor = [each for each in await heard(both, "DNK auditor") if each["type"] in LOOKS]
        return sorted(((each["type"], each["object"], each["detail"]) for each in seen_by_auditor), key=str)

    before = await looks()
    await usecases.suspend_agreement(both.services, both.call("NOR signatory"), both.agreement_id)
    after = await looks()
    await both.enrol("GBR auditor", "GBR", "auditor")

    assert [each[0] for each in before] == sorted(LOOKS)
    assert after == sorted([*before, *before], key=str)
    assert not LOOKS.intersection(each["type"] for each in await heard(both, "GBR auditor"))


async def test_16_who_has_left_hears_nothing_that_is_said_to_all_parties(both: World) -> None:
    await usecases.withdraw_agreement(both.services, both.call("DNK signatory"), both.agreement_id)
    both.clock.advance(timedelta(days=91))
    talk = NewMatter(MatterKind.CONSULTATION, "who takes over what DNK has done?")
    opened = await usecases.open_consultation(both.services, both.call("GBR signatory"), both.agreement_id, talk)
    owed = NewMatter(MatterKind.DISPUTE, "a report is owed still", members=("DNK",))
    named = await usecases.open_consultation(both.services, both.call("GBR signatory"), both.agreement_id, owed)
    heard = await usecases.list_consultations(both.services, both.call("DNK signatory"), both.agreement_id)

    assert opened.value.members == ("GBR", "NOR")
    assert [matter.id for matter in heard.value] == [named.value.id]


async def finds(api: Api, name: str, report: str) -> set[bool]:
    """Return whether a client finds a report: by every way there is to one."""
    client, place = api.as_client(name), f"/v1/reports/{report}"
    ways = [await client.get(place + suffix) for suffix in ("", "/parts/1", "/explanation")]
    ways.append(await client.head(place))
    lists = [
        await client.get("/v1/reports", params=query)
        for query in ({}, {"since": "2020-01-01T00:00:00Z"}, {"topic": "cyber"}, {"agreement": api.world.agreement_id})
    ]
    listed = {report in {item["id"] for item in page.json().get("items", ())} for page in lists}
    return {answer.status_code == 200 for answer in ways} | listed


async def test_07_who_joins_late_finds_nothing_that_is_older(both: World) -> None:
    old = await both.post(label=FOR_ALL_FOUR)
    view = await proposed(both, OF_ALL_FOUR)
    for member in ("GBR", "NOR", "DNK", "ESP"):
        concluded = await signs(both, view, f"{member} signatory")
    new = await both.post(label=FOR_ALL_FOUR)

    assert concluded.state == "in_force"
    async with open_api(both) as api:
        assert await finds(api, "ESP reader", new) == {True}
        assert await finds(api, "ESP reader", old) == {False}
        assert await finds(api, "NOR reader", old) == {True}
        answers = [await api.as_client("ESP reader").get(f"/v1/reports/{an_id}") for an_id in (old, random_id())]
    assert seen(answers[0]) == seen(answers[1])


async def test_07_how_wide_one_agreement_is_opens_nothing_of_another(both: World) -> None:
    narrow = both.agreement_id
    under_narrow = await both.post(label=FOR_ALL_FOUR)
    wide = OF_ALL_FOUR.replace("ceiling: SECRET", "ceiling: TOP SECRET") + "older_reports: included\n"
    await both.agree(wide, signatories=("GBR", "NOR", "DNK", "ESP"))
    under_wide = await both.post(label=FOR_ALL_FOUR)

    async with open_api(both) as api:
        assert await finds(api, "ESP reader", under_wide) == {True}
        both.agreement_id = narrow
        # The same topics, kinds, purposes and label; every party of the one may read everything there.
        assert await finds(api, "ESP reader", under_narrow) == {False}
        assert await finds(api, "DNK reader", under_narrow) == {True}
