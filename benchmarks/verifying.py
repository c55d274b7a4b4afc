"""A log's tree recomputed by the verifier, against the library's own SHA-256 over the same bytes; no server."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from benchmarks.results import Result
from exchange.audit import (
    Actor,
    BundlePath,
    EntryDraft,
    EventName,
    Outcome,
    Subject,
    TilePath,
    TreeHead,
    grow_tiles,
    hash_leaf,
    root_of,
    seal_entry,
)
from exchange.audit.verify import KeptCheckpoint, PendingEntry, StoredEntry
from exchange.audit.verify.entries import EntryChecks
from exchange.audit.verify.expectations import Limits
from exchange.audit.verify.findings import Findings
from exchange.audit.verify.time_windows import TimeWindows
from exchange.audit.verify.tree import Recomputation
from exchange.kernel import new_id

_ROUNDS = 5
_BOOT = "01980000-0000-7000-8000-000000000000"
_START = datetime(2026, 1, 1, tzinfo=UTC)


class _Memory:
    """A whole log in memory, so that nothing but the verifier is measured."""

    has_entries = True

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents
        leaves = [hash_leaf(content) for content in contents]
        self.head = TreeHead(len(contents), root_of(leaves))
        self.tiles = {tile.path: tile.content for tile in grow_tiles(0, leaves, lambda _: b"")}

    def newest(self) -> KeptCheckpoint:
        raise NotImplementedError

    def older(self) -> tuple[KeptCheckpoint, ...]:
        return ()

    def tile(self, path: TilePath) -> bytes | None:
        return self.tiles.get(path)

    def entries(self, path: BundlePath) -> list[bytes | None] | None:
        return [*self.contents[path.start : path.start + path.width]]

    def stored(self, path: BundlePath) -> list[StoredEntry | None] | None:
        return None

    def pending(self) -> tuple[PendingEntry, ...]:
        return ()

    def personal_keys(self) -> None:
        return None


def verifying(count: int) -> list[Result]:
    """Return how many of `count` entries a second one core verifies: leaf hashes, every tile, the root."""
    log = _Memory([_entry(number) for number in range(count)])
    nodes = [content[:64].ljust(64) for content in log.contents[:-1]]
    rate = count / median(_seconds(lambda: _recompute(log)) for _ in range(_ROUNDS))
    floor = count / median(_seconds(lambda: _hash_only(log.contents, nodes)) for _ in range(_ROUNDS))
    whole = count / _seconds(lambda: _recompute(log, looking=True))
    size = sum(map(len, log.contents)) / len(log.contents)
    note = f"{count:,} entries of {size:.0f} bytes; target >= 300,000; with every entry read too: {whole:,.0f}/s"
    return [Result("verify_entries_per_s", "-", rate, "1/s", floor, rate / floor, _ROUNDS, note)]


def _recompute(log: _Memory, *, looking: bool = False) -> None:
    findings = Findings()
    tree = Recomputation(log, log.head.size, log.head.root)
    checks = EntryChecks(log, TimeWindows((), Limits()), findings)
    for leaves in tree.leaves(findings):
        if looking:
            checks.take(leaves)
    assert tree.roots[log.head.size] == log.head.root
    assert findings.found() == ()


def _hash_only(contents: list[bytes], nodes: list[bytes]) -> None:
    # One hash per leaf, and per node over two: what any verifier of this tree must do at least.
    for content in contents:
        hashlib.sha256(b"\x00" + content).digest()
    for node in nodes:
        hashlib.sha256(b"\x01" + node).digest()


def _seconds(work: Callable[[], None]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def _entry(number: int) -> bytes:
    at = _START + timedelta(milliseconds=number)
    draft = EntryDraft(
        event=EventName.REPORT_READ,
        outcome=Outcome.PERMITTED,
        at=at,
        actor=Actor("client", _BOOT, "NOR", "NSM", f"{number:064x}", "SECRET"),
        request_id=_BOOT,
        source="192.0.2.1",
        subject=Subject("report", _BOOT, 1),
        owner="GBR",
    )
    return seal_entry(draft, entry_id=new_id(at, number.to_bytes), node="n1", boot=_BOOT, node_seq=number).content
