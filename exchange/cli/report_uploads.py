"""`exchange report uploads`: the reports that a client began part by part and has not completed."""

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.report_group import IdArgument, reports
from exchange.cli.verbs import JsonOption, member_verb
from exchange.client import ExchangeClient
from exchange.wire import OpenUploadBody

uploads = typer.Typer(help="Reports that you began part by part and have not completed.", no_args_is_help=True)
reports.add_typer(uploads, name="uploads")


@uploads.command("list")
@member_verb
def list_open(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List the reports that you began part by part and have not completed (contributor)."""
    found = client.uploads.open()
    if as_json:
        output.show_json([each.model_dump(mode="json") for each in found])
        return
    columns = ("report", "agreement", "scope", "begun", "given up at", "parts", "bytes")
    rows = [
        (each.id, each.agreement, each.scope, each.begun_at, each.given_up_at, _parts(each), _bytes(each))
        for each in found
    ]
    output.show_table(columns, rows)


@uploads.command("give-up")
@member_verb
def give_up(client: ExchangeClient, id: IdArgument, yes: YesOption = False, as_json: JsonOption = False) -> None:  # noqa: A002
    """Give up a report that you have not completed: what has come of it is destroyed (contributor)."""
    if is_asked(yes=yes):
        told = next((each for each in client.uploads.open() if each.id == id), None)
        shown = {"begun": told.begun_at, "parts": _parts(told), "bytes": _bytes(told)} if told is not None else {}
        ask("gives up a report: what has come of it is destroyed", {"report": id, **shown})
    given_up = {"id": client.uploads.give_up(id)}
    if as_json:
        output.show_json(given_up)
    else:
        output.show_record(given_up, title="given up")


def _parts(upload: OpenUploadBody) -> str:
    return f"{upload.parts_received} of {_known(upload.parts)}"


def _bytes(upload: OpenUploadBody) -> str:
    return f"{upload.received_bytes} of {_known(upload.size_bytes)}"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
