"""`exchange act`: what waits for a second person, seen and confirmed or refused."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.posting import law_catalogue
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.kernel import ExchangeError
from exchange.markings import Catalogue, Label, MarkingFormatError, parse_marking, render_marking
from exchange.wire import LabelBody, PendingActBody

acts = typer.Typer(help="Acts that wait for a second person: see, confirm, refuse.", no_args_is_help=True)
app.add_typer(acts, name="act")

IdArgument = Annotated[str, typer.Argument(metavar="ACT", help="The act's id.", callback=id_given)]


@acts.command("list")
@member_verb
@lists_whole("acts that wait")
def list_all(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List what waits for you, or was asked for at your member."""
    found = client.acts()
    rows = ((each.id, each.kind, each.expires_at, "yes" if each.may_confirm else "no") for each in found)
    output.show_list(found, ("id", "kind", "until", "yours to confirm"), rows, as_json=as_json)


@acts.command("show")
@member_verb
def show(client: ExchangeClient, act_id: IdArgument, as_json: JsonOption = False) -> None:
    """Show what was asked for, with the digest that a confirmation names."""
    _show(client.act(act_id), None, as_json=as_json)


@acts.command("confirm")
@member_verb
def confirm(
    client: ExchangeClient,
    act_id: IdArgument,
    digest: Annotated[
        str, typer.Option("--digest", help="Of the act as `show` told it: you confirm that and no other.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Confirm what another person asked for; it is done at once."""
    _show(client.confirm_act(act_id, digest), "done", as_json=as_json)


@acts.command("refuse")
@member_verb
def refuse(
    client: ExchangeClient,
    act_id: IdArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Told with what was asked for.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse what another person asked for, or take back what you asked for."""
    body = client.refuse_act(act_id, reason)
    _show(body, body.state, as_json=as_json)


def _show(body: PendingActBody, done: str | None, *, as_json: bool) -> None:
    if as_json:
        output.show_json(body)
        return
    output.show_body(body, title=done, told={"asked": None, **body.asked, **_in_words(body.asked)})


def _in_words(asked: Mapping[str, str]) -> dict[str, str | None]:
    """Return as marking text what stands as labels in JSON: what is confirmed is read by a person.

    Nothing of it where it is what the act says besides: of the report, and of each part.
    """
    if "labels" not in asked:
        return {}
    try:
        labels = [LabelBody.model_validate(each).to_label() for each in json.loads(asked["labels"])]
        catalogue = law_catalogue()
        if _are_said(asked, labels, catalogue):
            return {"labels": None}
        return {"labels": "; ".join(render_marking(each, catalogue) for each in labels)}
    except (ExchangeError, OSError, ValueError, TypeError):
        return {}  # in words of another exchange's own: as they stand


def _are_said(asked: Mapping[str, str], labels: list[Label], catalogue: Catalogue) -> bool:
    said = [asked.get("to", ""), *(asked.get(f"part {number}", "") for number in range(1, len(labels)))]
    try:
        return labels == [
            parse_marking(each, catalogue, policy=label.policy) for each, label in zip(said, labels, strict=True)
        ]
    except MarkingFormatError:
        return False
