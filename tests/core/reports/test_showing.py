"""What of a header is shown, and where a report stands."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.reports import ReportStatus, status_of, tear_line, visible_header
from tests.core.reports.worlds import LATER, NOW, RESTRICTED, SECRET, STIX_PART, TEXT_PART, UNCLASSIFIED, compose, rank

CURRENT, SUPERSEDED = ReportStatus.CURRENT, ReportStatus.SUPERSEDED
RECALLED, EXPIRED = ReportStatus.RECALLED, ReportStatus.EXPIRED


@pytest.mark.parametrize(
    ("stored", "valid_until", "expected"),
    [
        (CURRENT, None, CURRENT),
        (CURRENT, NOW + timedelta(microseconds=1), CURRENT),
        (CURRENT, NOW, EXPIRED),
        (CURRENT, NOW - timedelta(days=1), EXPIRED),
        (SUPERSEDED, None, SUPERSEDED),
        (SUPERSEDED, LATER, SUPERSEDED),
        (SUPERSEDED, NOW, EXPIRED),
        (RECALLED, None, RECALLED),
        (RECALLED, NOW, RECALLED),
        ("recalled", LATER, RECALLED),
        ("current", None, CURRENT),
    ],
)
def test_status_follows_from_row_and_moment(stored, valid_until, expected):
    assert status_of(stored, valid_until, NOW) is expected


@pytest.mark.parametrize("stored", ["", "Current", "deleted"])
def test_unknown_stored_status_is_never_current(stored):
    with pytest.raises(ValueError, match="is not a valid ReportStatus"):
        status_of(stored, None, NOW)


# Parts 1 (the report's label), 2 RESTRICTED, 3 UNCLASSIFIED, 4 RESTRICTED.
HEADER = compose(
    parts=(
        STIX_PART,
        TEXT_PART,
        replace(TEXT_PART, name="b.txt", label=UNCLASSIFIED),
        replace(TEXT_PART, name="c.txt"),
    )
)


def join(labels):
    return max(labels, key=rank)


@pytest.mark.parametrize(
    ("permitted", "numbers"),
    [
        ({SECRET, RESTRICTED, UNCLASSIFIED}, [1, 2, 3, 4]),
        ({SECRET}, [1]),
        ({RESTRICTED}, [2, 4]),
        ({UNCLASSIFIED}, [3]),
        (set(), []),
    ],
)
def test_only_permitted_parts_are_shown_and_their_numbers_leave_no_gap(permitted, numbers):
    shown = visible_header(HEADER, frozenset(permitted))

    assert [part.number for part in shown.parts] == list(range(1, len(numbers) + 1))
    expected = [HEADER.parts[number - 1] for number in numbers]
    assert [replace(part, number=0) for part in shown.parts] == [replace(part, number=0) for part in expected]
    assert replace(shown, parts=HEADER.parts) == HEADER


@pytest.mark.parametrize(
    ("permitted", "numbers", "label"),
    [
        ({RESTRICTED, UNCLASSIFIED}, [2, 3, 4], RESTRICTED),
        ({RESTRICTED}, [2, 4], RESTRICTED),
        ({UNCLASSIFIED}, [3], UNCLASSIFIED),
    ],
)
def test_tear_line_tells_nothing_of_what_it_withholds(permitted, numbers, label):
    shown = tear_line(HEADER, frozenset(permitted), join=join)

    assert [part.number for part in shown.parts] == list(range(1, len(numbers) + 1))
    assert [part.sha256 for part in shown.parts] == [HEADER.parts[number - 1].sha256 for number in numbers]
    assert shown.label == label
    assert (shown.subject, shown.supersedes, shown.references, shown.declassify_on) == (None, None, (), None)
    kept = (
        "id",
        "agreement",
        "scope",
        "originator",
        "kind",
        "topic",
        "regions",
        "precedence",
        "posted_at",
        "valid_until",
        "version",
    )
    assert all(getattr(shown, field) == getattr(HEADER, field) for field in kept)


def test_tear_line_joins_each_shown_label_once():
    joined = []

    tear_line(HEADER, {RESTRICTED, UNCLASSIFIED}, join=lambda labels: joined.append(labels) or labels[0])

    assert joined == [(RESTRICTED, UNCLASSIFIED)]


def test_no_tear_line_without_a_part():
    with pytest.raises(ValueError, match="no part is permitted"):
        tear_line(HEADER, frozenset(), join=join)


@pytest.mark.parametrize(
    ("handlings", "shown"),
    [([("H3",)], "Ask first."), ([()], None), ([(), ("H3",)], "Ask first."), ([("H3",), ()], "Ask first.")],
)
def test_tear_line_shows_the_conditions_of_what_it_shows(handlings, shown):
    labels = [replace(UNCLASSIFIED, handling=handling) for handling in handlings]
    parts = tuple(replace(HEADER.parts[0], label=label) for label in labels)
    header = replace(HEADER, conditions="Ask first.", parts=parts)

    made = tear_line(header, frozenset(labels), join=lambda given: given[0])

    assert made.conditions == shown
