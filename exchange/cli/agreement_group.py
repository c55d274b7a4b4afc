"""The group `exchange agreement`, and how its verbs show an agreement."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.program import app
from exchange.kernel import rfc3339
from exchange.wire import AgreementBody, PartyBody

agreements = typer.Typer(help="Agreements between members.", no_args_is_help=True)
app.add_typer(agreements, name="agreement")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The agreement's id.")]


def agreement_json(body: AgreementBody) -> dict[str, object]:
    """Return an agreement as the HTTP interface shows it."""
    return body.model_dump(mode="json", by_alias=True)


def parties_of(body: AgreementBody) -> str:
    """Return the parties and where each stands, as one cell."""
    return ", ".join(_party(party) for party in body.parties)


def review_of(body: AgreementBody) -> str:
    """Return when the agreement is to be reviewed, as one cell."""
    due = None if body.review_due is None else f"due since {body.review_due}"
    coming = None if body.next_review is None else f"next on {body.next_review}"
    return ", ".join(told for told in (due, coming) if told is not None) or "none"


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
        "review": review_of(body),
    }
    for scope in body.scopes:
        fields[f"scope {scope.name}"] = (
            f"{', '.join(scope.topics)} up to {scope.ceiling}: "
            f"from {', '.join(scope.contributors)} to {', '.join(scope.readers)}"
        )
    output.show_record(fields, title=done)


def _party(party: PartyBody) -> str:
    told = f"{party.member} {party.state}"
    is_leaving = party.leaves_at is not None and party.state != "withdrawn"
    return f"{told}, leaves {rfc3339(party.leaves_at)}" if is_leaving and party.leaves_at else told
