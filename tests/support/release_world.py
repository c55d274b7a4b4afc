"""A small world in which everything is permitted: tests change one thing and see what it does."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from exchange.agreements import OnwardRelease
from exchange.markings import Label
from exchange.members import Role
from exchange.release import (
    CURRENT_ROW,
    Assurance,
    ClassFacts,
    Law,
    ReaderFacts,
    RowFacts,
    ScopeFacts,
    Simulation,
    Use,
    decide,
    load_law,
    readers_asked,
    simulation_of,
)

POLICIES = Path(__file__).parents[2] / "policies"

# A caveat that the catalogue of the tests knows besides the real ones, and that no rule reads.
EXTRA_CAVEATS = ("SEALED",)


def law_files() -> dict[str, str]:
    """Return the law as it stands in the repository."""
    paths = [path for path in POLICIES.rglob("*") if path.suffix in {".yaml", ".cedar", ".cedarschema"}]
    return {path.relative_to(POLICIES).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def files_with(*, guards: dict[str, str] | None = None) -> dict[str, str]:
    """Return the law with the extra caveats, and with these guards in place of the repository's."""
    files = {path: text for path, text in law_files().items() if guards is None or not path.startswith("guards/")}
    extra = "".join(f'\n    - {{name: {name}, kind: exercise, meaning: "for tests"}}' for name in EXTRA_CAVEATS)
    nato = files["classification/NATO.yaml"]
    files["classification/NATO.yaml"] = nato.replace("  caveats:", f"  caveats:{extra}", 1)
    return {**files, **{f"guards/{name}": text for name, text in (guards or {}).items()}}


@cache
def real_law() -> Law:
    """Return the repository's law."""
    return load_law(law_files())


@cache
def rules_only_law() -> Law:
    """Return the law with the extra caveats and without any guard."""
    return load_law(files_with(guards={}))


def law_with(**guards: str) -> Law:
    """Return the law with these guards only: file stem -> Cedar text."""
    return load_law(files_with(guards={f"{stem}.cedar": text for stem, text in guards.items()}))


LABEL = Label("NATO", "SECRET", ("EXERCISE-AURORA",), ("GBR", "NOR"), ())
LOWER = Label("NATO", "RESTRICTED", (), ("DNK", "GBR", "NOR"), ())
READER = ReaderFacts(
    client="reader-1",
    version=1,
    member="NOR",
    agency="NOR/NIS",
    nationality="NOR",
    roles=frozenset({Role.READER}),
    is_active=True,
    level="SECRET",
    compartments=frozenset({"EXERCISE-AURORA"}),
    clearance_current=True,
    assurance=Assurance.MUTUAL_TLS,
    purpose="defence",
    at_micros=0,
)
CLASS = ClassFacts(
    agreement="agreement-1",
    scope="cyber-threats",
    originator="GBR",
    topic="cyber.apt",
    regions=("EUR",),
    kind="intrep",
    label=LABEL,
    part_labels=(LABEL,),
)
SCOPE = ScopeFacts(
    agreement="agreement-1",
    agreement_version=3,
    scope="cyber-threats",
    in_force=True,
    active_parties=frozenset({"GBR", "NOR", "DNK"}),
    readers=frozenset({"NOR", "DNK"}),
    topics=("cyber",),
    regions=frozenset({"EUR", "NAM"}),
    kinds=frozenset({"intrep", "threat-warning"}),
    purposes=frozenset({"defence", "judicial"}),
    policy="NATO",
    ceiling="SECRET",
    compartments=frozenset({"EXERCISE-AURORA"}),
    onward_release=OnwardRelease.PARTIES,
)
ROW = RowFacts(is_recalled=False, is_expired=False)


def reader(**changes: Any) -> ReaderFacts:
    """Return the reader who may read everything here, with `changes`."""
    return replace(READER, **changes)


def scope(**changes: Any) -> ScopeFacts:
    """Return the scope of the report, with `changes`."""
    return replace(SCOPE, **changes)


def marked(label: Label, *parts: Label, **changes: Any) -> ClassFacts:
    """Return the class of a report with this label and these part labels (its own where none is given)."""
    return replace(CLASS, label=label, part_labels=parts or (label,), **changes)


def label(**changes: Any) -> Label:
    """Return the report's label, with `changes`."""
    return replace(LABEL, **changes)


def simulated(cls: ClassFacts, clause: ScopeFacts | None, readers: Iterable[ReaderFacts], law: Law) -> Simulation:
    """Return who could read a report of this class, decided in one go."""
    asked = readers_asked(cls, clause, readers)
    return simulation_of(cls, clause, [(each, decide(each, cls, clause, CURRENT_ROW, Use.READ, law)) for each in asked])
