"""The figures: summed over workers, bounded in their labels, documented by name, and cheap enough to take."""

import asyncio
import os
import re
import sys
import time
import timeit
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.crypto import empty_crl, issue_server, new_authority, read_certificate
from exchange.entrypoints.http import inspection, sampling
from exchange.entrypoints.http.board import ROW_PLACES, Board, Family, Kind, shared_row
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.entrypoints.http.inspection import HostPlaces, Shown
from exchange.entrypoints.http.metrics import Metrics, TurnedAway
from exchange.entrypoints.http.operations import operations_app
from exchange.entrypoints.http.sampling import sampled
from exchange.kernel import UnavailableError, system_clock
from exchange.store import StoreLoad

SIGNALS = Path(__file__).resolve().parents[2] / "docs" / "signals.md"
ROUTES = [("GET", "/v1/reports"), ("POST", "/v1/reports")]


def text_of(metrics: Metrics) -> str:
    return "\n".join(metrics.board.lines())


def entry(event: EventName, outcome: Outcome, *reasons: str) -> EntryDraft:
    return EntryDraft(event, outcome, system_clock(), Actor(kind="host"), "id", "local", reasons=reasons)


async def scraped(app: FastAPI, places: HostPlaces | None = None) -> str:
    transport = httpx2.ASGITransport(app=operations_app(app, places))
    async with httpx2.AsyncClient(transport=transport, base_url="http://operations.test") as operator:
        answer = await operator.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return answer.text


def test_requests_of_several_workers_are_summed_by_route_and_class() -> None:
    memory = shared_row(2)
    first, second = (Metrics(ROUTES, memory=memory, worker=worker) for worker in range(2))

    first.answered(1, 200, 0.0004)
    second.answered(1, 204, 0.003)
    second.answered(0, 404, 9.0)

    text = text_of(first)
    assert text == text_of(second)
    assert 'exchange_http_requests_total{method="GET",route="/v1/reports",status="2xx"} 2' in text
    assert 'exchange_http_requests_total{method="POST",route="/v1/reports",status="5xx"} 0' in text
    assert 'route="unmatched",status="4xx"} 1' in text
    assert "exchange_worker_starts_total 2" in text


def test_latency_is_a_histogram_by_route_and_outcome() -> None:
    metrics = Metrics(ROUTES)

    for status, seconds in ((200, 0.0005), (200, 0.0006), (404, 0.002), (503, 60.0)):
        metrics.answered(2, status, seconds)

    answered = 'method="POST",route="/v1/reports",outcome="answered"'
    lines = text_of(metrics).splitlines()
    assert f'exchange_http_request_duration_seconds_bucket{{{answered},le="0.0005"}} 1' in lines
    assert f'exchange_http_request_duration_seconds_bucket{{{answered},le="0.001"}} 2' in lines
    assert f'exchange_http_request_duration_seconds_bucket{{{answered},le="+Inf"}} 2' in lines
    assert f"exchange_http_request_duration_seconds_sum{{{answered}}} 0.0011" in lines
    assert f"exchange_http_request_duration_seconds_count{{{answered.replace('answered', 'failed')}}} 1" in lines
    assert "outcome" not in "".join(line for line in lines if 'method="GET"' in line)


def test_entries_are_counted_by_event_and_refusals_by_reason() -> None:
    metrics = Metrics(ROUTES)

    metrics.recorded(entry(EventName.REPORT_READ, Outcome.PERMITTED))
    metrics.recorded(entry(EventName.REPORT_READ, Outcome.REFUSED, "not-releasable", "canary-4711"))

    text = text_of(metrics)
    assert 'exchange_audit_entries_total{event="report.read",outcome="refused"} 1' in text
    assert 'exchange_refusals_total{reason="not-releasable"} 1' in text
    assert 'exchange_refusals_total{reason="other"} 1' in text
    assert "canary" not in text


def test_commits_tell_how_many_shared_them() -> None:
    metrics = Metrics(ROUTES)

    metrics.committed(1, 3, 0.004, failed=False)
    metrics.committed(1, 1, 0.004, failed=True)

    text = text_of(metrics)
    assert 'exchange_commit_jobs_sum{lane="posts"} 4' in text
    assert 'exchange_commit_jobs_bucket{lane="posts",le="2"} 1' in text
    assert 'exchange_commit_duration_seconds_sum{lane="posts"} 0.008' in text
    assert 'exchange_commits_failed_total{lane="posts"} 1' in text
    assert 'exchange_commits_failed_total{lane="entries"} 0' in text


async def test_board_goes_on_while_no_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, left = 0, asyncio.Event()

    def hold() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            left.set()

    # What opening `/proc/self/statm` comes to then, as far as this goes.
    monkeypatch.setattr(sampling, "_MEMORY", Path("/proc/self/no such file"))
    async with sampled(Metrics(ROUTES), hold, seconds=0.001):
        await asyncio.wait_for(left.wait(), 60)


def test_each_worker_shows_what_it_holds() -> None:
    memory = shared_row(2)
    first, second = (Metrics(ROUTES, memory=memory, worker=worker) for worker in range(2))
    gate = ConnectionGate(most=1)
    assert (gate.enter("a"), gate.enter("b")) == (True, False)

    first.holds(requests=7, streams=3, gate=gate, store=StoreLoad(8, 0, 8, 5, (30, 2), 4096))
    first.holds(requests=7, streams=3, gate=gate, store=StoreLoad(8, 0, 8, 5, (30, 2), 4096))
    second.turned_away(TurnedAway.RATE)

    lines = text_of(second).splitlines()
    assert 'exchange_http_requests_in_flight{worker="0"} 7' in lines
    assert 'exchange_http_connections_open{worker="0"} 1' in lines
    assert 'exchange_streams_open{worker="0"} 3' in lines
    assert 'exchange_store_connections{state="busy",worker="0"} 8' in lines
    assert 'exchange_store_reads_waiting{worker="0"} 5' in lines
    assert 'exchange_commit_queue{lane="posts",worker="0"} 2' in lines
    assert 'exchange_commit_queue_limit{worker="0"} 4096' in lines
    assert 'exchange_http_requests_in_flight{worker="1"} 0' in lines
    assert 'exchange_turned_away_total{why="connections"} 1' in lines
    assert 'exchange_turned_away_total{why="rate"} 1' in lines


def test_processor_time_of_a_replaced_worker_goes_on_where_it_was() -> None:
    memory = shared_row(1)
    Metrics(ROUTES, memory=memory).sampled(memory_bytes=10, cpu_seconds=2.0, lag_seconds=0.5)

    replaced = Metrics(ROUTES, memory=memory)
    replaced.sampled(memory_bytes=20, cpu_seconds=0.25, lag_seconds=0.0)

    text = text_of(replaced)
    assert "exchange_worker_cpu_seconds_total 2.25" in text
    assert 'exchange_worker_memory_bytes{worker="0"} 20' in text


async def test_worker_samples_itself() -> None:
    metrics = Metrics(ROUTES)
    rounds = asyncio.Semaphore(0)

    async with sampled(metrics, rounds.release, seconds=0.01):
        await rounds.acquire()
        await rounds.acquire()

    (line,) = [each for each in text_of(metrics).splitlines() if each.startswith("exchange_worker_memory_bytes{")]
    assert float(line.split()[1]) > 1_000_000


def test_more_series_than_a_row_holds_are_refused() -> None:
    board = Board()

    with pytest.raises(ValueError, match="places"):
        board.place(Family("x", Kind.COUNTER, "x", ("n",)), [(str(n),) for n in range(ROW_PLACES + 1)])


def test_counting_one_request_costs_less_than_3_microseconds() -> None:
    """What a pull counts: its answer and its entry; of this thread's own time the best, for others share the core."""
    metrics = Metrics(ROUTES)
    draft = entry(EventName.REPORT_READ, Outcome.PERMITTED)

    def request() -> None:
        metrics.answered(1, 200, 0.0021)
        metrics.recorded(draft)

    assert min(timeit.repeat(request, timer=time.thread_time, number=2_000, repeat=30)) / 2_000 < 3e-6


async def test_scrape_tells_of_log_keys_certificates_and_disk(service, world, http, tmp_path: Path) -> None:
    await http("NOR reader").get("/v1/whoami")
    key = tmp_path / "log.key"
    key.write_bytes(b"x")

    lines = (await scraped(service, HostPlaces(tmp_path, tmp_path / "none.pem", tmp_path, {"log": key}))).splitlines()

    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert found["exchange_ready"] == "1"
    assert found['exchange_check_works{check="store"}'] == "1"
    assert 0 <= float(found['exchange_key_age_seconds{key="log"}']) < 60
    assert 'exchange_key_age_seconds{key="custody"}' in found
    assert float(found["exchange_disk_size_bytes"]) >= float(found["exchange_disk_free_bytes"]) > 0
    assert not any("certificate_expiry" in name for name in found)
    assert found['exchange_http_requests_total{method="GET",route="/v1/whoami",status="2xx"}'] == "1"


async def test_scrape_tells_the_rest_where_the_disk_does_not_answer(service, world, tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    lines = await scraped(service, HostPlaces(gone, gone / "server.pem", gone / "authorities", {"log": gone / "key"}))

    assert "exchange_ready 1" in lines
    assert "exchange_disk" not in lines


async def test_scrape_waits_for_no_pipe_among_certificates_and_lists(service, world, tmp_path: Path) -> None:
    """Whoever opens one waits for a writer, and a worker would answer nobody meanwhile."""
    for name in ("server.pem", "edges.pem"):
        os.mkfifo(tmp_path / name)
    places = HostPlaces(
        tmp_path, tmp_path / "server.pem", tmp_path, {}, edges=tmp_path / "edges.pem", revocations=tmp_path
    )

    lines = await scraped(service, places)

    assert "exchange_ready 1" in lines
    assert "_expiry_timestamp" not in lines


async def test_scrape_tells_when_the_newest_certificate_of_the_edge_ends(service, world, tmp_path: Path) -> None:
    now = system_clock()
    authority, edges = new_authority("x", now), tmp_path / "edges.pem"
    pairs = [issue_server(authority, ["edge"], now=now, days=days) for days in (10, 200)]
    edges.write_bytes(b"".join(pair.certificate_pem for pair in pairs))

    shown = tmp_path / "edge-server.pem"
    shown.write_bytes(pairs[0].certificate_pem)

    places = HostPlaces(tmp_path, tmp_path / "none.pem", tmp_path / "none", {}, edges, shown)
    lines = await scraped(service, places)

    for name, pair in (("edge", pairs[1]), ("edge-server", pairs[0])):
        (told,) = [line for line in lines.splitlines() if f'certificate="{name}"' in line]
        assert float(told.rsplit(" ", 1)[1]) == read_certificate(pair.certificate_pem).not_after.timestamp()


async def test_scrape_tells_when_what_is_in_use_ends_though_the_next_one_lies_there(service, world, tmp_path) -> None:
    """What lies there helps nobody before it is taken up."""
    now = system_clock()
    authority, server, lists = new_authority("x", now), tmp_path / "server.pem", tmp_path / "crl"
    lists.mkdir()

    def put(days: int) -> float:
        pair = issue_server(authority, ["localhost"], now=now, days=days)
        server.write_bytes(pair.certificate_pem)
        (lists / "x.pem").write_bytes(empty_crl(pair, now))
        return read_certificate(pair.certificate_pem).not_after.timestamp()

    at_edge = tmp_path / "edge-crl.pem"
    places = HostPlaces(tmp_path, server, tmp_path / "none", {}, revocations=lists, edge_lists=at_edge)
    first = put(10)
    shown = Shown([first], [first], {"server": 1, "revocation-lists": 0})
    app = operations_app(service, places, lambda: shown)
    put(200)

    async def scraped() -> dict[str, str]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://ops") as client:
            lines = (await client.get("/metrics")).text.splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    found = await scraped()
    assert float(found['exchange_certificate_expiry_timestamp_seconds{certificate="server"}']) == first
    assert float(found["exchange_revocation_list_expiry_timestamp_seconds"]) == first
    at_edge.write_bytes(empty_crl(issue_server(authority, ["x"], now=now, days=5), now))
    assert float((await scraped())["exchange_revocation_list_expiry_timestamp_seconds"]) < first
    assert found['exchange_files_refused{file="server"}'] == "1"
    assert found['exchange_files_refused{file="revocation-lists"}'] == "0"
    assert found["exchange_backup_timestamp_seconds"] == "0"


async def test_scrape_answers_while_the_store_is_away(service, world, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_args) -> None:
        raise UnavailableError("the database is gone")

    monkeypatch.setattr(type(world.services.store), "ping", away)
    monkeypatch.setattr(type(world.services.store.log), "state", away)

    text = await scraped(service)

    assert "exchange_ready 0" in text
    assert 'exchange_check_works{check="store"} 0' in text
    assert "exchange_audit_lag_seconds" not in text


async def test_scrape_of_a_store_that_hangs_says_so(service, world, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_args) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(type(world.services.store), "ping", hang)
    monkeypatch.setattr(sys.modules["exchange.usecases.upkeep.inspect_service"], "_LONGEST_SECONDS", 0.05)

    assert "exchange_ready 0" in await scraped(service)


async def test_every_metric_is_in_the_operators_page_and_no_other(service, world, monkeypatch) -> None:
    from exchange.entrypoints.http import metrics

    families = {each.name for room in (inspection, metrics) for each in vars(room).values() if isinstance(each, Family)}
    told = set(re.findall(r"^\| `(exchange_[a-z_]+)`", SIGNALS.read_text("utf-8"), re.MULTILINE))

    assert told == families


async def test_no_label_but_the_declared_ones(service, world, http) -> None:
    report_id = await world.post()
    await http("NOR reader").get(f"/v1/reports/{report_id}")
    await http("NOR reader").get("/v1/reports?topic=cyber")
    await http("stranger").get(f"/v1/{report_id}")

    text = await scraped(service)

    allowed = {"method", "route", "status", "outcome", "le", "why", "event", "reason", "lane", "state", "worker"}
    allowed |= {"check", "key", "certificate", "version"}
    assert set(re.findall(r'[{,]([a-z_]+)="', text)) <= allowed
    assert report_id not in text
    assert "NOR" not in text


async def test_gate_gives_places_back_and_limits_each_client() -> None:
    gate = ConnectionGate(most=6, per_client=2)

    entered = [gate.enter(name) for name in "aaabbccd"]
    gate.leave("a")

    assert entered == [True, True, False, True, True, True, True, False]
    assert gate.enter("d")
    assert gate.take_turned_away() == 2
    assert gate.take_turned_away() == 0
    assert gate.open == 6
