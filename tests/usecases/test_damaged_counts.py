"""A count lacks what cannot be read, and says so: it is refused to nobody, and nobody is found wanting by it."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ExchangeError
from exchange.markings import Label
from exchange.reports import Precedence
from exchange.usecases import DutyWatch, Recorded, Services
from exchange.usecases.steps import uncounted
from tests.support.lived import MakeLived
from tests.support.national import not_to
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases.test_amending import NARROWED
from tests.usecases.test_compliance import OWING

FOR_GBR = Label("NATO", "SECRET", releasable_to=("GBR",))
GBR_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LATEST = 2**63 - 1


async def counted(world: World) -> dict[str, str]:
    """Post two reports that NOR reads, of classes of their own, and one for GBR alone; NOR acknowledges the second."""
    for member, level in (("GBR", "SECRET"), ("GBR", "RESTRICTED"), ("NOR", "SECRET")):
        await world.enrol(f"{member} {level} releaser", member, "releaser", level=level)
    told = {"main": await world.agree(OWING)}
    for name, topic in (("first", "cyber.apt"), ("second", "cyber.crime")):
        told[name] = await world.post(topic=topic, label=GBR_NOR, precedence=Precedence.FLASH)
    told["hidden"] = await world.post(topic="cyber.vulnerability", label=FOR_GBR)
    await usecases.receive_report(world.services, world.call("NOR reader"), told["second"])
    await place_entries(world, is_searchable=True)
    return told


def lose_class(world: World, report: str) -> None:
    """Alter a release class so that nothing tells any more what it was."""
    where = "id = (SELECT class_id FROM report WHERE id = $1)"
    world.sql(f"UPDATE release_class SET facts = '[]', digest = $1 WHERE {where}", report)


async def compliance(node: Services, world: World, name: str, agreement: str) -> Recorded[usecases.Compliance]:
    return await usecases.show_compliance(node, world.call(name), agreement)


def posts(made: Recorded[usecases.Compliance]) -> int:
    return next(scope.posts for party in made.value.parties for scope in party.scopes if party.member == "GBR")


async def test_lost_class_is_lacking_from_counts_and_told_to_who_would_have_counted_it(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, ids = await make_lived(counted)
    # However few are looked at, each class is.
    monkeypatch.setattr(uncounted, "_LOOKED_AT", 1)
    lose_class(world, ids["first"])
    lose_class(world, ids["hidden"])
    async with world.another_node() as node:
        made = await world.attempt(compliance(node, world, "GBR reader", ids["main"]))
        others = [await compliance(node, world, f"{each} reader", ids["main"]) for each in ("NOR", "DNK")]
        previews = [
            (await usecases.preview_caveats(node, world.call(f"{name} releaser"), not_to("DNK", name[:3]))).unopened
            for name in ("GBR SECRET", "GBR RESTRICTED", "NOR SECRET")
        ]
        lays = [
            (await usecases.propose_amendment(node, world.call(f"{each} signatory"), ids["main"], text)).value.changes
            for each, text in (("GBR", NARROWED), ("DNK", NARROWED.replace("P5Y", "P4Y")))
        ]

    assert (posts(made.value), made.value.unopened) == (1, 2)
    assert [(posts(each), each.unopened) for each in others] == [(1, 1), (0, 0)]
    assert previews == [2, 0, 0]
    # Of what is not for it, nobody is told that it is not counted.
    said = [[each for each in changes if "cannot be read" in each] for changes in lays]
    assert said == [["of 2 reports what is stored cannot be read: they are not counted"], []]
    (failed,) = [entry["detail"] for entry in made.entries if "rows" in entry.get("detail", {})]
    assert failed["rows"] == sorted(f"report {ids[name]}" for name in ("first", "hidden"))


@pytest.mark.parametrize(
    ("alter", "is_posted"),
    [
        (f"UPDATE report SET posted_at = {LATEST} WHERE id = $1", False),
        (f"UPDATE report_receipt SET received_at = {LATEST} WHERE report_id = $1", True),
    ],
)
async def test_time_that_is_none_is_not_passed_over_in_silence(
    make_lived: MakeLived, alter: str, *, is_posted: bool
) -> None:
    world, ids = await make_lived(counted)
    world.sql(alter, ids["second"])
    async with world.another_node() as node:
        made = await compliance(node, world, "GBR reader", ids["main"])

    assert (posts(made), made.unopened) == (3 if is_posted else 2, 1)


async def test_client_that_cannot_be_read_is_lacking_and_what_it_acknowledged_stands(make_lived: MakeLived) -> None:
    world, ids = await make_lived(counted)
    world.sql(f"UPDATE client SET cleared_since = {LATEST} WHERE id = $1", world.clients["NOR reader"].id)
    await world.enrol("NOR second reader", "NOR", "reader")
    world.clock.advance(timedelta(minutes=1))
    async with world.another_node() as node:
        made = await compliance(node, world, "GBR reader", ids["main"])

    assert (posts(made), made.unopened) == (3, 1)


async def test_nobody_is_found_to_have_broken_a_promise_by_what_is_lacking(make_lived: MakeLived) -> None:
    world, ids = await make_lived(counted)
    of_two = OWING.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, DNK]").replace("NOR", "DNK")
    await world.agree(
        of_two.replace("[DNK, DNK, DNK]", "[GBR, DNK]").replace("[GBR, DNK, DNK]", "[GBR, DNK]"),
        signatories=("GBR", "DNK"),
    )
    await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR")), precedence=Precedence.FLASH)
    world.sql(f"UPDATE client SET cleared_since = {LATEST} WHERE id = $1", world.clients["NOR reader"].id)
    world.clock.advance(timedelta(minutes=11))
    async with world.another_node() as node:
        made: Any = await world.attempt(DutyWatch(node).round())

    assert isinstance(made.error, ExchangeError)
    breached = [entry["agreement"] for entry in made.entries if entry["type"] == "duty.breached"]
    assert breached
    assert ids["main"] not in breached
