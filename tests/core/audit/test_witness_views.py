"""Who stands behind a log, as auditors are told: how far each witness is behind, and since when it has said so."""

from datetime import UTC, datetime

import pytest

from exchange.audit import KnownWitness
from exchange.audit.witness_views import WitnessesView, WitnessView
from tests.core.audit.signers import W1, W2

ONE, TWO = KnownWitness("one", W1.verifier, "https://one.example/"), KnownWitness("two", W2.verifier)
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECONDS = int(AT.timestamp())


@pytest.mark.parametrize(
    ("newest", "size", "behind"),
    [
        (0, None, 0),
        (20, None, 20),
        (20, 0, 20),
        (20, 19, 1),
        (20, 20, 0),
        # It cosigned what this host has not kept yet.
        (20, 21, 0),
    ],
)
def test_witness_is_behind_by_what_was_kept_since_it_cosigned(newest, size, behind):
    view = WitnessView.of(ONE, newest, size=size, at_seconds=SECONDS)

    assert (view.size, view.behind) == (size, behind)


@pytest.mark.parametrize(
    ("size", "at_seconds", "cosigned_at"),
    [
        (20, SECONDS, AT),
        (20, 0, datetime(1970, 1, 1, tzinfo=UTC)),
        # As large as one may be, and beyond the calendar.
        (20, 253_402_300_799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (20, 2**63 - 1, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        # A cosignature without a time says none.
        (20, None, None),
        (0, SECONDS, AT),
        # No cosignature, no time.
        (None, SECONDS, None),
        (None, None, None),
    ],
)
def test_time_is_the_one_that_the_cosignature_states(size, at_seconds, cosigned_at):
    assert WitnessView.of(ONE, 20, size=size, at_seconds=at_seconds).cosigned_at == cosigned_at


def test_witness_is_shown_as_the_policy_knows_it():
    assert WitnessView.of(ONE, 8) == WitnessView("one", W1.verifier, "https://one.example/", None, None, 8)
    assert WitnessView.of(TWO, 8).url is None


def test_before_the_log_nobody_is_behind_and_no_quorum_is_missed():
    view = WitnessesView.before_the_log((ONE, TWO), "2 of 2")

    assert (view.origin, view.size, view.witnessed_size, view.since) == (None, 0, None, None)
    assert (view.quorum, view.has_quorum) == ("2 of 2", True)
    assert view.witnesses == (WitnessView.of(ONE, 0), WitnessView.of(TWO, 0))
    assert [each.behind for each in view.witnesses] == [0, 0]
