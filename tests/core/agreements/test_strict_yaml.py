"""YAML is read as version 1.2 and strictly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import strict_yaml
from exchange.agreements.strict_yaml import read_yaml
from exchange.kernel import Fault

CODES = {
    "an anchor": "not-plain",
    "an alias": "not-plain",
    "a tag": "not-plain",
    "a field name": "not-plain",
    "stands twice": "repeated-field",
}


def faults(text: str) -> list[str]:
    return [str(fault) for fault in read_yaml(text).faults]


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        # Where YAML 1.1 would see truth values, octal, sexagesimal numbers and dates.
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("010", 10),
        ("=", "="),
        # The core schema of YAML 1.2.
        ("0o17", 15),
        ("0x1F", 31),
        ("-12", -12),
        ("+12", 12),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("NULL", None),
        ("", None),
        ("nUll", "nUll"),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        (".INF", math.inf),
        ("1234567890123456789", 1234567890123456789.0),
        ("GBR", "GBR"),
        # Quotes make text of anything.
        ("'true'", "true"),
        ('"12"', "12"),
        ("''", ""),
    ],
)
def test_scalars_are_those_of_yaml_1_2(scalar, expected):
    document = read_yaml(f"- {scalar}\n")

    assert document.faults == []
    assert document.value == [expected]
    assert type(document.value[0]) is type(expected)


def test_not_a_number_is_a_number_that_no_field_takes():
    assert math.isnan(read_yaml("[.nan]").value[0])


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n"])
def test_empty_text_is_refused(text):
    assert read_yaml(text).faults == [Fault("", "not-yaml", "the text is empty", 1)]


def test_explicit_document_of_version_1_2_is_read():
    assert read_yaml("%YAML 1.2\n---\na: b\n...\n").value == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", ["line 1: /a: an anchor: leave it out"]),
        ("&x a: 1\n", ["line 1: an anchor: leave it out"]),
        ("a: b\nc: *x\n", ["line 2: /c: an alias: write the value out"]),
        ("a: !!str 1\n", ["line 1: /a: a tag: leave it out"]),
        ("a: !x &y 1\n", ["line 1: /a: an anchor: leave it out", "line 1: /a: a tag: leave it out"]),
        ("a:\n  - !!python/object:os.system {}\n", ["line 2: /a/0: a tag: leave it out"]),
        ("a: &b [1]\nc: &d {e: f}\n", ["line 1: /a: an anchor: leave it out", "line 2: /c: an anchor: leave it out"]),
        ("a: 1\n<<: {b: 2}\n", ["line 2: a field name is not plain text: write a name"]),
        ("1: a\n", ["line 1: a field name is not plain text: write a name"]),
        ("a:\n  ? [1]\n  : b\n", ["line 2: /a: a field name is not plain text: write a name"]),
        ("~: a\n", ["line 1: a field name is not plain text: write a name"]),
        ("a: 1\nb: 2\na: 3\n", ["line 3: /a: `a` stands twice: keep one"]),
        ("x:\n  a~/b: 1\n  a~/b: 2\n", ["line 3: /x/a~0~1b: `a~/b` stands twice: keep one"]),
        ("a: 1\n---\nb: 2\n", ["line 2: a second document: write one only"]),
        ("%YAML 1.1\n---\na: 1\n", ["line 1: a directive other than `%YAML 1.2`: leave it out"]),
        ("%UNHEARD of\n---\na: 1\n", ["line 1: a directive other than `%YAML 1.2`: leave it out"]),
        ("\ufeff%UNHEARD\n%YAML 1.2\n---\na: 1\n", ["line 1: a directive other than `%YAML 1.2`: leave it out"]),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", ["line 1: a directive other than `%YAML 1.2`: leave it out"]),
        (
            'a: 1\nb: "x\\ud800"\n',
            ["line 2: `\\ud800` is half a character: write the character itself, or leave it out"],
        ),
        ('"\\udfff": 1\n', ["line 1: `\\udfff` is half a character: write the character itself, or leave it out"]),
        ("a: [1\nb: 2\n", ["line 2: not YAML: expected ',' or ']', but got ':'"]),
        ("a: 'x\n", ["line 2: not YAML: found unexpected end of stream"]),
        ("a: b\n\tc: d\n", ["line 2: not YAML: found character '\\t' that cannot start any token"]),
        ("a: \x07\n", ["line 1: not YAML: unacceptable character #x0007: special characters are not allowed"]),
        ("a: b\nc: d\u2028e\n", ["line 2: the character U+2028 breaks lines for some readers only: leave it out"]),
        ("\na: \x85\n", ["line 2: the character U+0085 breaks lines for some readers only: leave it out"]),
        ("a: \x85\n", ["line 1: the character U+0085 breaks lines for some readers only: leave it out"]),
    ],
)
def test_what_two_readers_could_take_differently_is_refused_with_its_line(text, expected):
    assert faults(text) == expected
    for fault in read_yaml(text).faults:
        assert fault.code == next((code for words, code in CODES.items() if words in fault.message), "not-yaml")
        assert fault.pointer is not None


def test_faults_of_sharing_do_not_stop_the_reading():
    document = read_yaml("a: &x 1\nb: *x\na: 2\nc: d\n")

    assert [(fault.line, fault.code) for fault in document.faults] == [
        (1, "not-plain"),
        (2, "not-plain"),
        (3, "repeated-field"),
    ]
    assert document.value == {"a": 2, "b": None, "c": "d"}


def test_syntax_faults_leave_no_value():
    document = read_yaml("a: [")

    assert document.value is None
    assert [fault.code for fault in document.faults] == ["not-yaml"]


def test_every_value_has_its_line():
    document = read_yaml("a:\n  b: [x,\n    y]\n  c~/d: z\n")

    places = {"": 1, "/a": 1, "/a/b": 2, "/a/b/0": 2, "/a/b/1": 3, "/a/c~0~1d": 4}
    assert {place: document.line_of(place) for place in places} == places
    assert document.line_of("/a/b/1/deeper/still") == 3
    assert document.line_of("/nowhere") == 1
    assert read_yaml("# one\n\na: b\n").line_of("/nowhere/at/all") == 3
    assert read_yaml("").line_of("/a") == 1


def test_value_on_the_line_below_has_the_line_of_its_field():
    assert read_yaml("a:\n  - b\n").line_of("/a") == 1


@pytest.mark.parametrize("extra", [0, 1])
def test_text_is_bounded(extra):
    text = "a: " + "x" * (strict_yaml.LARGEST_TEXT - 3 + extra)

    document = read_yaml(text)

    assert [fault.code for fault in document.faults] == (["too-large"] if extra else [])
    assert (document.value is None) is bool(extra)
    if extra:
        assert document.faults == [Fault("", "too-large", "the text has 262145 characters: at most 262144", 1)]


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_is_bounded(extra):
    depth = strict_yaml.DEEPEST + extra

    document = read_yaml("[" * depth + "]" * depth)

    assert [fault.code for fault in document.faults] == (["too-large"] if extra else [])


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_of_fields_is_bounded(extra):
    depth = strict_yaml.DEEPEST - 1 + extra

    document = read_yaml("\n{a: " + "{a: " * (depth - 1) + "b" + "}" * depth)

    assert document.faults == ([Fault("", "too-large", "more than 12 levels or 20000 values", 2)] if extra else [])


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_of_field_names_is_bounded(extra):
    depth = strict_yaml.DEEPEST - 1 + extra

    codes = {fault.code for fault in read_yaml("{? " * depth + "a" + " : b}" * depth).faults}

    assert ("too-large" in codes) is bool(extra)


@pytest.mark.parametrize("extra", [0, 1])
def test_values_are_bounded(extra):
    count = strict_yaml.MOST_VALUES - 1 + extra

    document = read_yaml("[" + "a," * count + "]")

    assert [fault.message for fault in document.faults] == (["more than 12 levels or 20000 values"] if extra else [])


@pytest.mark.parametrize("extra", [0, 1])
def test_names_around_a_value_are_bounded(extra):
    name = "a" * (strict_yaml.LONGEST_PLACE - len("//0") + extra)

    document = read_yaml(f"\n? {name}\n: [b]\n")

    message = "the field names around a value have more than 512 characters"
    assert document.faults == ([Fault("", "too-large", message, 3)] if extra else [])


def test_long_name_around_many_values_costs_no_more_than_the_text():
    text = f"? {'a' * 9_000}\n: [{'b,' * 9_000}]\n"

    document = read_yaml(text)

    assert [fault.code for fault in document.faults] == ["too-large"]
    assert sum(map(len, document.lines)) < len(text)


def test_names_within_names_do_not_grow():
    depth = strict_yaml.DEEPEST - 1
    document = read_yaml("{? " * depth + "'" + "\\" * 400 + "'" + " : b}" * depth)

    assert {fault.code for fault in document.faults} == {"not-plain"}
    assert max(map(len, document.lines)) <= strict_yaml.LONGEST_PLACE


def test_deep_nesting_ends_before_it_costs_anything():
    assert [fault.code for fault in read_yaml("[" * 100_000).faults] == ["too-large"]


@given(st.text(st.sampled_from("ab:-[]{}?,&*!|>'\"#%@`~ \n\t<=0.") | st.characters(), max_size=60))
def test_any_text_is_read_or_refused_with_a_line(text):
    for fault in read_yaml(text).faults:
        assert fault.line is not None
        assert 1 <= fault.line <= text.count("\n") + text.count("\r") + 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\n# as agreed\rb: 2\n", "the character U+000D breaks lines for some readers only: leave it out"),
        ("a: 1\nb: 2\r# nothing here\n", "the character U+000D breaks lines for some readers only: leave it out"),
        ("a: 1\nb: 2 # \u202e", "the character U+202E does not show, or shows the line in another order: leave it out"),
        *(
            (
                f"a: 1\nb: 2 # {each}",
                f"the character U+{ord(each):04X} does not show, or shows the line in another order: leave it out",
            )
            for each in "\u00ad\u3164\ufe0f\ufeff\U000e0041"
        ),
        ("a: 1\nb: 2 # \u2066", "the character U+2066 does not show, or shows the line in another order: leave it out"),
        ("a: 1\nb: x\u200bx", "the character U+200B does not show, or shows the line in another order: leave it out"),
    ],
)
def test_text_that_shows_otherwise_than_it_reads_is_refused(text, told):
    (fault,) = read_yaml(text).faults

    assert (fault.line, fault.code, fault.message) == (2, "not-yaml", told)
    assert read_yaml("a: 1\r\nb: 2\r\n").value == {"a": 1, "b": 2}
