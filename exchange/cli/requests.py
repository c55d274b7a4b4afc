"""`exchange request`: ask contributors of a scope for information, and answer what one is asked."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import checked, day_or_moment
from exchange.cli.instance import read_text
from exchange.cli.posting import label_of, law_catalogue
from exchange.cli.program import app
from exchange.cli.report_options import (
    AgreementOption,
    MarkingOption,
    PrecedenceOption,
    RegionOption,
    RequestArgument,
    ScopeOption,
    TopicOption,
)
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import InformationWanted, RequestLineBody, RequestShownBody

requests = typer.Typer(help="Requests for information: ask, list, show, answer, close, withdraw.", no_args_is_help=True)
app.add_typer(requests, name="request")


@requests.command("ask")
@member_verb
def ask(
    client: ExchangeClient,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is asked; `-` reads it from standard input.")],
    agreement: AgreementOption,
    scope: ScopeOption,
    kind: Annotated[str, typer.Option("--kind", metavar="K", help="Of report wanted, such as intrep.")],
    topic: TopicOption,
    region: RegionOption,
    marking: MarkingOption,
    deadline: Annotated[str, typer.Option("--deadline", metavar="TIME", help="Until when it is wanted.")],
    of: Annotated[list[str] | None, typer.Option("--of", metavar="CODE", help="Unset: every contributor.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="TEXT")] = None,
    precedence: PrecedenceOption = "ROUTINE",
    as_json: JsonOption = False,
) -> None:
    """Ask contributors of a scope for information (reader)."""
    fields = {
        "agreement": agreement,
        "scope": scope,
        "kind": kind,
        "topic": topic,
        "regions": region,
        "precedence": precedence,
        "subject": subject,
        "label": label_of(marking, law_catalogue()),
        "text": read_text(Path("/dev/stdin")) if text == "-" else text,
        "deadline": day_or_moment(deadline),
        "asked": of or [],
    }
    wanted = checked(InformationWanted, fields, else_told="the request cannot be made so")
    _show(client.information.ask(wanted), "asked", as_json=as_json)


@requests.command("list")
@member_verb
@lists_whole("requests")
def list_all(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List the requests that your member made or is asked by, oldest first."""
    found = list(client.information.list())
    columns = ("request", "from", "precedence", "deadline", "state", "marking", "subject")
    output.show_list(found, columns, map(_row, found), as_json=as_json)


@requests.command("show")
@member_verb
def show(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Show a request with its text, and the answers that you may know of."""
    _show(client.information.show(request_id), "request for information", as_json=as_json)


@requests.command("answer")
@member_verb
def answer(
    client: ExchangeClient,
    request_id: RequestArgument,
    report: Annotated[str, typer.Argument(metavar="REPORT", help="Your member's report, posted before.")],
    as_json: JsonOption = False,
) -> None:
    """Give a report of your own as an answer (contributor of a member that is asked)."""
    _show(client.information.answer(request_id, report), "answered", as_json=as_json)


@requests.command("close")
@member_verb
def close(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Close a request of your member (reader): it is answered no more."""
    _show(client.information.close(request_id), "closed", as_json=as_json)


@requests.command("withdraw")
@member_verb
def withdraw(client: ExchangeClient, request_id: RequestArgument, as_json: JsonOption = False) -> None:
    """Withdraw a request of your member (reader): whoever was asked sees nothing of it any more."""
    _show(client.information.withdraw(request_id), "withdrawn", as_json=as_json)


def _show(found: RequestShownBody, done: str, *, as_json: bool) -> None:
    output.show_body(found, told={"label": None, "answers": None}, title=done, as_json=as_json)
    if found.answers and not as_json:
        rows = [
            (each.report, each.originator, each.answered_at, "late" if each.is_late else "in time")
            for each in found.answers
        ]
        output.show_table(("answer", "from", "at", ""), rows)


def _row(line: RequestLineBody) -> tuple[object, ...]:
    return line.id, line.asker, line.precedence, line.deadline, line.state, line.marking, line.subject
