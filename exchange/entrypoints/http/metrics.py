"""What is counted where it happens: requests, entries, refusals, commits, and what each worker has in its hands.

Labels are bounded: routes are templates known at the start, events and reasons closed lists. No client, no path, no
label of a report ever becomes a metric. What is read from store, keys and disk when somebody asks is `inspection`'s.
"""

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum
from typing import Any

from exchange.audit import EntryDraft, EventName, Outcome
from exchange.entrypoints.http.board import Board, Family, Kind
from exchange.entrypoints.http.gate import ConnectionGate
from exchange.release import Reason
from exchange.store import LANES, StoreLoad

UNMATCHED = "unmatched"
"""The template of a request that no route is for."""
UNMATCHED_SLOT = 0

_MICROS = 1_000_000
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_OUTCOMES = ("answered", "refused", "failed")
_OUTCOME_OF_CLASS = (0, 0, 0, 1, 2)
_LAST_CLASS = len(_CLASSES) - 1
_LATENCIES = (500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000)
"""From half a millisecond, a cached answer, to beyond a second, the longest that anybody waits for a FLASH."""
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_OTHER = "other"


class TurnedAway(Enum):
    """Why a request or a connection was turned away before anything was looked at."""

    RATE = "rate"
    OVERLOAD = "overload"
    CONNECTIONS = "connections"


REQUESTS = Family(
    "exchange_http_requests_total",
    Kind.COUNTER,
    "Requests answered, by route template and class of status.",
    ("method", "route", "status"),
)
DURATIONS = Family(
    "exchange_http_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time until an answer began, by route template and outcome (answered, refused: 4xx, failed: 5xx).",
    ("method", "route", "outcome"),
    bounds=_LATENCIES,
    per_unit=_MICROS,
    is_sparse=True,
)
TURNED_AWAY = Family(
    "exchange_turned_away_total", Kind.COUNTER, "Requests and connections turned away before any work.", ("why",)
)
ENTRIES = Family(
    "exchange_audit_entries_total",
    Kind.COUNTER,
    "Audit entries made, by event and outcome: every decision is one.",
    ("event", "outcome"),
    is_sparse=True,
)
REFUSALS = Family("exchange_refusals_total", Kind.COUNTER, "Reasons of refused decisions, by reason code.", ("reason",))
COMMIT_JOBS = Family(
    "exchange_commit_jobs", Kind.HISTOGRAM, "Writes that shared one commit, by lane.", ("lane",), bounds=_SIZES
)
COMMIT_DURATIONS = Family(
    "exchange_commit_duration_seconds",
    Kind.HISTOGRAM,
    "Time of one commit, by lane.",
    ("lane",),
    bounds=_LATENCIES,
    per_unit=_MICROS,
)
COMMITS_FAILED = Family("exchange_commits_failed_total", Kind.COUNTER, "Commits that failed, by lane.", ("lane",))
STARTS = Family("exchange_worker_starts_total", Kind.COUNTER, "Starts of worker processes, replacements included.")
CPU = Family("exchange_worker_cpu_seconds_total", Kind.COUNTER, "Processor time of all workers.", per_unit=_MICROS)
MEMORY = Family("exchange_worker_memory_bytes", Kind.GAUGE, "Resident memory of a worker.")
LOOP_LAG = Family(
    "exchange_worker_loop_lag_seconds", Kind.GAUGE, "How late the event loop woke in the last second.", per_unit=_MICROS
)
IN_FLIGHT = Family("exchange_http_requests_in_flight", Kind.GAUGE, "Requests being answered.")
CONNECTIONS = Family("exchange_http_connections_open", Kind.GAUGE, "Connections open on the published address.")
STREAMS = Family("exchange_streams_open", Kind.GAUGE, "Streams open (`GET /v1/stream`).")
POOL = Family("exchange_store_connections", Kind.GAUGE, "Reading connections to the database, by state.", ("state",))
POOL_LIMIT = Family("exchange_store_connections_limit", Kind.GAUGE, "Most reading connections a worker opens.")
READS_WAITING = Family("exchange_store_reads_waiting", Kind.GAUGE, "Reads that wait for a connection.")
QUEUED = Family("exchange_commit_queue", Kind.GAUGE, "Writes that wait for the next commit, by lane.", ("lane",))
QUEUE_LIMIT = Family("exchange_commit_queue_limit", Kind.GAUGE, "Writes that may wait in a lane; more get 503.")


class Metrics:
    """The counts of one worker, on the board of its node. It is the observer of the worker's store."""

    def __init__(self, routes: Sequence[tuple[str, str]], *, memory: Any | None = None, worker: int = 0) -> None:
        """Lay out the board. `routes` are method and template of each; slot 0 stands for none of them."""
        self.board = board = Board(memory, worker)
        self._row = board.row
        named = [("", UNMATCHED), *routes]
        self._requests = board.place(REQUESTS, [(*route, status) for route in named for status in _CLASSES])
        self._durations = board.place(DURATIONS, [(*route, outcome) for route in named for outcome in _OUTCOMES])
        turned_away = board.place(TURNED_AWAY, [(why.value,) for why in TurnedAway])
        self._turned_away = {why: turned_away + number for number, why in enumerate(TurnedAway)}
        pairs = [(event.value, outcome.value) for event in EventName for outcome in Outcome]
        entries = board.place(ENTRIES, pairs)
        self._entries = {pair: entries + number for number, pair in enumerate(pairs)}
        reasons = [reason.value for reason in Reason]
        refusals = board.place(REFUSALS, [(reason,) for reason in (*reasons, _OTHER)])
        self._reasons = {reason: refusals + number for number, reason in enumerate(reasons)}
        self._other_reason = refusals + len(reasons)
        lanes = [(lane,) for lane in LANES]
        self._commit_jobs, self._commit_durations = (
            board.place(COMMIT_JOBS, lanes),
            board.place(COMMIT_DURATIONS, lanes),
        )
        self._commits_failed = board.place(COMMITS_FAILED, lanes)
        self._row[board.place(STARTS)] += 1
        self._cpu, self._cpu_before = board.place(CPU), 0
        self._memory, self._lag = board.place(MEMORY), board.place(LOOP_LAG)
        self._in_flight, self._connections = board.place(IN_FLIGHT), board.place(CONNECTIONS)
        self._streams = board.place(STREAMS)
        self._pool, self._pool_limit = board.place(POOL, [("busy",), ("idle",)]), board.place(POOL_LIMIT)
        self._reads_waiting = board.place(READS_WAITING)
        self._queued, self._queue_limit = board.place(QUEUED, lanes), board.place(QUEUE_LIMIT)

    def answered(self, slot: int, status: int, seconds: float) -> None:
        """Count one request of the route in `slot`, and how long it took until its answer began."""
        row, kind = self._row, min(max(status // 100 - 1, 0), _LAST_CLASS)
        row[self._requests + slot * 5 + kind] += 1
        self._observe(DURATIONS, self._durations, slot * 3 + _OUTCOME_OF_CLASS[kind], int(seconds * _MICROS))

    def turned_away(self, why: TurnedAway, count: int = 1) -> None:
        """Count what was turned away."""
        self._row[self._turned_away[why]] += count

    def recorded(self, draft: EntryDraft) -> None:
        """Count an entry, and the reasons of a refusal. The store calls it for one entry at a time."""
        row = self._row
        row[self._entries[draft.event._value_, draft.outcome._value_]] += 1
        for reason in draft.reasons:
            row[self._reasons.get(reason, self._other_reason)] += 1

    def committed(self, lane: int, jobs: int, seconds: float, *, failed: bool) -> None:
        """Count one transaction of the writer; `lane` is its place in `LANES`."""
        self._observe(COMMIT_JOBS, self._commit_jobs, lane, jobs)
        self._observe(COMMIT_DURATIONS, self._commit_durations, lane, int(seconds * _MICROS))
        if failed:
            self._row[self._commits_failed + lane] += 1

    def sampled(self, *, memory_bytes: int, cpu_seconds: float, lag_seconds: float) -> None:
        """Note what this process takes; `cpu_seconds` since it started."""
        row, cpu = self._row, int(cpu_seconds * _MICROS)
        # A place that a replaced worker goes on counting in: it never falls.
        row[self._cpu] += cpu - self._cpu_before
        self._cpu_before = cpu
        row[self._memory], row[self._lag] = memory_bytes, int(lag_seconds * _MICROS)

    def holds(self, *, requests: int, streams: int, gate: ConnectionGate, store: StoreLoad) -> None:
        """Note what this worker has in its hands now."""
        row = self._row
        row[self._in_flight], row[self._connections], row[self._streams] = requests, gate.open, streams
        row[self._pool], row[self._pool + 1], row[self._pool_limit] = store.busy, store.idle, store.limit
        self.turned_away(TurnedAway.CONNECTIONS, gate.take_turned_away())
        row[self._reads_waiting], row[self._queue_limit] = store.reads_waiting, store.queue_limit
        for lane, waiting in enumerate(store.queued):
            row[self._queued + lane] = waiting

    def _observe(self, family: Family, start: int, series: int, number: int) -> None:
        row, bounds = self._row, family.bounds
        width = len(bounds) + 2
        place = start + series * width
        row[place + bisect_left(bounds, number)] += 1
        row[place + width - 1] += number
