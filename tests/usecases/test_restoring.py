"""What a restore asks of a database beside its rows, and what it ends again."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.kernel import MalformedError, to_micros
from exchange.reports import PostedPart
from exchange.store import dumping
from exchange.store.books.restore_claims import open_claims
from exchange.store.dumping import Replay, Rows, Since, dumped, load
from exchange.usecases import describe_caller, pull_report
from exchange.usecases.upkeep.backups import rows_of
from tests.support.world import NOW, World
from tests.usecases.test_backups import NOTHING, WHO_REFUSED, backed_up, reopened, rows


async def held(url: str, table: str, *names: str) -> list[tuple[Any, ...]]:
    """Return these columns of every row of a table, in order; bytes as a backup has them."""
    found: list[tuple[Any, ...]] = []
    async for name, columns, some in dumped(url):
        if name == table:
            found += [tuple(row[columns.index(each)] for each in names) for row in some]
    return sorted(found, key=repr)


def written(world: World, table: str, *rows: dict[str, object]) -> None:
    """Add rows behind the exchange's back."""
    for row in rows:
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        world.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


async def records_of(world: World) -> list[Rows]:
    return list(rows_of(await backed_up(world)))


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_restore_that_reads_large_parts_for_long_is_not_ended_by_the_database(
    populated: World, unused_urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie behind the rows: after a minute of nothing else the transaction was ended, each time anew."""
    lines, begin, shown = await backed_up(populated), dumping._begin_lineage, list[str]()

    async def begun(connection: AsyncConnection, *others: Any) -> None:
        shown.append(str(await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))))
        await begin(connection, *others)

    monkeypatch.setattr(dumping, "_begin_lineage", begun)
    await load(unused_urls[-1], rows_of(lines), NOTHING, clock=populated.clock)

    assert shown == ["0"]


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_who_writes_a_backup_down_slowly_is_not_ended_by_the_database(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector, made = dumping.connector, list[Any]()

    def kept(url: str) -> Any:
        async def connect() -> Any:
            made.append(await connector(url)())
            return made[0]

        return connect

    monkeypatch.setattr(dumping, "connector", kept)
    async with aclosing(dumped(populated.url)) as dump:
        await anext(dump)
        assert await made[0].fetchval("SHOW idle_in_transaction_session_timeout") == "0"


async def test_rows_that_refer_to_what_was_deleted_keep_nothing_from_being_restored(
    populated: World, unused_urls: list[str]
) -> None:
    """Whoever owns a file of SQLite is not asked: one report deleted there, and no backup could be restored."""
    gone, other = await populated.post(), await populated.post()
    checkpoint = "INSERT INTO log_checkpoint (log, size, root, signed_at, note) VALUES (1, $2, $1, 1, $1)"
    cosigned = "INSERT INTO log_cosignature (log, size, witness, line, received_at) VALUES (1, $1, 'one', 'line', 1)"
    for size in (5, 7):
        populated.sql(checkpoint, b"", size)
        populated.sql(cosigned, size)
    populated.unguard("report_past")
    ((class_id,),) = populated.sql("SELECT class_id FROM report WHERE id = $1", other)
    for seq, (report, of) in enumerate(((gone, class_id), (other, 999), (other, class_id))):
        written(populated, "report_past", {"seq": seq, "report_id": report, "class_id": of, "until_at": 1})
    deleted = {"report": gone, "log_checkpoint": 7, "release_class": 999}
    records = [
        (name, columns, [row for row in some if name not in deleted or deleted[name] not in row])
        for name, columns, some in rows_of(await backed_up(populated))
    ]

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        world = await reopened(populated, url)
        assert (await pull_report(world.services, world.call("NOR reader"), other)).value
        await world.services.store.close()
        found = await rows(url)
        assert [len(found[name]) for name in ("report_part", "log_cosignature", "report_past")] == [1, 1, 1]
        claims = {claim.subject: claim.told for claim in await open_claims(url)}
        assert set(claims) == {"report_part", "log_cosignature", "report_past"}
        assert claims["report_part"].startswith("1 rows of `report_part` had no key when the backup was made, or refer")


async def test_rows_whose_keys_were_made_alike_keep_nothing_from_being_restored(
    populated: World, unused_urls: list[str]
) -> None:
    """What is no number stands there as one and the same: two such parts of a report could not both be put there."""
    parts = tuple(PostedPart(None, "text/plain", name, name.encode()) for name in ("one", "two"))
    await populated.post(parts=parts)
    rules = {"member": "GBR", "guards": "", "examples": "", "told": "[]", "digest": "x"}
    caveats = {**rules, "act_id": "x", "proposed_by": "x", "proposed_at": 1}
    written(populated, "caveat_set", *({**caveats, "id": f"set {number}", "number": number} for number in range(2)))
    records = await records_of(populated)
    for name, columns, some in records:
        for row in some if name in {"report_part", "caveat_set"} else ():
            _put(row, columns, "number", "no number")

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        found = await rows(url)
        assert [len(found[name]) for name in ("report", "report_part", "caveat_set")] == [1, 0, 0]
        assert {claim.id for claim in await open_claims(url)} == {"left-out-report_part", "left-out-caveat_set"}


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (("later", ["id"], [["x"]]), "a table `later` that this version does not know"),
        (("member", ["later"], [["x"]]), "the backup's table `member` has a column `later`"),
    ],
)
async def test_rows_that_this_version_does_not_know_are_not_left_out(
    populated: World, unused_urls: list[str], record: Rows, told: str
) -> None:
    records = await records_of(populated)

    for url in unused_urls:
        with pytest.raises(MalformedError, match=told):
            await load(url, iter([*records, record]), NOTHING, clock=populated.clock)
        assert await held(url, "member", "code") == []


async def test_backup_is_of_the_moment_at_which_it_began(populated: World) -> None:
    dump = dumped(populated.url)
    await anext(dump)
    await populated.post()

    later = {name: len(some) async for name, _, some in dump}
    assert (later["report_part"], later["release_class"]) == (0, 0)


@pytest.mark.parametrize(("why", "told"), [(None, "restored"), ("two trees", "two trees")])
async def test_log_in_use_stands_still_and_says_why_it_did_first(
    populated: World, unused_urls: list[str], why: str | None, told: str
) -> None:
    log = {"keys": "x", "began_at": 1, "size": 0, "root": b"", "signed_at": 17, "note": b""}
    written(populated, "log_state", {**log, "log": 1, "origin": "one"})
    written(populated, "log_state", {**log, "log": 2, "origin": "two", "frozen_why": why})
    written(populated, "timekeeping", {"id": 1, "believed_at": 23})
    records = await records_of(populated)

    for url in unused_urls:
        await load(url, iter(records), NOTHING, clock=populated.clock)
        assert await held(url, "log_state", "log", "frozen_why") == [(1, None), (2, told)]
        # What is kept of the clock is newer than any log.
        assert await held(url, "timekeeping", "believed_at") == [(23,)]


async def test_all_that_opens_a_report_that_was_recalled_since_is_gone(
    populated: World, unused_urls: list[str]
) -> None:
    recalled, kept = [await populated.post(declassify_on=NOW.date() + timedelta(days=90)) for _ in range(2)]
    records = await records_of(populated)
    for _, columns, some in (each for each in records if each[0] == "report_part"):
        for row in some:
            _put(row, columns, "location", f"place of {row[columns.index('report_id')]}")

    for url in unused_urls:
        await load(url, iter(records), Since("restored", Replay({recalled: "expired"}), ()), clock=populated.clock)
        (report,) = [
            row
            for row in await held(url, "report", "id", "status", "sealed_header", "declassify_on")
            if recalled in row
        ]
        assert report == (recalled, "expired", {"b": ""}, None)
        parts = {
            row[0]: row[1:]
            for row in await held(url, "report_part", "report_id", "wrapped_key", "ciphertext", "location")
        }
        assert parts[recalled] == ({"b": ""}, {"b": ""}, None)
        assert {"b": ""} not in parts[kept]
        assert await held(url, "blob_debris", "location") == [(f"place of {recalled}",)]


async def test_report_that_was_completed_and_recalled_since_is_completed_by_nobody(
    populated: World, unused_urls: list[str]
) -> None:
    key = {"key_id": "x", "key_version": 1}
    of_client = {"originator": "GBR", "client_id": "x", "agreement": "x", "begun_at": 1, "due_at": 2, "revision": 1}
    upload = {**of_client, **key, "header_suite": "x", "sealed_header": b"x"}
    content = {**key, "size_bytes": 1, "wrap_suite": "x", "wrapped_key": b"x", "suite": "x", "ciphertext": b"x"}
    digest = {"digest_key_id": "x", "digest_key_version": 1, "digest_suite": "x", "sealed_digest": b"x"}
    part = {**content, **digest, "number": 1}
    for each, ended, ended_at in (("begun", None, None), ("other", None, None), ("whole", "completed", 5)):
        written(populated, "upload", {**upload, "id": each, "ended": ended, "ended_at": ended_at})
        written(populated, "upload_part", {**part, "upload_id": each})
    records = await records_of(populated)
    for _, columns, some in (each for each in records if each[0] == "upload_part"):
        for row in some:
            _put(row, columns, "location", f"place of {row[columns.index('upload_id')]}")

    for url in unused_urls:
        since = Since("restored", Replay(dict.fromkeys(("begun", "whole"), "recalled")), ())
        await load(url, iter(records), since, clock=populated.clock)
        assert await held(url, "upload", "id", "ended", "ended_at", "sealed_header") == [
            ("begun", "abandoned", to_micros(populated.clock.now), {"b": ""}),
            ("other", None, None, {"b": "eA=="}),
            ("whole", "completed", 5, {"b": "eA=="}),
        ]
        assert await held(url, "upload_part", "upload_id") == [("other",)]
        assert await held(url, "blob_debris", "location") == [("place of begun",), ("place of whole",)]


def _put(row: Sequence[Any], columns: Sequence[str], name: str, value: object) -> None:
    assert isinstance(row, list)
    row[columns.index(name)] = value


async def test_keys_of_an_erased_period_are_destroyed_and_no_others(populated: World, unused_urls: list[str]) -> None:
    reader = populated.clients["NOR reader"].id
    for name in ("NOR reader", "GBR reader"):
        await describe_caller(populated.services, populated.call(name))
    ((kid, period),) = populated.sql("SELECT kid, period FROM personal_key WHERE subject = $1", reader)
    records = await records_of(populated)
    (keys,) = [each for each in records if each[0] == "personal_key"]
    (key,) = [row for row in keys[2] if kid in row]
    for name, at, destroyed_at in (("earlier", "2020-01", None), ("destroyed", period, 5)):
        another = list(key)
        for column, value in (("kid", name), ("period", at), ("destroyed_at", destroyed_at)):
            _put(another, keys[1], column, value)
        keys[2].append(another)

    for url in unused_urls:
        since = Since("restored", Replay(erased=[(reader, period)]), ())
        await load(url, iter(records), since, clock=populated.clock)
        found = await held(url, "personal_key", "kid", "destroyed_at", "wrapped_key")
        gone = {row[0]: row[1] for row in found if row[1] is not None}
        assert gone == {kid: to_micros(populated.clock.now), "destroyed": 5}
        assert [row[0] for row in found if row[2] == {"b": ""}] == [kid]


async def test_act_is_ended_again_where_it_waits_still(populated: World, unused_urls: list[str]) -> None:
    """What the kept log tells of may be in the backup already: its entry had no place in the log yet."""
    act = {"kind": "x", "payload": "{}", "digest": "x", "requester": "x", "requested_at": 1, "expires_at": 2}
    written(populated, "pending_act", *({**act, "id": each} for each in ("waits", "ended")))
    written(populated, "pending_act", {**act, "id": "confirmed", "approver": "other", "approved_at": 3})
    written(populated, "pending_act_end", {"act_id": "ended", "client": "other", "ended_at": 3})
    records = await records_of(populated)

    for url in unused_urls:
        since = Since("restored", Replay(acts=dict.fromkeys(("waits", "ended", "confirmed"), WHO_REFUSED)), ())
        await load(url, iter(records), since, clock=populated.clock)
        assert await held(url, "pending_act_end", "act_id", "client") == [("ended", "other"), ("waits", WHO_REFUSED)]


async def test_whatever_is_asked_of_an_originator_is_refused_again_where_it_waits_still(
    populated: World, unused_urls: list[str]
) -> None:
    report = await populated.post()
    asked = {"originator": "GBR", "asked_at": 1, "entry_id": "x"}
    of_report = {**asked, "report_id": report, "requester": "x", "requester_member": "NOR"}
    lower = {"version": 1, "lowest": "{}", "until": 2, "reason": "x"}
    rows_asked: dict[str, dict[str, object]] = {
        "onward_release": {**of_report, "asked": "{}"},
        "derivation_consent": {**of_report, **lower},
        "proxy_consent": {**asked, "proxy": "NOR", "agreement": "x", "scope": "x", "reason": "x", "asked_by": "x"},
    }
    for table, row in rows_asked.items():
        written(
            populated,
            table,
            *({**row, "id": state, "state": state} for state in ("asked", "awaiting-second-person", "granted")),
        )
    records = await records_of(populated)

    for url in unused_urls:
        since = Since(
            "restored", Replay(refused=dict.fromkeys(("asked", "awaiting-second-person", "granted"), WHO_REFUSED)), ()
        )
        await load(url, iter(records), since, clock=populated.clock)
        for table in rows_asked:
            assert await held(url, table, "id", "state", "decided_by") == [
                ("asked", "refused", WHO_REFUSED),
                ("awaiting-second-person", "refused", WHO_REFUSED),
                ("granted", "granted", None),
            ]


async def test_nothing_is_kept_of_a_subscription_that_was_removed_since(
    populated: World, unused_urls: list[str]
) -> None:
    sealed = {"client_id": "x", "url": "x", "key_id": "x", "key_version": 1, "wrap_suite": "x", "wrapped_secret": b"x"}
    due = {"queued_at": 1, "state": "waiting", "tries": 0, "next_at": 1}
    for each, ended_at in (("stands", None), ("removed", None), ("over", 5)):
        written(populated, "subscription", {**sealed, "id": each, "seq": 0, "added_at": 1, "ended_at": ended_at})
        written(populated, "subscription_delivery", {**due, "id": f"to {each}", "subscription_id": each})
    records = await records_of(populated)

    for url in unused_urls:
        since = Since("restored", Replay(subscriptions=("removed", "over")), ())
        await load(url, iter(records), since, clock=populated.clock)
        assert await held(url, "subscription", "id", "ended_at", "wrapped_secret") == [
            ("over", 5, {"b": "eA=="}),
            ("removed", to_micros(populated.clock.now), {"b": ""}),
            ("stands", None, {"b": "eA=="}),
        ]
        assert await held(url, "subscription_delivery", "id") == [("to stands",)]
