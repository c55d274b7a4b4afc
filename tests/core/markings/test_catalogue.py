from dataclasses import replace

import pytest

from exchange.kernel.errors import ExchangeError, Fault
from exchange.markings import Label, UnknownMarkingError, load_catalogue
from tests.core.markings.worlds import BASE, ROUGH, ROUNDED, SHIPPED


def nato(level="SECRET", compartments=(), releasable_to=("GBR", "NOR"), handling=()):
    return Label("NATO", level, compartments, releasable_to, handling)


def test_known_label_has_no_fault():
    assert SHIPPED.check(nato("TOP SECRET", ("ATOMAL", "BOHEMIA"), (), ("EYES ONLY", "ORCON"))) == ()


@pytest.mark.parametrize(
    "level",
    ["", "secret", "Secret", " SECRET", "SECRET ", "SЕCRET", "SECRET\n", "NATO SECRET", "SECRET\u200b", "ＳＥＣＲＥＴ"],
)
def test_level_that_is_not_exact_is_refused(level):
    faults = SHIPPED.check(nato(level))

    assert [(fault.pointer, fault.code) for fault in faults] == [("/classification", "unknown-level")]


@pytest.mark.parametrize("policy", ["", "nato", "NATO ", "ΝΑΤΟ", "USA"])
def test_policy_that_is_not_exact_is_refused(policy):
    faults = SHIPPED.check(Label(policy, "SECRET", ("ATOMAL",), ("GBR",), ("ORCON",)))

    assert [(fault.pointer, fault.code) for fault in faults] == [("/policy", "unknown-policy")]


def test_label_is_judged_alike_however_many_came_before(monkeypatch):
    monkeypatch.setattr("exchange.markings.catalogue._MOST_REMEMBERED", 2)
    SHIPPED._faultless.clear()
    known = [Label("NATO", level.name) for level in SHIPPED.policies["NATO"].levels]
    unknown = [Label("NATO", f"{label.classification} ") for label in known]
    for _ in range(2):
        for good, bad in zip(known, unknown, strict=True):
            assert [SHIPPED.check(good), SHIPPED.check(good)] == [(), ()]
            assert SHIPPED.check(bad) == SHIPPED.check(bad) != ()
            assert 1 <= len(SHIPPED._faultless) <= 2


def test_long_label_is_judged_and_not_remembered():
    codes = tuple(sorted(f"{first}{second}X" for first in "ABCDEFG" for second in "ABCDEF"))
    SHIPPED._faultless.clear()

    assert [SHIPPED.check(nato(releasable_to=codes[:40])), SHIPPED.check(nato(releasable_to=codes[:41]))] == [(), ()]
    assert SHIPPED._faultless == {nato(releasable_to=codes[:40])}
    # Compartments and caveats make it longer as well.
    fit, long = (Label("FRA", "SECRET", ("EXERCISE-AURORA",), codes[:count], ("ORCON",)) for count in (38, 39))
    assert [SHIPPED.check(fit), SHIPPED.check(long)] == [(), ()]
    assert SHIPPED._faultless == {nato(releasable_to=codes[:40]), fit}


def test_catalogue_made_from_another_judges_every_label_anew():
    label = nato()
    assert SHIPPED.check(label) == ()

    without = replace(SHIPPED, policies={name: policy for name, policy in SHIPPED.policies.items() if name != "NATO"})

    assert [(fault.pointer, fault.code) for fault in without.check(label)] == [("/policy", "unknown-policy")]


def test_catalogue_shown_as_text_does_not_tell_which_labels_it_was_asked_about():
    catalogue = load_catalogue({"BASE.yaml": BASE})
    before = repr(catalogue)
    assert catalogue.check(Label("BASE", "TWO", (), ("GBR", "NOR"))) == ()

    assert repr(catalogue) == before


def test_unknown_policy_still_shows_malformed_members():
    faults = SHIPPED.check(Label("XXX", "SECRET", (), ("gbr",)))

    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("/policy", "unknown-policy"),
        ("/releasable_to/0", "malformed-member"),
    ]


def test_every_fault_of_a_label_is_listed_with_its_place():
    faults = SHIPPED.check(nato("HIGH", ("ATOMAL", "ZEBRA"), ("GBR", "nor"), ("ORCON", "orcon")))

    assert faults == (
        Fault(
            "/classification",
            "unknown-level",
            "NATO has no level `HIGH`: use `TOP SECRET`, `SECRET`, `CONFIDENTIAL`, `RESTRICTED`, `UNCLASSIFIED`",
        ),
        Fault(
            "/compartments/1", "unknown-compartment", "no compartment `ZEBRA` in this policy: use one of its vocabulary"
        ),
        Fault("/releasable_to/1", "malformed-member", "`nor` is no member code: write it like `GBR`"),
        Fault("/handling/1", "unknown-caveat", "no caveat `orcon` in this policy: use one of its vocabulary"),
    )


def test_unknown_policy_message_names_the_known_ones():
    (fault,) = ROUGH.check(Label("X\n", "SECRET"))

    assert fault.message == "no security policy `X\\n`: use `BASE`, `RND`"


def test_known_compartment_of_another_policy_is_refused():
    faults = SHIPPED.check(Label("DEU", "GEHEIM", ("ATOMAL",)))

    assert [fault.code for fault in faults] == ["unknown-compartment"]


def test_caveat_is_no_compartment_and_the_other_way_round():
    faults = SHIPPED.check(nato(compartments=("ORCON",), handling=("ATOMAL",)))

    assert [fault.code for fault in faults] == ["unknown-compartment", "unknown-caveat"]


@pytest.mark.parametrize("code", ["", "G", "gbr", "GBR,NOR", "GBR NOR", "REL/TO", "ＧＢＲ", "4GB", "A" * 33, "GBR\n"])
def test_malformed_member_code_is_refused(code):
    assert [fault.code for fault in SHIPPED.check(nato(releasable_to=(code,)))] == ["malformed-member"]


@pytest.mark.parametrize("code", ["GBR", "EUROPOL", "EU", "A" * 32, "NATO-SHAPE", "CZ2"])
def test_member_code_of_a_state_or_an_organisation_is_taken(code):
    assert SHIPPED.check(nato(releasable_to=(code,))) == ()


BAD = Label("NATO", "SECRET", ("ZEBRA",))


@pytest.mark.parametrize(
    "act",
    [
        lambda: SHIPPED.protection_rank(BAD),
        lambda: SHIPPED.equivalents(BAD),
        lambda: SHIPPED.dominates(BAD, nato(), originator="GBR"),
        lambda: SHIPPED.dominates(nato(), BAD, originator="GBR"),
        lambda: SHIPPED.join([nato(), BAD], originator="GBR"),
        lambda: SHIPPED.join([BAD, nato()], originator="GBR"),
        lambda: SHIPPED.declassified(BAD),
        lambda: SHIPPED.exceeds_ceiling(BAD, "SECRET", "NATO"),
        lambda: SHIPPED.exceeds_ceiling(nato(), "HIGH", "NATO"),
        lambda: SHIPPED.exceeds_ceiling(nato(), "SECRET", "XXX"),
    ],
)
def test_nothing_is_compared_with_an_unknown_label(act):
    with pytest.raises(UnknownMarkingError) as caught:
        act()

    assert isinstance(caught.value, ExchangeError)
    assert caught.value.code == "unknown-marking"
    assert caught.value.message == "the label is not known here"
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        (nato(), nato(), True),
        (nato(), nato("CONFIDENTIAL"), True),
        (nato("CONFIDENTIAL"), nato(), False),
        (nato(compartments=("ATOMAL",)), nato(), True),
        (nato(), nato(compartments=("ATOMAL",)), False),
        (nato(compartments=("ATOMAL",)), nato(compartments=("BOHEMIA",)), False),
        (nato(handling=("ORCON",)), nato(), True),
        (nato(), nato(handling=("ORCON",)), False),
        (nato(releasable_to=("NOR",)), nato(releasable_to=("DNK", "NOR")), True),
        (nato(releasable_to=("DNK", "NOR")), nato(releasable_to=("NOR",)), False),
        (nato(releasable_to=()), nato(releasable_to=("NOR",)), True),
        (nato(releasable_to=("NOR",)), nato(releasable_to=()), False),
        (nato(releasable_to=("GBR",)), nato(releasable_to=()), True),
        (nato(releasable_to=()), nato(releasable_to=("GBR",)), True),
        (Label("ESP", "SECRETO"), nato("TOP SECRET", releasable_to=()), True),
        (Label("ESP", "RESERVADO"), nato("TOP SECRET", releasable_to=()), False),
        (nato("SECRET", releasable_to=()), Label("ESP", "SECRETO"), False),
        (nato("TOP SECRET", releasable_to=()), Label("ESP", "SECRETO"), True),
        (Label("FRA", "SECRET"), Label("ITA", "Segreto"), True),
        (Label("ITA", "Riservatissimo"), Label("FRA", "SECRET"), False),
    ],
)
def test_domination_needs_every_marking(upper, lower, expected):
    assert SHIPPED.dominates(upper, lower, originator="GBR") is expected


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        (Label("RND", "D"), Label("RND", "C"), True),
        (Label("RND", "C"), Label("RND", "D"), False),
        (Label("RND", "D"), Label("BASE", "TWO"), True),
        (Label("RND", "D"), Label("BASE", "THREE"), False),
        (Label("BASE", "THREE"), Label("RND", "D"), False),
        (Label("BASE", "FOUR"), Label("RND", "D"), True),
    ],
)
def test_level_without_a_row_covers_rounded_down_and_is_covered_rounded_up(upper, lower, expected):
    assert ROUGH.dominates(upper, lower, originator="GBR") is expected


@pytest.mark.parametrize(
    ("label", "ceiling", "policy", "expected"),
    [
        (nato("SECRET"), "SECRET", "NATO", False),
        (nato("TOP SECRET"), "SECRET", "NATO", True),
        (nato("CONFIDENTIAL", ("ATOMAL",), (), ("ORCON",)), "SECRET", "NATO", False),
        (Label("ESP", "SECRETO"), "SECRET", "NATO", True),
        (Label("ESP", "RESERVADO"), "SECRET", "NATO", False),
        (Label("ITA", "Riservatissimo"), "RESTRICTED", "NATO", True),
        (nato("CONFIDENTIAL"), "SECRET", "FRA", False),
        (nato("TOP SECRET"), "SECRET", "FRA", True),
        (nato("UNCLASSIFIED"), "SECRET", "FRA", False),
        (nato("SECRET"), "TRÈS SECRET", "FRA", False),
    ],
)
def test_label_above_the_ceiling_exceeds_it(label, ceiling, policy, expected):
    assert SHIPPED.exceeds_ceiling(label, ceiling, policy) is expected


def test_join_keeps_a_shared_policy_and_every_restriction():
    first = Label("DEU", "GEHEIM", ("EXERCISE-AURORA",), ("DNK", "NOR"), ("ORCON",))
    second = Label("DEU", "VS-VERTRAULICH", (), ("FRA", "NOR"), ("EYES ONLY",))

    joined = SHIPPED.join([first, second], originator="DEU")

    assert joined == Label("DEU", "GEHEIM", ("EXERCISE-AURORA",), ("NOR",), ("EYES ONLY", "ORCON"))


def test_join_across_policies_moves_up_into_the_base():
    joined = SHIPPED.join(
        [Label("ESP", "SECRETO", (), ("NOR",)), nato("SECRET", ("ATOMAL",), ("NOR",))], originator="GBR"
    )

    assert joined == Label("NATO", "TOP SECRET", ("ATOMAL",), ("NOR",), ())


def test_join_of_disjoint_audiences_leaves_the_originator_alone():
    joined = SHIPPED.join([nato(releasable_to=("DNK",)), nato(releasable_to=("NOR",))], originator="GBR")

    assert joined.releasable_to == ()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("GBR", "NOR"), ("DNK", "GBR", "NOR"), ("GBR", "NOR")),
        (("GBR", "NOR"), ("NOR",), ("NOR",)),
        (("GBR",), ("GBR",), ("GBR",)),
        (("GBR",), (), ()),
    ],
)
def test_join_writes_the_originator_where_all_wrote_it(first, second, expected):
    assert (
        SHIPPED.join([nato(releasable_to=first), nato(releasable_to=second)], originator="GBR").releasable_to
        == expected
    )


def test_join_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^no labels to join: give at least one$"):
        SHIPPED.join([], originator="GBR")


def test_join_takes_any_iterable_once():
    assert SHIPPED.join(iter([nato(), nato("TOP SECRET")]), originator="GBR") == nato("TOP SECRET")


@pytest.mark.parametrize(
    ("policy", "level", "becomes"),
    [
        ("NATO", "SECRET", ("NATO", "UNCLASSIFIED")),
        ("NATO", "UNCLASSIFIED", ("NATO", "UNCLASSIFIED")),
        ("FRA", "SECRET", ("NATO", "UNCLASSIFIED")),
        ("DEU", "GEHEIM", ("NATO", "UNCLASSIFIED")),
    ],
)
def test_declassified_label_loses_its_level_and_nothing_else(policy, level, becomes):
    label = Label(policy, level, releasable_to=("GBR", "NOR"), handling=("ORCON",))
    made = SHIPPED.declassified(label)

    assert (made.policy, made.classification) == becomes
    assert (made.releasable_to, made.handling) == (label.releasable_to, label.handling)


def test_declassified_label_stays_in_its_policy_where_that_has_a_level_for_nothing():
    row = "{name: A, marking: A, rank: 0"
    equal = f"{row}, equivalent: {{policy: BASE, level: NONE, source: made up, valid_from: 2026-01-01}}"
    own = ROUNDED.replace(row, equal)
    catalogue = load_catalogue({"BASE.yaml": BASE, "RND.yaml": own})

    assert catalogue.declassified(Label("RND", "D", ("ALPHA",))) == Label("RND", "A", ("ALPHA",))
    assert ROUGH.declassified(Label("RND", "D", ("ALPHA",))) == Label("BASE", "NONE", ("ALPHA",))
