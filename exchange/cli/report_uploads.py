"""`exchange report uploads`: the reports that a client began part by part and has not completed."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.wire import OpenUploadBody

uploads = typer.Typer(help="Reports that you began part by part and have not completed.", no_args_is_help=True)


@uploads.command("list")
@member_verb
@lists_whole("uploads")
def list_open(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List the reports that you began part by part and have not completed (contributor)."""
    found = client.uploads.open()
    rows = (
        (each.id, each.agreement, each.scope, each.begun_at, each.given_up_at, _parts(each), _bytes(each))
        for each in found
    )
    output.show_list(
        found, ("report", "agreement", "scope", "begun", "given up at", "parts", "bytes"), rows, as_json=as_json
    )


@uploads.command("give-up")
@member_verb
def give_up(
    client: ExchangeClient,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The reports' ids.")],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give up reports that you have not completed: what has come of them is destroyed (contributor)."""
    if is_asked(yes=yes):
        known = {each.id: each for each in client.uploads.open()}
        shown = {each: _told(known[each]) if each in known else "not open" for each in ids}
        ask("gives up what you have not completed: what has come of it is destroyed", shown)
    given_up: list[str] = []
    try:
        for each in ids:
            given_up.append(client.uploads.give_up(each))  # noqa: PERF401  each counts as soon as it is done
    except BaseException:
        # What is destroyed is told of, whatever became of those behind it.
        if given_up:
            _show_given_up(given_up, as_json=as_json)
        raise
    _show_given_up(given_up, as_json=as_json)


def _show_given_up(ids: list[str], *, as_json: bool) -> None:
    output.show_list([{"id": each} for each in ids], ("given up",), ((each,) for each in ids), as_json=as_json)


def _told(upload: OpenUploadBody) -> str:
    return f"begun {upload.begun_at}, parts {_parts(upload)}, bytes {_bytes(upload)}"


def _parts(upload: OpenUploadBody) -> str:
    return f"{upload.parts_received} of {_known(upload.parts)}"


def _bytes(upload: OpenUploadBody) -> str:
    return f"{upload.received_bytes} of {_known(upload.size_bytes)}"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
