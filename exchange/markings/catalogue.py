"""The catalogue: every security policy loaded, and the lattice of labels over them.

Protection rounds up, clearance rounds down; maps run to the base policy and are never chained.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exchange.kernel.errors import Fault
from exchange.markings.families import NO_FOREIGNERS, is_as_strict, repeated_family, strictest
from exchange.markings.label import Label
from exchange.markings.policy import Level, SecurityPolicy, UnknownMarkingError, is_member_code
from exchange.markings.quoting import quoted

_MOST_REMEMBERED = 1_024
"""Labels without a fault that a catalogue remembers: two megabytes at most, for longer ones are not remembered."""
_LONGEST_REMEMBERED = 40
"""Compartments, members and caveats of a label, all together."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All loaded policies. Made by `load_catalogue`, which has checked everything that is assumed here.

    `digest` is the SHA-256 (hex) of the canonical bytes of all policies. `protection` and `clearance` map
    (policy, level name) to a rank in the base policy, rounded up and down.
    """

    policies: Mapping[str, SecurityPolicy]
    base: SecurityPolicy
    digest: str
    protection: Mapping[tuple[str, str], int] = field(repr=False)
    clearance: Mapping[tuple[str, str], int] = field(repr=False)
    _faultless: set[Label] = field(default_factory=set, init=False, repr=False)

    def check(self, label: Label) -> tuple[Fault, ...]:
        """Return every fault of `label`; none means that its policy knows it whole. Nothing is case-folded."""
        # A post asks five times about one label, and the next post mostly has the same.
        if label in self._faultless:
            return ()
        faults = self._faults(label)
        names = len(label.compartments) + len(label.releasable_to) + len(label.handling)
        if not faults and names <= _LONGEST_REMEMBERED:
            if len(self._faultless) >= _MOST_REMEMBERED:
                self._faultless.clear()
            self._faultless.add(label)
        return faults

    def _faults(self, label: Label) -> tuple[Fault, ...]:
        policy = self.policies.get(label.policy)
        members = _member_faults(label.releasable_to)
        if policy is None:
            message = f"no security policy {quoted(label.policy)}: use {_choice(sorted(self.policies))}"
            return (Fault("/policy", "unknown-policy", message), *members)
        return (
            *_level_faults(policy, label.classification),
            *_unknown("compartment", "/compartments", label.compartments, policy.compartments),
            *members,
            *_unknown("caveat", "/handling", label.handling, policy.caveats),
            *_contradictions(label),
        )

    def protection_rank(self, label: Label) -> int:
        """Return the base rank that protects `label`, rounded up; UnknownMarkingError where any of it is unknown."""
        self._require_known(label)
        return self.protection[label.policy, label.classification]

    def clearance_rank(self, level_name: str, policy: str | None = None) -> int:
        """Return the base rank that a clearance to `level_name` gives, rounded down; `policy` defaults to the base.

        Raises UnknownMarkingError for an unknown policy or level.
        """
        level = self._level(self.base.id if policy is None else policy, level_name)
        return self.clearance[level.policy, level.name]

    def dominates(self, upper: Label, lower: Label, *, originator: str) -> bool:
        """Return whether whoever may read `upper` may read `lower`: every marking of `lower` is met by `upper`.

        A partial order. Raises UnknownMarkingError where either label is unknown.
        """
        self._require_known(upper)
        self._require_known(lower)
        return (
            self._level_covers(upper, lower)
            and set(upper.compartments) >= set(lower.compartments)
            and is_as_strict(upper.handling, lower.handling)
            and _audience(upper, originator) <= _audience(lower, originator)
        )

    def join(self, labels: Iterable[Label], *, originator: str) -> Label:
        """Return the least label that dominates all of `labels`: at least one, else ValueError.

        Keeps the policy where all share it; else the base policy, protection rounded up. Raises UnknownMarkingError.
        """
        given = tuple(labels)
        if not given:
            raise ValueError("no labels to join: give at least one")
        for label in given:
            self._require_known(label)
        top = self._highest_level(given)
        audience = frozenset.intersection(*(_audience(label, originator) for label in given))
        # The originator is always implied; it stays written only where everybody wrote it.
        if not all(originator in label.releasable_to for label in given):
            audience -= {originator}
        return Label(
            policy=top.policy,
            classification=top.name,
            # INVARIANT: what one label of the given demands, the join demands.
            compartments=_union(label.compartments for label in given),
            releasable_to=tuple(sorted(audience)),
            handling=strictest(label.handling for label in given),
        )

    def declassified(self, label: Label) -> Label:
        """Return `label` at the level that protects nothing: its own policy's where it has one, else the base's.

        Only the level falls: compartments, audience and caveats are for a releaser to lift. Raises UnknownMarkingError.
        """
        self._require_known(label)
        lowest = self.policies[label.policy].levels[0]
        if self.protection[lowest.policy, lowest.name] > self.base.levels[0].rank:
            lowest = self.base.levels[0]
        return replace(label, policy=lowest.policy, classification=lowest.name)

    def exceeds_ceiling(self, label: Label, ceiling: str, policy: str) -> bool:
        """Return whether `label` stands above the level `ceiling` of `policy`; the ceiling rounds down.

        Raises UnknownMarkingError where the label, the policy or the ceiling is unknown.
        """
        self._require_known(label)
        return not self._level_covers(Label(policy, ceiling), label)

    def equivalents(self, label: Label) -> Mapping[str, str]:
        """Return policy id -> name of the level that is exactly equal to the label's, its own included.

        A national level knows the base policy only, the base policy all that map to it: maps are never chained.
        """
        self._require_known(label)
        if label.policy != self.base.id:
            row = self.policies[label.policy].equivalents.get(label.classification)
            own = {label.policy: label.classification}
            return own if row is None else {**own, self.base.id: row.level}
        return {
            label.policy: label.classification,
            **{
                policy.id: name
                for policy in self.policies.values()
                for name, row in policy.equivalents.items()
                if row.level == label.classification
            },
        }

    def _require_known(self, label: Label) -> None:
        if faults := self.check(label):
            raise UnknownMarkingError(faults)

    def _level(self, policy_id: str, name: str) -> Level:
        policy = self.policies.get(policy_id)
        level = None if policy is None else policy.level(name)
        if level is None:
            raise UnknownMarkingError(self.check(Label(policy_id, name)))
        return level

    def _level_covers(self, upper: Label, lower: Label) -> bool:
        high = self._level(upper.policy, upper.classification)
        low = self._level(lower.policy, lower.classification)
        if high.policy == low.policy:
            return high.rank >= low.rank
        # What covers rounds down, what is covered rounds up: rounding both ways alike would not be transitive.
        return self.clearance[high.policy, high.name] >= self.protection[low.policy, low.name]

    def _highest_level(self, labels: Sequence[Label]) -> Level:
        levels = [self._level(label.policy, label.classification) for label in labels]
        if len({level.policy for level in levels}) == 1:
            return max(levels, key=lambda level: level.rank)
        return self.base.levels[max(self.protection[level.policy, level.name] for level in levels)]


def _audience(label: Label, originator: str) -> frozenset[str]:
    # A report never leaves its originator out; nobody else is implied (`releasable_to: []` is the narrowest).
    return frozenset((*label.releasable_to, originator))


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))


def _level_faults(policy: SecurityPolicy, name: str) -> tuple[Fault, ...]:
    if policy.level(name) is not None:
        return ()
    choice = _choice([level.name for level in reversed(policy.levels)])
    return (Fault("/classification", "unknown-level", f"{policy.id} has no level {quoted(name)}: use {choice}"),)


def _unknown(kind: str, pointer: str, names: tuple[str, ...], known: frozenset[str]) -> tuple[Fault, ...]:
    # The known ones are not listed: the name of a compartment may itself be more than the caller should learn.
    return tuple(
        Fault(
            f"{pointer}/{index}",
            f"unknown-{kind}",
            f"no {kind} {quoted(name)} in this policy: use one of its vocabulary",
        )
        for index, name in enumerate(names)
        if name not in known
    )


def _contradictions(label: Label) -> tuple[Fault, ...]:
    faults = []
    if (family := repeated_family(label.handling)) is not None:
        faults.append(Fault("/handling", "exclusive-caveat", f"more than one {family}: a label has one at most"))
    if NO_FOREIGNERS in label.handling and label.releasable_to:
        message = f"`{NO_FOREIGNERS}` and a release to members contradict each other: keep one"
        faults.append(Fault("/releasable_to", "contradiction", message))
    return tuple(faults)


def _member_faults(codes: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(
        Fault(f"/releasable_to/{index}", "malformed-member", f"{quoted(code)} is no member code: write it like `GBR`")
        for index, code in enumerate(codes)
        if not is_member_code(code)
    )


def _choice(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
