"""Since when a party takes no part in an agreement: said of the versions of its text that one may know."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from exchange.agreements import InForce, PartyState
from exchange.store.reads.duty_reader import CountedReport
from exchange.usecases.promises.stood import Stood, as_if_bound, stopped_at, took_part
from tests.core.agreements import worlds
from tests.core.agreements.worlds import AFTER, DURING

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


def test_party_took_part_while_the_agreement_that_it_signed_was_in_force() -> None:
    found = versions(TAKES_PART, STOPPED)

    assert not took_part(found, "GBR", DURING - DAY)
    assert took_part(found, "GBR", DURING)
    assert not took_part(found, "GBR", DURING + DAY)
    assert took_part(found[:1], "GBR", DURING + DAY)
    assert not took_part(found[:1], "GBR", AFTER)


def test_report_that_counts_as_it_stood_ends_by_itself_or_when_its_originator_stopped() -> None:
    client: Any = None
    stood = Stood(client, versions(TAKES_PART, STOPPED), frozenset(), frozenset())
    report = CountedReport("r", 1, 1, "FLASH", DURING, None, is_recalled=False)
    ends = [DURING, DURING + DAY, DURING + 2 * DAY]
    now = DURING + 10 * DAY

    assert [stood.ended(replace(report, valid_until=end), "GBR", now).valid_until for end in ends] == [
        DURING,
        DURING + DAY,
        DURING + DAY,
    ]
    assert stood.ended(report, "GBR", now).valid_until == DURING + DAY
    assert stood.ended(report, "NOR", now).valid_until is None


def test_only_who_signed_is_taken_to_take_part() -> None:
    bound = as_if_bound(worlds.agreement([STOPPED, PartyState.PENDING, TAKES_PART]))

    assert [party.state for party in bound.parties] == [TAKES_PART, PartyState.PENDING, TAKES_PART]
