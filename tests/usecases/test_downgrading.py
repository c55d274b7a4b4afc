"""What reaches more readers above CONFIDENTIAL takes two releasers, as onward release does; on both databases."""

import importlib
import json

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ExchangeError, NotFoundError
from exchange.markings import Label
from exchange.reports import Downgrade, PostedPart
from tests.support.lived import MakeLived
from tests.support.lowering import confirm
from tests.support.meanwhile import at_once, done_behind
from tests.support.onward import with_releasers
from tests.support.world import World

downgrade_report = importlib.import_module("exchange.usecases.life.downgrade_report")  # a verb has its name

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"), handling=("ORCON",))
FOR_DENMARK = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"), handling=("ORCON",))
WITHOUT_CAVEAT = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOWER = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"), handling=("ORCON",))
RESTRICTED = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
WIDER = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


@pytest.fixture
async def releasing(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def ask(world: World, report: str, *wanted: Label | None, name: str = "GBR releaser") -> usecases.MadeVersion:
    label, *parts = wanted
    asked = Downgrade(label or SECRET, tuple(parts) or None)
    return (await usecases.downgrade_report(world.services, world.call(name), report, asked)).value


async def is_hidden(world: World, report: str, name: str = "DNK reader") -> bool:
    try:
        await usecases.pull_report(world.services, world.call(name), report)
    except NotFoundError:
        return True
    return False


async def confirmation(world: World, act: str, name: str = "GBR second releaser") -> str | None:
    """Confirm what is shown, and return the code of the refusal."""
    call = world.call(name)
    try:
        digest = (await usecases.show_pending_act(world.services, call, act)).value.act.digest
        await usecases.confirm_act(world.services, call, act, digest)
    except ExchangeError as exc:
        return exc.code
    return None


async def test_one_releaser_widens_nothing_above_confidential(releasing: World) -> None:
    report = await releasing.post(label=SECRET)
    asked = await releasing.attempt(
        usecases.downgrade_report(releasing.services, releasing.call("GBR releaser"), report, Downgrade(FOR_DENMARK))
    )
    made = asked.value.value
    assert made.act is not None
    assert (asked.entry["type"], asked.entry["decision"]) == ("report.downgrade_asked", "permitted")
    assert (made.version, made.label, made.replaced) == (1, SECRET, None)
    assert await is_hidden(releasing, report)
    assert await confirmation(releasing, made.act, "GBR releaser") == "second-person-needed"
    assert await confirmation(releasing, made.act, "NOR releaser") == "not-found"
    with pytest.raises(NotFoundError):
        # Without having been shown it: of a foreign one nothing is told, that the digest is another one neither.
        await usecases.confirm_act(releasing.services, releasing.call("NOR releaser"), made.act, "0" * 64)
    assert await is_hidden(releasing, report)

    done = await releasing.attempt(confirm(releasing, made.act))
    assert not await is_hidden(releasing, report)
    (lowered,) = [entry for entry in done.entries if entry["type"] == "report.downgraded"]
    people = [str(releasing.clients[name].id) for name in ("GBR releaser", "GBR second releaser")]
    assert (lowered["detail"]["by"], lowered["object"]["version"]) == (people, 2)
    assert await confirmation(releasing, made.act) == "approved-already"


@pytest.mark.parametrize("label", [FOR_DENMARK, WITHOUT_CAVEAT, LOWER])
async def test_second_releaser_is_shown_what_it_confirms(releasing: World, label: Label) -> None:
    report = await releasing.post(label=SECRET)
    act = (await ask(releasing, report, label)).act or ""
    shown = (await usecases.show_pending_act(releasing.services, releasing.call("GBR second releaser"), act)).value

    assert shown.act.asked["report"] == report
    assert shown.act.asked["from"] == "NATO SECRET//ORCON/REL TO GBR, NOR"
    assert shown.act.asked["to"] == shown.act.asked["part 1"]
    assert shown.act.asked["to"].endswith("NOR")
    await confirm(releasing, act)
    pulled = await usecases.pull_report(releasing.services, releasing.call("NOR reader"), report)
    assert json.loads(pulled.value.header_json)["label"] == label.as_json()


async def test_what_is_no_higher_than_confidential_one_releaser_lowers(releasing: World) -> None:
    parts = (PostedPart(None, "text/plain", "a", b"a"), PostedPart(RESTRICTED, "text/plain", "b", b"b"))
    report = await releasing.post(label=SECRET, parts=parts)

    # The part alone stands below, and what is above stays as it is; the part that is above does not.
    low = await ask(releasing, await releasing.post(label=RESTRICTED), WIDER)
    part = await ask(releasing, report, SECRET, SECRET, WIDER)
    high = await ask(releasing, report, SECRET, LOWER, WIDER)
    assert [made.act is None for made in (low, part, high)] == [True, True, False]


async def test_downgrade_of_what_changed_or_ended_meanwhile_is_done_no_more(releasing: World) -> None:
    report, other = await releasing.post(label=SECRET), await releasing.post(label=SECRET)
    acts = [(await ask(releasing, each, FOR_DENMARK)).act or "" for each in (report, other)]
    with pytest.raises(ConflictError) as waits:
        await ask(releasing, report, LOWER)
    amended = releasing.posted(label=SECRET, content=b"what is new is not for all")
    await usecases.amend_report(releasing.services, releasing.call("GBR contributor"), report, amended)
    await usecases.recall_report(releasing.services, releasing.call("GBR releaser"), other, "the source is at risk")

    assert waits.value.code == "request-ended"
    assert [await confirmation(releasing, act) for act in acts] == ["request-ended", "recalled"]
    assert await is_hidden(releasing, report)


async def test_downgrade_that_can_be_done_no_more_keeps_nobody_from_asking_anew(releasing: World) -> None:
    report = await releasing.post(label=SECRET)
    before = await ask(releasing, report, LOWER)
    await usecases.amend_report(
        releasing.services, releasing.call("GBR contributor"), report, releasing.posted(label=SECRET)
    )
    anew = await ask(releasing, report, LOWER)

    assert before.act is not None
    assert anew.act is not None
    assert await confirmation(releasing, before.act) == "request-ended"
    assert await confirmation(releasing, anew.act) is None


async def test_of_two_downgrades_asked_for_at_once_one_waits(releasing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await releasing.post(label=SECRET)
    first = releasing.attempt(ask(releasing, report, FOR_DENMARK))
    second = releasing.attempt(ask(releasing, report, LOWER, name="GBR second releaser"))
    one, late = await at_once(monkeypatch, downgrade_report, "ask", first, second)

    assert one.value.act is not None
    assert late.error is not None
    assert late.error.code == "request-ended"


async def test_both_releasers_are_cleared_for_what_they_lower(releasing: World) -> None:
    report = await releasing.post(label=SECRET)
    await releasing.enrol("GBR low releaser", "GBR", "releaser", level="RESTRICTED")
    act = (await ask(releasing, report, RESTRICTED)).act or ""
    first = releasing.clients["GBR releaser"].id
    assert await confirmation(releasing, act, "GBR low releaser") == "not-found"
    # Nor is it shown what is asked about such a report.
    with pytest.raises(NotFoundError):
        await usecases.show_pending_act(releasing.services, releasing.call("GBR low releaser"), act)
    listed = await usecases.list_pending_acts(releasing.services, releasing.call("GBR low releaser"))
    assert listed.value == ()
    lowered = usecases.ClearanceChange("RESTRICTED")
    await usecases.change_clearance(releasing.services, releasing.call(None), first, lowered)

    assert await confirmation(releasing, act) == "requester-gone"
    assert releasing.sql("SELECT version FROM report") == [(1,)]


@pytest.mark.parametrize("how", ["amended", "recalled"])
async def test_report_that_moves_while_its_parts_are_read_accuses_nobody(
    releasing: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    report = await releasing.post(label=LOWER)

    async def meanwhile() -> None:
        if how == "recalled":
            call = releasing.call("GBR releaser")
            await usecases.recall_report(releasing.services, call, report, "the source is at risk")
            return
        call = releasing.call("GBR contributor")
        await usecases.amend_report(releasing.services, call, report, releasing.posted(label=LOWER, content=b"anew"))

    done_behind(monkeypatch, downgrade_report, "_move", meanwhile)
    made = await releasing.attempt(ask(releasing, report, RESTRICTED, name="GBR second releaser"))

    assert isinstance(made.error, ConflictError)
    told = {(entry["type"], entry["decision"]) for entry in made.entries}
    assert told == {(f"report.{how}", "permitted"), ("report.downgraded", "refused")}
