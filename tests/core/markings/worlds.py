"""Catalogues and labels to search in: the shipped policies, and a made-up one whose levels do not all map."""

from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from exchange.markings import Catalogue, Label, load_catalogue

FOLDER = Path(__file__).parents[3] / "policies" / "classification"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}
SHIPPED = load_catalogue(FILES)

MEMBERS = ("DNK", "ESP", "EUROPOL", "GBR", "NOR", "USA")
BASE = """\
policy: BASE
title: A made-up base
authority: nobody
base: true
source: {citation: made up, in_force: 2026-01-01}
levels:
  - {name: FOUR, marking: BASE FOUR, rank: 4}
  - {name: THREE, marking: BASE THREE, rank: 3}
  - {name: TWO, marking: BASE TWO, rank: 2}
  - {name: ONE, marking: BASE ONE, rank: 1}
  - {name: NONE, marking: BASE NONE, rank: 0}
categories:
  compartments:
    - {name: ALPHA, kind: exercise, meaning: made up}
    - {name: BETA TWO, kind: exercise, meaning: made up}
  caveats:
    - {name: KEEP, kind: exercise, meaning: made up}
"""
# Of five levels only the first and the fourth map: the others are rounded.
ROUNDED = """\
policy: RND
title: Made up, with levels that have no equal
authority: nobody
source: {citation: made up, in_force: 2026-01-01}
levels:
  - {name: E, marking: E, rank: 4, equivalent: {policy: BASE, level: FOUR, source: made up, valid_from: 2026-01-01}}
  - {name: D, marking: D, rank: 3}
  - {name: C, marking: C, rank: 2}
  - {name: B, marking: B, rank: 1, equivalent: {policy: BASE, level: TWO, source: made up, valid_from: 2026-01-01}}
  - {name: A, marking: A, rank: 0}
categories:
  compartments:
    - {name: ALPHA, kind: exercise, meaning: made up}
"""
ROUGH = load_catalogue({"BASE.yaml": BASE, "RND.yaml": ROUNDED})


def subsets(names) -> st.SearchStrategy[tuple[str, ...]]:
    ordered = sorted(names)
    chosen = st.sets(st.sampled_from(ordered)) if ordered else st.just(set())
    return chosen.map(lambda found: tuple(sorted(found)))


def caveats(names) -> st.SearchStrategy[tuple[str, ...]]:
    """Any caveats, but of those that exclude each other one at most."""
    free = subsets(name for name in names if ":" not in name and name != "NOFORN")
    families = {family: sorted(name for name in names if name.startswith(f"{family}:")) for family in ("TLP", "PAP")}
    one_each = [st.sampled_from([(), *((name,) for name in found)]) for found in families.values()]
    return st.tuples(free, *one_each).map(lambda groups: tuple(sorted(name for group in groups for name in group)))


def labels(catalogue: Catalogue, policies=None) -> st.SearchStrategy[Label]:
    """Every label that `catalogue` knows."""
    return st.sampled_from(policies or sorted(catalogue.policies)).flatmap(lambda name: _labels_of(catalogue, name))


@cache  # to make a strategy takes longer than to draw from it
def _labels_of(catalogue: Catalogue, name: str) -> st.SearchStrategy[Label]:
    policy = catalogue.policies[name]
    return st.builds(
        Label,
        st.just(policy.id),
        st.sampled_from([level.name for level in policy.levels]),
        subsets(policy.compartments),
        subsets(MEMBERS),
        caveats(policy.caveats),
    )
