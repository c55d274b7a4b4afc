"""Lists that are gone through page by page: no page larger than what is still wanted."""

from itertools import count, islice
from types import SimpleNamespace

import pytest

from exchange.client.listing import walked


@pytest.mark.parametrize(
    ("most", "there", "asked"),
    [
        (5, 250, [5]),
        (100, 250, [100]),
        (150, 250, [100, 50]),
        (150, 120, [100, 50, 30]),
        (0, 250, []),
        (None, 120, [100, 100, 100]),
    ],
)
def test_no_more_is_asked_for_than_is_wanted(most, there, asked):
    limits, kept = [], iter(range(there))

    def page(after, limit):
        # Each cursor is the one of the page before.
        assert after == (str(len(limits)) if limits else None)
        limits.append(limit)
        return SimpleNamespace(items=list(islice(kept, limit)), next=str(len(limits)))

    assert list(walked(page, most)) == list(islice(count(), min(there, there if most is None else most)))
    assert limits == asked
