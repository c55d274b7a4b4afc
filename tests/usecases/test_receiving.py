"""The registry: CONFIDENTIAL and above is registered when it is distributed and when it is received."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import EntryDraft, EventName, Receipt
from exchange.kernel import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.store import ACKNOWLEDGED_MEANWHILE, ReceiptHow, ReceiptRow, Store, UnitOfWork
from exchange.store.books.report_receipts import ReportReceipts
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases import ClearanceChange
from exchange.usecases.log import heartbeat
from exchange.usecases.steps import registering
from tests.support.meanwhile import done_behind
from tests.support.world import World

receive_report = import_module("exchange.usecases.reading.receive_report")


def label(level: str, *to: str) -> Label:
    return Label("NATO", level, releasable_to=to or ("GBR", "NOR"))


async def registered(world: World, event: str) -> list[dict[str, Any]]:
    return [entry for entry in await world.entries() if entry["type"] == event]


async def beat(world: World) -> None:
    await heartbeat.beat(world.services, is_due=False)


async def read(world: World, report: str, name: str = "NOR reader") -> None:
    await usecases.pull_report(world.services, world.call(name), report)


# ── distribution ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("level", "count"), [("UNCLASSIFIED", 0), ("RESTRICTED", 0), ("CONFIDENTIAL", 1), ("SECRET", 1)]
)
async def test_post_is_registered_from_confidential_on(populated: World, level: str, count: int) -> None:
    report = await populated.post(label=label(level))
    entries = await registered(populated, "report.distributed")

    assert len(entries) == count
    for entry in entries:
        (posted,) = await registered(populated, "report.posted")
        assert entry["object"] == posted["object"] == {"type": "report", "id": report, "version": 1}
        assert entry["detail"] == {"to": ["GBR", "NOR"]}
        assert entry["node_seq"] == posted["node_seq"] + 1
        assert (entry["label"], entry["agreement"], entry["actor"]) == (
            posted["label"],
            posted["agreement"],
            posted["actor"],
        )


async def test_post_for_its_originator_alone_is_distributed_to_it(populated: World) -> None:
    await populated.post(label=Label("NATO", "SECRET"))
    (entry,) = await registered(populated, "report.distributed")

    assert entry["detail"] == {"to": ["GBR"]}


async def test_report_that_cannot_be_registered_is_not_posted(populated: World) -> None:
    populated.sql("ALTER TABLE audit_outbox RENAME TO gone")
    with pytest.raises(UnavailableError):
        await populated.post()
    populated.sql("ALTER TABLE gone RENAME TO audit_outbox")

    assert populated.sql("SELECT count(*) FROM report") == [(0,)]


async def test_repeated_post_is_distributed_once(populated: World) -> None:
    for _ in range(2):
        call = populated.call("GBR contributor")
        await usecases.post_report(populated.services, call, populated.posted(), idempotency_key="key")

    assert len(await registered(populated, "report.distributed")) == 1


# ── receipt by reading ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_first_read_of_each_client_is_registered(populated: World) -> None:
    report = await populated.post()
    for name in ("NOR reader", "GBR reader", "NOR reader"):
        await read(populated, report, name)
        await beat(populated)
    entries = await registered(populated, "report.received")

    assert [entry["actor"]["id"] for entry in entries] == [
        populated.clients[name].id for name in ("NOR reader", "GBR reader")
    ]
    (first, *_) = await registered(populated, "report.read")
    assert entries[0]["detail"] == {"how": "read"}
    for name in ("object", "label", "agreement", "scope", "purpose", "owner", "request_id", "ts"):
        assert entries[0][name] == first[name], name
    kept = populated.sql("SELECT how, entry_id FROM report_receipt ORDER BY entry_id")
    assert kept == sorted(("read", entry["id"]) for entry in entries)


async def test_read_of_one_part_is_a_receipt_too(populated: World) -> None:
    report = await populated.post()
    await usecases.read_part(populated.services, populated.call("NOR reader"), report, 1)
    await beat(populated)

    assert len(await registered(populated, "report.received")) == 1


async def test_read_below_confidential_is_not_registered(populated: World) -> None:
    await read(populated, await populated.post(label=label("RESTRICTED")))
    await beat(populated)

    assert await registered(populated, "report.received") == []


async def test_refused_read_is_no_receipt(populated: World) -> None:
    report = await populated.post(label=label("SECRET", "GBR"))
    with pytest.raises(NotFoundError):
        await read(populated, report)
    await beat(populated)

    assert await registered(populated, "report.received") == []


async def test_read_that_another_node_registered_is_known_here(populated: World) -> None:
    report = await populated.post()
    async with populated.another_node() as services:
        fresh = replace(services, register=registering.ReadRegister())
        await usecases.pull_report(fresh, populated.call("NOR reader"), report)
        await usecases.close_record(fresh)
    await read(populated, report)
    await beat(populated)

    assert len(await registered(populated, "report.received")) == 1


async def test_reads_wait_while_they_cannot_be_registered(populated: World) -> None:
    report = await populated.post()
    await read(populated, report)
    populated.sql("ALTER TABLE report_receipt RENAME TO gone")
    await beat(populated)
    assert len(await registered(populated, "node.heartbeat")) == 1
    populated.sql("ALTER TABLE gone RENAME TO report_receipt")
    await beat(populated)

    assert len(await registered(populated, "report.received")) == 1


async def test_entry_of_a_first_read_is_made_once_however_often_the_rest_fails(populated: World) -> None:
    await read(populated, await populated.post())
    with pytest.MonkeyPatch.context() as broken:

        async def away(*_: object) -> None:
            raise UnavailableError("the store went away")

        broken.setattr(ReportReceipts, "add", away)
        for _ in range(3):
            await beat(populated)
    await beat(populated)

    (entry,) = await registered(populated, "report.received")
    assert populated.sql("SELECT how, entry_id FROM report_receipt") == [("read", entry["id"])]


async def test_report_that_is_gone_keeps_no_other_read_from_being_registered_once(populated: World) -> None:
    gone, other = await populated.post(), await populated.post()
    for report in (gone, other):
        await read(populated, report)
    for name, column in (("report_part", "report_id"), ("report", "id")):
        populated.sql(f"DELETE FROM {name} WHERE {column} = $1", gone)
    for _ in range(3):
        await beat(populated)

    assert len(await registered(populated, "report.received")) == 2
    assert populated.sql("SELECT report_id FROM report_receipt") == [(other,)]
    assert populated.services.register.waiting == populated.services.register.recorded == {}


async def test_read_whose_entry_cannot_be_made_keeps_no_other_waiting(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await populated.post(), await populated.post()
    for report in (one, other):
        await read(populated, report)
    append = Store.append

    async def refuses(self: Store, draft: EntryDraft) -> Receipt:
        if draft.event is EventName.REPORT_RECEIVED and draft.subject is not None and draft.subject.id == one:
            raise UnavailableError("its entry cannot be made")
        return await append(self, draft)

    with monkeypatch.context() as broken:
        broken.setattr(Store, "append", refuses)
        for _ in range(2):
            await beat(populated)
    assert populated.sql("SELECT report_id FROM report_receipt") == [(other,)]
    await beat(populated)

    assert len(await registered(populated, "report.received")) == 2


async def test_more_first_reads_than_can_wait_are_told_of(
    populated: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registering, "_MOST_WAITING", 0)
    await read(populated, await populated.post())

    assert "more first reads" in caplog.text


async def test_memory_of_known_reads_is_bounded(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registering, "_MOST_REMEMBERED", 1)
    reports = [await populated.post(), await populated.post()]
    for report in (*reports, *reports):
        await read(populated, report)
        await beat(populated)

    assert len(populated.services.register.known) == 1
    assert len(await registered(populated, "report.received")) == 2


async def test_memory_of_labels_is_bounded_and_those_below_the_level_stay_unregistered(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registering, "_MOST_LABELS", 1)
    low = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    for report in (await populated.post(), await populated.post(label=low), await populated.post()):
        await read(populated, report)

    assert len(populated.services.register.labels) == 1
    await beat(populated)
    assert len(await registered(populated, "report.received")) == 2


# ── acknowledgement ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_acknowledgement_is_kept_with_its_entry(populated: World) -> None:
    report = await populated.post()
    made = await populated.attempt(usecases.receive_report(populated.services, populated.call("NOR reader"), report))
    kept = made.value.value

    assert (kept.report, kept.client, kept.at) == (report, populated.clients["NOR reader"].id, populated.clock.now)
    assert kept.entry == made.entry["id"] == made.value.receipt.entry
    assert (made.entry["type"], made.entry["decision"]) == ("report.received", "permitted")
    assert made.entry["detail"] == {"how": "acknowledged"}
    assert made.entry["label"]["classification"] == "SECRET"


async def test_acknowledgement_said_again_is_recorded_and_the_first_one_stands(populated: World) -> None:
    report = await populated.post()
    first = await usecases.receive_report(populated.services, populated.call("NOR reader"), report)
    populated.clock.advance(timedelta(minutes=5))
    again = await populated.attempt(usecases.receive_report(populated.services, populated.call("NOR reader"), report))

    assert again.value.value == first.value
    assert again.value.receipt.entry == again.entry["id"] != first.receipt.entry
    assert again.entry["detail"] == {"how": "acknowledged", "repeated": "yes"}


async def test_any_level_may_be_acknowledged_and_each_client_by_itself(populated: World) -> None:
    report = await populated.post(label=label("UNCLASSIFIED"))
    one = await usecases.receive_report(populated.services, populated.call("NOR reader"), report)
    other = await usecases.receive_report(populated.services, populated.call("GBR reader"), report)

    assert one.value.client != other.value.client


async def test_acknowledging_moves_no_policy(populated: World) -> None:
    report = await populated.post()
    before = populated.sql("SELECT policy_version FROM policy_state")
    await usecases.receive_report(populated.services, populated.call("NOR reader"), report)

    assert populated.sql("SELECT policy_version FROM policy_state") == before


async def test_acknowledgements_at_once_are_one(populated: World) -> None:
    report = await populated.post()
    async with populated.another_node() as second:
        every = await asyncio.gather(
            *(
                usecases.receive_report(services, populated.call("NOR reader"), report)
                for services in (populated.services, second) * 4
            )
        )

    assert len({recorded.value.entry for recorded in every}) == 1
    assert len({recorded.receipt.entry for recorded in every}) == 8


async def test_acknowledgement_that_always_comes_second_is_told_to_come_again(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(_: UnitOfWork, __: object) -> None:
        raise ConflictError("taken", code=ACKNOWLEDGED_MEANWHILE)

    report = await populated.post()
    monkeypatch.setattr(UnitOfWork, "acknowledge", taken)

    with pytest.raises(UnavailableError, match="again"):
        await usecases.receive_report(populated.services, populated.call("NOR reader"), report)


async def test_reader_whose_clearance_changes_meanwhile_is_told_so(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, reader = await populated.post(), populated.clients["NOR reader"].id
    to = ClearanceChange("TOP SECRET")
    host = populated.call(None)
    change = partial(usecases.change_clearance, populated.services, host, reader, to)
    done_behind(monkeypatch, receive_report, "seek_permit", change)

    with pytest.raises(ConflictError, match="changed meanwhile"):
        await usecases.receive_report(populated.services, populated.call("NOR reader"), report)
    assert populated.sql("SELECT count(*) FROM report_receipt") == [(0,)]


@pytest.mark.parametrize("entry", ["", "x", "[[1]]"])
async def test_acknowledgement_whose_entry_is_none_is_told_as_altered(populated: World, entry: str) -> None:
    report, call = await populated.post(), populated.call("NOR reader")
    await usecases.receive_report(populated.services, call, report)
    populated.sql("UPDATE report_receipt SET entry_id = $1", entry)

    with pytest.raises(UnreadRowError):
        await usecases.receive_report(populated.services, call, report)


@pytest.mark.parametrize("name", ["DNK reader", "ESP reader"])
async def test_invisible_report_cannot_be_acknowledged(populated: World, name: str) -> None:
    report = await populated.post()
    made = await populated.attempt(usecases.receive_report(populated.services, populated.call(name), report))

    assert isinstance(made.error, NotFoundError)
    assert (made.entry["type"], made.entry["decision"]) == ("report.received", "refused")
    assert populated.sql("SELECT count(*) FROM report_receipt") == [(0,)]


async def test_only_readers_acknowledge(populated: World) -> None:
    report = await populated.post()

    with pytest.raises(ForbiddenError):
        await usecases.receive_report(populated.services, populated.call("GBR contributor"), report)


async def test_nodes_keep_reads_of_one_client_in_one_order(populated: World) -> None:
    """Each waited for the other's receipts, and PostgreSQL ended one of them."""
    reports = [await populated.post() for _ in range(8)]
    async with populated.another_node() as other:
        for reader in map(str, range(15)):
            rows = [ReceiptRow(report, reader, ReceiptHow.READ, populated.clock.now, "entry") for report in reports]
            nodes = (populated.services.store.receipts, other.store.receipts)
            await asyncio.gather(nodes[0].add(rows), nodes[1].add(rows[::-1]))

    assert populated.sql("SELECT count(*) FROM report_receipt") == [(8 * 15,)]
