"""Searching the log: whatever is asked for, in whose slice, in which order, all of it is found and in order."""

import asyncio
import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from exchange.audit import (
    Actor,
    Auditor,
    Criteria,
    EntryDraft,
    EventName,
    Outcome,
    Subject,
    matches,
    parse_entry,
    view_of,
)
from exchange.crypto import SearchTokens
from exchange.store import Hit, Place, Sought, Store
from exchange.store.database.dialect import Row, Statement, Value
from exchange.store.database.engine import checked_url, new_engine
from exchange.store.database.fair_turns import FairTurns
from exchange.store.database.schema import head
from exchange.store.log import searching
from exchange.store.log.search_statements import Along
from tests.support.in_turn import InTurn
from tests.support.sequencing import run_sql, sequence
from tests.support.store import NOW, draft

MEMBERS = ("GBR", "NOR", "DNK", "GB", "GBRX")
LEVELS = ("SECRET", "CONFIDENTIAL", "RESTRICTED")
EVENTS = (EventName.REPORT_READ, EventName.REPORT_POSTED, EventName.REPORT_LISTED)
REASONS = ((), (), ("above-clearance",), ("not-releasable", "above-clearance"), ("role-missing",))
ADDRESSES, THUMBPRINTS = ("192.0.2.1", "192.0.2.10", "2001:db8::1", "local"), ("ab" * 32, "cd" * 32, "")
TOKENS = SearchTokens(bytes(32))
SEED = 4711


def random_draft(dice: random.Random, number: int) -> EntryDraft:
    member = dice.choice((*MEMBERS, None))
    agency = f"agency {dice.randrange(2)}"
    actor = (
        Actor("host")
        if member is None
        else Actor(
            "client",
            id=f"{member} {dice.randrange(3)}",
            member=member,
            agency=agency,
            thumbprint=dice.choice(THUMBPRINTS),
        )
    )
    # Several entries share a moment.
    fields: dict[str, object] = {"at": NOW + timedelta(seconds=number // 3), "actor": actor}
    fields["source"] = "host" if member is None else dice.choice(ADDRESSES)
    kind, reasons = dice.randrange(4), dice.choice(REASONS)
    if kind < 2:
        level, agreement = dice.choice(LEVELS), f"agreement {dice.randrange(3)}"
        fields |= {"label": {"policy": "NATO", "classification": level}, "owner": dice.choice(parties_of(agreement))}
        report = f"{fields['owner']} {dice.randrange(4)}"
        fields |= {"subject": Subject("report", report, 1)}
        fields |= {"agreement": agreement, "scope": "s"}
        # Who is no party is refused.
        reasons = reasons if member in parties_of(agreement) else ("not-a-party",)
    if kind == 2 and member is not None:
        agreement = dice.choice(treaties_of(member))
        fields |= {"subject": Subject("agreement", agreement), "agreement": agreement}
        fields |= {"detail": {"parties": parties_of(agreement)}}
        return draft(EventName.AGREEMENT_SIGNED, **fields)
    outcome = Outcome.REFUSED if reasons else dice.choice((Outcome.PERMITTED, Outcome.PERMITTED, Outcome.FAILED))
    crises = dice.choice(((), ("crisis/one",), ("crisis/one", "crisis/two")))
    return draft(dice.choice(EVENTS), outcome=outcome, reasons=reasons, policies=crises, **fields)


def parties_of(agreement: str) -> list[str]:
    return {"agreement 0": ["GBR", "NOR"], "agreement 1": ["NOR", "DNK"], "agreement 2": ["GB", "GBRX"]}[agreement]


def treaties_of(member: str | None) -> tuple[str, ...]:
    return tuple(each for each in (f"agreement {number}" for number in range(3)) if member in parties_of(each))


def own_of(member: str | None) -> frozenset[str]:
    """Clients and reports are called after their members here."""
    return frozenset({*(f"{member} {number}" for number in range(4)), *treaties_of(member), str(member)})


def random_criteria(dice: random.Random) -> Criteria:
    asked: dict[str, object] = {}
    choices: dict[str, Sequence[object]] = {
        "since": [NOW + timedelta(seconds=dice.randrange(100))],
        "until": [NOW + timedelta(seconds=dice.randrange(100))],
        "member": MEMBERS,
        "agency": ["agency 0", "agency 9"],
        "client": ["GBR 1", "NOR 2", "nobody"],
        "subject": ["GBR 3", "NOR 0", "GB 1", "agreement 1", "report 99"],
        "owner": MEMBERS,
        "agreement": ["agreement 0", "agreement 2"],
        "event": [event.value for event in EVENTS] + ["agreement.signed", "no.such"],
        "outcome": [outcome.value for outcome in Outcome],
        "level": LEVELS,
        "reason": ["above-clearance", "role-missing", "clear"],
        "text": ["clear", "role", "x|y"],
        "source": [TOKENS.of_address(each) for each in ADDRESSES],
        "thumbprint": [TOKENS.of_thumbprint(each) for each in ("ab" * 32, "ef" * 32)],
        "crisis": ["one", "two", "none"],
    }
    for name in dice.sample(sorted(choices), dice.choice((0, 1, 1, 1, 2, 3))):
        asked[name] = dice.choice(choices[name])
    return Criteria(**asked)  # type: ignore[arg-type]  # names of the fields


async def all_found(store: Store, sought: Sought, auditor: Auditor, at_a_time: int) -> list[Hit]:
    found = []
    async for hits in store.found_entries(sought, at_a_time=at_a_time):
        assert hits
        for hit in hits:
            view = view_of(parse_entry(hit.content), auditor)
            if view is not None and matches(view, sought.criteria):
                found.append(hit)
    return found


@pytest.fixture
async def contents(store: Store, store_url: str) -> list[bytes]:
    dice = random.Random(SEED)
    for number in range(300):
        await store.append(random_draft(dice, number))
    assert sequence(store_url) == 300
    return await store.entries(1_000)


def auditor_of(member: str | None, levels: frozenset[str] | None) -> Auditor:
    return Auditor(member, lambda label: levels is None or label["classification"] in levels)


async def test_every_search_finds_what_reading_all_of_it_finds(
    store: Store, contents: list[bytes], in_turn: InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random()
    for _ in in_turn(range(150)):
        monkeypatch.setattr(searching, "STRETCH", dice.choice((1, 4, 50, 2_000)))
        member, criteria = dice.choice((None, "GBR", "NOR", "GB", "ESP")), random_criteria(dice)
        levels = dice.choice((None, frozenset({"SECRET", "RESTRICTED"}), frozenset()))
        auditor, newest_first = auditor_of(member, levels), dice.choice((True, False))
        sought = Sought(criteria, member, treaties_of(member), levels, own_of(member), newest_first=newest_first)

        found = await all_found(store, sought, auditor, dice.choice((1, 2, 7, 101)))

        views = [(content, view_of(parse_entry(content), auditor)) for content in contents]
        expected = {content for content, view in views if view is not None and matches(view, criteria)}
        assert {hit.content for hit in found} == expected, sought
        assert len(found) == len(expected), sought
        assert found == sorted(found, reverse=newest_first), sought


async def test_whose_clients_and_whose_reports_are_asked_for_together(store: Store, contents: list[bytes]) -> None:
    """Which lanes are walked hangs on both: each pair, in a slice of one's own and for one cleared for little."""
    for member, owner, levels in itertools.product(
        (None, "NOR", "GBR"), (None, "NOR", "GBR"), (None, frozenset({"SECRET"}))
    ):
        criteria, auditor = Criteria(member=member, owner=owner), auditor_of("NOR", levels)
        sought = Sought(criteria, "NOR", treaties_of("NOR"), levels, own_of("NOR"))
        found = await all_found(store, sought, auditor, 50)

        views = [(content, view_of(parse_entry(content), auditor)) for content in contents]
        expected = {content for content, view in views if view is not None and matches(view, criteria)}
        assert {hit.content for hit in found} == expected, sought


async def test_what_is_not_the_auditors_is_not_walked_past(
    store: Store, contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be most of the log, and none of it is shown: to pass it costs time, and tells that it is there."""
    statements, source = store._search.newest_first.values(), TOKENS.of_address(ADDRESSES[0])
    walked: set[str] = set()
    fetch = store._database.fetch

    async def noted(statement: Statement, values: Mapping[str, Value]) -> Sequence[Row]:
        if statement in statements:
            keys = values["lane_key"]
            walked.update([keys] if isinstance(keys, str) else keys)  # type: ignore[arg-type]  # texts
        return await fetch(statement, values)

    monkeypatch.setattr(store._database, "fetch", noted)
    for criteria, keys in (
        (Criteria(client="GBR 1", owner="DNK"), set()),
        (Criteria(client="GBR 1", owner="NOR"), {"NOR|GBR 1"}),
        (Criteria(client="GBR 1"), {"NOR|GBR 1"}),
        (Criteria(subject="GBR 3"), {"NOR|GBR 3"}),
        (Criteria(agreement="agreement 2"), set()),
        (Criteria(source=source), {f"{source}|NOR"}),
    ):
        walked.clear()
        await all_found(store, Sought(criteria, "NOR"), auditor_of("NOR", None), 50)
        assert walked == keys, criteria
    walked.clear()
    await all_found(store, Sought(Criteria(agency="agency 1"), "NOR"), auditor_of("NOR", None), 50)
    assert {key.partition("|")[0] for key in walked} == {"NOR"}
    # Nor what is above a clearance or of another member, where the whole log is looked at; nor others' refusals there.
    for criteria, member in ((Criteria(), None), (Criteria(member="GBR"), "NOR")):
        walked.clear()
        sought = Sought(criteria, member, levels=frozenset({"SECRET"}))
        await all_found(store, sought, auditor_of(member, sought.levels), 50)
        assert {"SECRET"} <= {key.rpartition("|")[2] for key in walked} <= {"SECRET", ""}
        assert "" not in walked
    walked.clear()
    await all_found(store, Sought(Criteria(member="GB"), None), auditor_of(None, None), 50)
    assert {key.partition("|")[0] for key in walked} == {"GB"}


async def test_what_is_not_meant_or_is_withheld_is_not_even_found(store: Store, contents: list[bytes]) -> None:
    """The slice would leave it out, and to come so far costs time, and tells that it is there."""
    auditor, withheld = auditor_of("NOR", None), (Criteria(reason="above-clearance"), Criteria(text="clear"))
    within = Criteria(since=NOW + timedelta(seconds=20), until=NOW + timedelta(seconds=60))
    for criteria, newest_first in itertools.product((*withheld, within), (True, False)):
        sought = Sought(criteria, "NOR", treaties_of("NOR"), None, own_of("NOR"), newest_first=newest_first)
        found = [hit async for hits in store.found_entries(sought, at_a_time=50) for hit in hits]
        assert found == await all_found(store, sought, auditor, 50)
    # What others were refused of an own report that is above the auditor.
    levels = frozenset({"RESTRICTED"})
    for report in (f"NOR {number}" for number in range(4)):
        sought = Sought(Criteria(subject=report), "NOR", treaties_of("NOR"), levels, own_of("NOR"))
        found = [hit async for hits in store.found_entries(sought, at_a_time=50) for hit in hits]
        assert found == await all_found(store, sought, auditor_of("NOR", levels), 50)


async def test_search_that_passes_over_much_lets_others_in_meanwhile(
    store: Store, contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "STRETCH", 10)
    alone, beside = Criteria(agency="agency 0", event="no.such"), 0

    async def others() -> None:
        nonlocal beside
        while True:
            await asyncio.sleep(0)
            beside += 1

    waiting = asyncio.create_task(others())
    try:
        assert await all_found(store, Sought(alone, None), auditor_of(None, None), 50) == []
    finally:
        waiting.cancel()

    # Of 300 entries this agency has a third and more.
    assert beside >= 10 or not store._is_sqlite


async def test_searches_wait_for_those_of_the_same_asker_first() -> None:
    turns, order, gates = FairTurns(2), [], [asyncio.Event() for _ in range(4)]

    async def search(asker: str, gate: asyncio.Event) -> None:
        async with turns.turn(asker):
            order.append(asker)
            await gate.wait()

    askers = ("one", "one", "two", "three")
    tasks = [asyncio.create_task(search(*each)) for each in zip(askers, gates, strict=True)]
    for gate in (gates[2], gates[0], gates[1], gates[3]):
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(order) >= 2
        gate.set()
    await asyncio.gather(*tasks)

    # One of its two goes on at a time: another's is between them, and the third takes whichever place is free first.
    assert order[:2] == ["one", "two"]
    assert order[2:] == ["three", "one"]
    assert not turns._rows


async def test_searches_of_one_member_are_one_at_a_time_however_many_of_its_auditors_ask() -> None:
    turns, gate, order = FairTurns(2), asyncio.Event(), []

    async def search(asker: str, member: str) -> None:
        async with turns.turn(asker, member):
            order.append(asker)
            await gate.wait()

    tasks = [asyncio.create_task(search(*each)) for each in (("a", "NOR"), ("b", "NOR"), ("c", "NOR"), ("x", "GBR"))]
    for _ in range(8):
        await asyncio.sleep(0)
    begun = list(order)
    gate.set()
    await asyncio.gather(*tasks)

    assert begun == ["a", "x"]
    assert sorted(order) == ["a", "b", "c", "x"]
    assert not turns._rows


async def test_search_goes_on_behind_any_place(store: Store, contents: list[bytes]) -> None:
    auditor = auditor_of("NOR", None)
    for newest_first in (True, False):
        sought = Sought(Criteria(), "NOR", treaties_of("NOR"), newest_first=newest_first)
        whole = await all_found(store, sought, auditor, 50)
        assert len(whole) > 50
        for number in (0, 1, 20, len(whole) - 1):
            rest = await all_found(store, replace(sought, place=whole[number].place), auditor, 50)
            assert rest == whole[number + 1 :]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_what_gets_its_place_during_a_search_is_never_passed_over_by_it(
    store: Store, store_url: str, contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = store._database.fetch

    async def meanwhile(statement: Statement, values: Mapping[str, Value]) -> Sequence[Row]:
        rows = await fetch(statement, values)
        # The sequencer, whom no search waits for: it ends where the first stretch does, but for one entry.
        sequence(store_url)
        return rows

    monkeypatch.setattr(searching, "STRETCH", len(contents) + 1)
    for number in range(2):
        await store.append(random_draft(random.Random(SEED), 900 + number))
    monkeypatch.setattr(store._database, "fetch", meanwhile)
    found = await all_found(store, Sought(Criteria(), None, newest_first=False), auditor_of(None, None), 500)

    assert [hit.place.position for hit in found] == list(range(len(found)))


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_walk_that_is_cut_off_at_what_is_no_place_goes_on(
    store: Store, store_url: str, contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sql(store_url, "UPDATE audit_search SET position = 'x' || position WHERE position % 5 = 0")
    left = [position for position in range(len(contents)) if position % 5]

    for newest_first, stretch in itertools.product((False, True), (2, 5, 7)):
        monkeypatch.setattr(searching, "STRETCH", stretch)
        sought = Sought(Criteria(), None, newest_first=newest_first)
        found = await all_found(store, sought, auditor_of(None, None), 50)
        assert [hit.place.position for hit in found] == sorted(left, reverse=newest_first)


async def test_what_has_no_place_yet_is_not_found_but_shown(store: Store, store_url: str) -> None:
    receipt = await store.append(draft())
    sought = Sought(Criteria(), None)

    assert await all_found(store, sought, auditor_of(None, None), 10) == []
    assert parse_entry(await store.entry(receipt.entry) or b"")["id"] == receipt.entry
    assert await store.entry("absent") is None
    sequence(store_url)
    (hit,) = await all_found(store, sought, auditor_of(None, None), 10)
    assert hit.id == receipt.entry
    assert hit.place == Place(hit.place.at_micros, 0)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_walk_follows_its_index_and_sorts_nothing(store: Store, store_url: str, newest_first: bool) -> None:
    statements = store._search.newest_first if newest_first else store._search.oldest_first
    for along, statement in statements.items():
        plan = await plan_of(store, store_url, statement)

        assert f"audit_search_{INDEXES[along]}" in plan, (along, plan)
        assert not re.search(r"\b(Sort|Seq Scan|TEMP B-TREE|SCAN s)\b(?! USING)", plan), plan


INDEXES = {
    Along.TIME: "at",
    Along.FACET: "facet",
    Along.OWNER_FACET: "owner_facet",
    Along.OWNER_MEMBER_FACET: "owner_member_facet",
    Along.OWNER_CLIENT: "owner_client",
    Along.MEMBER_SUBJECT: "member_subject",
    Along.OWNER_REASONS: "owner_reasons",
    Along.MEMBER_REASONS: "member_reasons",
    Along.CLIENT: "actor",
    Along.AGENCY: "agency",
    Along.SUBJECT: "subject",
    Along.AGREEMENT: "agreement",
    Along.REASONS: "reasons",
    Along.SOURCE: "source_member",
    Along.THUMBPRINT: "thumbprint_member",
}


async def plan_of(store: Store, url: str, statement: Statement) -> str:
    """Return how the database would carry the statement out, as the store's own sessions have it."""
    is_sqlite = url.startswith("sqlite")
    values: dict[str, Value] = dict.fromkeys(statement.order)
    values |= {"since": 0, "until": 1, "share": 1, "levels_listed": []}
    lists: dict[str, Value] = {"lane_key": ["k"], "lane_at": [1], "lane_position": [1]}
    values |= {"lane_key": "k", "lane_at": 1, "lane_position": 1} if is_sqlite else lists
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN (COSTS OFF) "
    rows = await store._database.fetch(replace(statement, sql=explain + statement.sql), values)
    return "\n".join(str(row[-1]) for row in rows)


async def migrate_by_one(url: str, revision: str) -> None:
    """Run one migration alone: the later ones have found their tables already."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    engine = new_engine(checked_url(url), wait_seconds=10)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()


async def test_migration_fills_what_older_rows_lack(store: Store, store_url: str, contents: list[bytes]) -> None:
    wanted = "SELECT id, source_member, thumbprint_member FROM audit_search ORDER BY id"
    written = run_sql(store_url, wanted)
    for name in ("source_member", "thumbprint_member"):
        run_sql(store_url, f"DROP INDEX audit_search_{name}")
        run_sql(store_url, f"ALTER TABLE audit_search DROP COLUMN {name}")
    run_sql(store_url, "UPDATE alembic_version SET version_num = '0011'")
    await migrate_by_one(store_url, "0012")
    run_sql(store_url, f"UPDATE alembic_version SET version_num = '{head()}'")

    assert run_sql(store_url, wanted) == written
    assert len(written) == len(contents)
    assert {row[1] is None for row in written} == {row[2] is None for row in written} == {True, False}
