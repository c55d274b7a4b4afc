import re

from exchange.audit import EventName, Outcome

GRAMMAR = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")


def test_event_name_is_subject_dot_action():
    assert [event for event in EventName if not GRAMMAR.fullmatch(event.value)] == []


def test_event_names_member_spells_its_value():
    assert [event for event in EventName if event.name != event.value.replace(".", "_").upper()] == []


def test_outcomes_are_the_three_of_the_record():
    assert {outcome.value for outcome in Outcome} == {"permitted", "refused", "failed"}
