"""What the service says of itself: vocabulary, readiness, its own deeds, and the record read at the host."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from exchange import usecases
from exchange.audit import EventName, Outcome
from exchange.custody import CustodyUnavailableError, FileCustodian, create_root_file
from exchange.kernel import ForbiddenError, InvalidError, UnavailableError
from exchange.usecases import DutyWatch, EntryQuery
from exchange.usecases.agreements.note_reviews import note_reviews
from exchange.usecases.life.sweep_reports import sweep_reports
from exchange.usecases.steps.recording import draft, on_record, refuse
from exchange.usecases.upkeep.own_keys import accept_shared_key, hold_shared_key
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import World


async def test_caller_may_originate_what_its_clearance_covers(populated: World, subtests: pytest.Subtests) -> None:
    for level, nato in (
        ("UNCLASSIFIED", ("UNCLASSIFIED",)),
        ("RESTRICTED", ("RESTRICTED", "UNCLASSIFIED")),
        ("SECRET", ("SECRET", "CONFIDENTIAL", "RESTRICTED", "UNCLASSIFIED")),
        ("TOP SECRET", ("TOP SECRET", "SECRET", "CONFIDENTIAL", "RESTRICTED", "UNCLASSIFIED")),
    ):
        await populated.enrol(f"analyst for {level}", "NOR", "reader", level=level)
        analyst = populated.call(f"analyst for {level}")
        made = await populated.attempt(usecases.describe_vocabulary(populated.services, analyst))

        with subtests.test(level):
            assert made.value.value["NATO"] == nato
            assert set(made.value.value) == set(populated.services.law.catalogue.policies)
            assert (made.entry["type"], made.entry["decision"]) == ("vocabulary.read", "permitted")


async def test_service_is_ready_when_store_policy_and_custody_work(world: World) -> None:
    readiness = await usecases.check_readiness(world.services)

    assert readiness.is_ready
    assert [(check.name, check.is_working, check.finding) for check in readiness.checks] == [
        ("store", True, "works"),
        ("policy", True, "works"),
        ("log", True, "works"),
        ("custody", True, "works"),
        ("restore", True, "works"),
    ]


async def test_service_is_not_ready_without_its_keys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> None:
        raise CustodyUnavailableError("the keys are gone")

    monkeypatch.setattr(world.services.custodian, "check", gone)
    readiness = await usecases.check_readiness(world.services)

    assert not readiness.is_ready
    assert [check.finding for check in readiness.checks if not check.is_working] == ["the keys are gone"]


@pytest.fixture
def with_other_keys(populated: World, tmp_path: Path) -> World:
    """Give the world whose database stays, beside the root file of another instance."""
    create_root_file(tmp_path / "other.json", populated.clock.now, os.urandom)
    custodian = FileCustodian.load(tmp_path / "other.json")
    return replace(populated, services=replace(populated.services, custodian=custodian))


async def test_service_is_not_ready_with_the_keys_of_another_instance(with_other_keys: World) -> None:
    readiness = await usecases.check_readiness(with_other_keys.services)

    # What it would seal under them is lost as soon as the right file is back.
    assert [check.name for check in readiness.checks if not check.is_working] == ["custody"]
    assert "of another instance" in readiness.checks[3].finding


async def test_node_with_another_cursor_key_is_not_ready_until_it_is_accepted(populated: World) -> None:
    first, call = populated.services, populated.call(None)
    await hold_shared_key(first)
    other = replace(first, cursor_key=bytes(range(32)))
    await hold_shared_key(other)
    broken = (await usecases.check_readiness(other)).checks[3]

    # It would refuse the places that others gave, and post again what they have posted.
    assert (broken.name, broken.is_working) == ("custody", False)
    assert "is not the one that nodes of this database hold" in broken.finding
    assert (await usecases.check_readiness(first)).is_ready
    with pytest.raises(InvalidError, match="nothing to accept"):
        await accept_shared_key(first, call, "lost")
    made = await populated.attempt(accept_shared_key(other, call, "lost with its disk"))
    assert (made.entry["type"], made.entry["decision"]) == ("key.accepted", "permitted")
    assert [(await usecases.check_readiness(each)).is_ready for each in (first, other)] == [False, True]
    # Of the key itself nothing is kept.
    assert populated.sql("SELECT length(fingerprint) FROM shared_key") == [(16,)]


async def test_of_two_nodes_that_start_at_once_the_first_ones_cursor_key_counts(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = populated.services
    other = replace(first, cursor_key=bytes(range(32)))
    await hold_shared_key(first)

    async def none_yet() -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(other.store.shared_keys, "fingerprint", none_yet)
        await hold_shared_key(other)

    assert [(await usecases.check_readiness(each)).is_ready for each in (first, other)] == [True, False]


@pytest.mark.parametrize("change", ["wrapped_key = $1", "key_version = 7"])
async def test_row_that_does_not_open_stops_no_service(populated: World, change: str) -> None:
    await populated.attempt(usecases.describe_caller(populated.services, populated.call("NOR reader")))
    populated.unguard("personal_key")
    values = [bytes(60)] if "$1" in change else []
    populated.sql(f"UPDATE personal_key SET {change} WHERE kid = (SELECT min(kid) FROM personal_key)", *values)

    assert (await usecases.check_readiness(populated.services)).is_ready


async def test_version_that_another_node_has_stops_no_service(populated: World) -> None:
    populated.unguard("personal_key")
    populated.sql("UPDATE personal_key SET key_version = 7")

    assert (await usecases.check_readiness(populated.services)).is_ready


async def test_service_is_not_ready_under_another_law(world: World) -> None:
    world.sql("UPDATE policy_state SET policy_digest = 'other'")
    readiness = await usecases.check_readiness(world.services)

    assert [check.name for check in readiness.checks if not check.is_working] == ["policy"]


async def test_node_of_another_law_shows_nothing_and_ends_nothing(populated: World) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    report = await populated.post()
    populated.sql("UPDATE policy_state SET policy_digest = 'other'")
    services, call = populated.services, populated.call
    deeds = [
        lambda: usecases.search_entries(services, call("auditor"), EntryQuery()),
        lambda: usecases.recall_report(services, call("GBR releaser"), report, "the source is at risk"),
        lambda: usecases.begin_upload(services, call("GBR contributor"), populated.posted()),
        lambda: usecases.give_up_upload(services, call("GBR contributor"), report),
        lambda: DutyWatch(services).round(),
        lambda: note_reviews(services),
        lambda: sweep_reports(services, services.clock()),
    ]

    for deed in deeds:
        with pytest.raises(UnavailableError, match="other policy files"):
            await deed()


async def test_service_is_not_ready_without_its_store(world: World) -> None:
    world.sql("ALTER TABLE policy_state RENAME TO gone")
    readiness = await usecases.check_readiness(world.services)

    assert [check.is_working for check in readiness.checks] == [False, False, True, True, True]


async def test_law_in_force_is_changed_once_and_recorded(world: World) -> None:
    again = await world.attempt(usecases.put_law_in_force(world.services))
    version = world.sql("SELECT policy_version FROM policy_state")[0][0]
    world.sql("UPDATE policy_state SET policy_digest = 'other'")
    changed = await world.attempt(usecases.put_law_in_force(world.services))

    assert again.entries == []
    assert (changed.entry["type"], changed.entry["actor"]) == ("policy.changed", {"kind": "service"})
    assert changed.entry["object"] == {"type": "policy", "id": world.services.law.digest}
    assert world.sql("SELECT policy_version FROM policy_state")[0][0] == version + 1


async def test_host_reads_the_record_and_that_is_recorded(world: World) -> None:
    made = await world.attempt(usecases.read_entries(world.services, world.call(None), limit=3))

    assert len(made.value.value) == 3
    assert (made.entry["type"], made.entry["decision"], made.entry["id"]) == (
        "audit.read",
        "permitted",
        made.value.receipt.entry,
    )


@pytest.mark.parametrize("name", ["operator", "auditor", "NOR reader", "stranger"])
@IN_ONE_WORLD
async def test_nobody_else_reads_the_record(unchanged: World, name: str) -> None:
    made = await unchanged.attempt(usecases.read_entries(unchanged.services, unchanged.call(name)))

    assert isinstance(made.error, ForbiddenError)
    assert (made.entry["type"], made.entry["decision"]) == ("audit.read", "refused")


async def test_readiness_lets_unforeseen_errors_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.services.store, "ping", broken)
    with pytest.raises(ZeroDivisionError):
        await usecases.check_readiness(world.services)


async def test_record_that_cannot_be_written_stops_its_reader(world: World) -> None:
    world.sql("ALTER TABLE audit_outbox RENAME TO gone")
    with pytest.raises(UnavailableError):
        await usecases.read_entries(world.services, world.call(None))


async def test_refusal_that_is_on_the_record_is_not_recorded_twice(world: World) -> None:
    attempt = draft(world.call(None), None, EventName.MEMBER_ADDED, Outcome.REFUSED)

    async def refused_inside() -> None:
        async with on_record(world.services, attempt):
            await refuse(world.services, attempt, ForbiddenError("no"))

    made = await world.attempt(refused_inside())

    assert made.error is not None
    assert made.error.receipt.entry == made.entry["id"]
