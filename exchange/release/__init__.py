"""Release: may this go to them? The only place that answers.

Promises: one answer for every door (get, list, stream, export, simulation); Permit or Refusal with every reason;
whatever is missing, unknown or fails is a refusal; guards can only narrow what the base rules permit.
Does not: load anything, know the time, open a part, or write the audit entry.
"""

from exchange.release.asking import as_asked, request_scope
from exchange.release.cache import CURRENT_ROW, DecisionCache, decide_cached
from exchange.release.caveats import CAVEATS
from exchange.release.classes import class_as_json, class_digest, class_facts, class_from_json
from exchange.release.clearances import covers_label, levels_covered
from exchange.release.consents import live_consents
from exchange.release.crises import is_controlled
from exchange.release.decide import decide, with_row
from exchange.release.decision import Decision, Permit, Reason, Refusal, View
from exchange.release.derivation import added_recipients, covers_derived
from exchange.release.explain import Explanation, Outcome, RuleOutcome, Viewer, explain
from exchange.release.facts import (
    Assurance,
    ClassFacts,
    Consent,
    CrisisFacts,
    PostedUnder,
    ReaderFacts,
    RowFacts,
    ScopeFacts,
    Use,
    cleared_reader,
)
from exchange.release.guard_examples import check_law
from exchange.release.guards import GuardQuestion, GuardSet, GuardVerdict, NationalGuards, load_guards
from exchange.release.law import Law, load_law
from exchange.release.national_check import NationalText, check_national, stored_national
from exchange.release.national_effects import Change, ClassChange, Spoken, national_changes
from exchange.release.reach import Clause, Gap, Matter, find_gaps, highest_level
from exchange.release.readable import readable_classes
from exchange.release.simulate import AgencyOutlook, MemberOutlook, Simulation, readers_asked, simulation_of

__all__ = [
    "CAVEATS",
    "CURRENT_ROW",
    "AgencyOutlook",
    "Assurance",
    "Change",
    "ClassChange",
    "ClassFacts",
    "Clause",
    "Consent",
    "CrisisFacts",
    "Decision",
    "DecisionCache",
    "Explanation",
    "Gap",
    "GuardQuestion",
    "GuardSet",
    "GuardVerdict",
    "Law",
    "Matter",
    "MemberOutlook",
    "NationalGuards",
    "NationalText",
    "Outcome",
    "Permit",
    "PostedUnder",
    "ReaderFacts",
    "Reason",
    "Refusal",
    "RowFacts",
    "RuleOutcome",
    "ScopeFacts",
    "Simulation",
    "Spoken",
    "Use",
    "View",
    "Viewer",
    "added_recipients",
    "as_asked",
    "check_law",
    "check_national",
    "class_as_json",
    "class_digest",
    "class_facts",
    "class_from_json",
    "cleared_reader",
    "covers_derived",
    "covers_label",
    "decide",
    "decide_cached",
    "explain",
    "find_gaps",
    "highest_level",
    "is_controlled",
    "levels_covered",
    "live_consents",
    "load_guards",
    "load_law",
    "national_changes",
    "readable_classes",
    "readers_asked",
    "request_scope",
    "simulation_of",
    "stored_national",
    "with_row",
]
