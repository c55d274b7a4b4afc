"""When a change of rights opens more to who listens, and when it takes something: said of what may be read alone."""

import pytest

from exchange.markings import Label
from exchange.release import Permit, View
from exchange.usecases.steps.knowledge import Readable
from exchange.usecases.telling import stream_reports
from tests.support.world import NOW

LOW, HIGH = Label("NATO", "RESTRICTED"), Label("NATO", "SECRET")
ALL = Permit(frozenset({LOW, HIGH}), View.FULL)
SOME = Permit(frozenset({LOW}), View.FULL)
TEAR_LINE = Permit(frozenset({LOW}), View.TEAR_LINE)


def reading(permit: Permit | None) -> Readable:
    """Return what may be read: class 1 as `permit` says, class 2 whole."""
    permits = {2: ALL} if permit is None else {1: permit, 2: ALL}
    return Readable(1, 2, NOW, None, permits, frozenset(), {})


@pytest.mark.parametrize(
    ("before", "after", "is_more", "is_narrower"),
    [
        (None, TEAR_LINE, True, False),
        (TEAR_LINE, SOME, True, False),  # the subject
        (TEAR_LINE, ALL, True, False),
        (SOME, ALL, True, False),  # a part
        (ALL, SOME, False, True),
        (ALL, TEAR_LINE, False, True),
        (SOME, TEAR_LINE, False, True),
        (TEAR_LINE, TEAR_LINE, False, False),
        (SOME, SOME, False, False),
        (ALL, ALL, False, False),
    ],
)
def test_more_of_a_report_is_told_and_less_of_one_ends_the_stream(before, after, is_more, is_narrower):
    one, other = reading(before), reading(after)

    assert stream_reports._is_more(one, other, 1) is is_more
    assert not stream_reports._is_more(one, other, 2)
    assert stream_reports._is_narrower(one, other) is is_narrower


@pytest.mark.parametrize("before", [TEAR_LINE, SOME, ALL])
def test_report_that_may_be_read_no_longer_ends_the_stream(before):
    assert stream_reports._is_narrower(reading(before), reading(None))
