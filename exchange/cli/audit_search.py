"""`exchange audit search | show | registry | readers`: an auditor finds its way through the log, in its own slice."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeVar

import typer
from pydantic import JsonValue

from exchange.audit import Outcome
from exchange.cli import output
from exchange.cli.audit_following import follow_entries
from exchange.cli.audit_group import audits
from exchange.cli.given import id_given, moment_text, tell_of_wait
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient
from exchange.kernel import ExchangeError, counted
from exchange.wire import PersonalBody, ReadersBody, ReadingClientBody, RegistryLineBody, ShownEntryBody

LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
_DEFAULT_LIMIT = 100
_REGISTRY = ("time", "event", "how", "member", "agency", "client", "report", "part", "bytes", "purpose", "entry")
# Ids and digests have it; names of members, agencies and nodes do not.
_LONG_ID = re.compile(r"\S*[0-9a-f-]{26,}(?=[0-9a-f]{6}\b)")
Found = TypeVar("Found")


@audits.command("search")
@member_verb
def search(
    client: ExchangeClient,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From this date or time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this date or time.")] = None,
    member: Annotated[str | None, typer.Option("--member", metavar="CODE", help="Whose clients acted.")] = None,
    agency: Annotated[str | None, typer.Option("--agency", metavar="A", help="Which agency's.")] = None,
    actor: Annotated[str | None, typer.Option("--client", metavar="ID", help="Which client.")] = None,
    report: Annotated[str | None, typer.Option("--report", metavar="ID", help="What was done to a report.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="... to an agreement, client or another thing.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="CODE", help="Whose it is.")] = None,
    agreement: Annotated[str | None, typer.Option("--agreement", metavar="ID", help="Under which agreement.")] = None,
    event: Annotated[str | None, typer.Option("--event", metavar="E", help="Such as report.read.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", metavar="O", help="permitted, refused, failed.")] = None,
    level: Annotated[str | None, typer.Option("--level", metavar="L", help="Of the label, such as SECRET.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="R", help="Such as above-clearance.")] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="In a reason.")] = None,
    source: Annotated[str | None, typer.Option("--source", metavar="ADDRESS", help="From which address.")] = None,
    thumbprint: Annotated[
        str | None, typer.Option("--thumbprint", metavar="HEX", help="With which certificate (SHA-256).")
    ] = None,
    crisis: Annotated[str | None, typer.Option("--crisis", metavar="ID", help="Only because of this crisis.")] = None,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on: print entries as they come, from `--since` or from now on.")
    ] = False,
    limit: LimitOption = _DEFAULT_LIMIT,
    as_json: JsonOption = False,
) -> None:
    """Search the log (auditor): your member's slice, or all of it as the exchange's auditor; newest first."""
    filters = {
        "since": moment_text(since),
        "until": moment_text(until),
        "member": member,
        "agency": agency,
        "client": actor,
        "report": report,
        "subject": subject,
        "owner": owner,
        "agreement": agreement,
        "event": event,
        "outcome": outcome,
        "level": level,
        "reason": reason,
        "text": text,
        "source": source,
        "thumbprint": thumbprint,
        "crisis": crisis,
    }
    if follow:
        if until is not None or oldest or limit != _DEFAULT_LIMIT:
            raise UsageError(
                "all that comes, or what there is? give `--follow`, or `--until`, `--oldest` and `--limit`"
            )
        tell_of_wait(since)
        follow_entries(client, filters, _row, as_json=as_json)
        return
    found = _at_most(limit, client.audit_entries(most=limit, **filters, order="oldest" if oldest else None))
    if actor is not None and not found:
        _tell_whose_id(client, actor)
    output.show_list(found, ("time", "who", "did", "to", "outcome", "why", "id"), map(_row, found), as_json=as_json)


@audits.command("show")
@member_verb
def show(
    client: ExchangeClient,
    id: Annotated[str, typer.Argument(metavar="ID", help="The entry's id.", callback=id_given)],  # noqa: A002
    as_json: JsonOption = False,
) -> None:
    """Show one entry of the log, with its leaf hash (auditor)."""
    found = client.audit_entry(id)
    if as_json:
        output.show_json(found)
        return
    fields = {name: _told(value) for name, value in found.entry.items()}
    personal = found.personal
    if isinstance(personal, PersonalBody):
        fields |= {f"personal {name}": value for name, value in personal.model_dump(exclude_none=True).items()}
    elif personal is not None:
        fields["personal"] = personal
    output.show_record({**fields, "leaf": found.leaf, "shown": found.extent})


@audits.command("registry")
@member_verb
def registry(
    client: ExchangeClient,
    report: Annotated[
        str | None, typer.Argument(metavar="[REPORT]", help="Who was given it, and when.", callback=id_given)
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--client", metavar="ID", help="What a client was given instead.", callback=id_given),
    ] = None,
    limit: LimitOption = _DEFAULT_LIMIT,
    as_json: JsonOption = False,
) -> None:
    """Show who received what, when: of a report (its originator's auditor) or of a client (its own member's)."""
    if (report is None) == (of is None):
        raise UsageError("of what? name a report, or a client with `--client`: one of the two")
    walk, whose = (client.client_registry, str(of)) if report is None else (client.report_registry, report)
    lines = _at_most(limit, walk(whose, most=limit))
    # Whose it is was asked: on each line it would say nothing.
    asked = ("member", "agency", "client") if report is None else ("report",)
    columns = tuple(each for each in _REGISTRY if each not in asked)
    output.show_list(lines, columns, (_registry_row(line, columns) for line in lines), as_json=as_json)


@audits.command("readers")
@member_verb
def readers(
    client: ExchangeClient,
    report: Annotated[str, typer.Argument(metavar="REPORT", help="The report's id.", callback=id_given)],
    on: Annotated[str, typer.Option("--on", metavar="DATE", help="A date (UTC), or a moment with its offset.")],
    as_json: JsonOption = False,
) -> None:
    """Say who could have read a report on a day, and who did (its originator's auditor)."""
    found = client.readers_on(report, on)
    if as_json:
        output.show_json(found)
        return
    _show_readers(found)


def _show_readers(found: ReadersBody) -> None:
    could = [(each.member, each.agency, each.full, each.tear_line, _clients(each.clients)) for each in found.could]
    period = f"{output.in_words(found.since)} to {output.in_words(found.until)}"
    output.show_table(("member", "agency", "whole", "tear-line", "clients"), could, title=f"could have read, {period}")
    did = [(each.member, each.agency, each.client, each.count, each.first, each.last, each.entry) for each in found.did]
    columns = ("member", "agency", "client", "times", "first", "last", "first entry")
    output.show_table(columns, did, title="did read")
    # Of a time before the first policy files there are none.
    if found.laws not in ([], [found.law]):
        output.warn("other policy files were in force then: the rules asked are those of today")


def _tell_whose_id(client: ExchangeClient, named: str) -> None:
    """Say what else the id is of by which no client was found, as far as the log tells who asks.

    Of the log alone, as everything that is searched for: a client of whom no entry may be seen is told of as none is.
    """
    try:
        # What was done to it says what it is; what somebody only tried names it by whatever that one took it for.
        about = next(iter(client.audit_entries(most=1, subject=named, outcome=Outcome.PERMITTED.value)), None)
    except ExchangeError:
        return  # what was asked for is answered
    kind = None if about is None else _within(about.entry, "object", "type")
    if kind is None:
        told = f"none of those asked for is by `{named}`, and no entry that you may see tells of such a client"
        output.warn(f"{told}: `client list` has the ids of clients")
    elif kind != "client":
        output.warn(f"`{named}` is the id of another thing ({kind}): `--subject` finds what was done to it")


def _at_most(limit: int, found: Iterator[Found]) -> list[Found]:
    """Return what was found, `limit` at most; who asked takes these for all, unless it is said that there may be more.

    Nothing is asked for to make sure: what is answered and not shown would be on the record as shown.
    """
    shown = list(found)
    if len(shown) == limit:
        told = counted(limit, "is shown", "are shown")
        output.warn(f"{told}, and there may be more: give a greater `--limit`, or narrow what is asked")
    return shown


def _row(found: ShownEntryBody) -> tuple[object, ...]:
    entry = found.entry
    return (
        str(entry.get("ts", ""))[:19].replace("T", " "),
        _who(entry),
        entry.get("type"),
        _object(entry),
        entry.get("decision"),
        _why(entry),
        found.id,
    )


def _registry_row(line: RegistryLineBody, columns: Iterable[str]) -> tuple[object, ...]:
    about = f"{len(line.reports)} headers" if line.reports is not None else line.report
    told = {"time": line.at, "report": about, "bytes": line.size_bytes}
    return tuple(told[each] if each in told else getattr(line, each) for each in columns)


def _who(entry: Mapping[str, JsonValue]) -> str:
    known = _within(entry, "actor", "id")
    if known is None:
        return str(_within(entry, "actor", "kind") or "")
    return f"{entry.get('member')}/{entry.get('agency')} {_brief(known)}"


def _why(entry: Mapping[str, JsonValue]) -> str:
    # The reasons are those of the contract; of what was faulty, or found no place, the codes of its answer tell, and of
    # what is not there, or is no part that this reader is shown, what was found.
    told = [entry.get("reasons")]
    if entry.get("decision") != "permitted":
        told += [_within(entry, "detail", name) for name in ("codes", "code", "finding")]
    words = [word for each in told for word in (each if isinstance(each, list) else [each]) if word is not None]
    return ", ".join(dict.fromkeys(map(str, words)))


def _object(entry: Mapping[str, JsonValue]) -> str:
    kind, known = _within(entry, "object", "type"), _within(entry, "object", "id")
    if kind is not None:
        return f"{kind} {_brief(known)}"
    count = entry.get("result_count")
    return "" if count is None else f"{count} found"


def _brief(known: JsonValue) -> str:
    """Return an id by its end: with three of them whole a line is wider than any screen, and `audit show` has them."""
    return _LONG_ID.sub("..", str(known))


def _within(entry: Mapping[str, JsonValue], name: str, inner: str) -> JsonValue:
    value = entry.get(name)
    return value.get(inner) if isinstance(value, dict) else None


def _told(value: JsonValue) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(inner)}" for name, inner in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


def _clients(shown: list[ReadingClientBody] | None) -> str:
    return "its own to know" if shown is None else ", ".join(one.id for one in shown)
