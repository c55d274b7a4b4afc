"""What a draft would do, what agreements leave open, and why for auditors: nothing that stays invisible is told."""

import asyncio
from dataclasses import replace
from importlib import import_module

import pytest

from exchange import usecases
from exchange.kernel import ForbiddenError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.release import AgencyOutlook, Permit, load_law
from exchange.settings import read_policies
from exchange.usecases import DraftLine, GapQuestion
from tests.attacks.hidden import AGREEMENT_OF_TWO, random_id
from tests.support.national import guard
from tests.support.world import AGREEMENT, POLICIES, World

TERROR = AGREEMENT.replace("cyber-threats", "terror").replace("[cyber]", "[terrorism]").replace("SECRET", "RESTRICTED")


async def ask(world: World, act, name: str, *args):
    return await world.attempt(act(world.services, world.call(name), *args))


async def test_draft_says_who_could_post_what_to_whom_and_keeps_nothing(populated: World) -> None:
    before = populated.sql("SELECT count(*) FROM agreement")

    made = await ask(populated, usecases.simulate_agreement, "DNK signatory", TERROR)

    outlook = made.value.value
    assert DraftLine("terror", "NOR", "DNK", "RESTRICTED") in outlook.lines
    assert {(line.contributor, line.reader) for line in outlook.lines} == {
        ("GBR", "NOR"), ("GBR", "DNK"), ("NOR", "GBR"), ("NOR", "DNK"),
    }  # fmt: skip
    assert [reach.level for reach in outlook.own] == ["RESTRICTED", "UNCLASSIFIED"]
    assert populated.sql("SELECT count(*) FROM agreement") == before
    assert (made.entry["type"], made.entry["decision"]) == ("agreement.simulated", "permitted")


async def test_draft_lets_others_in_and_two_are_not_simulated_at_a_time(populated: World) -> None:
    beside = 0

    async def others() -> None:
        nonlocal beside
        while True:
            await asyncio.sleep(0)
            beside += populated.services.drafting.is_taken

    waiting = asyncio.create_task(others())
    drafts = [usecases.simulate_agreement(populated.services, populated.call("DNK signatory"), TERROR) for _ in "ab"]
    made = await asyncio.gather(*drafts)
    waiting.cancel()

    assert beside >= sum(len(one.value.lines) + len(one.value.own) for one in made)


async def test_draft_of_too_many_pairs_is_refused(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # The package has the function under the module's name.
    monkeypatch.setattr(import_module("exchange.usecases.agreements.simulate_agreement"), "MOST_LINES", 5)

    refused = await ask(populated, usecases.simulate_agreement, "DNK signatory", TERROR)

    assert [(fault.pointer, fault.code) for fault in refused.error.faults] == [("/scopes", "too-large")]
    assert (refused.entry["type"], refused.entry["decision"]) == ("agreement.simulated", "refused")


async def test_draft_counts_ones_own_clients_by_agency_and_nobody_elses(populated: World) -> None:
    await populated.enrol("DNK junior", "DNK", "reader", level="UNCLASSIFIED", agency="FE")
    await populated.enrol("NOR extra", "NOR", "reader", agency="Secret service")

    outlook = (await ask(populated, usecases.simulate_agreement, "DNK signatory", TERROR)).value.value

    by_level = {reach.level: {one.agency: one.full for one in reach.agencies} for reach in outlook.own}
    assert "FE" not in by_level["RESTRICTED"]
    assert by_level["UNCLASSIFIED"]["FE"] == 1
    assert "Secret service" not in repr(outlook)
    assert all(isinstance(one, AgencyOutlook) for reach in outlook.own for one in reach.agencies)


async def test_drafts_and_gaps_tell_nothing_of_what_others_have_as_files(populated: World) -> None:
    async def told() -> tuple[object, object]:
        outlook = (await ask(populated, usecases.simulate_agreement, "NOR signatory", TERROR)).value.value
        gaps = (await ask(populated, usecases.search_gaps, "NOR signatory", GapQuestion(level="SECRET"))).value.value
        return outlook, gaps

    before = await told()
    files = {**read_policies(POLICIES), "guards/GBR.cedar": guard("gbr.nobody")}
    # As if the files had been these from the start.
    law = replace(load_law(files), digest=populated.services.law.digest)
    populated.services = replace(populated.services, law=law)

    assert await told() == before


async def test_draft_tells_operators_of_the_exchange_of_nobodys_clients(populated: World) -> None:
    outlook = (await ask(populated, usecases.simulate_agreement, "operator", TERROR)).value.value

    assert outlook.lines
    assert outlook.own == ()


async def test_draft_is_refused_as_its_proposal_would_be(populated: World) -> None:
    scope = TERROR.split("scopes:\n")[1].partition("obligations")[0]
    scopes = "".join(scope.replace("name: terror", f"name: terror-{number}") for number in range(200))
    long = await ask(populated, usecases.simulate_agreement, "DNK signatory", TERROR.replace(scope, scopes))
    faulty = await ask(populated, usecases.simulate_agreement, "DNK signatory", "title: none")
    foreign = await ask(populated, usecases.simulate_agreement, "ESP signatory", TERROR)
    reader = await ask(populated, usecases.simulate_agreement, "DNK reader", TERROR)

    assert isinstance(faulty.error, InvalidError)
    assert isinstance(foreign.error, InvalidError)
    assert [fault.code for fault in foreign.error.faults] == ["not-a-party"]
    assert [fault.code for fault in long.error.faults] == ["too-long"]
    assert isinstance(reader.error, ForbiddenError)
    assert {attempt.entry["decision"] for attempt in (long, faulty, foreign, reader)} == {"refused"}


async def gaps_of(world: World, name: str, **asked) -> list[str]:
    made = await ask(world, usecases.search_gaps, name, GapQuestion(**asked))
    assert made.entry["type"] == "release.searched"
    return [gap.sentence for gap in made.value.value]


async def test_gaps_are_told_both_ways(populated: World) -> None:
    asked = {"member": "DNK", "topic": "cyber", "level": "SECRET"}

    assert await gaps_of(populated, "NOR reader", **asked) == [
        "no scope lets DNK post `cyber` reports to NOR at all",
    ]
    assert await gaps_of(populated, "NOR reader", **{**asked, "topic": "terrorism"}) == [
        "no scope lets NOR post `terrorism` reports to DNK at all",
        "no scope lets DNK post `terrorism` reports to NOR at all",
    ]


async def test_gap_closes_when_an_agreement_comes_into_force_and_opens_when_it_is_suspended(populated: World) -> None:
    asked = {"member": "DNK", "topic": "terrorism", "level": "SECRET"}
    agreement = await populated.agree(TERROR)

    assert "no scope lets NOR post `terrorism` reports to DNK above RESTRICTED" in await gaps_of(
        populated, "NOR reader", **asked
    )
    await usecases.suspend_agreement(populated.services, populated.call("NOR signatory"), agreement)
    assert "no scope lets NOR post `terrorism` reports to DNK at all" in await gaps_of(populated, "NOR reader", **asked)


async def test_gaps_tell_nothing_of_agreements_between_others(populated: World) -> None:
    before = await gaps_of(populated, "DNK reader")
    asked_before = await gaps_of(populated, "DNK reader", member="ESP")
    await populated.agree(AGREEMENT_OF_TWO, signatories=("GBR", "ESP"))

    assert await gaps_of(populated, "DNK reader") == before
    assert await gaps_of(populated, "DNK reader", member="ESP") == asked_before
    assert not [sentence for sentence in before if "ESP" in sentence]
    # A member that is here and one that is not are one answer.
    absent = await gaps_of(populated, "DNK reader", member="PRT")
    assert [sentence.replace("PRT", "ESP") for sentence in absent] == asked_before


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"topic": "astrology", "level": "HIGH"}, ["unknown-topic", "unknown-level"]),
        ({"kind": "x", "region": "x"}, ["unknown-kind", "unknown-region"]),
        ({"member": "gbr"}, ["bad-code"]),
    ],
)
async def test_gaps_of_unknown_words_are_refused(populated: World, asked, codes) -> None:
    made = await ask(populated, usecases.search_gaps, "NOR reader", GapQuestion(**asked))

    assert isinstance(made.error, InvalidError)
    assert made.entry["detail"] == {"codes": codes}


async def test_search_for_gaps_lets_others_in_behind_each_clause_and_has_its_turn(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = import_module("exchange.release.reach")
    real, turns, seen = reach.highest_level, 0, list[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def asked(*args: object) -> object:
        assert populated.services.deciding.is_taken
        seen.append(turns)
        return real(*args)

    monkeypatch.setattr(reach, "highest_level", asked)
    waiting = asyncio.create_task(others())
    await asyncio.sleep(0)
    await usecases.search_gaps(populated.services, populated.call("NOR reader"), GapQuestion())
    waiting.cancel()

    # As many turns as questions, and never the same one twice.
    assert len(seen) == len(set(seen)) > len(populated.services.law.vocabulary.topics)


async def with_auditors(world: World) -> str:
    for member in ("GBR", "NOR"):
        await world.enrol(f"{member} auditor", member, "auditor")
    return await world.post(label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))


async def test_originators_auditor_learns_the_rules_and_nothing_personal_of_others(populated: World) -> None:
    report = await with_auditors(populated)
    danish = populated.clients["DNK reader"].id

    made = await ask(populated, usecases.explain_to_auditor, "GBR auditor", report, danish)

    told = made.value.value
    assert told.decision is None
    assert "not-releasable" in {reason.value for reason in told.reasons}
    assert {rule.outcome.value for rule in told.rules if rule.name == "clearance-level"} == {"not-shown"}
    assert (made.entry["type"], made.entry["detail"]) == ("audit.read", {"view": "explanation", "client": danish})


@pytest.mark.parametrize("named", [None, "defence", "law-enforcement", "judicial"])
async def test_originators_auditor_does_not_find_out_for_what_anothers_client_is_registered(
    populated: World, named: str | None
) -> None:
    await with_auditors(populated)
    label = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR"), handling=("H0",))
    report, told = await populated.post(label=label), []
    for name, purposes in (("DNK desk", ("defence",)), ("DNK police", ("law-enforcement", "judicial"))):
        client = await populated.enrol(name, "DNK", "reader", purposes=purposes)
        call = populated.call("GBR auditor", purpose=named)
        told.append((await usecases.explain_to_auditor(populated.services, call, report, client.id)).value)

    assert told[0] == told[1]
    allowed = {"defence": {"refused"}, "law-enforcement": {"passed"}}
    kept = {rule.outcome.value for rule in told[0].rules if rule.name == "handling-caveats"}
    assert kept == allowed.get(named or "defence", {"passed"})


async def test_originators_auditor_learns_all_of_its_own_members_client(populated: World) -> None:
    report = await with_auditors(populated)

    made = await ask(populated, usecases.explain_to_auditor, "GBR auditor", report, populated.clients["GBR reader"].id)

    assert isinstance(made.value.value.decision, Permit)


async def test_exchanges_auditor_learns_every_rule(populated: World) -> None:
    report = await with_auditors(populated)

    made = await ask(populated, usecases.explain_to_auditor, "auditor", report, populated.clients["DNK reader"].id)

    assert "not-shown" not in {rule.outcome.value for rule in made.value.value.rules}


async def test_absent_foreign_and_unnameable_are_one_answer_to_auditors(populated: World) -> None:
    report = await with_auditors(populated)
    reader = populated.clients["NOR reader"].id
    asked = [
        ("NOR auditor", report, reader),
        ("GBR auditor", random_id(), reader),
        ("GBR auditor", report, random_id()),
        ("GBR auditor", report, "x"),
        ("GBR auditor", report, populated.clients["ESP reader"].id),
    ]
    attempts = [await ask(populated, usecases.explain_to_auditor, *each) for each in asked]

    assert {type(attempt.error) for attempt in attempts} == {NotFoundError}
    assert len({str(attempt.error) for attempt in attempts}) == 1
    assert {attempt.entry["decision"] for attempt in attempts} == {"refused"}
