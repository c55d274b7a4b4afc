"""`exchange report`: post, pull, list, watch, explain; a member's verbs over mutual TLS."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import day_given, day_or_moment, id_given, moment_text, tell_of_wait
from exchange.cli.own_clearance import absent_told_with_own_end, warn_who_sees_nothing
from exchange.cli.posting import (
    LARGEST_WHOLE_BYTES,
    checked_body,
    declared_parts_of,
    label_of,
    law_catalogue,
    parts_of,
    size_of,
)
from exchange.cli.progress import ProgressBar
from exchange.cli.pulling import save_parts
from exchange.cli.report_group import IdArgument, reports
from exchange.cli.report_options import (
    AgreementOption,
    KindOption,
    MarkingOption,
    MediaTypes,
    PartMarkings,
    PrecedenceOption,
    PurposeOption,
    RegionOption,
    ScopeOption,
    SourcesPurposeOption,
    TopicOption,
)
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import (
    AnswerError,
    ConnectionFailedError,
    ExchangeClient,
    ProblemError,
    ReceiptFileError,
    ToldEvent,
    UnopenedEvent,
    WatchedEvent,
)
from exchange.client.exports import pages_for_ever
from exchange.kernel import ExchangeError, new_id
from exchange.wire import HeaderBody, ReleaseTermsBody, ReportBody, ReportListBody, UnopenedBody

# How long `--follow` waits between two looks: soon enough for a person, cheap enough for a service with many readers.
_FOLLOW_SECONDS = 2.0

# A page for who gives a cursor and no number: what the exchange gives who asks for no number.
_PAGE = 100


# From here on a status says that the exchange failed: what became of the request, it may not know itself.
_FAILED = 500


@reports.command("post")
@member_verb
def post(
    client: ExchangeClient,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="One file for each part.")],
    agreement: AgreementOption,
    scope: ScopeOption,
    kind: KindOption,
    topic: TopicOption,
    region: RegionOption,
    marking: MarkingOption,
    part_marking: PartMarkings = None,
    media_type: MediaTypes = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="TEXT")] = None,
    precedence: PrecedenceOption = "ROUTINE",
    valid_until: Annotated[str | None, typer.Option("--valid-until", metavar="TIME")] = None,
    declassify_on: Annotated[str | None, typer.Option("--declassify-on", metavar="DATE")] = None,
    supersedes: Annotated[str | None, typer.Option("--supersedes", metavar="ID")] = None,
    reference: Annotated[list[str] | None, typer.Option("--reference", metavar="ID")] = None,
    conditions: Annotated[str | None, typer.Option("--conditions", metavar="TEXT", help="What H3 stands for.")] = None,
    on_behalf_of: Annotated[
        str | None,
        typer.Option("--on-behalf-of", metavar="CODE", help="Whose report it is; that member consents."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key posts once only.")
    ] = None,
    purpose: SourcesPurposeOption = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Send each part by itself; so are files that are large anyway.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Post a report (contributor) and print its id and marking."""
    catalogue = law_catalogue()
    body: dict[str, object] = {
        "agreement": agreement,
        "scope": scope,
        "kind": kind,
        "topic": topic,
        "regions": region,
        "precedence": precedence,
        "subject": subject,
        "label": label_of(marking, catalogue),
        "valid_until": day_or_moment(valid_until),
        "declassify_on": day_given(declassify_on),
        "supersedes": supersedes,
        "references": reference or [],
        "conditions": conditions,
        "on_behalf_of": on_behalf_of,
    }
    is_streamed = stream or size_of(files) > LARGEST_WHOLE_BYTES
    parts = declared_parts_of if is_streamed else parts_of
    body["parts"] = parts(files, catalogue, part_markings=part_marking or [], media_types=media_type or [])
    report = checked_body({**body, "complete": False} if is_streamed else body)
    # Whoever gave no key is told one where no answer comes, or the rest does not arrive: nobody could go on without it.
    key = idempotency_key or new_id(datetime.now(UTC), os.urandom)
    header = _sent(client, report, files, key, purpose) if is_streamed else _posted(client, report, key, purpose)
    show_posted(header, as_json=as_json)


@reports.command("pull")
@member_verb
def pull(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write each part's bytes here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files in DIR.")] = False,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pull a report: its header, and with --out the parts that you may read."""
    with absent_told_with_own_end(client, purpose):
        report = client.pull_report(id, purpose=purpose)
    written = {} if out is None else save_parts(client, report, out, force=force, purpose=purpose)
    if as_json:
        # Contents go to files or stay behind: a terminal or a log is no place for them.
        held = report.model_dump(mode="json", exclude={"parts": {"__all__": {"content", "encoding"}}})
        for part in held["parts"]:
            part["file"] = written.get(part["number"])
        output.show_json(held)
        return
    _show_header(report)
    for terms in report.released_under:
        output.show_line(f"released to your member by {report.originator}: {_words_of(terms)}")
    columns = ("part", "name", "media type", "bytes", "marking", "written to")
    rows = [
        (part.number, part.name, part.media_type, part.size_bytes, part.marking, written.get(part.number))
        for part in report.parts
    ]
    output.show_table(columns, rows)


@reports.command("list")
@member_verb
def list_all(
    client: ExchangeClient,
    agreement: Annotated[str | None, typer.Option("--agreement", metavar="A")] = None,
    topic: Annotated[str | None, typer.Option("--topic", metavar="T", help="With all below it.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="K")] = None,
    precedence: Annotated[str | None, typer.Option("--precedence", metavar="P")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="One page, behind a page's `next`.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, max=500, help="One page of at most so many.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on: print reports as they become visible.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the reports that you may read, oldest first; exit 1 where there are some that cannot be opened.

    With `--after` or `--limit` it is one page; as JSON that is an object whose `next` is the cursor to go on from.
    """
    filters = {
        "agreement": agreement,
        "topic": topic,
        "kind": kind,
        "precedence": precedence,
        "since": moment_text(since),
    }
    if follow:
        if limit is not None:
            raise UsageError("all that comes, or a page of it? give one of `--follow` and `--limit`")
        tell_of_wait(since)
        # Ctrl-C is how one stops following: that is done, not failed.
        with suppress(KeyboardInterrupt):
            _follow(client, after, filters, as_json=as_json)
    elif after is None and limit is None:
        listed = client.reports(**filters)
        found = list(listed)
        if not (found or listed.unopened or as_json):
            warn_who_sees_nothing(client)
        _show_list(found, found, listed.unopened, as_json=as_json)
    else:
        page = client.page(after, limit or _PAGE, **filters)
        if after is None and not (page.items or page.unopened or as_json):
            warn_who_sees_nothing(client)
        _show_list(page.items, page, page.unopened, as_json=as_json)


@reports.command("watch")
@member_verb
def watch(
    client: ExchangeClient,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Go on behind an event's cursor, or a list's.")
    ] = None,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print reports as they become visible, a line each (reader); a stream that breaks is resumed."""
    # Ctrl-C is how one stops watching: that is done, not failed.
    with suppress(KeyboardInterrupt):
        for event in client.watch(after, purpose=purpose):
            _show_event(event, as_json=as_json)


@reports.command("explain")
@member_verb
def explain(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    reader: Annotated[
        str | None,
        typer.Option("--client", metavar="ID", help="Why that client may (not) see it (auditor).", callback=id_given),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say why you may see a report, or (to its originator's auditor) why a client may (not)."""
    with absent_told_with_own_end(client):
        explanation = client.explanation(id) if reader is None else client.explanation_for(id, reader)
    if as_json:
        output.show_json(explanation)
        return
    asked = {} if reader is None else {"client": reader}
    output.show_record({"report": explanation.id, **asked, "decision": explanation.decision or "not shown"})
    rows = [(rule.number, rule.name, rule.outcome, rule.sentence) for rule in explanation.rules]
    output.show_table(("rule", "name", "outcome", "why"), rows)


@reports.command("receipt")
@member_verb
def receipt(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge that you have received a report; the first time counts."""
    with absent_told_with_own_end(client, purpose):
        kept = client.acknowledge(id, purpose=purpose)
    told = {"report": kept.report, "received": kept.received_at, "entry": kept.entry}
    document = {"id": kept.report, **kept.model_dump(mode="json")}
    output.show_record(told, title="acknowledged", document=document, as_json=as_json)


def _posted(client: ExchangeClient, report: ReportBody, key: str, purpose: str | None) -> HeaderBody:
    with _once_only(key), _parts_named(report):
        return client.post_report(report, idempotency_key=key, purpose=purpose)


@contextmanager
def _parts_named(report: ReportBody) -> Iterator[None]:
    """Say of which files the faults of parts are, where there are several."""
    try:
        yield
    except ProblemError as exc:
        pointed = {"/".join(each.pointer.split("/")[:3]) for each in exc.faults}
        for number, part in enumerate(report.parts):
            if f"/parts/{number}" in pointed and len(report.parts) > 1:
                output.note(f"/parts/{number} is `{part.name}`")
        raise


@contextmanager
def _once_only(key: str) -> Iterator[None]:
    """Tell who is left without an answer how to ask again without posting twice; a refusal is an answer."""
    try:
        yield
    except (ConnectionFailedError, AnswerError, ReceiptFileError, ProblemError, KeyboardInterrupt) as exc:
        if not isinstance(exc, ProblemError) or exc.status >= _FAILED:
            how = f"for 24 hours the same command with `--idempotency-key {key}` posts it once only"
            output.note(f"it may have been taken all the same: {how}")
        raise


def _sent(client: ExchangeClient, report: ReportBody, files: list[Path], key: str, purpose: str | None) -> HeaderBody:
    with _once_only(key), _parts_named(report):
        upload = client.uploads.begin(report, idempotency_key=key, purpose=purpose)
    try:
        with ProgressBar("sending") as bar:
            return client.uploads.send_files(upload, files, progress=bar, purpose=purpose)
    except (ExchangeError, OSError, KeyboardInterrupt):
        until = output.in_words(upload.given_up_at)
        output.note(
            f"what has come is kept until {until}: the same command with `--idempotency-key {key}` goes on with it,"
            f" `exchange report uploads give-up {upload.id}` ends it"
        )
        raise


def _show_list(
    found: Sequence[HeaderBody],
    document: Sequence[HeaderBody] | ReportListBody,
    unopened: Sequence[UnopenedBody],
    *,
    as_json: bool,
) -> None:
    """Show headers as a table, or the `document` that has them."""
    if as_json:
        output.show_json(document)
    else:
        columns = ("id", "posted", "from", "precedence", "status", "marking", "topic", "subject")
        output.show_table(columns, [_row(header) for header in found])
        if found and isinstance(document, ReportListBody):
            output.note(f"behind it: `--after {document.next}`")
    if unopened:
        # Whoever reads a list by a program must not take it for whole.
        _say_unopened([each.id for each in unopened])
        raise typer.Exit(1)


def _follow(client: ExchangeClient, after: str | None, filters: dict[str, str | None], *, as_json: bool) -> None:
    """Print headers for ever, a line each; a cursor never skips a report that was committed later."""
    for page in pages_for_ever(lambda at: client.page(at, _PAGE, **filters), after, time.sleep):
        for header in page.items:
            if as_json:
                output.show_json_line(header.model_dump_json())
            else:
                output.show_line(_line(header))
        output.flush()
        if page.unopened:
            _say_unopened([each.id for each in page.unopened])
        if not page.items:
            time.sleep(_FOLLOW_SECONDS)


def _say_unopened(reports: Sequence[str | None]) -> None:
    named = [report for report in reports if report is not None]
    others = len(reports) - len(named)
    told = [*named, *([f"{others} that the exchange may not name"] if others else [])]
    output.warn(
        f"not listed, for what is stored of them is damaged or was altered: {output.listed(told)}; tell the exchange's"
        " operator, and list again once that is mended"
    )


def _show_event(event: WatchedEvent, *, as_json: bool) -> None:
    if isinstance(event, UnopenedEvent):
        told = {"id": event.report, "cursor": event.cursor, "report": None, "unopened": True}
        output.show_line(json.dumps(told) if as_json else f"unopened  {event.report or 'which one may not be named'}")
    elif isinstance(event, ToldEvent):
        facts = {"id": event.facts.get(event.kind), "cursor": event.cursor, "report": None, event.kind: event.facts}
        line = "  ".join((event.kind, *event.facts.values()))
        output.show_line(json.dumps(facts) if as_json else line)
    elif as_json:
        header = None if event.header is None else event.header.model_dump(mode="json")
        shown = {"id": None if event.header is None else event.header.id, "cursor": event.cursor, "report": header}
        output.show_line(json.dumps(shown))
    elif event.header is None:
        output.show_line("more became visible than is streamed: see `exchange report list`")
    else:
        output.show_line(_line(event.header))
    output.flush()


def _row(header: HeaderBody) -> tuple[object, ...]:
    return (
        header.id,
        header.posted_at,
        header.originator,
        header.precedence,
        header.status,
        header.marking,
        header.topic,
        header.subject,
    )


def _line(header: HeaderBody) -> str:
    return "  ".join(str(output.in_words(value)) for value in _row(header))


def show_posted(header: HeaderBody, *, as_json: bool) -> None:
    """Show a report that was posted."""
    if as_json:
        output.show_json(header)
        return
    output.show_record({"id": header.id, "marking": header.marking, "parts": len(header.parts)}, title="posted")
    if not header.label.releasable_to:
        output.note(f"without `REL TO` in its marking it is for clients of {header.originator} alone")


def _words_of(terms: ReleaseTermsBody) -> str:
    purposes = f"for {', '.join(terms.purposes)}" if terms.purposes else "for any purpose"
    until = "until it is taken back" if terms.until is None else f"until {output.in_words(terms.until)}"
    return "; ".join(each for each in (terms.conditions, purposes, until) if each is not None)


def _show_header(header: HeaderBody) -> None:
    fields: dict[str, object] = {
        "id": header.id,
        "marking": header.marking,
        "subject": header.subject,
        "from": header.originator,
        "agreement": f"{header.agreement}, scope {header.scope}",
        "what": f"{header.kind}, {header.topic}, {', '.join(header.regions)}, {header.precedence}",
        "posted": header.posted_at,
        # As `report notices` counts them: who was told of version 2 sees whether this is it.
        "version": header.version if header.version > 1 else None,
        "supersedes": header.supersedes,
        "references": ", ".join(header.references) or None,
        "valid until": header.valid_until,
        "declassified on": header.declassify_on,
        "status": header.status,
        "conditions": header.conditions,
    }
    output.show_record({name: value for name, value in fields.items() if value is not None or name == "subject"})
