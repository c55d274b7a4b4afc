"""A clock that is set back brings nothing back; one that leapt and is set right is right at once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel.steady import PACE, SteadyClock
from exchange.kernel.timekeeping import STEP

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
YEARS = timedelta(days=5 * 366)


@dataclass
class Machine:
    """A wall clock that can be set, and the time that passes."""

    wall: datetime = AT
    passed: float = 1000.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.passed)

    def goes_on(self, span: timedelta) -> None:
        self.wall += span
        self.passed += span.total_seconds()


def held(machine: Machine, believed_at: datetime = AT) -> SteadyClock:
    clock = machine.clock()
    clock.hold(believed_at)
    return clock


def test_a_clock_is_taken_as_it_is_until_it_is_held() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall -= YEARS
    clock.tick()

    assert (clock(), clock.wall, clock.behind) == (machine.wall, machine.wall, timedelta(0))
    assert clock.is_held is False
    clock.hold(AT)
    assert clock.is_held is True


def test_a_clock_that_is_right_is_not_altered() -> None:
    machine = Machine()
    clock = held(machine, AT - HOUR / 2)
    for _ in range(5):
        machine.goes_on(HOUR)
        clock.tick()

        assert (clock(), clock.behind) == (machine.wall, timedelta(0))


def test_a_clock_that_is_set_back_goes_on_from_where_it_was() -> None:
    machine = Machine()
    clock = held(machine)
    machine.goes_on(SECOND)
    clock.tick()
    machine.wall -= DAY

    assert (clock(), clock.behind) == (AT + SECOND, DAY)
    machine.goes_on(HOUR)
    assert clock() == AT + SECOND + HOUR * PACE
    machine.wall += DAY
    assert (clock(), clock.behind) == (machine.wall, timedelta(0))


def test_a_clock_that_was_looked_at_a_step_ago_has_not_leapt() -> None:
    machine = Machine()
    clock = held(machine)
    machine.goes_on(STEP)
    clock.tick()
    machine.wall -= DAY

    assert clock() == AT + STEP


def test_a_process_begun_with_a_clock_set_back_decides_by_what_was_believed() -> None:
    machine = Machine(AT - YEARS)
    clock = held(machine)

    assert (clock(), clock.wall, clock.behind) == (AT, AT - YEARS, YEARS)


def test_a_small_lead_is_caught_up_with_by_itself() -> None:
    machine = Machine()
    clock = held(machine, AT + 3 * timedelta(minutes=1))
    for _ in range(29):
        machine.goes_on(timedelta(minutes=1))
        clock.tick()
        assert clock() > machine.wall
    machine.goes_on(timedelta(minutes=1))

    assert clock() == machine.wall


def test_a_clock_that_leapt_and_is_set_right_is_right_at_once() -> None:
    machine = Machine()
    clock = held(machine)
    machine.wall += YEARS
    for _ in range(100):
        machine.goes_on(timedelta(minutes=1))
        clock.tick()
        assert clock() == machine.wall
    machine.wall -= YEARS

    assert (clock(), clock.behind) == (machine.wall, timedelta(0))


def test_what_other_nodes_believe_moves_it_on_and_never_back() -> None:
    machine = Machine()
    clock = held(machine)
    clock.hold(AT + DAY)
    clock.hold(AT + DAY)
    assert clock() == AT + DAY
    machine.goes_on(HOUR)
    clock.hold(AT + DAY)
    assert clock() == AT + DAY + HOUR * PACE
    clock.hold(AT + 2 * DAY)
    assert clock() == AT + 2 * DAY


def test_an_earlier_time_that_was_accepted_holds() -> None:
    """What is kept goes back where an operator said so, and nowhere else."""
    machine = Machine()
    clock = held(machine, AT + YEARS)
    clock.tick()
    clock.hold(AT)

    assert (clock(), clock.behind) == (AT, timedelta(0))


_STEPS = st.tuples(st.floats(0, 3600), st.one_of(st.just(0.0), st.floats(-1e8, 1e8)), st.booleans())


@given(st.lists(_STEPS, max_size=60))
def test_no_setting_of_the_clock_goes_back_behind_what_was_seen_for_longer_than_a_step(
    steps: list[tuple[float, float, bool]],
) -> None:
    """However the clock is set, the time decided by stays at or after each present that was held against."""
    machine = Machine()
    clock, floor = held(machine), AT
    for passed, setting, ticks in steps:
        machine.goes_on(timedelta(seconds=passed))
        machine.wall += timedelta(seconds=setting)
        now = clock()
        assert now >= floor
        assert now >= machine.wall
        if ticks:
            clock.tick()
            if now - floor <= STEP:
                floor = now
