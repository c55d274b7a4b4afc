"""Posts: numbered as they commit, refused under a policy that has moved, replayed by their key."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import EventName, Receipt, columns_of
from exchange.kernel import CanonicalError, ConflictError, StalePolicyError, UnavailableError, to_micros
from exchange.release import class_digest
from exchange.reports import Precedence, ReportStatus
from exchange.store import GivenTo, Idempotency, IdempotentReplay, NewReport, Parts, PostedRow, Store, Superseding
from tests.support.store import (
    NOW,
    class_facts,
    draft,
    fresh_id,
    new_part,
    new_report,
    open_store,
    policy_version,
    rows_of,
)

NOBODY = "nobody"
POSTED = draft(EventName.REPORT_POSTED)


async def post(
    store: Store, report: NewReport, key: Idempotency | None = None, superseding: Superseding | None = None
) -> PostedRow | IdempotentReplay:
    version = await policy_version(store)
    return await store.post_report(report, POSTED, policy_version=version, idempotency=key, superseding=superseding)


def superseding(report: str) -> Superseding:
    reader = GivenTo("reader", "NOR", "NIS", NOW, "read")
    return Superseding(report, 1, draft(EventName.REPORT_SUPERSEDED), [reader])


def key(name: str = "key", digest: str = "digest", client_id: str = "client") -> Idempotency:
    return Idempotency(client_id, name, digest)


async def written(store: Store) -> list[int]:
    names = ("report", "report_part", "release_class", "idempotency", "audit_entry", "audit_outbox")
    return [(await rows_of(store, f"SELECT count(*) FROM {name}"))[0][0] for name in names]


async def test_report_comes_back_as_it_went_in(store: Store) -> None:
    until = NOW + timedelta(days=3)
    report = new_report(valid_until=until, parts=(new_part(1, b"one"), new_part(2, b"\x00two")))
    posted = await post(store, report)

    assert isinstance(posted, PostedRow)
    pulled = await store.report_for(NOBODY, report.id, parts=Parts.ALL)
    row = pulled.report
    assert row is not None
    assert (row.id, row.seq, row.class_id, row.version) == (report.id, posted.seq, posted.class_id, 1)
    assert (row.valid_until, row.status) == (until, ReportStatus.CURRENT)
    assert (row.key_id, row.key_version) == ("file/key", 1)
    assert (row.header_suite, row.sealed_header) == ("aes-256-gcm+agreement-key", b"sealed header")
    assert [(part.number, part.ciphertext, part.size_bytes) for part in pulled.parts] == [
        (1, b"one", 3),
        (2, b"\x00two", 4),
    ]
    assert pulled.parts[1].key_id == "file/part-2"
    assert pulled.parts[1].suite == "cobblestone-256"


async def test_only_the_parts_asked_for_are_loaded(store: Store) -> None:
    report = new_report(parts=(new_part(1, b"one"), new_part(2, b"two")))
    await post(store, report)

    async def numbers(parts: Parts | int) -> list[int]:
        return [part.number for part in (await store.report_for(NOBODY, report.id, parts=parts)).parts]

    assert await numbers(Parts.NONE) == []
    assert await numbers(Parts.ALL) == [1, 2]
    assert await numbers(2) == [2]
    assert await numbers(3) == []


async def test_absent_report_still_tells_the_state(store: Store) -> None:
    pulled = await store.report_for(NOBODY, fresh_id(), parts=Parts.ALL)

    assert pulled.report is None
    assert pulled.parts == ()
    assert pulled.state == (await store.caller(NOBODY)).state


async def test_report_and_entry_are_one(store: Store) -> None:
    posted = await post(store, new_report())

    assert isinstance(posted, PostedRow)
    assert await written(store) == [1, 1, 1, 0, 1, 1]
    (content,) = await store.entries(10)
    assert posted.receipt == Receipt.of(columns_of(content).id, hashlib.sha256(b"\0" + content).digest())


async def test_reports_of_one_class_share_its_row(store: Store) -> None:
    first, second, other = [await post(store, new_report(class_facts(number))) for number in (1, 1, 2)]

    assert isinstance(first, PostedRow)
    assert isinstance(second, PostedRow)
    assert isinstance(other, PostedRow)
    assert first.class_id == second.class_id != other.class_id
    classes = await store.release_classes(0)
    assert [kept.facts for kept in classes] == [class_facts(1), class_facts(2)]
    assert [kept.digest for kept in classes] == [class_digest(class_facts(1)), class_digest(class_facts(2))]
    assert await store.release_classes(classes[0].version) == [classes[1]]
    assert await store.release_class(other.class_id) == classes[1]
    assert (await store.caller(NOBODY)).state.class_version == classes[1].version


async def test_post_under_a_policy_that_moved_is_refused_and_leaves_nothing(store: Store) -> None:
    before = await policy_version(store)
    async with store.unit_of_work() as unit:
        await unit.put_policy_digest("another law")
        await unit.record(draft())

    with pytest.raises(StalePolicyError):
        await store.post_report(new_report(), POSTED, policy_version=before, idempotency=key())
    assert await written(store) == [0, 0, 0, 0, 1, 1]


async def test_post_waits_for_a_policy_that_is_moving_and_is_refused(store: Store, store_url: str) -> None:
    version, other = await policy_version(store), await open_store(store_url)
    try:
        async with other.unit_of_work() as unit:
            await unit.put_policy_digest("another law")
            posting = asyncio.create_task(
                store.post_report(new_report(), POSTED, policy_version=version, idempotency=None)
            )
            done, _ = await asyncio.wait([posting], timeout=0.2)
            assert not done
            await unit.record(draft(EventName.POLICY_CHANGED))
        with pytest.raises(StalePolicyError):
            await posting
    finally:
        await other.close()

    assert await written(store) == [0, 0, 0, 0, 1, 1]


async def test_same_key_and_request_is_answered_with_the_first_report(store: Store) -> None:
    report = new_report()
    await post(store, report, key())

    assert await post(store, new_report(), key()) == IdempotentReplay(report.id, to_micros(report.posted_at))
    assert await written(store) == [1, 1, 1, 1, 1, 1]


async def test_replay_is_answered_under_a_policy_that_moved(store: Store) -> None:
    report, before = new_report(), await policy_version(store)
    await post(store, report, key())
    async with store.unit_of_work() as unit:
        await unit.put_policy_digest("another law")
        await unit.record(draft())

    replay = await store.post_report(new_report(), POSTED, policy_version=before, idempotency=key())
    assert replay == IdempotentReplay(report.id, to_micros(report.posted_at))


async def test_same_key_with_another_request_is_refused(store: Store) -> None:
    await post(store, new_report(), key())

    with pytest.raises(ConflictError, match="another request"):
        await post(store, new_report(), key(digest="other"))
    assert await written(store) == [1, 1, 1, 1, 1, 1]


async def test_key_of_another_client_is_another_key(store: Store) -> None:
    first, version = await post(store, new_report(), key()), await policy_version(store)
    # At once: what is looked up for all posts of a batch is each one's own all the same.
    whose = ["client", "other"] * 4
    posts = [
        store.post_report(new_report(), POSTED, policy_version=version, idempotency=key(client_id=each))
        for each in whose
    ]
    answers = await asyncio.gather(*posts)
    ids = {
        name: {answer.report_id for answer, each in zip(answers, whose, strict=True) if each == name} for name in whose
    }

    assert ids["client"] == {first.report_id}
    assert len(ids["other"] - ids["client"]) == len(ids["other"]) == 1


@pytest.mark.parametrize(("hours", "is_replayed"), [(23, True), (24, False), (48, False)])
async def test_key_is_honoured_for_a_day(store: Store, hours: int, is_replayed: bool) -> None:
    await post(store, new_report(), key())
    later = new_report(posted_at=NOW + timedelta(hours=hours))

    assert isinstance(await post(store, later, key()), IdempotentReplay) is is_replayed


async def test_one_key_at_once_posts_once(store: Store) -> None:
    version = await policy_version(store)
    posts = [store.post_report(new_report(), POSTED, policy_version=version, idempotency=key()) for _ in range(8)]
    answers = await asyncio.gather(*posts)

    assert sum(isinstance(answer, PostedRow) for answer in answers) == 1
    assert len({answer.report_id for answer in answers}) == 1
    assert (await written(store))[0] == 1


async def test_one_key_on_two_nodes_at_once_posts_once(store: Store, store_url: str) -> None:
    version = await policy_version(store)
    other = await open_store(store_url)
    try:
        posts = [
            each.post_report(new_report(), POSTED, policy_version=version, idempotency=key())
            for each in (store, other) * 4
        ]
        answers = await asyncio.gather(*posts)
    finally:
        await other.close()

    assert len({answer.report_id for answer in answers}) == 1
    assert (await written(store))[0] == 1


async def test_bad_job_in_a_batch_harms_only_itself(store: Store) -> None:
    twice, version = new_report(), await policy_version(store)
    await post(store, twice)
    good = [new_report() for _ in range(4)]
    jobs = [
        store.post_report(each, POSTED, policy_version=version, idempotency=None)
        for each in [*good[:2], twice, *good[2:]]
    ]
    jobs.append(store.append(draft()))
    answers = await asyncio.gather(*jobs, return_exceptions=True)

    assert [type(answer) for answer in answers[:5]] == [PostedRow, PostedRow, ConflictError, PostedRow, PostedRow]
    assert isinstance(answers[5], Receipt)
    assert await written(store) == [5, 5, 1, 0, 6, 6]
    seqs = await rows_of(store, "SELECT seq FROM report ORDER BY seq")
    assert [row[0] for row in seqs] == [1, 2, 3, 4, 5]


async def test_superseded_report_is_marked_with_its_successor(store: Store) -> None:
    first = new_report()
    await post(store, first)
    posted = await post(store, new_report(supersedes=first.id), superseding=superseding(first.id))

    assert isinstance(posted, PostedRow)
    (_, about) = posted.entries
    assert await rows_of(store, "SELECT client_id, report_id, entry_id FROM report_notice") == [
        ("reader", first.id, about.id)
    ]
    row = (await store.report_for(NOBODY, first.id, parts=Parts.NONE)).report
    assert row is not None
    assert row.status is ReportStatus.SUPERSEDED


@pytest.mark.parametrize(
    ("status", "version", "refused"),
    [
        ("recalled", 1, ConflictError),
        ("expired", 1, ConflictError),
        ("no status", 1, ConflictError),
        ("current", 2, StalePolicyError),
        ("superseded", 1, None),
    ],
)
async def test_place_that_is_not_to_be_taken_harms_no_other_post(
    store: Store, status: str, version: int, refused: type[Exception] | None
) -> None:
    first, unknown = new_report(), new_report(supersedes=fresh_id())
    await post(store, first)
    await rows_of(store, f"UPDATE report SET status = '{status}'")
    wanted = replace(new_report(supersedes=first.id), superseded_version=version)
    came = await asyncio.gather(
        *(post(store, each, superseding=superseding(first.id)) for each in (wanted, unknown, new_report())),
        return_exceptions=True,
    )

    assert (type(came[0]) is refused) is (refused is not None)
    assert type(came[1]) is ConflictError
    assert isinstance(came[2], PostedRow)
    row = (await rows_of(store, f"SELECT status FROM report WHERE id = '{first.id}'"))[0]
    assert row[0] == status
    # What was superseded once is told no second time.
    assert await rows_of(store, "SELECT * FROM report_notice") == []


async def test_recorded_time_never_falls_when_the_clock_does(store: Store) -> None:
    for minutes in (5, -30, 2, 9):
        await post(store, new_report(posted_at=NOW + timedelta(minutes=minutes)))
    recorded = await rows_of(store, "SELECT recorded_at FROM report ORDER BY seq")

    assert recorded == sorted(recorded)


async def test_post_too_large_to_record_takes_nobodys_place(store: Store) -> None:
    huge = replace(POSTED, detail={"many": ["x" * 200] * 500})
    first = new_report()
    await post(store, first)
    version = await policy_version(store)
    answers = await asyncio.gather(
        *(
            store.post_report(new_report(supersedes=first.id), draft, policy_version=version, idempotency=None)
            for draft in (huge, POSTED)
        ),
        return_exceptions=True,
    )
    other = new_report()
    await post(store, other)
    with pytest.raises(CanonicalError):
        await store.post_report(new_report(supersedes=other.id), huge, policy_version=version, idempotency=None)

    assert [isinstance(answer, PostedRow) for answer in answers] == [False, True]
    standing = {row[0]: row[1] for row in await rows_of(store, "SELECT id, status FROM report")}
    assert (standing[first.id], standing[other.id]) == ("superseded", "current")


async def test_post_too_large_to_record_is_refused_alone(store: Store) -> None:
    huge = replace(POSTED, detail={"many": ["x" * 200] * 500})
    version = await policy_version(store)
    answers = await asyncio.gather(
        store.post_report(new_report(), huge, policy_version=version, idempotency=None),
        store.post_report(new_report(precedence=Precedence.FLASH), POSTED, policy_version=version, idempotency=None),
        return_exceptions=True,
    )

    assert not isinstance(answers[0], PostedRow)
    assert isinstance(answers[1], PostedRow)
    assert answers[1].seq == 1

    # Nor does one that comes behind the last entry of its node take that entry with it.
    late = store.post_report(new_report(), POSTED, policy_version=version, idempotency=None)
    ended = store.node.append_evidence(draft(EventName.SERVICE_STOPPED), is_closing=True)
    refused, receipt = await asyncio.gather(late, ended, return_exceptions=True)
    assert isinstance(refused, UnavailableError)
    assert isinstance(receipt, Receipt)


async def test_nodes_that_post_at_once_number_in_one_row_and_share_new_classes(store: Store, store_url: str) -> None:
    version = await policy_version(store)
    other = await open_store(store_url)
    try:
        posts = [
            each.post_report(new_report(class_facts(number)), POSTED, policy_version=version, idempotency=None)
            for number in range(8)
            for each in (store, other)
        ]
        answers = await asyncio.gather(*posts)
    finally:
        await other.close()

    posted = [answer for answer in answers if isinstance(answer, PostedRow)]
    assert sorted(answer.seq for answer in posted) == list(range(1, 17))
    assert [first.class_id == second.class_id for first, second in zip(posted[::2], posted[1::2], strict=True)] == [
        True
    ] * 8
    assert sorted({answer.class_id for answer in posted}) == list(range(1, 9))
    assert await written(store) == [16, 16, 8, 0, 16, 16]
