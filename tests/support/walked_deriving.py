"""What members of a walk write from each other's reports, and by whose leave it is marked lower: the deeds."""

from dataclasses import replace
from datetime import timedelta

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.store import DerivationWish
from tests.support.plain_deriving import Leave
from tests.support.plain_world import LEVELS, Marking
from tests.support.walked_deeds import RELEASABLE, label_under, parts_under, posted, some
from tests.support.walked_world import Deed, Walk

_PERIODS = (timedelta(days=3), timedelta(days=30))


async def derive(walk: Walk, a: int, b: int, c: int) -> str:
    """Post what refers to reports of whomever, as high as the first of them, lower, or as its originator gave leave."""
    by = ("GBR", "NOR")[a % 2]
    sources = tuple(dict.fromkeys((_some_known(walk, by, c), _some_known(walk, by, b if a % 3 == 0 else c))))
    leaves = [each for each in walk.deriving.leaves if each.member == by and not each.is_over]
    if leaves and b % 2:
        leave = leaves[c % len(leaves)]
        sources, label = (leave.source,), label_under(leave.lowest)
    else:
        label = label_under(_lowered(walk.plain.reports[sources[0]].marking, a, b))
    parts = parts_under(label, c)
    report = await posted(walk, by, by, client="analyst", label=label, parts=parts, references=sources)
    return f"{report} of {by} from {sources}: {label} {[each.label for each in parts]}"


async def ask_leave(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask the originator of a report for leave to derive lower from it, and have it given, or refused."""
    member = ("GBR", "NOR")[a % 2]
    report = _some_known(walk, member, c)
    plain = walk.plain.reports[report]
    lowest = _lowered(plain.marking, a, 1 if b % 4 else b)
    until = walk.now + _PERIODS[b % len(_PERIODS)]
    wish = DerivationWish(label_under(lowest), until, "ports are to be warned")
    asked = await usecases.request_derivation(walk.services, walk.call(f"{member} analyst"), report, wish)
    may_ask = plain.originator == member or walk.plain.knows(f"{member} analyst", report, walk.now)
    walk.require(may_ask, f"{member} asks about {report}")
    releaser, request = walk.call(f"{plain.originator} releaser"), asked.value.row.id
    if b % 5 == 0:
        await usecases.refuse_derivation(walk.services, releaser, request, "it is too much")
        return f"{member} from {report}: refused"
    given = (await usecases.grant_derivation(walk.services, releaser, request, "not the vessel")).value
    if given.act is not None:
        await walk.confirm(str(given.act), plain.originator)
    walk.deriving.leaves.append(Leave(report, plain.version, member, lowest, until))
    walk.given.append((request, plain.originator, walk.deriving.leaves[-1]))
    return f"{member} from {report}: {wish}"


async def take_leave_back(walk: Walk, a: int, _: int, __: int) -> str:
    """Take back a leave to derive lower."""
    if not walk.given:
        raise NotFoundError("there is none")
    request, originator, leave = walk.given[a % len(walk.given)]
    await usecases.revoke_derivation(walk.services, walk.call(f"{originator} releaser"), request)
    leave.is_over = True
    return f"that of {originator} to {leave.member} about {leave.source}"


DERIVING: tuple[Deed, ...] = (derive, derive, derive, derive, ask_leave, ask_leave, ask_leave, take_leave_back)


def _some_known(walk: Walk, member: str, number: int) -> str:
    """Return a report that a member's analyst may build on, mostly, and rather somebody else's."""
    known = [each for each in walk.plain.reports if walk.plain.knows(f"{member} analyst", each, walk.now)]
    foreign = [each for each in known if walk.plain.reports[each].originator != member]
    choice = (foreign or known) if number % 3 else known
    return choice[number % len(choice)] if choice and number % 8 else some(walk, number)


def _lowered(marking: Marking, a: int, b: int) -> Marking:
    """Return a marking as it is, of the level below, for others, without its control, or of another level for fewer."""
    changed = (
        marking,
        _level_lower(marking),
        replace(marking, releasable_to=frozenset(RELEASABLE[a % 5])),
        replace(marking, is_controlled=False),
        replace(marking, level="SECRET", releasable_to=marking.releasable_to & {"GBR", "NOR"}),
    )
    return changed[b % 5]


def _level_lower(marking: Marking) -> Marking:
    level = LEVELS[max(0, LEVELS.index(marking.level) - 1)]
    is_controlled = marking.is_controlled and level != LEVELS[0]
    named = marking.releasable_to | {"GBR", "NOR"}
    return replace(marking, level=level, compartments=frozenset(), is_controlled=is_controlled, releasable_to=named)
