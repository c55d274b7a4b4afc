"""Release: may this go to them? The only place that answers."""

from exchange.release.classes import class_as_json, class_digest, class_facts, class_from_json
from exchange.release.decision import Decision, Permit, Reason, Refusal, View
from exchange.release.facts import Assurance, ClassFacts, ReaderFacts, RowFacts, ScopeFacts, Use

__all__ = [
    "Assurance",
    "ClassFacts",
    "Decision",
    "Permit",
    "ReaderFacts",
    "Reason",
    "Refusal",
    "RowFacts",
    "ScopeFacts",
    "Use",
    "View",
    "class_as_json",
    "class_digest",
    "class_facts",
    "class_from_json",
]
