"""What the parties are told that an amendment does, and what it then does: the same, both ways, on both databases."""

import json
from collections import Counter

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.markings import Label
from exchange.reports import PostedPart
from tests.support.lived import MakeLived
from tests.support.world import AGREEMENT, World
from tests.usecases.test_amending import ACCEDED, ALL_THREE, NARROWED, concluded, proposed, signs

PURPOSES = ("defence", "law-enforcement")
READERS = ("GBR", "NOR", "DNK", "ESP")
ALL = READERS
LOWERED = AGREEMENT.replace("ceiling: SECRET", "ceiling: RESTRICTED")
NO_POLICE = AGREEMENT.replace("purposes: [defence, law-enforcement]", "purposes: [defence]")
SWAPPED = AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, DNK]").replace(
    "parties: [GBR, NOR, DNK]", "parties: [GBR, NOR, DNK, ESP]"
)
REACHING = "older_reports: included\n"

Seen = dict[tuple[str, str], frozenset[str]]
"""By member and report: the parts that its readers are given, and `whole` where the header is."""


def label(level: str, *members: str, handling: tuple[str, ...] = ()) -> Label:
    return Label("NATO", level, releasable_to=tuple(sorted(members)), handling=handling)


async def furnished(world: World) -> list[str]:
    """Enrol readers that lack nothing, post a report of every sort, and return the reports."""
    for member in READERS:
        await world.enrol(f"{member} all", member, "reader", level="TOP SECRET", purposes=PURPOSES)
    high, low = label("SECRET", *ALL), label("RESTRICTED", *ALL)
    parts = (PostedPart(None, "text/plain", "a.txt", b"a"), PostedPart(low, "text/plain", "b.txt", b"b"))
    # Of this one the whole is refused for another reason than the part, and the part for one purpose only.
    police = label("RESTRICTED", *ALL, handling=("H0",))
    torn = (parts[0], PostedPart(police, "text/plain", "b.txt", b"b"))
    sorts = (
        {"label": high},
        {"label": low},
        {"label": low},
        {"label": label("SECRET", "GBR", "NOR")},
        {"label": label("RESTRICTED", *ALL, handling=("H0",))},
        {"label": label("RESTRICTED", *ALL, handling=("ORCON",))},
        {"label": high, "parts": parts},
        {"label": label("SECRET", "GBR", handling=("H0",)), "parts": torn},
    )
    return [await world.post(**sort) for sort in sorts]


async def seen(world: World, reports: list[str]) -> Seen:
    found: Seen = {}
    for member in READERS:
        for report in reports:
            given: set[str] = set()
            for purpose in PURPOSES:
                call = world.call(f"{member} all", purpose=purpose)
                try:
                    pulled = (await usecases.pull_report(world.services, call, report)).value
                except NotFoundError:
                    continue
                given |= {content.decode() for _, content in pulled.parts}
                given |= {"whole"} if json.loads(pulled.header_json)["subject"] else set()
            found[member, report] = frozenset(given)
    return found


def sentences(before: Seen, after: Seen, members: tuple[str, ...]) -> list[str]:
    """Return what ought to have been said of it, counted report by report."""
    counts: Counter[tuple[str, str]] = Counter()
    for place, was in before.items():
        will = after[place]
        counts[place[0], "gained"] += not was and bool(will)
        counts[place[0], "lost"] += bool(was) and not will
        counts[place[0], "cut"] += bool(was) and bool(will) and bool(was - will)
        counts[place[0], "opened"] += bool(was) and bool(will) and bool(will - was)
    told = []
    for member in members:
        gained, lost = counts[member, "gained"], counts[member, "lost"]
        told.append(f"{gained} current reports become readable to {member}, {lost} are lost")
        if cut := counts[member, "cut"]:
            told.append(f"of {cut} current reports {member} keeps some parts only")
        if opened := counts[member, "opened"]:
            told.append(f"of {opened} current reports that {member} reads already it may read more")
    return told


async def looked_at(world: World) -> tuple[list[str], Seen]:
    """Furnish a world; return its reports, and what of them is seen under the text that is in force."""
    reports = await furnished(world)
    return reports, await seen(world, reports)


async def told_and_done(
    world: World, reports: list[str], text: str, members: tuple[str, ...], before: Seen | None = None
) -> tuple[list[str], ...]:
    """Return what Britain, whose reports they are, is told before it signs, and what then happened.

    `before` is what was seen until now, where that is known.
    """
    before = before or await seen(world, reports)
    view = await proposed(world, text)
    told = [change for change in view.changes if " current reports " in change]
    for member in members:
        await signs(world, view, member)
    return told, sentences(before, await seen(world, reports), members)


@pytest.mark.parametrize(
    ("text", "members", "expected"),
    [
        (NARROWED, ALL_THREE, "0 current reports become readable to DNK, 7 are lost"),
        (ACCEDED, (*ALL_THREE, "ESP"), "0 current reports become readable to ESP, 0 are lost"),
        (ACCEDED + REACHING, (*ALL_THREE, "ESP"), "7 current reports become readable to ESP, 0 are lost"),
        (LOWERED, ALL_THREE, "of 1 current reports NOR keeps some parts only"),
        (NO_POLICE, ALL_THREE, "0 current reports become readable to NOR, 2 are lost"),
        (SWAPPED + REACHING, (*ALL_THREE, "ESP"), "0 current reports become readable to NOR, 8 are lost"),
    ],
)
async def test_what_is_told_before_signing_is_what_happens(
    make_lived: MakeLived, text: str, members: tuple[str, ...], expected: str
) -> None:
    world, (reports, before) = await make_lived(looked_at)
    told, done = await told_and_done(world, reports, text, members, before)

    assert told == done
    assert expected in told


async def test_text_of_an_agreement_that_has_no_end_is_counted_too(populated: World) -> None:
    await populated.agree(AGREEMENT.replace("2030-12-31", "9999-12-31"))
    reports = await furnished(populated)
    told, done = await told_and_done(populated, reports, NARROWED.replace("2030-12-31", "9999-12-31"), ALL_THREE)

    assert told == done
    assert "0 current reports become readable to DNK, 7 are lost" in told


async def test_text_that_reaches_older_reports_gives_back_what_an_earlier_one_took(make_lived: MakeLived) -> None:
    populated, (reports, _) = await make_lived(looked_at)
    await concluded(populated, LOWERED)
    told, done = await told_and_done(populated, reports, AGREEMENT + REACHING, ALL_THREE)

    assert told == done
    assert told[:2] == [
        "2 current reports become readable to GBR, 0 are lost",
        "of 2 current reports that GBR reads already it may read more",
    ]


async def test_who_has_suspended_its_part_is_promised_nothing_by_a_text(make_lived: MakeLived) -> None:
    populated, (reports, _) = await make_lived(looked_at)
    await concluded(populated, NARROWED)
    await usecases.suspend_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    told, done = await told_and_done(populated, reports, AGREEMENT + REACHING, ALL_THREE)

    assert told == done
    assert "0 current reports become readable to DNK, 0 are lost" in told


async def test_reports_of_who_has_suspended_its_part_come_back_with_no_text(make_lived: MakeLived) -> None:
    populated, (reports, _) = await make_lived(looked_at)
    await usecases.suspend_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    told, done = await told_and_done(populated, reports, LOWERED, ALL_THREE)

    assert told == done
    assert set(told) == {f"0 current reports become readable to {member}, 0 are lost" for member in ALL_THREE}


async def test_reports_are_counted_in_any_number_of_classes(populated: World) -> None:
    """As parameters, one each, they were more than either database takes; the text could not be looked at."""
    await populated.post()
    ((of_report,),) = populated.sql("SELECT class_id FROM report")

    async with populated.services.store.unit_of_work() as unit:
        counts = await unit.amendments().current_reports(list(range(40_000)))

    assert counts == {of_report: 1}
