"""Reports in bulk: sealed, classed and wrapped by the real functions, written past the service.

A million posts would take an hour. Rows here are those that posting them would have left, audit entries aside:
every header and part opens under the instance's own keys, every class is the class of its reports.
"""

import hashlib
import os
import sqlite3
from collections.abc import Coroutine, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import orjson

from benchmarks.places import AGREEMENTS, BODY_BYTES, BODY_EVERY, SCOPE, SMALL_BYTES, Place, parties_of
from benchmarks.pooling import in_order
from benchmarks.progress import Progress
from exchange.agreements import AgreementId
from exchange.custody import FileCustodian
from exchange.kernel import new_id, system_clock, to_micros
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.release import ClassFacts, class_as_json, class_digest, load_law
from exchange.reports import Header, PartHeader, PostedPart, PostedReport, Precedence, Protection, ReportId
from exchange.settings import InstanceLayout, load_settings, read_policies
from exchange.store import NewReport, Store
from exchange.store.tables.main_tables import table
from exchange.store.writer.batch import _part_row, _report_row
from exchange.usecases import Services
from exchange.usecases.steps import sealing
from exchange.usecases.steps.sealing import seal_report, stored_json

T = TypeVar("T")
Values = tuple[Any, ...]

CHUNK = 2_000
_SPAN = timedelta(days=300)
_TOPICS = ("cyber.apt", "cyber.malware")
KINDS = AGREEMENTS * 3 * 4 * len(_TOPICS)
"""Combinations of agreement, originator, label and topic; some are one class."""
_FILLING = (
    *("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF"),
    *("cache_size = -400000", "temp_store = MEMORY", "threads = 2"),
)
"""For a database that is thrown away if filling fails, and for indexes that are sorted by two threads in memory."""
_SECONDARY = ("report_class", "report_urgent", "report_recorded")


class World(NamedTuple):
    """What the reports are sealed for: the instance, its agreements, the time of the last one, and how they spread."""

    folder: Path
    agreements: Sequence[str]
    end: datetime
    spread_one_in: int


class Chunk(NamedTuple):
    """The rows of reports `start` and following; the class of each is named by its digest until it has a number."""

    start: int
    reports: list[Values]
    parts: list[Values]
    digests: list[str]


def fill(place: Place, count: int, *, title: str, spread_one_in: int = 1) -> None:
    """Put `count` reports into the SQLite database of `place`; nobody else has it open.

    One report in `spread_one_in` is of any agreement, the others are of the first.
    """
    numbers = _number_classes(place)
    connection = sqlite3.connect(place.database, isolation_level=None)
    for pragma in _FILLING:
        connection.execute(f"PRAGMA {pragma}")
    indexes = _take_indexes(connection)
    _write_classes(connection, numbers)
    insert_report, insert_part = (_insert(name) for name in ("report", "report_part"))
    with Progress(title, count) as progress:
        for chunk in _sealed(place, count, spread_one_in):
            class_ids = (numbers[digest][0] for digest in chunk.digests)
            # They stay in the class that they were posted in.
            placed = zip(chunk.reports, class_ids, strict=True)
            rows = [(*row[:2], class_id, *row[3:], None) for row, class_id in placed]
            connection.execute("BEGIN")
            connection.executemany(insert_report, rows)
            connection.executemany(insert_part, chunk.parts)
            connection.execute("COMMIT")
            progress.advance(len(rows))
    for statement in indexes:
        connection.execute(statement)
    state = (len(numbers), count, to_micros(system_clock()))
    connection.execute("UPDATE policy_state SET class_version = ?, report_seq = ?, recorded_at = ?", state)
    # As it was: a server reads while another writes.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    # On the disk, so that nothing of it is written while something is measured.
    with place.database.open("rb") as file:
        os.fsync(file)


def _sealed(place: Place, count: int, spread_one_in: int) -> Iterator[Chunk]:
    """Yield the chunks in order, sealed by other processes a few chunks ahead."""
    world = World(place.folder, place.agreements, system_clock(), spread_one_in)
    sizes = [(start, min(CHUNK, count - start), count) for start in range(0, count, CHUNK)]
    yield from in_order(partial(_seal_chunk, world), sizes)


@cache
def _keep_what_follows_from_classes() -> None:
    """Let this process work out what follows from class or label alone once: there are a few hundred of them."""
    for name in ("class_digest", "render_marking"):
        setattr(sealing, name, cache(getattr(sealing, name)))


@cache
def _sealing_services(folder: Path) -> Services:
    """Return what sealing asks of the services: custody and law, no store."""
    settings = load_settings(folder)
    return Services(
        store=cast("Store", None),
        custodian=FileCustodian.load(InstanceLayout(folder).roots_file),
        law=load_law(read_policies(settings.policies_dir)),
        clock=system_clock,
        randomness=os.urandom,
        cursor_key=settings.cursor_key(),
    )


def _seal_chunk(world: World, which: tuple[int, int, int]) -> Chunk:
    _keep_what_follows_from_classes()
    start, size, count = which
    services, agreements, end = _sealing_services(world.folder), world.agreements, world.end
    chunk = Chunk(start, [], [], [])
    for index in range(start, start + size):
        posted_at = end - _SPAN * ((count - index) / count)
        header, content = report(index, agreements, posted_at, is_spread=index % world.spread_one_in == 0)
        header_json = stored_json(services, header)
        sealed: NewReport = _now(seal_report(services, header, _posted(header, content), header_json))
        recorded_at = to_micros(posted_at)
        chunk.reports.append(_report_row(sealed, seq=index + 1, class_id=0, recorded_at=recorded_at))
        chunk.parts.extend(_part_row(sealed, part) for part in sealed.parts)
        chunk.digests.append(sealed.digest)
    return chunk


@cache
def _kind(place: int) -> tuple[int, MemberCode, str, Label]:
    """Return agreement, originator, topic and label of the reports at one of `KINDS` places."""
    agreement = place % AGREEMENTS
    parties = parties_of(agreement)
    originator = parties[place // AGREEMENTS % 3]
    everyone = tuple(sorted(parties))
    # For all parties, for two of them, a level below, and with a compartment that few hold.
    labels = (
        Label("NATO", "SECRET", releasable_to=everyone),
        Label("NATO", "SECRET", releasable_to=tuple(sorted({originator, parties[0], parties[1]}))),
        Label("NATO", "CONFIDENTIAL", releasable_to=everyone),
        Label("NATO", "SECRET", ("ATOMAL",), everyone),
    )
    label = labels[place // (AGREEMENTS * 3) % 4]
    return agreement, MemberCode(originator), _TOPICS[place // (AGREEMENTS * 12)], label


def report(
    index: int, agreements: Sequence[str], posted_at: datetime, *, is_spread: bool = True
) -> tuple[Header, bytes]:
    """Return the header and the one part of report `index`; its class follows from the index alone."""
    # Spread over the kinds without a pattern: what a class holds must not come at regular distances.
    kind = (index * 2_654_435_761 % 2**32) * KINDS >> 32
    agreement, originator, topic, label = _kind(kind if is_spread else kind - kind % AGREEMENTS)
    content = os.urandom((BODY_BYTES if index % BODY_EVERY == 0 else SMALL_BYTES) // 2).hex().encode()
    digest = hashlib.sha256(content).hexdigest()
    part = PartHeader(1, label, "text/plain", "report.txt", len(content), Protection.EXCHANGE, digest)
    header = Header(
        id=ReportId(new_id(posted_at, os.urandom)),
        agreement=AgreementId(agreements[agreement]),
        scope=SCOPE,
        originator=originator,
        kind="intrep",
        topic=topic,
        regions=("EUR",),
        precedence=Precedence.PRIORITY if index % 10 == 0 else Precedence.ROUTINE,
        subject=f"Infrastructure of a known group, observation {index}",
        label=label,
        posted_at=posted_at,
        # Some have expired: a list passes over them.
        valid_until=posted_at if index % 50 == 1 else None,
        declassify_on=None,
        supersedes=None,
        references=(),
        parts=(part,),
    )
    return header, content


def _posted(header: Header, content: bytes) -> PostedReport:
    part = PostedPart(None, "text/plain", "report.txt", content)
    return PostedReport(
        agreement=header.agreement,
        scope=header.scope,
        kind=header.kind,
        topic=header.topic,
        regions=header.regions,
        precedence=header.precedence,
        subject=header.subject,
        label=header.label,
        valid_until=header.valid_until,
        declassify_on=None,
        supersedes=None,
        references=(),
        parts=(part,),
    )


def _number_classes(place: Place) -> dict[str, tuple[int, ClassFacts]]:
    """Return digest -> number and facts of every class that `report` makes."""
    found: dict[str, tuple[int, ClassFacts]] = {}
    for kind in range(KINDS):
        agreement, originator, topic, label = _kind(kind)
        facts = ClassFacts(place.agreements[agreement], SCOPE, originator, topic, ("EUR",), "intrep", label, (label,))
        found.setdefault(class_digest(facts), (len(found) + 1, facts))
    return found


def _write_classes(connection: sqlite3.Connection, numbers: dict[str, tuple[int, ClassFacts]]) -> None:
    rows = [
        (number, digest, orjson.dumps(class_as_json(facts)).decode()) for digest, (number, facts) in numbers.items()
    ]
    connection.executemany("INSERT INTO release_class (id, digest, facts) VALUES (?, ?, ?)", rows)


def _take_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drop the secondary indexes of reports, which are built faster over the finished table; return their SQL."""
    kept = []
    for name in _SECONDARY:
        ((statement,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchall()
        kept.append(statement)
        connection.execute(f"DROP INDEX {name}")
    return kept


def _insert(name: str) -> str:
    columns = table(name).c.keys()
    return f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing: a loop would cost more than the sealing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise RuntimeError("sealing waited for something")
