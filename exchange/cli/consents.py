"""`exchange report onward|derive`: ask an originator to pass a report on, or that what derives from it is marked lower.

Its releasers decide about either.
"""

from collections.abc import Callable
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import checked, day_or_moment
from exchange.cli.posting import label_of, law_catalogue, words_of_label
from exchange.cli.report_group import IdArgument
from exchange.cli.report_options import RequestArgument
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.client.consents import Derivations, OnwardReleases
from exchange.kernel import ExchangeError
from exchange.markings import render_marking
from exchange.wire import DerivationBody, DerivationRequest, OnwardBody, OnwardRequest

_WITHDRAWN = "withdrawn"

Shown = OnwardBody | DerivationBody

onward = typer.Typer(help="Onward release: request, list, grant, refuse, revoke, withdraw.", no_args_is_help=True)
derivations = typer.Typer(
    help="Marking lower what derives from a report: request, list, grant, refuse, revoke, withdraw.",
    no_args_is_help=True,
)

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the originator reads it.")]
ConditionsOption = Annotated[str | None, typer.Option("--conditions", metavar="TEXT", help="Stand on the grant.")]


@onward.command("request")
@member_verb
def request_onward(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="The member to release it to.")],
    reason: ReasonOption,
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
def grant_onward(
    client: ExchangeClient,
    request_id: RequestArgument,
    conditions: ConditionsOption = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Earlier than was asked for; unset: as asked for.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Consent to a request (releaser of the originator); above CONFIDENTIAL a second releaser confirms it."""
    made = client.onward.grant(request_id, conditions, until=day_or_moment(until))
    show_consent(made, _granted(made), as_json=as_json)


@derivations.command("request")
@member_verb
def request_derivation(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    marking: Annotated[str, typer.Option("--marking", metavar="TEXT", help="The lowest that yours may be marked.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When the consent is to end.")],
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Ask that your reports which refer to this one may be marked lower (contributor or releaser that reads it)."""
    fields = {"label": label_of(marking, law_catalogue()), "until": day_or_moment(until), "reason": reason}
    wanted = checked(DerivationRequest, fields, else_told="the marking cannot be asked for so")
    show_consent(client.derivations.request(id, wanted), "asked for", as_json=as_json)


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
def grant_derivation(
    client: ExchangeClient,
    request_id: RequestArgument,
    conditions: ConditionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Consent to a request (releaser of the originator); above CONFIDENTIAL a second releaser confirms it."""
    made = client.derivations.grant(request_id, conditions)
    show_consent(made, _granted(made), as_json=as_json)


def _add_ends(
    group: typer.Typer, requests: Callable[[ExchangeClient], OnwardReleases | Derivations], revoked: str
) -> None:
    @group.command("refuse")
    @member_verb
    def refuse(
        client: ExchangeClient,
        request_id: RequestArgument,
        reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Told to who asked.")],
        as_json: JsonOption = False,
    ) -> None:
        """Refuse a request (releaser of the originator)."""
        show_consent(requests(client).refuse(request_id, reason), "refused", as_json=as_json)

    @group.command("withdraw")
    @member_verb
    def withdraw(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
        """Take back a request that you made and nobody has decided."""
        show_consent(requests(client).withdraw(request_id), "withdrawn", as_json=as_json)

    @group.command("revoke", help=f"Take a consent back (releaser of the originator); {revoked}.")
    @member_verb
    def revoke(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
        show_consent(requests(client).revoke(request_id), "revoked", as_json=as_json)


_add_ends(onward, lambda client: client.onward, "it holds from the next request on")
_add_ends(derivations, lambda client: client.derivations, "nothing more is marked lower under it")


def state_of(found: Shown) -> str:
    """Return where a request stands, in a word for people."""
    return found.state if found.withdrawn_at is None else _WITHDRAWN


def show_consent(found: Shown, done: str, *, as_json: bool) -> None:
    """Show a request, titled by what was `done`; a label as its marking."""
    told: dict[str, str | None] = {"state": state_of(found), "grant": None}
    if isinstance(found, DerivationBody):
        told |= {"label": None, "down to": _marking(found)}
    output.show_body(found, title=done, told=told, as_json=as_json)


def _granted(made: Shown) -> str:
    return "granted" if made.act is None else "waits for a second releaser: `exchange act confirm`"


def _marking(found: DerivationBody) -> str:
    try:
        return render_marking(found.label.to_label(), law_catalogue(), originator=found.member)
    except (ExchangeError, OSError):
        # The exchange has words that are not known here: what it did is done, and is told.
        return words_of_label(found.label)
