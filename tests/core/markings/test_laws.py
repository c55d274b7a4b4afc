"""Laws of the lattice, searched: over the shipped policies, and over one whose levels do not all map."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.markings import Label
from exchange.markings.families import strictest
from tests.core.markings.worlds import MEMBERS, ROUGH, SHIPPED, labels

BOTH = pytest.mark.parametrize("catalogue", [SHIPPED, ROUGH], ids=["shipped", "rough"])
ORIGINATOR = "GBR"


def dominates(catalogue, upper, lower):
    return catalogue.dominates(upper, lower, originator=ORIGINATOR)


def normal(catalogue, label: Label) -> tuple[object, ...]:
    """What a label means: equal for two labels that say the same in different policies."""
    return (
        catalogue.protection_rank(label),
        set(label.compartments),
        {*label.releasable_to, ORIGINATOR},
        set(label.handling),
    )


@BOTH
@given(st.data())
def test_label_dominates_itself(catalogue, data):
    label = data.draw(labels(catalogue))

    assert dominates(catalogue, label, label)


@given(labels(SHIPPED), labels(SHIPPED))
def test_two_labels_that_dominate_each_other_mean_the_same(first, second):
    assert (dominates(SHIPPED, first, second) and dominates(SHIPPED, second, first)) == (
        normal(SHIPPED, first) == normal(SHIPPED, second)
    )


@BOTH
@given(st.data())
def test_domination_is_transitive(catalogue, data):
    first, second, third = (data.draw(labels(catalogue)) for _ in range(3))
    middle = catalogue.join([second, third], originator=ORIGINATOR)
    top = catalogue.join([first, middle], originator=ORIGINATOR)

    assert dominates(catalogue, top, third)
    if dominates(catalogue, first, second) and dominates(catalogue, second, third):
        assert dominates(catalogue, first, third)


@BOTH
def test_levels_are_transitive_in_every_combination(catalogue):
    every = [Label(policy.id, level.name) for policy in catalogue.policies.values() for level in policy.levels]
    covered = {a: {b for b in every if dominates(catalogue, a, b)} for a in every}

    assert all(covered[b] <= covered[a] for a in every for b in covered[a])


@BOTH
@given(st.data())
def test_join_dominates_each_of_its_sources(catalogue, data):
    sources = data.draw(st.lists(labels(catalogue), min_size=1, max_size=4))

    joined = catalogue.join(sources, originator=ORIGINATOR)

    assert catalogue.check(joined) == ()
    assert all(dominates(catalogue, joined, source) for source in sources)


@given(st.lists(labels(SHIPPED), min_size=1, max_size=3), labels(SHIPPED))
def test_join_is_the_least_of_the_upper_bounds(sources, other):
    joined = SHIPPED.join(sources, originator=ORIGINATOR)
    bound = SHIPPED.join([*sources, other], originator=ORIGINATOR)

    assert dominates(SHIPPED, bound, joined)
    if all(dominates(SHIPPED, other, source) for source in sources):
        assert dominates(SHIPPED, other, joined)


@BOTH
@given(st.data())
def test_join_does_not_depend_on_order_or_repeats(catalogue, data):
    sources = data.draw(st.lists(labels(catalogue), min_size=1, max_size=4))
    shuffled = data.draw(st.permutations(sources))

    joined = catalogue.join(sources, originator=ORIGINATOR)

    assert catalogue.join([*shuffled, *sources], originator=ORIGINATOR) == joined


@BOTH
@given(st.data())
def test_join_of_one_label_is_that_label(catalogue, data):
    label = data.draw(labels(catalogue))

    assert catalogue.join([label], originator=ORIGINATOR) == label


@given(labels(SHIPPED, ["NATO"]), labels(SHIPPED, ["NATO"]), st.sampled_from(["compartments", "handling"]))
def test_more_markings_never_widen(label, other, kind):
    both = (getattr(label, kind), getattr(other, kind))
    added = strictest(both) if kind == "handling" else tuple(sorted({*both[0], *both[1]}))
    restricted = replace(label, **{kind: added})

    assert dominates(SHIPPED, restricted, label)
    assert dominates(SHIPPED, label, restricted) == (restricted == label)


@given(labels(SHIPPED), st.sampled_from(MEMBERS))
def test_fewer_members_never_widen(label, member):
    narrowed = replace(label, releasable_to=tuple(code for code in label.releasable_to if code != member))

    assert dominates(SHIPPED, narrowed, label)


@BOTH
@given(st.data())
def test_rounding_never_lowers_protection_and_never_raises_clearance(catalogue, data):
    policy = catalogue.policies[data.draw(st.sampled_from(sorted(catalogue.policies)))]
    levels = policy.levels
    protection = [catalogue.protection_rank(Label(policy.id, level.name)) for level in levels]
    clearance = [catalogue.clearance_rank(level.name, policy.id) for level in levels]

    assert protection == sorted(protection)
    assert clearance == sorted(clearance)
    assert all(down <= up for down, up in zip(clearance, protection, strict=True))


@BOTH
def test_clearance_covers_no_label_above_it(catalogue):
    for policy in catalogue.policies.values():
        for held in policy.levels:
            cleared = catalogue.clearance_rank(held.name, policy.id)
            above = [level for level in policy.levels if level.rank > held.rank]

            assert all(catalogue.protection_rank(Label(policy.id, level.name)) > cleared for level in above)


@BOTH
@given(st.data())
def test_ceiling_is_a_label_with_nothing_but_a_level(catalogue, data):
    label, ceiling = data.draw(labels(catalogue)), data.draw(labels(catalogue))
    bare = Label(label.policy, label.classification)

    exceeds = catalogue.exceeds_ceiling(label, ceiling.classification, ceiling.policy)

    assert exceeds is not dominates(catalogue, Label(ceiling.policy, ceiling.classification), bare)
