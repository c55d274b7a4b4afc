"""`exchange report onward`: ask the originator to pass a report on, and decide about it."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.consents import show_consent, state_of
from exchange.cli.given import checked, day_or_moment
from exchange.cli.report_group import IdArgument, reports
from exchange.cli.report_options import RequestArgument
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import OnwardRequest

onward = typer.Typer(help="Onward release: request, list, grant, refuse, revoke, withdraw.", no_args_is_help=True)
reports.add_typer(onward, name="onward")


@onward.command("request")
@member_verb
def request(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="The member to release it to.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the originator reads it.")],
    part: Annotated[list[int] | None, typer.Option("--part", metavar="N", help="Unset: the whole report.")] = None,
    purpose: Annotated[list[str] | None, typer.Option("--purpose", metavar="P", help="Unset: any allowed.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the originator to release a report, or parts of it, to a member (reader)."""
    fields = {
        "recipient": to,
        "parts": part or [],
        "purposes": purpose or [],
        "until": day_or_moment(until),
        "reason": reason,
    }
    wanted = checked(OnwardRequest, fields, else_told="the release cannot be asked for so")
    show_consent(client.onward.request(id, wanted), "asked for", as_json=as_json)


@onward.command("list")
@member_verb
@lists_whole("requests")
def list_onward(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List what you asked for; a releaser's list has what is asked of its member."""
    found = client.onward.list()
    rows = ((each.id, each.report, each.recipient, state_of(each), each.reason) for each in found)
    output.show_list(found, ("request", "report", "to", "state", "why"), rows, as_json=as_json)


@onward.command("grant")
@member_verb
def grant(
    client: ExchangeClient,
    request_id: RequestArgument,
    conditions: Annotated[str | None, typer.Option("--conditions", metavar="TEXT", help="Stand on the grant.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Earlier than was asked for; unset: as asked for.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Consent to a request (releaser of the originator); above CONFIDENTIAL a second releaser confirms it."""
    made = client.onward.grant(request_id, conditions, until=day_or_moment(until))
    done = "granted" if made.act is None else "waits for a second releaser: `exchange act confirm`"
    show_consent(made, done, as_json=as_json)


@onward.command("refuse")
@member_verb
def refuse(
    client: ExchangeClient,
    request_id: RequestArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Told to who asked.")],
    as_json: JsonOption = False,
) -> None:
    """Refuse a request (releaser of the originator)."""
    show_consent(client.onward.refuse(request_id, reason), "refused", as_json=as_json)


@onward.command("withdraw")
@member_verb
def withdraw(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Take back a request that you made and nobody has decided."""
    show_consent(client.onward.withdraw(request_id), "withdrawn", as_json=as_json)


@onward.command("revoke")
@member_verb
def revoke(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Take a consent back (releaser of the originator); it holds from the next request on."""
    show_consent(client.onward.revoke(request_id), "revoked", as_json=as_json)
