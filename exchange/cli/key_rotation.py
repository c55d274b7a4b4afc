"""`exchange keys status`, `rotate` and `accept`: under which version of the root what is, and keys in place of others.

A root is replaced in two steps, because a version that one node alone has, and nobody keeps, must not be what all
depends on: `rotate` adds it; once it is escrowed and on every node, `rotate --rewrap` puts everything under it.
"""

import os
from datetime import datetime
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.instance import Host
from exchange.cli.keys_group import keys
from exchange.cli.program import FAILED
from exchange.cli.progress import ProgressBar
from exchange.cli.verbs import JsonOption, host_verb, lasting_host_verb
from exchange.custody import KeyVersion, add_root_version
from exchange.kernel import counted, rfc3339
from exchange.usecases.upkeep.own_keys import accept_shared_key
from exchange.usecases.upkeep.rotate_keys import KeyStatus, Rotated, added_elsewhere, begin_rotation, key_status, rewrap

_NEXT = (
    "next: (1) `exchange keys escrow`, again; (2) the key file to every other node, in the place of its own: running "
    "nodes read it when they meet the new version; (3) `exchange keys rotate --rewrap`"
)


@keys.command("status")
@host_verb
async def status(host: Host, as_json: JsonOption = False) -> None:
    """Show the versions of the root key, their age, and how much is under which."""
    found = await key_status(host.services)
    now = host.services.clock()
    if as_json:
        newer = await added_elsewhere(host.services, found.custody)
        output.show_json({**_status_as_json(found, now), "added_elsewhere": newer})
        return
    table = [
        (
            _named(found, each.version),
            each.created_at,
            f"{(now - each.created_at).days} days",
            _under(found, each),
        )
        for each in found.custody.versions
    ]
    output.show_table(("version", "made", "age", "under it"), table)
    for version in found.missing:
        rows = counted(found.under(version), "row is", "rows are")
        output.show_line(f"version {version}: not in the key file here, and {rows} under it")
    for place in found.strange:
        output.show_line(f"under a version that nobody ever added: {place}")
    # Last, for it asks the log: while its archive is away, the rest is shown all the same.
    newer = await added_elsewhere(host.services, found.custody)
    if newer is not None and newer not in found.missing:
        output.show_line(f"version {newer}: added on another node, and not in the key file here: bring that file")


@keys.command("rotate")
@lasting_host_verb
async def rotate(
    host: Host,
    is_to_rewrap: Annotated[
        bool,
        typer.Option("--rewrap", help="Put everything under the newest version; every node has the key file by now."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add a version of the root key; with --rewrap, put everything under it. Both may be run again at any time."""
    if is_to_rewrap:
        await _rewrap(host, as_json=as_json)
        return
    services = host.services
    added = await begin_rotation(
        services,
        host.call(),
        lambda: add_root_version(host.settings.roots_file, services.clock(), os.urandom),
    )
    found = await key_status(services)
    current = found.custody.current
    if as_json:
        output.show_json({"id": str(current), "current": current, "added": added is not None, "older": found.older})
        return
    if added is not None:
        output.show_line(f"version {added} of the root key is added; nothing is under it yet")
    elif not found.older:
        output.show_line(f"nothing is under version {current} of the root key yet: it needs no successor")
        return
    else:
        rows = counted(found.older, "row is", "rows are")
        output.show_line(f"version {current} of the root key is there; {rows} under older ones yet")
    output.show_line(_NEXT)


@keys.command("accept")
@host_verb
async def accept(
    host: Host,
    reason: Annotated[str, typer.Option("--reason", help="What became of the one before, for the record.")],
    as_json: JsonOption = False,
) -> None:
    """Take this host's cursor key for the one all nodes hold from now on; the one before is lost everywhere."""
    fingerprint = (await accept_shared_key(host.services, host.call(), reason)).value
    told = f"nodes hold the cursor key {fingerprint} from now on; next: it to every other node, restart each"
    output.show_done({"id": fingerprint, "key": "cursor"}, told, as_json=as_json)


async def _rewrap(host: Host, *, as_json: bool) -> None:
    with ProgressBar("rows") as bar:
        rotated = await rewrap(host.services, host.call(), bar)
    if as_json:
        output.show_json(_as_json(rotated))
    else:
        _show(rotated)
    if rotated.left:
        raise typer.Exit(FAILED)


def _show(rotated: Rotated) -> None:
    count = rotated.renewed_in_all
    if not count and not rotated.left:
        output.show_line(f"everything is under version {rotated.version} of the root key")
        return
    moved = counted(count, "row is", "rows are")
    output.show_line(f"{moved} now under version {rotated.version} of the root key; {rotated.left} are not")
    for place in rotated.unopened:
        output.show_line(f"does not open, left as it is: {place}")
    if rotated.unopened:
        output.show_line("somebody wrote to the database: put these rows back from a backup")
    if rotated.left > len(rotated.unopened):
        output.show_line(
            "some were written meanwhile by a node that has not met the new version: run this again; a node that only "
            "takes posts meets it when it is restarted"
        )


def _as_json(rotated: Rotated) -> dict[str, object]:
    return {
        "id": str(rotated.version),
        "current": rotated.version,
        "renewed": {kind.value: count for kind, count in rotated.renewed.items() if count},
        "unopened": list(rotated.unopened),
        "older": rotated.left,
    }


def _status_as_json(found: KeyStatus, now: datetime) -> dict[str, object]:
    custody = found.custody
    versions = [
        {
            "version": each.version,
            "created_at": rfc3339(each.created_at),
            "age_seconds": int((now - each.created_at).total_seconds()),
            "rows": found.under(each.version),
            "kept": _kept(found, each),
        }
        for each in custody.versions
    ]
    missing = [{"version": version, "rows": found.under(version)} for version in found.missing]
    own = {"id": custody.kind, "kind": custody.kind, "current": custody.current, "older": found.older}
    return {**own, "versions": versions, "missing": missing}


def _kept(found: KeyStatus, version: KeyVersion) -> dict[str, int]:
    return {kind.value: counts.get(version.version, 0) for kind, counts in found.kept.items()}


def _under(found: KeyStatus, version: KeyVersion) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in _kept(found, version).items() if count) or "nothing"


def _named(found: KeyStatus, version: int) -> str:
    return f"{version} (current)" if version == found.custody.current else str(version)
