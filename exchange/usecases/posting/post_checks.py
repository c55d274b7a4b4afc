"""What a report must satisfy beyond itself: the scope under which it is posted, and the reports it builds on.

Faults carry the JSON pointer into the posted body and, where one fits, a reason code of the contract.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from exchange.agreements import (
    Agreement,
    AgreementState,
    OnwardRelease,
    Scope,
    active_parties,
    is_known_to,
    is_party,
    open_crises,
    state_of,
)
from exchange.audit import EventName
from exchange.kernel import ConflictError, Fault, InvalidError, UnavailableError, is_uuid7, new_id
from exchange.kernel.counting import counted
from exchange.markings import Label
from exchange.members import Client, MemberCode
from exchange.release import Law, Reason, is_controlled
from exchange.reports import Header, PostedReport, PostedRequest, PostingRules, ReportId, check_report, compose_header
from exchange.store import Parts, PolicyState
from exchange.usecases.posting.derived_marking import Source, covering_consents
from exchange.usecases.steps.as_it_left import agreement_not_found
from exchange.usecases.steps.authenticate import required_thumbprint
from exchange.usecases.steps.collecting import Collected
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.seeking import judge, judge_decoy
from exchange.usecases.steps.unopened import Asker, is_others

MOST_REFERENCES = 50
"""Each costs a query and a decision; a report that cites more cites a collection."""

_SUPERSEDES = "/supersedes"
_UNKNOWN = "no such report, or none that you may build on"
_LOWER = "the label is lower than this report's: mark at least as high"


def require_in_force(agreement: Agreement | None, client: Client, call: Call) -> Agreement:
    """Return the agreement if the client's member can post under it now.

    Raises NotFoundError where it is absent or the member no party, ConflictError where it is not in force or
    the member has suspended its own part, or left: then it is told that, and nothing of what the others do since.
    """
    if agreement is None or not is_known_to(agreement, client.member):
        raise agreement_not_found()
    if not is_party(agreement, client.member, call.now):
        raise ConflictError("your member has left the agreement", code=Reason.AGREEMENT_NOT_IN_FORCE.value)
    state = state_of(agreement, call.now)
    if state is not AgreementState.IN_FORCE:
        message = f"the agreement is {state.value}: reports can be posted only while it is in force"
        raise ConflictError(message, code=Reason.AGREEMENT_NOT_IN_FORCE.value)
    if client.member not in active_parties(agreement, call.now):
        message = "your member has suspended its own part: resume it first"
        raise ConflictError(message, code=Reason.AGREEMENT_NOT_IN_FORCE.value)
    return agreement


def compose(  # noqa: PLR0913  one call's surroundings, what is posted, and what it is checked against
    services: Services,
    call: Call,
    client: Client,
    posted: PostedReport,
    *,
    agreement: Agreement,
    members: frozenset[str],
    faults: Sequence[Fault] = (),
    report_id: ReportId | None = None,
) -> Header:
    """Return the header that `posted` gets; InvalidError names every fault found, `faults` among them.

    Its id is a new one, unless it has one already.

    For whom it is posted has been settled: the client's own member, or one that consents (`proxies`).
    """
    originator = originator_of(client, posted)
    found = list(faults)
    new = report_id or ReportId(new_id(call.now, services.randomness))

    def composed() -> Header | None:
        ceilings = _crisis_ceilings(agreement, posted.scope, call)
        scope = Collected(found).value(lambda: _require_contributor(agreement, originator, posted.scope), None)
        if scope is None:
            # What no clause decides is told all the same.
            rules = rules_of_no_scope(services.law, agreement, originator, members, posted)
            found.extend(check_report(posted, now=call.now, rules=rules))
            return None
        rules = posting_rules(services.law, agreement, originator, members, scope=scope, ceilings=ceilings)
        return compose_header(posted, report_id=new, originator=originator, now=call.now, rules=rules)

    header = Collected(found).value(composed, None)
    if header is None or found:
        raise InvalidError(f"the report has {counted(len(found), 'fault', 'faults')}", tuple(found))
    return header


def originator_of(client: Client, posted: PostedReport) -> MemberCode:
    """Return whose report it is."""
    return client.member if posted.on_behalf_of is None else MemberCode(posted.on_behalf_of)


@dataclass(frozen=True, slots=True)
class Built:
    """What a post builds on: the faults found, and the consents under which it is marked lower than a source.

    `superseded` is the report in whose place it comes, as it was held against it.
    """

    faults: tuple[Fault, ...] = ()
    consents: tuple[str, ...] = ()
    superseded: Source | None = None


async def check_sources(  # noqa: PLR0913  one call's surroundings, what is posted, and what is known already
    services: Services,
    call: Call,
    client: Client,
    posted: PostedReport,
    state: PolicyState,
    *,
    kept: Collection[str] = (),
) -> Built:
    """Return what is to be said of the reports that `posted` supersedes or refers to, but for those in `kept`.

    A member may build on its own reports, and refer to what the poster may read; a source that does not exist
    and any other are one fault. What builds on a source is marked at least as high (attack 17), unless it refers to
    it and the source's originator consents.
    """
    if originator_of(client, posted) != client.member and (posted.references or posted.supersedes):
        # What its originator never saw it neither replaces nor vouches for.
        told = "what is posted for another member builds on no report: only the originator links its own"
        return Built((Fault("/references" if posted.references else "/supersedes", "not-the-originator", told),))
    if len(posted.references) > MOST_REFERENCES:
        return Built((Fault("/references", "too-many", f"at most {MOST_REFERENCES} references"),))
    sources = [(f"/references/{index}", each) for index, each in enumerate(posted.references) if each not in kept]
    faults: list[Fault] = []
    consents: list[str] = []
    for place, report_id in sources:
        if not is_uuid7(report_id):
            continue  # `compose` names what is no id
        match await _check_source(services, call, client, posted, state, at=(place, report_id)):
            case Fault() as fault:
                faults.append(fault)
            case found:
                consents += found
    match await _check_place(services, call, client, posted, state):
        case Fault() as fault:
            return Built((*faults, fault), tuple(consents))
        case superseded:
            return Built(tuple(faults), tuple(consents), superseded)


async def _check_source(  # noqa: PLR0913  one call's surroundings, what is posted, and the source looked at
    services: Services, call: Call, client: Client, posted: PostedReport, state: PolicyState, *, at: tuple[str, str]
) -> Fault | tuple[str, ...]:
    """Return what is wrong with building on one source so, or the consents that it rests on."""
    place, report_id = at
    source = await _source(services, call, client, report_id, state, own_only=False)
    if source is None:
        return Fault(place, "unknown-report", _UNKNOWN)
    # A label with unknown words is refused for those; it is not compared.
    catalogue, own = services.law.catalogue, posted.label
    if catalogue.check(own):
        return ()
    labels = (own, *(part.label for part in posted.parts if part.label and not catalogue.check(part.label)))
    consents = await covering_consents(services, call, state, source, labels=labels, member=client.member)
    if consents is not None:
        return consents
    return Fault(place, "below-source", f"{_LOWER}, or ask its originator for consent")


async def _check_place(
    services: Services, call: Call, client: Client, posted: PostedReport, state: PolicyState
) -> Fault | Source | None:
    """Return what is wrong with coming in a report's place, else that report; None where none is named.

    Whether the place is free, the store says where it is taken: a post that is sent again has taken it itself.
    """
    if posted.supersedes is None or not is_uuid7(posted.supersedes):
        return None
    source = await _source(services, call, client, posted.supersedes, state, own_only=True)
    if source is None:
        return Fault(_SUPERSEDES, "unknown-report", _UNKNOWN)
    if source.facts.agreement != posted.agreement:
        told = "stands under another agreement, whose parties would not find what took its place: post without it"
        return Fault(_SUPERSEDES, "other-agreement", told)
    catalogue, own = services.law.catalogue, posted.label
    # What takes a report's place is no derivation: it is lowered first.
    if not catalogue.check(own) and not catalogue.dominates(own, source.facts.label, originator=client.member):
        return Fault(_SUPERSEDES, "below-source", _LOWER)
    return source


async def _source(  # noqa: PLR0913  one call's surroundings, and the source looked at
    services: Services, call: Call, client: Client, report_id: str, state: PolicyState, *, own_only: bool
) -> Source | None:
    row = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if row.report is None:
        await judge_decoy(services, call, client, state, event=EventName.REPORT_POSTED)
        return None
    try:
        judged = await judge(services, call, client, row.report, state)
    except UnavailableError:
        if await is_others(services, Asker(call, client, state), row.report):
            return None
        raise
    source = Source(row.report, judged.release_class)
    is_own = judged.facts.originator == client.member
    return source if is_own or (judged.is_full_view and not own_only) else None


def _crisis_ceilings(agreement: Agreement, scope_name: str, call: Call) -> tuple[str, ...]:
    clauses = (clause for _, clause in open_crises(agreement, call.now) if clause.scope == scope_name)
    return tuple(clause.ceiling for clause in clauses if clause.ceiling is not None)


def posting_rules(  # noqa: PLR0913  what a post is checked against
    law: Law,
    agreement: Agreement,
    originator: MemberCode,
    members: frozenset[str],
    *,
    scope: Scope,
    ceilings: tuple[str, ...] = (),
) -> PostingRules:
    """Return what a post, or a request, of a member is checked against in a scope."""
    catalogue = law.catalogue

    def above_ceiling(label: Label) -> bool:
        # As it will be read: what the originator controls, no crisis lifts.
        own = (scope.ceiling, *(() if is_controlled(label) else ceilings))
        return all(catalogue.exceeds_ceiling(label, ceiling, agreement.terms.policy) for ceiling in own)

    return PostingRules(
        scope=scope,
        vocabulary=law.vocabulary,
        check_label=catalogue.check,
        dominates=partial(catalogue.dominates, originator=originator),
        above_ceiling=above_ceiling,
        is_member=members.__contains__,
    )


def rules_of_no_scope(
    law: Law,
    agreement: Agreement,
    originator: MemberCode,
    members: frozenset[str],
    posted: PostedReport | PostedRequest,
) -> PostingRules:
    """Return what a post, or a request, is checked against that names no clause of its own: all but a clause."""
    vocabulary = law.vocabulary
    everything = Scope(
        name=posted.scope,
        topics=tuple(vocabulary.topics),
        regions=tuple(vocabulary.regions),
        kinds=tuple(vocabulary.kinds),
        purposes=tuple(vocabulary.purposes),
        ceiling="",
        compartments=posted.label.compartments,
        contributors=(),
        readers=(),
        onward_release=OnwardRelease.NEVER,
        retention="",
    )
    rules = posting_rules(law, agreement, originator, members, scope=everything)
    return replace(rules, above_ceiling=lambda _: False)


def _require_contributor(agreement: Agreement, originator: MemberCode, scope_name: str) -> Scope:
    message = "the report cannot be posted so"
    scope = agreement.terms.scope(scope_name)
    if scope is None:
        known = ", ".join(f"`{each.name}`" for each in agreement.terms.scopes)
        raise InvalidError(message, (Fault("/scope", "unknown-scope", f"no such scope in the agreement: use {known}"),))
    if originator not in scope.contributors:
        text = f"the member `{originator}` is no contributor of the scope `{scope.name}`"
        raise InvalidError(message, (Fault("/scope", Reason.NOT_A_PARTY.value, text),))
    return scope
