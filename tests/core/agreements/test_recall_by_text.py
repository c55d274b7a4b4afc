"""Whose shared reports the agreement's own terms recall, and when: a truth table."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from exchange.agreements import (
    Agreement,
    Departure,
    Party,
    PartyState,
    SharedReports,
    is_recalled_by_text,
    is_recalled_since,
    withdraw_party,
)
from exchange.members import MemberCode
from tests.core.agreements.worlds import AFTER, DURING, EXAMPLE, SIGNED_AT, agreement, parse

TERMS = parse(EXAMPLE)
SIGNED = agreement([PartyState.SIGNED] * len(TERMS.parties))
LEFT = agreement([PartyState.WITHDRAWN, *[PartyState.SIGNED] * (len(TERMS.parties) - 1)])
ALONE = agreement([PartyState.SIGNED, *[PartyState.WITHDRAWN] * (len(TERMS.parties) - 1)])
FIRST, SECOND = TERMS.parties[:2]


def keeping(one: Agreement) -> Agreement:
    termination = replace(one.terms.termination, shared_reports=SharedReports.KEPT)
    return replace(one, terms=replace(one.terms, termination=termination))


@pytest.mark.parametrize(
    ("one", "originator", "now", "expected"),
    [
        (SIGNED, FIRST, DURING, False),
        (SIGNED, FIRST, AFTER, True),
        (LEFT, FIRST, DURING, True),
        (LEFT, SECOND, DURING, False),
        # Who stays when all others have left is bound to nobody any more.
        (ALONE, FIRST, DURING, True),
        (ALONE, SECOND, DURING, True),
        (keeping(ALONE), FIRST, DURING, False),
        # Whom no text names that is proven.
        (SIGNED, "ZZZ", DURING, False),
        (SIGNED, "ZZZ", AFTER, False),
        (keeping(SIGNED), FIRST, AFTER, False),
        (keeping(LEFT), FIRST, DURING, False),
    ],
)
def test_reports_are_recalled_with_the_agreement_or_with_who_left_it(
    one: Agreement, originator: str, now: datetime, expected: bool
) -> None:
    assert is_recalled_by_text(one, originator, now) is expected


@pytest.mark.parametrize(("text", "next_text", "last_text"), list(product([SIGNED, keeping(SIGNED)], repeat=3)))
@pytest.mark.parametrize("by_notice", [True, False])
def test_of_who_has_left_the_last_text_says_it_that_bound_it(
    text: Agreement, next_text: Agreement, last_text: Agreement, *, by_notice: bool
) -> None:
    terms = replace(text.terms, parties=(*TERMS.parties, MemberCode("ZZZ")))
    gone = replace(last_text, earlier=(terms, next_text.terms), edition=3)
    others = (Departure(FIRST, 2),)
    gone = replace(gone, departures=(*others, Departure("ZZZ", 2)) if by_notice else others)
    bound = text if by_notice else next_text

    for now in (DURING, AFTER):
        assert is_recalled_by_text(gone, "ZZZ", now) is (bound is SIGNED)
    assert gone.bound("ZZZ") == ((1,) if by_notice else (1, 2))
    assert is_recalled_by_text(gone, FIRST, AFTER) is (last_text is SIGNED)


@pytest.mark.parametrize(
    "altered",
    [
        replace(SIGNED, parties=(replace(SIGNED.parties[0], signed_at=None), *SIGNED.parties[1:])),
        replace(SIGNED, parties=(Party(FIRST, PartyState.PENDING, SIGNED_AT), *SIGNED.parties[1:])),
        replace(SIGNED, parties=(Party(FIRST, PartyState.WITHDRAWN), *SIGNED.parties[1:])),
        replace(SIGNED, parties=SIGNED.parties[1:]),
        replace(SIGNED, parties=()),
    ],
)
def test_text_that_not_all_have_signed_recalls_nothing(altered: Agreement) -> None:
    assert SIGNED.is_proven
    assert not altered.is_proven
    assert not replace(SIGNED, parties=(), terms=replace(TERMS, parties=())).is_proven
    for originator, now in product(TERMS.parties, (DURING, AFTER)):
        assert not is_recalled_by_text(altered, originator, now)
    later = replace(altered, earlier=(TERMS, replace(TERMS, parties=TERMS.parties[1:])), edition=3)
    assert is_recalled_since(replace(later, parties=SIGNED.parties), FIRST, 1)
    assert not is_recalled_since(later, FIRST, 1)


def test_reports_of_who_leaves_by_notice_are_recalled_when_it_has_passed() -> None:
    leaving = withdraw_party(SIGNED, FIRST, DURING)
    left_at = leaving.parties[0].leaves_at
    assert left_at is not None

    assert not is_recalled_by_text(leaving, FIRST, left_at - timedelta(microseconds=1))
    assert is_recalled_by_text(leaving, FIRST, left_at)
    assert not is_recalled_by_text(leaving, SECOND, left_at)
