"""Reviews fall due on days that the text names, while there is something to review."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from exchange.agreements import PartyState, agreement_as_json, last_review_due, moved_by, next_review, withdraw_party
from tests.core.agreements.worlds import AFTER, BEFORE, FIRST_DAY, agreement

S, U, P = PartyState.SIGNED, PartyState.SUSPENDED, PartyState.PENDING


def reviewed(every, states=(S, S, S)):
    made = agreement(states)
    return replace(made, terms=replace(made.terms, validity=replace(made.terms.validity, review_every=every)))


@pytest.mark.parametrize(
    ("now", "last", "coming"),
    [
        (BEFORE, None, date(2028, 1, 1)),
        (datetime(2027, 12, 31, 23, 59, tzinfo=UTC), None, date(2028, 1, 1)),
        (datetime(2028, 1, 1, tzinfo=UTC), date(2028, 1, 1), date(2030, 1, 1)),
        (datetime(2030, 6, 1, tzinfo=UTC), date(2030, 1, 1), None),
        (AFTER, None, None),
    ],
)
def test_review_falls_due_every_two_years_of_force(now, last, coming):
    assert (last_review_due(reviewed("P2Y"), now), next_review(reviewed("P2Y"), now)) == (last, coming)


@pytest.mark.parametrize("every", ["P1D", "P10DT7H", "P2W", "P1M"])
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(microseconds=1), timedelta(days=200)])
def test_first_review_is_one_rhythm_after_the_first_day_however_early_one_asks(every, ahead):
    first = datetime.combine(FIRST_DAY, time.min, UTC)

    assert last_review_due(reviewed(every), first - ahead) is None
    assert next_review(reviewed(every), first - ahead) == moved_by(first, every).date()


@pytest.mark.parametrize(
    ("every", "first_day", "last", "coming"),
    [
        ("P1M", date(2026, 1, 1), date(2026, 6, 1), date(2026, 7, 1)),
        # On the last day of a short month, and on its own again after it.
        ("P1M", date(2026, 1, 31), date(2026, 5, 31), date(2026, 6, 30)),
        ("P3M", date(2025, 11, 30), date(2026, 5, 30), date(2026, 8, 30)),
        ("P2M3D", date(2026, 1, 1), date(2026, 5, 7), date(2026, 7, 10)),
        ("P1Y", date(2024, 2, 29), date(2026, 2, 28), date(2027, 2, 28)),
        ("P2Y", date(2020, 2, 29), date(2026, 2, 28), date(2028, 2, 29)),
    ],
)
def test_months_and_years_are_those_of_the_calendar(every, first_day, last, coming):
    made = reviewed(every)
    made = replace(made, terms=replace(made.terms, validity=replace(made.terms.validity, first_day=first_day)))
    now = datetime(2026, 6, 15, tzinfo=UTC)

    assert (last_review_due(made, now), next_review(made, now)) == (last, coming)


def test_review_falls_due_daily_and_on_the_last_day_too():
    daily, last = reviewed("P1D"), reviewed("P2Y")
    last = replace(last, terms=replace(last.terms, validity=replace(last.terms.validity, last_day=date(2028, 1, 1))))
    now = datetime(2027, 6, 1, tzinfo=UTC)

    assert (last_review_due(daily, now), next_review(daily, now)) == (date(2027, 6, 1), date(2027, 6, 2))
    assert next_review(last, now) == date(2028, 1, 1)


def test_review_beyond_the_calendar_is_none():
    made = reviewed("P9999Y")
    made = replace(made, terms=replace(made.terms, validity=replace(made.terms.validity, last_day=date.max)))

    assert next_review(made, datetime(2027, 6, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("every", [None, "PT1H", "PT23H", "P9999Y"])
def test_without_a_rhythm_of_days_nothing_falls_due(every):
    now = datetime(2027, 6, 1, tzinfo=UTC)

    assert (last_review_due(reviewed(every), now), next_review(reviewed(every), now)) == (None, None)


def test_draft_is_not_reviewed_and_a_suspended_agreement_is():
    now = datetime(2028, 6, 1, tzinfo=UTC)

    assert last_review_due(reviewed("P2Y", (S, S, P)), now) is None
    assert next_review(reviewed("P2Y", (S, S, P)), now) is None
    assert last_review_due(reviewed("P2Y", (S, U, U)), now) == date(2028, 1, 1)


def test_answer_tells_of_reviews_and_of_who_leaves():

    now = datetime(2028, 6, 1, tzinfo=UTC)
    told = agreement_as_json(withdraw_party(reviewed("P2Y"), "DNK", now), now)

    assert (told["review_due"], told["next_review"]) == ("2028-01-01", "2030-01-01")
    assert told["parties"][2] == {"member": "DNK", "state": "signed", "leaves_at": "2028-08-30T00:00:00Z"}
    later = agreement_as_json(withdraw_party(reviewed("P2Y"), "DNK", now), now + timedelta(days=90))
    assert later["parties"][2]["state"] == "withdrawn"


@pytest.mark.parametrize("every", ["P1D", "P2W", "P10DT7H", "P1DT30M", "P0Y1D", "P0M2D", "P1M", "P1Y1D"])
def test_text_that_begins_long_ago_costs_no_look_at_every_day_since(monkeypatch, every):
    made = reviewed(every)
    made = replace(made, terms=replace(made.terms, validity=replace(made.terms.validity, first_day=date.min)))
    now, steps = datetime(2027, 6, 1, 12, tzinfo=UTC), []

    def counted(moment, duration, *, times):
        steps.append(times)
        return moved_by(moment, duration, times=times)

    monkeypatch.setattr("exchange.agreements.reviews.moved_by", counted)
    last, coming = last_review_due(made, now), next_review(made, now)

    assert len(steps) < 100
    assert last <= now.date() <= coming
    if every not in {"P1M", "P1Y1D"}:
        length = moved_by(now, every) - now
        first = datetime.min.replace(tzinfo=UTC)
        assert last == (first + (now - first) // length * length).date()
        assert coming == (first + ((now - first) // length + 1) * length).date()
