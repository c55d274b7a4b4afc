import pytest

from exchange.kernel.spans import UNTRACED, Mark, SpanName


def test_untraced_work_goes_on_and_its_errors_come_out():
    with UNTRACED.span(SpanName.STORE) as span:
        span.note(Mark.COUNT, 1)

    with pytest.raises(KeyError), UNTRACED.span(SpanName.LOG):
        raise KeyError


def test_untraced_spans_are_all_the_same_object():
    with UNTRACED.span(SpanName.STORE) as one, UNTRACED.span(SpanName.LOG) as other:
        assert one is other is UNTRACED


def test_every_mark_and_name_is_its_own():
    assert len({each.value for each in Mark}) == len(Mark)
    assert len({each.value for each in SpanName}) == len(SpanName)
