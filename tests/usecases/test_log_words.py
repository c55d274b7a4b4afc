"""What the log says of a report while its entries are on their way: nothing by what was altered or is not there."""

import pytest

from exchange import usecases
from exchange.crypto import OpeningError
from exchange.store import Parts
from exchange.usecases.steps.log_words import word_until_now
from exchange.usecases.steps.sealed_headers import known_class, sealed_class
from tests.support.lived import MakeLived
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.world import World


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def damage(world: World, entry: str, old: bytes, new: bytes) -> None:
    world.unguard()
    ((content,),) = world.sql("SELECT content FROM audit_entry WHERE id = $1", entry)
    assert old in bytes(content)
    world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", bytes(content).replace(old, new), entry)


@pytest.mark.parametrize(
    ("old", "new", "is_spoken_of"),
    [(b'"policy":"NATO"', b'"polity":"NATO"', True), (b'"report.posted"', b'"report.pasted"', False)],
    ids=["its label", "its event"],
)
async def test_report_without_a_header_is_of_no_class_that_an_altered_entry_lacks(
    living: World, old: bytes, new: bytes, *, is_spoken_of: bool
) -> None:
    report = await living.post()
    row = (await living.services.store.report_for("", report, parts=Parts.NONE)).report
    assert row is not None
    known = await sealed_class(living.services, row)
    living.sql("UPDATE report SET sealed_header = $1 WHERE id = $2", b"", report)
    row = (await living.services.store.report_for("", report, parts=Parts.NONE)).report
    assert row is not None
    assert await sealed_class(living.services, row) == known
    (post,) = [each["id"] for each in await living.entries() if each["type"] == "report.posted"]
    await damage(living, post, old, new)

    word = await word_until_now(living.services, report)
    assert (word is not None, word and word.label) == (is_spoken_of, None)
    with pytest.raises(OpeningError, match="another release class"):
        await sealed_class(living.services, row)


async def test_damaged_entry_on_its_way_lets_nobody_else_off_a_destruction(living: World) -> None:
    report = await living.post()
    read = {}
    for name in ("NOR reader", "GBR reader"):
        made = await usecases.pull_report(living.services, living.call(name), report)
        read[name] = made.receipt.entry
    living.unguard()
    living.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"{}", read["NOR reader"])
    await usecases.recall_report(living.services, living.call("GBR releaser"), report, "mistaken")

    assert living.sql("SELECT client_id FROM report_destruction") == [(living.clients["GBR reader"].id,)]


@pytest.mark.parametrize("is_amended", [False, True])
async def test_what_ended_is_looked_up_in_the_log_once(
    living: World, monkeypatch: pytest.MonkeyPatch, *, is_amended: bool
) -> None:
    report = await living.post()
    if is_amended:
        await usecases.amend_report(living.services, living.call("GBR contributor"), report, living.posted())
    await usecases.recall_report(living.services, living.call("GBR releaser"), report, "mistaken")
    await place_entries(living, is_searchable=True)
    row = (await living.services.store.report_for("", report, parts=Parts.NONE)).report
    assert row is not None
    known = await known_class(living.services, row)

    async def asked(*_: object) -> None:
        raise AssertionError

    # Else each try tells, by its time, what ended from what is absent.
    for name in ("waiting_entries", "found_places", "caller"):
        monkeypatch.setattr(living.services.store, name, asked)
    assert await known_class(living.services, row) == known
    assert await sealed_class(living.services, row) == known
