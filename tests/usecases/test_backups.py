"""A backup made while others write fills an empty database of either kind, and revives nothing that was ended."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from exchange.agreements import Agreement
from exchange.audit import EntryDraft, EventName, Outcome, Subject, parse_entry, seal_entry
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, MalformedError, NotFoundError, UnavailableError
from exchange.store import OnwardWish, Parts
from exchange.store.books.restore_claims import Claim, confirm_claim, open_claims
from exchange.store.database.engine import checked_url, new_engine
from exchange.store.database.lineage import SPAN, next_lineage
from exchange.store.dumping import Replay, Since, dumped, load, misfits_in
from exchange.store.rows.unread import Unread
from exchange.usecases import (
    ListQuery,
    WantedErasure,
    add_subscription,
    check_readiness,
    describe_caller,
    list_onward,
    list_reports,
    pull_report,
    request_erasure,
    request_onward,
    resume_agreement,
    suspend_agreement,
    withdraw_agreement,
)
from exchange.usecases.agreements.move_again import move_again
from exchange.usecases.steps.recording import draft
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from exchange.usecases.upkeep.backups import (
    _TO_SEE_TO,
    Lacking,
    backup_lines,
    read_contents,
    require_its_keys,
    rows_of,
    what_came_after,
)
from tests.support.alerted_world import SilentLine
from tests.support.world import World, reopen_world

NOTHING = Since("restored", Replay(), ())
WHO_REFUSED = "019e830e-1a00-7000-b26e-14530b259d7d"


async def backed_up(world: World, **files: bytes) -> list[bytes]:
    lines = backup_lines(world.url, node="test", clock=world.clock, files=files)
    return [line async for line in lines]


async def rows(url: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    async for name, _, some in dumped(url):
        found.setdefault(name, []).extend(some)
    return {name: sorted(map(repr, some)) for name, some in found.items()}


async def test_every_row_comes_back_in_a_database_of_either_kind(populated: World, empty_urls: list[str]) -> None:
    for number in range(3):
        await populated.post(content=b"part %d" % number)
    lines = await backed_up(populated)
    before = await rows(populated.url)

    for url in empty_urls:
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        after = await rows(url)
        different = {name for name in before if before[name] != after[name]}
        # The log of a restored database stands still, and its policy versions are those of another lineage.
        assert different == {"policy_state"}


async def test_clock_is_held_against_what_was_signed_last_after_a_backup_from_before(
    populated: World, unused_urls: list[str]
) -> None:
    columns = "log, origin, keys, began_at, size, root, signed_at, note"
    populated.sql(f"INSERT INTO log_state ({columns}) VALUES (1, 'x', 'x', 1, 0, $1, 17, $1)", b"")
    lines = await backed_up(populated)

    for url in unused_urls:
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        assert (await rows(url))["timekeeping"] == ["[1, 17, None, None]"]


async def test_one_damaged_key_keeps_no_backup_from_being_restored(populated: World) -> None:
    for name in ("NOR reader", "GBR reader"):
        await describe_caller(populated.services, populated.call(name))
    populated.unguard("personal_key")
    damage, custodian = "UPDATE personal_key SET wrapped_key = $1", populated.services.custodian
    for kid, key in populated.sql("SELECT kid, wrapped_key FROM personal_key"):
        populated.sql(f"{damage} WHERE kid = $2", bytes(60), kid)
        await require_its_keys(read_contents(await backed_up(populated)), custodian)
        populated.sql(f"{damage} WHERE kid = $2", key, kid)

    populated.sql(damage, bytes(60))
    with pytest.raises(InvalidError, match="the keys here do not open the backup"):
        await require_its_keys(read_contents(await backed_up(populated)), custodian)


async def test_restored_reports_open_and_new_ones_can_be_posted(populated: World, unused_urls: list[str]) -> None:
    report = await populated.post(content=b"kept for later")
    lines = await backed_up(populated)

    for url in unused_urls:
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        again = await reopened(populated, url)
        pulled = await pull_report(again.services, again.call("NOR reader"), report)
        assert pulled.value.parts == ((1, b"kept for later"),)
        assert await again.post(content=b"afterwards") != report
        await again.services.store.close()


async def reopened(world: World, url: str) -> World:
    again = await reopen_world(url, world.folder, cursor_key=world.services.cursor_key)
    again.clock.now = world.clock.now
    return again


async def test_backup_is_of_one_moment_while_others_write(populated: World, unused_urls: list[str]) -> None:
    async def writing() -> None:
        for number in range(20):
            await populated.post(content=b"busy %d" % number)

    _, lines = await asyncio.gather(writing(), backed_up(populated))

    contents = read_contents(lines)
    by_table = contents.rows
    assert by_table.get("report", 0) == by_table.get("report_part", 0)
    # Each report with the entries of its post, and none without.
    await load(unused_urls[0], rows_of(lines), NOTHING, clock=populated.clock)
    found = await rows(unused_urls[0])
    posted = sum("report.posted" in row for row in await texts(unused_urls[0]))
    assert posted == len(found.get("report", []))


async def test_large_parts_are_put_aside_a_few_at_a_time(populated: World, unused_urls: list[str]) -> None:
    """Five hundred that were posted whole were in memory together, several times: gigabytes."""
    for letter in (b"a", b"b", b"c"):
        await populated.post(content=letter * (2 << 20))
    lines, before = await backed_up(populated), await rows(populated.url)

    assert max(map(len, lines)) < 6 << 20
    for url in unused_urls:
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        assert (await rows(url))["report_part"] == before["report_part"]


async def texts(url: str) -> list[str]:
    found: list[str] = []
    async for name, columns, some in dumped(url):
        if name == "audit_entry":
            place = columns.index("content")
            found += [base64.b64decode(row[place]["b"]).decode() for row in some]
    return found


async def test_database_in_use_is_left_alone(populated: World) -> None:
    lines = await backed_up(populated)
    before = await rows(populated.url)

    with pytest.raises(ConflictError, match=r"^the database `\w+\+\S+` is in use: .* one only$"):
        await load(populated.url, rows_of(lines), NOTHING, clock=populated.clock)

    assert await rows(populated.url) == before


@pytest.mark.parametrize("cut", [0, 1, -1])
async def test_backup_that_is_not_whole_is_refused(populated: World, cut: int) -> None:
    lines = await backed_up(populated)

    with pytest.raises(MalformedError):
        read_contents(lines[:cut])


async def test_failure_within_a_restore_leaves_an_empty_database(populated: World, empty_urls: list[str]) -> None:
    lines = await backed_up(populated)

    def breaking() -> Iterator[bytes]:
        yield from lines[: len(lines) // 2]
        raise MalformedError("the file ends here")

    for url in empty_urls:
        with pytest.raises(MalformedError):
            await load(url, rows_of(breaking()), NOTHING, clock=populated.clock)
        left = await rows(url)
        assert [name for name in ("member", "client", "report", "audit_entry") if left[name]] == []
        # and it can be tried again
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)


async def test_later_versions_are_refused(populated: World) -> None:
    lines = await backed_up(populated)
    later = lines[0].replace(b'"schema":"', b'"schema":"9')

    with pytest.raises(MalformedError, match="newer"):
        read_contents([later, *lines[1:]])


async def test_older_version_makes_no_backup_of_a_newer_database(populated: World) -> None:
    """After a roll back it may serve the newer database, and knows nothing of the newer one's tables."""
    engine = new_engine(checked_url(populated.url), wait_seconds=5)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()

    with pytest.raises(UnavailableError, match="left out; use the newer one"):
        await backed_up(populated)


async def test_what_was_recalled_and_erased_since_is_not_revived(populated: World, unused_urls: list[str]) -> None:
    recalled, kept = await populated.post(), await populated.post()
    lines = await backed_up(populated)
    since = Since("restored", Replay({recalled: "recalled"}, (("nobody", "2026-01"),)), ())

    for url in unused_urls:
        await load(url, rows_of(lines), since, clock=populated.clock)
        again = await reopened(populated, url)
        with pytest.raises(NotFoundError):
            await pull_report(again.services, again.call("NOR reader"), recalled)
        await pull_report(again.services, again.call("NOR reader"), kept)
        await again.services.store.close()
        dump = await rows(url)
        shredded = [row for row in dump["report_part"] if recalled in row]
        assert all("{'b': ''}" in row for row in shredded)


async def test_instance_is_not_ready_before_everything_is_confirmed(populated: World, unused_urls: list[str]) -> None:
    lines = await backed_up(populated)
    claims = (Claim("a", "client.revoked", "x", "exchange client revoke x"), Claim("b", "unknown-acts", "", "ask"))

    for url in unused_urls:
        await load(url, rows_of(lines), Since("restored", Replay(), claims), clock=populated.clock)
        again = await reopened(populated, url)
        for left, told in ((2, "2 things are to be"), (1, "1 thing is to be"), (0, "works")):
            assert len(await open_claims(url)) == left
            checks = {check.name: check for check in (await check_readiness(again.services)).checks}
            assert checks["restore"].is_working is (left == 0)
            assert told in checks["restore"].finding
            if left:
                assert await confirm_claim(url, (await open_claims(url))[0].id, clock=populated.clock)
        assert not await confirm_claim(url, "a", clock=populated.clock)
        await again.services.store.close()


async def test_backup_of_a_restored_instance_restores_again(populated: World, unused_urls: list[str]) -> None:
    """The second restore once failed over the first one's claim of the same name."""
    lines = await backed_up(populated)
    unknown = Claim("unknown-acts", "unknown-acts", "", "ask")
    await load(unused_urls[0], rows_of(lines), Since("restored", Replay(), (unknown,)), clock=populated.clock)
    restored = [line async for line in backup_lines(unused_urls[0], node="test", clock=populated.clock, files={})]

    for url in (f"{unused_urls[0]}.again", *unused_urls[1:]):
        await load(url, rows_of(restored), Since("restored", Replay(), (unknown, unknown)), clock=populated.clock)
        # What nobody confirmed in the first is to be confirmed still.
        assert [claim.id for claim in await open_claims(url)] == ["unknown-acts", "unknown-acts-2", "unknown-acts-3"]


async def test_act_that_had_its_second_person_waits_for_none(populated: World, unused_urls: list[str]) -> None:
    asked = await ask_for_erasure(populated)
    lines = await backed_up(populated)

    for url in unused_urls:
        since = Since("restored", Replay(acts={asked: WHO_REFUSED}), ())
        await load(url, rows_of(lines), since, clock=populated.clock)
        again = await reopened(populated, url)
        async with again.services.store.unit_of_work() as unit:
            assert [act.id for act in await unit.acts().open(Unread())] == []
            act = await unit.acts().one(asked)
            assert act is not None
            assert act.refuser == WHO_REFUSED
        await again.services.store.close()


async def test_request_that_was_refused_since_is_to_be_granted_by_nobody(
    populated: World, unused_urls: list[str]
) -> None:
    await populated.enrol("GBR releaser", "GBR", "releaser")
    wish = OnwardWish("ESP", (), (), None, "theirs is the operation")
    report, reader = await populated.post(), populated.call("NOR reader")
    refused, other = [(await request_onward(populated.services, reader, report, wish)).value.row.id for _ in range(2)]
    lines = await backed_up(populated)

    for url in unused_urls:
        since = Since("restored", Replay(refused={refused: WHO_REFUSED}), ())
        await load(url, rows_of(lines), since, clock=populated.clock)
        again = await reopened(populated, url)
        seen = (await list_onward(again.services, again.call("GBR releaser"))).value
        assert {view.row.id: (view.row.state.value, view.row.decided_by) for view in seen} == {
            refused: ("refused", WHO_REFUSED),
            other: ("asked", None),
        }
        await again.services.store.close()


async def ask_for_erasure(world: World) -> str:
    await describe_caller(world.services, world.call("NOR reader"))
    wanted = WantedErasure(world.clients["NOR reader"].id, "2026-06", "because")
    return (await request_erasure(world.services, world.call("operator"), wanted)).value.act.id


async def test_what_parties_did_is_done_again(populated: World, unused_urls: list[str]) -> None:
    """They could not do it before the instance serves, and until then the agreement would be in force."""
    agreement = populated.agreement_id
    lines = await backed_up(populated)
    before = len(await populated.services.store.entries(10_000))
    for member, act in (
        ("NOR", suspend_agreement),
        ("NOR", resume_agreement),
        ("NOR", suspend_agreement),
        ("DNK", withdraw_agreement),
    ):
        populated.clock.now += timedelta(seconds=1)
        await act(populated.services, populated.call(f"{member} signatory"), agreement)
    kept = (await populated.services.store.entries(10_000))[before:]
    lived = {party.member: party for party in (await shown(populated, agreement)).parties}

    _, claims, moves, _ = what_came_after(read_contents(lines), kept)
    later = [replace(moves[0], entry="other", agreement="01980000-0000-7000-8000-000000000009")]
    for url in unused_urls:
        await load(url, rows_of(lines), Since("restored", Replay(), claims), clock=populated.clock)
        again = await reopened(populated, url)
        done = await move_again(again.services, again.call(None), [*moves, *later])
        assert done == [move.entry for move in moves]
        assert {party.member: party for party in (await shown(again, agreement)).parties} == lived
        with pytest.raises(ForbiddenError):
            await move_again(again.services, again.call("operator"), moves)
        await again.services.store.close()

    assert [claim.kind for claim in claims] == [*["agreement.suspended"] * 2, "agreement.withdrawn", "unknown-acts"]
    assert {move.entry for move in moves} >= {claim.id for claim in claims[:3]}


async def shown(world: World, agreement_id: str) -> Agreement:
    found = await world.services.store.agreement(agreement_id)
    assert found is not None
    return found


async def test_removed_subscription_is_told_nothing(populated: World, unused_urls: list[str]) -> None:
    kept, removed = [
        (await add_subscription(populated.services, populated.call("NOR reader"), f"https://{host}.example/told")).value
        for host in ("kept", "removed")
    ]
    lines = await backed_up(populated)

    for url in unused_urls:
        since = Since("restored", Replay(subscriptions=(removed.row.id,)), ())
        await load(url, rows_of(lines), since, clock=populated.clock)
        again = await reopened(populated, url)
        await again.post()
        line = SilentLine()
        await Notifier(again.services, line, Reach()).round()
        assert [json.loads(body)["data"]["subscription"] for _, _, body in line.sent] == [kept.row.id]
        await again.services.store.close()


async def test_nobody_is_told_by_webhook_before_everything_is_confirmed(
    populated: World, unused_urls: list[str]
) -> None:
    """The service that does this beside the nodes does not ask whether they are ready."""
    await add_subscription(populated.services, populated.call("NOR reader"), "https://desk.example/told")
    await populated.post()
    lines = await backed_up(populated)
    claims = (Claim("a", "client.revoked", "x", "exchange client revoke x"),)

    for url in unused_urls:
        await load(url, rows_of(lines), Since("restored", Replay(), claims), clock=populated.clock)
        again = await reopened(populated, url)
        line = SilentLine()
        with pytest.raises(UnavailableError, match="to be confirmed"):
            await Notifier(again.services, line, Reach()).round()
        assert line.sent == []
        assert await confirm_claim(url, "a", clock=populated.clock)
        assert await Notifier(again.services, line, Reach()).round() == 1
        await again.services.store.close()


async def test_process_that_ran_through_a_restore_answers_nobody(populated: World, unused_urls: list[str]) -> None:
    """What it remembers bears numbers that the restored database gives once more: a client revoked anew would go on."""
    await populated.post()
    lines = await backed_up(populated)
    store = populated.services.store
    reader = populated.call("NOR reader").thumbprint or ""
    assert (await store.caller(reader)).client is not None

    await load(unused_urls[-1], rows_of(lines), NOTHING, clock=populated.clock)
    restored = await reopened(populated, unused_urls[-1])
    kept, store._database = store._database, restored.services.store._database
    try:
        with pytest.raises(UnavailableError, match="restart"):
            await store.caller(reader)
        with pytest.raises(UnavailableError, match="restart"):
            await store.report_for(reader, "00000000-0000-7000-8000-000000000000", parts=Parts.NONE)
    finally:
        store._database = kept
        await restored.services.store.close()


async def lineage_of(url: str) -> int:
    async for name, columns, some in dumped(url):
        if name == "policy_state" and some:
            return int(some[0][columns.index("policy_version")]) // SPAN
    raise AssertionError(url)


async def test_two_restores_of_one_backup_are_two_lineages(
    populated: World, unused_urls: list[str], tmp_path: Path
) -> None:
    lines = await backed_up(populated)
    lineages = [await lineage_of(populated.url)]
    for url in (unused_urls[-1], f"sqlite+aiosqlite:///{tmp_path}/again.db"):
        populated.clock.advance(timedelta(seconds=1))
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        lineages.append(await lineage_of(url))

    # A process that ran with the first one, or a cursor from there, does not go on with the second.
    assert lineages == sorted(set(lineages))


@pytest.mark.parametrize(("version", "year"), [(7, 2026), (7, 2025), (9 * SPAN + 7, 2025), ((1 << 31) * SPAN, 2026)])
def test_lineage_is_behind_the_one_that_was_restored_whatever_the_clock_says(version: int, year: int) -> None:
    begun = next_lineage(version, datetime(year, 1, 1, tzinfo=UTC))

    assert (begun % SPAN, begun > version) == (0, True)


async def test_cursor_from_before_a_restore_is_no_cursor(populated: World, unused_urls: list[str]) -> None:
    """It would pass over as many reports as the restore lost."""
    await populated.post()
    lines = await backed_up(populated)
    await populated.post()
    before = (await list_reports(populated.services, populated.call("NOR reader"), ListQuery())).value.next

    for url in unused_urls:
        await load(url, rows_of(lines), NOTHING, clock=populated.clock)
        again = await reopened(populated, url)
        await again.post()
        with pytest.raises(MalformedError, match="before a restore"):
            await list_reports(again.services, again.call("NOR reader"), ListQuery(before))
        afresh = (await list_reports(again.services, again.call("NOR reader"), ListQuery())).value
        assert len(afresh.items) == 2
        on = await list_reports(again.services, again.call("NOR reader"), ListQuery(afresh.next))
        assert not on.value.items
        await again.services.store.close()


def entry_of(draft: EntryDraft, number: int) -> bytes:
    ids = f"01980000-0000-7000-8000-{number:012d}"
    return seal_entry(draft, entry_id=ids, node="n", boot=ids, node_seq=number).content


async def test_kept_log_tells_what_was_narrowed_since(populated: World) -> None:
    call = populated.call(None)

    def deed(
        event: EventName, kind: str, subject: str, outcome: Outcome = Outcome.PERMITTED, **detail: str | list[str]
    ) -> EntryDraft:
        return draft(call, None, event, outcome, subject=Subject(kind, subject), detail=dict(detail))

    contents = read_contents(await backed_up(populated))
    kept = [
        deed(EventName.REPORT_RECALLED, "report", "r-1"),
        deed(EventName.REPORT_RECALLED, "report", "r-2", Outcome.REFUSED),
        deed(EventName.REPORT_ENDED, "report", "r-3"),
        deed(EventName.PERSONAL_ERASED, "client", "c-1", period="2026-10"),
        deed(EventName.CLIENT_REVOKED, "client", "c-2"),
        deed(EventName.MEMBER_SUSPENDED, "member", "NOR"),
        deed(EventName.CLIENT_CHANGED, "client", "c-3", standing="suspended", compartments=["ATOMAL", "B"], until=""),
        *(deed(event, "hold", "h-1") for event in (EventName.HOLD_PUT, EventName.HOLD_LIFTED)),
        deed(EventName.HOLD_PUT, "hold", "h-2"),
        deed(EventName.ACT_REFUSED, "act", "a-1"),
        deed(EventName.ACT_CONFIRMED, "act", "a-2"),
        deed(EventName.ACT_CONFIRMED, "act", "a-3", Outcome.REFUSED),
        deed(EventName.SUBSCRIPTION_REMOVED, "subscription", "s-1"),
        deed(EventName.ONWARD_REFUSED, "report", "r-5", request="o-1"),
        deed(EventName.DERIVATION_REFUSED, "report", "r-5", request="d-1"),
        deed(EventName.PROXY_REFUSED, "agreement", "a-4", consent="p-1"),
        deed(EventName.ONWARD_REFUSED, "report", "r-5", Outcome.REFUSED, request="o-2"),
        deed(EventName.REPORT_READ, "report", "r-4"),
    ]

    told = [entry_of(each, number) for number, each in enumerate(kept)]
    replay, claims, moves, ends = what_came_after(contents, told)

    assert replay == Replay(
        {"r-1": "recalled", "r-3": "expired"},
        (("c-1", "2026-10"),),
        {"a-1": "", "a-2": ""},
        ("s-1",),
        {"o-1": "", "d-1": "", "p-1": ""},
    )
    assert [(claim.kind, claim.subject) for claim in claims] == [
        ("client.revoked", "c-2"),
        ("member.suspended", "NOR"),
        ("client.changed", "c-3"),
        ("hold.put", "h-2"),
        ("unknown-acts", ""),
    ]
    assert "exchange client revoke c-2" in claims[0].told
    assert "was changed to standing suspended, compartments ATOMAL B: look at" in claims[2].told
    assert (moves, [each.entry for each in ends]) == ([], [parse_entry(told[0]), parse_entry(told[2])])


NARROWING = ("revoked", "suspended", "withdrawn", "ended", "removed", "retired", "activated", "amended", "recalled")
SEEN_TO_OTHERWISE = {
    "report.recalled": "its keys are destroyed again, and that is told",
    "report.ended": "its keys are destroyed again, and that is told",
    "subscription.removed": "it ends again",
}


def test_whatever_narrows_is_seen_to_after_a_restore() -> None:
    narrowing = {event.value for event in EventName if event.value.endswith((*NARROWING, "hold.put", "quorum_set"))}

    assert narrowing - set(SEEN_TO_OTHERWISE) <= set(_TO_SEE_TO)


async def test_without_a_kept_log_everything_since_is_to_be_asked_for(populated: World) -> None:
    contents = read_contents(await backed_up(populated))

    replay, claims, moves, ends = what_came_after(contents, None)

    assert (replay, moves, ends) == (Replay(), [], [])
    assert [claim.kind for claim in claims] == ["unknown-acts"]
    assert contents.made_at in claims[0].told


async def test_no_table_is_left_out(populated: World) -> None:
    engine = new_engine(checked_url(populated.url), wait_seconds=5)
    async with engine.connect() as connection:
        there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    await engine.dispose()

    assert {name async for name, _, _ in dumped(populated.url)} == there - {"alembic_version", "schema_floor"}


async def test_what_was_altered_keeps_nothing_from_being_put_aside_and_is_told(
    populated: World, unused_urls: list[str]
) -> None:
    report, other = await populated.post(), await populated.post()
    lines = await backed_up(populated)
    if populated.url.startswith("sqlite"):
        # Text that is none, and text where a number belongs: what a bad page leaves, and PostgreSQL does not take.
        populated.sql("UPDATE report SET precedence = CAST(x'ff00' AS TEXT), posted_at = 'x' WHERE id = $1", report)
        lacking = Lacking()
        asked = backup_lines(populated.url, node="test", clock=populated.clock, files={}, lacking=lacking)
        lines = [line async for line in asked]
        assert (lacking.altered, lacking.is_nothing) == ({"report": 1}, False)
        assert read_contents(lines).altered == {"report": 1}
    else:
        lines = [line.replace(b'"ROUTINE"', b'{"b":"/wA="}', 1) for line in lines]

    for url in unused_urls:
        await load(url, rows_of(iter(lines)), NOTHING, clock=populated.clock)
        world = await reopened(populated, url)
        try:
            # It comes back as nothing that is believed, and the other one whole.
            assert (await pull_report(world.services, world.call("NOR reader"), other)).value
            listed = (await list_reports(world.services, world.call("NOR reader"), ListQuery())).value
            assert other in {row.id for row in listed.rows}
        finally:
            await world.services.store.close()


async def test_what_sqlite_alone_keeps_is_restored_and_told(populated: World, unused_urls: list[str]) -> None:
    report, other = await populated.post(), await populated.post()
    records = list(rows_of(await backed_up(populated)))
    ((columns, some),) = [(columns, some) for name, columns, some in records if name == "report"]
    (row,) = [each for each in some if report in each]
    for column, value in (("precedence", "ROUT\0INE"), ("version", 1 << 31), ("posted_at", 1 << 63), ("supersedes", 7)):
        row[columns.index(column)] = value
    assert misfits_in("report", columns, some) == ["version, posted_at, precedence, supersedes"]

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        world = await reopened(populated, url)
        try:
            assert (await pull_report(world.services, world.call("NOR reader"), other)).value
            assert any(r"ROUT\\x00INE" in str(each) for each in (await rows(url))["report"])
        finally:
            await world.services.store.close()
