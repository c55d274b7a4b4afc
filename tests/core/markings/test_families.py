from itertools import pairwise

import pytest

from exchange.kernel import Fault
from exchange.markings import Label
from exchange.markings.families import FAMILIES, is_as_strict, repeated_family, strictest
from tests.core.markings.worlds import SHIPPED

# From the least to the most strict: FIRST, Traffic Light Protocol 2.0; and the Permissible Actions Protocol.
STRICTER = {
    "TLP": ("TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"),
    "PAP": ("PAP:CLEAR", "PAP:GREEN", "PAP:AMBER", "PAP:RED"),
}


def label(*handling, to=("GBR", "NOR"), level="SECRET"):
    return Label("NATO", level, (), to, tuple(sorted(handling)))


def test_families_are_known_to_the_base_policy():
    assert {name for names in FAMILIES.values() for name in names} <= SHIPPED.base.caveats


@pytest.mark.parametrize(
    ("family", "first", "second"), [(family, *two) for family, names in STRICTER.items() for two in pairwise(names)]
)
def test_one_of_a_family_at_most(family, first, second):
    assert repeated_family([first, "ORCON"]) is None
    assert repeated_family([first, "ORCON", second]) == family
    told = f"more than one {family}: a label has one at most"
    assert SHIPPED.check(label(first, second)) == (Fault("/handling", "exclusive-caveat", told),)
    assert SHIPPED.check(label(first)) == ()


def test_one_of_each_family_may_stand_together():
    assert SHIPPED.check(label("TLP:AMBER+STRICT", "PAP:RED", "ORCON")) == ()


def test_noforn_names_no_member_beside_it():
    told = "`NOFORN` and a release to members contradict each other: keep one"
    assert SHIPPED.check(label("NOFORN")) == (Fault("/releasable_to", "contradiction", told),)
    assert SHIPPED.check(label("NOFORN", to=())) == ()


@pytest.mark.parametrize("names", STRICTER.values(), ids=STRICTER)
def test_stricter_covers_less_strict_and_none_is_the_least(names):
    for low, lower in enumerate(names):
        assert is_as_strict([lower], [])
        assert not is_as_strict([], [lower])
        for high, upper in enumerate(names):
            assert is_as_strict([upper], [lower]) == (high >= low)
            assert SHIPPED.dominates(label(upper), label(lower), originator="GBR") == (high >= low)


def test_join_takes_the_strictest_of_a_family_and_every_other_caveat():
    assert strictest([("ORCON", "TLP:GREEN"), ("H1", "TLP:RED"), ()]) == ("H1", "ORCON", "TLP:RED")
    joined = SHIPPED.join([label("TLP:AMBER", "PAP:RED"), label("TLP:GREEN", "PAP:AMBER")], originator="GBR")
    assert joined.handling == ("PAP:RED", "TLP:AMBER")
    assert SHIPPED.check(joined) == ()


@pytest.mark.parametrize(
    "text",
    ["NATO SECRET//TLP:AMBER+STRICT/REL TO GBR, NOR", "NATO SECRET//H1/H3/NATIONALS ONLY/PAP:RED/REL TO GBR, NOR"],
)
def test_marking_text_reads_back(text):
    from exchange.markings import parse_marking, render_marking

    assert render_marking(parse_marking(text, SHIPPED), SHIPPED, originator="GBR") == text
