"""Laws of release on generated worlds: what restricts never widens, what permits never narrows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exchange.release import (
    Permit,
    Reason,
    Refusal,
    RowFacts,
    Use,
    View,
    class_as_json,
    class_from_json,
    decide,
    with_row,
)
from tests.model import worlds
from tests.support.release_world import law_with, rules_only_law

CURRENT = RowFacts(is_recalled=False, is_expired=False)
UNHELD = ("ATOMAL", "BOHEMIA", "CRYPTO", "EXERCISE-AURORA")
CAVEATS = ("EYES ONLY", "H1", "H2", "ORCON", "SEALED")
ORDER = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")

cases = st.tuples(worlds.readers, worlds.classes, worlds.scopes, worlds.rows, worlds.uses)


def is_free(cls):
    # NOFORN names no member beside it: with members added or taken away it is another label, or none.
    return all("NOFORN" not in label.handling for label in (cls.label, *cls.part_labels))


# Under other labels a consent is to nothing: laws about labels are laws about classes without one.
relabelable = st.tuples(worlds.readers, worlds.bare_classes.filter(is_free), worlds.scopes, worlds.rows, worlds.uses)


def answer(reader, cls, scope, row=CURRENT, use=Use.READ, law=None):
    return decide(reader, cls, scope, row, use, law or rules_only_law())


def released(decision, cls):
    """Return which parts are released, by place, so that relabelled parts compare."""
    if isinstance(decision, Refusal):
        return frozenset()
    return frozenset(place for place, label in enumerate(cls.part_labels) if label in decision.labels)


def is_full(decision):
    return isinstance(decision, Permit) and decision.view is View.FULL


def relabelled(cls, change):
    return replace(cls, label=change(cls.label), part_labels=tuple(change(label) for label in cls.part_labels))


def assert_no_wider(after, after_cls, before, before_cls):
    assert released(after, after_cls) <= released(before, before_cls)
    assert is_full(before) or not is_full(after)


def widened(values, more):
    return tuple(sorted({*values, *more}))


@given(cases, worlds.sets_of(*UNHELD), worlds.sets_of(*CAVEATS))
def test_more_markings_never_widen(case, compartments, caveats):
    reader, cls, scope, row, use = case
    stricter = relabelled(
        cls,
        lambda label: replace(
            label, compartments=widened(label.compartments, compartments), handling=widened(label.handling, caveats)
        ),
    )

    assert_no_wider(answer(reader, stricter, scope, row, use), stricter, answer(reader, cls, scope, row, use), cls)


@given(relabelable)
def test_a_higher_level_never_widens(case):
    reader, cls, scope, row, use = case

    def higher(label):
        if label.policy != "NATO" or label.classification not in ORDER:
            return label
        return replace(label, classification=ORDER[min(ORDER.index(label.classification) + 1, 4)])

    raised = relabelled(cls, higher)
    assert_no_wider(answer(reader, raised, scope, row, use), raised, answer(reader, cls, scope, row, use), cls)


@given(cases, worlds.sets_of(*worlds.MEMBERS))
def test_fewer_members_on_the_label_never_widen(case, removed):
    reader, cls, scope, row, use = case
    narrower = relabelled(
        cls,
        lambda label: replace(label, releasable_to=tuple(code for code in label.releasable_to if code not in removed)),
    )

    assert_no_wider(answer(reader, narrower, scope, row, use), narrower, answer(reader, cls, scope, row, use), cls)


@given(relabelable, st.sampled_from(worlds.MEMBERS))
def test_a_member_added_to_the_label_never_narrows_for_others(case, added):
    reader, cls, scope, row, use = case
    wider = relabelled(cls, lambda label: replace(label, releasable_to=widened(label.releasable_to, [added])))

    assert_no_wider(answer(reader, cls, scope, row, use), cls, answer(reader, wider, scope, row, use), wider)


@given(relabelable, st.sampled_from(worlds.MEMBERS))
def test_a_member_added_to_the_label_changes_nothing_for_those_who_have_nothing_to_do_with_it(case, added):
    reader, cls, scope, row, use = case
    wider = relabelled(cls, lambda label: replace(label, releasable_to=widened(label.releasable_to, [added])))

    if added not in (reader.member, reader.nationality):
        before, after = answer(reader, cls, scope, row, use), answer(reader, wider, scope, row, use)
        assert (released(after, wider), is_full(after)) == (released(before, cls), is_full(before))


@given(cases, worlds.sets_of("ATOMAL", "EXERCISE-AURORA"), st.integers(0, 4))
def test_less_of_a_clearance_never_widens(case, removed, steps):
    reader, cls, scope, row, use = case
    rank = ORDER.index(reader.level) if reader.level in ORDER else 0
    weaker = replace(reader, compartments=reader.compartments - removed, level=ORDER[max(rank - steps, 0)])

    if reader.level in ORDER:
        assert_no_wider(answer(weaker, cls, scope, row, use), cls, answer(reader, cls, scope, row, use), cls)


@given(cases)
def test_time_and_revocation_only_ever_take_away(case):
    reader, cls, scope, row, use = case
    before = answer(reader, cls, scope, CURRENT, use)

    later = [
        answer(replace(reader, clearance_current=False), cls, scope, row, use),
        answer(replace(reader, is_active=False), cls, scope, row, use),
        answer(reader, cls, scope and replace(scope, in_force=False), row, use),
        # Whom the originator has released a label to need not be a party.
        answer(
            reader,
            replace(cls, consents=()),
            scope and replace(scope, active_parties=scope.active_parties - {reader.member}),
            row,
            use,
        ),
        answer(reader, cls, scope and replace(scope, active_parties=scope.active_parties - {cls.originator}), row, use),
        answer(reader, cls, None, row, use),
    ]

    assert all(isinstance(decision, Refusal) for decision in later)
    assert_no_wider(answer(reader, cls, scope, row, use), cls, before, cls)


@given(cases)
def test_a_narrower_scope_never_widens(case):
    reader, cls, scope, row, use = case
    if scope is None:
        return
    narrower = [
        replace(scope, readers=scope.readers - {"NOR"}),
        replace(scope, topics=scope.topics[:-1]),
        replace(scope, regions=scope.regions - {"EUR"}),
        replace(scope, kinds=scope.kinds - {"intrep"}),
        replace(scope, purposes=scope.purposes - {"judicial"}),
        replace(scope, compartments=frozenset()),
        *([replace(scope, ceiling=ORDER[ORDER.index(scope.ceiling) - 1])] if scope.ceiling in ORDER else []),
    ]

    before = answer(reader, cls, scope, row, use)
    for clause in narrower:
        assert_no_wider(answer(reader, cls, clause, row, use), cls, before, cls)


@given(cases)
def test_passing_on_is_never_easier_than_reading(case):
    reader, cls, scope, row, _ = case

    onward, read = answer(reader, cls, scope, row, Use.ONWARD), answer(reader, cls, scope, row, Use.READ)
    assert_no_wider(onward, cls, read, cls)


@given(cases)
def test_a_decision_depends_on_the_facts_of_the_class_and_on_nothing_else(case):
    reader, cls, scope, row, use = case

    stored = replace(cls, part_labels=cls.part_labels[:1], regions=tuple(sorted(cls.regions)))

    read_back = class_from_json(class_as_json(stored))
    assert answer(reader, read_back, scope, row, use) == answer(reader, stored, scope, row, use)
    same_person = replace(reader, client="reader-2", version=9)
    assert answer(same_person, cls, scope, row, use) == answer(reader, cls, scope, row, use)


@given(cases)
def test_the_row_applied_afterwards_equals_the_row_decided_with(case):
    reader, cls, scope, row, use = case

    assert with_row(answer(reader, cls, scope, CURRENT, use), row) == answer(reader, cls, scope, row, use)


FORBID_HIGH = '@id("gbr.high") @reason("x") forbid (principal, action, resource) when { resource.level_rank > 1 };'
HIGH_GUARDED = law_with(GBR=FORBID_HIGH)


@given(cases)
def test_guards_never_widen_and_never_touch_the_reports_of_others(case):
    reader, cls, scope, row, use = case
    without, guarded = answer(reader, cls, scope, row, use), answer(reader, cls, scope, row, use, HIGH_GUARDED)

    assert_no_wider(guarded, cls, without, cls)
    if cls.originator != "GBR":
        assert (released(guarded, cls), is_full(guarded)) == (released(without, cls), is_full(without))


@given(cases)
def test_a_refusal_always_says_why_and_a_permit_always_releases_something(case):
    match answer(*case):
        case Permit(labels, _, policies) as permit:
            assert labels
            # Agreement, scope, a crisis without which less would be released, guards: in this order, each once.
            agreement, scope, *crises, guards = policies
            assert [name.split("/")[0] for name in (agreement, scope, guards)] == ["agreement", "scope", "guards"]
            assert tuple(crises) == permit.crises
        case Refusal(reasons):
            assert reasons
            assert set(reasons) <= set(Reason)


@given(cases)
def test_an_open_crisis_answers_the_ceiling_and_the_scopes_readers_and_nothing_else(case):
    reader, cls, scope, row, use = case
    closed = scope and replace(scope, crises=())
    with_it, without = answer(reader, cls, scope, row, use), answer(reader, cls, closed, row, use)

    assert_no_wider(without, cls, with_it, cls)
    if isinstance(with_it, Permit) and isinstance(without, Refusal):
        # Asked of what it releases: what else the report holds is refused for reasons of its own.
        for label in with_it.labels:
            alone = answer(reader, replace(cls, label=label, part_labels=(label,)), closed, row, use)
            assert isinstance(alone, Refusal)
            assert set(alone.reasons) <= {Reason.NOT_A_PARTY, Reason.ABOVE_CEILING}


@given(cases)
def test_an_open_crisis_gives_nothing_that_the_originator_controls(case):
    reader, cls, scope, row, use = case
    controlled = replace(
        cls,
        label=replace(cls.label, handling=("ORCON",)),
        part_labels=tuple(replace(label, handling=("ORCON",)) for label in cls.part_labels),
        consents=(),
    )
    closed = scope and replace(scope, crises=())
    before, after = answer(reader, controlled, closed, row, use), answer(reader, controlled, scope, row, use)

    assert (released(after, controlled), is_full(after)) == (released(before, controlled), is_full(before))


@given(cases)
def test_what_a_crisis_releases_names_it_and_nothing_else_does(case):
    reader, cls, scope, row, use = case
    closed = scope and replace(scope, crises=())
    with_it, without = answer(reader, cls, scope, row, use), answer(reader, cls, closed, row, use)

    if isinstance(with_it, Permit):
        is_wider = (released(with_it, cls), is_full(with_it)) != (released(without, cls), is_full(without))
        assert any(policy.startswith("crisis/") for policy in with_it.policies) is is_wider


@given(cases)
def test_a_crisis_that_is_over_is_as_if_it_had_never_been(case):
    reader, cls, scope, row, use = case
    if scope is not None:
        over = replace(scope, crises=())
        assert answer(reader, cls, over, row, use) == answer(reader, replace(cls, crises=()), over, row, use)


@given(cases)
def test_a_crisis_does_not_reach_what_is_older_than_it_unless_the_text_says_so(case):
    reader, cls, scope, row, use = case
    if scope is not None and not any(crisis.reaches_older for crisis in scope.crises):
        older = replace(cls, crises=())
        assert answer(reader, older, scope, row, use) == answer(reader, older, replace(scope, crises=()), row, use)
