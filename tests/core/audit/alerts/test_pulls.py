"""Mass pulls over many days: what counts as the client's own days before, and what as one report more."""

from datetime import timedelta

import pytest

from exchange.audit.alerts import MassPulls
from tests.core.audit.alerts.rows import NOW, entry, entry_id, rules, run

DAY = timedelta(days=1)


def pulls(count, *, at=NOW, first=0):
    return [entry(first + number, at=at + timedelta(seconds=number)) for number in range(count)]


@pytest.mark.parametrize(("count", "alerts"), [(24, 0), (25, 1)])
def test_days_beyond_the_baseline_do_not_thin_it_out(count, alerts):
    busy = [each for day in range(10) for each in pulls(20, at=NOW + day * DAY, first=20 * day)]
    _, remembered = run(rules(MassPulls(1, 1, 2), cooldown=DAY), busy)

    # Two days of 20: 20 + sqrt(20) + 1. As two of ten days they would allow 12.
    found, _ = run(rules(MassPulls(1, 1, 2)), pulls(count, at=NOW + 10 * DAY, first=200), remembered)
    assert len(found) == alerts


def test_report_that_was_read_today_is_none_too_many_when_the_rule_may_speak_again():
    pulled = rules(MassPulls(5, 2, 30))
    _, remembered = run(pulled, pulls(5))
    again = [entry(4, at=NOW + timedelta(hours=2)), entry(5, at=NOW + timedelta(hours=3))]

    (alert,), _ = run(pulled, again, remembered)

    assert alert.evidence == (entry_id(5),)
