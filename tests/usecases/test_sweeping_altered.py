"""What the sweep destroys where somebody altered an agreement in the database: nothing."""

from datetime import timedelta

import pytest

from exchange import usecases
from exchange.usecases.life.sweep_reports import sweep_reports
from tests.support.placing import place_entries
from tests.support.world import AGREEMENT, World
from tests.usecases.test_amending import concluded

IN_FORCE = "WHERE superseded_at IS NULL"


async def swept_elsewhere(world: World) -> tuple[int, int]:
    """Return how many reports another node, which reads the agreement as it is kept, ends and recalls."""
    async with world.another_node() as node:
        swept = await sweep_reports(node, world.clock.now)
    return swept.ended, swept.recalled


@pytest.mark.parametrize(
    "alter",
    [
        """UPDATE agreement SET terms = replace(terms, '2030-12-31', '2026-01-02')""",
        """UPDATE agreement SET terms = replace(terms, '"retention":"P5Y"', '"retention":"PT1S"')""",
    ],
)
async def test_altered_text_destroys_no_report(populated: World, alter: str) -> None:
    await populated.post()
    await populated.post("NOR contributor")
    populated.clock.advance(timedelta(days=1))
    ((before,),) = populated.sql(f"SELECT terms FROM agreement {IN_FORCE}")
    populated.sql(f"{alter} {IN_FORCE}")
    ((after,),) = populated.sql(f"SELECT terms FROM agreement {IN_FORCE}")

    assert before != after
    assert await swept_elsewhere(populated) == (0, 0)
    assert populated.sql("SELECT count(*) FROM report_tombstone") == [(0,)]


async def test_signature_of_who_left_at_once_that_is_lost_destroys_nothing_of_the_others(populated: World) -> None:
    await populated.agree(AGREEMENT.replace("P90D", "P0D"))
    await populated.post("NOR contributor")
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(days=1))
    populated.unguard("agreement_signature")
    populated.sql("DELETE FROM agreement_signature WHERE agreement_id = $1 AND member = 'DNK'", populated.agreement_id)

    assert await swept_elsewhere(populated) == (0, 0)


async def test_earlier_text_that_nobody_named_destroys_no_report(populated: World) -> None:
    await populated.post("NOR contributor")
    await concluded(populated, AGREEMENT.replace("North Sea", "Nordic"))
    populated.clock.advance(timedelta(days=1))
    shorter = """UPDATE agreement SET terms = replace(terms, '"retention":"P5Y"', '"retention":"PT1S"')"""
    populated.sql(f"{shorter} WHERE superseded_at IS NOT NULL")

    assert await swept_elsewhere(populated) == (0, 0)


@pytest.mark.parametrize(
    "alter",
    [
        "UPDATE agreement_party SET leaves_at = 1",
        "UPDATE agreement_party SET leaves_at = 1 WHERE member = 'GBR'",
        "UPDATE agreement_party SET state = 'withdrawn' WHERE member = 'GBR'",
        "UPDATE agreement_party SET state = 'withdrawn', leaves_at = 1 WHERE member = 'GBR'",
    ],
)
async def test_party_that_has_left_in_its_row_alone_has_no_report_destroyed(populated: World, alter: str) -> None:
    await populated.post()
    await populated.post("NOR contributor")
    populated.clock.advance(timedelta(days=1))
    populated.sql(alter)

    assert await swept_elsewhere(populated) == (0, 0)


async def test_notice_that_passes_sooner_in_its_row_destroys_nothing_before_its_day(populated: World) -> None:
    await populated.post()
    await usecases.withdraw_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(days=1))
    ((before,),) = populated.sql("SELECT leaves_at FROM agreement_party WHERE leaves_at IS NOT NULL")
    populated.sql("UPDATE agreement_party SET leaves_at = 1 WHERE leaves_at IS NOT NULL")
    sooner = await swept_elsewhere(populated)
    populated.sql("UPDATE agreement_party SET leaves_at = $1 WHERE leaves_at IS NOT NULL", before)
    populated.clock.advance(timedelta(days=90))

    assert (sooner, await swept_elsewhere(populated)) == ((0, 0), (0, 1))


async def test_while_too_much_waits_for_its_place_nobody_has_left(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.post()
    await usecases.withdraw_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(days=90))
    with monkeypatch.context() as patched:
        patched.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
        assert await swept_elsewhere(populated) == (0, 0)

    assert await swept_elsewhere(populated) == (0, 1)


async def test_party_that_was_away_in_its_former_row_alone_has_no_report_destroyed(populated: World) -> None:
    await populated.post()
    await concluded(populated, AGREEMENT.replace("North Sea", "Nordic"))
    populated.clock.advance(timedelta(days=1))
    former = "version < (SELECT max(version) FROM agreement)"
    populated.sql(f"UPDATE agreement_party SET leaves_at = 1 WHERE member = 'GBR' AND {former}")

    assert await swept_elsewhere(populated) == (0, 0)


@pytest.mark.parametrize("damage", ["", ", sealed_header = x'00'"])
async def test_report_that_is_old_in_its_row_alone_is_not_ended(populated: World, backend: str, damage: str) -> None:
    await populated.agree(AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept"))
    report = await populated.post()
    populated.clock.advance(timedelta(days=1))
    damage = damage.replace("x'00'", "'\\x00'") if backend == "postgresql" else damage
    populated.sql(f"UPDATE report SET posted_at = 1{damage}")
    before = await swept_elsewhere(populated)
    populated.clock.advance(timedelta(days=5 * 366))

    assert (before, await swept_elsewhere(populated)) == ((0, 0), (1, 0))
    assert populated.sql("SELECT report_id, cause FROM report_tombstone") == [(report, "retention")]


@pytest.mark.parametrize("has_ended", [False, True])
async def test_nobody_is_asked_to_destroy_what_was_recalled_in_a_row_alone(
    populated: World, *, has_ended: bool
) -> None:
    await populated.agree(AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept"))
    await populated.enrol("NOR releaser", "NOR", "releaser")
    forged, recalled = await populated.post(), await populated.post("NOR contributor")
    for report, reader in ((forged, "NOR reader"), (recalled, "GBR reader")):
        await usecases.pull_report(populated.services, populated.call(reader), report)
    await usecases.recall_report(populated.services, populated.call("NOR releaser"), recalled, "mistaken")
    populated.sql("DELETE FROM report_destruction")
    populated.sql("DELETE FROM report_notice")
    if has_ended:
        populated.clock.advance(timedelta(days=5 * 366))
        assert await swept_elsewhere(populated) == (1, 0)
        populated.unguard("report_tombstone")
        populated.sql("UPDATE report_tombstone SET cause = 'recalled' WHERE report_id = $1", forged)
        populated.sql("UPDATE report_tombstone SET raised_at = (SELECT max(raised_at) FROM report_tombstone)")
    else:
        what = "SELECT $1, cause, raised_at, note, entry_id FROM report_tombstone"
        populated.sql(f"INSERT INTO report_tombstone (report_id, cause, raised_at, note, entry_id) {what}", forged)
    await swept_elsewhere(populated)

    # What was recalled years ago is not followed up any more, whenever its row says that it was.
    asked = [] if has_ended else [(recalled,)]
    assert populated.sql("SELECT report_id FROM report_destruction") == asked
    assert populated.sql("SELECT report_id FROM report_notice") == asked


@pytest.mark.parametrize("altered", ['replace(terms, \'"retention":"P5Y"\', \'"retention":"P9Y"\')', "'no text'"])
async def test_what_was_to_be_destroyed_is_not_declassified_by_an_altered_text(populated: World, altered: str) -> None:
    kept = AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept").replace("2030", "2035")
    await populated.agree(kept)
    end = populated.clock.now + timedelta(days=5 * 366)
    report = await populated.post(declassify_on=end.date())
    populated.clock.now = end + timedelta(days=1)
    before = populated.sql(f"SELECT terms FROM agreement {IN_FORCE}")
    populated.sql(f"UPDATE agreement SET terms = {altered} {IN_FORCE}")
    assert populated.sql(f"SELECT terms FROM agreement {IN_FORCE}") != before
    async with populated.another_node() as node:
        # Under a legal hold what is over its time is there still.
        swept = await sweep_reports(node, populated.clock.now, is_held=True)

    assert (swept.declassified, swept.left) == (0, 1)
    assert populated.sql("SELECT version FROM report WHERE id = $1", report) == [(1,)]


FORGED = (
    "INSERT INTO report_tombstone (report_id, cause, raised_at, note, entry_id) SELECT id, $1, 1, $2, id FROM report"
)


@pytest.mark.parametrize("cause", ["retention", "recalled"])
@pytest.mark.parametrize("how", ["recalled", "by text", "retention"])
async def test_tombstone_that_no_entry_tells_of_keeps_no_report_from_ending(
    populated: World, cause: str, how: str
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    if how == "retention":
        await populated.agree(AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept"))
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    populated.sql(FORGED, cause, b"forged")
    call = populated.call("GBR releaser")
    assert (await usecases.preview_recall(populated.services, call, report)).value.given == {"NOR": 1}
    if how == "recalled":
        recalled = (await usecases.recall_report(populated.services, call, report, "mistaken")).value
        assert recalled.tombstone.note != b"forged"
    else:
        # The agreement ends before the report has been kept for long enough.
        populated.clock.advance(timedelta(days=1700 if how == "by text" else 5 * 366))
        assert await swept_elsewhere(populated) == ((1, 0) if how == "retention" else (0, 1))

    assert populated.sql("SELECT length(sealed_header) FROM report") == [(0,)]
    asked = populated.sql("SELECT count(*) FROM report_destruction")
    assert asked == [(0 if how == "retention" else 1,)]
    ended = {entry["type"] for entry in await populated.entries()} & {"report.recalled", "report.ended"}
    assert ended == {"report.ended" if how == "retention" else "report.recalled"}
    # Once: it has ended now, whatever its status is set to.
    populated.sql("UPDATE report SET status = 'current'")
    assert await swept_elsewhere(populated) == (0, 0)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_recall_is_followed_up_whatever_tombstone_was_written_before(
    populated: World, *, is_placed: bool
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    late = await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    populated.sql(FORGED, "recalled", b"forged")
    populated.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "mistaken")
    if is_placed:
        await place_entries(populated, is_searchable=True)
    assert populated.sql("SELECT count(*) FROM report_destruction") == [(0,)]
    # As if it had come just now.
    populated.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await swept_elsewhere(populated)

    assert populated.sql("SELECT client_id FROM report_destruction") == [(populated.clients["NOR reader"].id,)]


async def test_report_whose_class_nothing_tells_of_is_left_on_its_day_and_keeps_no_other_from_it(
    populated: World, caplog: pytest.LogCaptureFixture
) -> None:
    day = populated.clock.now.date() + timedelta(days=2)
    altered, other = [
        await populated.post(declassify_on=day, topic=topic) for topic in ("cyber.apt", "cyber.vulnerability")
    ]
    lost = "UPDATE release_class SET facts = '{}', digest = '0'"
    populated.sql(f"{lost} WHERE id = (SELECT class_id FROM report WHERE id = $1)", altered)
    populated.clock.advance(timedelta(days=3))
    async with populated.another_node() as node:
        swept = await sweep_reports(node, populated.clock.now)

    assert (swept.declassified, swept.left) == (1, 1)
    assert populated.sql("SELECT version FROM report WHERE id = $1", other) == [(2,)]
    assert f"report {altered} is not what its row says: it is left as it is" in caplog.text


async def test_what_does_not_open_on_its_day_is_on_record_once_a_day_and_names_no_operator(populated: World) -> None:
    report = await populated.post(declassify_on=populated.clock.now.date() + timedelta(days=2))
    populated.clock.advance(timedelta(days=3))
    populated.unguard("report")
    populated.sql("UPDATE report SET sealed_header = $2 WHERE id = $1", report, b"x" * 300)
    found = []
    for later in (timedelta(0), timedelta(minutes=1), timedelta(days=1)):
        populated.clock.advance(later)
        made = await populated.attempt(sweep_reports(populated.services, populated.clock.now))
        found.append([(each["type"], each["actor"], each["detail"]) for each in made.entries])

    told = [("key.opened", {"kind": "service"}, {"place": f"report {report}"})]
    assert found == [told, [], told]
