import re

import pytest

from exchange.audit import EventName, Outcome

GRAMMAR = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")


@pytest.mark.parametrize("event", EventName)
def test_event_name_is_subject_dot_action(event):
    assert GRAMMAR.fullmatch(event.value)


@pytest.mark.parametrize("event", EventName)
def test_event_names_member_spells_its_value(event):
    assert event.name == event.value.replace(".", "_").upper()


def test_outcomes_are_the_three_of_the_record():
    assert {outcome.value for outcome in Outcome} == {"permitted", "refused", "failed"}
