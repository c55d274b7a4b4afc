"""What clients of a walk are told of why, and of what if, held against what they get at that moment.

An explanation says "permitted" where a pull gives something and nowhere else, and names no label besides what is given; what
the originator's auditor learns of another member's client does not follow from what is personal to that client
(docs/explaining.md). A simulation counts the readers that get what is posted so at once.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from exchange import usecases
from exchange.kernel import ForbiddenError, InvalidError, NotAuthenticatedError, NotFoundError
from exchange.release import Explanation, Permit, Simulation
from exchange.usecases import SimulatedReport
from tests.support.plain_world import Marking
from tests.support.walked_deeds import label_of, marking_of, parts_under, peopled, posted
from tests.support.walked_world import ANALYSTS, READERS, Deed, Walk
from tests.support.world import World

AUDITORS = ("GBR", "NOR")
AUDITOR = "exchange auditor"
_NOT_FOR_IT = (ForbiddenError, NotAuthenticatedError, NotFoundError)
_PERSONAL = frozenset(
    {
        "above-clearance",
        "clearance-expired",
        "client-suspended",
        "missing-compartment",
        "national-caveat",
        "role-missing",
    }
)


async def peopled_further(world: World) -> None:
    """Make the world that walks begin in, with analysts and auditors who are cleared for everything."""
    await peopled(world)
    high: dict[str, Any] = {"level": "TOP SECRET", "compartments": ("ATOMAL",)}
    for name in ANALYSTS:
        await world.enrol(name, name[:3], "contributor", "reader", **high)
    for member in AUDITORS:
        await world.enrol(f"{member} auditor", member, "auditor", **high)
    await world.enrol(AUDITOR, "EXCHANGE", "auditor", **high)


async def foresee(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask who could read a report, and post it so: those read it and no others."""
    by, label, parts = ("GBR", "NOR")[a % 2], label_of(b, c), parts_under(label_of(b, c), a)
    call = walk.call(f"{by} contributor")
    world, topic = walk.world, ("cyber.apt", "cyber.malware")[b % 2]
    labels = tuple(part.label for part in parts)
    asked = SimulatedReport(world.agreement_id, "cyber-threats", "intrep", topic, ("EUR",), label, labels)
    try:
        told = (await usecases.simulate_release(walk.services, call, asked)).value
    except InvalidError:
        told = None
    walk.node += c
    try:
        report = await posted(walk, by, by, label=label, topic=topic, parts=parts)
    except InvalidError as exc:
        walk.require(told is None, f"what was simulated is refused: {exc}")
        raise
    walk.require(told is not None, f"{report} is posted, and its simulation was refused")
    if told is not None:
        _require_foreseen(walk, told, report)
    return f"{report} {by} {label}"


REASONS: tuple[Deed, ...] = (foresee, foresee)


async def compare_reasons(walk: Walk, node: int, name: str, purpose: str | None = None) -> None:
    """Have a reader, the originators' auditors and the exchange's ask why it may see each report, or may not."""
    services, call = walk.nodes[node % len(walk.nodes)], walk.call(name, purpose=purpose)
    for number, report in enumerate(walk.plain.reports):
        if (number + node) % 3:
            continue
        parts = walk.plain.parts_for(name, report, walk.now, purpose)
        try:
            told = (await usecases.explain_report(services, call, report)).value
        except _NOT_FOR_IT:
            walk.require(not parts, f"{purpose}: {report} is not explained to {name}")
        else:
            walk.require(bool(parts), f"{purpose}: {report} is explained to {name}")
            _require_its_own(walk, told, {*parts, *_own_marking(walk, name, report, purpose)})
        if (number + node) % 4 == 0:
            await _compare_auditors(walk, node, report, name, purpose)


async def _compare_auditors(walk: Walk, node: int, report: str, name: str, purpose: str | None) -> None:
    plain, services = walk.plain, walk.nodes[(node + 1) % len(walk.nodes)]
    client = walk.world.clients[name].id
    call = walk.call(AUDITOR, purpose=purpose)
    told = (await usecases.explain_to_auditor(services, call, report, client)).value
    stated = purpose if purpose in plain.readers[name].purposes else None
    if purpose == stated:
        gets = bool(plain.parts_for(name, report, walk.now, purpose))
        walk.require(
            isinstance(told.decision, Permit) == gets, f"the auditor is told {told.decision} of {name} {report}"
        )
    for member in AUDITORS:
        call = walk.call(f"{member} auditor", purpose=purpose)
        try:
            told = (await usecases.explain_to_auditor(services, call, report, client)).value
        except _NOT_FOR_IT:
            continue
        walk.require(plain.reports[report].originator == member, f"{member}'s auditor is told {told} of {report}")
        if plain.readers[name].member == member:
            gets = bool(plain.parts_for(name, report, walk.now, purpose))
            is_so = purpose != stated or isinstance(told.decision, Permit) == gets
            walk.require(is_so, f"{member}'s auditor is told {told.decision} of {name} and {report}")
            continue
        shown = {reason.value for reason in told.reasons}
        walk.require(told.decision is None, f"{member}'s auditor is told {told.decision} of {name} and {report}")
        walk.require(not shown & _PERSONAL, f"{member}'s auditor is told {shown} of {name} and {report}")
        for other, reader in READERS.items():
            if reader.member == plain.readers[name].member and other != name:
                its = await usecases.explain_to_auditor(services, call, report, walk.world.clients[other].id)
                walk.require(its.value == told, f"{member}'s auditor is told {told} of {name}, {its.value} of {other}")


def _require_its_own(walk: Walk, told: Explanation, meant: Iterable[Marking]) -> None:
    """Fail where an explanation is of anything but a permit, or names a marking that the reader is not given."""
    named = {marking_of(each.label) for each in told.rules if each.label is not None}
    walk.require(isinstance(told.decision, Permit), f"a reader is told {told.decision}")
    walk.require(named == set(meant), f"a reader is told of {named} and not {meant}")


def _own_marking(walk: Walk, name: str, report: str, purpose: str | None) -> set[Marking]:
    return {walk.plain.reports[report].marking} if walk.plain.knows(name, report, walk.now, purpose) else set()


def _require_foreseen(walk: Walk, told: Simulation, report: str) -> None:
    full: Counter[str] = Counter()
    some: Counter[str] = Counter()
    for name, reader in (walk.plain.readers | ANALYSTS).items():
        if walk.plain.knows(name, report, walk.now):
            full[reader.member] += 1
        elif walk.plain.parts_for(name, report, walk.now):
            some[reader.member] += 1
    found = {(each.member, one.full, one.tear_line) for each in told.members for one in each.agencies}
    meant = {(member, full[member], some[member]) for member in full | some}
    walk.require(found == meant, f"{report} would be read by {found} and is by {meant}")
