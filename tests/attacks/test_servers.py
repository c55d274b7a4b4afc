"""Classes 35, 37, and answers that change hands: real servers that are hammered, killed, filled up and cut off."""

import asyncio
import random
import resource
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from exchange.audit import parse_entry
from tests.attacks.hidden import report_body
from tests.attacks.served import WAIT_SECONDS, Instance, client, make_instance, rows, serving, start
from tests.support.postgres import beside, database_of, execute, fetch, private_cluster

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]

CLIENTS = {
    "GBR writer": ("contributor",),
    "GBR reader": ("reader",),
    "GBR releaser": ("releaser",),
    "NOR reader": ("reader",),
    "DNK reader": ("reader",),
}
PERMITTED_POST = ("report.posted", "permitted")
QUESTIONS = 110
CANARY = "canary 4711 of the report"


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return make_instance(tmp_path_factory.mktemp("attacked") / "sqlite", None, CLIENTS)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """On a cluster whose commits are on the disk: what is acknowledged must outlive a kill."""
    with private_cluster(fsync=True) as url:
        yield make_instance(tmp_path_factory.mktemp("attacked") / "postgres", url, CLIENTS)


@pytest.fixture
def instance(backend: str, request: pytest.FixtureRequest) -> Instance:
    made: Instance = request.getfixturevalue("on_sqlite" if backend == "sqlite" else "on_postgres")
    return made


def body(instance: Instance, *members: str, **others: Any) -> dict[str, Any]:
    """Return a report for some members."""
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": sorted(members)}
    part = {"media_type": "text/plain", "name": "a.txt", "content": CANARY, "encoding": "utf-8"}
    return report_body(instance.agreement, label=label, parts=[part], **others)


async def post(caller: httpx2.AsyncClient, instance: Instance, *members: str, **others: Any) -> str:
    answer = await caller.post("/v1/reports", json=body(instance, *members, **others))
    assert answer.status_code == 201, answer.text
    report: str = answer.json()["id"]
    return report


async def test_answers_of_two_workers_never_change_hands(instance: Instance) -> None:
    """Two members at once, over many connections to two workers: nothing of the one is ever told to the other."""
    with serving(instance, "--workers", 2) as running:
        async with (
            client(instance, running, "GBR writer") as writer,
            client(instance, running, "NOR reader", connections=6) as nor,
            client(instance, running, "DNK reader", connections=6) as dnk,
        ):
            only = {
                "NOR": [await post(writer, instance, "GBR", "NOR", subject="for NOR") for _ in range(3)],
                "DNK": [await post(writer, instance, "DNK", "GBR", subject="for DNK") for _ in range(3)],
            }
            asked = [ask(nor, "NOR", only) for _ in range(6)] + [ask(dnk, "DNK", only) for _ in range(6)]
            counts = await asyncio.gather(*asked)

    assert sum(counts) == 12 * QUESTIONS


async def ask(caller: httpx2.AsyncClient, member: str, only: dict[str, list[str]]) -> int:
    """Ask questions in random order and check that each answer is one's own."""
    other = {"NOR": "DNK", "DNK": "NOR"}[member]
    chance = random.Random()  # which question comes next is no secret
    for _ in range(QUESTIONS):
        own, foreign = chance.choice(only[member]), chance.choice(only[other])
        match chance.randrange(6):
            case 0:
                assert (await caller.get("/v1/whoami")).json()["member"] == member
            case 1:
                page = (await caller.get("/v1/reports")).json()["items"]
                assert {item["subject"] for item in page} == {f"for {member}"}
                assert {item["id"] for item in page} >= set(only[member])
            case 2:
                pulled = (await caller.get(f"/v1/reports/{own}")).json()
                assert (pulled["id"], pulled["subject"]) == (own, f"for {member}")
            case 3:
                assert (await caller.get(f"/v1/reports/{own}/explanation")).json()["id"] == own
            case 4:
                assert (await caller.get(f"/v1/reports/{foreign}/parts/1")).status_code == 404
            case _:
                clients = (await caller.get("/v1/clients")).json()["items"]
                assert {item["member"] for item in clients} == {member}
    return QUESTIONS


async def test_37_what_was_acknowledged_outlives_kill_9_and_nothing_is_half_there(instance: Instance) -> None:
    acknowledged: set[str] = set()
    recalled: set[str] = set()
    for round_number in range(2):
        running = start(instance, *(("--workers", 2) if round_number else ()))
        try:
            async with (
                client(instance, running, "GBR writer", connections=8) as writer,
                client(instance, running, "GBR releaser") as releaser,
            ):
                enough, ended_one = asyncio.Event(), asyncio.Event()
                acts = [post_until_cut(writer, instance, acknowledged, enough) for _ in range(8)]
                acts.append(recall_until_cut(releaser, sorted(acknowledged), recalled, ended_one))
                tasks = [asyncio.create_task(each) for each in acts]
                await asyncio.wait_for(asyncio.gather(enough.wait(), ended_one.wait()), WAIT_SECONDS)
                running.kill()
                await asyncio.gather(*tasks)
        finally:
            if running.process.poll() is None:
                running.kill()

    with serving(instance) as running:
        async with client(instance, running, "GBR reader", connections=8) as reader:
            for report in acknowledged:
                pulled = await reader.get(f"/v1/reports/{report}")
                # Whole, or recalled: also the one whose recall was cut off.
                assert pulled.status_code in ({404} if report in recalled else {200, 404})
                assert pulled.status_code == 404 or pulled.json()["parts"][0]["content"] == CANARY
    ended = {row[0] for row in rows(instance, "SELECT report_id FROM report_tombstone")}
    opened = rows(
        instance, "SELECT r.id FROM report AS r JOIN report_part AS p ON p.report_id = r.id WHERE r.status = 'current'"
    )
    reports = {row[0] for row in rows(instance, "SELECT id FROM report")}
    parts = {row[0] for row in rows(instance, "SELECT report_id FROM report_part")}
    entries = [parse_entry(bytes(row[0])) for row in rows(instance, "SELECT content FROM audit_entry")]
    posted = [entry["object"]["id"] for entry in entries if (entry["type"], entry["decision"]) == PERMITTED_POST]
    waiting = [row[0] for row in rows(instance, "SELECT entry_id FROM audit_outbox")]
    placed = [row[0] for row in rows(instance, "SELECT entry_id FROM log_leaf")]
    sequence = sorted(row[0] for row in rows(instance, "SELECT seq FROM report"))

    assert recalled
    assert recalled <= ended
    assert {row[0] for row in opened} == reports - ended
    assert acknowledged <= reports
    assert parts == reports
    assert sorted(posted) == sorted(reports)
    # Each waits for its place or has one, never both, never twice.
    assert sorted(waiting + placed) == sorted(entry["id"] for entry in entries)
    assert rows(instance, "SELECT report_seq FROM policy_state") == [(sequence[-1],)]


async def post_until_cut(
    writer: httpx2.AsyncClient, instance: Instance, acknowledged: set[str], enough: asyncio.Event
) -> None:
    """Post until the server is gone; what it acknowledged is noted."""
    already = len(acknowledged)
    while True:
        try:
            answer = await writer.post("/v1/reports", json=body(instance, "GBR"))
        except httpx2.HTTPError:
            return
        assert answer.status_code == 201
        acknowledged.add(answer.json()["id"])
        if len(acknowledged) >= already + 25:
            enough.set()


async def recall_until_cut(
    releaser: httpx2.AsyncClient, reports: list[str], recalled: set[str], ended_one: asyncio.Event
) -> None:
    """Recall one report after the other until the server is gone; what it acknowledged is noted."""
    if not reports:
        ended_one.set()
    for report in reports:
        try:
            answer = await releaser.post(f"/v1/reports/{report}/recall", json={"reason": "at risk"})
        except httpx2.HTTPError:
            return
        assert answer.status_code == 201, answer.text
        recalled.add(report)
        ended_one.set()


async def test_35_full_disk_releases_nothing_and_is_over_when_there_is_room(on_sqlite: Instance) -> None:
    # Without the jobs, which have a process of their own and entries to write when they like.
    with serving(on_sqlite, "--no-jobs") as running:
        async with (
            client(on_sqlite, running, "GBR writer") as writer,
            client(on_sqlite, running, "GBR reader") as reader,
        ):
            report = await post(writer, on_sqlite, "GBR", subject="full disk")
            assert CANARY in (await reader.get(f"/v1/reports/{report}")).text
            before = counted(on_sqlite)
            unlimited = resource.RLIM_INFINITY
            # As if the disk were full: no file of the process may grow beyond one page.
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (4096, unlimited))
            refused = [await reader.get(f"/v1/reports/{report}{suffix}") for suffix in ("", "/parts/1", "/explanation")]
            refused += [await reader.get("/v1/reports"), await reader.get("/v1/whoami")]
            refused.append(await writer.post("/v1/reports", json=body(on_sqlite, "GBR")))

            assert {answer.status_code for answer in refused} == {503}
            assert not any(CANARY in answer.text or "full disk" in answer.text for answer in refused)
            assert counted(on_sqlite) == before
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
            assert CANARY in (await reader.get(f"/v1/reports/{report}")).text


async def test_35_database_that_goes_away_releases_nothing_and_comes_back(on_postgres: Instance) -> None:
    url = (on_postgres.database_url or "").replace("+asyncpg", "")
    name, admin = database_of(url), beside(url, "postgres")
    with serving(on_postgres) as running:
        async with (
            client(on_postgres, running, "GBR writer") as writer,
            client(on_postgres, running, "GBR reader") as reader,
        ):
            report = await post(writer, on_postgres, "GBR", subject="gone database")
            assert CANARY in (await reader.get(f"/v1/reports/{report}")).text
            execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                fetch(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
                places = (f"/v1/reports/{report}", f"/v1/reports/{report}/parts/1", "/v1/reports", "/v1/whoami")
                refused = [await reader.get(place) for place in places]
                refused.append(await writer.post("/v1/reports", json=body(on_postgres, "GBR")))
            finally:
                execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

            assert {answer.status_code for answer in refused} == {503}, running.log.read_text()[-6000:]
            assert not any(CANARY in answer.text or "gone database" in answer.text for answer in refused)
            assert all("retry-after" in answer.headers for answer in refused)
            assert CANARY in (await reader.get(f"/v1/reports/{report}")).text


def counted(instance: Instance) -> list[tuple[Any, ...]]:
    """Return how many reports and entries there are."""
    return rows(instance, "SELECT (SELECT count(*) FROM report), (SELECT count(*) FROM audit_entry)")
