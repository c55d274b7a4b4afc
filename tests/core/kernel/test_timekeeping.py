"""Which clock is believed: the truth table of one look, and the law of many."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel.timekeeping import DOUBTED_FOR, KEPT_EVERY, STEP, Timekeeping, judged

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
LEAP = timedelta(days=400)
DOUBTED = Timekeeping(AT, AT + LEAP, AT + LEAP)


@pytest.mark.parametrize(
    ("kept", "now", "wanted"),
    [
        (Timekeeping(AT), AT, Timekeeping(AT)),
        (Timekeeping(AT), AT + KEPT_EVERY - TICK, Timekeeping(AT)),
        (Timekeeping(AT), AT + KEPT_EVERY, Timekeeping(AT + KEPT_EVERY)),
        (Timekeeping(AT), AT + STEP, Timekeeping(AT + STEP)),
        (Timekeeping(AT), AT + STEP + TICK, Timekeeping(AT, AT + STEP + TICK, AT + STEP + TICK)),
        (Timekeeping(AT), AT - STEP, Timekeeping(AT)),
        (Timekeeping(AT), AT - STEP - TICK, Timekeeping(AT)),
        # in doubt: nothing new, gone on, leapt again either way, set right, set back, gone on for long enough
        (DOUBTED, AT + LEAP + KEPT_EVERY - TICK, DOUBTED),
        (DOUBTED, AT + LEAP + KEPT_EVERY, Timekeeping(AT, AT + LEAP, AT + LEAP + KEPT_EVERY)),
        (DOUBTED, AT + LEAP + STEP, Timekeeping(AT, AT + LEAP, AT + LEAP + STEP)),
        (DOUBTED, AT + LEAP + STEP + TICK, Timekeeping(AT, AT + LEAP + STEP + TICK, AT + LEAP + STEP + TICK)),
        (DOUBTED, AT + LEAP - STEP - TICK, Timekeeping(AT, AT + LEAP - STEP - TICK, AT + LEAP - STEP - TICK)),
        (DOUBTED, AT + STEP, Timekeeping(AT + STEP)),
        (DOUBTED, AT, Timekeeping(AT)),
        (DOUBTED, AT - LEAP, Timekeeping(AT)),
        (
            Timekeeping(AT, AT + LEAP, AT + LEAP + DOUBTED_FOR - TICK),
            AT + LEAP + DOUBTED_FOR,
            Timekeeping(AT + LEAP + DOUBTED_FOR),
        ),
    ],
)
def test_a_look_at_the_clock(kept: Timekeeping, now: datetime, wanted: Timekeeping) -> None:
    assert judged(kept, now) == wanted


@pytest.mark.parametrize(
    ("leap", "doubted_for"), [(timedelta(hours=2), timedelta(hours=2)), (DOUBTED_FOR, DOUBTED_FOR), (LEAP, DOUBTED_FOR)]
)
def test_a_leap_is_doubted_for_as_long_as_it_is_a_day_at_most(leap: timedelta, doubted_for: timedelta) -> None:
    kept = judged(Timekeeping(AT), AT + leap)

    assert kept.is_doubted
    assert kept.doubted_until == AT + leap + doubted_for
    assert Timekeeping(AT).doubted_until is None


# Mostly as a clock goes on, so that doubts come to their end too.
_MINUTES = st.one_of(st.integers(30, 60), st.integers(30, 60), st.integers(-3 * 24 * 60, 3 * 24 * 60))


@given(st.lists(_MINUTES, max_size=80))
def test_no_clock_is_believed_further_on_than_it_was_seen_to_go(steps: list[int]) -> None:
    """Of looks at any clock: belief goes on by `STEP` at most, or by what was seen in steps, for as long as is asked."""
    kept, now, seen_for = Timekeeping(AT), AT, timedelta(0)
    for minutes in steps:
        step = timedelta(minutes=minutes)
        before, now = kept, now + step
        kept = judged(before, now)
        is_new_doubt = kept.is_doubted and kept.doubted_since != before.doubted_since
        seen_for = timedelta(0) if is_new_doubt or not (before.is_doubted or kept.is_doubted) else seen_for + step
        gone_on = kept.believed_at - before.believed_at
        assert gone_on >= timedelta(0)
        if gone_on > STEP:
            assert before.is_doubted
            assert before.doubted_since is not None
            assert seen_for >= min(DOUBTED_FOR, before.doubted_since - before.believed_at)
