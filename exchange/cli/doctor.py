"""What `exchange doctor` looks at: each thing by itself, so that one fault does not hide the next."""

import os
import ssl
import stat
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from exchange.cli.doctor_log import disks, opened_rooms
from exchange.cli.edge_lists import enrolled
from exchange.cli.enrolment import demo_authority
from exchange.cli.finding import Finding
from exchange.cli.instance import unreadable
from exchange.cli.patience import SILENT, patiently
from exchange.crypto import (
    Authority,
    RevocationList,
    empty_crl,
    first_end,
    read_certificates,
    read_revocation_lists,
    revocations_end,
    strict_fault,
)
from exchange.custody import LOG_KEY_MEND
from exchange.entrypoints.http.contexts import read_plain
from exchange.entrypoints.http.listed import by_key, fault_of, without_list
from exchange.kernel import ExchangeError, MalformedError, UnsafeSettingError, counted, rfc3339, system_clock
from exchange.kernel.files import fault_in_words, shut_out
from exchange.release import check_law
from exchange.services import open_services, webhooks_of
from exchange.setting_faults import faults_of
from exchange.settings import InstanceLayout, Settings, WebhookSettings, load_settings, read_policies, read_secret
from exchange.store import head, schema_state
from exchange.store.database.engine import checked_url

# No exchange ran before this was written: a clock before it is wrong.
_EARLIEST_YEAR = 2025
_SHARE_ANOTHER = "make another as docs/alerts.md says, and share it with the receiver"
_FROM_ESCROW = "put it back from the escrow: `exchange keys restore` into another folder"
_ADDRESS = "docs/operations.md, Where the secrets are, says how a database is named"
# What was there is not made again by a migration: that would begin an empty exchange beside keys in use.
_DATABASE_GONE = "put the database back, or `exchange restore` a backup; `exchange migrate` would begin an empty one"


@dataclass(frozen=True, slots=True)
class _Paper:
    """A kind of file that ends: how long before that somebody is told, and what to do then."""

    noun: str
    near: timedelta
    mend: str


# Time enough to get a certificate through an agency's channels.
_CERTIFICATE = _Paper("certificate", timedelta(days=30), "bring the next one")
_SERVER = replace(_CERTIFICATE, mend="`exchange ca server` makes another, unless another authority issued it: ask that")
_AUTHORITY = replace(_CERTIFICATE, mend="have its next one added (`exchange ca add`), then take this file away")
_EDGES = replace(
    _CERTIFICATE, mend="`make edge` (`exchange ca edge`) renews the edge's own; add another one's next to the file"
)
_EDGE_SERVER = replace(_CERTIFICATE, mend="bring the edge its next one, then `make edge` (`exchange ca edge`)")
# Lists come every week or every day.
_REVOCATIONS = _Paper("revocation list", timedelta(days=3), "bring the next one")
_EDGE_LISTS = replace(_REVOCATIONS, mend="bring the next one, then `make edge` (`exchange ca edge`)")


async def examine(folder: Path) -> list[Finding]:
    """Return what is right and wrong with the instance in `folder`, each with its mend."""
    now = system_clock()
    findings = [_clock(now)]
    try:
        settings = load_settings(folder)
    except ExchangeError as exc:
        return [*findings, Finding("settings", Finding.MEND, exc.message, "mend what is set, or give another `--dir`")]
    findings.append(Finding("settings", Finding.OK, str(InstanceLayout(settings.instance_folder).settings_file)))
    findings.extend(Finding("setting", Finding.MEND, fault.told, fault.mend) for fault in faults_of(settings))
    findings.extend(_permissions(settings))
    findings.extend(_webhook(settings, hook) for hook in settings.alert_webhooks)
    try:
        findings.extend(_certificates(settings, now))
        findings.append(_trust_bundle(settings))
    except PermissionError:
        told, mend = _run(f"`{settings.authorities_folder}` cannot be read: {shut_out(settings.authorities_folder)}")
        findings.append(Finding("trust bundle", Finding.MEND, told, mend))
    findings.append(_law(settings))
    try:
        checked_url(settings.database_url_with_password())
    except UnsafeSettingError as exc:
        told, mend = _run(exc.message)
        return [*findings, Finding("database", Finding.MEND, told, mend or _ADDRESS)]
    findings.extend(disks(settings))
    silence = Finding("database", Finding.MEND, SILENT, _mend_of_waiting(settings))
    findings.extend([finding async for finding in patiently(_database(settings), silence)])
    return findings


def _run(fault: str) -> tuple[str, str]:
    told, _, mend = fault.partition(": run ")
    return told, mend.strip("`") if mend.startswith("`") else f"run {mend}" * bool(mend)


def _clock(now: datetime) -> Finding:
    if now.year < _EARLIEST_YEAR:
        return Finding("clock", Finding.MEND, f"this machine says {rfc3339(now)}", "set the clock (use NTP)")
    return Finding("clock", Finding.OK, rfc3339(now))


def _permissions(settings: Settings) -> Iterator[Finding]:
    layout = InstanceLayout(settings.instance_folder)
    found = settings.instance_folder.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        mend = f"chmod 700 {settings.instance_folder}"
        yield Finding("folder", Finding.WARNING, "others on this host can list the instance's folder", mend)
    # An instance of an older version has neither yet.
    mends = {
        settings.node_key_file: "exchange migrate",
        settings.log_key_file: LOG_KEY_MEND,
        settings.server_key_file: f"{_FROM_ESCROW}; or `exchange ca server` makes another pair",
    }
    keys = (settings.roots_file, settings.cursor_key_file, settings.node_key_file, settings.log_key_file)
    for path in (*keys, settings.server_key_file):
        if path in mends and _is_missing(path):
            yield Finding(f"secret {path.name}", Finding.MEND, f"`{path}` is missing", mends[path])
            continue
        yield _secret(path)
    yield from _own_authority(layout)


def _own_authority(layout: InstanceLayout) -> Iterator[Finding]:
    """Yield what is to be said of the authority that `init` made; an exchange of members that bring theirs has none."""
    key, certificate = layout.authority_key_file, layout.authority_certificate_file
    kept = None if _is_missing(key) else _secret(key)
    if kept is not None:
        yield kept
    if _is_missing(key) == _is_missing(certificate):
        if kept is not None and kept.state == Finding.OK:
            yield from _spoilt(layout)
        return
    name, path, mend = f"secret {key.name}", key, _FROM_ESCROW
    if _is_missing(certificate):
        name, path = f"certificate {certificate.name}", certificate
        mend = "put one back: each client was given it, as its `ca.pem`"
    yield Finding(name, Finding.WARNING, f"`{path}` is missing: `exchange client enrol` issues nothing", mend)


def _spoilt(layout: InstanceLayout) -> Iterator[Finding]:
    try:
        empty_crl(demo_authority(layout), system_clock())  # signed to see that it can be, and given to nobody
    except ExchangeError as exc:
        told, _, mend = exc.message.partition(": ")
        told = f"`exchange client enrol` issues nothing: {told}"
        yield Finding(f"certificate {layout.authority_certificate_file.name}", Finding.WARNING, told, mend)


def _is_missing(path: Path) -> bool:
    # What lies in a folder that may not be entered is not missing: another would be made in its place.
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _secret(path: Path) -> Finding:
    name = f"secret {path.name}"
    try:
        read_secret(path)
    except ExchangeError as exc:
        told, mend = _run(exc.message)
        return Finding(name, Finding.MEND, told.partition(": put it back")[0], mend or _FROM_ESCROW)
    return Finding(name, Finding.OK, "readable by its owner alone")


def _webhook(settings: Settings, hook: WebhookSettings) -> Finding:
    # Each by itself, as the service reads it when it starts.
    name = f"webhook {hook.name}"
    try:
        webhooks_of(settings.model_copy(update={"alert_webhooks": (hook,)}))
    except ExchangeError as exc:
        told, mend = _run(exc.message)
        return Finding(name, Finding.MEND, told, mend or _SHARE_ANOTHER)
    return Finding(name, Finding.OK, f"its secret is in {hook.secret_file}, readable by its owner alone")


def _certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    yield _validity(_SERVER, settings.server_certificate_file, first_end, now=now)
    for path in sorted(settings.authorities_folder.glob("*.pem")):
        yield _validity(_AUTHORITY, path, first_end, now=now)
    if settings.edge_certificates_file is not None:
        path = settings.edge_certificates_file
        yield _validity(_EDGES, path, _end_of_edges, now=now)
    shown_to_members = InstanceLayout(settings.instance_folder).edge_server_certificate_file
    if shown_to_members.exists():
        yield _validity(_EDGE_SERVER, shown_to_members, first_end, now=now)
    asked_at_edge = InstanceLayout(settings.instance_folder).edge_lists_file
    if asked_at_edge.exists() and asked_at_edge.read_bytes().strip():
        yield _validity(_EDGE_LISTS, asked_at_edge, revocations_end, now=now)
    yield from _lists(settings, enrolled(settings.authorities_folder), now)


def _lists(settings: Settings, roots: list[Authority], now: datetime) -> Iterator[Finding]:
    sound, faulty = list[RevocationList](), set[str]()
    for path in sorted(settings.crl_folder.glob("*.pem")):
        found = _validity(_REVOCATIONS, path, revocations_end, now=now)
        with suppress(MalformedError, OSError):  # told by that
            for each in read_revocation_lists(read_plain(path)):
                fault = fault_of(each, roots, now)
                if fault is None:
                    sound.append(each)
                else:
                    faulty.add(each.issuer)
                    found = replace(found, state=Finding.MEND, told=fault, mend=_REVOCATIONS.mend)
        yield found
    lacking = set(without_list(by_key(sound, roots), roots, now)) - faulty if sound or faulty else set()
    if lacking:
        told = f"an authority without a list admits nobody where there is any: {', '.join(sorted(lacking))}"
        yield Finding("revocation lists", Finding.WARNING, told, f"put its list into {settings.crl_folder}")


def _validity(paper: _Paper, path: Path, end_of: Callable[[bytes], datetime], *, now: datetime) -> Finding:
    name = f"{paper.noun} {path.name}"
    try:
        end = end_of(_content(path))
    except ExchangeError as exc:
        mend = f"put a PEM {paper.noun} there" if paper is not _SERVER else paper.mend
        return Finding(name, Finding.MEND, exc.message, mend)
    if end <= now:
        return Finding(name, Finding.MEND, f"ended on {rfc3339(end)}", paper.mend)
    told = f"valid until {rfc3339(end)}"
    if end - now < paper.near:
        return Finding(name, Finding.WARNING, told, f"soon: {paper.mend}")
    return Finding(name, Finding.OK, told)


def _content(path: Path) -> bytes:
    # As a node reads it: a list has no largest size, and whoever opens a pipe waits for a writer.
    try:
        return read_plain(path)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def _end_of_edges(pem: bytes) -> datetime:
    # A renewed one is added, and those before it stay.
    ends = [facts.not_after for facts in read_certificates(pem)]
    if not ends:
        raise MalformedError("there is no certificate in it")
    return max(ends)


def _trust_bundle(settings: Settings) -> Finding:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    paths = sorted(settings.authorities_folder.glob("*.pem"))
    if not paths:
        mend = "add one with `exchange ca add`"
        return Finding("trust bundle", Finding.MEND, "no authority is trusted: nobody can connect", mend)
    try:
        if (unread := _unread_authority(context, paths)) is not None:
            return unread
        for path in (settings.server_certificate_file, settings.server_key_file):
            read_plain(path)  # refuses what OpenSSL would wait for
        context.load_cert_chain(settings.server_certificate_file, settings.server_key_file, password=lambda: b"")
    except (ssl.SSLError, OSError) as exc:
        told = f"TLS cannot start: server certificate and key: {fault_in_words(exc)}{_named(exc)}"
        mend = "see that the two belong together; `exchange ca server` makes another pair"
        return Finding("trust bundle", Finding.MEND, told, mend)
    for path in paths:
        if (fault := _useless_authority(path)) is not None:
            mend = "have it made anew with that, and `exchange ca add` it; then take the former file away"
            return Finding("trust bundle", Finding.WARNING, f"no node takes a certificate of `{path}`: {fault}", mend)
    return Finding("trust bundle", Finding.OK, counted(len(paths), "authority", "authorities"))


def _named(fault: OSError) -> str:
    return "" if fault.filename is None else f": `{fault.filename}`"


def _unread_authority(context: ssl.SSLContext, paths: list[Path]) -> Finding | None:
    for path in paths:
        try:
            read_plain(path)
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError) as exc:
            told, mend = (
                f"TLS cannot start: `{path}`: {fault_in_words(exc)}",
                "put an authority's certificate in PEM there",
            )
            return Finding("trust bundle", Finding.MEND, told, f"{mend}, or take the file away")
    return None


def _useless_authority(path: Path) -> str | None:
    """Return why handshakes refuse whoever is of an authority in that file, None where they do not for what it is."""
    try:
        faults = [strict_fault(each.der) for each in read_certificates(path.read_bytes())]
    except MalformedError:
        return None  # OpenSSL took it; "certificate" has what is to be said of it
    return next((fault for fault in faults if fault is not None), None)


def _law(settings: Settings) -> Finding:
    try:
        report = check_law(read_policies(settings.policies_dir))
    except ExchangeError as exc:
        told = ": ".join(str(exc).splitlines()[:2])
        return Finding("law", Finding.MEND, told, "mend the policy files; `exchange policy check` tells more")
    if not report.is_sound:
        return Finding(
            "law", Finding.MEND, counted(len(report.faults), "fault", "faults"), "`exchange policy check` tells which"
        )
    return Finding("law", Finding.OK, f"{len(report.examples)} examples hold")


async def _schema(settings: Settings) -> Finding:
    try:
        found, wanted = await schema_state(settings.database_url_with_password()), head()
    except ExchangeError as exc:
        return Finding("schema", Finding.MEND, exc.message, _mend_of_silence(settings))
    if found is not None and found.is_workable:
        newer = f", newer than this version's {wanted} by what only adds" if found.is_newer else ""
        return Finding("schema", Finding.OK, f"revision {found.revision}{newer}")
    if found is None:
        return Finding(
            "schema", Finding.MEND, f"no database of an exchange; this version needs {wanted}", _DATABASE_GONE
        )
    mend = "run the version that made it, or a newer one" if found.is_newer else "exchange migrate"
    return Finding("schema", Finding.MEND, f"revision {found.revision}, this version needs {wanted}", mend)


def _mend_of_silence(settings: Settings) -> str:
    if settings.database_url.startswith("postgresql"):
        return "see that the database runs and can be reached"
    file = Path(str(checked_url(settings.database_url).database))
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        # Nothing is wrong with what stands in it: a backup would take the place of the newer.
        return "let the service's user write the file and its folder; see whether the disk is mounted read-only"
    return (
        "make room where the disk is full; else look at the disk, put a damaged `exchange.db` aside, and "
        "`exchange restore` a backup"
    )


def _mend_of_waiting(settings: Settings) -> str:
    if settings.database_url.startswith("postgresql"):
        return (
            "who holds a lock there: `SELECT DISTINCT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity` as the "
            "tables' owner, and what it does; where nobody does: the network, and the load of the server"
        )
    file = checked_url(settings.database_url).database
    return f"who holds `{file}`: `fuser {file}`, and what it does; where nobody does: the disk"


async def _database(settings: Settings) -> AsyncGenerator[Finding | None, None]:
    yield await _schema(settings)
    try:
        async with open_services(settings) as services:
            async for finding in opened_rooms(settings, services):
                yield finding
    except ExchangeError as exc:
        yield Finding("service", Finding.MEND, exc.message, "mend this first, then run `exchange doctor` again")
