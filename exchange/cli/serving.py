"""`exchange serve`, `migrate`, `status` and `doctor`: the instance as its operator runs it."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName
from exchange.cli import output
from exchange.cli.doctor import examine
from exchange.cli.enrolment import all_clients
from exchange.cli.finding import Finding
from exchange.cli.instance import Host, folder_of, open_host
from exchange.cli.log_keys import make_missing_log_key, show_log_key
from exchange.cli.node_key import key_is_recorded, make_missing_node_key, node_key_text, record_node_key
from exchange.cli.program import FAILED, app, nothing_collected
from exchange.cli.progress import ProgressBar
from exchange.cli.usage import UsageError
from exchange.cli.verbs import DirOption, JsonOption, host_verb
from exchange.settings import load_settings, read_secret
from exchange.store import Migrated, head, revision
from exchange.store import migrate as migrate_store
from exchange.store.database.logins import set_login
from exchange.store.reads.counts import count_rows
from exchange.usecases import list_agreements, list_members

_LARGEST_PORT = 65_535


@app.command()
def serve(
    dir: DirOption = None,  # noqa: A002  what the option is called
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0 for any free one.", max=_LARGEST_PORT, min=0)] = 8443,
    workers: Annotated[int, typer.Option("--workers", help="Processes.", min=1, max=128)] = 1,
    ops: Annotated[
        str, typer.Option("--ops", metavar="HOST:PORT", help="Health and metrics, in plain HTTP.")
    ] = "127.0.0.1:0",
    jobs: Annotated[
        bool, typer.Option("--jobs/--no-jobs", help="Sequence the log too, in a process beside the workers.")
    ] = True,
) -> None:
    """Serve with mutual TLS; prints `ready https://HOST:PORT` once it answers."""
    with nothing_collected():
        from exchange.app import serve as serve_instance

    settings = load_settings(folder_of(dir))
    code = serve_instance(settings, host=host, port=port, workers=workers, ops=_address(ops), jobs=jobs)
    raise typer.Exit(code or 0)


@app.command()
def migrate(
    dir: DirOption = None,  # noqa: A002
    login: Annotated[
        list[str] | None,
        typer.Option(
            "--login",
            metavar="LOGIN:ROLE:FILE",
            help="Also make a login of PostgreSQL in a role of the exchange, its password in FILE; may be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring schema and keys up to date with this version; safe to run again, and on several nodes at once."""
    folder = folder_of(dir)
    settings = load_settings(folder)
    logins = [_login(each) for each in login or ()]
    # An instance of a version whose nodes did not sign for their entries yet has none.
    is_new_key = make_missing_node_key(settings.node_key_file)
    url = settings.database_url_with_password()
    migrated = asyncio.run(migrate_store(url))
    for name, role, password in logins:
        asyncio.run(set_login(url, name, role, password))
    asyncio.run(_record_migration(folder, is_new_key=is_new_key))
    made = asyncio.run(make_missing_log_key(settings))
    show_log_key(settings)
    if as_json:
        output.show_json({"id": str(settings.instance_folder), "schema": migrated.reached, "was": migrated.before})
        return
    output.show_line(f"the schema {_moved(migrated)}")
    if made is not None:
        output.show_line(f"made the keys of the log `{made}`")


@app.command()
@host_verb
async def status(host: Host, as_json: JsonOption = False) -> None:
    """Show the state of the instance on one screen."""
    shown = await _status(host)
    told = {name: _told(value) for name, value in shown.items()}
    output.show_record(told, document=shown, as_json=as_json)


@app.command()
def doctor(dir: DirOption = None, as_json: JsonOption = False) -> None:  # noqa: A002
    """Check the configuration and say how to mend it; exit 1 where something must be mended."""
    folder = folder_of(dir)
    with ProgressBar("looking"):  # a silent database is waited for
        findings = asyncio.run(examine(folder))
    rows = ((finding.name, finding.state, finding.told, finding.mend or "") for finding in findings)
    told = [finding.as_json() for finding in findings]
    output.show_list(told, ("check", "state", "found", "mend"), rows, as_json=as_json)
    if any(finding.state == Finding.MEND for finding in findings):
        raise typer.Exit(FAILED)


async def _record_migration(folder: Path, *, is_new_key: bool) -> None:
    async with open_host(folder) as host:
        await host.record(EventName.SCHEMA_MIGRATED)
        if is_new_key:
            await record_node_key(host)
    if is_new_key:
        key_is_recorded(host.settings.node_key_file)


async def _status(host: Host) -> dict[str, object]:
    services, call = host.services, host.call()
    members = (await list_members(services, call)).value
    agreements = (await list_agreements(services, call)).value
    clients, _ = await all_clients(host)
    url = host.settings.database_url_with_password()
    counts = await count_rows(url)
    keys = await services.custodian.status()
    log = await services.store.log.state()
    return {
        "id": str(host.settings.instance_folder),
        "members": dict(Counter(member.standing.value for member in members)),
        "clients": dict(Counter(view.client.standing.value for view in clients)),
        "agreements": dict(Counter(view.state.value for view in agreements)),
        "reports": counts.reports,
        "audit_entries": counts.entries,
        "log": None if log is None else log.origin,
        "log_size": 0 if log is None else log.size,
        "log_waiting": (await services.store.log.backlog()).count,
        "log_frozen": None if log is None else log.frozen_why,
        "database": "postgresql" if host.settings.database_url.startswith("postgresql") else "sqlite",
        "schema": await revision(url),
        "custody": keys.kind,
        "key_version": keys.current,
        "policy_digest": services.law.digest,
        "node_key": node_key_text(host.settings),
    }


def _moved(migrated: Migrated) -> str:
    if migrated.reached != head():
        return f"is newer, `{migrated.reached}`, and left as it is"
    if migrated.before == migrated.reached:
        return f"was at `{migrated.reached}` already"
    return f"is at `{migrated.reached}` now, {'new' if migrated.before is None else f'from `{migrated.before}`'}"


def _told(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in sorted(value.items())) or "none"
    return value


def _login(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition(":")
    role, _, file = rest.partition(":")
    if not (name and role and file):
        raise UsageError(f"`{text}` is no login: write LOGIN:ROLE:FILE")
    return name, role, read_secret(Path(file)).strip()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or len(port) > len(str(_LARGEST_PORT)) or int(port) > _LARGEST_PORT:
        raise UsageError(f"`{text}` is no address: write HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
