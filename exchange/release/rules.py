"""The base rules: numbered, pure, each with its reason; all are asked, so a refusal gives every reason.

Rules 1-14 judge the reader, the agreement and the report as a whole; rules 15-23 judge one label (the report's
own, or a part's). Guards come after them and can only narrow. Nobody is above these rules: the originator's own
readers pass through every one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from exchange.agreements import OnwardRelease, covers
from exchange.markings import Catalogue, Label
from exchange.markings.families import NO_FOREIGNERS
from exchange.members import WATCHING_ROLES, Role
from exchange.release.caveats import (
    CRIME_ONLY,
    CRIME_PURPOSES,
    EYES_ONLY,
    JUDICIAL_PURPOSE,
    KNOWN_CAVEATS,
    NOT_IN_COURT,
    OPEN_PURPOSES,
    OWN_NATIONALS,
    PAP_RED,
    TLP_RED,
)
from exchange.release.consents import consented_labels, is_for_purpose, live_consents
from exchange.release.crises import (
    is_controlled,
    is_from_crisis_alone,
    lifted_ceilings,
    reads_in_crisis,
    reads_without_consent,
)
from exchange.release.decision import Reason
from exchange.release.facts import Assurance, ClassFacts, ReaderFacts, RowFacts, ScopeFacts, Use

# A token is copied more easily than a private key: nothing above this level of the base policy goes to one.
TOKEN_CEILING = "RESTRICTED"  # noqa: S105  a level, not a secret


@dataclass(frozen=True, slots=True)
class Case:
    """Everything one decision may look at."""

    reader: ReaderFacts
    cls: ClassFacts
    scope: ScopeFacts | None
    row: RowFacts
    use: Use
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class ReportRule:
    """A rule about the reader, the agreement and the report as a whole."""

    number: int
    name: str
    judge: Callable[[Case], Reason | None]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """A rule about one label of the report."""

    number: int
    name: str
    judge: Callable[[Case, Label], Reason | None]


def ask_report_rule(rule: ReportRule, case: Case) -> Reason | None:
    """Return why `rule` refuses, or None; a rule that fails to answer refuses."""
    try:
        return rule.judge(case)
    except Exception:  # noqa: BLE001  fail closed: whatever broke inside a rule is a refusal
        return Reason.RULE_FAILED


def ask_label_rule(rule: LabelRule, case: Case, label: Label) -> Reason | None:
    """Return why `rule` refuses this label, or None; a rule that fails to answer refuses."""
    try:
        return rule.judge(case, label)
    except Exception:  # noqa: BLE001  fail closed: whatever broke inside a rule is a refusal
        return Reason.RULE_FAILED


def report_reasons(case: Case) -> frozenset[Reason]:
    """Return every reason of rules 1-14."""
    answers = (ask_report_rule(rule, case) for rule in REPORT_RULES)
    return frozenset(reason for reason in answers if reason is not None)


def label_reasons(case: Case, label: Label) -> frozenset[Reason]:
    """Return every reason of rules 15-23 against one label."""
    answers = (ask_label_rule(rule, case, label) for rule in LABEL_RULES)
    return frozenset(reason for reason in answers if reason is not None)


def consented(case: Case) -> frozenset[Label]:
    """Return the labels that the originator has released to the reader's member, as this case stands."""
    return consented_labels(case.cls, case.reader, case.scope)


def passed_on(case: Case) -> frozenset[Label]:
    """Return the labels against which there would be a reason more without the originator's consent."""
    # Not `consented`: where nothing goes on to others, a consent still answers for the purpose of a reader in a crisis.
    given = frozenset(label for consent in live_consents(case.cls, case.reader) for label in consent.labels)
    if not given:
        return given
    alone = replace(case, cls=replace(case.cls, consents=()))
    is_let_in = report_reasons(alone) != report_reasons(case)
    return frozenset(each for each in given if is_let_in or label_reasons(alone, each) != label_reasons(case, each))


def _reader_role(case: Case) -> Reason | None:
    # Design §1: an operator can never read a report; the contract refuses both with `reader` on one client.
    reads = Role.READER in case.reader.roles and case.reader.roles.isdisjoint(WATCHING_ROLES)
    return None if reads else Reason.ROLE_MISSING


def _client_active(case: Case) -> Reason | None:
    return None if case.reader.is_active else Reason.CLIENT_SUSPENDED


def _agreement_known(case: Case) -> Reason | None:
    # A clause that is not the report's own is no clause: facts mixed up upstairs must not open anything.
    scope = case.scope
    is_own = scope is not None and (scope.agreement, scope.scope) == (case.cls.agreement, case.cls.scope)
    return None if is_own else Reason.NO_AGREEMENT


# Without a scope, rule 3 has refused already and rules 4-11 have nothing to add.


def _agreement_in_force(case: Case) -> Reason | None:
    return None if case.scope is None or case.scope.in_force else Reason.AGREEMENT_NOT_IN_FORCE


def _reader_is_party(case: Case) -> Reason | None:
    # Whoever the originator has released a label to need not be a party; which labels, rule 20 says.
    if case.scope is None or consented(case):
        return None
    return None if case.reader.member in case.scope.active_parties else Reason.NOT_A_PARTY


def _reader_in_scope(case: Case) -> Reason | None:
    # The originator's own readers need not be named as readers of the scope: it is their intelligence.
    if case.scope is None or case.reader.member == case.cls.originator or consented(case):
        return None
    is_reader = case.reader.member in case.scope.readers or reads_in_crisis(case.cls, case.reader, case.scope)
    return None if is_reader else Reason.NOT_A_PARTY


def _originator_is_party(case: Case) -> Reason | None:
    # An originator that suspended or left no longer shares under this agreement, whatever the others still do. What it
    # shared before it left its coming back gives to nobody: that widens, and only a text that says so reaches it.
    scope, originator = case.scope, case.cls.originator
    if scope is None or (originator in scope.active_parties and originator not in scope.came_back):
        return None
    is_own = case.reader.member == originator and originator in scope.active_parties
    return None if is_own else Reason.AGREEMENT_NOT_IN_FORCE


def _topic_in_scope(case: Case) -> Reason | None:
    return None if case.scope is None or covers(case.scope.topics, case.cls.topic) else Reason.OUTSIDE_SCOPE_TOPIC


def _regions_in_scope(case: Case) -> Reason | None:
    if case.scope is None:
        return None
    # A report about no region at all lies inside no scope.
    is_inside = bool(case.cls.regions) and case.scope.regions.issuperset(case.cls.regions)
    return None if is_inside else Reason.OUTSIDE_SCOPE_REGION


def _kind_in_scope(case: Case) -> Reason | None:
    return None if case.scope is None or case.cls.kind in case.scope.kinds else Reason.OUTSIDE_SCOPE_KIND


def _purpose_allowed(case: Case) -> Reason | None:
    return None if case.scope is None or case.reader.purpose in case.scope.purposes else Reason.PURPOSE_NOT_ALLOWED


def _clearance_current(case: Case) -> Reason | None:
    return None if case.reader.clearance_current else Reason.CLEARANCE_EXPIRED


def _not_recalled(case: Case) -> Reason | None:
    return Reason.RECALLED if case.row.is_recalled else None


def _not_expired(case: Case) -> Reason | None:
    return Reason.EXPIRED if case.row.is_expired else None


def _label_known(case: Case, label: Label) -> Reason | None:
    # A label that the law no longer knows cannot be judged.
    return Reason.RULE_FAILED if case.catalogue.check(label) else None


def _assurance_strong_enough(case: Case, label: Label) -> Reason | None:
    match case.reader.assurance:
        case Assurance.MUTUAL_TLS:
            return None
        case Assurance.TOKEN if TLP_RED in label.handling:
            return Reason.WEAK_ASSURANCE
        case Assurance.TOKEN:
            is_above = case.catalogue.protection_rank(label) > case.catalogue.clearance_rank(TOKEN_CEILING)
            return Reason.WEAK_ASSURANCE if is_above else None
        case other:
            assert_never(other)


def _below_ceiling(case: Case, label: Label) -> Reason | None:
    scope = case.scope
    if scope is None:
        return None

    def exceeds(ceiling: str) -> bool:
        return case.catalogue.exceeds_ceiling(label, ceiling, scope.policy)

    # The texts' own hold together; of the crises' one is enough. Each is asked, so that one that is no level refuses.
    if True not in [exceeds(ceiling) for ceiling in (scope.ceiling, *scope.ceilings)]:
        return None
    is_lifted = False in [exceeds(ceiling) for ceiling in lifted_ceilings(case.cls, scope, label)]
    return None if is_lifted else Reason.ABOVE_CEILING


def _cleared(case: Case, label: Label) -> Reason | None:
    # Protection was rounded up, clearance down: of two readings of a level the stricter one decides.
    is_cleared = case.catalogue.clearance_rank(case.reader.level) >= case.catalogue.protection_rank(label)
    return None if is_cleared else Reason.ABOVE_CLEARANCE


def _compartments_held(case: Case, label: Label) -> Reason | None:
    allowed = case.reader.compartments
    if case.scope is not None:
        allowed &= case.scope.compartments
    return None if allowed.issuperset(label.compartments) else Reason.MISSING_COMPARTMENT


def _releasable(case: Case, label: Label) -> Reason | None:
    if label in consented(case):
        return None
    # INVARIANT: consent for one label opens no other: who is no reader by itself has what it was given alone.
    is_alone = case.scope is None or reads_without_consent(case.cls, case.reader, case.scope) or not consented(case)
    is_named = case.reader.member in (case.cls.originator, *label.releasable_to)
    return None if is_alone and is_named else Reason.NOT_RELEASABLE


def _nationality(case: Case, label: Label) -> Reason | None:
    nationality, originator = case.reader.nationality, case.cls.originator
    allowed = [True]
    if EYES_ONLY in label.handling:
        added = (case.reader.member,) if label in consented(case) else ()
        allowed.append(nationality in (originator, *label.releasable_to, *added))
    if NO_FOREIGNERS in label.handling:
        allowed.append(nationality == originator == case.reader.member)
    if OWN_NATIONALS in label.handling:
        allowed.append(nationality == case.reader.member)
    return None if all(allowed) else Reason.NATIONALITY


def _originator_control(case: Case, label: Label) -> Reason | None:
    if case.use is Use.READ:
        # INVARIANT: no crisis gives what the originator controls to who would not have it without one.
        is_given = label in consented(case) or not is_from_crisis_alone(case.cls, case.reader, case.scope)
        return Reason.ORIGINATOR_CONTROL if is_controlled(label) and not is_given else None
    is_open = case.scope is not None and case.scope.onward_release is OnwardRelease.PARTIES
    return None if is_open and not is_controlled(label) else Reason.ORIGINATOR_CONTROL


def _handling_kept(case: Case, label: Label) -> Reason | None:
    purpose, handling = case.reader.purpose, label.handling
    is_barred = (NOT_IN_COURT in handling and purpose == JUDICIAL_PURPOSE) or (
        PAP_RED in handling and purpose in OPEN_PURPOSES
    )
    is_kept = KNOWN_CAVEATS.issuperset(handling) and (CRIME_ONLY not in handling or purpose in CRIME_PURPOSES)
    if is_barred and not is_for_purpose(case.cls, case.reader, label):
        is_kept = False
    return None if is_kept else Reason.HANDLING_CAVEAT


# Numbers are for ever: a rule that is dropped leaves its number unused.
REPORT_RULES: tuple[ReportRule, ...] = (
    ReportRule(1, "reader-role", _reader_role),
    ReportRule(2, "client-active", _client_active),
    ReportRule(3, "agreement-known", _agreement_known),
    ReportRule(4, "agreement-in-force", _agreement_in_force),
    ReportRule(5, "reader-is-party", _reader_is_party),
    ReportRule(6, "reader-in-scope", _reader_in_scope),
    ReportRule(7, "originator-is-party", _originator_is_party),
    ReportRule(8, "topic-in-scope", _topic_in_scope),
    ReportRule(9, "regions-in-scope", _regions_in_scope),
    ReportRule(10, "kind-in-scope", _kind_in_scope),
    ReportRule(11, "purpose-allowed", _purpose_allowed),
    ReportRule(12, "clearance-current", _clearance_current),
    ReportRule(13, "not-recalled", _not_recalled),
    ReportRule(14, "not-expired", _not_expired),
)
LABEL_RULES: tuple[LabelRule, ...] = (
    LabelRule(15, "label-known", _label_known),
    LabelRule(16, "assurance", _assurance_strong_enough),
    LabelRule(17, "below-ceiling", _below_ceiling),
    LabelRule(18, "clearance-level", _cleared),
    LabelRule(19, "compartments-held", _compartments_held),
    LabelRule(20, "releasable-to", _releasable),
    LabelRule(21, "nationality", _nationality),
    LabelRule(22, "originator-control", _originator_control),
    LabelRule(23, "handling-caveats", _handling_kept),
)
GUARDS_RULE_NUMBER = 24

# The rules that the originator's consent answers in place of the scope or the label.
PARTY_RULE_NUMBERS = frozenset({5, 6})
RELEASABLE_RULE_NUMBER = 20

# The rules that an open crisis answers.
READER_RULE_NUMBER = 6
CEILING_RULE_NUMBER = 17
