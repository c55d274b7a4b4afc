"""One decision with 200 national caveats in force, against the same without: the member's own reports, and others'."""

from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.results import BenchmarkError, Result
from exchange.markings import Label
from exchange.members import Role
from exchange.release import (
    Assurance,
    ClassFacts,
    GuardQuestion,
    GuardVerdict,
    Law,
    ReaderFacts,
    Use,
    load_law,
    stored_national,
)
from exchange.release.national_text import MAX_NATIONAL_GUARDS
from exchange.settings import read_policies

CAVEAT_NAMES = ("decision_caveats_own_us", "decision_caveats_others_us")
_ROUNDS = 15
_TIMES = 50
_POLICIES = Path(__file__).resolve().parents[1] / "policies"

_LABEL = Label("NATO", "SECRET", releasable_to=("DNK", "NOR"))
_READER = ReaderFacts(
    client="bench",
    version=1,
    member="NOR",
    agency="NOR/NIS",
    nationality="NOR",
    roles=frozenset({Role.READER}),
    is_active=True,
    level="TOP SECRET",
    compartments=frozenset(),
    clearance_current=True,
    assurance=Assurance.MUTUAL_TLS,
    purpose="defence",
    at_micros=0,
)


def caveats() -> list[Result]:
    """Return what the guards cost for one decision, in microseconds; the floor is measured turn by turn with it."""
    without = load_law(read_policies(_POLICIES))
    national = stored_national("GBR", _guards(MAX_NATIONAL_GUARDS), without)
    if national.policies is None or len(national.guards) != MAX_NATIONAL_GUARDS:
        raise BenchmarkError("the caveats of the benchmark are not fit")
    law = without.with_national([national])
    found = []
    for name, originator in zip(CAVEAT_NAMES, ("GBR", "DNK"), strict=True):
        values, floors = [], []
        for _ in range(_ROUNDS):
            values.append(_asked(law, originator))
            floors.append(_asked(without, originator))
        value, floor = median(values), median(floors)
        whose = "of the member whose caveats they are" if originator == "GBR" else "of another member"
        note = f"{MAX_NATIONAL_GUARDS} caveats in force, a report {whose}"
        found.append(Result(name, "-", value, "us", floor, value / floor, _ROUNDS, note))
    return found


def _guards(count: int) -> str:
    return "".join(
        f'@id("gbr.guard-{number}") @reason("one of many") forbid (principal, action, resource)'
        f' when {{ resource.topics.contains("cyber.{number}") && principal.member == "NOR" }};\n'
        for number in range(count)
    )


def _asked(law: Law, originator: str) -> float:
    facts = ClassFacts("agreement", "scope", originator, "cyber.apt", ("EUR",), "intrep", _LABEL, (_LABEL,))
    question = [GuardQuestion(facts, _LABEL)]
    begin = perf_counter()
    for _ in range(_TIMES):
        verdicts = law.guards.forbidding(_READER, question, Use.READ, law.catalogue)
        if verdicts != (GuardVerdict(),):
            raise BenchmarkError("a caveat of the benchmark forbids what it should not")
    return (perf_counter() - begin) / _TIMES * 1e6
