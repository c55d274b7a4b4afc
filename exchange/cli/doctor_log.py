"""What `exchange doctor` looks at once the rooms are open: their health with its mend, the log, the clock, disks."""

import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from exchange.audit import parse_entry
from exchange.audit.alerts import OutOfHours
from exchange.cli.finding import Finding
from exchange.custody import LOG_KEY_MEND, load_log_key
from exchange.kernel import ExchangeError, UnavailableError, counted, from_micros, parse_rfc3339, rfc3339
from exchange.kernel.steady import SteadyClock
from exchange.kernel.timekeeping import judged
from exchange.settings import InstanceLayout, Settings
from exchange.store import LogState, Unread
from exchange.store.database.engine import checked_url, is_sqlite
from exchange.store.database.faults import SILENT_STORE
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.blobs import BlobsAwayError, folder_of_url
from exchange.store.log.last_signed import LastSigned, LastSignedFile
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases import Services
from exchange.usecases.life.walk_reports import told_reports
from exchange.usecases.log.keep_time import TOLD_FROM
from exchange.usecases.members.ending_certificates import ending_certificates
from exchange.usecases.steps.judging import NO_LAW_YET
from exchange.usecases.steps.knowledge import codes_of
from exchange.usecases.upkeep.check_readiness import each_check
from exchange.usecases.upkeep.hold_rows import contradicted_rows
from exchange.usecases.upkeep.last_backup import last_backup
from exchange.usecases.upkeep.legal_holds import LegalHold, holds_on
from exchange.usecases.upkeep.rotate_keys import KeyStatus, added_elsewhere, key_status

_MENDS = {
    "store": "see that the database runs (`database_url`), is writable and whole: docs/backup.md, When a disk broke",
    "policy": "after an upgrade start this version, which puts its own in force; else give the node those in force",
    "log": "`exchange audit resume` once the right database is back, else `recover`: docs/log.md, Where it is frozen",
    "custody": "bring the keys back within reach: the root file of the escrow, or the token",
    "restore": "see to each line of `exchange restored list`, and confirm it: docs/backup.md",
    "rows": "somebody writes to the database: find out who, and see to each: docs/damage.md, Rows and the log",
    "witnesses": "see that the witnesses run: `exchange audit witnesses`",
}
_ARCHIVE = "put the archive back where `audit_archive_url` says: docs/log.md, Old entries"
_HOLDS_UNREAD = "see to what the rest of these lines tells of log and archive"
_BEGIN = "`exchange serve`: nothing else has to be done in a new database"
_BEHIND = timedelta(seconds=30)
"""A sequencer places an entry within a second; a minute's half is none at work."""
_OLD_BACKUP = timedelta(days=2)
"""What came since the newest one is lost with the disk: one a day, and a day in which it may fail."""
_NEAR = timedelta(days=30)
"""Time enough to get a certificate through an agency's channels."""
_NAMED = 5
_AHEAD = timedelta(seconds=5)
"""Clocks of nodes differ by less where they are kept by NTP."""
_LITTLE_SHARE, _NONE_SHARE = 0.10, 0.02
_LITTLE_BYTES, _NONE_BYTES = 2 * 1024**3, 256 * 1024**2
_GIB = 1024**3


def disks(settings: Settings) -> Iterator[Finding]:
    """Yield whether there is room on each disk of this host that the instance fills: one for each file system."""
    places = (
        ("disk", settings.instance_folder, "where nothing can be recorded, nothing is served"),
        ("disk of large parts", folder_of_url(settings.blob_store_url), "without it no large part is taken"),
        ("disk of the archive", folder_of_url(settings.audit_archive_url), "without it no entry leaves the database"),
        ("disk of the database", _database_folder(settings), "where nothing can be recorded, nothing is served"),
        ("disk of last-signed.json", settings.last_signed_file.parent, "without it the log is not signed"),
    )
    seen: set[int] = set()
    for name, folder, otherwise in places:
        # What may not be entered is told where it is used.
        with suppress(PermissionError):
            there = None if folder is None else _made(folder)
            if there is not None and (device := there.stat().st_dev) not in seen:
                seen.add(device)
                yield _disk(name, there, otherwise)


def _database_folder(settings: Settings) -> Path | None:
    """Return where SQLite's file is; None where a server has the database."""
    url = checked_url(settings.database_url)
    return Path(str(url.database)).parent if is_sqlite(url) else None


def _made(folder: Path) -> Path | None:
    """Return a folder, or the nearest one above it: it is made when something is first put there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), None)


def _disk(name: str, folder: Path, otherwise: str) -> Finding:
    usage = shutil.disk_usage(folder)
    told = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.1f}"
    mend = f"make room on the disk of {folder}: {otherwise}"
    if usage.free < min(_NONE_BYTES, usage.total * _NONE_SHARE):
        return Finding(name, Finding.MEND, told, mend)
    if usage.free < min(_LITTLE_BYTES, usage.total * _LITTLE_SHARE):
        return Finding(name, Finding.WARNING, told, mend)
    return Finding(name, Finding.OK, told)


async def opened_rooms(settings: Settings, services: Services) -> AsyncIterator[Finding | None]:
    """Yield what is right and wrong with the rooms, which are open; None while a long look goes on."""
    altered = await services.store.misfits.found()
    try:
        async for found in _each_room(settings, services):
            if not altered or found is None or (found.name, found.state) != ("rows", Finding.OK):
                yield found
    except UNREADABLE as exc:
        if not altered:
            raise
        told = f"not all was looked at, for what is written in where a number belongs: {type(exc).__name__}"
        yield Finding("rooms", Finding.MEND, told, _MENDS["rows"])
    for place in altered:
        yield Finding("rows", Finding.MEND, f"no number where one belongs: {place}", _MENDS["rows"])


async def _each_room(settings: Settings, services: Services) -> AsyncIterator[Finding | None]:
    async for check in each_check(services):
        # Whatever asks the store says so where it does not answer: neither the policy nor the keys are at fault then.
        mend = _MENDS["store" if check.finding.startswith(SILENT_STORE) else check.name]
        mend = _BEGIN if check.finding == NO_LAW_YET else mend
        if check.is_working:
            yield Finding(check.name, Finding.OK, check.finding)
        else:
            yield Finding(check.name, Finding.MEND, *_with_mend(check.finding, mend))
    yield await large_parts(services)
    try:
        status = await key_status(services)
        for finding in _missing_roots(status):
            yield finding
        # Before the database is: meanwhile the sequencer goes on.
        signed = _signed_here(settings)
        log = await services.store.log.state()
        yield await _backup(services)
        yield await _client_certificates(services)
        yield await _holds(settings, services)
        yield await _backlog(services)
        yield await _newest_entry(services)
        yield await _belief(services)
        yield _set_back(services)
        if (hours := await _hours(services)) is not None:
            yield hours
    except ExchangeError as exc:
        yield Finding("log figures", Finding.MEND, exc.message, _MENDS["store"])
        return
    if (keys := _log_keys(settings, log)) is not None:
        yield keys
    if (witnesses := await _witness_policy(services)) is not None:
        yield witnesses
    yield await _archive(settings, services, log)
    yield await _root_elsewhere(services, status)
    async for found in _rows(services):
        yield found
    if signed is not None:
        yield _last_signed(signed, log)


async def large_parts(services: Services) -> Finding:
    """Return whether large parts can be put away here, and are where the nodes of this database put the newest."""
    name, parts = "large parts", services.store.large_parts
    try:
        place = await parts.prove()
        absent, looked_for = await parts.absent()
    except ExchangeError as exc:
        mend = "see that `blob_store_url` is right, and that its place can be written, read and deleted from"
        return Finding(name, Finding.MEND, exc.message, mend)
    told = "in the database" if place is None else f"in {place}"
    if not absent:
        return Finding(name, Finding.OK, told)
    where = "in a blob store, and `blob_store_url` names none here" if place is None else f"not {told}"
    mend = "give every node the one place that all of them share, and bring together what lies apart: "
    return Finding(
        name,
        Finding.MEND,
        f"{absent} of the newest {looked_for} are {where}",
        f"{mend}docs/operations.md, Large parts",
    )


def _missing_roots(status: KeyStatus) -> Iterator[Finding]:
    for version in status.missing:
        rows = counted(status.under(version), "row is", "rows are")
        told = f"{rows} under version {version}, which is not in the key file here"
        mend = "bring the key file that has it, from the node that added it or from the escrow"
        yield Finding("root key", Finding.MEND, told, mend)
    if status.strange:
        rows = counted(sum(map(status.under, status.unknown)), "row is", "rows are")
        told = f"{rows} under a version that nobody ever added"
        mend = "somebody wrote to the database: put these rows back from a backup, or recall them and post them again"
        yield Finding("root key", Finding.MEND, f"{told}, the first: {status.strange[0]}", mend)


async def _root_elsewhere(services: Services, status: KeyStatus) -> Finding | None:
    try:
        newer = await added_elsewhere(services, status.custody)
    except ExchangeError:
        return None  # of an archive that is away, which is told
    if newer is None or newer in status.missing:
        return None
    told = f"version {newer} was added on another node, and is not in the key file here"
    return Finding("root key", Finding.WARNING, told, "bring the key file from there before `keys rotate --rewrap`")


async def _archive(settings: Settings, services: Services, log: LogState | None) -> Finding:
    try:
        is_used = log is not None and await services.store.log.archived.check_newest(log.log)
    except ExchangeError as exc:
        return Finding("archive", Finding.MEND, exc.message, _ARCHIVE)
    told = f"the newest bundle is in {settings.audit_archive_url}" if is_used else "no entry was moved to one"
    return Finding("archive", Finding.OK, told)


async def _backup(services: Services) -> Finding:
    try:
        last, now = await last_backup(services, with_waiting=True), services.clock()
    except (BlobsAwayError, LogDamagedError) as exc:
        # Its entry is an old one: what is told of everything else is in the database.
        return Finding("backup", Finding.MEND, exc.message, _ARCHIVE)
    mend = "`exchange backup FILE --to RECIPIENT`: docs/backup.md"
    if last is not None:
        state = Finding.OK if now - last <= _OLD_BACKUP else Finding.WARNING
        told = f"the newest was written at {rfc3339(last)}"
        return Finding("backup", state, told, None if state == Finding.OK else f"make another: {mend}")
    first = await services.store.entries(1)
    is_new = not first or now - _time_of(first[0]) <= _OLD_BACKUP
    return Finding(
        "backup", Finding.OK if is_new else Finding.WARNING, "none was written yet", None if is_new else mend
    )


async def _client_certificates(services: Services) -> Finding:
    name, ending = "client certificates", await ending_certificates(services, _NEAR)
    if not ending:
        return Finding(name, Finding.OK, f"no active client's last one ends within {_NEAR.days} days")
    told = "; ".join(f"{client.name} ({client.member}, {client.id}) {rfc3339(end)}" for client, end in ending[:_NAMED])
    more = f"; and {len(ending) - _NAMED} more" if len(ending) > _NAMED else ""
    mend = "another one for each: `exchange client certificate issue` or `add`; who is not used any more: revoke it"
    return Finding(name, Finding.WARNING, f"the last one ends: {told}{more}", mend)


async def _holds(settings: Settings, services: Services) -> Finding:
    name = "legal holds"
    try:
        holds = await holds_on(services)
    except UnavailableError as exc:
        return Finding(name, Finding.MEND, f"{exc.message}: nothing is destroyed or archived meanwhile", _HOLDS_UNREAD)
    told = [_hold(each) for each in holds[:_NAMED]]
    told += [f"and {len(holds) - _NAMED} more"] * (len(holds) > _NAMED)
    told += ["at this node by `audit_legal_hold`"] * settings.audit_legal_hold
    if any(each.is_damaged for each in holds):
        return Finding(name, Finding.MEND, "; ".join(told), "`exchange audit verify`; `exchange hold lift ID`")
    return Finding(name, Finding.OK, "; ".join(told) or "none is on")


def _hold(hold: LegalHold) -> str:
    since = "" if hold.since is None else f" since {rfc3339(hold.since)}"
    return f"{hold.id}{since} ({hold.reason})"


async def _backlog(services: Services) -> Finding:
    backlog = await services.store.log.backlog()
    if backlog.oldest_at is None:
        return Finding("log backlog", Finding.OK, "no entry waits for its place")
    waits = services.clock() - from_micros(backlog.oldest_at)
    told = counted(backlog.count, "entry waits for its place", "entries wait for their place")
    told = f"{told}, the oldest for {max(0, waits.total_seconds()):.0f} s"
    if waits <= _BEHIND:
        return Finding("log backlog", Finding.OK, told)
    mend = "let a sequencer run: `exchange serve` has one beside it, `exchange audit sequence` is one alone"
    return Finding("log backlog", Finding.WARNING, told, mend)


async def _newest_entry(services: Services) -> Finding:
    newest = await services.store.entries(1, newest_first=True)
    if not newest:
        return Finding("clock and log", Finding.OK, "no entry yet")
    ahead = _time_of(newest[0]) - _wall(services)
    if ahead > _AHEAD:
        told = f"the newest entry is {ahead.total_seconds():.0f} s ahead of this machine's clock"
        mend = "set the clocks of all nodes (use NTP); where they are right, one was ahead then: nothing is to be done"
        return Finding("clock and log", Finding.MEND, told, mend)
    return Finding("clock and log", Finding.OK, "the newest entry is not ahead of this machine's clock")


async def _belief(services: Services) -> Finding:
    name, now, kept = "clock leap", services.clock(), await services.store.time.kept()
    if kept is None:
        return Finding(name, Finding.OK, "nobody has looked at the clock yet")
    seen = judged(kept, now)
    if seen.doubted_until is None:
        return Finding(name, Finding.OK, "none: it goes on from where it was looked at last")
    told = (
        f"it went on from {rfc3339(kept.believed_at)} to {rfc3339(now)} unseen: what time ends is left as it is until "
        f"{rfc3339(seen.doubted_until)}"
    )
    return Finding(name, Finding.WARNING, told, "set the clock if it is wrong; if it is right, there is nothing to do")


def _set_back(services: Services) -> Finding:
    name, clock = "clock set back", services.clock
    behind = clock.behind if isinstance(clock, SteadyClock) else timedelta(0)
    if behind <= TOLD_FROM:
        return Finding(name, Finding.OK, "no: it is not behind what was believed")
    told = (
        f"it is {rfc3339(_wall(services))} here, and was {rfc3339(clock())} already: by that is decided, and what was "
        "over stays over"
    )
    mend = "set the clock; where it is right and was ahead before: `exchange clock accept --reason WHY`"
    return Finding(name, Finding.MEND, told, mend)


async def _hours(services: Services) -> Finding | None:
    """Return whose working hours are those of nobody here: a mistyped code leaves its member the usual ones."""
    told = [each.condition for each in services.law.alerts.rules if isinstance(each.condition, OutOfHours)]
    unread = Unread()
    members = codes_of(await services.store.members(unread), unread)
    strange = sorted({code for each in told for code in each.hours.of_members} - members)
    if not strange:
        return None
    mend = "mend the code under `hours` in alerts.yaml, unless the member is still to come"
    return Finding("alert hours", Finding.WARNING, f"no member here has the code {', '.join(strange)}", mend)


def _wall(services: Services) -> datetime:
    clock = services.clock
    return clock.wall if isinstance(clock, SteadyClock) else clock()


async def _rows(services: Services) -> AsyncIterator[Finding | None]:
    first, count, fault = "", 0, None
    try:
        for looks in (told_reports, contradicted_rows):
            async for found in looks(services):
                first = first or "".join(f"{each.told.name}: {each.why}" for each in found[:1])
                count += len(found)
                yield None
    except ExchangeError as exc:
        fault = exc
    told = first if count <= 1 else f"{first}; and {count - 1} more"
    if fault is not None:
        # Where the log lacks entries, what is found by all others is told besides.
        mend = _ARCHIVE if isinstance(fault, BlobsAwayError | LogDamagedError) else _MENDS["store"]
        yield Finding("rows", Finding.MEND, f"{told}; {fault.message}" if told else fault.message, mend)
    elif count:
        yield Finding("rows", Finding.MEND, told, _MENDS["rows"])
    else:
        yield Finding("rows", Finding.OK, "each is where the log says that it came to")


def _signed_here(settings: Settings) -> LastSigned | ExchangeError | None:
    """Return what this node signed last, None where it has signed nothing, or why the file cannot be read."""
    try:
        return LastSignedFile(settings.last_signed_file).read()
    except ExchangeError as exc:
        return exc


def _log_keys(settings: Settings, log: LogState | None) -> Finding | None:
    name, file = "log keys", settings.log_key_file
    shown = InstanceLayout(settings.instance_folder).log_verifier_file
    try:
        keys = load_log_key(file).verifier_keys
    except ExchangeError:
        return None  # told with the other secrets
    if log is not None and keys != log.keys:
        told = f"the log `{log.origin}` has other keys than `{file}`: this node signs nothing"
        mend = "where `exchange audit recover` was stopped here, run it again; else"
        return Finding(name, Finding.MEND, told, f"{mend} {LOG_KEY_MEND.partition(', else ')[2]}")
    try:
        public = shown.read_bytes()
    except FileNotFoundError:
        public = b""
    except OSError:
        return None  # told with what was signed last, beside it
    if not set(keys.encode().splitlines()) <= set(public.splitlines()):
        told = f"`{shown}` lacks the public half of the log's keys: nobody can verify by it"
        return Finding(name, Finding.MEND, told, "exchange migrate")
    return Finding(name, Finding.OK, "those that the log is signed with")


async def _witness_policy(services: Services) -> Finding | None:
    """Return what is wrong with who witnesses the log: a file that is gone asks nobody, and nobody would notice."""
    name, file, log = "witness policy", services.witnessing.policy, services.store.log
    mend = "bring it back, from another node or a backup; or name them again: `exchange audit witness add`"
    if file is None:
        return None
    try:
        named = len(file.read().witnesses)
    except ExchangeError as exc:
        return Finding(name, Finding.MEND, exc.message, mend)
    if named:
        return Finding(name, Finding.OK, f"{named} named")
    cosigned = [await log.cosigned_checkpoint(each.log) for each in await log.states()]
    if any(cosigned) and _is_gone(file.path):
        return Finding(name, Finding.MEND, f"witnesses cosigned the log, and `{file.path}` is gone", mend)
    return Finding(name, Finding.OK, "no witness is named")


def _is_gone(path: Path) -> bool:
    return not os.path.lexists(path)


def _with_mend(told: str, otherwise: str) -> tuple[str, str]:
    """Part what is told from the mend that it ends with, or bring the one of its kind."""
    fault, *own = re.split(": (?=(?:put|begin|run) )", told, maxsplit=1)
    return fault, own[0] if own else otherwise


def _last_signed(said: LastSigned | ExchangeError, log: LogState | None) -> Finding:
    name = "last signed"
    if isinstance(said, ExchangeError):
        return Finding(name, Finding.MEND, *_with_mend(said.message, "see to the disk that it lies on"))
    head = said.confirmed.head
    is_contradiction = log is None or (
        log.origin == said.origin and (log.size < head.size or (log.size == head.size and log.root != head.root))
    )
    if is_contradiction:
        size = 0 if log is None else log.size
        told = f"this node signed a log of {head.size} entries, and the database holds another or one of {size}"
        return Finding(name, Finding.MEND, told, _MENDS["log"])
    return Finding(
        name, Finding.OK, f"the database holds all that this node signed: {counted(head.size, 'entry', 'entries')}"
    )


def _time_of(content: bytes) -> datetime:
    return parse_rfc3339(parse_entry(content)["ts"])
