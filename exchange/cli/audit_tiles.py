"""`exchange audit tiles`: the log as a folder of files, for somebody who verifies it elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.audit.verify import Source
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.audit_keys import apart, origin_of
from exchange.cli.audit_options import CaOption, CertOption, KeyOption, ProfileOption, UrlOption
from exchange.cli.audit_places import logs_at
from exchange.cli.log_here import LogHere
from exchange.cli.profiles import Door
from exchange.cli.progress import ProgressBar
from exchange.cli.verbs import DirOption, JsonOption
from exchange.client.log_folder import write_log
from exchange.kernel import InvalidError, counted

OriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="A log that a recovery ended, by its name (unset: the one in use)."),
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go; what is there is kept.")]


@audits.command("tiles")
def tiles(
    out: OutOption,
    dir: DirOption = None,  # noqa: A002
    url: UrlOption = None,
    key: KeyOption = None,
    cert: CertOption = None,
    ca: CaOption = None,
    profile: ProfileOption = None,
    origin: OriginOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write checkpoints, tiles and entry bundles into a folder, as C2SP tlog-tiles lays them out."""
    _, private = apart(key)
    ended = () if origin is None else (origin,)
    with logs_at(None, dir, Door(url, cert, private, ca, profile), ended) as logs:
        source = _chosen(logs, origin)
        with ProgressBar("writing") as bar:
            size = write_log(source, out, bar)
    if as_json:
        output.show_json({"id": str(out), "size": size, "has_entries": source.has_entries})
        return
    output.show_line(f"wrote a log of {counted(size, 'entry', 'entries')} into {out}")
    if not source.has_entries:
        output.note("without the entries: this client is shown their hashes only")


def _chosen(logs: list[LogHere], origin: str | None) -> Source:
    """Return the log in use, or the one of this name."""
    if not logs:
        raise InvalidError("there is no log here yet: nothing was ever signed")
    if origin is None:
        return logs[-1].source
    of_name = [each for each in logs if origin in {each.origin, origin_of(each.source.newest().note)}]
    if not of_name:
        raise InvalidError(f"there is no log `{origin}` here: the first line of a checkpoint has its name")
    return of_name[-1].source
