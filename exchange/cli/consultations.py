"""`exchange agreement consult|dispute|consultations|answer|settle`: what parties say to each other."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from exchange.cli import output
from exchange.cli.agreement_group import IdArgument, agreements
from exchange.cli.given import checked
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import ConsultationBody, ConsultationOpening

MatterArgument = Annotated[str, typer.Argument(metavar="CONSULTATION", help="Its id, as `consultations` shows it.")]
TextOption = Annotated[str, typer.Option("--text", metavar="TEXT", help="What your member says; nothing classified.")]
WithOption = Annotated[list[str] | None, typer.Option("--with", metavar="CODE", help="Unset: all other parties.")]
BreachOption = Annotated[str | None, typer.Option("--breach", metavar="ID", help="As `breaches` shows it.")]


def _opens(verb: str, kind: Literal["consultation", "dispute"], told: str) -> None:
    @agreements.command(verb, help=told)
    @member_verb
    def open_one(
        client: ExchangeClient,
        id: IdArgument,  # noqa: A002
        text: TextOption,
        others: WithOption = None,
        breach: BreachOption = None,
        as_json: JsonOption = False,
    ) -> None:
        fields = {"kind": kind, "text": text, "members": others or [], "breach": breach}
        opening = checked(ConsultationOpening, fields, else_told="nothing can be opened so")
        _show([client.duties.open(id, opening)], as_json=as_json, one=True)


_opens("consult", "consultation", "Open a consultation with other parties (signatory); you settle it.")
_opens("dispute", "dispute", "Open a dispute with other parties (signatory); the same words of all settle it.")


@agreements.command("consultations")
@member_verb
@lists_whole("consultations and disputes")
def consultations(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """List the consultations and disputes that name your member (signatory)."""
    _show(client.duties.consultations(id), as_json=as_json)


@agreements.command("answer")
@member_verb
def answer(client: ExchangeClient, consultation: MatterArgument, text: TextOption, as_json: JsonOption = False) -> None:
    """Answer a consultation or dispute for your member (signatory)."""
    _show([client.duties.answer(consultation, text)], as_json=as_json, one=True)


@agreements.command("settle")
@member_verb
def settle(client: ExchangeClient, consultation: MatterArgument, text: TextOption, as_json: JsonOption = False) -> None:
    """Agree to settle a consultation or dispute with these words (signatory)."""
    _show([client.duties.settle(consultation, text)], as_json=as_json, one=True)


def _show(found: Sequence[ConsultationBody], *, as_json: bool, one: bool = False) -> None:
    if as_json:
        output.show_json(found[0] if one else found)
        return
    for each in found:
        title = f"{each.kind} {each.id} of {', '.join(each.members)}: {each.state}"
        rows = [(said.at, said.member, said.speech, said.text) for said in each.said]
        output.show_table(("at", "by", "does", "says"), rows, title=title)
    if not found:
        output.show_table((), [])
