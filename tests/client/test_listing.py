"""Lists that are gone through page by page: no page larger than what is still wanted."""

import json
from itertools import count, islice
from types import SimpleNamespace

import httpx2
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


def test_request_that_the_exchange_cannot_open_ends_no_list(line):
    """It has its place on a page: behind a full one there may be more."""
    request = {
        "id": "01a206dc-85dc-7553-b174-629c9b01e720",
        "agreement": "01a206dc-85dc-7553-b174-629c9b01e721",
        "scope": "cyber-threats",
        "asker": "NOR",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "ROUTINE",
        "subject": None,
        "label": {"policy": "NATO", "classification": "SECRET"},
        "marking": "NATO SECRET",
        "asked": ["GBR"],
        "asked_at": "2026-05-01T12:00:00Z",
        "deadline": "2026-06-01T12:00:00Z",
        "state": "open",
        "answers": [],
    }
    pages = iter(
        [
            {"items": [request] * 99, "next": "behind", "unopened": [{"id": None}]},
            {"items": [request], "next": "end"},
        ]
    )
    one = line(lambda _: httpx2.Response(200, content=json.dumps(next(pages))))

    assert len(list(one.client.information.list())) == 100
    assert [each.url.params.get("after") for each in one.sent] == [None, "behind"]
