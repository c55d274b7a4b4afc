"""The review after a crisis: each auditor finds what was released only because of it, in its own slice and no further."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import Criteria
from exchange.kernel import InvalidError, new_id
from exchange.markings import Label
from exchange.usecases import CrisisWish, EntryQuery, ListQuery
from exchange.usecases.steps.registering import register_reads
from tests.support.lived import MakeLived
from tests.support.uploading import awaited, begun
from tests.support.world import AGREEMENT, NOW, World
from tests.usecases.test_crises import FOR_DNK, TEXT, agreed, opened

FOR_ESP = Label("NATO", "SECRET", releasable_to=("ESP", "GBR"))
OF_TWO = (
    AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, ESP]")
    .replace("[GBR, NOR]", "[GBR]")
    .replace("readers: [GBR, ESP]", "readers: [GBR]")
)
OF_TWO += """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    readers: [ESP]
    at_most: PT72H
    signatories:
      - {member: GBR, name: GBR signatory}
      - {member: ESP, name: ESP signatory}
"""


async def with_auditors(world: World) -> None:
    await agreed(world)
    for member in ("GBR", "NOR", "DNK", "ESP"):
        await world.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET")
    await world.enrol("DNK low auditor", "DNK", "auditor", level="RESTRICTED")
    await usecases.change_clearance(
        world.services,
        world.call(None),
        world.clients["auditor"].id,
        usecases.ClearanceChange("TOP SECRET"),
    )


@pytest.fixture
async def reviewed(make_lived: MakeLived) -> World:
    return (await make_lived(with_auditors))[0]


async def found(world: World, name: str, crisis: str, **asked: Any) -> list[Mapping[str, object]]:
    """Return what the review shows, page by page."""
    world.sequence()
    shown, cursor = [], None
    while True:
        query = EntryQuery(Criteria(crisis=crisis, **asked), limit=2, cursor=cursor)
        page = (await usecases.search_entries(world.services, world.call(name), query)).value
        shown += [each.view.fields for each in page.items]
        cursor = page.next
        if cursor is None:
            return shown


def told(entries: list[Mapping[str, object]]) -> list[tuple[object, object]]:
    return sorted((str(entry["type"]), str(entry.get("member"))) for entry in entries)


async def pulls(world: World, name: str, report: str) -> None:
    await world.attempt(usecases.pull_report(world.services, world.call(name), report))
    await world.attempt(usecases.list_reports(world.services, world.call(name), ListQuery()))
    await register_reads(world.services.store, world.services.register)


async def happened(world: World) -> tuple[str, str]:
    """Open a crisis, have all read a report under it and one from before, and a second crisis after it."""
    before = await world.post(label=FOR_DNK)
    first = (await opened(world, hours=1)).crisis.id
    report = await world.post(label=FOR_DNK)
    for name in ("DNK reader", "NOR reader", "ESP reader", "GBR reader"):
        await pulls(world, name, report)
        await pulls(world, name, before)
    world.clock.advance(timedelta(hours=1))
    await opened(world, hours=1)
    second = await world.post(label=FOR_DNK)
    await pulls(world, "DNK reader", second)
    return first, report


READ = [("report.listed", "DNK"), ("report.listed", "DNK"), ("report.read", "DNK"), ("report.received", "DNK")]
OF_ORIGINATOR = [("report.read", "DNK"), ("report.received", "DNK")]


async def test_each_auditor_finds_the_releases_of_its_slice_and_no_other_ones(reviewed: World) -> None:
    crisis, report = await happened(reviewed)
    shown = {
        name: await found(reviewed, name, crisis)
        for name in ("auditor", "GBR auditor", "DNK auditor", "NOR auditor", "ESP auditor", "DNK low auditor")
    }

    assert {name: told(entries) for name, entries in shown.items()} == {
        "auditor": READ,
        "GBR auditor": OF_ORIGINATOR,
        "DNK auditor": READ,
        # NOR opened it, and what DNK reads of GBR is still not its to know.
        "NOR auditor": [],
        "ESP auditor": [],
        # A list names no label: that it showed something in the crisis would tell of what is above the clearance.
        "DNK low auditor": [],
    }
    reports = {str(entry["object"]["id"]) for entry in shown["auditor"] if "object" in entry}  # type: ignore[index]
    listed = [entry["detail"] for entry in shown["DNK auditor"] if entry["type"] == "report.listed"]
    assert reports == {report}
    assert listed == [{"in_crisis": [report]}] * 2
    (of_others,) = [entry for entry in shown["GBR auditor"] if entry["type"] == "report.read"]
    assert "source" not in of_others


async def test_review_narrows_by_whatever_else_is_asked_for(reviewed: World) -> None:
    crisis, report = await happened(reviewed)

    async def count(name: str, **asked: Any) -> int:
        return len(await found(reviewed, name, crisis, **asked))

    reads = {"event": "report.read"}
    assert await count("auditor", **reads) == 1
    assert await count("auditor", subject=report) == 2
    assert await count("GBR auditor", subject=report, outcome="permitted") == 2
    assert await count("auditor", agreement=reviewed.agreement_id) == 2
    assert await count("DNK auditor", client=reviewed.clients["DNK reader"].id) == 4
    assert await count("auditor", outcome="refused") == 0
    assert await count("auditor", owner="NOR") == 0
    assert await count("auditor", until=NOW) == 0
    assert await count("auditor", since=NOW + timedelta(minutes=59)) == 0


async def test_early_end_and_an_amended_text_lose_nothing_of_the_review(reviewed: World) -> None:
    use = await opened(reviewed)
    report = await reviewed.post(label=FOR_DNK)
    reviewed.clock.advance(timedelta(hours=2))
    await pulls(reviewed, "DNK reader", report)
    reviewed.clock.advance(-timedelta(hours=1))
    await usecases.end_crisis(reviewed.services, reviewed.call("GBR deputy"), reviewed.agreement_id, use.crisis.id)

    # A node whose clock was ahead read after the end that another one wrote down.
    assert ("report.read", "DNK") in told(await found(reviewed, "auditor", use.crisis.id))


async def test_signatory_reviews_only_where_its_member_made_it_an_auditor_too(reviewed: World) -> None:
    """Who opened a crisis does not by that read the log: each member says who does, and sees who does in its clients."""
    crisis, _ = await happened(reviewed)
    await reviewed.enrol("DNK both", "DNK", "signatory", "auditor", level="TOP SECRET")
    await reviewed.enrol("DNK low both", "DNK", "signatory", "auditor", level="RESTRICTED")
    query = EntryQuery(Criteria(crisis=crisis))
    for name in ("GBR signatory", "NOR signatory", "DNK signatory"):
        made = await reviewed.attempt(usecases.search_entries(reviewed.services, reviewed.call(name), query))
        assert made.error is not None
        assert (made.error.code, made.entry["decision"]) == ("role-missing", "refused")

    assert told(await found(reviewed, "DNK both", crisis)) == READ
    assert told(await found(reviewed, "DNK low both", crisis)) == []


async def test_auditor_below_what_a_crisis_lets_be_posted_is_not_cleared_for_all(reviewed: World) -> None:
    """What is under way is of no release class yet, and may be above the scope's own ceiling while a crisis is open."""
    for level in ("SECRET", "TOP SECRET"):
        await reviewed.enrol(f"up to {level}", "GBR", "auditor", level=level, compartments=("ATOMAL",))
    await opened(reviewed)
    await begun(reviewed, awaited(b"x"), label=replace(FOR_DNK, classification="TOP SECRET"))
    await usecases.list_uploads(reviewed.services, reviewed.call("GBR contributor"))
    reviewed.sequence()

    async def told(name: str) -> object:
        query = EntryQuery(Criteria(event="upload.listed"))
        (found,) = (await usecases.search_entries(reviewed.services, reviewed.call(name), query)).value.items
        return found.view.fields.get("detail")

    assert await told("up to TOP SECRET") == {"open": 1}
    assert await told("up to SECRET") is None


async def test_crisis_of_others_is_as_absent(reviewed: World) -> None:
    """Attack: an auditor learns neither of a crisis between others nor of what its member was given nothing of."""
    await reviewed.agree(OF_TWO, signatories=("GBR", "ESP"))
    wish = CrisisWish("storm-watch", "a cable was cut")
    services = reviewed.services
    act = (await usecases.ask_for_crisis(services, reviewed.call("GBR signatory"), reviewed.agreement_id, wish)).value
    await usecases.confirm_act(services, reviewed.call("ESP signatory"), act.id, act.digest)
    uses = (await usecases.list_crises(services, reviewed.call("ESP reader"), reviewed.agreement_id)).value.uses
    crisis = uses[0].crisis.id
    report = await reviewed.post(label=FOR_ESP)
    await pulls(reviewed, "ESP reader", report)

    assert ("report.read", "ESP") in told(await found(reviewed, "ESP auditor", crisis))
    assert told(await found(reviewed, "GBR auditor", crisis)) == [("report.read", "ESP"), ("report.received", "ESP")]
    for name in ("NOR auditor", "DNK auditor"):
        assert await found(reviewed, name, crisis) == await found(reviewed, name, new_id(NOW, bytes)) == []


async def test_word_that_is_no_crisis_is_refused_and_on_the_record(reviewed: World) -> None:
    crisis, _ = await happened(reviewed)
    for wrong in (crisis[:-1], crisis.upper(), f"crisis/{crisis}", "%", "no id"):
        with pytest.raises(InvalidError, match="/crisis: is no id"):
            await found(reviewed, "auditor", wrong)
    searched = [entry for entry in await reviewed.entries() if entry["type"] == "audit.searched"]
    assert [entry["detail"] for entry in searched[-5:]] == [{"codes": ["not-an-id"]}] * 5


def test_text_of_two_has_its_clause() -> None:
    assert TEXT != OF_TWO
    assert "readers: [ESP]" in OF_TWO
