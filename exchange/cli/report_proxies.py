"""`exchange report proxy`: let another member post on one's behalf, and take that back."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import checked, day_or_moment
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import ProxyBody, ProxyConsent

proxies = typer.Typer(help="Posting on behalf: consent, list, revoke.", no_args_is_help=True)


@proxies.command("consent")
@member_verb
def consent(
    client: ExchangeClient,
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="The member that posts for yours.")],
    agreement: Annotated[str, typer.Option("--agreement", metavar="ID")],
    scope: Annotated[str, typer.Option("--scope", metavar="NAME")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; both members read it.")],
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Unset: until it is revoked.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Consent that another member posts on your behalf (releaser); a second releaser confirms it."""
    fields = {"proxy": to, "agreement": agreement, "scope": scope, "reason": reason, "until": day_or_moment(until)}
    wanted = checked(ProxyConsent, fields, else_told="nobody can post on your behalf so")
    _show(client.proxies.ask(wanted), "waits for a second releaser: `exchange act confirm`", as_json=as_json)


@proxies.command("list")
@member_verb
@lists_whole("consents")
def list_proxies(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List your member's consents (releaser), or those under which you may post for others (contributor)."""
    found = client.proxies.list()
    rows = ((each.id, each.originator, each.proxy, each.scope, each.state, each.until) for each in found)
    output.show_list(found, ("consent", "of", "to", "scope", "state", "until"), rows, as_json=as_json)


@proxies.command("revoke")
@member_verb
def revoke(
    client: ExchangeClient,
    consent_id: Annotated[str, typer.Argument(metavar="CONSENT", help="The consent's id.")],
    as_json: JsonOption = False,
) -> None:
    """Take a consent of your member back (releaser), from the next post on."""
    _show(client.proxies.revoke(consent_id), "revoked", as_json=as_json)


def _show(body: ProxyBody, title: str, *, as_json: bool) -> None:
    fields = {"consent": body.id, "of": body.originator, "to": body.proxy, "scope": body.scope, "act": body.act}
    told = {name: value for name, value in fields.items() if value is not None}
    output.show_record(told, title=title, document=body, as_json=as_json)
