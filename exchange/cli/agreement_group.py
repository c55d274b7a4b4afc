"""The group `exchange agreement`, and how its verbs show an agreement."""

from typing import Annotated

import typer

from exchange.agreements import TreatyText
from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.program import app
from exchange.kernel import parse_day, system_clock
from exchange.wire import AgreementBody, CrisisClauseBody, ObligationBody, PartyBody, ScopeBody, TermsBody

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
    output.show_record(agreement_fields(body), title=done, document=agreement_json(body), as_json=as_json)


def agreement_fields(body: AgreementBody) -> dict[str, object]:
    """Return what a person is shown of an agreement: where it stands, and all that its text says."""
    return {
        "id": body.id,
        "title": body.title,
        "state": body.state,
        "edition": body.edition,
        "text": body.text,
        "parties": parties_of(body),
        "review": review_of(body),
        **_fields_of_terms(body),
    }


def text_fields(text: TreatyText) -> dict[str, object]:
    """Return all that a text says, for who is to sign it: made from what is signed, and from nothing said about it."""
    terms = TermsBody.model_validate(text.terms)
    return {
        "text": text.digest,
        "edition": text.edition,
        "replaces": text.previous,
        "title": terms.title,
        "parties": terms.parties,
        **_fields_of_terms(terms),
    }


def _fields_of_terms(terms: AgreementBody | TermsBody) -> dict[str, object]:
    """Return what stands in a text beside its title and its parties.

    INVARIANT: nothing of it is left out: whoever signs agrees to all of it, and what is not shown was not read.
    """
    every = "" if terms.validity.review_every is None else f", reviewed every {terms.validity.review_every}"
    fields: dict[str, object] = {
        "in force": f"{terms.validity.first_day} to {terms.validity.last_day}{every}",
        "policy": terms.policy,
    }
    for scope in terms.scopes:
        fields |= _scope(scope)
    for number, owed in enumerate(terms.obligations, start=1):
        fields[f"obligation {number}"] = _obligation(owed)
    for clause in terms.crisis or []:
        fields[f"crisis {clause.name}"] = _clause(clause)
    if terms.older_reports is not None:
        fields["what it widens"] = f"older reports are {terms.older_reports}"
    fields["on leaving"] = f"notice {terms.termination.notice}, shared reports are {terms.termination.shared_reports}"
    return fields


def _scope(scope: ScopeBody) -> dict[str, object]:
    words = (("kinds", scope.kinds), ("regions", scope.regions), ("compartments", scope.compartments))
    about = "; ".join(f"{name} {', '.join(each)}" for name, each in words if each)
    kept = f"for {', '.join(scope.purposes)}; onward release: {scope.onward_release}; kept for {scope.retention}"
    answers = "" if scope.answers is None else f"; answers to requests go to the {scope.answers}"
    return {
        f"scope {scope.name}": (
            f"{', '.join(scope.topics)} up to {scope.ceiling}: "
            f"from {', '.join(scope.contributors)} to {', '.join(scope.readers)}"
        ),
        f"about {scope.name}": about,
        f"use of {scope.name}": f"{kept}{answers}",
    }


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
