"""What a report must satisfy before it exists: its scope, its label, and the reports it builds on.

Each function returns every fault it finds, with the JSON pointer into the posted body and, where one fits, a
reason code of the contract.
"""

from exchange.agreements import Agreement, Scope, covers
from exchange.kernel import Fault, is_uuid7
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Law, Permit, Reason, Refusal, View
from exchange.reports import PostedReport
from exchange.store import Parts, PolicyState
from exchange.usecases.authenticate import required_thumbprint
from exchange.usecases.context import Call, Services
from exchange.usecases.judging import judge

_MOST_REFERENCES = 50
"""Each costs a query and a decision; a report that cites more cites a collection."""


def scope_faults(law: Law, agreement: Agreement, client: Client, posted: PostedReport) -> list[Fault]:
    """Return how `posted` lies outside the scope it names."""
    scope = agreement.terms.scope(posted.scope)
    if scope is None:
        known = ", ".join(f"`{each.name}`" for each in agreement.terms.scopes)
        return [Fault("/scope", "unknown-scope", f"the agreement has no such scope: use one of {known}")]
    faults = []
    if client.member not in scope.contributors:
        message = f"your member `{client.member}` is no contributor of the scope `{scope.name}`"
        faults.append(Fault("/scope", Reason.NOT_A_PARTY.value, message))
    if posted.topic not in law.vocabulary.topics:
        faults.append(Fault("/topic", "unknown-topic", "not a topic of the vocabulary: see GET /v1/vocabulary"))
    elif not covers(scope.topics, posted.topic):
        message = f"the scope covers {', '.join(scope.topics)}: this topic is outside"
        faults.append(Fault("/topic", Reason.OUTSIDE_SCOPE_TOPIC.value, message))
    faults += _region_faults(law, scope, posted)
    if posted.kind not in law.vocabulary.kinds:
        faults.append(Fault("/kind", "unknown-kind", "not a kind of the vocabulary: see GET /v1/vocabulary"))
    elif posted.kind not in scope.kinds:
        message = f"the scope takes {', '.join(scope.kinds)}: this kind is outside"
        faults.append(Fault("/kind", Reason.OUTSIDE_SCOPE_KIND.value, message))
    return faults


def label_faults(law: Law, agreement: Agreement, posted: PostedReport, members: frozenset[str]) -> list[Fault]:
    """Return what is wrong with the report's label and its parts' labels: unknown words, or above the ceiling."""
    labels = [("/label", posted.label)]
    labels += [
        (f"/parts/{index}/label", part.label) for index, part in enumerate(posted.parts) if part.label is not None
    ]
    scope = agreement.terms.scope(posted.scope)
    faults = []
    for place, label in labels:
        unknown = _unknown_words(law, label, members)
        faults += [Fault(place + fault.pointer, fault.code, fault.message) for fault in unknown]
        if not unknown and scope is not None:
            faults += _ceiling_faults(law, agreement, scope, place, label)
    return faults


async def source_faults(
    services: Services, call: Call, client: Client, posted: PostedReport, state: PolicyState
) -> list[Fault]:
    """Return what is wrong with the reports that `posted` supersedes or refers to.

    A source that does not exist and one that the poster may not read are one fault. What builds on a
    source is marked at least as high (attack 17).
    """
    if len(posted.references) > _MOST_REFERENCES:
        return [Fault("/references", "too-many", f"at most {_MOST_REFERENCES} references")]
    sources = [(f"/references/{index}", each) for index, each in enumerate(posted.references)]
    if posted.supersedes is not None:
        sources.append(("/supersedes", posted.supersedes))
    faults = []
    for place, report_id in sources:
        fault = await _source_fault(services, call, client, posted, place=place, report_id=report_id, state=state)
        faults += [] if fault is None else [fault]
    return faults


async def _source_fault(
    services: Services,
    call: Call,
    client: Client,
    posted: PostedReport,
    *,
    place: str,
    report_id: str,
    state: PolicyState,
) -> Fault | None:
    unknown = Fault(place, "unknown-report", "no such report, or none that you may see")
    row = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if not is_uuid7(report_id) or row.report is None:
        return unknown
    judged = await judge(services, call, client, row.report, state)
    source = judged.facts
    is_own = source.originator == client.member
    match judged.decision:
        case Permit(view=View.FULL) if is_own or place != "/supersedes":
            pass
        case Permit() | Refusal():
            return unknown
    catalogue = services.law.catalogue
    if catalogue.check(posted.label) or catalogue.dominates(posted.label, source.label, originator=client.member):
        return None
    return Fault(place, "below-source", "the label is lower than that of this report: mark at least as high")


def _region_faults(law: Law, scope: Scope, posted: PostedReport) -> list[Fault]:
    faults = []
    for index, region in enumerate(posted.regions):
        place = f"/regions/{index}"
        if region not in law.vocabulary.regions:
            faults.append(Fault(place, "unknown-region", "not a region of the vocabulary: see GET /v1/vocabulary"))
        elif region not in scope.regions:
            message = f"the scope covers {', '.join(scope.regions)}: this region is outside"
            faults.append(Fault(place, Reason.OUTSIDE_SCOPE_REGION.value, message))
    if not posted.regions:
        faults.append(Fault("/regions", Reason.OUTSIDE_SCOPE_REGION.value, "name at least one region"))
    return faults


def _unknown_words(law: Law, label: Label, members: frozenset[str]) -> list[Fault]:
    faults = list(law.catalogue.check(label))
    for index, code in enumerate(label.releasable_to):
        if code not in members:
            faults.append(Fault(f"/releasable_to/{index}", "unknown-member", f"`{code[:20]}` is no member here"))
    return faults


def _ceiling_faults(law: Law, agreement: Agreement, scope: Scope, place: str, label: Label) -> list[Fault]:
    faults = []
    if law.catalogue.exceeds_ceiling(label, scope.ceiling, agreement.terms.policy):
        message = f"the scope's ceiling is {scope.ceiling}: this level is above it"
        faults.append(Fault(f"{place}/classification", Reason.ABOVE_CEILING.value, message))
    for index, compartment in enumerate(label.compartments):
        if compartment not in scope.compartments:
            message = f"the scope does not cover the compartment `{compartment}`"
            faults.append(Fault(f"{place}/compartments/{index}", Reason.MISSING_COMPARTMENT.value, message))
    return faults
