"""The answer to "may this go to them": Permit or Refusal, never a bool."""

from dataclasses import dataclass
from enum import Enum

from exchange.audit import CRISIS_POLICY
from exchange.markings import Label


class Reason(Enum):
    """The closed reason codes of the contract, in the order in which answers list them."""

    NOT_AUTHENTICATED = "not-authenticated"
    ROLE_MISSING = "role-missing"
    CLIENT_SUSPENDED = "client-suspended"
    WEAK_ASSURANCE = "weak-assurance"
    NO_AGREEMENT = "no-agreement"
    AGREEMENT_NOT_IN_FORCE = "agreement-not-in-force"
    NOT_A_PARTY = "not-a-party"
    OUTSIDE_SCOPE_TOPIC = "outside-scope-topic"
    OUTSIDE_SCOPE_REGION = "outside-scope-region"
    OUTSIDE_SCOPE_KIND = "outside-scope-kind"
    PURPOSE_NOT_ALLOWED = "purpose-not-allowed"
    ABOVE_CEILING = "above-ceiling"
    ABOVE_CLEARANCE = "above-clearance"
    CLEARANCE_EXPIRED = "clearance-expired"
    MISSING_COMPARTMENT = "missing-compartment"
    NOT_RELEASABLE = "not-releasable"
    NATIONALITY = "nationality"
    ORIGINATOR_CONTROL = "originator-control"
    HANDLING_CAVEAT = "handling-caveat"
    NATIONAL_CAVEAT = "national-caveat"
    RECALLED = "recalled"
    EXPIRED = "expired"
    RULE_FAILED = "rule-failed"


class View(Enum):
    """How much of the header a Permit shows: all of it, or the tear-line (no subject, joined label)."""

    FULL = "full"
    TEAR_LINE = "tear-line"


class _NoTruthValue:
    """A decision is matched, never tested: `if decide(...)` raises instead of meaning yes."""

    __slots__ = ()

    def __bool__(self) -> bool:
        message = "a decision has no truth value: match Permit and Refusal"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Permit(_NoTruthValue):
    """May be released: the parts whose effective label is in `labels`, with this view of the header.

    `policies` names what permitted (agreement id, scope, guard set version), for the audit entry.
    """

    labels: frozenset[Label]
    view: View
    policies: tuple[str, ...] = ()

    @property
    def crises(self) -> tuple[str, ...]:
        """Return the crises, as `crisis/<id>`, without which less would be released; mostly there is none."""
        return tuple(policy for policy in self.policies if policy.startswith(CRISIS_POLICY))


@dataclass(frozen=True, slots=True)
class Refusal(_NoTruthValue):
    """May not be released; every reason, in the order of `Reason`. `policies` names the guards that forbade."""

    reasons: tuple[Reason, ...]
    policies: tuple[str, ...] = ()


Decision = Permit | Refusal
