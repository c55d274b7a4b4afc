"""Are a member's caveats fit to be put in force: read, taken by the engine, and shown by the examples beside them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from exchange.kernel import Fault, InvalidError, canonical_bytes
from exchange.kernel.errors import MOST_FAULTS_TOLD
from exchange.release.guard_examples import Example, read_examples, run_example, untested
from exchange.release.guards import NationalGuards
from exchange.release.law import Law
from exchange.release.national_text import read_national, text_faults


@dataclass(frozen=True, slots=True)
class NationalText:
    """What a member writes: its guards (Cedar) and the examples beside them (YAML)."""

    guards: str
    examples: str

    def digest(self, member: str) -> str:
        """Return the SHA-256 (hex) by which two persons, the log and every node name it as `member`'s."""
        written = {"member": member, "guards": self.guards, "examples": self.examples}
        return hashlib.sha256(canonical_bytes(written)).hexdigest()


@dataclass(frozen=True, slots=True)
class CheckedNational:
    """Caveats that are fit to be put in force, and how many examples have shown it."""

    national: NationalGuards
    examples: int


def check_national(member: str, text: NationalText, law: Law) -> CheckedNational:
    """Return the caveats of `member` as they would be in force beside the files of `law`.

    Raises InvalidError with every fault: what `read_national` refuses, an example that cannot be read, is about
    another's report or comes out otherwise than it says, a guard without an example of either kind.
    """
    guards = read_national(member, text.guards, law.guards.schema)
    national = law.guards.prepared(member, guards)
    if national.policies is None:
        message = "the engine does not take these guards: one is too deep, or has an id that stands in the files"
        raise InvalidError("the caveats cannot be put in force", (Fault("/guards", "not-taken", message),))
    own = law.with_national([national])
    faults = list(text_faults(text.examples, "/examples"))
    examples = [] if faults else _read_examples(member, text.examples, own, faults)
    faults += _foreign(member, examples)
    if not faults:
        faults += [fault for each in examples for fault in run_example(each, own)]
        faults += [replace(fault, pointer="/examples") for fault in untested(examples, [each.id for each in guards])]
    if faults:
        raise InvalidError("the caveats are not shown by their examples", tuple(faults[:MOST_FAULTS_TOLD]))
    return CheckedNational(national, len(examples))


def stored_national(member: str, text: str, law: Law) -> NationalGuards:
    """Return what a member put in force, ready to be asked; where it cannot be used (any more) its reports are refused.

    Never raises. The schema may have changed since, and what was valid then may not be.
    """
    try:
        guards = read_national(member, text, law.guards.schema)
    except InvalidError:
        return law.guards.prepared(member, None)
    return law.guards.prepared(member, guards)


def _read_examples(member: str, text: str, own: Law, faults: list[Fault]) -> list[Example]:
    unreadable: list[Fault] = []
    examples = read_examples("", text, own, unreadable, usual=_usual(member))
    # Where in the text: a pointer into a string would lead nowhere.
    faults += [replace(each, pointer="/examples", message=_placed(each)) for each in unreadable]
    return [replace(each, file="examples") for each in examples]


def _placed(fault: Fault) -> str:
    place = fault.pointer[1:]
    return f"{place}: {fault.message}" if place else fault.message


def _usual(member: str) -> Mapping[str, object]:
    """Return what an example leaves out: a report of the member's own, and a reader of another one."""
    reader = "GBR" if member == "NOR" else "NOR"
    return {
        "originator": member,
        "releasable_to": (reader,),
        "member": reader,
        "agency": f"{reader}/EXAMPLE",
        "nationality": reader,
    }


def _foreign(member: str, examples: list[Example]) -> list[Fault]:
    return [
        Fault(
            "/examples", "foreign-report", f"`{each.name}`: the report is not yours; leave `originator` out", each.line
        )
        for each in examples
        if each.question.cls.originator != member
    ]
