"""From rows to the typed facts that decisions read, with the request's one `now`."""

from datetime import datetime

from exchange.kernel import Fault, InvalidError, to_micros
from exchange.markings import Catalogue, Label
from exchange.members import Client
from exchange.release import ReaderFacts, Reason, RowFacts, covers_label
from exchange.reports import ReportStatus, status_of
from exchange.store import ReportRow
from exchange.usecases.steps.context import DEFAULT_PURPOSE, Call, Services

UNREGISTERED_PURPOSE = ""
"""Stands for a purpose the client is not registered for; no scope allows it."""


def stated_purpose(services: Services, call: Call, client: Client) -> str:
    """Return the purpose of this call: the one stated, else the client's first.

    A purpose the client is not registered for becomes `UNREGISTERED_PURPOSE`, which every scope refuses.
    Raises InvalidError for a word that is no purpose of the vocabulary.
    """
    if call.purpose is None:
        return registered_purposes(client)[0]
    if call.purpose not in services.law.vocabulary.purposes:
        fault = Fault("/exchange-purpose", "unknown-purpose", "not a purpose of the vocabulary: see GET /v1/vocabulary")
        raise InvalidError("the header `Exchange-Purpose` names no known purpose", (fault,))
    return call.purpose if call.purpose in registered_purposes(client) else UNREGISTERED_PURPOSE


def own_purpose(services: Services, call: Call, client: Client) -> str:
    """Return the purpose of this call, as `stated_purpose`; InvalidError where the client is not registered for it.

    Who asks to be told of what comes would be told nothing for it, ever, and not learn why.
    """
    purpose = stated_purpose(services, call, client)
    if purpose == UNREGISTERED_PURPOSE:
        told = f"no purpose of this client: state {' or '.join(f'`{each}`' for each in registered_purposes(client))}"
        fault = Fault("/exchange-purpose", Reason.PURPOSE_NOT_ALLOWED.value, told)
        raise InvalidError("the header `Exchange-Purpose` names what this client is not registered for", (fault,))
    return purpose


def registered_purposes(client: Client) -> tuple[str, ...]:
    """Return what the client is registered for; the first one is why it asks where it does not say."""
    return client.purposes or (DEFAULT_PURPOSE,)


def reader_facts(client: Client, *, purpose: str, call: Call) -> ReaderFacts:
    """Return the facts about `client` as a reader at `call.now`."""
    return ReaderFacts(
        client=client.id,
        version=client.version,
        member=client.member,
        agency=f"{client.member}/{client.agency}",
        nationality=client.nationality,
        roles=client.roles,
        is_active=client.is_active,
        level=client.clearance.level,
        compartments=frozenset(client.clearance.compartments),
        clearance_current=client.clearance.is_current(call.now),
        assurance=call.assurance,
        purpose=purpose,
        at_micros=to_micros(call.now),
    )


def is_cleared_for(client: Client, label: Label, catalogue: Catalogue, now: datetime) -> bool:
    """Return whether the client's clearance is valid at `now` and reaches `label`, as `covers_label` has it."""
    return client.clearance.is_current(now) and covers_label(client.clearance, label, catalogue)


def row_facts(report: ReportRow, now: datetime) -> RowFacts:
    """Return what differs between reports of one class at `now`."""
    status = status_of(report.status, report.valid_until, now)
    return RowFacts(is_recalled=status is ReportStatus.RECALLED, is_expired=status is ReportStatus.EXPIRED)
