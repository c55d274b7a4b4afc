"""What a report must satisfy before it exists, where that takes more than the report itself: the scope under
which it is posted, and the reports it builds on.

Faults carry the JSON pointer into the posted body and, where one fits, a reason code of the contract.
"""

from exchange.agreements import Agreement, Scope
from exchange.kernel import Fault, InvalidError, is_uuid7
from exchange.markings import Label
from exchange.members import Client
from exchange.release import Law, Permit, Reason, Refusal, View
from exchange.reports import PostedReport, PostingRules
from exchange.store import Parts, PolicyState
from exchange.usecases.authenticate import required_thumbprint
from exchange.usecases.context import Call, Services
from exchange.usecases.judging import judge

_MOST_REFERENCES = 50
"""Each costs a query and a decision; a report that cites more cites a collection."""


def posting_rules(law: Law, agreement: Agreement, scope: Scope, client: Client, members: frozenset[str]) -> PostingRules:
    """Return what a post of `client` under `scope` is checked against."""
    catalogue = law.catalogue

    def dominates(upper: Label, lower: Label) -> bool:
        return catalogue.dominates(upper, lower, originator=client.member)

    def above_ceiling(label: Label) -> bool:
        return catalogue.exceeds_ceiling(label, scope.ceiling, agreement.terms.policy)

    return PostingRules(
        scope=scope,
        vocabulary=law.vocabulary,
        check_label=catalogue.check,
        dominates=dominates,
        above_ceiling=above_ceiling,
        is_member=members.__contains__,
    )


def require_contributor(agreement: Agreement, client: Client, scope_name: str) -> Scope:
    """Return the scope called `scope_name` of which the client's member is a contributor; InvalidError otherwise."""
    message = "the report cannot be posted so"
    scope = agreement.terms.scope(scope_name)
    if scope is None:
        known = ", ".join(f"`{each.name}`" for each in agreement.terms.scopes)
        raise InvalidError(message, (Fault("/scope", "unknown-scope", f"no such scope in the agreement: use {known}"),))
    if client.member not in scope.contributors:
        text = f"your member `{client.member}` is no contributor of the scope `{scope.name}`"
        raise InvalidError(message, (Fault("/scope", Reason.NOT_A_PARTY.value, text),))
    return scope


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
