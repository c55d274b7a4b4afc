"""The life of a report: amended, downgraded, recalled, destroyed; on both databases."""

import asyncio
import importlib
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import DeedKind, SignatureType, VerifierKey, read_deed
from exchange.kernel import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)
from exchange.markings import Label
from exchange.reports import Downgrade, PostedPart
from exchange.usecases import Certificate, ClearanceChange
from exchange.usecases.life.sweep_reports import sweep_reports
from tests.support.lived import MakeLived
from tests.support.lowering import lower
from tests.support.meanwhile import done_behind
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.store import NODE_KEY
from tests.support.world import World

CONFIDENTIAL = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"))
SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
RESTRICTED = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
FOR_DENMARK = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
NODE = VerifierKey("test", SignatureType.ED25519, NODE_KEY.verifying_key)
CANARY = b"canary 4711 of the first version"


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


async def pull(world: World, report: str, name: str = "NOR reader") -> usecases.PulledReport:
    return (await usecases.pull_report(world.services, world.call(name), report)).value


async def recall(world: World, report: str, name: str = "GBR releaser") -> usecases.Recall:
    return (await usecases.recall_report(world.services, world.call(name), report, "the source is at risk")).value


async def downgrade(world: World, report: str, label: Label = FOR_DENMARK, **others: Any) -> usecases.MadeVersion:
    return await lower(world, report, Downgrade(label, others.pop("part_labels", None)), **others)


async def amend(world: World, report: str, *, content: bytes = b"second", **others: Any) -> usecases.MadeVersion:
    posted, version = world.posted(content=content, **others), None
    act = usecases.amend_report(world.services, world.call("GBR contributor"), report, posted, if_version=version)
    return (await act).value


async def listed(world: World, name: str, after: str | None = None) -> tuple[list[bytes], str]:
    query = usecases.ListQuery(cursor=after)
    page = (await usecases.list_reports(world.services, world.call(name), query)).value
    return page.items, page.next


def told(world: World) -> list[tuple[str, str, int]]:
    names = {client.id: name for name, client in world.clients.items()}
    rows = world.sql("SELECT client_id, kind, version FROM report_notice ORDER BY number")
    return [(names[client], kind, version) for client, kind, version in rows]


# ── recall ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_recalled_report_is_gone_for_everybody_from_the_next_request_on(living: World) -> None:
    report = await living.post()
    await pull(living, report)
    async with living.another_node() as other:
        await usecases.list_reports(other, living.call("NOR reader"), usecases.ListQuery())
        await recall(living, report)

        for services in (living.services, other):
            for name in ("NOR reader", "GBR reader"):
                made = await living.attempt(usecases.pull_report(services, living.call(name), report))
                assert isinstance(made.error, NotFoundError)
                assert made.entry["reasons"] == ["recalled"]
                page = await usecases.list_reports(services, living.call(name), usecases.ListQuery())
                assert page.value.items == []
            with pytest.raises(NotFoundError):
                await usecases.read_part(services, living.call("NOR reader"), report, 1)


async def test_releaser_whose_clearance_has_ended_finds_nothing_to_recall(living: World) -> None:
    report, client = await living.post(), living.clients["GBR releaser"]
    day = living.clock.now + timedelta(days=1)
    ending = ClearanceChange(client.clearance.level, client.clearance.compartments, until=day)
    await usecases.change_clearance(living.services, living.call(None), client.id, ending)
    living.clock.now = day + timedelta(days=1)
    made = await living.attempt(recall(living, report))

    assert isinstance(made.error, NotFoundError)
    assert living.sql("SELECT status FROM report") == [("current",)]


async def test_recall_leaves_no_key_and_no_ciphertext(living: World) -> None:
    report = await living.post(content=CANARY)
    await recall(living, report)

    assert living.sql("SELECT length(sealed_header), status FROM report") == [(0, "recalled")]
    assert living.sql("SELECT length(wrapped_key), length(ciphertext) FROM report_part") == [(0, 0)]


async def test_status_set_back_in_the_database_opens_nothing(living: World) -> None:
    report = await living.post()
    await recall(living, report)
    living.sql("UPDATE report SET status = 'current'")
    made = await living.attempt(usecases.pull_report(living.services, living.call("NOR reader"), report))

    assert isinstance(made.error, UnavailableError)
    assert (made.entry["type"], made.entry["decision"]) == ("key.opened", "failed")


async def test_recall_is_one_entry_and_a_signed_tombstone(living: World) -> None:
    report = await living.post()
    act = usecases.recall_report(living.services, living.call("GBR releaser"), report, "the source is at risk")
    made = await living.attempt(act)
    recalled = next(entry for entry in made.entries if entry["type"] == "report.recalled")
    deed = read_deed(made.value.value.tombstone.note, [NODE])

    assert made.value.receipt.entry == recalled["id"]
    assert recalled["detail"] == {"reason": "the source is at risk"}
    assert (recalled["owner"], recalled["label"]["classification"]) == ("GBR", "SECRET")
    assert deed.kind is DeedKind.TOMBSTONE
    assert (deed.content["report"], deed.content["reason"]) == (report, "the source is at risk")


async def test_reader_whose_entry_has_a_place_but_is_not_searchable_yet_is_asked(living: World) -> None:
    report = await living.post()
    await pull(living, report, "NOR reader")
    await place_entries(living)

    assert living.sql("SELECT count(*) FROM audit_search") == [(0,)]
    assert [row.given.client for row in (await recall(living, report)).asked] == [living.clients["NOR reader"].id]


async def test_entry_that_was_altered_tells_nobody_of_what_it_names(living: World) -> None:
    """Whom it named was told of a report that it had never read."""
    report = await living.post()
    read = await usecases.pull_report(living.services, living.call("NOR reader"), report)
    await pull(living, report, "GBR reader")
    await place_entries(living, is_searchable=True)
    ids = [living.clients[name].id for name in ("NOR reader", "GBR reader")]
    ((content,),) = living.sql("SELECT content FROM audit_entry WHERE id = $1", read.receipt.entry)
    living.unguard()
    other = bytes(content).replace(ids[0].encode(), living.clients["GBR contributor"].id.encode())
    living.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", other, read.receipt.entry)

    assert [row.given.client for row in (await recall(living, report)).asked] == [ids[1]]


async def test_originator_is_told_who_had_read_it_placed_in_the_log_or_not(living: World) -> None:
    report = await living.post()
    await pull(living, report, "NOR reader")
    await pull(living, await living.post(), "GBR reader")
    await place_entries(living, is_searchable=True)
    living.clock.advance(timedelta(minutes=1))
    await usecases.read_part(living.services, living.call("GBR reader"), report, 1)
    await listed(living, "NOR reader")
    asked = (await recall(living, report)).asked

    named = [(row.given.client, row.given.member) for row in asked]
    assert named == [(living.clients["NOR reader"].id, "NOR"), (living.clients["GBR reader"].id, "GBR")]
    assert {row.due_at - row.asked_at for row in asked} == {timedelta(days=30)}
    entries = {entry["id"]: entry for entry in await living.entries()}
    assert [entries[row.given.entry]["type"] for row in asked] == ["report.read", "report.part_read"]
    assert told(living) == [("NOR reader", "recalled", 1), ("GBR reader", "recalled", 1)]


async def test_refused_reads_and_other_reports_ask_nobody(living: World) -> None:
    report, other = await living.post(), await living.post()
    await pull(living, other)
    with pytest.raises(NotFoundError):
        await pull(living, report, "DNK reader")

    assert (await recall(living, report)).asked == ()


async def test_recall_is_told_as_done_though_its_releaser_is_changed_before_readers_are_asked(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await living.post()
    await pull(living, report)
    releaser, other = living.clients["GBR releaser"].id, usecases.ClearanceChange("TOP SECRET")
    changing = usecases.change_clearance(living.services, living.call(None), releaser, other)
    done_behind(
        monkeypatch, importlib.import_module("exchange.usecases.life.destructions"), "given_to", lambda: changing
    )

    recalled = await recall(living, report)

    assert recalled.asked == ()
    await sweep_reports(living.services, living.clock.now)
    (asked,) = (await usecases.list_destructions(living.services, living.call("NOR reader"))).value
    assert asked.row.report == report


async def test_only_a_releaser_recalls(living: World, subtests: pytest.Subtests) -> None:
    report = await living.post()
    for name in ("GBR contributor", "GBR reader", "operator", "auditor", "GBR signatory"):
        made = await living.attempt(usecases.recall_report(living.services, living.call(name), report, "because"))
        with subtests.test(name):
            assert isinstance(made.error, ForbiddenError)
            assert (made.entry["type"], made.entry["decision"]) == ("report.recalled", "refused")
            await pull(living, report)


async def test_only_the_originators_own_cleared_releaser_finds_it(living: World) -> None:
    await living.enrol("GBR junior releaser", "GBR", "releaser", level="RESTRICTED")
    report = await living.post()
    for name in ("NOR releaser", "GBR junior releaser"):
        for act in (
            usecases.recall_report(living.services, living.call(name), report, "because"),
            usecases.show_recall(living.services, living.call(name), report),
            usecases.preview_recall(living.services, living.call(name), report),
            usecases.downgrade_report(living.services, living.call(name), report, Downgrade(RESTRICTED)),
        ):
            made = await living.attempt(act)
            assert isinstance(made.error, NotFoundError)
            assert made.entry["decision"] == "refused"
    await pull(living, report)


async def test_recall_happens_once(living: World) -> None:
    report = await living.post()
    await recall(living, report)
    with pytest.raises(ConflictError) as refused:
        await recall(living, report)

    assert refused.value.code == "recalled"
    assert living.sql("SELECT count(*) FROM report_tombstone") == [(1,)]


async def test_recall_that_cannot_be_recorded_does_not_happen(living: World) -> None:
    report = await living.post()
    living.sql("ALTER TABLE audit_outbox RENAME TO gone")
    with pytest.raises(UnavailableError):
        await recall(living, report)
    living.sql("ALTER TABLE gone RENAME TO audit_outbox")

    await pull(living, report)
    assert living.sql("SELECT count(*) FROM report_tombstone") == [(0,)]


async def test_post_repeated_with_its_key_after_a_recall_is_a_conflict(living: World) -> None:
    call, posted = living.call("GBR contributor"), living.posted()
    made = await usecases.post_report(living.services, call, posted, idempotency_key="key")
    await recall(living, made.value.report_id)

    with pytest.raises(ConflictError, match="gone"):
        await usecases.post_report(living.services, living.call("GBR contributor"), posted, idempotency_key="key")


@pytest.mark.parametrize("act", ["amend", "lower"])
async def test_post_repeated_with_its_key_after_another_version_is_a_conflict_and_no_tampering(
    living: World, act: str
) -> None:
    posted = living.posted()
    made = await usecases.post_report(living.services, living.call("GBR contributor"), posted, idempotency_key="key")
    await {"amend": amend, "lower": downgrade}[act](living, made.value.report_id)
    again = await living.attempt(
        usecases.post_report(living.services, living.call("GBR contributor"), posted, idempotency_key="key")
    )

    assert isinstance(again.error, ConflictError)
    assert (again.entry["type"], again.entry["decision"]) == ("report.posted", "refused")
    assert "object" not in again.entry


# ── destruction ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reader_certifies_destruction_and_the_originator_sees_it(living: World) -> None:
    report = await living.post()
    await pull(living, report)
    await recall(living, report)
    (asked,) = (await usecases.list_destructions(living.services, living.call("NOR reader"))).value
    living.clock.advance(timedelta(days=3))
    certificate = Certificate("erased from the case system", copies=2)
    act = usecases.certify_destruction(living.services, living.call("NOR reader"), report, certificate)
    made = await living.attempt(act)
    (seen,) = (await usecases.show_recall(living.services, living.call("GBR releaser"), report)).value.asked

    assert (asked.row.report, asked.row.note) == (report, None)
    assert read_deed(asked.tombstone.note, [NODE]).content["report"] == report
    assert (seen.returned_at, seen.entry) == (living.clock.now, made.entry["id"])
    assert made.entry["owner"] == "GBR"
    deed = read_deed(seen.note or b"", [NODE])
    assert (deed.kind, deed.content["method"], deed.content["copies"]) == (
        DeedKind.DESTRUCTION,
        "erased from the case system",
        2,
    )
    assert (await usecases.list_destructions(living.services, living.call("NOR reader"))).value == ()


async def test_destruction_is_certified_once_and_by_whom_it_is_asked_of(living: World) -> None:
    report = await living.post()
    await pull(living, report)
    await recall(living, report)
    nor = living.clients["NOR reader"].id
    await living.enrol("NOR colleague", "NOR", "reader")
    attempts = (
        # Of its member, and no releaser: that another one's copy is destroyed is not its to say.
        ("NOR colleague", Certificate("erased", 1, client=nor)),
        ("DNK reader", Certificate("erased", 1)),
        ("DNK reader", Certificate("erased", 1, client=nor)),
        ("GBR releaser", Certificate("erased", 1, client=nor)),
        ("NOR releaser", Certificate("erased", 1)),
    )
    for name, certificate in attempts:
        act = usecases.certify_destruction(living.services, living.call(name), report, certificate)
        assert isinstance((await living.attempt(act)).error, NotFoundError)
    by_releaser = Certificate("erased", 1, client=nor)
    await usecases.certify_destruction(living.services, living.call("NOR releaser"), report, by_releaser)

    with pytest.raises(ConflictError):
        await usecases.certify_destruction(living.services, living.call("NOR reader"), report, Certificate("erased", 1))


async def test_releaser_sees_what_its_member_is_to_destroy_and_no_other(living: World) -> None:
    report = await living.post()
    await pull(living, report)
    await recall(living, report)
    await living.enrol("NOR colleague", "NOR", "reader")
    await living.enrol("NOR junior releaser", "NOR", "releaser", level="RESTRICTED")
    lists = {
        name: len((await usecases.list_destructions(living.services, living.call(name))).value)
        for name in ("NOR releaser", "NOR reader", "NOR colleague", "NOR junior releaser", "GBR releaser", "DNK reader")
    }

    # What a colleague was given may be above a releaser's own clearance: then it is absent for it.
    assert {name: count for name, count in lists.items() if count} == {"NOR releaser": 1, "NOR reader": 1}


async def test_report_that_was_not_recalled_has_no_recall_to_show(living: World) -> None:
    report = await living.post()

    with pytest.raises(NotFoundError):
        await usecases.show_recall(living.services, living.call("GBR releaser"), report)


# ── downgrade ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_downgraded_report_is_there_for_those_it_was_lowered_for(living: World) -> None:
    report = await living.post(label=CONFIDENTIAL, content=CANARY)
    _, denmarks_place = await listed(living, "DNK reader")
    async with living.another_node() as other:
        await usecases.list_reports(other, living.call("DNK reader"), usecases.ListQuery())
        made = await downgrade(living, report)
        pulled = await usecases.pull_report(other, living.call("DNK reader"), report)
        page = await usecases.list_reports(other, living.call("DNK reader"), usecases.ListQuery())

    assert (made.version, made.marking) == (2, "NATO RESTRICTED//REL TO GBR, DNK, NOR")
    assert pulled.value.parts == ((1, CANARY),)
    assert b'"version":2' in pulled.value.header_json
    assert len(page.value.items) == 1
    # It comes as if it were new: behind the place where a reader had stopped.
    assert len((await listed(living, "DNK reader", denmarks_place))[0]) == 1
    assert (await pull(living, report)).parts == ((1, CANARY),)


async def test_downgrade_names_both_versions_in_the_log_and_keeps_the_old_digest(living: World) -> None:
    report = await living.post(label=CONFIDENTIAL)
    await pull(living, report)
    act = usecases.downgrade_report(living.services, living.call("GBR releaser"), report, Downgrade(RESTRICTED))
    made = await living.attempt(act)
    version = made.value.value

    assert made.entry["type"] == "report.downgraded"
    assert made.entry["object"] == {"type": "report", "id": report, "version": 2}
    assert made.entry["detail"] == {
        "before": version.replaced,
        "after": version.digest,
        "to_level": "RESTRICTED",
        "to_policy": "NATO",
        "past": "kept",
    }
    assert living.sql("SELECT version, digest, entry_id FROM report_version") == [
        (1, version.replaced, made.entry["id"])
    ]
    assert told(living) == [("NOR reader", "downgraded", 2)]


async def test_parts_keep_a_label_that_is_no_higher_and_take_the_new_one_else(living: World) -> None:
    parts = (
        PostedPart(None, "text/plain", "a.txt", b"a"),
        PostedPart(Label("NATO", "UNCLASSIFIED", releasable_to=("DNK", "GBR", "NOR")), "text/plain", "b.txt", b"b"),
    )
    report = await living.post(label=CONFIDENTIAL, parts=parts)
    made = await downgrade(living, report)

    assert [label.classification for label in made.part_labels] == ["RESTRICTED", "UNCLASSIFIED"]


async def test_downgrade_that_is_none_is_refused_and_changes_nothing(living: World, subtests: pytest.Subtests) -> None:
    report = await living.post()
    before = living.sql("SELECT * FROM report")
    for label, part_labels, code in (
        (Label("NATO", "TOP SECRET", releasable_to=("GBR", "NOR")), None, "not-lower"),
        (Label("NATO", "SECRET", releasable_to=("GBR",)), None, "not-lower"),
        (SECRET, None, "unchanged"),
        (RESTRICTED, (None, None), "wrong-count"),
        (RESTRICTED, (Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")),), "above-report"),
        (Label("NATO", "secret"), None, "unknown-level"),
        (Label("NATO", "RESTRICTED", releasable_to=("FRA",)), None, "unknown-member"),
        (RESTRICTED, (Label("MARS", "SECRET"),), "unknown-policy"),
    ):
        with subtests.test(label=label, code=code):
            with pytest.raises(InvalidError) as refused:
                await downgrade(living, report, label, part_labels=part_labels)
            assert code in {fault.code for fault in refused.value.faults}
    assert living.sql("SELECT * FROM report") == before


async def test_derived_report_stays_as_high_as_its_source(living: World) -> None:
    source = await living.post("NOR contributor")
    derived = await _derived(living, source)
    with pytest.raises(InvalidError) as refused:
        await downgrade(living, derived, RESTRICTED)

    assert [fault.code for fault in refused.value.faults] == ["below-source"]


async def _derived(world: World, source: str) -> str:
    # A contributor that may read what it builds on.
    await world.enrol("GBR analyst", "GBR", "contributor", "reader")
    return await world.post("GBR analyst", references=(source,))


async def test_downgrade_at_another_version_is_refused(living: World) -> None:
    report = await living.post(label=CONFIDENTIAL)
    with pytest.raises(PreconditionError):
        await downgrade(living, report, if_version=2)
    made = await downgrade(living, report, if_version=1)

    assert made.version == 2


async def test_recalled_report_is_neither_downgraded_nor_amended(living: World) -> None:
    report = await living.post()
    await recall(living, report)
    for act in (downgrade(living, report), amend(living, report)):
        with pytest.raises(ConflictError) as refused:
            await act
        assert refused.value.code == "recalled"


# ── amendment ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_amended_report_is_its_next_version_under_the_same_id(living: World) -> None:
    report = await living.post(content=CANARY)
    await pull(living, report)
    _, place = await listed(living, "NOR reader")
    made = await amend(living, report, content=b"second", subject="Second subject")
    pulled = await pull(living, report)

    assert made.version == 2
    assert pulled.parts == ((1, b"second"),)
    assert b"Second subject" in pulled.header_json
    assert len((await listed(living, "NOR reader", place))[0]) == 1
    assert told(living) == [("NOR reader", "amended", 2)]
    assert living.sql("SELECT count(*) FROM report_part") == [(1,)]


async def test_upgrade_tells_who_read_it_and_holds_at_once(living: World) -> None:
    report = await living.post(label=FOR_DENMARK)
    await pull(living, report, "DNK reader")
    await amend(living, report, label=SECRET)

    assert told(living) == [("DNK reader", "upgraded", 2)]
    with pytest.raises(NotFoundError):
        await pull(living, report, "DNK reader")


async def test_amendment_lowers_nothing(living: World) -> None:
    report = await living.post(content=CANARY)
    with pytest.raises(InvalidError) as lower:
        await amend(living, report, label=RESTRICTED)
    parts = (
        PostedPart(None, "text/plain", "a.txt", b"a"),
        PostedPart(RESTRICTED, "text/plain", "report.txt", CANARY),
    )
    with pytest.raises(InvalidError) as part:
        await amend(living, report, parts=parts)

    with pytest.raises(InvalidError) as sooner:
        await amend(living, report, declassify_on=living.clock.now.date() + timedelta(days=1))

    assert [fault.pointer for fault in sooner.value.faults] == ["/declassify_on"]
    assert [fault.pointer for fault in lower.value.faults] == ["/label"]
    assert [fault.pointer for fault in part.value.faults] == ["/parts/1/label"]


async def test_amendment_is_checked_like_a_post(living: World) -> None:
    report = await living.post()
    with pytest.raises(InvalidError) as refused:
        await amend(living, report, topic="maritime", regions=("MED",))

    assert {fault.code for fault in refused.value.faults} == {"outside-scope-topic", "outside-scope-region"}


async def test_foreign_and_absent_reports_cannot_be_amended(living: World) -> None:
    report = await living.post("NOR contributor")
    for report_id in (report, "0190c0de-0000-7000-8000-000000000000", "no-id"):
        with pytest.raises(NotFoundError):
            await amend(living, report_id)


async def test_two_amendments_at_once_one_wins_and_the_other_loses_nothing(living: World) -> None:
    report = await living.post()
    async with living.another_node() as other:
        every = await asyncio.gather(
            *(
                usecases.amend_report(services, living.call("GBR contributor"), report, living.posted(content=content))
                for services, content in ((living.services, b"one"), (other, b"two"))
            ),
            return_exceptions=True,
        )
    won = [each for each in every if not isinstance(each, BaseException)]
    (lost,) = [each for each in every if isinstance(each, ConflictError)] or [None]
    pulled = await pull(living, report)

    # Where one was whole before the other began, both are versions, one behind the other.
    assert len(won) == (2 if lost is None else 1)
    assert pulled.parts[0][1] in {b"one", b"two"}
    assert b'"version":%d' % (1 + len(won)) in pulled.header_json


async def test_expired_report_is_not_amended(living: World) -> None:
    report = await living.post(valid_until=living.clock.now + timedelta(hours=1))
    living.clock.advance(timedelta(hours=2))
    with pytest.raises(ConflictError) as refused:
        await amend(living, report)

    assert refused.value.code == "expired"


async def test_end_of_validity_moved_on_the_row_opens_nothing(living: World) -> None:
    ends = living.clock.now + timedelta(hours=1)
    report = await living.post(valid_until=ends)
    endless = await living.post()
    assert b'"status":"current"' in (await pull(living, report)).header_json
    living.sql("UPDATE report SET valid_until = $1", 2**53)
    for each in (report, endless):
        made = await living.attempt(usecases.pull_report(living.services, living.call("NOR reader"), each))
        assert isinstance(made.error, UnavailableError)
        assert made.entry["type"] == "key.opened"
    living.sql("UPDATE report SET valid_until = NULL")
    page = (await usecases.list_reports(living.services, living.call("NOR reader"), usecases.ListQuery())).value
    assert ([row.id for row in page.rows], len(page.unopened)) == ([endless], 1)
    with pytest.raises(UnavailableError):
        await usecases.read_part(living.services, living.call("NOR reader"), report, 1)


async def test_part_read_across_an_amendment_is_of_one_version(living: World, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("exchange.usecases.reading.read_part")
    report = await living.post(content=CANARY)
    seek = module.seek_permit

    async def slow(*given: Any, **asked: Any) -> Any:
        found = await seek(*given, **asked)
        monkeypatch.setattr(module, "seek_permit", seek)
        await amend(living, report)
        return found

    monkeypatch.setattr(module, "seek_permit", slow)
    with pytest.raises(UnavailableError, match="changed"):
        await usecases.read_part(living.services, living.call("NOR reader"), report, 1)


async def test_superseding_still_works_after_an_amendment(living: World) -> None:
    first = await living.post()
    await amend(living, first)
    await living.post(supersedes=first)

    assert b'"status":"superseded"' in (await pull(living, first)).header_json
    with pytest.raises(ConflictError) as refused:
        await amend(living, first)
    assert refused.value.code == "superseded"
