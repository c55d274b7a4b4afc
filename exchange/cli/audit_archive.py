"""`exchange audit archive`: old entries leave the database for the archive; what proves them stays."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.instance import Host
from exchange.cli.progress import ProgressBar
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption, lasting_host_verb

if TYPE_CHECKING:
    from exchange.usecases.log.archive_log import Archiver

OlderOption = Annotated[
    int | None,
    typer.Option(
        "--older-than",
        metavar="DAYS",
        help="How old the newest entry of a bundle is at least.",
        min=1,
        max=366 * 200,  # as of `audit_retention_days`
    ),
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, and move nothing.")]


@audits.command("archive")
@lasting_host_verb
async def archive(
    host: Host, older_than: OlderOption = None, dry_run: DryOption = False, as_json: JsonOption = False
) -> None:
    """Move whole bundles of old entries into the archive; the tree, its checkpoints and the search stay."""
    from exchange.services import open_archiver

    days = older_than or host.settings.audit_retention_days
    if days is None:
        raise UsageError("how old? give `--older-than DAYS`, or set `audit_retention_days`: entries stay for ever else")
    async with open_archiver(host.settings, host.services, timedelta(days=days)) as archiver:
        entries = sum(each.entries for each in await archiver.due())
        if not dry_run:
            entries = await _moved(archiver, entries)
        elif await archiver.is_held():
            output.warn("a legal hold is on, or may be: until it is lifted nothing is moved")
    url, what = archiver.archive.url, "would be moved" if dry_run else "were moved"
    told = {"id": url, "archive": url, "days": days, "entries": entries, "dry_run": dry_run}
    output.show_done(told, f"{entries} entries older than {days} days {what} to {url}", as_json=as_json)


async def _moved(archiver: "Archiver", total: int) -> int:
    done = 0
    with ProgressBar("archiving") as bar:
        while moved := await archiver.step():
            done += moved
            bar(done, max(done, total))
    return done
