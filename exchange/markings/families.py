"""Caveats that exclude each other: one of a family at most, in an order of strictness; and what contradicts itself.

Traffic Light Protocol 2.0 (FIRST, 2022) and Permissible Actions Protocol: each label has one value of either, or none.
"""

from collections.abc import Iterable, Mapping
from typing import Final

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "TLP": ("TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"),
    "PAP": ("PAP:CLEAR", "PAP:GREEN", "PAP:AMBER", "PAP:RED"),
}
"""Each from the least to the most strict. None at all is less than any."""

NO_FOREIGNERS: Final = "NOFORN"
"""Releasable to nobody but the originator: naming a member beside it contradicts it."""

_PLACE: Final = {name: (family, rank) for family, names in FAMILIES.items() for rank, name in enumerate(names)}


def repeated_family(handling: Iterable[str]) -> str | None:
    """Return the family of which more than one caveat stands in `handling`, or None."""
    families = [_PLACE[name][0] for name in handling if name in _PLACE]
    return next((family for family in families if families.count(family) > 1), None)


def is_as_strict(upper: Iterable[str], lower: Iterable[str]) -> bool:
    """Return whether `upper` demands what `lower` demands: a family by its strictness, every other caveat by name."""
    held, ranks = set(upper), _ranks(upper)
    for name in lower:
        family, rank = _PLACE.get(name, (None, 0))
        met = name in held if family is None else ranks.get(family, -1) >= rank
        if not met:
            return False
    return True


def strictest(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the least caveats that are as strict as each of `groups`: of a family the strictest alone, sorted."""
    every = {name for group in groups for name in group}
    ranks = _ranks(every)
    kept = {name for name in every if name not in _PLACE or _PLACE[name][1] == ranks[_PLACE[name][0]]}
    return tuple(sorted(kept))


def _ranks(names: Iterable[str]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for family, rank in (_PLACE[name] for name in names if name in _PLACE):
        ranks[family] = max(ranks.get(family, -1), rank)
    return ranks
