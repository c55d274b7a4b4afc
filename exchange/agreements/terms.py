"""The terms of an agreement: in from its file or its JSON, out as JSON.

Promises: every fault of a text at once, each with its pointer, in a file with its line too; reading back what
`terms_as_json` wrote gives equal terms.
Does not: know the list of members or the levels; the caller passes both (`Surroundings`).
"""

from datetime import datetime

from exchange.agreements.lifecycle import state_of
from exchange.agreements.model import Agreement, AnswersTo, CrisisClause, Obligation, OlderReports, Party, Scope, Terms
from exchange.agreements.reading import Reading
from exchange.agreements.reviews import last_review_due, next_review
from exchange.agreements.strict_yaml import Document, read_yaml
from exchange.agreements.terms_reader import Surroundings, TermsReader
from exchange.agreements.treaty import TreatyText
from exchange.kernel.clock import rfc3339
from exchange.kernel.counting import counted
from exchange.kernel.errors import InvalidError


def parse_agreement(text: str | Document, around: Surroundings) -> Terms:
    """Return the terms in the agreement file `text`, or in it as read; InvalidError lists every fault with its line."""
    document = read_yaml(text) if isinstance(text, str) else text
    reading = Reading(list(document.faults), document.line_of)
    # Faults of syntax leave nothing to check; others (a repeated field, an anchor) do.
    checked = (
        TermsReader(reading, around).read(document.value) if document.value is not None or not reading.faults else None
    )
    return _valid(checked, reading)


def terms_from_json(value: object, around: Surroundings) -> Terms:
    """Return the terms in a parsed JSON body; InvalidError lists every fault with its pointer."""
    reading = Reading([])
    return _valid(TermsReader(reading, around).read(value), reading)


def terms_from_stored(value: object) -> Terms:
    """Return terms that the store kept as `terms_as_json` wrote them.

    The form is checked again, what it refers to is not: words, levels and members may have gone since.
    """
    reading = Reading([])
    return _valid(TermsReader(reading, None).read(value), reading)


def terms_as_json(terms: Terms) -> dict[str, object]:
    """Return the JSON of the contract; optional fields that are absent stay out."""
    validity: dict[str, object] = {
        "from": terms.validity.first_day.isoformat(),
        "until": terms.validity.last_day.isoformat(),
    }
    if terms.validity.review_every is not None:
        validity["review_every"] = terms.validity.review_every
    written: dict[str, object] = {
        "title": terms.title,
        "parties": list(terms.parties),
        "policy": terms.policy,
        "validity": validity,
        "scopes": [_scope_as_json(scope) for scope in terms.scopes],
        "obligations": [_obligation_as_json(obligation) for obligation in terms.obligations],
        "termination": {
            "notice": terms.termination.notice,
            "shared_reports": terms.termination.shared_reports.value,
        },
    }
    if terms.older_reports is not OlderReports.EXCLUDED:
        written["older_reports"] = terms.older_reports.value
    if terms.crisis:
        written["crisis"] = [_crisis_as_json(clause) for clause in terms.crisis]
    return written


def text_of(agreement: Agreement) -> TreatyText:
    """Return the text of `agreement`, as its parties sign it."""
    return TreatyText(agreement.id, agreement.edition, agreement.previous, terms_as_json(agreement.terms))


def agreement_as_json(agreement: Agreement, now: datetime) -> dict[str, object]:
    """Return the contract's answer about `agreement` as it stands at `now`, with its version and all its terms."""
    return {
        "id": agreement.id,
        "version": agreement.version,
        "state": state_of(agreement, now).value,
        "edition": agreement.edition,
        "previous": agreement.previous,
        "text": text_of(agreement).digest,
        **terms_as_json(agreement.terms),
        "parties": [_party_as_json(party, now) for party in agreement.parties],
        **_reviews_as_json(agreement, now),
    }


def _party_as_json(party: Party, now: datetime) -> dict[str, object]:
    written: dict[str, object] = {"member": party.member, "state": party.standing(now).value}
    if party.leaves_at is not None:
        written["leaves_at"] = rfc3339(party.leaves_at)
    return written


def _reviews_as_json(agreement: Agreement, now: datetime) -> dict[str, object]:
    days = {"review_due": last_review_due(agreement, now), "next_review": next_review(agreement, now)}
    return {name: day.isoformat() for name, day in days.items() if day is not None}


def _scope_as_json(scope: Scope) -> dict[str, object]:
    written: dict[str, object] = {
        "name": scope.name,
        "topics": list(scope.topics),
        "regions": list(scope.regions),
        "kinds": list(scope.kinds),
        "purposes": list(scope.purposes),
        "ceiling": scope.ceiling,
        "compartments": list(scope.compartments),
        "contributors": list(scope.contributors),
        "readers": list(scope.readers),
        "onward_release": scope.onward_release.value,
        "retention": scope.retention,
    }
    # Texts from before there were requests keep their digests.
    if scope.answers is not AnswersTo.ASKER:
        written["answers"] = scope.answers.value
    return written


def _crisis_as_json(clause: CrisisClause) -> dict[str, object]:
    written: dict[str, object] = {"name": clause.name, "scope": clause.scope}
    if clause.ceiling is not None:
        written["ceiling"] = clause.ceiling
    if clause.readers:
        written["readers"] = list(clause.readers)
    written["at_most"] = clause.at_most
    written["signatories"] = [{"member": each.member, "name": each.name} for each in clause.signatories]
    if clause.older_reports is not OlderReports.EXCLUDED:
        written["older_reports"] = clause.older_reports.value
    return written


def _obligation_as_json(obligation: Obligation) -> dict[str, object]:
    written: dict[str, object] = {"party": obligation.party, "scope": obligation.scope}
    if obligation.report_every is not None:
        written["report_every"] = obligation.report_every
    if obligation.acknowledge:
        written["acknowledge"] = dict(obligation.acknowledge)
    return written


def _valid(terms: Terms | None, reading: Reading) -> Terms:
    if terms is None or reading.faults:
        message = f"the agreement has {counted(len(reading.faults), 'fault', 'faults')}"
        raise InvalidError(message, tuple(sorted(reading.faults, key=lambda fault: fault.line or 0)))
    return terms
