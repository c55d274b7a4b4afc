"""What a recall would do, told before it is done, and who waits meanwhile; on both databases."""

import importlib

import pytest

from exchange import usecases
from exchange.kernel import ConflictError
from tests.support.lived import MakeLived
from tests.support.meanwhile import posted_meanwhile
from tests.support.onward import with_releasers
from tests.support.world import World


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def pull(world: World, report: str, name: str = "NOR reader") -> None:
    await usecases.pull_report(world.services, world.call(name), report)


async def recall(world: World, report: str) -> None:
    await usecases.recall_report(world.services, world.call("GBR releaser"), report, "the source is at risk")


async def test_outlook_of_a_recall_counts_who_had_it_and_changes_nothing(living: World) -> None:
    report = await living.post()
    for name in ("NOR reader", "NOR reader", "GBR reader"):
        await pull(living, report, name)
    looked = await living.attempt(usecases.preview_recall(living.services, living.call("GBR releaser"), report))
    outlook = looked.value.value

    assert (outlook.report, outlook.version, outlook.marking) == (report, 1, "NATO SECRET//REL TO GBR, NOR")
    assert (outlook.agreement, outlook.scope, outlook.given) == (
        living.agreement_id,
        "cyber-threats",
        {"GBR": 1, "NOR": 1},
    )
    assert (looked.entry["type"], looked.entry["decision"]) == ("report.recall_read", "permitted")
    await pull(living, report)
    await recall(living, report)
    again = await living.attempt(usecases.preview_recall(living.services, living.call("GBR releaser"), report))
    assert isinstance(again.error, ConflictError)


async def test_nobody_waits_to_write_while_an_outlook_is_read_from_the_log(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await living.post()
    await pull(living, report, "NOR reader")
    module = importlib.import_module("exchange.usecases.life.recall_report")
    written = posted_meanwhile(monkeypatch, module, "given_to", living)
    looked = await usecases.preview_recall(living.services, living.call("GBR releaser"), report)
    assert looked.value.given == {"NOR": 1}
    assert len(written) == 1


async def test_nobody_waits_to_write_while_it_is_decided_whose_a_destruction_is(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await living.post()
    await pull(living, report, "NOR reader")
    await recall(living, report)
    module = importlib.import_module("exchange.usecases.life.destructions")
    written = posted_meanwhile(monkeypatch, module, "_is_for", living)
    (asked,) = (await usecases.list_destructions(living.services, living.call("NOR releaser"))).value
    assert asked.row.report == report
    assert len(written) == 1
