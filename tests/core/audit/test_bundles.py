import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import parse_bundle, render_bundle
from exchange.kernel import MalformedError


def test_entry_stands_after_its_length():
    assert render_bundle([b"a", b"", b"x" * 258]) == b"\0\1a" + b"\0\0" + b"\1\2" + b"x" * 258


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_entries_come_back(entries):
    assert parse_bundle(render_bundle(entries), len(entries)) == entries


def test_largest_entry_fits_and_no_larger():
    largest = bytes(65_535)

    assert parse_bundle(render_bundle([largest]), 1) == [largest]
    with pytest.raises(MalformedError, match=r"^entry has 65536 bytes: at most 65535 fit$"):
        render_bundle([b"", bytes(65_536)])


@pytest.mark.parametrize(
    ("content", "width", "message"),
    [
        (b"", 1, "bundle has 0 entries: it must have 1"),
        (b"\0\1a", 2, "bundle has 1 entries: it must have 2"),
        (b"\0\1a\0\1b", 1, "bundle goes on for 3 bytes after its 1 entries"),
        (b"\0\1a\0", 1, "bundle goes on for 1 bytes after its 1 entries"),
        (b"\0", 0, "bundle goes on for 1 bytes after its 0 entries"),
        (b"\0", 1, "bundle ends within entry 0 of 1"),
        (b"\0\1a\0", 2, "bundle ends within entry 1 of 2"),
        (b"\0\1a\0\2b", 2, "bundle ends within entry 1 of 2"),
        (b"\1\0a", 1, "bundle ends within entry 0 of 1"),
    ],
)
def test_damaged_bundle_is_refused(content, width, message):
    with pytest.raises(MalformedError) as caught:
        parse_bundle(content, width)

    assert str(caught.value) == message


@given(st.binary(max_size=60), st.integers(0, 5))
def test_bundle_has_one_spelling(content, width):
    try:
        entries = parse_bundle(content, width)
    except MalformedError:
        return
    assert render_bundle(entries) == content
    assert len(entries) == width
