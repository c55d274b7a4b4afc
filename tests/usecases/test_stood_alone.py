"""Since when a party takes no part in an agreement: said of the versions of its text that one may know."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from exchange.agreements import InForce, PartyState
from exchange.usecases.stood import stopped_at
from tests.core.agreements import worlds
from tests.core.agreements.worlds import DURING

DAY = timedelta(days=1)
TAKES_PART, STOPPED = PartyState.SIGNED, PartyState.SUSPENDED


def versions(*states: PartyState, leaves_at: datetime | None = None) -> list[InForce]:
    """Return versions, one for each day, in which GBR stands so; in the last one it leaves then."""
    found = []
    for number, state in enumerate(states):
        agreement = worlds.agreement([state, PartyState.SIGNED, PartyState.SIGNED])
        if leaves_at is not None and number == len(states) - 1:
            party = agreement.party("GBR")
            assert party is not None
            agreement = replace(agreement, parties=(replace(party, leaves_at=leaves_at), *agreement.parties[1:]))
        since = DURING + number * DAY
        found.append(InForce(agreement, since, None if number == len(states) - 1 else since + DAY))
    return found


@pytest.mark.parametrize(
    ("states", "leaves_after", "expected_after"),
    [
        ([TAKES_PART], None, None),
        ([TAKES_PART, STOPPED], None, 1),
        ([TAKES_PART, STOPPED, STOPPED], None, 1),
        ([STOPPED, TAKES_PART], None, None),
        ([TAKES_PART, STOPPED, TAKES_PART, STOPPED], None, 3),
        # As long as anybody asks knows, it never took part.
        ([STOPPED, STOPPED], None, 0),
        ([TAKES_PART], 5, 5),
        ([TAKES_PART], 15, None),
    ],
)
def test_party_takes_no_part_since_it_stopped_for_the_last_time(
    states: list[PartyState], leaves_after: int | None, expected_after: int | None
) -> None:
    leaves_at = None if leaves_after is None else DURING + leaves_after * DAY
    expected = None if expected_after is None else DURING + expected_after * DAY

    assert stopped_at(versions(*states, leaves_at=leaves_at), "GBR", DURING + 10 * DAY) == expected
