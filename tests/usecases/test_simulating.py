"""Simulation: what it says is what happens when the report is posted, and it is refused where the post would be."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange import usecases
from exchange.kernel import ConflictError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.release import AgencyOutlook
from exchange.reports import PostedPart
from exchange.usecases import HostSimulation, SimulatedReport
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import NOW, World
from tests.usecases.test_amending import ACCEDED, ALL_THREE, concluded

ON_ONE_WORLD = settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


def simulated(world: World, **changes: Any) -> SimulatedReport:
    report = SimulatedReport(world.agreement_id, "cyber-threats", "intrep", "cyber.apt", ("EUR",), SECRET)
    return replace(report, **changes)


async def simulate(world: World, report: SimulatedReport, name: str = "GBR contributor") -> Any:
    return await world.attempt(usecases.simulate_release(world.services, world.call(name), report))


async def outcome(world: World, name: str, report: str) -> str:
    """Return what the client called `name` gets of a posted report."""
    try:
        pulled = await usecases.pull_report(world.services, world.call(name), report)
    except NotFoundError:
        return "nothing"
    return "tear-line" if b'"subject":null' in pulled.value.header_json else "full"


labels = st.sampled_from(
    [
        SECRET,
        LOW,
        Label("NATO", "SECRET"),
        Label("NATO", "CONFIDENTIAL", ("ATOMAL",), ("DNK", "GBR", "NOR")),
        Label("NATO", "UNCLASSIFIED", (), ("DNK", "ESP", "GBR", "NOR")),
        Label("NATO", "RESTRICTED", (), ("DNK", "GBR", "NOR"), ("EYES ONLY",)),
    ]
)


@ON_ONE_WORLD
@given(label=labels, part_labels=st.lists(st.none() | labels, min_size=1, max_size=3))
async def test_simulation_says_what_happens(populated: World, label: Label, part_labels: list[Label | None]) -> None:
    if "NOR junior" not in populated.clients:
        await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED", agency="NIS")
        await populated.enrol("DNK atomic", "DNK", "reader", compartments=("ATOMAL",), agency="FE")
        await populated.enrol("NOR dane", "NOR", "reader", nationality="DNK", agency="NIS")
        await populated.enrol("DNK former", "DNK", "reader", until=NOW)
        await populated.enrol("GBR police", "GBR", "reader", purposes=("judicial",))
    catalogue = populated.services.law.catalogue
    fitting = [
        None if each is None or not catalogue.dominates(label, each, originator="GBR") else each for each in part_labels
    ]
    report = simulated(populated, label=label, part_labels=tuple(fitting))
    foretold = (await simulate(populated, report)).value.value
    parts = tuple(PostedPart(each, "text/plain", f"{number}.txt", b"x") for number, each in enumerate(fitting))
    posted = await populated.post(label=label, parts=parts)

    seen: Counter[tuple[str, str, str]] = Counter()
    for name, client in populated.clients.items():
        if "reader" in {role.value for role in client.roles}:
            seen[client.member, client.agency, await outcome(populated, name, posted)] += 1
    for member in foretold.members:
        agencies = {agency for who, agency, what in seen if who == member.member and what != "nothing"}
        assert member.agencies == tuple(
            AgencyOutlook(each, seen[member.member, each, "full"], seen[member.member, each, "tear-line"])
            for each in sorted(agencies)
        )
        assert bool(member.reasons) is not bool(agencies)
    told = {member.member for member in foretold.members}
    assert not [key for key in seen if key[0] not in told and key[2] != "nothing"]


async def test_simulation_posts_nothing_and_is_on_the_record(populated: World) -> None:
    made = await simulate(populated, simulated(populated))

    assert populated.sql("SELECT count(*) FROM report") == [(0,)]
    assert (made.entry["type"], made.entry["decision"], made.entry["id"]) == (
        "release.simulated",
        "permitted",
        made.value.receipt.entry,
    )
    assert (made.entry["agreement"], made.entry["scope"]) == (populated.agreement_id, "cyber-threats")
    assert made.entry["label"]["classification"] == "SECRET"


async def test_report_without_parts_is_simulated_as_one_under_its_own_label(populated: World) -> None:
    one = await simulate(populated, simulated(populated))
    none = await simulate(populated, simulated(populated, part_labels=()))

    assert none.value.value == one.value.value


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"topic": "astrology"}, ["unknown-topic"]),
        ({"scope": "weather"}, ["unknown-scope"]),
        ({"label": Label("NATO", "TOP SECRET")}, ["above-ceiling"]),
        ({"part_labels": (Label("NATO", "TOP SECRET"),)}, ["above-report"]),
        ({"label": Label("NATO", "x"), "kind": "x"}, ["unknown-kind", "unknown-level"]),
    ],
)
@IN_ONE_WORLD
async def test_simulation_is_refused_as_the_post_would_be(
    unchanged: World, changes: dict[str, Any], codes: list[str]
) -> None:
    made = await simulate(unchanged, simulated(unchanged, **changes))

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == codes
    assert (made.entry["decision"], made.entry["detail"]) == ("refused", {"codes": codes})


async def test_agreement_of_others_or_not_in_force_is_not_simulated(populated: World) -> None:
    foreign = await simulate(populated, simulated(populated), "ESP contributor")
    absent = await simulate(populated, simulated(populated, agreement="\x00"), "ESP contributor")
    await usecases.suspend_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    suspended = await simulate(populated, simulated(populated))

    assert isinstance(foreign.error, NotFoundError)
    assert str(foreign.error) == str(absent.error)
    assert isinstance(suspended.error, ConflictError)
    assert suspended.entry["detail"] == {"codes": ["agreement-not-in-force"]}


async def test_simulation_under_another_law_is_unavailable(populated: World) -> None:
    populated.sql("UPDATE policy_state SET policy_digest = 'other'")
    made = await simulate(populated, simulated(populated))

    assert isinstance(made.error, UnavailableError)


async def for_host(world: World, report: SimulatedReport) -> Any:
    return await world.attempt(usecases.simulate_for_host(world.services, world.call(None), report, "GBR"))


async def test_host_is_told_what_a_member_is_told_and_it_is_on_the_record(populated: World) -> None:
    told, made = await simulate(populated, simulated(populated)), await for_host(populated, simulated(populated))

    assert made.value.value == HostSimulation(told.value.value, ())
    assert (made.entry["type"], made.entry["decision"]) == ("release.simulated", "permitted")
    assert (made.entry["agreement"], made.entry["scope"]) == (populated.agreement_id, "cyber-threats")


@pytest.mark.parametrize("changes", [{"agreement": "x"}, {"scope": "weather"}])
async def test_what_there_is_none_of_is_not_simulated_for_the_host(populated: World, changes: dict[str, Any]) -> None:
    made = await for_host(populated, simulated(populated, **changes))

    assert isinstance(made.error, NotFoundError)


async def test_client_whose_row_cannot_be_read_is_named_and_takes_nothing_from_the_others(populated: World) -> None:
    before = (await for_host(populated, simulated(populated))).value.value
    broken = await populated.enrol("NOR broken", "NOR", "reader")
    populated.unguard("client")
    populated.sql("UPDATE client SET roles = 'x' WHERE name = 'NOR broken'")

    made = await for_host(populated, simulated(populated))

    assert made.value.value == HostSimulation(before.simulation, (f"client {broken.id}",))
    assert [entry["detail"]["place"] for entry in await populated.entries() if entry["type"] == "key.opened"] == [
        f"client {broken.id}"
    ]


async def test_host_is_told_of_a_report_under_the_text_that_binds(populated: World) -> None:
    """It was told of one under the first text, which who acceded later may not read."""
    await concluded(populated, ACCEDED, (*ALL_THREE, "ESP"))
    report = simulated(populated, label=Label("NATO", "SECRET", releasable_to=("ESP", "GBR")))

    told, made = await simulate(populated, report), await for_host(populated, report)

    assert "ESP" in {each.member for each in told.value.value.members if each.agencies}
    assert made.value.value.simulation == told.value.value
