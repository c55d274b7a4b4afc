from dataclasses import replace

import pytest

from exchange.release import Clause, Gap, Matter, find_gaps, highest_level
from tests.support.release_world import SCOPE, law_with, real_law, rules_only_law

CLAUSE = Clause(SCOPE, frozenset({"GBR", "NOR"}))
CYBER = Matter("cyber")
LEVELS = rules_only_law().catalogue.base.levels


def reach(clause=CLAUSE, contributor="GBR", reader="NOR", matter=CYBER, law=None):
    return highest_level(clause, contributor, reader, matter, law or rules_only_law())


def within(**changes):
    return Clause(replace(SCOPE, **changes), CLAUSE.contributors)


def gaps(clauses, matters=(CYBER,), wanted="TOP SECRET"):
    found = tuple(find_gaps(clauses, "NOR", "DNK", matters, wanted=wanted, law=rules_only_law()))
    # Others are let in behind each clause that is asked about a matter.
    assert found.count(None) == len(clauses) * len(matters)
    return tuple(gap for gap in found if gap is not None)


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
        ' unless { principal.nationality == "NOR" && principal.agency like "*/" };\n'
    )

    assert reach(law=law_with(own=foreign)) == reach()


def test_gap_is_told_in_words_with_the_clause_that_reaches_highest():
    low = within(scope="low", ceiling="RESTRICTED")
    high = within(scope="high", ceiling="CONFIDENTIAL")

    told = (Gap("NOR", "DNK", "cyber", "CONFIDENTIAL", SCOPE.agreement, "high"),)
    assert gaps([low, high]) == gaps([high, low]) == gaps([high, within(readers=frozenset())]) == told
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


@pytest.mark.parametrize(
    "condition",
    [
        'context.purpose == "defence"',
        'resource.regions.contains("EUR")',
        'resource.kind == "intrep"',
        'context.purpose == "defence" && 9223372036854775807 + 1 > 0',  # fails where it is asked
    ],
)
def test_any_purpose_region_and_kind_that_is_left_is_enough(condition):
    def closing(*conditions):
        told = " && ".join(("principal.member != resource.originator", *conditions))
        return law_with(
            closed=f'@id("closed") @reason("closed")\nforbid (principal, action, resource) when {{ {told} }};\n'
        )

    assert reach(law=closing(condition)) == reach()
    # Where it is asked for, it is that one alone.
    assert reach(matter=Matter("cyber", kind="intrep", region="EUR"), law=closing(condition)) == (
        reach() if "purpose" in condition else None
    )
    assert reach(law=closing()) is None


def test_guards_are_asked_no_more_than_they_can_answer():
    asked = []

    class Counting:
        def __init__(self, guards):
            self._guards = guards

        def forbidding(self, reader, questions, use, catalogue):
            asked.append((questions[0].label.classification, reader.purpose))
            return self._guards.forbidding(reader, questions, use, catalogue)

        digest = "counted"

        @property
        def guards(self):
            return self._guards.guards

    def asking(law):
        asked.clear()
        return reach(law=replace(law, guards=Counting(law.guards))), [level for level, _ in asked]

    # TOP SECRET is above the ceiling, whatever the purpose, region and kind: it is asked once.
    assert asking(rules_only_law()) == ("SECRET", ["TOP SECRET", "SECRET"])
    # No word of them: another purpose, region or kind is answered the same.
    closed = '@id("cc") @reason("cc")\nforbid (principal, action, resource) when {{ principal.member == "NOR"{} }};\n'
    assert asking(law_with(c=closed.format(""))) == (None, [level.name for level in LEVELS[::-1]])
    # Any word of them is tried, up to a bound.
    words = ' && (context.purpose != "" || resource.kind != "" || resource.regions.contains("EUR"))'
    assert len(asking(law_with(c=closed.format(words)))[1]) == 1 + (len(LEVELS) - 1) * 2 * 2 * 2
    # What another member's guards speak of bears on its own reports alone.
    others = law_with(c=closed.format(""), NOR=closed.format(words).replace('"cc"', '"nor"'))
    assert asking(others) == (None, [level.name for level in LEVELS[::-1]])
    own = law_with(GBR=closed.format(words).replace('"cc"', '"gbr"'))
    assert len(asking(own)[1]) == 1 + (len(LEVELS) - 1) * 2 * 2 * 2


def test_only_so_many_purposes_kinds_and_regions_are_tried():
    vocabulary = real_law().vocabulary
    wide = within(
        regions=frozenset(vocabulary.regions),
        kinds=frozenset(vocabulary.kinds),
        purposes=frozenset(vocabulary.purposes),
    )
    text = """@id("cc") @reason("cc")
        forbid (principal, action, resource)
        when {{ principal.member == "NOR" }}
        unless {{ {} }};"""
    last = f'context.purpose == "{max(vocabulary.purposes)}"'
    all_three = 'context.purpose == "x" || resource.kind == "x" || resource.regions.contains("x") || '

    assert reach(wide, law=law_with(c=text.format(all_three + last))) == "SECRET"
    assert (
        reach(wide, law=law_with(c=text.format(all_three + f'resource.kind == "{max(vocabulary.kinds)}"'))) == "SECRET"
    )
    many = f'{last} && resource.kind == "{max(vocabulary.kinds)}"'
    assert reach(wide, law=law_with(c=text.format(all_three + many))) is None
