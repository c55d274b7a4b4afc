"""`exchange agreement crisis`: open what an agreement keeps for an emergency, see it, end it."""

from collections.abc import Mapping
from typing import Annotated

import typer
from pydantic import JsonValue

from exchange.cli import output
from exchange.cli.agreement_group import IdArgument, agreements
from exchange.cli.given import checked
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import CrisisRequest, ShownEntryBody

crisis = typer.Typer(help="Crisis clauses: open, list, end, review.", no_args_is_help=True)
agreements.add_typer(crisis, name="crisis")

_RELEASES = frozenset({"report.read", "report.part_read", "report.described", "report.listed", "report.notified"})

CrisisArgument = Annotated[str, typer.Argument(metavar="CRISIS", help="The crisis's id.")]


@crisis.command("open")
@member_verb
def open_crisis(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    clause: Annotated[str, typer.Option("--clause", metavar="NAME", help="As the agreement names it.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; every party reads it.")],
    hours: Annotated[int | None, typer.Option("--hours", metavar="N", help="Unset: as long as it may.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a crisis (named signatory); one of another member opens it with `exchange act confirm`."""
    wanted = checked(
        CrisisRequest, {"clause": clause, "reason": reason, "hours": hours}, else_told="the crisis cannot be opened so"
    )
    act = client.crises.ask(id, wanted)
    told = {"act": act.id, "digest": act.digest, "waits until": act.expires_at, **act.asked}
    done = "asked for: a named signatory of another member confirms it"
    output.show_record(told, title=done, document=act, as_json=as_json)


@crisis.command("list")
@member_verb
@lists_whole("uses of crisis clauses")
def list_crises(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """List every use of an agreement's crisis clauses, the newest first."""
    found = client.crises.list(id)
    rows = (
        (each.id, each.clause, "open" if each.open else "over", each.opened_at, each.until, each.reason)
        for each in found
    )
    output.show_list(found, ("crisis", "clause", "state", "from", "until", "why"), rows, as_json=as_json)


@crisis.command("end")
@member_verb
def end(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    crisis_id: CrisisArgument,
    as_json: JsonOption = False,
) -> None:
    """End a crisis before its time (signatory whom its clause names); it holds from the next request on."""
    output.show_body(client.crises.end(id, crisis_id), title="ended", as_json=as_json)


@crisis.command("review")
@member_verb
def review(client: ExchangeClient, crisis_id: CrisisArgument, as_json: JsonOption = False) -> None:
    """List what was released only because of a crisis, the oldest first (auditor; your member's slice)."""
    found = [each for each in client.audit_entries(crisis=crisis_id, order="oldest") if _is_release(each)]
    if not found:
        # Nothing is asked for to make sure: what is refused would be on the record in the name of who reviewed.
        output.warn(
            f"nothing is found by `{crisis_id}`: where that is the agreement's id, `exchange agreement crisis list "
            f"{crisis_id}` names its crises"
        )
    columns = ("time", "report", "to", "client", "did", "outcome", "entry")
    output.show_list(found, columns, (row for each in found for row in _rows(each)), as_json=as_json)


def _is_release(found: ShownEntryBody) -> bool:
    # The registration of a receipt and an explanation have the mark too, and give nothing away.
    return found.entry.get("type") in _RELEASES


def _rows(found: ShownEntryBody) -> list[tuple[object, ...]]:
    """Return a row for each report: a list shows several."""
    entry = found.entry
    about, detail, actor = (_fields(entry.get(name)) for name in ("object", "detail", "actor"))
    listed = detail.get("in_crisis")
    reports = listed if isinstance(listed, list) else [about.get("id")]
    time = str(entry.get("ts", ""))[:19].replace("T", " ")
    rest = (entry.get("member"), actor.get("id"), entry.get("type"), entry.get("decision"), found.id)
    return [(time, report, *rest) for report in reports]


def _fields(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
