"""While nobody reads the log, its archive being away, what ended is absent for whom it always was."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from exchange import usecases
from exchange.kernel import ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.onward import wish
from tests.support.placing import place_entries
from tests.support.world import World

WIDE = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
Reports = dict[str, str]
Act = Callable[[World, str, str], Awaitable[Any]]


async def ended(world: World) -> Reports:
    """Recall what GBR and NOR read, and what another report names; give all entries their places."""
    for name in ("GBR releaser", "NOR releaser", "DNK releaser", "GBR auditor", "DNK auditor"):
        await world.enrol(name, name[:3], name.partition(" ")[2])
    told = {"ended": await world.post(label=WIDE)}
    told["naming"] = await world.post(label=WIDE, topic="cyber.vulnerability", references=(told["ended"],))
    await usecases.recall_report(world.services, world.call("GBR releaser"), told["ended"], "a source is at risk")
    await place_entries(world, is_searchable=True)
    return told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after_all(share_lived: MakeLived) -> tuple[World, Reports]:
    return await share_lived(ended)


@pytest.fixture
def lived(after_all: tuple[World, Reports], monkeypatch: pytest.MonkeyPatch) -> tuple[World, Reports]:
    world, _ = after_all

    async def away(*_: object) -> None:
        raise UnavailableError("the archive is away")

    monkeypatch.setattr(world.services.store.log, "whole_at", away)
    return after_all


ACTS: dict[str, Act] = {
    "pull": lambda world, name, report: usecases.pull_report(world.services, world.call(f"{name} reader"), report),
    "receive": lambda world, name, report: usecases.receive_report(
        world.services, world.call(f"{name} reader"), report
    ),
    "explain": lambda world, name, report: usecases.explain_report(
        world.services, world.call(f"{name} reader"), report
    ),
    "onward": lambda world, name, report: usecases.request_onward(
        world.services, world.call(f"{name} reader"), report, wish()
    ),
    "recall": lambda world, name, report: usecases.recall_report(
        world.services, world.call(f"{name} releaser"), report, "mistaken"
    ),
    "recalled": lambda world, name, report: usecases.show_recall(
        world.services, world.call(f"{name} releaser"), report
    ),
    "amend": lambda world, name, report: usecases.amend_report(
        world.services, world.call(f"{name} contributor"), report, world.posted(label=WIDE)
    ),
}


REGISTRY: Act = lambda world, name, report: usecases.report_registry(  # noqa: E731
    world.services, world.call(f"{name} auditor"), report
)


@pytest.mark.parametrize("act", ACTS)
@IN_ONE_WORLD
async def test_what_ended_is_absent_for_strangers(lived: tuple[World, Reports], act: str) -> None:
    world, told = lived
    absent = await world.attempt(ACTS[act](world, "DNK", "00000000-0000-7000-8000-000000000000"))
    made = await world.attempt(ACTS[act](world, "DNK", told["ended"]))

    assert isinstance(made.error, NotFoundError)
    assert (made.error.message, made.error.code) == (getattr(absent.error, "message", None), "not-found")
    assert made.entry["decision"] == "refused"
    assert "owner" not in made.entry


@pytest.mark.parametrize(("act", "name"), [("pull", "NOR"), ("pull", "GBR"), ("recall", "GBR"), ("amend", "GBR")])
@IN_ONE_WORLD
async def test_whoever_may_know_of_what_ended_is_told_that_nobody_reads_the_log(
    lived: tuple[World, Reports], act: str, name: str
) -> None:
    world, told = lived
    with pytest.raises(UnavailableError, match="archive is away"):
        await ACTS[act](world, name, told["ended"])


async def test_what_ended_in_an_altered_class_is_absent_for_all(make_lived: MakeLived) -> None:
    world, told = await make_lived(ended)
    world.unguard("release_class")
    world.sql(
        "UPDATE release_class SET facts = '{}' WHERE id = (SELECT class_id FROM report WHERE id = $1)", told["ended"]
    )
    async with world.another_node() as services:

        async def away(*_: object) -> None:
            raise UnavailableError("the archive is away")

        services.store.log.whole_at = away  # type: ignore[method-assign]
        with pytest.raises(NotFoundError):
            await usecases.pull_report(services, world.call("NOR reader"), told["ended"])


@IN_ONE_WORLD
async def test_reader_without_the_role_is_told_so_as_of_what_is_absent(lived: tuple[World, Reports]) -> None:
    world, told = lived
    with pytest.raises(ForbiddenError):
        await usecases.pull_report(world.services, world.call("DNK signatory"), told["ended"])


@IN_ONE_WORLD
async def test_what_names_a_report_that_ended_is_read(lived: tuple[World, Reports]) -> None:
    world, told = lived
    pulled = await usecases.pull_report(world.services, world.call("NOR reader"), told["naming"])
    assert b'"references":[]' in pulled.value.header_json


@IN_ONE_WORLD
async def test_what_ended_is_no_reference_for_strangers(lived: tuple[World, Reports]) -> None:
    world, told = lived
    named = {}
    for report in (told["ended"], "01900000-0000-7000-8000-000000000000"):
        posted = world.posted(references=(report,), label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))
        with pytest.raises(InvalidError) as refused:
            await usecases.post_report(world.services, world.call("NOR contributor"), posted)
        named[report] = [fault.code for fault in refused.value.faults]

    assert len({tuple(codes) for codes in named.values()}) == 1


@pytest.mark.parametrize("name", ["DNK", "GBR"])
@IN_ONE_WORLD
async def test_auditors_of_others_learn_nothing_of_what_ended(lived: tuple[World, Reports], name: str) -> None:
    world, told = lived
    view = usecases.report_registry(world.services, world.call(f"{name} auditor"), told["ended"])
    with pytest.raises(NotFoundError if name == "DNK" else UnavailableError):
        await view


@pytest.mark.parametrize("is_warm", [False, True])
async def test_what_stands_is_absent_for_strangers_while_custody_is_away(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, *, is_warm: bool
) -> None:
    world, told = await make_lived(ended)
    if is_warm:
        # From now on something is opened for what is absent too.
        await usecases.pull_report(world.services, world.call("NOR reader"), told["naming"])

    async def away(*_: object) -> None:
        raise UnavailableError("custody is away")

    monkeypatch.setattr(world.services.custodian, "open_headers", away)
    for act in (*ACTS.values(), REGISTRY):
        for report in (told["naming"], "01900000-0000-7000-8000-000000000000"):
            with pytest.raises(NotFoundError):
                await act(world, "DNK", report)
    with pytest.raises(UnavailableError, match="custody is away"):
        await usecases.pull_report(world.services, world.call("NOR reader"), told["naming"])
