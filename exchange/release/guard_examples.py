"""Examples beside the guards: each says what one guard answers in one case; a guard needs both answers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from exchange.agreements.reading import MISSING, Reading
from exchange.agreements.strict_yaml import read_yaml
from exchange.kernel import Fault, InvalidError
from exchange.markings import Label
from exchange.members import Role
from exchange.release.facts import Assurance, ClassFacts, ReaderFacts, Use
from exchange.release.guards import GuardQuestion
from exchange.release.law import EXAMPLES_FILE, Law, load_law

_REQUIRED = ("name", "guard", "forbids")
_OPTIONAL = ("reader", "report", "use")

# What an example leaves out; written for people at the head of the examples files.
_READER: Mapping[str, object] = {
    "client": "example",
    "member": "NOR",
    "agency": "NOR/NIS",
    "nationality": "NOR",
    "roles": ("reader",),
    "level": "TOP SECRET",
    "compartments": (),
    "purpose": "defence",
    "assurance": "mutual-tls",
}
_REPORT: Mapping[str, object] = {
    "agreement": "example",
    "scope": "example",
    "originator": "GBR",
    "topic": "cyber.apt",
    "regions": ("EUR",),
    "kind": "intrep",
    "policy": "NATO",
    "classification": "SECRET",
    "compartments": (),
    "releasable_to": ("NOR",),
    "handling": (),
}


@dataclass(frozen=True, slots=True)
class Example:
    """One case, and whether `guard` forbids it."""

    name: str
    guard: str
    forbids: bool
    reader: ReaderFacts
    question: GuardQuestion
    use: Use
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class LawReport:
    """The law as checked: the examples that ran, and every fault found."""

    law: Law
    examples: tuple[Example, ...]
    faults: tuple[Fault, ...]

    @property
    def is_sound(self) -> bool:
        """Return whether every example came out as it says and every guard has both kinds."""
        return not self.faults


def check_law(files: Mapping[str, str]) -> LawReport:
    """Load the law and run the examples beside its guards.

    Raises InvalidError where the law itself cannot be loaded, or an examples file cannot be read.
    """
    law = load_law(files)
    faults: list[Fault] = []
    examples = [
        example
        for path in sorted(files)
        if EXAMPLES_FILE.fullmatch(path)
        for example in read_examples(path, files[path], law, faults)
    ]
    if faults:
        raise InvalidError("the examples cannot be read", tuple(faults))
    faults += [fault for example in examples for fault in run_example(example, law)]
    faults += untested(examples, law.guards.guards)
    return LawReport(law, tuple(examples), tuple(faults))


def read_examples(
    path: str, text: str, law: Law, faults: list[Fault], *, usual: Mapping[str, object] = MappingProxyType({})
) -> list[Example]:
    """Return the examples of one file that can be run, and add to `faults` why others cannot.

    `usual` is what an example leaves out, where that is something else than in the files of the law.
    """
    document = read_yaml(text)
    reading = Reading(document.faults, document.line_of)
    fields = reading.mapping(document.value, "", required=("examples",))
    examples = []
    for index, item in enumerate(reading.sequence(fields["examples"], "/examples")):
        pointer = f"/examples/{index}"
        found = len(reading.faults)
        example = _read_example(item, pointer, reading, law, usual)
        # Facts built from faulty fields are not run.
        if len(reading.faults) == found:
            examples.append(replace(example, file=path, line=document.line_of(pointer)))
    faults += [Fault(f"/{path}{fault.pointer}", fault.code, fault.message, fault.line) for fault in reading.faults]
    return examples


def run_example(example: Example, law: Law) -> Iterator[Fault]:
    """Yield what came out otherwise than the example says."""
    (verdict,) = law.guards.forbidding(example.reader, [example.question], example.use, law.catalogue)
    if verdict.has_failed:
        message = f"`{example.name}`: a guard failed to answer, so the exchange would refuse"
        yield Fault(f"/{example.file}", "rule-failed", message, example.line)
    if (example.guard in verdict.forbade) is not example.forbids:
        wanted, got = ("forbid", "does not") if example.forbids else ("not forbid", "does")
        message = f"`{example.name}`: `{example.guard}` should {wanted} this, and {got}"
        yield Fault(f"/{example.file}", "example-failed", message, example.line)


def untested(examples: Iterable[Example], guards: Iterable[str]) -> list[Fault]:
    """Return a fault for each guard, by id, that lacks an example of either kind."""
    shown = {(example.guard, example.forbids) for example in examples}
    words = {True: "forbids", False: "does not forbid"}
    return [
        Fault("", "untested-guard", f"`{guard}` has no example that it {words[forbids]}: add one")
        for guard in sorted(guards)
        for forbids in (True, False)
        if (guard, forbids) not in shown
    ]


def _read_example(item: object, pointer: str, reading: Reading, law: Law, usual: Mapping[str, object]) -> Example:
    fields = reading.mapping(item, pointer, required=_REQUIRED, optional=_OPTIONAL)
    guard = reading.text(fields["guard"], f"{pointer}/guard")
    if guard and guard not in law.guards.guards:
        reading.fault(f"{pointer}/guard", "unknown-guard", f"no guard has the id `{guard[:80]}`")
    if fields["forbids"] is not MISSING and not isinstance(fields["forbids"], bool):
        reading.fault(f"{pointer}/forbids", "wrong-type", "write true or false")
    return Example(
        reading.text(fields["name"], f"{pointer}/name"),
        guard,
        fields["forbids"] is True,
        _reader(fields.get("reader", {}), f"{pointer}/reader", reading, _beside(usual, _READER)),
        _question(fields.get("report", {}), f"{pointer}/report", reading, _beside(usual, _REPORT)),
        reading.choice(fields.get("use", "read"), f"{pointer}/use", Use),
    )


def _beside(usual: Mapping[str, object], left_out: Mapping[str, object]) -> dict[str, object]:
    return {name: usual.get(name, value) for name, value in left_out.items()}


def _reader(value: object, pointer: str, reading: Reading, usual: Mapping[str, object]) -> ReaderFacts:
    fields = {**usual, **reading.mapping(value, pointer, required=(), optional=_READER)}
    words = _words(fields, pointer, reading)
    roles = reading.sequence(fields["roles"], f"{pointer}/roles", least=0)
    return ReaderFacts(
        client=words["client"],
        version=1,
        member=words["member"],
        agency=words["agency"],
        nationality=words["nationality"],
        roles=frozenset(reading.choice(role, f"{pointer}/roles", Role) for role in roles),
        is_active=True,
        level=words["level"],
        compartments=frozenset(reading.texts(fields["compartments"], f"{pointer}/compartments", least=0)),
        clearance_current=True,
        assurance=reading.choice(fields["assurance"], f"{pointer}/assurance", Assurance),
        purpose=words["purpose"],
        at_micros=0,
    )


def _question(value: object, pointer: str, reading: Reading, usual: Mapping[str, object]) -> GuardQuestion:
    fields = {**usual, **reading.mapping(value, pointer, required=(), optional=_REPORT)}
    words = _words(fields, pointer, reading)
    # What stands twice is a fault already, and no label is made of it.
    sets = {
        name: tuple(sorted(set(reading.texts(fields[name], f"{pointer}/{name}", least=0))))
        for name in ("regions", "compartments", "releasable_to", "handling")
    }
    label = Label(
        words["policy"], words["classification"], sets["compartments"], sets["releasable_to"], sets["handling"]
    )
    cls = ClassFacts(
        agreement=words["agreement"],
        scope=words["scope"],
        originator=words["originator"],
        topic=words["topic"],
        regions=sets["regions"],
        kind=words["kind"],
        label=label,
        part_labels=(label,),
    )
    return GuardQuestion(cls, label)


def _words(fields: Mapping[str, object], pointer: str, reading: Reading) -> dict[str, str]:
    defaults = {**_READER, **_REPORT}
    return {
        name: reading.text(value, f"{pointer}/{name}")
        for name, value in fields.items()
        if isinstance(defaults.get(name), str)
    }
