from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.markings import (
    Label,
    MarkingFormatError,
    UnknownMarkingError,
    from_stanag4774,
    load_catalogue,
    to_stanag4774,
)
from tests.core.markings.worlds import BASE, MEMBERS, SHIPPED, labels

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LABEL = Label("NATO", "SECRET", ("ATOMAL", "BOHEMIA"), ("GBR", "NOR"), ("ORCON",))
XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<slab:originatorConfidentialityLabel xmlns:slab="urn:nato:stanag:4774:confidentialitymetadatalabel:1:0">
  <slab:ConfidentialityInformation>
    <slab:PolicyIdentifier>NATO</slab:PolicyIdentifier>
    <slab:Classification>SECRET</slab:Classification>
    <slab:Category TagName="Special Category Designators" Type="RESTRICTIVE">
      <slab:GenericValue>ATOMAL</slab:GenericValue>
      <slab:GenericValue>BOHEMIA</slab:GenericValue>
    </slab:Category>
    <slab:Category TagName="Releasable To" Type="PERMISSIVE">
      <slab:GenericValue>GBR</slab:GenericValue>
      <slab:GenericValue>NOR</slab:GenericValue>
    </slab:Category>
    <slab:Category TagName="Handling" Type="RESTRICTIVE">
      <slab:GenericValue>ORCON</slab:GenericValue>
    </slab:Category>
  </slab:ConfidentialityInformation>
  <slab:CreationDateTime>2026-01-31T12:00:00Z</slab:CreationDateTime>
</slab:originatorConfidentialityLabel>
"""


def read(text: str) -> Label:
    return from_stanag4774(text.encode(), SHIPPED)


def changed(old: str, new: str, *, count: int = 1) -> str:
    assert XML.count(old) >= 1
    return XML.replace(old, new, count)


def test_label_is_written_as_the_standard_has_it():
    assert to_stanag4774(LABEL, SHIPPED, created_at=NOW).decode() == XML
    assert to_stanag4774(LABEL, SHIPPED, created_at=NOW, originator="DNK").decode() == XML


def test_label_is_read_back():
    assert read(XML) == LABEL


@given(
    labels(SHIPPED),
    st.sampled_from(MEMBERS),
    st.datetimes(timezones=st.just(UTC)),
)
def test_xml_of_every_label_reads_back(label, originator, moment):
    again = from_stanag4774(to_stanag4774(label, SHIPPED, created_at=moment, originator=originator), SHIPPED)

    expected = label.releasable_to or (originator,)
    assert again == Label(label.policy, label.classification, label.compartments, expected, label.handling)
    assert SHIPPED.dominates(again, label, originator=originator)
    assert SHIPPED.dominates(label, again, originator=originator)


def test_no_categories_are_written_for_none():
    xml = to_stanag4774(Label("NATO", "SECRET"), SHIPPED, created_at=NOW, originator="NOR").decode()

    assert xml.count("<slab:Category") == 1
    assert read(xml) == Label("NATO", "SECRET", (), ("NOR",))


def test_label_for_the_originator_alone_is_not_written_without_it():
    with pytest.raises(MarkingFormatError) as caught:
        to_stanag4774(Label("NATO", "SECRET"), SHIPPED, created_at=NOW)

    assert (
        caught.value.faults[0].message
        == "an empty `releasable_to` means the originator alone: say who the originator is"
    )


@pytest.mark.parametrize(
    ("label", "originator", "code"),
    [
        (Label("NATO", "secret", (), ("GBR",)), None, "unknown-level"),
        (Label("NATO", "SECRET"), "<x>", "malformed-member"),
        # What stands in the label goes into the XML as it is.
        (Label("NATO", "SECRET", (), ("GBR",), ("</x>",)), None, "unknown-caveat"),
        (Label("NATO", "SECRET", (), ("GBR",), ("NOFORN",)), None, "contradiction"),
    ],
)
def test_unknown_label_is_not_written(label, originator, code):
    with pytest.raises(UnknownMarkingError) as caught:
        to_stanag4774(label, SHIPPED, created_at=NOW, originator=originator)

    assert [fault.code for fault in caught.value.faults] == [code]


def test_label_without_releasability_is_read_as_the_narrowest():
    start, _, rest = XML.partition('    <slab:Category TagName="Releasable To"')

    assert read(start + rest.partition("</slab:Category>\n")[2]).releasable_to == ()


def test_other_prefix_spacing_and_value_order_are_read():
    text = XML.replace("slab:", "").replace("xmlns:slab", "xmlns").replace(":slab=", "=").replace("\n", "\r\n")
    text = text.replace("<GenericValue>GBR</GenericValue>", "<GenericValue>NOR</GenericValue>", 1)
    first, _, second = text.rpartition("<GenericValue>NOR</GenericValue>")

    assert read(f"{first}<GenericValue>GBR</GenericValue>{second}") == LABEL


@pytest.mark.parametrize("start", ["", '<?xml version="1.0"?>\n'])
def test_declaration_may_be_short_or_missing(start):
    assert read(start + XML.partition("\n")[2]) == LABEL


def test_time_of_making_may_be_missing():
    assert read(changed("  <slab:CreationDateTime>2026-01-31T12:00:00Z</slab:CreationDateTime>\n", "")) == LABEL


ORDER = "write `PolicyIdentifier`, `Classification`, `Category`, in this order"
CHOICE = "use `Special Category Designators` (RESTRICTIVE), `Releasable To` (PERMISSIVE), `Handling` (RESTRICTIVE)"
PROLOG = "the label holds a comment, a section or an instruction: send elements only"
VALUES = "a category holds `GenericValue` elements, at least one, and nothing else"
OPEN, CLOSE = "<slab:originatorConfidentialityLabel ", "</slab:originatorConfidentialityLabel>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("SECRET<", "SEC<!-- x -->RET<"), PROLOG),
        (changed("SECRET<", "<![CDATA[SECRET]]><"), PROLOG),
        (changed("SECRET<", "SEC<?x y?>RET<"), PROLOG),
        (changed("<slab:orig", "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<slab:orig"), PROLOG),
        ("\ufeff" + XML, PROLOG),
        (
            changed("ConfidentialityLabel ", "OtherLabel ").replace("ConfidentialityLabel>", "OtherLabel>"),
            "`originatorOtherLabel` is no label: send an `originatorConfidentialityLabel` of `urn:nato:stanag:4774:confidentialitymetadatalabel:1:0`",
        ),
        (
            XML.replace(":1:0", ":2:0"),
            "`originatorConfidentialityLabel` is no label: send an `originatorConfidentialityLabel` of `urn:nato:stanag:4774:confidentialitymetadatalabel:1:0`",
        ),
        (
            changed(OPEN, OPEN + 'ReviewDateTime="2031-01-01T00:00:00Z" '),
            "`originatorConfidentialityLabel` has an attribute: none is understood there",
        ),
        (
            changed("<slab:ConfidentialityInformation>", '<slab:ConfidentialityInformation a="b">'),
            "`ConfidentialityInformation` has an attribute: none is understood there",
        ),
        (
            changed("<slab:PolicyIdentifier>", '<slab:PolicyIdentifier URI="urn:oid:1.2">'),
            "`PolicyIdentifier` must hold text and nothing else",
        ),
        (changed(">NATO<", "><"), "`PolicyIdentifier` must hold text and nothing else"),
        (changed(">NATO<", ">NATO<slab:X/><"), "`PolicyIdentifier` must hold text and nothing else"),
        (
            changed("<slab:PolicyIdentifier>NATO</slab:PolicyIdentifier>", ""),
            f"`ConfidentialityInformation` has the wrong elements: {ORDER}",
        ),
        (
            changed(
                "    <slab:Classification>",
                "    <slab:Classification>TOP SECRET</slab:Classification><slab:Classification>",
            ),
            f"`ConfidentialityInformation` has the wrong elements: {ORDER}",
        ),
        (
            changed("    <slab:Classification>SECRET</slab:Classification>\n", ""),
            f"`ConfidentialityInformation` has the wrong elements: {ORDER}",
        ),
        (
            changed("    <slab:Classification>", "    <slab:PrivacyMark>x</slab:PrivacyMark><slab:Classification>"),
            f"`ConfidentialityInformation` has the wrong elements: {ORDER}",
        ),
        (
            changed(
                "  </slab:ConfidentialityInformation>",
                "  <slab:PrivacyMark>x</slab:PrivacyMark></slab:ConfidentialityInformation>",
            ),
            f"`ConfidentialityInformation` has the wrong elements: {ORDER}",
        ),
        (
            changed("</slab:Classification>", "</slab:Classification>and more"),
            "`ConfidentialityInformation` has text between its elements: remove it",
        ),
        (
            changed("<slab:ConfidentialityInformation>", "<slab:ConfidentialityInformation>more"),
            "`ConfidentialityInformation` has text between its elements: remove it",
        ),
        (
            changed(CLOSE, f"\u00a0{CLOSE}"),
            "`originatorConfidentialityLabel` has text between its elements: remove it",
        ),
        (changed(CLOSE, f"x{CLOSE}"), "`originatorConfidentialityLabel` has text between its elements: remove it"),
        (
            changed(CLOSE, f"<slab:OriginatorID>x</slab:OriginatorID>{CLOSE}"),
            "`originatorConfidentialityLabel` has the wrong elements: write `ConfidentialityInformation`, `CreationDateTime`, in this order",
        ),
        (
            changed(CLOSE, f"<slab:CreationDateTime>2026-01-31T12:00:00Z</slab:CreationDateTime>{CLOSE}"),
            "`CreationDateTime` is written twice: keep one",
        ),
        (
            changed("2026-01-31T12:00:00Z", "yesterday"),
            "`CreationDateTime`: `yesterday` is not a time: use RFC 3339, such as 2026-01-31T12:00:00Z",
        ),
        (changed("2026-01-31T12:00:00Z", ""), "`CreationDateTime` must hold text and nothing else"),
        (changed("PERMISSIVE", "RESTRICTIVE"), f"the category `Releasable To RESTRICTIVE` is not known: {CHOICE}"),
        (
            changed("RESTRICTIVE", "INFORMATIVE"),
            f"the category `Special Category Designators INFORMATIVE` is not known: {CHOICE}",
        ),
        (changed('TagName="Handling" ', ""), f"the category ` RESTRICTIVE` is not known: {CHOICE}"),
        (changed(' Type="PERMISSIVE"', ""), f"the category `Releasable To ` is not known: {CHOICE}"),
        (
            changed('TagName="Handling" ', 'TagName="Handling" URI="urn:oid:1" '),
            f"the category `Handling RESTRICTIVE` is not known: {CHOICE}",
        ),
        (
            changed('TagName="Handling" ', 'TagName="Special Category Designators" '),
            "the category `Special Category Designators` is written twice: keep one",
        ),
        (changed("      <slab:GenericValue>ORCON</slab:GenericValue>\n", ""), VALUES),
        (changed("<slab:GenericValue>ORCON</slab:GenericValue>", "<slab:Other>ORCON</slab:Other>"), VALUES),
        (
            changed("<slab:GenericValue>ORCON</slab:GenericValue>", "<slab:GenericValue>ORCON</slab:GenericValue><x/>"),
            VALUES,
        ),
        (
            changed("<slab:GenericValue>ORCON</slab:GenericValue>", "<slab:GenericValue/>"),
            "`GenericValue` must hold text and nothing else",
        ),
        (
            changed(
                "<slab:GenericValue>ORCON</slab:GenericValue>", "ORCON<slab:GenericValue>ORCON</slab:GenericValue>"
            ),
            "`Category` has text between its elements: remove it",
        ),
        (changed(">NOR<", ">GBR<"), "a category names a value twice: keep one"),
    ],
)
def test_xml_that_is_not_written_so_is_refused(text, message):
    with pytest.raises(MarkingFormatError) as caught:
        read(text)

    assert [fault.message for fault in caught.value.faults] == [message]


@pytest.mark.parametrize(
    "text", ["", "words", "<a>", XML[:-3], XML + XML.partition("\n")[2], XML.replace("xmlns:slab", "xmlns:other")]
)
def test_what_is_no_xml_is_refused(text):
    with pytest.raises(MarkingFormatError) as caught:
        read(text)

    assert caught.value.faults[0].message.startswith("the label is not XML: ")


def test_other_encodings_are_refused():
    with pytest.raises(MarkingFormatError) as caught:
        from_stanag4774(XML.encode("utf-16"), SHIPPED)

    assert caught.value.faults[0].message == "the label is not UTF-8: invalid start byte"


@pytest.mark.parametrize(
    "declared",
    [
        'version="1.0" encoding="ISO-8859-1"',
        'version="1.0" encoding="UTF-7"',
        'version="1.0" encoding="UTF-16"',
        'version="1.0" encoding="UTF-8 "',
        'version="1.1" encoding="UTF-8"',
        'version="1.0" encoding="UTF-8" other="a"',
    ],
)
def test_label_that_another_reader_would_take_in_another_encoding_is_refused(declared):
    with pytest.raises(MarkingFormatError) as caught:
        read(changed('version="1.0" encoding="UTF-8"', declared))

    message = 'the declaration is not understood: write `<?xml version="1.0" encoding="UTF-8"?>`'
    assert caught.value.faults[0].message == message


@pytest.mark.parametrize(
    "declared", ["version='1.0' encoding='utf-8'", 'version="1.0" encoding="UTF-8" standalone="no" ']
)
def test_declaration_may_be_written_otherwise(declared):
    label = Label("SWE", "Begränsat hemlig", (), ("NOR",))
    xml = to_stanag4774(label, SHIPPED, created_at=NOW).decode().replace('version="1.0" encoding="UTF-8"', declared)

    assert read(xml) == label


def test_label_beyond_the_limit_is_refused_unread():
    text = XML + " " * (65_536 - len(XML))
    assert read(text) == LABEL

    with pytest.raises(MarkingFormatError) as caught:
        read(text + " ")
    assert caught.value.faults[0].message == "a label of 65537 bytes: send at most 65536"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (">NATO<", ">nato<", "unknown-policy"),
        (">NATO<", "> NATO<", "unknown-policy"),
        (">SECRET<", ">NATO SECRET<", "unknown-level"),
        (">SECRET<", ">SЕCRET<", "unknown-level"),
        (">SECRET<", ">SECRET\n<", "unknown-level"),
        (">ATOMAL<", ">ZEBRA<", "unknown-compartment"),
        (">ORCON<", ">ATOMAL<", "unknown-caveat"),
        (">GBR<", ">gbr<", "malformed-member"),
    ],
)
def test_unknown_markings_in_xml_are_refused(old, new, code):
    with pytest.raises(UnknownMarkingError) as caught:
        read(changed(old, new))

    assert [fault.code for fault in caught.value.faults] == [code]


def test_label_of_no_namespace_is_refused_by_its_name():
    with pytest.raises(MarkingFormatError) as caught:
        read("<originatorConfidentialityLabel/>")

    assert caught.value.faults[0].message.startswith("`originatorConfidentialityLabel` is no label: ")


def test_level_with_characters_that_xml_escapes_reads_back():
    name = "T <&> W"
    catalogue = load_catalogue({"BASE.yaml": BASE.replace("name: TWO", f"name: {name}")})
    label = Label("BASE", name, (), ("GBR",))

    assert from_stanag4774(to_stanag4774(label, catalogue, created_at=NOW), catalogue) == label


def test_label_that_is_for_no_foreigners_is_written_and_read_back():
    alone = Label("NATO", "SECRET", handling=("NOFORN",))
    written = to_stanag4774(alone, SHIPPED, created_at=NOW, originator="GBR")

    # To another reader a missing category would mean anybody, though the caveat says the same.
    assert b"<slab:GenericValue>GBR</slab:GenericValue>" in written
    assert from_stanag4774(written, SHIPPED) == alone
    for other, codes in (
        (b">GBR</slab:GenericValue><slab:GenericValue>NOR<", ["contradiction"]),
        (b">gbr<", ["malformed-member", "contradiction"]),
    ):
        with pytest.raises(UnknownMarkingError) as refused:
            from_stanag4774(written.replace(b">GBR<", other), SHIPPED)
        assert [fault.code for fault in refused.value.faults] == codes
