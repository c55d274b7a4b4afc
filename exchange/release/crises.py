"""An open crisis as a decision reads it: part of the scope, and of the class of reports posted while it was open.

A crisis answers "no reader of the scope" (rule 6) and "above the ceiling" (rule 17). Every other rule holds as it does
for anybody: parties, purpose, clearance, compartments, the label's own REL TO, nationality, caveats, guards.
INVARIANT: what the originator controls is the originator's to widen: under such a label a crisis opens nothing.
"""

from exchange.markings import Label
from exchange.release.caveats import ORIGINATOR_CONTROLLED
from exchange.release.consents import stands_alone
from exchange.release.facts import ClassFacts, CrisisFacts, ReaderFacts, ScopeFacts


def applicable_crises(cls: ClassFacts, scope: ScopeFacts | None) -> tuple[CrisisFacts, ...]:
    """Return the open crises that bear on reports of this class: posted during one, or older where the text says so."""
    if scope is None or not scope.crises:
        return ()
    return tuple(crisis for crisis in scope.crises if crisis.reaches_older or crisis.id in cls.crises)


def reads_in_crisis(cls: ClassFacts, reader: ReaderFacts, scope: ScopeFacts | None) -> bool:
    """Return whether an open crisis makes the reader's member a reader of such reports."""
    return any(reader.member in crisis.readers for crisis in applicable_crises(cls, scope))


def is_from_crisis_alone(cls: ClassFacts, reader: ReaderFacts, scope: ScopeFacts | None) -> bool:
    """Return whether only a crisis makes the reader's member a reader of such reports."""
    return reads_in_crisis(cls, reader, scope) and not stands_alone(cls, reader, scope)


def reads_without_consent(cls: ClassFacts, reader: ReaderFacts, scope: ScopeFacts | None) -> bool:
    """Return whether the reader's member, as a party, is a reader of such reports by the scope or by a crisis."""
    is_party = scope is not None and reader.member in scope.active_parties
    return stands_alone(cls, reader, scope) or (is_party and reads_in_crisis(cls, reader, scope))


def lifted_ceilings(cls: ClassFacts, scope: ScopeFacts | None, label: Label) -> tuple[str, ...]:
    """Return the ceilings that open crises put in place of the scope's own, for this label."""
    if is_controlled(label):
        return ()
    return tuple(crisis.ceiling for crisis in applicable_crises(cls, scope) if crisis.ceiling is not None)


def is_controlled(label: Label) -> bool:
    """Return whether the originator has kept control of what is under this label."""
    return not ORIGINATOR_CONTROLLED.isdisjoint(label.handling)
