"""What waits in a walk for its second person while others go on: confirmed later it does what was asked for, or nothing."""

from dataclasses import replace
from datetime import timedelta

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.reports import Downgrade
from exchange.usecases import CrisisWish
from tests.support.national import not_to
from tests.support.plain_world import LEVELS, Crisis
from tests.support.walked_deeds import EVERYBODY, RELEASABLE, asked_to_grant, label_under, marking_of, passed_on, some
from tests.support.walked_world import Deed, Waiting, Walk

_WEEK, _DAY = timedelta(days=7), timedelta(days=1)


async def ask_to_lower(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask for a downgrade; what takes one person alone is done at once."""
    report = some(walk, a)
    plain = walk.plain.reports[report]
    level = LEVELS[max(0, LEVELS.index(plain.marking.level) - 1 - b % 2)]
    named = plain.marking.releasable_to.union(RELEASABLE[c % 5])
    label = label_under(replace(plain.marking, level=level, compartments=frozenset(), releasable_to=named))
    wanted = Downgrade(label, (None,) * len(plain.parts))
    call = walk.call(f"{plain.originator} releaser")
    made = (await usecases.downgrade_report(walk.services, call, report, wanted)).value

    def carry_out() -> None:
        plain.marking, plain.parts = marking_of(label), (marking_of(label),) * len(plain.parts)
        walk.require_leave(plain.originator, plain.marking, plain.parts, plain.references)
        walk.tell(report, "downgraded")
        walk.plain.come_as_another(report)

    return _kept(walk, made.act, Waiting(f"{plain.originator} second releaser", walk.now + _WEEK, carry_out, report))


async def ask_to_grant(walk: Walk, a: int, b: int, c: int) -> str:
    """Ask for onward release, and for its grant; what takes one person alone is done at once."""
    until = walk.now + timedelta(days=4) if c % 2 else None
    asked = await asked_to_grant(walk, some(walk, a), b, until)
    ends = min(walk.now + _WEEK, until or walk.now + _WEEK)
    second = f"{walk.plain.reports[asked.report].originator} second releaser"
    return _kept(walk, asked.act, Waiting(second, ends, lambda: passed_on(walk, asked), asked.report))


async def ask_to_bar(walk: Walk, a: int, b: int, _: int) -> str:
    """Ask for national caveats in the place of those before."""
    member = ("GBR", "NOR")[a % 2]
    others = sorted(EVERYBODY - {member})
    other = others[b % len(others)]
    made = await usecases.propose_caveats(walk.services, walk.call(f"{member} releaser"), not_to(other, member))

    def carry_out() -> None:
        walk.plain.bar(member, frozenset({other}))

    return _kept(walk, str(made.value.act), Waiting(f"{member} second releaser", walk.now + _WEEK, carry_out))


async def ask_for_crisis(walk: Walk, a: int, _: int, __: int) -> str:
    """Ask for a crisis; it runs from when it is confirmed, under the text that it was asked for under."""
    hours, edition = 24 + a % 40, len(walk.plain.texts)
    wish = CrisisWish("storm-watch", "a cable was cut", hours)
    asked = await usecases.ask_for_crisis(walk.services, walk.call("GBR signatory"), walk.world.agreement_id, wish)

    def carry_out() -> None:
        walk.require(len(walk.plain.texts) == edition, "a crisis was opened that was asked for under another text")
        walk.plain.crises.append(Crisis(edition, walk.now, walk.now + timedelta(hours=hours)))

    return _kept(walk, asked.value.id, Waiting("NOR signatory", walk.now + _DAY, carry_out))


async def confirm_later(walk: Walk, a: int, b: int, _: int) -> str:
    """Confirm one of those that wait, or refuse it."""
    if not walk.waiting:
        raise NotFoundError("nothing waits")
    act = sorted(walk.waiting)[a % len(walk.waiting)]
    waiting = walk.waiting[act]
    call = walk.call(waiting.confirmer)
    shown = (await usecases.show_pending_act(walk.services, call, act)).value.act
    if b % 7 == 0:
        await usecases.refuse_act(walk.services, call, act, "no")
        del walk.waiting[act]
        return f"{act} is refused"
    await usecases.confirm_act(walk.services, call, act, shown.digest)
    del walk.waiting[act]
    walk.require(walk.now < waiting.ends, f"{act} was confirmed too late")
    if waiting.report is not None:
        plain = walk.plain.reports[waiting.report]
        is_same = plain.version == waiting.version and not plain.is_recalled
        walk.require(is_same, f"{act} was about version {waiting.version} of {plain}")
    waiting.carry_out()
    return f"{act} is confirmed"


WAITING: tuple[Deed, ...] = (
    *(ask_to_lower, ask_to_lower, ask_to_grant, ask_to_grant, ask_to_bar, ask_for_crisis),
    *(confirm_later, confirm_later, confirm_later, confirm_later, confirm_later),
)


def _kept(walk: Walk, act: str | None, waiting: Waiting) -> str:
    """Keep what waits; what does not, as nobody else had to confirm it, is told the plain world."""
    if act is None:
        waiting.carry_out()
        return "done at once"
    if waiting.report is not None:
        waiting.version = walk.plain.reports[waiting.report].version
    walk.waiting[act] = waiting
    return f"{act} waits"
