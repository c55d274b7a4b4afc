from dataclasses import replace

import pytest

from exchange.release import Clause, Gap, Matter, find_gaps, highest_level
from tests.support.release_world import SCOPE, law_with, rules_only_law

CLAUSE = Clause(SCOPE, frozenset({"GBR", "NOR"}))
CYBER = Matter("cyber")


def reach(clause=CLAUSE, contributor="GBR", reader="NOR", matter=CYBER, law=None):
    return highest_level(clause, contributor, reader, matter, law or rules_only_law())


def within(**changes):
    return Clause(replace(SCOPE, **changes), CLAUSE.contributors)


def gaps(clauses, matters=(CYBER,), wanted="TOP SECRET"):
    return tuple(find_gaps(clauses, "NOR", "DNK", matters, wanted=wanted, law=rules_only_law()))


def test_clause_reaches_its_ceiling():
    assert reach(within(ceiling="SECRET")) == "SECRET"
    assert reach(within(ceiling="RESTRICTED")) == "RESTRICTED"
    # Its reader is cleared for everything.
    assert reach(within(ceiling="TOP SECRET")) == "TOP SECRET"


def test_clause_reaches_each_of_its_readers():
    members = frozenset({"AUS", "CAN", "DNK", "ESP", "FRA", "GBR", "ITA", "NLD", "NOR", "USA"})
    clause = Clause(replace(SCOPE, readers=members, active_parties=members), members)

    assert {reach(clause, "GBR", member) for member in members - {"GBR"}} == {"SECRET"}


@pytest.mark.parametrize(
    ("clause", "contributor", "reader", "matter"),
    [
        (CLAUSE, "DNK", "NOR", CYBER),  # posts nothing under it
        (CLAUSE, "GBR", "ESP", CYBER),  # reads nothing under it
        (CLAUSE, "GBR", "NOR", Matter("terrorism")),
        (CLAUSE, "GBR", "NOR", Matter("cyberwar")),
        (CLAUSE, "GBR", "NOR", Matter("cyber", kind="no-such-kind")),
        (CLAUSE, "GBR", "NOR", Matter("cyber", region="ANT")),
        (within(in_force=False), "GBR", "NOR", CYBER),
        (within(active_parties=frozenset({"NOR", "DNK"})), "GBR", "NOR", CYBER),
        (within(active_parties=frozenset({"GBR", "DNK"})), "GBR", "NOR", CYBER),
    ],
)
def test_what_a_clause_does_not_say_it_does_not_reach(clause, contributor, reader, matter):
    assert reach(clause, contributor, reader, matter) is None


def test_a_guard_narrows_what_a_clause_reaches():
    text = '@id("closed") @reason("closed")\nforbid (principal, action, resource) when { principal.member == "NOR" };\n'

    assert reach(law=law_with(closed=text)) is None


def test_the_reader_asked_for_is_of_its_own_nationality_and_no_agency():
    foreign = (
        '@id("own") @reason("own")\nforbid (principal, action, resource)'
        ' unless { principal.nationality == "NOR" && principal.agency == "NOR" };\n'
    )

    assert reach(law=law_with(own=foreign)) == reach()


def test_gap_is_told_in_words_with_the_clause_that_reaches_highest():
    low = within(scope="low", ceiling="RESTRICTED")
    high = within(scope="high", ceiling="CONFIDENTIAL")

    assert gaps([low, high]) == (Gap("NOR", "DNK", "cyber", "CONFIDENTIAL", SCOPE.agreement, "high"),)
    assert gaps([low])[0].sentence == "no scope lets NOR post `cyber` reports to DNK above RESTRICTED"
    assert gaps([])[0].sentence == "no scope lets NOR post `cyber` reports to DNK at all"


def test_what_reaches_the_level_wanted_is_no_gap():
    assert gaps([within(ceiling="SECRET")], wanted="SECRET") == ()
    assert gaps([within(ceiling="SECRET")], wanted="CONFIDENTIAL") == ()
    assert len(gaps([within(ceiling="CONFIDENTIAL")], wanted="SECRET")) == 1


def test_topic_below_is_told_only_where_it_differs():
    narrow = within(topics=("cyber.apt",), ceiling="RESTRICTED")
    matters = [Matter(topic) for topic in ("cyber", "cyber.apt", "cyber.vulnerability")]

    assert [(gap.topic, gap.highest) for gap in gaps([narrow], matters)] == [
        ("cyber", None),
        ("cyber.apt", "RESTRICTED"),
    ]


def test_topic_that_is_reached_hides_no_gap_after_it():
    narrow = within(topics=("cyber.apt",), ceiling="TOP SECRET")
    matters = [Matter("cyber.apt"), Matter("cyber.vulnerability")]

    assert [(gap.topic, gap.highest) for gap in gaps([narrow], matters)] == [("cyber.vulnerability", None)]


def test_topic_that_reaches_as_far_as_the_one_above_is_told_once():
    low = within(ceiling="RESTRICTED")
    matters = [Matter(topic) for topic in ("cyber", "cyber.apt", "cyber.apt.tools")]

    assert [(gap.topic, gap.highest) for gap in gaps([low], matters)] == [("cyber", "RESTRICTED")]
