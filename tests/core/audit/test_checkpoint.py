import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import Checkpoint, TreeHead, parse_checkpoint, parse_note
from exchange.audit.checkpoint import checkpoint_in
from exchange.kernel import MalformedError

# The example of C2SP tlog-cosignature.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
ROOT_TEXT = base64.b64encode(ROOT).decode()
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)


def test_published_checkpoint():
    note = parse_note(EXAMPLE.encode())
    checkpoint = parse_checkpoint(note.text)

    assert checkpoint == checkpoint_in(EXAMPLE.encode())
    assert checkpoint == Checkpoint("example.com/behind-the-sofa", TreeHead(20852163, ROOT))
    assert (checkpoint.size, checkpoint.root) == (20852163, ROOT)
    assert checkpoint.text == note.text
    assert [each.name for each in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]


@given(LINES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3).map(tuple))
def test_checkpoint_comes_back_from_its_text(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, TreeHead(size, root), extensions)

    assert parse_checkpoint(checkpoint.text) == checkpoint


def test_extension_lines_are_kept():
    assert parse_checkpoint(f"log\n1\n{ROOT_TEXT}\none\ntwo\n").extensions == ("one", "two")


THREE = "checkpoint needs three lines: origin, size, root hash"
NUMBER = "is no number as it must be written: 0 to 9223372036854775807"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", THREE),
        ("log\n1\n", THREE),
        (f"log\n1\n{ROOT_TEXT}", THREE),
        (f"log\n1\n{ROOT_TEXT}\nextension", THREE),
        (f"\n1\n{ROOT_TEXT}\n", "checkpoint holds an empty line"),
        (f"log\n1\n{ROOT_TEXT}\n\n", "checkpoint holds an empty line"),
        (f"log\n1\n{ROOT_TEXT}\n\nmore\n", "checkpoint holds an empty line"),
        (f"log\n01\n{ROOT_TEXT}\n", f"tree size: `01` {NUMBER}"),
        (f"log\n00\n{ROOT_TEXT}\n", f"tree size: `00` {NUMBER}"),
        (f"log\n-1\n{ROOT_TEXT}\n", f"tree size: `-1` {NUMBER}"),
        (f"log\n+1\n{ROOT_TEXT}\n", f"tree size: `+1` {NUMBER}"),
        (f"log\n 1\n{ROOT_TEXT}\n", f"tree size: ` 1` {NUMBER}"),
        (f"log\n1 \n{ROOT_TEXT}\n", f"tree size: `1 ` {NUMBER}"),
        (f"log\n1\r\n{ROOT_TEXT}\n", f"tree size: `1\r` {NUMBER}"),
        (f"log\n1_0\n{ROOT_TEXT}\n", f"tree size: `1_0` {NUMBER}"),
        (f"log\n0x1\n{ROOT_TEXT}\n", f"tree size: `0x1` {NUMBER}"),
        (f"log\n١\n{ROOT_TEXT}\n", f"tree size: `١` {NUMBER}"),
        (f"log\n9223372036854775808\n{ROOT_TEXT}\n", f"tree size: `9223372036854775808` {NUMBER}"),
        (f"log\n{'9' * 5000}\n{ROOT_TEXT}\n", f"tree size: `{'9' * 40}` {NUMBER}"),
        (f"log\n1\n{ROOT_TEXT[:-1]}\n", f"root hash: `{ROOT_TEXT[:40]}` is not base64"),
        (f"log\n1\n{ROOT_TEXT} \n", f"root hash: `{ROOT_TEXT[:40]}` is not base64"),
        (f"log\n1\n{ROOT_TEXT[:-2]}J=\n", f"root hash: `{ROOT_TEXT[:40]}` is not how base64 spells it"),
        ("log\n1\nAAAA\n", "root hash: has 3 bytes: a hash has 32"),
        (f"log\n1\n{base64.b64encode(bytes(33)).decode()}\n", "root hash: has 33 bytes: a hash has 32"),
    ],
)
def test_other_text_is_no_checkpoint(text, message):
    with pytest.raises(MalformedError) as caught:
        parse_checkpoint(text)

    assert str(caught.value) == message


def test_largest_size_is_read():
    assert parse_checkpoint(f"log\n9223372036854775807\n{ROOT_TEXT}\n").size == 2**63 - 1
    assert parse_checkpoint(f"log\n0\n{ROOT_TEXT}\n").size == 0


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", TreeHead(1, ROOT)),
        Checkpoint("log", TreeHead(-1, ROOT)),
        Checkpoint("log", TreeHead(2**63, ROOT)),
        Checkpoint("log", TreeHead(1, ROOT[:31])),
        Checkpoint("log", TreeHead(1, ROOT), ("",)),
    ],
)
def test_checkpoint_that_cannot_be_written_is_refused(checkpoint):
    with pytest.raises(MalformedError):
        checkpoint.text  # noqa: B018 - made where it is asked for


def test_checkpoint_that_would_be_read_as_another_is_refused():
    for wrong in (
        Checkpoint("log", TreeHead(1, ROOT), ("a\nb",)),
        Checkpoint(f"log\n1\n{ROOT_TEXT}\nx", TreeHead(1, ROOT)),
    ):
        with pytest.raises(MalformedError, match=r"would be read as another one|is no number"):
            wrong.text  # noqa: B018 - made where it is asked for
