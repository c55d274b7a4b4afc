from dataclasses import replace

import pytest

from exchange.release import Permit, Reason, Refusal, RowFacts, Use, View, decide, with_row
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    READER,
    ROW,
    SCOPE,
    label,
    law_with,
    marked,
    reader,
    rules_only_law,
)

SWEPT = reader(member="DNK", nationality="DNK")


def answer(who, cls, law=None):
    return decide(who, cls, SCOPE, ROW, Use.READ, law or rules_only_law())


def test_a_reader_of_the_whole_gets_every_part_and_the_full_view():
    permit = answer(READER, marked(LABEL, LOWER, LABEL))

    assert isinstance(permit, Permit)
    assert (permit.labels, permit.view) == (frozenset({LABEL, LOWER}), View.FULL)


def test_a_reader_of_some_parts_gets_them_and_the_tear_line():
    permit = answer(SWEPT, marked(LABEL, LOWER, LABEL))

    assert isinstance(permit, Permit)
    assert (permit.labels, permit.view) == (frozenset({LOWER}), View.TEAR_LINE)


def test_a_part_whose_own_label_refuses_is_left_out_of_a_full_view():
    stricter = label(releasable_to=("DNK", "GBR"))

    permit = answer(READER, marked(LABEL, LABEL, stricter))

    assert isinstance(permit, Permit)
    assert (permit.labels, permit.view) == (frozenset({LABEL}), View.FULL)


def test_the_reports_label_alone_releases_nothing():
    stricter = label(releasable_to=("DNK", "GBR"))

    assert answer(READER, marked(LABEL, stricter)) == Refusal((Reason.NOT_RELEASABLE,))


def test_a_clear_part_does_not_help_against_a_reason_about_the_whole():
    assert answer(reader(clearance_current=False), marked(LABEL, LOWER)) == Refusal((Reason.CLEARANCE_EXPIRED,))


def test_who_would_get_the_tear_line_is_told_only_what_stops_it():
    law = law_with(
        exchange='@id("x.y") @reason("x") forbid (principal, action, resource) when { resource.level_rank > 1 };'
    )

    for clause in (None, replace(SCOPE, in_force=False)):
        refusal = decide(SWEPT, marked(LABEL, LOWER), clause, ROW, Use.READ, law)
        reason = Reason.NO_AGREEMENT if clause is None else Reason.AGREEMENT_NOT_IN_FORCE
        assert refusal == Refusal((reason,))


def test_a_refusal_gives_the_reasons_of_every_label():
    higher = label(classification="TOP SECRET")

    refusal = answer(reader(compartments=frozenset()), marked(higher, LABEL))

    assert refusal == Refusal((Reason.ABOVE_CEILING, Reason.ABOVE_CLEARANCE, Reason.MISSING_COMPARTMENT))


def test_a_report_without_parts_is_judged_by_its_own_label():
    without_parts = replace(CLASS, part_labels=())

    permit = answer(READER, without_parts)

    assert isinstance(permit, Permit)
    assert (permit.labels, permit.view) == (frozenset({LABEL}), View.FULL)
    assert isinstance(answer(SWEPT, without_parts), Refusal)


def test_a_guard_against_the_reports_label_leaves_the_tear_line():
    law = law_with(
        GBR='@id("gbr.low") @reason("x") forbid (principal, action, resource) when { resource.level_rank > 1 };'
    )

    permit = answer(READER, marked(LABEL, LOWER), law)

    assert isinstance(permit, Permit)
    assert (permit.labels, permit.view) == (frozenset({LOWER}), View.TEAR_LINE)


def test_guards_that_forbid_are_named_beside_the_rules_reasons():
    law = law_with(
        GBR='@id("gbr.b") @reason("x") forbid (principal, action, resource);',
        exchange='@id("a.x") @reason("x") forbid (principal, action, resource);',
    )

    refusal = answer(reader(level="RESTRICTED"), marked(LABEL, LOWER), law)

    assert refusal == Refusal((Reason.ABOVE_CLEARANCE, Reason.NATIONAL_CAVEAT), ("a.x", "gbr.b"))


RECALLED = RowFacts(is_recalled=True, is_expired=False)
EXPIRED = RowFacts(is_recalled=False, is_expired=True)


@pytest.mark.parametrize("row", [ROW, RECALLED, EXPIRED, RowFacts(is_recalled=True, is_expired=True)])
@pytest.mark.parametrize("who", [READER, SWEPT, reader(level="RESTRICTED")])
def test_applying_the_row_after_the_decision_equals_deciding_with_it(who, row):
    law = law_with(
        exchange='@id("a.x") @reason("x") forbid (principal, action, resource) when { principal.member == "DNK" };'
    )
    decision = decide(who, CLASS, SCOPE, ROW, Use.READ, law)

    assert with_row(decision, row) == decide(who, CLASS, SCOPE, row, Use.READ, law)


def test_a_decision_has_no_truth_value():
    for decision in (answer(READER, CLASS), answer(SWEPT, CLASS)):
        with pytest.raises(TypeError, match=r"^a decision has no truth value: match Permit and Refusal$"):
            bool(decision)
