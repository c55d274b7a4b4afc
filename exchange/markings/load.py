"""Loading a catalogue from YAML text: read strictly, check everything, or refuse with every fault."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from exchange.kernel.canonical import Canonical, canonical_bytes
from exchange.kernel.errors import Fault, InvalidError
from exchange.markings.catalogue import Catalogue
from exchange.markings.draft import Draft, read_draft
from exchange.markings.policy import Equivalence, Level, SecurityPolicy
from exchange.markings.soundness import check_drafts


def load_catalogue(files: Mapping[str, str]) -> Catalogue:
    """Return the catalogue written in `files` (file name -> YAML text, one security policy each).

    Raises InvalidError with every fault found: its pointer starts with the file's name, its line counts from 1.
    """
    faults: list[Fault] = []
    drafts = [draft for name in sorted(files) if (draft := read_draft(name, files[name], faults)) is not None]
    base = check_drafts(drafts, faults)
    if faults or base is None:
        raise InvalidError("the security policies cannot be loaded", tuple(faults))
    policies = {draft.id: _policy(draft) for draft in drafts}
    return Catalogue(
        policies=MappingProxyType(policies),
        base=policies[base.id],
        digest=hashlib.sha256(canonical_bytes([_canonical(policies[key]) for key in sorted(policies)])).hexdigest(),
        protection=MappingProxyType(_ranks(policies, policies[base.id], upwards=True)),
        clearance=MappingProxyType(_ranks(policies, policies[base.id], upwards=False)),
    )


def _policy(draft: Draft) -> SecurityPolicy:
    rows = sorted(draft.rows, key=lambda row: row.rank)
    return SecurityPolicy(
        id=draft.id,
        title=draft.title,
        authority=draft.authority,
        levels=tuple(Level(draft.id, row.name, row.marking, row.rank) for row in rows),
        compartments=frozenset(category.name for category in draft.compartments),
        caveats=frozenset(category.name for category in draft.caveats),
        source=draft.source,
        equivalents=MappingProxyType(
            {
                row.name: Equivalence(row.equivalent.level, row.equivalent.source, row.equivalent.valid_from)
                for row in rows
                if row.equivalent is not None
            }
        ),
    )


def _ranks(
    policies: Mapping[str, SecurityPolicy], base: SecurityPolicy, *, upwards: bool
) -> dict[tuple[str, str], int]:
    """Return the base rank of every level of every policy; a level without a row takes its neighbour's.

    Upwards, the next higher level with a row stands in (soundness: the highest has one). Downwards, the next lower;
    below the lowest row a clearance gives rank 0, the lowest of the base.
    """
    base_rank = {level.name: level.rank for level in base.levels}
    ranks = {(base.id, name): rank for name, rank in base_rank.items()}
    for policy in policies.values():
        rank = 0
        for level in reversed(policy.levels) if upwards else policy.levels:
            if (row := policy.equivalents.get(level.name)) is not None:
                rank = base_rank[row.level]
            ranks.setdefault((policy.id, level.name), rank)
    return ranks


def _canonical(policy: SecurityPolicy) -> Canonical:
    return {
        "id": policy.id,
        "title": policy.title,
        "authority": policy.authority,
        "levels": [{"name": level.name, "marking": level.marking} for level in policy.levels],
        "compartments": sorted(policy.compartments),
        "caveats": sorted(policy.caveats),
        "source": {"citation": policy.source.citation, "in_force": policy.source.in_force.isoformat()},
        "equivalents": {
            name: {"level": row.level, "source": row.source, "valid_from": row.valid_from.isoformat()}
            for name, row in policy.equivalents.items()
        },
    }
