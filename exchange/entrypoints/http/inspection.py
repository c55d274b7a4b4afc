"""Figures that are read when somebody asks: the service's health, its log, the age of keys, certificates, the disk.

They come from the same reads as `/readyz`, so asking costs what a health check costs.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from exchange.crypto import read_certificates, revocations_end
from exchange.entrypoints.http.board import Family, Kind, Series, labelled
from exchange.entrypoints.http.contexts import pem_files, read_plain
from exchange.kernel import ExchangeError
from exchange.usecases import Inspection

BUILD = Family("exchange_build", Kind.GAUGE, "Always 1; says which version this node runs.", ("version",))
READY = Family("exchange_ready", Kind.GAUGE, "1 where the next request could be served, as `/readyz` says.")
CHECKS = Family("exchange_check_works", Kind.GAUGE, "1 for each part of `/readyz` that works.", ("check",))
LAG = Family(
    "exchange_audit_lag_seconds", Kind.GAUGE, "How long the oldest entry has waited for its place in the log; 0: none."
)
WAITING = Family("exchange_audit_waiting_entries", Kind.GAUGE, "Entries that wait for their place, counted to a limit.")
LOG_SIZE = Family("exchange_log_size_entries", Kind.GAUGE, "Entries in the log's tree.")
CHECKPOINT_AGE = Family("exchange_log_checkpoint_age_seconds", Kind.GAUGE, "Age of the log's newest checkpoint.")
FROZEN = Family("exchange_log_frozen", Kind.GAUGE, "1 while the log is frozen and signs nothing.")
KEY_AGES = Family(
    "exchange_key_age_seconds",
    Kind.GAUGE,
    "Age of each key in use: of custody since it was made, of a file since it was last written.",
    ("key",),
)
EXPIRY = Family(
    "exchange_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    "When a certificate ends, in seconds since 1970: the server's, the first of the authorities', and of those of an "
    "edge what it shows to clients (`edge-server`) and to nodes (`edge`).",
    ("certificate",),
)
LISTS_END = Family(
    "exchange_revocation_list_expiry_timestamp_seconds",
    Kind.GAUGE,
    "When the first revocation list runs out and admits nobody of its authority, in seconds since 1970.",
)
REFUSED_FILES = Family(
    "exchange_files_refused",
    Kind.GAUGE,
    "What lies there anew and is not taken up, by kind; what was in use before goes on.",
    ("file",),
)
BACKUP = Family(
    "exchange_backup_timestamp_seconds",
    Kind.GAUGE,
    "When the newest backup was written, in seconds since 1970; 0: none.",
)
DISK_FREE = Family("exchange_disk_free_bytes", Kind.GAUGE, "Free on the disk of the instance's folder.")
DISK_SIZE = Family("exchange_disk_size_bytes", Kind.GAUGE, "Size of the disk of the instance's folder.")


@dataclass(frozen=True, slots=True)
class HostPlaces:
    """What of the host is told about: the instance's folder, its certificates, and the files of its keys by name.

    `edges` holds the certificates of the proxies that are believed, None where none is; `edge_server` is a copy of what
    such a proxy shows to its clients, `edge_lists` one of the lists that it asks; `revocations` holds those of a node.
    """

    folder: Path
    server_certificate: Path
    authorities: Path
    keys: Mapping[str, Path]
    edges: Path | None = None
    edge_server: Path | None = None
    revocations: Path | None = None
    edge_lists: Path | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """When what a process has in use ends, in seconds since 1970, and how many files of each kind it refuses."""

    server: Sequence[float] = ()
    revocations: Sequence[float] = ()
    refused: Mapping[str, int] = field(default_factory=dict)


def inspected(
    found: Inspection, places: HostPlaces | None, *, version: str, now: datetime, shown: Shown
) -> Iterator[str]:
    """Yield the lines of what was found, in Prometheus' text format; what could not be read is left out."""
    yield from _shown(BUILD, [((version,), 1)])
    yield from _shown(READY, [((), int(found.readiness.is_ready))])
    yield from _shown(CHECKS, [((each.name,), int(each.is_working)) for each in found.readiness.checks])
    if (log := found.log) is not None:
        yield from _shown(LAG, [((), log.oldest_wait.total_seconds())])
        yield from _shown(WAITING, [((), log.waiting)])
        yield from _shown(LOG_SIZE, [((), log.size)])
        yield from _shown(CHECKPOINT_AGE, [((), log.checkpoint_age.total_seconds())])
        yield from _shown(FROZEN, [((), int(log.is_frozen))])
    yield from _shown(BACKUP, [] if found.backup is None else [((), found.backup.timestamp())])
    made_at = found.custody_key_made_at
    ages: list[tuple[Series, float]] = [] if made_at is None else [(("custody",), (now - made_at).total_seconds())]
    if places is not None:
        yield from _disk(places.folder)
        yield from _shown(REFUSED_FILES, [((kind,), count) for kind, count in shown.refused.items()])
        yield from _shown(EXPIRY, list(_expiries(places, shown)))
        lists = _moments([*pem_files(places.revocations), places.edge_lists], lambda each: [revocations_end(each)])
        lists += shown.revocations
        yield from _shown(LISTS_END, [((), min(lists))] if lists else [])
        ages += _file_ages(places, now)
    yield from _shown(KEY_AGES, ages)


def _shown(family: Family, numbers: Sequence[tuple[Series, float]]) -> Iterator[str]:
    if numbers:
        yield from family.head()
    for values, number in numbers:
        yield f"{family.name}{labelled(family.labels, values)} {number:.15g}"


def _disk(folder: Path) -> Iterator[str]:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return  # the disk is away, or the folder: the other figures are told all the same
    yield from _shown(DISK_FREE, [((), usage.free)])
    yield from _shown(DISK_SIZE, [((), usage.total)])


def _expiries(places: HostPlaces, shown: Shown) -> Iterator[tuple[Series, float]]:
    server = [*_ends(places.server_certificate), *shown.server]
    authorities = _ends(*pem_files(places.authorities))
    for name, ends in (("server", server), ("authority", authorities), ("edge-server", _ends(places.edge_server))):
        if ends:
            yield (name,), min(ends)
    edges = _ends(places.edges)
    if edges:
        # A renewed one is added, and those before it stay.
        yield ("edge",), max(edges)


def _ends(*paths: Path | None) -> list[float]:
    return _moments(paths, lambda content: [facts.not_after for facts in read_certificates(content)])


def _moments(paths: Iterable[Path | None], read: Callable[[bytes], list[datetime]]) -> list[float]:
    found: list[float] = []
    for path in filter(None, paths):
        with suppress(OSError, ExchangeError):  # `exchange doctor` says what is wrong with it
            found += [moment.timestamp() for moment in read(read_plain(path))]
    return found


def _file_ages(places: HostPlaces, now: datetime) -> list[tuple[Series, float]]:
    ages: list[tuple[Series, float]] = []
    for name, path in places.keys.items():
        with suppress(OSError):
            ages.append(((name,), now.timestamp() - path.stat().st_mtime))
    return ages
