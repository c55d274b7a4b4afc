"""The group `exchange agreement`, and how its verbs show an agreement."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.program import app
from exchange.wire import AgreementBody

agreements = typer.Typer(help="Agreements between members.", no_args_is_help=True)
app.add_typer(agreements, name="agreement")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The agreement's id.")]


def agreement_json(body: AgreementBody) -> dict[str, object]:
    """Return an agreement as the HTTP interface shows it."""
    return body.model_dump(mode="json", by_alias=True)


def parties_of(body: AgreementBody) -> str:
    """Return the parties and where each stands, as one cell."""
    return ", ".join(f"{party.member} {party.state}" for party in body.parties)


def show_agreement(body: AgreementBody, done: str | None, *, as_json: bool) -> None:
    """Print an agreement, for a person or as JSON."""
    if as_json:
        output.show_json(agreement_json(body))
        return
    fields: dict[str, object] = {
        "id": body.id,
        "title": body.title,
        "state": body.state,
        "edition": body.edition,
        "text": body.text,
        "in force": f"{body.validity.first_day} to {body.validity.last_day}",
        "policy": body.policy,
        "parties": parties_of(body),
    }
    for scope in body.scopes:
        fields[f"scope {scope.name}"] = (
            f"{', '.join(scope.topics)} up to {scope.ceiling}: "
            f"from {', '.join(scope.contributors)} to {', '.join(scope.readers)}"
        )
    output.show_record(fields, title=done)
