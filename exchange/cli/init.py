"""`exchange init`: a new instance in a folder of its own; nothing that exists is touched.

Steps: (1) refuse a folder that holds an instance or a part of one; (2) folders and secrets, readable by their
owner alone; (3) the demo authority and the server's certificate; (4) the settings file; (5) the schema; (6) the
exchange's own member, on the record. A failed step takes back what this run made, so that it can be run again;
where it was killed, a file in the folder says so until `--if-absent` has done the rest.
"""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName
from exchange.cli import output
from exchange.cli.instance import NOTHING_YET, Host, folder_of, may_be_in_use, open_host, write_new
from exchange.cli.log_keys import make_log_key
from exchange.cli.node_key import record_node_key, write_node_key
from exchange.cli.program import app
from exchange.cli.verbs import DirOption, JsonOption
from exchange.crypto import KeyAndCertificate, issue_server, new_authority
from exchange.custody import create_root_file
from exchange.kernel import ConflictError, UnsafeSettingError, system_clock
from exchange.kernel.files import fault_in_words, keep_file, sync_folder
from exchange.settings import CURSOR_KEY_BYTES, InstanceLayout, load_settings
from exchange.store import migrate
from exchange.usecases import add_member, list_members, put_law_in_force

OWN_MEMBER = "EXCHANGE"
"""The member of the exchange's own operators and auditors (contract)."""

_SECRET = 0o600
_PUBLIC = 0o644
_FOLDER = 0o700

_SETTINGS_TEXT = """\
# Settings of this instance. Each may also be set as EXCHANGE_<NAME> in the environment, which counts before this file.
# Secrets do not belong here: they are files of their own, readable by the service's user alone.

# database_url = "postgresql+asyncpg://exchange@db.example/exchange"   # unset: SQLite, in exchange.db beside this file
# database_password_file = "secrets/database_password"
# policies_dir = "policies"                                            # unset: the law that came with the program
# node = "node-1"                                                      # unset: the name of the host
# max_body_bytes = 16777216
# max_upload_bytes = 268435456                                         # of a report whose parts are sent by themselves
# upload_hours = 24                                                    # not complete by then, it is given up
# requests_per_second = 2000                                           # per client
# audit_retention_days = 1096                                          # unset: no entry leaves the database
# audit_legal_hold = true                                              # nothing leaves it, whatever its age
# audit_archive_url = "s3://bucket/prefix"                             # unset: log/archive beside this file
"""


@app.command()
def init(
    dir: DirOption = None,  # noqa: A002  what the option is called
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            "--host-name",
            metavar="NAME",
            help="Another name or address that clients use for this server; may be repeated.",
        ),
    ] = None,
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Where there is an instance already, change nothing and succeed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new instance: keys, demo CA, server certificate, database, settings. Never overwrites."""
    folder = folder_of(dir)
    layout = InstanceLayout(folder.absolute())
    is_there = if_absent and layout.settings_file.is_file()
    is_unfinished = if_absent and _mark(layout).exists() and (is_there or may_be_in_use(layout))
    if is_unfinished:
        asyncio.run(_finish(layout))
    elif not is_there:
        asyncio.run(make_instance(layout, tuple(host_name or ())))
    if as_json:
        output.show_json({"id": str(layout.folder), "member": OWN_MEMBER, "ca": str(layout.authority_certificate_file)})
        return
    if is_unfinished:
        output.show_line(f"finished the instance in {layout.folder}, whose making was broken off")
        return
    if is_there:
        output.show_line(f"{layout.folder} is an instance already: nothing was changed")
        return
    output.show_line(f"made an instance in {folder}")
    for step in _next_steps(folder):
        output.show_line(step)


async def make_instance(layout: InstanceLayout, host_names: tuple[str, ...] = ()) -> None:
    """Make an instance; raises UnsafeSettingError where there is one, or a part of one."""
    # (1) Nothing that exists is touched.
    made_folder = _refuse_existing(layout)
    try:
        # (2) and (3) Every file but the settings and the database.
        _write_files(layout, host_names)
        await _finish(layout)
    except BaseException:
        _take_back(layout, everything=made_folder)
        raise


async def _finish(layout: InstanceLayout) -> None:
    # (4) The settings: what makes it an instance.
    if not layout.settings_file.is_file():
        write_new(layout.settings_file, _SETTINGS_TEXT.encode(), mode=_SECRET)
    # (5) The schema.
    await migrate(load_settings(layout.folder).database_url_with_password())
    # (6) The first entries of the log.
    async with open_host(layout.folder) as host:
        await _record_birth(host)
    _mark(layout).unlink()
    sync_folder(layout.folder)


def _mark(layout: InstanceLayout) -> Path:
    return layout.unfinished_file


def _refuse_existing(layout: InstanceLayout) -> bool:
    """Return whether the folder itself is still to be made."""
    if layout.folder.exists() and not layout.folder.is_dir():
        raise UnsafeSettingError(f"`{layout.folder}` is a file: name a folder")
    there = [path.name for path in _own_paths(layout) if os.path.lexists(path)]
    if there:
        names = ", ".join(f"`{name}`" for name in there)
        mend = "name another folder, or use this instance"
        if layout.settings_file.name not in there and layout.roots_file.exists():
            mend = f"`{layout.settings_file.name}` is missing: put it back; without a line everything has its default"
        if _mark(layout).exists():
            mend = "its making was broken off: `exchange init --if-absent` ends it"
            if not may_be_in_use(layout):
                mend = "its making was broken off before anything was under its keys: remove it, and make it anew"
        raise UnsafeSettingError(f"`{layout.folder}` holds {names} already: nothing was changed; {mend}")
    return not layout.folder.exists()


def _own_paths(layout: InstanceLayout) -> tuple[Path, ...]:
    return (
        _mark(layout),
        layout.settings_file,
        layout.database_file,
        layout.roots_file.parent,
        layout.cursor_key_file.parent,
        layout.last_signed_file.parent,
        layout.tls_folder,
    )


def _write_files(layout: InstanceLayout, host_names: tuple[str, ...]) -> None:
    secrets = (layout.roots_file, layout.cursor_key_file, layout.last_signed_file)
    folders = (*(path.parent for path in secrets), layout.tls_folder, layout.authorities_folder)
    try:
        _make_folders(layout.folder)
        layout.folder.chmod(_FOLDER)
        # Before its first folder: without it whoever comes after a kill takes that for a part of an instance.
        write_new(_mark(layout), NOTHING_YET, mode=_SECRET)
        _make_folders(*folders)
    except OSError as exc:
        raise UnsafeSettingError(f"`{exc.filename}` cannot be made: {fault_in_words(exc)}") from exc
    now = system_clock()
    create_root_file(layout.roots_file, now, os.urandom)
    write_new(layout.cursor_key_file, os.urandom(CURSOR_KEY_BYTES), mode=_SECRET)
    make_log_key(layout, now, host_name=host_names[0] if host_names else None)
    write_node_key(layout.node_key_file)
    authority = new_authority("exchange demo authority", now)
    hosts = tuple(dict.fromkeys(("localhost", "127.0.0.1", *host_names)))
    server = issue_server(authority, hosts, now=now)
    _write_pair(layout.authority_certificate_file, layout.authority_key_file, authority)
    _write_pair(layout.server_certificate_file, layout.server_key_file, server)
    write_new(layout.authorities_folder / "demo.pem", authority.certificate_pem, mode=_PUBLIC)
    # INVARIANT: from here on something may be under these keys, and nobody is told to remove them.
    keep_file(_mark(layout), b"")


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)


def _write_pair(certificate: Path, key: Path, pair: KeyAndCertificate) -> None:
    write_new(certificate, pair.certificate_pem, mode=_PUBLIC)
    write_new(key, pair.key_pem, mode=_SECRET)


async def _record_birth(host: Host) -> None:
    call = host.call()
    await host.record(EventName.INSTANCE_INITIALISED, call)
    await record_node_key(host)
    await put_law_in_force(host.services)
    members = (await list_members(host.services, call)).value
    # A second instance on one shared database finds the member there.
    if all(member.code != OWN_MEMBER for member in members):
        with suppress(ConflictError):
            await add_member(host.services, call, OWN_MEMBER, "The exchange")


def _take_back(layout: InstanceLayout, *, everything: bool) -> None:
    for path in _own_paths(layout):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for rest in (".db-wal", ".db-shm"):
        layout.database_file.with_suffix(rest).unlink(missing_ok=True)
    if everything:
        with suppress(OSError):
            layout.folder.rmdir()


def _next_steps(folder: Path) -> tuple[str, ...]:
    return (
        "next:",
        f"  exchange serve --dir {folder} --port 8443",
        f'  exchange member add GBR --name "United Kingdom" --dir {folder}',
        "  exchange client enrol --help   (who may connect, as whom, cleared for what)",
        f"  exchange doctor --dir {folder}",
    )
