"""Guards: the extra rules in `policies/guards/*.cedar`. They forbid; they can never permit.

A file with a lower-case name is the exchange's own and holds for every report; a file named after a member
(`NOR.cedar`) holds that member's national caveats, and so does what a member put in force itself (`NationalGuards`).
National caveats are asked about that member's own reports only: a member can neither restrict, break nor slow down the
reports of others.

Cedar skips a policy whose evaluation fails, a forbid included, and then allows. Here any failure refuses.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cedarpy

from exchange.kernel import Canonical, canonical_bytes
from exchange.markings import Catalogue, Label
from exchange.release.facts import ClassFacts, ReaderFacts, Use
from exchange.release.guard_files import Guard, read_guards

# Present in every set, so that silence means "nothing forbids" and cannot be confused with "nothing was asked".
_PERMIT_ALL = "permit-all"
_PERMIT_ALL_POLICY = {
    "effect": "permit",
    "principal": {"op": "All"},
    "action": {"op": "All"},
    "resource": {"op": "All"},
    "conditions": [],
}


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """The guards' answer for one label: the ids that forbade, sorted, and whether anything failed to answer."""

    forbade: tuple[str, ...] = ()
    has_failed: bool = False

    @property
    def is_clear(self) -> bool:
        """Return whether nothing forbade and nothing failed."""
        return not self.forbade and not self.has_failed

    def joined(self, other: "GuardVerdict") -> "GuardVerdict":
        """Return what both of two answers say."""
        return GuardVerdict(tuple(sorted({*self.forbade, *other.forbade})), self.has_failed or other.has_failed)


_CLEAR = GuardVerdict()
_FAILED = GuardVerdict(has_failed=True)


@dataclass(frozen=True, slots=True)
class GuardQuestion:
    """One label of one class; whether the reader has it by the originator's consent alone, so that it is passed on."""

    cls: ClassFacts
    label: Label
    is_passed_on: bool = False


@dataclass(frozen=True, slots=True)
class NationalGuards:
    """A member's own guards, ready to be asked together with those of the files; `GuardSet.prepared` makes them.

    `policies` None: they cannot be used, and every report of the member is refused until they can.
    """

    member: str
    guards: tuple[Guard, ...]
    policies: cedarpy.PolicySet | None


class GuardSet:
    """Parsed guards, ready to be asked. Immutable.

    `digest` names the guards of the files. What members put in force themselves is no part of it: it stands in answers
    about others' reports too, and nobody learns there whether a member has caveats. `national` names those, for caches;
    empty where there are none.
    """

    __slots__ = ("_everyone", "_files", "_national", "_of_files", "_schema", "digest", "guards", "national", "schema")

    def __init__(self, guards: Iterable[Guard], schema: str) -> None:
        self.guards: Mapping[str, Guard] = MappingProxyType({guard.id: guard for guard in guards})
        self.schema: str = schema
        self.national: str = ""
        self._files = self.guards
        members = {guard.member for guard in self.guards.values() if guard.member is not None}
        self._schema = cedarpy.Schema.from_str(schema)
        self._everyone = _policy_set(self._holding_for(None))
        self._of_files = {member: _policy_set(self._holding_for(member)) for member in members}
        self._national = self._of_files
        sources = {guard.id: {"member": guard.member, "policy": guard.policy_json} for guard in self.guards.values()}
        self.digest: str = hashlib.sha256(canonical_bytes({"schema": schema, "guards": sources})).hexdigest()

    def prepared(self, member: str, guards: Sequence[Guard] | None) -> NationalGuards:
        """Return a member's own guards, to be added by `with_national`; what cannot be used refuses.

        That is None, for guards that could not be read, no guard at all, an id that stands in the files, and whatever
        the engine does not take. Never raises: what one member put in force stops nobody else's reports.
        """
        if not guards or not {guard.id for guard in guards}.isdisjoint(self._files):
            return NationalGuards(member, (), None)
        try:
            policies = _policy_set((*self._holding_for(member), *guards))
        except Exception:  # noqa: BLE001  fail closed: whatever the engine does not take is refused
            return NationalGuards(member, (), None)
        return NationalGuards(member, tuple(guards), policies)

    def with_national(self, national: Iterable[NationalGuards]) -> "GuardSet":
        """Return these guards with those of members added, in place of any that were added before."""
        added = {each.member: each for each in national}
        new = object.__new__(GuardSet)
        new._files, new._of_files, new._everyone = self._files, self._of_files, self._everyone
        new._schema, new.schema, new.digest = self._schema, self.schema, self.digest
        by_id = {guard.id: guard for each in added.values() for guard in each.guards}
        new.guards = MappingProxyType({**self._files, **by_id})
        named = {member: _named(each) for member, each in added.items()}
        new.national = hashlib.sha256(canonical_bytes(named)).hexdigest() if named else ""
        new._national = {**self._of_files, **{member: each.policies for member, each in added.items()}}
        return new

    def known_to(self, member: str) -> "GuardSet":
        """Return the guards that a member may try out: the exchange's own and its own files, no other member's."""
        return GuardSet(self._holding_for(member), self.schema)

    def _holding_for(self, member: str | None) -> tuple[Guard, ...]:
        """Return the guards of the files that are asked about reports of `member`; None: of a member without any."""
        return tuple(guard for guard in self._files.values() if guard.member in {None, member})

    def forbidding(
        self, reader: ReaderFacts, questions: Sequence[GuardQuestion], use: Use, catalogue: Catalogue
    ) -> tuple[GuardVerdict, ...]:
        """Return one verdict per question, in order. Never raises: what cannot be answered has failed.

        Of what is passed on both are asked: whether this reader may `use` it, and whether it may go on to it.
        """
        verdicts: dict[int, GuardVerdict] = {}
        for originator in {question.cls.originator for question in questions}:
            places = [place for place, question in enumerate(questions) if question.cls.originator == originator]
            asked = [questions[place] for place in places]
            answers = self._ask_about(originator, reader, asked, use, catalogue)
            verdicts.update(zip(places, answers, strict=True))
        return tuple(verdicts[place] for place in range(len(questions)))

    def _ask_about(
        self, originator: str, reader: ReaderFacts, questions: Sequence[GuardQuestion], use: Use, catalogue: Catalogue
    ) -> list[GuardVerdict]:
        policies = self._national.get(originator, self._everyone)
        if policies is None:
            # INVARIANT: a member's caveats that cannot be used refuse its reports, and nobody else's.
            return [_FAILED if originator in self._national else _CLEAR] * len(questions)
        return self._ask(policies, reader, questions, use, catalogue)

    def _ask(
        self,
        policies: cedarpy.PolicySet,
        reader: ReaderFacts,
        questions: Sequence[GuardQuestion],
        use: Use,
        catalogue: Catalogue,
    ) -> list[GuardVerdict]:
        verdicts = self._ask_together(policies, reader, questions, use, catalogue)
        if verdicts is None and len(questions) > 1:
            # One question that cannot be put must not decide the others.
            alone = (self._ask(policies, reader, [question], use, catalogue) for question in questions)
            return [verdict for answer in alone for verdict in answer]
        return [_FAILED] if verdicts is None else verdicts

    def _ask_together(
        self,
        policies: cedarpy.PolicySet,
        reader: ReaderFacts,
        questions: Sequence[GuardQuestion],
        use: Use,
        catalogue: Catalogue,
    ) -> list[GuardVerdict] | None:
        """Return one verdict per question; None where the engine could not be asked or gave no answer to each."""
        try:
            entities = _entities(reader, questions, catalogue)
            onward = [place for place, question in enumerate(questions) if question.is_passed_on]
            asked = [*((place, use) for place in range(len(questions))), *((place, Use.ONWARD) for place in onward)]
            results = cedarpy.is_authorized_batch(
                _requests(reader, asked),
                policies,
                # Parsed with the schema: an attribute that is missing or of another type fails here, not in silence.
                cedarpy.Entities.from_json_str(json.dumps(entities), self._schema),
                self._schema,
            )
            verdicts = [_verdict(result) for result in results]
        except Exception:  # noqa: BLE001  fail closed: whatever broke inside the engine is a refusal
            return None
        if len(verdicts) != len(asked):
            return None
        for place, verdict in zip(onward, verdicts[len(questions) :], strict=True):
            verdicts[place] = verdicts[place].joined(verdict)
        return verdicts[: len(questions)]


def load_guards(files: Mapping[str, str], schema: str) -> GuardSet:
    """Parse and check the guard files (name -> Cedar text) against the schema.

    Raises InvalidError listing every fault: a permit, a template, a missing or repeated `@id`, a missing `@reason`,
    a policy that does not fit the schema.
    """
    return GuardSet(read_guards(files, schema), schema)


def _named(national: NationalGuards) -> dict[str, Canonical]:
    # What cannot be used has no guards, and what can be has some: the one is another law than the other.
    return {guard.id: guard.policy_json for guard in national.guards}


def _policy_set(guards: Sequence[Guard]) -> cedarpy.PolicySet | None:
    if not guards:
        return None
    policies = {guard.id: json.loads(guard.policy_json) for guard in guards}
    document = {"templates": {}, "templateLinks": [], "staticPolicies": {**policies, _PERMIT_ALL: _PERMIT_ALL_POLICY}}
    return cedarpy.PolicySet.from_json_str(json.dumps(document))


def _verdict(result: cedarpy.AuthzResult) -> GuardVerdict:
    # (1) Anything that failed to evaluate was skipped by the engine: its answer is worth nothing.
    has_failed = bool(result.diagnostics.errors)
    reasons = result.diagnostics.reasons
    match result.decision:
        # (2) Allowed, and by nothing but our own permit.
        case cedarpy.Decision.Allow if reasons == [_PERMIT_ALL]:
            return GuardVerdict(has_failed=has_failed)
        # (3) Forbidden by guards that are named.
        case cedarpy.Decision.Deny if reasons:
            return GuardVerdict(tuple(sorted(reasons)), has_failed)
        # (4) NoDecision, a Deny that nothing explains, an Allow for another reason.
        case _:
            return _FAILED


def _requests(reader: ReaderFacts, asked: Sequence[tuple[int, Use]]) -> list[dict[str, object]]:
    context = json.dumps({"purpose": reader.purpose, "assurance": reader.assurance.value})
    principal = {"type": "Client", "id": reader.client}
    return [
        {
            "principal": principal,
            "action": {"type": "Action", "id": use.value},
            "resource": {"type": "Report", "id": str(place)},
            "context": context,
        }
        for place, use in asked
    ]


def _entities(reader: ReaderFacts, questions: Sequence[GuardQuestion], catalogue: Catalogue) -> list[dict[str, object]]:
    client = {
        "member": reader.member,
        "agency": reader.agency,
        "nationality": reader.nationality,
        "roles": [role.value for role in reader.roles],
        "level": reader.level,
        "level_rank": catalogue.clearance_rank(reader.level),
        "compartments": list(reader.compartments),
    }
    entities: list[dict[str, object]] = [
        {"uid": {"type": "Client", "id": reader.client}, "attrs": client, "parents": []}
    ]
    for place, question in enumerate(questions):
        uid = {"type": "Report", "id": str(place)}
        entities.append({"uid": uid, "attrs": _report(question, catalogue), "parents": []})
    return entities


def _report(question: GuardQuestion, catalogue: Catalogue) -> dict[str, object]:
    cls, label = question.cls, question.label
    words = cls.topic.split(".")
    return {
        "agreement": cls.agreement,
        "scope": cls.scope,
        "originator": cls.originator,
        "topic": cls.topic,
        # The topic and all above it, so that a guard on `cyber` covers `cyber.apt`.
        "topics": [".".join(words[:length]) for length in range(1, len(words) + 1)],
        "regions": list(cls.regions),
        "kind": cls.kind,
        "policy": label.policy,
        "classification": label.classification,
        "level_rank": catalogue.protection_rank(label),
        "compartments": list(label.compartments),
        "releasable_to": list(label.releasable_to),
        "handling": list(label.handling),
    }
