"""`exchange audit erase-personal`: one person asks for an erasure, another one approves it."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.audit_group import audits
from exchange.cli.given import checked, id_given
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient
from exchange.wire import ErasureRequest

erasures = typer.Typer(
    help="Erase a client's personal data from the log; two persons are needed (operator, auditor).",
    no_args_is_help=True,
)
audits.add_typer(erasures, name="erase-personal")


IdArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="The erasure's id.", callback=id_given)]


@erasures.command("request")
@member_verb
def request(
    client: ExchangeClient,
    subject: Annotated[str, typer.Option("--subject", metavar="CLIENT", help="Whose: a client's id, or `stranger`.")],
    period: Annotated[str, typer.Option("--period", metavar="YYYY-MM", help="Of which period, by its first month.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why. It stays in the log: name nobody.")],
    as_json: JsonOption = False,
) -> None:
    """Ask for an erasure; somebody else has seven days to approve it."""
    fields = {"subject": subject, "period": period, "reason": reason}
    wanted = checked(ErasureRequest, fields, else_told="the erasure cannot be asked for so")
    asked = client.request_erasure(wanted)
    output.show_body(asked, title="asked for; another person has to approve it", as_json=as_json)


@erasures.command("show")
@member_verb
def show(client: ExchangeClient, request_id: IdArgument, as_json: JsonOption = False) -> None:
    """Show what somebody asked for: see it before you approve it."""
    output.show_body(client.erasure(request_id), as_json=as_json)


@erasures.command("approve")
@member_verb
def approve(
    client: ExchangeClient, request_id: IdArgument, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Approve what somebody else asked for; it is erased at once and for good."""
    if is_asked(yes=yes):
        asked = client.erasure(request_id)
        ask(
            "destroys the keys of personal data in the log for good",
            {"whose": asked.subject, "period": asked.period, "reason": asked.reason, "asked for by": asked.requester},
        )
    output.show_body(client.approve_erasure(request_id), title="erased", as_json=as_json)
