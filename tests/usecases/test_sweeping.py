"""What time alone does to reports: declassified on their day, ended by retention, recalls followed up."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any

import orjson
import pytest

from exchange import usecases
from exchange.audit import DeedKind, SignatureType, VerifierKey, hash_leaf, read_deed
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import Downgrade
from exchange.store import OnwardWish
from exchange.store.books.report_book import ReportBook
from exchange.usecases.life import destructions
from exchange.usecases.life import sweep_reports as module
from exchange.usecases.life.sweep_reports import STOOD_STILL, Swept, sweep_reports
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime
from tests.support.lowering import lower
from tests.support.meanwhile import at_once
from tests.support.placing import place_entries
from tests.support.store import NODE_KEY
from tests.support.world import AGREEMENT, NOW, World
from tests.usecases.test_amending import concluded
from tests.usecases.test_report_life import amend

DAY = date(2026, 6, 3)
YEARS = timedelta(days=5 * 366)
KEPT = AGREEMENT.replace("shared_reports: recalled", "shared_reports: kept")
NODE = VerifierKey("test", SignatureType.ED25519, NODE_KEY.verifying_key)


async def sweep(world: World, **others: Any) -> Swept:
    return await sweep_reports(world.services, world.clock.now, **others)


def without_norway(text: str) -> str:
    return text.replace("[GBR, NOR, DNK]", "[GBR, DNK]").replace("[GBR, NOR", "[GBR")


async def asked_onward(world: World, report: str) -> None:
    wish = OnwardWish("ESP", (), (), None, "the operation is theirs")
    await usecases.request_onward(world.services, world.call("NOR reader"), report, wish)


async def read(world: World, report: str, name: str = "NOR reader") -> bytes:
    return (await usecases.pull_report(world.services, world.call(name), report)).value.header_json


# ── declassification ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_report_is_declassified_on_its_day_and_not_before(populated: World) -> None:
    report = await populated.post(declassify_on=DAY)
    await read(populated, report)
    assert (await sweep(populated)).declassified == 0
    populated.clock.advance(timedelta(days=2))
    made = await populated.attempt(sweep(populated))
    header = await read(populated, report)

    assert made.value == Swept(1, 0, 0, 0)
    assert b'"marking":"NATO UNCLASSIFIED//REL TO GBR, NOR"' in header
    assert b'"declassify_on":null' in header
    (entry,) = [entry for entry in made.entries if entry["type"] == "report.declassified"]
    assert (entry["actor"], entry["owner"]) == ({"kind": "service"}, "GBR")
    assert entry["object"] == {"type": "report", "id": report, "version": 2}
    told = populated.sql("SELECT kind, version FROM report_notice")
    assert told == [("declassified", 2)]
    assert await sweep(populated) == Swept(0, 0, 0, 0)


async def test_node_with_other_policy_files_than_those_in_force_moves_nothing(populated: World) -> None:
    report = await populated.post(declassify_on=DAY)
    populated.clock.advance(timedelta(days=2))
    other = replace(populated.services, law=replace(populated.services.law, digest="0" * 64))

    with pytest.raises(UnavailableError, match="other policy files"):
        await sweep_reports(other, populated.clock.now)
    assert populated.sql("SELECT version FROM report WHERE id = $1", report) == [(1,)]


async def test_audience_and_caveats_stay_when_the_level_falls(populated: World) -> None:
    label = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"), handling=("ORCON",))
    report = await populated.post(label=label, declassify_on=DAY)
    populated.clock.advance(timedelta(days=2))
    await sweep(populated)

    assert b"NATO UNCLASSIFIED//ORCON/REL TO GBR, NOR" in await read(populated, report)
    with pytest.raises(NotFoundError):
        await read(populated, report, "DNK reader")


async def test_derived_report_waits_for_its_source(populated: World) -> None:
    await populated.enrol("GBR analyst", "GBR", "contributor", "reader")
    source = await populated.post("NOR contributor")
    report = await populated.post("GBR analyst", references=(source,), declassify_on=DAY)
    other = await populated.post(declassify_on=DAY)
    populated.clock.advance(timedelta(days=2))

    assert await sweep(populated) == Swept(1, 0, 0, 1)
    assert b"NATO SECRET" in await read(populated, report)
    assert b"NATO UNCLASSIFIED" in await read(populated, other)


async def test_day_that_was_moved_on_the_row_declassifies_nothing(populated: World) -> None:
    report = await populated.post(declassify_on=DAY)
    undated = await populated.post()
    populated.sql("UPDATE report SET declassify_on = 0")

    assert await sweep(populated) == Swept(0, 0, 0, 2)
    for each in (report, undated):
        assert b"NATO SECRET" in await read(populated, each)


async def test_report_that_has_expired_is_declassified_and_what_derives_from_it_follows(populated: World) -> None:
    """Its validity says how long it is of use, the day how long it is a secret: copies are held on."""
    await populated.enrol("GBR analyst", "GBR", "contributor", "reader")
    source = await populated.post("NOR contributor", valid_until=NOW + timedelta(days=1), declassify_on=DAY)
    report = await populated.post("GBR analyst", references=(source,), declassify_on=DAY)
    await read(populated, source, "GBR analyst")
    populated.clock.advance(timedelta(days=2))

    assert await sweep(populated) == Swept(2, 0, 0, 0)
    assert b"NATO UNCLASSIFIED" in await read(populated, report)
    assert ("declassified", source) in populated.sql("SELECT kind, report_id FROM report_notice")
    for name in ("NOR reader", "GBR analyst"):
        with pytest.raises(NotFoundError):
            await read(populated, source, name)


@pytest.mark.parametrize("is_held", [False, True], ids=["late", "held"])
@pytest.mark.parametrize(
    ("text", "end"),
    [(KEPT.replace("2030", "2035"), NOW + YEARS), (AGREEMENT, datetime(2031, 1, 1, tzinfo=UTC))],
    ids=["retention", "agreement"],
)
async def test_report_that_was_to_be_destroyed_before_its_day_is_not_declassified_on_it(
    populated: World, text: str, end: datetime, *, is_held: bool
) -> None:
    await populated.agree(text)
    before = await populated.post(declassify_on=end.date() - timedelta(days=9))
    after = await populated.post(declassify_on=end.date() + timedelta(days=9))
    populated.clock.now = end + timedelta(days=20)
    swept = await populated.attempt(sweep(populated, is_held=is_held))

    done = [(entry["type"], entry["object"]["id"]) for entry in swept.entries]
    assert [report for kind, report in done if kind == "report.declassified"] == [before]
    ended = {report for kind, report in done if kind in {"report.ended", "report.recalled"}}
    assert ended == (set() if is_held else {before, after})


async def test_more_than_a_round_holds_is_left_for_the_next(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for _ in range(3):
        await populated.post(declassify_on=DAY)
    populated.clock.advance(timedelta(days=2))
    first, second = await sweep(populated), await sweep(populated)

    assert (first.declassified, first.has_more) == (2, True)
    assert (second.declassified, second.has_more) == (1, False)


# ── retention ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_report_ends_when_its_scope_no_longer_keeps_it(populated: World) -> None:
    await populated.agree(KEPT)
    report = await populated.post()
    await asked_onward(populated, report)
    populated.clock.advance(YEARS - timedelta(days=20))
    assert (await sweep(populated)).ended == 0
    populated.clock.advance(timedelta(days=40))
    assert (await sweep(populated, is_held=True)).ended == 0
    made = await populated.attempt(sweep(populated))

    assert made.value.ended == 1
    assert made.entry["type"] == "report.ended"
    assert populated.sql("SELECT status, length(sealed_header) FROM report") == [("expired", 0)]
    assert populated.sql("SELECT length(wrapped_key), length(ciphertext) FROM report_part") == [(0, 0)]
    ((note,),) = populated.sql("SELECT note FROM report_tombstone")
    deed = read_deed(bytes(note), [NODE])
    assert (deed.kind, deed.content["cause"], deed.content["report"]) == (DeedKind.TOMBSTONE, "retention", report)
    assert populated.sql("SELECT state FROM onward_release") == [("lapsed",)]
    assert (await sweep(populated)).ended == 0


@pytest.mark.parametrize("is_over", [False, True], ids=["retention", "recall"])
async def test_reports_that_cannot_be_ended_stand_in_nobodys_way(
    populated: World, monkeypatch: pytest.MonkeyPatch, *, is_over: bool
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    await populated.agree(AGREEMENT if is_over else KEPT)
    stuck = [await populated.post() for _ in range(3)]
    last = await populated.post()
    # They ended before, and somebody set their status back: a report has one tombstone.
    await populated.enrol("GBR releaser", "GBR", "releaser")
    for report in stuck:
        await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "mistaken")
    populated.sql("UPDATE report SET status = 'current'")
    if is_over:
        await usecases.withdraw_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
        populated.clock.advance(NOTICE)
    else:
        populated.clock.advance(YEARS)
    swept = await sweep(populated)

    assert (swept.ended, swept.recalled) == ((0, 1) if is_over else (1, 0))
    assert populated.sql("SELECT id FROM report WHERE status <> 'current'") == [(last,)]
    assert await sweep(populated) == Swept(0, 0, int(is_over), 3, 0)


async def test_altered_class_keeps_no_report_of_another_from_ending(populated: World) -> None:
    await populated.agree(KEPT)
    altered, other = await populated.post(), await populated.post(topic="cyber.vulnerability")
    populated.clock.advance(YEARS)
    populated.sql(
        "UPDATE release_class SET facts = '{}', digest = '0' WHERE id = (SELECT class_id FROM report WHERE id = $1)",
        altered,
    )
    async with populated.another_node() as services:
        for _ in range(2):
            await sweep_reports(services, populated.clock.now)

    assert populated.sql("SELECT id FROM report WHERE status = 'expired'") == [(other,)]


async def test_row_that_cannot_be_read_keeps_no_other_report_from_what_is_due(populated: World) -> None:
    altered, other = await populated.post(), await populated.post()
    for report in (altered, other):
        await read(populated, report)
        await amend(populated, report)
    populated.sql("DELETE FROM report_notice")
    populated.unguard("report_version")
    # An entry about no report is said to be what replaced it.
    (about, *_) = [entry["id"] for entry in await populated.entries() if entry["type"] == "member.added"]
    populated.sql("UPDATE report_version SET entry_id = $1 WHERE report_id = $2", about, altered)
    await sweep(populated)

    assert populated.sql("SELECT report_id FROM report_notice") == [(other,)]


@pytest.mark.parametrize("is_an_entry", [True, False])
async def test_entry_about_nothing_does_not_end_the_sweep(populated: World, *, is_an_entry: bool) -> None:
    report = await populated.post()
    await populated.post(supersedes=report)
    await place_entries(populated, is_searchable=True)
    (about,) = [entry for entry in await populated.entries() if entry["type"] == "report.superseded"]
    forged = orjson.dumps({name: about[name] for name in about if name != "object"}, option=orjson.OPT_SORT_KEYS)
    forged = forged if is_an_entry else b"none"
    for table in ("audit_entry", "log_leaf"):
        populated.unguard(table)
    populated.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", forged, about["id"])
    populated.sql("UPDATE log_leaf SET leaf_hash = $1 WHERE entry_id = $2", hash_leaf(forged), about["id"])

    assert await sweep(populated) == Swept(0, 0, 0, 0)


async def test_classes_of_an_agreement_may_be_very_many(populated: World) -> None:
    report = await populated.post()
    ((class_id,),) = populated.sql("SELECT class_id FROM report")
    many = [*range(10**6, 10**6 + 40_000), class_id]
    sweeps, now = populated.services.store.sweeps, populated.clock.now

    ((found, seq),) = await sweeps.posted_before(many, now + YEARS, after=0, limit=2)
    assert found == report
    assert await sweeps.posted_before(many, now + YEARS, after=seq, limit=2) == []


@pytest.mark.parametrize("amended", ["P1M", "P9Y"])
async def test_another_retention_is_for_what_is_posted_after_it(populated: World, amended: str) -> None:
    await populated.agree(KEPT)
    old = await populated.post()
    await concluded(populated, KEPT.replace("retention: P5Y", f"retention: {amended}"))
    new = await populated.post()
    populated.clock.advance(timedelta(days=40))
    await sweep(populated)
    ended = {report for (report,) in populated.sql("SELECT report_id FROM report_tombstone")}
    populated.clock.advance(YEARS)
    await sweep(populated)

    assert ended == ({new} if amended == "P1M" else set())
    assert (old,) in populated.sql("SELECT report_id FROM report_tombstone")
    assert ((new,) in populated.sql("SELECT report_id FROM report_tombstone")) is (amended == "P1M")


async def test_report_that_ended_is_expired_for_its_readers_and_cannot_be_recalled(populated: World) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser", until=NOW + 3 * YEARS)
    await populated.agree(AGREEMENT.replace("retention: P5Y", "retention: P1D"))
    report = await populated.post()
    populated.clock.advance(timedelta(days=2))
    await sweep(populated)
    made = await populated.attempt(usecases.pull_report(populated.services, populated.call("NOR reader"), report))

    assert isinstance(made.error, NotFoundError)
    assert made.entry["reasons"] == ["expired"]
    with pytest.raises(ConflictError) as refused:
        await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "late")
    assert refused.value.code == "expired"


# ── following up, and the loop ─────────────────────────────────────────────────────────────────────────────────────────


async def test_read_that_was_recorded_after_a_recall_is_asked_by_the_sweep(populated: World) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    late = await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    content = await populated.services.store.entry(late.receipt.entry)
    populated.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "at risk")
    assert populated.sql("SELECT count(*) FROM report_destruction") == [(0,)]
    # As if it had come just now.
    assert content is not None
    populated.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)

    assert (await sweep(populated)).followed_up == 1
    assert populated.sql("SELECT client_id FROM report_destruction") == [(populated.clients["NOR reader"].id,)]
    await sweep(populated)
    assert populated.sql("SELECT count(*) FROM report_destruction") == [(1,)]
    populated.clock.advance(timedelta(days=2))
    assert (await sweep(populated)).followed_up == 0


async def test_recall_is_followed_up_however_long_nobody_could_say_who_had_read_it(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise UnavailableError("the archive is away")

    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    await read(populated, report)
    rounds = RoundsOfTime(populated.services)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(destructions, "given_to", away)
        await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "at risk")
        for _ in range(2):
            await rounds.reports()
            populated.clock.advance(STOOD_STILL)
        await rounds.reports()
    assert populated.sql("SELECT count(*) FROM report_destruction") == [(0,)]
    await rounds.reports()
    assert populated.sql("SELECT client_id FROM report_destruction") == [(populated.clients["NOR reader"].id,)]
    populated.clock.advance(timedelta(days=2))
    assert (await sweep(populated)).followed_up == 0


async def test_recall_that_the_sweep_follows_up_as_it_asks_is_told_as_done(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    recall = import_module("exchange.usecases.life.recall_report")
    ask = recall.ask_destruction

    async def asked_at_once(*asked: Any) -> Any:
        swept, rows = await at_once(monkeypatch, ReportBook, "ask_destruction", sweep(populated), ask(*asked))
        return rows if swept.followed_up else ()

    monkeypatch.setattr(recall, "ask_destruction", asked_at_once)
    made = await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "at risk")

    assert [row.given.client for row in made.value.asked] == [populated.clients["NOR reader"].id]
    assert [entry["type"] for entry in await populated.entries()].count("destruction.asked") == 1


@pytest.mark.parametrize("kind", ["amended", "upgraded", "downgraded"])
async def test_read_that_was_recorded_after_a_new_version_is_told_of_it_by_the_sweep(
    populated: World, kind: str
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    low, high = (Label("NATO", level, releasable_to=("GBR", "NOR")) for level in ("RESTRICTED", "CONFIDENTIAL"))
    report = await populated.post(label=high if kind == "downgraded" else low)
    late = await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    populated.sql("DELETE FROM audit_outbox WHERE entry_id = $1", late.receipt.entry)
    if kind == "downgraded":
        await lower(populated, report, Downgrade(low))
    else:
        newer = populated.posted(label=high if kind == "upgraded" else low, content=b"newer")
        await usecases.amend_report(populated.services, populated.call("GBR contributor"), report, newer)
    await read(populated, report, "GBR reader")
    notices = "SELECT client_id, kind, version, entry_id FROM report_notice"
    assert populated.sql(notices) == []
    # As if it had come just now.
    populated.sql("INSERT INTO audit_outbox (entry_id) VALUES ($1)", late.receipt.entry)
    await sweep(populated)
    await sweep(populated)

    ((move,),) = populated.sql("SELECT entry_id FROM report_version")
    assert populated.sql(notices) == [(populated.clients["NOR reader"].id, kind, 2, move)]


async def test_recall_after_which_everything_stood_still_for_days_is_followed_up_by_the_next_process(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)

    async def killed(*_: object) -> None:
        raise UnavailableError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(import_module("exchange.usecases.life.recall_report"), "ask_destruction", killed)
        await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "at risk")
    populated.clock.advance(timedelta(days=3))
    await RoundsOfTime(populated.services).reports()

    assert populated.sql("SELECT client_id FROM report_destruction") == [(populated.clients["NOR reader"].id,)]


async def test_damaged_entry_of_one_reader_keeps_no_other_from_being_asked(populated: World, backend: str) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    one, other = [
        (await usecases.pull_report(populated.services, populated.call(name), report)).receipt.entry
        for name in ("GBR reader", "NOR reader")
    ]
    await place_entries(populated, is_searchable=True)
    populated.unguard()
    damaged = "CAST('x' AS text)" if backend == "sqlite" else "'x'"
    populated.sql(f"UPDATE audit_entry SET content = {damaged} WHERE id = $1", one)
    await usecases.recall_report(populated.services, populated.call("GBR releaser"), report, "at risk")

    assert populated.sql("SELECT client_id, read_entry FROM report_destruction") == [
        (populated.clients["NOR reader"].id, other)
    ]


# ── by the agreement's own terms ───────────────────────────────────────────────────────────────────────────────────────

NOTICE = timedelta(days=90)


async def test_reports_of_who_has_left_are_recalled_where_the_text_says_so(populated: World) -> None:
    report = await populated.post(content=b"shared")
    other = await populated.post("NOR contributor")
    await read(populated, report)
    await asked_onward(populated, report)
    await usecases.withdraw_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    assert (await sweep(populated)).recalled == 0
    populated.clock.advance(NOTICE)
    assert (await sweep(populated, is_held=True)).recalled == 0
    made = await populated.attempt(sweep(populated))

    assert made.value.recalled == 1
    (entry,) = [entry for entry in made.entries if entry["type"] == "report.recalled"]
    assert (entry["actor"], entry["owner"], entry["object"]["id"]) == ({"kind": "service"}, "GBR", report)
    assert "the agreement has ended" in entry["detail"]["reason"]
    assert populated.sql("SELECT ciphertext, wrapped_key FROM report_part WHERE report_id = $1", report) == [(b"", b"")]
    assert populated.sql("SELECT report_id, cause FROM report_tombstone") == [(report, "recalled")]
    ((reader,),) = populated.sql("SELECT client_id FROM report_destruction")
    assert reader == populated.clients["NOR reader"].id
    assert populated.sql("SELECT state FROM onward_release") == [("lapsed",)]
    assert (await sweep(populated)).recalled == 0
    assert await read(populated, other)


@pytest.mark.parametrize("how", ["by notice", "with a text"])
@pytest.mark.parametrize(
    ("text", "back", "expected"),
    [
        (AGREEMENT, AGREEMENT, 1),
        (AGREEMENT, KEPT, 0),
        (KEPT, AGREEMENT, 0),
        (AGREEMENT, AGREEMENT + "older_reports: included\n", 0),
    ],
)
async def test_reports_of_who_left_are_recalled_though_it_came_back_before_the_sweep(
    populated: World, how: str, text: str, back: str, expected: int
) -> None:
    await populated.agree(text)
    report = await populated.post("NOR contributor")
    other = await populated.post("GBR contributor")
    if how == "by notice":
        call = populated.call("NOR signatory")
        await usecases.withdraw_agreement(populated.services, call, populated.agreement_id)
        populated.clock.advance(NOTICE)
    else:
        await concluded(populated, text.replace("[GBR, NOR, DNK]", "[GBR, DNK]").replace("[GBR, NOR", "[GBR"))
        populated.clock.advance(timedelta(minutes=1))
    assert (await sweep(populated, is_held=True)).recalled == 0
    await concluded(populated, back.replace("P5Y", "P4Y"))
    since = await populated.post("NOR contributor")

    assert (await sweep(populated)).recalled == expected
    kept = populated.sql("SELECT report_id FROM report_part WHERE length(ciphertext) > 0")
    assert {row[0] for row in kept} == {other, since} | (set() if expected else {report})


@pytest.mark.parametrize(("text", "expected"), [(AGREEMENT, 1), (KEPT, 0)])
async def test_reports_of_whom_the_text_names_no_more_are_recalled_where_it_says_so(
    populated: World, text: str, expected: int
) -> None:
    report = await populated.post("NOR contributor")
    other = await populated.post("GBR contributor")
    without = text.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, DNK]").replace("[GBR, NOR", "[GBR")
    assert (await concluded(populated, without)).agreement.party("NOR") is None
    populated.clock.advance(timedelta(minutes=1))

    assert (await sweep(populated)).recalled == expected
    kept = populated.sql("SELECT report_id FROM report_part WHERE length(ciphertext) > 0")
    assert {row[0] for row in kept} == {other} | (set() if expected else {report})


@pytest.mark.parametrize("how", ["by notice", "with a text"])
@pytest.mark.parametrize(("first", "last"), [(AGREEMENT, KEPT), (KEPT, AGREEMENT)])
async def test_text_that_the_others_conclude_afterwards_says_nothing_about_who_has_left(
    populated: World, how: str, first: str, last: str
) -> None:
    await populated.agree(first)
    report = await populated.post("NOR contributor")
    await populated.post("GBR contributor")
    if how == "by notice":
        call = populated.call("NOR signatory")
        await usecases.withdraw_agreement(populated.services, call, populated.agreement_id)
        populated.clock.advance(NOTICE)
    else:
        await concluded(populated, without_norway(first).replace("P5Y", "P4Y"))
        populated.clock.advance(timedelta(minutes=1))
    # As during a legal hold.
    await concluded(populated, without_norway(last), ("GBR", "DNK"))

    assert (await sweep(populated)).recalled == (first is AGREEMENT)
    kept = populated.sql("SELECT report_id FROM report_part WHERE length(ciphertext) = 0")
    assert kept == [(report,)] * (first is AGREEMENT)


@pytest.mark.parametrize("leaving", [AGREEMENT, KEPT])
async def test_text_that_it_signs_to_leave_says_what_becomes_of_its_reports(populated: World, leaving: str) -> None:
    await populated.agree(KEPT if leaving is AGREEMENT else AGREEMENT)
    await populated.post("NOR contributor")
    await concluded(populated, without_norway(leaving))
    populated.clock.advance(timedelta(minutes=1))

    assert (await sweep(populated)).recalled == (leaving is AGREEMENT)


@pytest.mark.parametrize(("text", "expected"), [(AGREEMENT, 2), (KEPT, 0)])
async def test_end_of_an_agreement_recalls_all_its_reports_or_keeps_them_as_it_says(
    populated: World, text: str, expected: int
) -> None:
    await populated.agree(text)
    report = await populated.post()
    await populated.post("NOR contributor")
    populated.clock.now = datetime(2031, 1, 1, tzinfo=UTC)

    assert (await sweep(populated)).recalled == expected
    # Either way the exchange gives it to nobody.
    with pytest.raises(NotFoundError):
        await read(populated, report)
    kept = [content for (content,) in populated.sql("SELECT ciphertext FROM report_part")]
    assert [bool(content) for content in kept] == [expected == 0] * 2


async def test_suspension_recalls_nothing(populated: World) -> None:
    await populated.post()
    await usecases.suspend_agreement(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    await usecases.suspend_agreement(populated.services, populated.call("NOR signatory"), populated.agreement_id)

    assert (await sweep(populated)).recalled == 0
