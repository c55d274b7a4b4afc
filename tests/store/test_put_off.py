"""How often a message was tried, whatever stands in its row."""

import pytest

from exchange.store.database.put_off import one_more


@pytest.mark.parametrize(
    ("tries", "counted"),
    [
        (0, 1),
        (999, 1_000),
        (1_000, 1_000),
        (-1, 1_000),
        ((1 << 63) - 1, 1_000),
        ("7", 1_000),
        (b"", 1_000),
        (None, 1_000),
    ],
)
def test_what_cannot_be_counted_on_from_was_tried_often_enough(tries: object, counted: int) -> None:
    assert one_more(tries) == counted
