"""What a run measures, of how many reports, and how often: the whole bench, or the quick one."""

from dataclasses import dataclass

from benchmarks.cases import Pace
from benchmarks.caveats import CAVEAT_NAMES
from benchmarks.exporting import EXPORT_NAME
from benchmarks.log_bench import LOG_NAMES
from benchmarks.logged import LOGGED_NAME
from benchmarks.restarting import RESTART_NAME
from benchmarks.streams import STREAM_NAMES
from benchmarks.treaties import DIFF_NAME, MOVING_NAMES, TREATY_NAMES
from benchmarks.workers import WORKER_NAMES

NAMES = (
    "pull",
    "list_10k",
    "list_1m",
    "post",
    LOGGED_NAME,
    "decision_cached_us",
    "decision_uncached_us",
    *CAVEAT_NAMES,
    "worker_rss_mb",
    RESTART_NAME,
    *TREATY_NAMES,
    "verify_entries_per_s",
    "audit_search_ms",
    EXPORT_NAME,
    *LOG_NAMES,
    *STREAM_NAMES,
    *WORKER_NAMES,
)
BACKENDS = ("sqlite", "postgresql")

FEW = 10_000
MANY = 1_000_000
QUICK_MANY = 100_000
_QUICK = Pace(rounds=3, seconds=0.8, warm_seconds=0.2, first_seconds=2.0)

OF_THE_LOG = frozenset({*LOG_NAMES, EXPORT_NAME})
NOT_QUICK = OF_THE_LOG | {
    *(LOGGED_NAME, RESTART_NAME, "audit_search_ms"),
    *(*MOVING_NAMES, *STREAM_NAMES, *WORKER_NAMES),
}
"""What the quick bench leaves out: each needs a world, servers or thousands of connections of its own."""

DECISIONS = frozenset({"decision_cached_us", "decision_uncached_us"})
OVER_HTTP = frozenset({"pull", "list_10k", "list_1m", "post", "worker_rss_mb"})
WITH_SERVERS = OVER_HTTP | {RESTART_NAME, DIFF_NAME, LOGGED_NAME, *WORKER_NAMES}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured: of how many reports (`many`) and log entries, and at which pace.

    `pace` is that of requests to one worker, `worker_pace` to several, `log_pace` that of appends.
    """

    names: frozenset[str]
    backends: tuple[str, ...]
    many: int
    entries: int
    verified: int
    idle: int
    pace: Pace
    worker_pace: Pace
    log_pace: Pace

    def wants(self, names: frozenset[str] | tuple[str, ...]) -> bool:
        """Return whether any of these is to be measured."""
        return not self.names.isdisjoint(names)


def whole(names: frozenset[str], backends: tuple[str, ...]) -> Plan:
    """Return the plan of the whole bench."""
    return Plan(
        names=names or frozenset(NAMES),
        backends=backends,
        many=MANY,
        entries=MANY,
        verified=100_000,
        idle=10_000,
        pace=Pace(4, 1.5),
        worker_pace=Pace(3, 1.5),
        log_pace=Pace(5, 1.0),
    )


def quick(names: frozenset[str], backends: tuple[str, ...]) -> Plan:
    """Return the plan of the quick bench: fewer reports and shorter rounds, and only what needs nothing of its own."""
    return Plan(
        names=names or frozenset(NAMES) - NOT_QUICK,
        backends=backends,
        many=QUICK_MANY,
        entries=QUICK_MANY,
        verified=50_000,
        idle=2_000,
        pace=_QUICK,
        worker_pace=_QUICK,
        log_pace=Pace(3, 0.6),
    )
