"""`exchange audit export`: the log, or an auditor's slice of it, in a file that another tool reads.

With `--dir` the host exports all of it as NDJSON, whose bytes the verifier takes; over HTTPS an auditor exports its
own slice, in any format.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit.export import FORMATS, FormatName, Place, Statement, parse_place
from exchange.cli import output
from exchange.cli.audit_group import audits
from exchange.cli.export_file import ExportFile, ExportSink, ExportStream
from exchange.cli.given import moment_text
from exchange.cli.instance import Host
from exchange.cli.progress import ProgressBar
from exchange.cli.usage import UsageError, read_as_given
from exchange.cli.verbs import JsonOption, either_verb
from exchange.client import ExchangeClient
from exchange.kernel import InvalidError, MalformedError

FormatOption = Annotated[FormatName, typer.Option("--format", help="How each entry is written.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Unset: into a pipe, and not to a terminal.")
]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="LOG.POSITION", help="Only what lies behind this place in the log.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with FILE.part where it stopped.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite FILE and FILE.part.")]
ProofsOption = Annotated[bool, typer.Option("--proofs", help="An inclusion proof beside each entry (NDJSON).")]
Word = str | None


@audits.command("export")
@either_verb
async def export(
    where: Host | ExchangeClient,
    format: FormatOption = FormatName.NDJSON,  # noqa: A002
    out: OutOption = None,
    after: AfterOption = None,
    resume: ResumeOption = False,
    force: ForceOption = False,
    proofs: ProofsOption = False,
    since: Annotated[Word, typer.Option("--since", metavar="TIME")] = None,
    until: Annotated[Word, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
    member: Annotated[Word, typer.Option("--member", metavar="CODE", help="What its clients did.")] = None,
    agency: Annotated[Word, typer.Option("--agency", metavar="A")] = None,
    client: Annotated[Word, typer.Option("--client", metavar="ID", help="What it did.")] = None,
    report: Annotated[Word, typer.Option("--report", metavar="ID", help="What was done to it.")] = None,
    subject: Annotated[
        Word, typer.Option("--subject", metavar="ID", help="... to an agreement, client or another thing.")
    ] = None,
    owner: Annotated[Word, typer.Option("--owner", metavar="CODE", help="What was done to what it owns.")] = None,
    agreement: Annotated[Word, typer.Option("--agreement", metavar="ID")] = None,
    event: Annotated[Word, typer.Option("--event", metavar="NAME", help="Such as report.read.")] = None,
    outcome: Annotated[Word, typer.Option("--outcome", metavar="O", help="permitted, refused or failed.")] = None,
    level: Annotated[Word, typer.Option("--level", metavar="LEVEL")] = None,
    reason: Annotated[Word, typer.Option("--reason", metavar="CODE")] = None,
    text: Annotated[Word, typer.Option("--text", metavar="TEXT", help="In a reason.")] = None,
    source: Annotated[Word, typer.Option("--source", metavar="ADDRESS", help="From this address.")] = None,
    thumbprint: Annotated[Word, typer.Option("--thumbprint", metavar="HEX", help="With this certificate.")] = None,
    crisis: Annotated[Word, typer.Option("--crisis", metavar="ID", help="Released only because of it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Export the log: all of it at its host, your slice of it as an auditor; the last line says it is complete."""
    words = {"member": member, "agency": agency, "client": client, "report": report, "owner": owner}
    more = {"agreement": agreement, "event": event, "outcome": outcome, "level": level, "reason": reason}
    more |= {"subject": subject, "text": text, "source": source, "thumbprint": thumbprint, "crisis": crisis}
    rest = {"since": moment_text(since), "until": moment_text(until), "proofs": "true" if proofs else None}
    filters = {name: value for name, value in {**words, **more, **rest}.items() if value is not None}
    with read_as_given(MalformedError):
        begun = None if after is None else parse_place(after)
    if resume and (force or after is not None):
        raise UsageError("`--resume` goes on behind what FILE.part has: without `--after` and `--force`")
    if out is None:
        _require_pipe(resume=resume, as_json=as_json)
        await _fill(where, ExportStream(sys.stdout.buffer, FORMATS[format], begun), format, filters)
        return
    with ExportFile(out, FORMATS[format], {"format": format.value, **filters}) as file:
        if resume:
            file.resume()
        else:
            file.begin(begun, force=force)
        statement = await _fill(where, file, format, filters)
    _show(out, statement, as_json=as_json)


async def _fill(
    where: Host | ExchangeClient, sink: ExportSink, name: FormatName, filters: Mapping[str, str]
) -> Statement:
    """Write everything behind what `sink` has, and return the statement of the whole."""
    with ProgressBar("exporting") as bar:
        if isinstance(where, Host):
            return await _fill_from_host(where, sink, name, filters, bar)
        ends: list[Place] = []
        for item in where.export(sink.tally.reached, filters, on_end=ends.append):
            if isinstance(item, Statement):
                return sink.finish(item)
            sink.add(item)
            if ends:
                bar(item.place.position, max(item.place, ends[-1]).position)
    raise InvalidError("the export ended without saying so")


async def _fill_from_host(
    host: Host, sink: ExportSink, name: FormatName, filters: Mapping[str, str], bar: ProgressBar
) -> Statement:
    from exchange.usecases import export_log

    if name is not FormatName.NDJSON or filters:
        raise UsageError("the host exports the whole log as `ndjson`: an auditor chooses, over HTTPS")
    exported = (await export_log(host.services, host.call(), after=sink.tally.reached)).value
    end = parse_place(exported.statement.end)
    async for place, lines in exported.lines:
        sink.add_lines(place, lines)
        bar(place.position + len(lines), end.position)
    return sink.finish(exported.statement)


def _require_pipe(*, resume: bool, as_json: bool) -> None:
    if resume or as_json:
        raise UsageError("`--resume` and `--json` are about a file: name it with `--out`")
    if sys.stdout.isatty():
        # Bytes as the log has them: what a stranger once sent must not steer a terminal.
        raise UsageError("an export goes into a file or a pipe: give `--out FILE`")


def _show(out: Path, statement: Statement, *, as_json: bool) -> None:
    fields: dict[str, object] = {
        "written to": out,
        "entries": statement.count,
        "first": statement.first,
        "last": statement.last,
        "complete up to": statement.end,
        "checkpoint": None if statement.checkpoint is None else statement.checkpoint.partition("\n")[0],
    }
    output.show_record(fields, document={"id": str(out), **statement.as_json()}, as_json=as_json)
