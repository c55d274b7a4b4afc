import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.markings import Label, MarkingFormatError, UnknownMarkingError, parse_marking, render_marking
from tests.core.markings.worlds import MEMBERS, ROUGH, SHIPPED, labels

ROWS = [
    (Label("NATO", "UNCLASSIFIED"), None, "NATO UNCLASSIFIED"),
    (Label("NATO", "TOP SECRET", ("ATOMAL",)), None, "COSMIC TOP SECRET//ATOMAL"),
    (Label("NATO", "SECRET", (), ("GBR", "NOR")), "GBR", "NATO SECRET//REL TO GBR, NOR"),
    (Label("NATO", "SECRET", (), ("GBR", "NOR")), "NOR", "NATO SECRET//REL TO NOR, GBR"),
    (Label("NATO", "SECRET", (), ("DNK", "GBR", "NOR")), "NOR", "NATO SECRET//REL TO NOR, DNK, GBR"),
    (Label("NATO", "SECRET", (), ("DNK", "GBR")), "NOR", "NATO SECRET//REL TO DNK, GBR"),
    (Label("NATO", "SECRET", (), ("GBR", "NOR"), ("ORCON",)), "GBR", "NATO SECRET//ORCON/REL TO GBR, NOR"),
    (
        Label("NATO", "SECRET", ("ATOMAL", "BOHEMIA"), (), ("EYES ONLY", "ORCON")),
        None,
        "NATO SECRET//ATOMAL/BOHEMIA//EYES ONLY/ORCON",
    ),
    (Label("NATO", "SECRET", ("CRYPTO",), ("NOR",), ("ORCON",)), None, "NATO SECRET//CRYPTO//ORCON/REL TO NOR"),
    (Label("BEL", "Très Secret / Zeer Geheim", (), ("BEL",)), "BEL", "Très Secret / Zeer Geheim//REL TO BEL"),
    (Label("EU", "RESTRICTED", ("EXERCISE-AURORA",)), None, "RESTREINT UE/EU RESTRICTED//EXERCISE-AURORA"),
    (Label("BGR", "Строго секретно"), None, "Строго секретно"),
]


@pytest.mark.parametrize(("label", "originator", "text"), ROWS)
def test_label_is_written_and_read(label, originator, text):
    assert render_marking(label, SHIPPED, originator=originator) == text
    assert parse_marking(text, SHIPPED) == label
    assert parse_marking(text, SHIPPED, policy=label.policy) == label


def test_category_of_two_words_is_read():
    label = Label("BASE", "ONE", ("ALPHA", "BETA TWO"), ("GBR",), ("KEEP",))

    assert parse_marking("BASE ONE//ALPHA/BETA TWO//KEEP/REL TO GBR", ROUGH) == label


@given(labels(SHIPPED), st.sampled_from([None, *MEMBERS]))
def test_text_of_every_label_reads_back(label, originator):
    text = render_marking(label, SHIPPED, originator=originator)

    assert parse_marking(text, SHIPPED, policy=label.policy) == label


@given(labels(SHIPPED, sorted(set(SHIPPED.policies) - {"FRA", "IRL"})))
def test_text_of_most_policies_says_which_policy_it_is_of(label):
    assert parse_marking(render_marking(label, SHIPPED), SHIPPED) == label


@given(labels(SHIPPED), st.data())
def test_text_that_was_changed_anywhere_is_refused_or_means_what_it_writes(label, data):
    text = render_marking(label, SHIPPED)
    place = data.draw(st.integers(0, len(text)))
    inserted = data.draw(st.sampled_from([" ", "/", "//", ",", "A", "\n", "\u200b", ", GBR", "REL TO ", "Ｏ", "a"]))
    removed = data.draw(st.integers(0, 3))
    changed = text[:place] + inserted + text[place + removed :]

    try:
        read = parse_marking(changed, SHIPPED, policy=label.policy)
    except MarkingFormatError:
        return
    # Written with one of its members first, and so with nothing that the grammar does not say.
    assert changed in {render_marking(read, SHIPPED, originator=code) for code in (None, *read.releasable_to)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "`` is no level marking: begin with one such as `COSMIC TOP SECRET`, `NATO SECRET`, `NATO CONFIDENTIAL`, `NATO RESTRICTED`, `NATO UNCLASSIFIED`",
        ),
        (
            "ORCON",
            "`ORCON` is no level marking: begin with one such as `COSMIC TOP SECRET`, `NATO SECRET`, `NATO CONFIDENTIAL`, `NATO RESTRICTED`, `NATO UNCLASSIFIED`",
        ),
        ("nato secret", "`nato secret` is no level marking: write `NATO SECRET`"),
        ("UNCLASSIFIED", "`UNCLASSIFIED` is no level marking: write `NATO UNCLASSIFIED`"),
        (" NATO  Secret ", "` NATO  Secret ` is no level marking: write `NATO SECRET`"),
        ("NATO SECRET //ORCON", "`NATO SECRET ` is no level marking: write `NATO SECRET`"),
        (
            "CONFIDENTIAL//ORCON",
            "`CONFIDENTIAL` does not say whose level it is: write `NATO CONFIDENTIAL` of NATO or `CONFIDENTIEL UE/EU CONFIDENTIAL` of EU or `Confidential` of IRL, and name the policy if that is all",
        ),
        (
            "SECRET",
            "`SECRET` does not say whose level it is: write `NATO SECRET` of NATO or `SECRET UE/EU SECRET` of EU or `SECRET` of FRA or `Secret` of IRL, and name the policy if that is all",
        ),
        ("NATO SECRET//", "a group or a name in it is empty: separate groups by `//`, names by `/`"),
        ("NATO SECRET//ORCON//", "a group or a name in it is empty: separate groups by `//`, names by `/`"),
        ("NATO SECRET///ORCON", "a group or a name in it is empty: separate groups by `//`, names by `/`"),
        ("NATO SECRET//ORCON/", "a group or a name in it is empty: separate groups by `//`, names by `/`"),
        ("NATO SECRET//orcon", "`orcon` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//LIMDIS", "`LIMDIS` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET// ORCON", "` ORCON` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//REL TO", "`REL TO` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//EYES  ONLY", "`EYES  ONLY` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//ORCON\n", "`ORCON\\n` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//\x1b[31mORCON", "`\\x1b[31mORCON` is no compartment, caveat or `REL TO` list of NATO"),
        ("NATO SECRET//REL TO ", "`` is no member code: write `REL TO GBR, NOR`"),
        ("NATO SECRET//REL TO gbr", "`gbr` is no member code: write `REL TO GBR, NOR`"),
        ("NATO SECRET//REL TO GBR,NOR", "`GBR,NOR` is no member code: write `REL TO GBR, NOR`"),
        ("NATO SECRET//REL TO GBR,  NOR", "` NOR` is no member code: write `REL TO GBR, NOR`"),
        ("NATO SECRET//REL TO GBR, ", "`` is no member code: write `REL TO GBR, NOR`"),
        (
            "NATO SECRET//REL TO GBR, NOR, DNK",
            "`NATO SECRET//REL TO GBR, NOR, DNK` is out of order or repeats itself: write `NATO SECRET//REL TO GBR, DNK, NOR`",
        ),
        (
            "NATO SECRET//REL TO GBR, GBR",
            "`NATO SECRET//REL TO GBR, GBR` is out of order or repeats itself: write `NATO SECRET//REL TO GBR`",
        ),
        (
            "NATO SECRET//REL TO GBR/REL TO NOR",
            "`NATO SECRET//REL TO GBR/REL TO NOR` is out of order or repeats itself: write `NATO SECRET//REL TO GBR, NOR`",
        ),
        (
            "NATO SECRET//REL TO GBR/ORCON",
            "`NATO SECRET//REL TO GBR/ORCON` is out of order or repeats itself: write `NATO SECRET//ORCON/REL TO GBR`",
        ),
        (
            "NATO SECRET//ORCON//ATOMAL",
            "`NATO SECRET//ORCON//ATOMAL` is out of order or repeats itself: write `NATO SECRET//ATOMAL//ORCON`",
        ),
        (
            "NATO SECRET//ATOMAL/ORCON",
            "`NATO SECRET//ATOMAL/ORCON` is out of order or repeats itself: write `NATO SECRET//ATOMAL//ORCON`",
        ),
        (
            "NATO SECRET//ATOMAL//BOHEMIA",
            "`NATO SECRET//ATOMAL//BOHEMIA` is out of order or repeats itself: write `NATO SECRET//ATOMAL/BOHEMIA`",
        ),
        (
            "NATO SECRET//BOHEMIA/ATOMAL",
            "`NATO SECRET//BOHEMIA/ATOMAL` is out of order or repeats itself: write `NATO SECRET//ATOMAL/BOHEMIA`",
        ),
        (
            "NATO SECRET//ORCON/ORCON",
            "`NATO SECRET//ORCON/ORCON` is out of order or repeats itself: write `NATO SECRET//ORCON`",
        ),
        ("GEHEIM//ATOMAL", "`ATOMAL` is no compartment, caveat or `REL TO` list of DEU"),
    ],
)
def test_text_that_is_not_written_so_is_refused_with_what_was_expected(text, message):
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking(text, SHIPPED)

    assert caught.value.message == "the marking cannot be read"
    assert caught.value.code == "bad-marking"
    assert [(fault.pointer, fault.code, fault.message) for fault in caught.value.faults] == [
        ("", "bad-marking", message)
    ]


@pytest.mark.parametrize(
    "text",
    [
        " NATO SECRET",
        "NATO SECRET ",
        "NATO  SECRET",
        "NATO SЕCRET",
        "NATO SECRET\x00",
        "NATO\u00a0SECRET",
        "NATO SECRET/ORCON",
        "COSMIC",
        "Kvalificerat",
        "Přísně",
    ],
)
def test_level_marking_that_is_not_exact_is_refused(text):
    with pytest.raises(MarkingFormatError):
        parse_marking(text, SHIPPED)


@pytest.mark.parametrize(
    ("text", "policy", "level"),
    [
        ("SECRET", "FRA", "SECRET"),
        ("TRÈS SECRET", "FRA", "TRÈS SECRET"),
        ("Secret", "IRL", "Secret"),
        ("Top Secret", "IRL", "Top Secret"),
    ],
)
def test_national_marking_that_reads_like_another_is_taken_with_its_policy(text, policy, level):
    assert parse_marking(text, SHIPPED, policy=policy) == Label(policy, level)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("NATO SECRET REL TO GBR", "NATO SECRET//REL TO GBR"),
        ("NATO SECRET/ORCON/REL TO GBR, NOR", "NATO SECRET//ORCON/REL TO GBR, NOR"),
        ("COSMIC TOP SECRET / ORCON", "COSMIC TOP SECRET//ORCON"),
    ],
)
def test_level_that_is_not_parted_from_its_groups_is_told_how_to_write_it(text, mend):
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking(text, SHIPPED)

    told = caught.value.faults[0].message
    assert told == f"`{text}` does not part the level from what follows: write `{mend}`"
    assert parse_marking(mend, SHIPPED)


@pytest.mark.parametrize("text", ["NATO SECRET AT ALL", "NATO SECRETIVE//ORCON"])
def test_what_could_not_be_read_with_its_level_apart_either_is_no_mend(text):
    with pytest.raises(MarkingFormatError, match="begin with one such as"):
        parse_marking(text, SHIPPED)


@pytest.mark.parametrize(
    "text", ["SECRET", "Secret", "Top Secret", "Confidential", "Restricted", "TOP SECRET", "RESTRICTED"]
)
def test_national_marking_that_reads_like_another_is_refused_without_its_policy(text):
    with pytest.raises(MarkingFormatError, match=r"does not say whose level it is: write `(NATO|COSMIC) "):
        parse_marking(text, SHIPPED)


def test_marking_of_another_policy_is_refused_with_the_markings_of_the_one_asked_for():
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking("NATO SECRET", SHIPPED, policy="FRA")

    assert (
        caught.value.faults[0].message
        == "`NATO SECRET` is no level marking: begin with one such as `TRÈS SECRET`, `SECRET`"
    )


def test_level_name_alone_is_refused_even_with_its_policy():
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking("SECRET", SHIPPED, policy="NATO")

    assert "is no level marking: write `NATO SECRET`" in caught.value.faults[0].message


def test_unknown_policy_is_refused():
    with pytest.raises(UnknownMarkingError) as caught:
        parse_marking("NATO SECRET", SHIPPED, policy="USA")

    assert [fault.code for fault in caught.value.faults] == ["unknown-policy"]


@pytest.mark.parametrize(
    "label",
    [
        Label("NATO", "secret"),
        Label("NATO", "SECRET", ("ZEBRA",)),
        Label("XXX", "SECRET"),
        Label("NATO", "SECRET", (), ("a, b",)),
    ],
)
def test_unknown_label_is_never_written(label):
    with pytest.raises(UnknownMarkingError) as caught:
        render_marking(label, SHIPPED)

    assert caught.value.faults == SHIPPED.check(label)


def test_long_input_is_shown_cut():
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking("NATO SECRET//" + "Z" * 61, SHIPPED)

    assert caught.value.faults[0].message.startswith("`" + "Z" * 60 + "…` is")


def test_input_of_sixty_characters_is_shown_whole():
    with pytest.raises(MarkingFormatError) as caught:
        parse_marking("NATO SECRET//" + "Z" * 60, SHIPPED)

    assert caught.value.faults[0].message.startswith("`" + "Z" * 60 + "` is")
