"""The group `exchange agreement`, and how its verbs show an agreement."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.program import app
from exchange.kernel import parse_day, system_clock
from exchange.wire import AgreementBody, CrisisClauseBody, ObligationBody, PartyBody

agreements = typer.Typer(help="Agreements between members.", no_args_is_help=True)
app.add_typer(agreements, name="agreement")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The agreement's id.", callback=id_given)]


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


def warn_of_past(last_day: str, *, then: str) -> None:
    """Warn where the last day (UTC) of a text that is laid before its parties has passed; `then` says what follows."""
    if parse_day(last_day) < system_clock().date():
        output.warn(f"the last day of this text, {last_day}, has passed: {then}")


def show_agreement(body: AgreementBody, done: str | None, *, as_json: bool) -> None:
    """Print an agreement, for a person or as JSON."""
    if as_json:
        output.show_json(agreement_json(body))
        return
    output.show_record(agreement_fields(body), title=done)


def agreement_fields(body: AgreementBody) -> dict[str, object]:
    """Return what a person is shown of an agreement: where it stands, and all that its text says."""
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
    for number, owed in enumerate(body.obligations, start=1):
        fields[f"obligation {number}"] = _obligation(owed)
    for clause in body.crisis or []:
        fields[f"crisis {clause.name}"] = _clause(clause)
    fields["on leaving"] = f"notice {body.termination.notice}, shared reports are {body.termination.shared_reports}"
    return fields


def _obligation(owed: ObligationBody) -> str:
    every = [] if owed.report_every is None else [f"reports every {owed.report_every}"]
    times = ", ".join(f"{precedence} in {within}" for precedence, within in (owed.acknowledge or {}).items())
    return f"{owed.party} in {owed.scope}: {'; '.join([*every, *([f'acknowledges {times}'] if times else [])])}"


def _clause(clause: CrisisClauseBody) -> str:
    opened = [f"up to {clause.ceiling}"] if clause.ceiling is not None else []
    opened += [f"to {', '.join(clause.readers)} too"] if clause.readers else []
    opened += ["older reports included"] if clause.older_reports == "included" else []
    named = ", ".join(f"{each.name} ({each.member})" for each in clause.signatories)
    return f"{clause.scope} {', '.join(opened)}, for {clause.at_most} at most: by two of {named}"


def _party(party: PartyBody) -> str:
    told = f"{party.member} {party.state}"
    is_leaving = party.leaves_at is not None and party.state != "withdrawn"
    return f"{told} (leaves {output.in_words(party.leaves_at)})" if is_leaving else told
