import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import LARGEST_NOTE_BYTES, NoteSignature, SignedNote, parse_note, parse_signature_line
from exchange.kernel import MalformedError

LINE = "— example.com/foo AAAAAWJ5dGVz\n"
SIGNATURE = NoteSignature("example.com/foo", b"\0\0\0\1", b"bytes")
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="+", exclude_categories=("Zs", "Zl", "Zp", "Cc")), min_size=1
)
TEXTS = st.text(st.characters(codec="utf-8", min_codepoint=0x20) | st.just("\n")).map(lambda text: text + "\n")
SIGNATURES = st.builds(
    NoteSignature, name=NAMES, key_id=st.binary(min_size=4, max_size=4), signature=st.binary(min_size=1, max_size=80)
)


def test_note_is_text_blank_line_and_signatures():
    note = parse_note(f"one\n\ntwo\n\n{LINE}— other AAAAAmI=\n".encode())

    assert note == SignedNote("one\n\ntwo\n", (SIGNATURE, NoteSignature("other", b"\0\0\0\2", b"b")))


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=4).map(tuple))
def test_note_comes_back_from_its_bytes(text, signatures):
    note = SignedNote(text, signatures)

    assert parse_note(note.render()) == note


def test_signature_has_one_line():
    assert SIGNATURE.line == LINE
    assert parse_signature_line(LINE[:-1]) == SIGNATURE


def test_signatures_are_added_at_the_end():
    other = NoteSignature("other", b"\0\0\0\2", b"b")
    note = SignedNote("text\n", (SIGNATURE,))

    assert note.with_signatures(other).signatures == (SIGNATURE, other)
    assert note.with_signatures() == note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "note has no blank line followed by signature lines"),
        (b"\n", "note has no blank line followed by signature lines"),
        (b"text\n", "note has no blank line followed by signature lines"),
        (b"text\n\n", "note has no blank line followed by signature lines"),
        (f"text\n{LINE}".encode(), "note has no blank line followed by signature lines"),
        (f"text\n\n{LINE}"[:-1].encode(), "note has no blank line followed by signature lines"),
        (f"text\n\n{LINE}\n".encode(), "note has no blank line followed by signature lines"),
        (f"text\r\n\r\n{LINE}".encode(), "note holds a control character other than the newline"),
        (f"text\n\n{LINE[:-1]}\r\n".encode(), "note holds a control character other than the newline"),
        (f"te\txt\n\n{LINE}".encode(), "note holds a control character other than the newline"),
        (f"te\0xt\n\n{LINE}".encode(), "note holds a control character other than the newline"),
        (f"te\x1fxt\n\n{LINE}".encode(), "note holds a control character other than the newline"),
        (b"te\xff\n\n" + LINE.encode(), "note is not UTF-8: invalid start byte at byte 2"),
        (b"te\xed\xa0\x80\n\n" + LINE.encode(), "note is not UTF-8: invalid continuation byte at byte 2"),
        (f"text\n\n{LINE}junk\n".encode(), "`junk` is no signature line: write `— <name> <base64>`"),
        (f"text\n\njunk\n{LINE}".encode(), "`junk` is no signature line: write `— <name> <base64>`"),
        (
            f"text\n\n{LINE[1:]}".encode(),
            "` example.com/foo AAAAAWJ5dGVz` is no signature line: write `— <name> <base64>`",
        ),
    ],
)
def test_other_bytes_are_no_note(content, message):
    with pytest.raises(MalformedError) as caught:
        parse_note(content)

    assert str(caught.value) == message


def test_delete_character_is_text():
    assert parse_note(f"te\x7fxt \x20\n\n{LINE}".encode()).text == "te\x7fxt  \n"


def test_text_may_be_nothing_but_its_newline():
    assert parse_note(f"\n\n{LINE}".encode()).text == "\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "`` is no signature line: write `— <name> <base64>`"),
        ("— name", "`— name` is no signature line: write `— <name> <base64>`"),
        ("- name AAAAAWI=", "`- name AAAAAWI=` is no signature line: write `— <name> <base64>`"),
        ("—name AAAAAWI=", "`—name AAAAAWI=` is no signature line: write `— <name> <base64>`"),
        (" — name AAAAAWI=", "` — name AAAAAWI=` is no signature line: write `— <name> <base64>`"),
        ("name AAAAAWI=", "`name AAAAAWI=` is no signature line: write `— <name> <base64>`"),
        ("—  AAAAAWI=", "'' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("— na+me AAAAAWI=", "'na+me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("— na\u2003me AAAAAWI=", "'na\\u2003me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("— name AAAAAWI= ", "signature of `name`: `AAAAAWI= ` is not base64"),
        ("— name AAAA AWI=", "signature of `name`: `AAAA AWI=` is not base64"),
        ("— name  AAAAAWI=", "signature of `name`: ` AAAAAWI=` is not base64"),
        ("— name AAAAAWI", "signature of `name`: `AAAAAWI` is not base64"),
        ("— name AAAAAW-_", "signature of `name`: `AAAAAW-_` is not base64"),
        ("— name AAAAAWIé", "signature of `name`: `AAAAAWIé` is not base64"),
        ("— name AAAAAWJ=", "signature of `name`: `AAAAAWJ=` is not how base64 spells it"),
        ("— name ", "signature of `name` has 0 bytes: nothing after the key id"),
        ("— name AAA=", "signature of `name` has 2 bytes: nothing after the key id"),
        ("— name AAAAAQ==", "signature of `name` has 4 bytes: nothing after the key id"),
    ],
)
def test_other_form_of_a_signature_line_is_refused(line, message):
    with pytest.raises(MalformedError) as caught:
        parse_signature_line(line)

    assert str(caught.value) == message


def test_long_line_is_quoted_in_brief():
    with pytest.raises(MalformedError, match=r"^`x{80}` is no signature line"):
        parse_signature_line("x" * 81)
    with pytest.raises(MalformedError, match=r"^signature of `x{80}`: `!{40}` is not base64$"):
        parse_signature_line(f"— {'x' * 81} {'!' * 41}")
    with pytest.raises(MalformedError, match=r"^signature of `x{80}` has 4 bytes"):
        parse_signature_line(f"— {'x' * 81} AAAAAQ==")
    with pytest.raises(MalformedError, match=r"^'\+x{79}' cannot name a key"):
        parse_signature_line(f"— +{'x' * 81} AAAAAQ==")


def test_note_has_at_most_100_signatures():
    assert len(parse_note(f"text\n\n{LINE * 100}".encode()).signatures) == 100
    with pytest.raises(MalformedError, match=r"^note has 101 signatures: at most 100 are read$"):
        parse_note(f"text\n\n{LINE * 101}".encode())


def test_note_has_at_most_512_kib():
    fitting = b"x" * (LARGEST_NOTE_BYTES - len(LINE.encode()) - 2) + f"\n\n{LINE}".encode()

    assert LARGEST_NOTE_BYTES == 512 * 1024
    assert len(fitting) == LARGEST_NOTE_BYTES
    assert parse_note(fitting).signatures == (SIGNATURE,)
    with pytest.raises(MalformedError, match=r"^note has 524289 bytes: at most 524288 are read$"):
        parse_note(b"x" + fitting)


def test_100_of_the_largest_signatures_fit():
    line = NoteSignature("n" * 255, b"\0\0\0\1", bytes(8 + 2420)).line

    assert len(parse_note(f"text\n\n{line * 100}".encode()).signatures) == 100


@pytest.mark.parametrize(
    "note",
    [
        SignedNote("no newline", (SIGNATURE,)),
        SignedNote("", (SIGNATURE,)),
        SignedNote("text\n", ()),
        SignedNote("text\r\n", (SIGNATURE,)),
        SignedNote("te\ud800xt\n", (SIGNATURE,)),
        SignedNote("text\n", (NoteSignature("two words", b"\0\0\0\1", b"b"),)),
        SignedNote("text\n", (NoteSignature("na\nme", b"\0\0\0\1", b"b"),)),
        SignedNote("text\n", (NoteSignature("name", b"\0\0\1", b"b"),)),
        SignedNote("text\n", (NoteSignature("name", b"\0\0\0\0\1", b"b"),)),
    ],
)
def test_note_that_no_reader_would_take_is_not_written(note):
    with pytest.raises(MalformedError):
        note.render()


def test_note_that_would_be_read_as_another_is_told():
    with pytest.raises(MalformedError, match=r"^the note would be read as another one: its text or a name holds what "):
        SignedNote("text\n", (NoteSignature("name", b"\0\0\0\0\1", b"b"),)).render()


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: f"text\n\n— {text}\n".encode(errors="replace")))
def test_no_bytes_break_the_reader(content):
    try:
        note = parse_note(content)
    except MalformedError:
        return
    assert note.render() == content


def test_base64_of_a_line_is_standard():
    assert (
        NoteSignature("n", b"\xfb\xff\xbf\xff", b"\xff").line
        == f"— n {base64.b64encode(bytes.fromhex('fbffbfffff')).decode()}\n"
    )
