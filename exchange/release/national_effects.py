"""What caveats would change before they are in force: which reports they would stop, for whom, and which they open.

Asked of the real rules and guards, for readers that are nobody: of each member, cleared for everything and of its own
nationality, and the variants of it that the caveats themselves speak of. What single clients of other members hold is
theirs: a caveat that named a nationality would otherwise be a question about every client that there is.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from exchange.markings import Catalogue
from exchange.members import WATCHING_ROLES, Role, is_member_code
from exchange.release.cache import DecisionCache
from exchange.release.decision import Permit, View
from exchange.release.facts import Assurance, ClassFacts, ReaderFacts, ScopeFacts, cleared_reader
from exchange.release.guard_files import Guard, pattern_text, records
from exchange.release.law import Law
from exchange.release.readable import readable_classes

_MOST_WORDS = 8
"""Nationalities, agencies, patterns of agencies and compartments that are tried of those that the caveats name."""

_AGENCY = re.compile(r"[A-Z][A-Z0-9]{1,15}/.{1,64}")

_BESIDE_READER = tuple(role for role in Role if role is not Role.READER and role not in WATCHING_ROLES)


class Change(Enum):
    """STOPPED: no reader of the member has it any more. NARROWED: some have less. OPENED: some have more."""

    STOPPED = "stopped"
    NARROWED = "narrowed"
    OPENED = "opened"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the guards before and after speak of, as far as it makes variants of a reader."""

    levels: bool
    assurance: bool
    roles: bool
    nationalities: tuple[str, ...]
    agencies: tuple[str, ...]
    """As `NOR/NIS`; as `/NIS` where it is one of any member, of which a pattern says no more."""
    compartments: frozenset[str] | None
    """All words of the guards, whichever of them are compartments; None where they do not ask for those."""

    @classmethod
    def of(cls, guards: Iterable[Guard]) -> "Spoken":
        """Return what these guards speak of."""
        attributes, literals, patterns = _words_of(guards)
        codes = sorted(word for word in literals if is_member_code(word)) if "nationality" in attributes else []
        agencies = sorted(word for word in literals if _AGENCY.fullmatch(word))[:_MOST_WORDS]
        agencies += sorted(patterns)[:_MOST_WORDS]
        return cls(
            levels=not attributes.isdisjoint({"level", "level_rank"}),
            assurance="assurance" in attributes,
            roles="roles" in attributes,
            nationalities=tuple(codes[:_MOST_WORDS]),
            agencies=tuple(agencies) if "agency" in attributes else (),
            compartments=frozenset(literals) if "compartments" in attributes else None,
        )


def _words_of(guards: Iterable[Guard]) -> tuple[set[str], set[str], set[str]]:
    """Return the attributes that are asked for, the texts, and an agency that each pattern would take."""
    attributes, literals, patterns = set(), set(), set()
    for record in records([json.loads(guard.policy_json) for guard in guards]):
        attributes.add(str(record.get("attr")))
        literals |= {value for value in record.values() if isinstance(value, str)}
        if (pattern := pattern_text(record)) is not None:
            text = pattern.replace("*", "")
            patterns.add(text if "/" in text else f"/{text}")
    return attributes, literals, patterns


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What changes for readers of one member about the reports of one class."""

    class_id: int
    member: str
    change: Change


def national_changes(  # noqa: PLR0913  which reports, by which law and that one, and when
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    *,
    before: Law,
    after: Law,
    spoken: Spoken,
    at_micros: int,
) -> Iterator[tuple[ClassChange, ...]]:
    """Yield what changes about reports of these classes when `after` is in force in place of `before`.

    So for each member, and nothing for each kind of its readers before: whoever asks can let others in each time.

    `at_micros` is the moment that is asked about: a consent that has ended lets nobody read.
    """
    scopes = [scope for scope in map(scope_of, classes.values()) if scope is not None]
    purposes = sorted({purpose for scope in scopes for purpose in scope.purposes})
    compartments = frozenset(word for scope in scopes for word in scope.compartments)
    for member in _members(classes.values(), scopes):
        seen: dict[int, list[tuple[Permit | None, Permit | None]]] = {}
        for each in _readers(member, purposes, compartments, spoken, before.catalogue):
            reader = replace(each, at_micros=at_micros)
            was = _readable(reader, classes, scope_of, before)
            will = _readable(reader, classes, scope_of, after)
            for class_id in was.keys() | will.keys():
                seen.setdefault(class_id, []).append((was.get(class_id), will.get(class_id)))
            yield ()
        changes = ((class_id, _changes(pairs)) for class_id, pairs in sorted(seen.items()))
        yield tuple(ClassChange(class_id, member, change) for class_id, found in changes for change in found)


def _members(classes: Iterable[ClassFacts], scopes: Iterable[ScopeFacts]) -> list[str]:
    """Return whose readers may read something: by the text, in a crisis, by consent, or what is their own."""
    found: set[str] = set()
    for facts in classes:
        found |= {facts.originator, *(consent.member for consent in facts.consents)}
    for scope in scopes:
        found |= scope.readers.union(*(crisis.readers for crisis in scope.crises))
    return sorted(found)


def _readers(
    member: str, purposes: Sequence[str], compartments: frozenset[str], spoken: Spoken, catalogue: Catalogue
) -> Iterator[ReaderFacts]:
    usual = cleared_reader(member, catalogue, compartments=compartments, purpose="")
    variants = [*_variants(usual, spoken, catalogue)]
    for purpose in purposes:
        yield from (replace(variant, purpose=purpose) for variant in variants)


def _variants(usual: ReaderFacts, spoken: Spoken, catalogue: Catalogue) -> Iterator[ReaderFacts]:
    """Yield `usual`, and what differs from it in one thing of which the guards speak."""
    yield usual
    if spoken.levels:
        yield from (replace(usual, level=level.name) for level in catalogue.base.levels[:-1])
    yield from (replace(usual, nationality=code) for code in spoken.nationalities if code != usual.member)
    agencies = (f"{usual.member}{word}" if word.startswith("/") else word for word in spoken.agencies)
    yield from (replace(usual, agency=agency) for agency in agencies if agency.startswith(usual.agency))
    if spoken.assurance:
        yield replace(usual, assurance=Assurance.TOKEN)
    if spoken.roles:
        yield from (replace(usual, roles=usual.roles | {role}) for role in _BESIDE_READER)
        yield replace(usual, roles=usual.roles.union(_BESIDE_READER))
    if spoken.compartments is not None:
        yield replace(usual, compartments=frozenset())
        known = usual.compartments.union(*(policy.compartments for policy in catalogue.policies.values()))
        named = sorted(spoken.compartments & known)[:_MOST_WORDS]
        yield from (replace(usual, compartments=usual.compartments ^ {name}) for name in named)


def _readable(
    reader: ReaderFacts,
    classes: Mapping[int, ClassFacts],
    scope_of: Callable[[ClassFacts], ScopeFacts | None],
    law: Law,
) -> dict[int, Permit]:
    return readable_classes(reader, classes, scope_of, policy_version=0, law=law, cache=DecisionCache())


def _changes(pairs: Sequence[tuple[Permit | None, Permit | None]]) -> Iterator[Change]:
    """Yield what changes, given what each variant of a reader that has something has before and after."""
    if all(will is None for _, will in pairs):
        yield Change.STOPPED
    elif any(_has_more(was, will) for was, will in pairs):
        yield Change.NARROWED
    if any(_has_more(will, was) for was, will in pairs):
        yield Change.OPENED


def _has_more(one: Permit | None, other: Permit | None) -> bool:
    if one is None or other is None:
        return one is not None
    is_less_of_header = one.view is View.FULL and other.view is not View.FULL
    return is_less_of_header or not one.labels <= other.labels
