"""`exchange report derive`: ask the originator of a source that what derives from it is marked lower, and decide it."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.consents import show_consent, state_of
from exchange.cli.given import checked, day_or_moment
from exchange.cli.posting import label_of, law_catalogue, words_of_label
from exchange.cli.report_group import IdArgument, reports
from exchange.cli.report_options import RequestArgument
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.kernel import ExchangeError
from exchange.markings import render_marking
from exchange.wire import DerivationBody, DerivationRequest

derivations = typer.Typer(
    help="Marking lower what derives from a report: request, list, grant, refuse, revoke, withdraw.",
    no_args_is_help=True,
)
reports.add_typer(derivations, name="derive")


@derivations.command("request")
@member_verb
def request(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    marking: Annotated[str, typer.Option("--marking", metavar="TEXT", help="The lowest that yours may be marked.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When the consent is to end.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the originator reads it.")],
    as_json: JsonOption = False,
) -> None:
    """Ask that your reports which refer to this one may be marked lower (contributor or releaser that reads it)."""
    fields = {"label": label_of(marking, law_catalogue()), "until": day_or_moment(until), "reason": reason}
    wanted = checked(DerivationRequest, fields, else_told="the marking cannot be asked for so")
    _show(client.derivations.request(id, wanted), "asked for", as_json=as_json)


@derivations.command("list")
@member_verb
@lists_whole("requests")
def list_derivations(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List what you asked for; a releaser's list has what is asked of its member."""
    found = client.derivations.list()
    rows = ((each.id, each.report, each.member, _marking(each), state_of(each), each.reason) for each in found)
    output.show_list(found, ("request", "report", "for", "down to", "state", "why"), rows, as_json=as_json)


@derivations.command("grant")
@member_verb
def grant(
    client: ExchangeClient,
    request_id: RequestArgument,
    conditions: Annotated[str | None, typer.Option("--conditions", metavar="TEXT", help="Stand on the grant.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Consent to a request (releaser of the originator); above CONFIDENTIAL a second releaser confirms it."""
    made = client.derivations.grant(request_id, conditions)
    done = "granted" if made.act is None else "waits for a second releaser: `exchange act confirm`"
    _show(made, done, as_json=as_json)


@derivations.command("refuse")
@member_verb
def refuse(
    client: ExchangeClient,
    request_id: RequestArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Told to who asked.")],
    as_json: JsonOption = False,
) -> None:
    """Refuse a request (releaser of the originator)."""
    _show(client.derivations.refuse(request_id, reason), "refused", as_json=as_json)


@derivations.command("withdraw")
@member_verb
def withdraw(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Take back a request that you made and nobody has decided."""
    _show(client.derivations.withdraw(request_id), "withdrawn", as_json=as_json)


@derivations.command("revoke")
@member_verb
def revoke(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Take a consent back (releaser of the originator); nothing more is marked lower under it."""
    _show(client.derivations.revoke(request_id), "revoked", as_json=as_json)


def _show(found: DerivationBody, done: str, *, as_json: bool) -> None:
    show_consent(found, done, as_json=as_json, told={"label": None, "down to": _marking(found)})


def _marking(found: DerivationBody) -> str:
    try:
        return render_marking(found.label.to_label(), law_catalogue(), originator=found.member)
    except (ExchangeError, OSError):
        # The exchange has words that are not known here: what it did is done, and is told.
        return words_of_label(found.label)
