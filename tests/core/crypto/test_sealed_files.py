"""A sealed file opens to its recipient's identity, whole, or not at all."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError
from exchange.crypto.sealed_files import FileSealer, Identity, Recipient, is_recipient, open_sealed

VECTORS = Path(__file__).parents[2] / "vectors"
IDENTITY, OTHER = Identity.new(), Identity.new()


def sealed(*pieces: bytes, to: Recipient = IDENTITY.recipient) -> bytes:
    sealer = FileSealer(to, os.urandom(32))
    return sealer.head + b"".join(sealer.update(piece) for piece in pieces) + sealer.finish()


def opened(content: bytes, identity: Identity = IDENTITY) -> bytes:
    return b"".join(open_sealed(identity, memoryview(content)))


@settings(max_examples=30)
@given(pieces=st.lists(st.binary(max_size=70_000), max_size=4))
def test_what_was_sealed_comes_back(pieces: list[bytes]) -> None:
    assert opened(sealed(*pieces)) == b"".join(pieces)


def test_a_file_of_several_pieces_comes_back() -> None:
    content = os.urandom(600_000)

    assert opened(sealed(content)) == content


ANOTHERS = r"^the file was sealed to another recipient, or was changed$"


def test_nobody_else_opens_it() -> None:
    with pytest.raises(OpeningError, match=ANOTHERS):
        opened(sealed(b"secret"), OTHER)


NO_FILE = r"^this is no file sealed by the exchange, or only the beginning of one$"
CHANGED = r"^the file was changed, or cut: take another copy of it$"


@pytest.mark.parametrize(
    ("place", "told"),
    [(0, NO_FILE), (22, NO_FILE), (30, ANOTHERS), (1190, ANOTHERS), (1191, CHANGED), (1300, CHANGED), (-1, CHANGED)],
)
def test_one_changed_byte_is_noticed(place: int, told: str) -> None:
    content = bytearray(sealed(b"x" * 50_000))
    content[place] ^= 1

    with pytest.raises(OpeningError, match=told):
        opened(bytes(content))


@pytest.mark.parametrize(
    ("length", "told"),
    [(0, NO_FILE), (10, NO_FILE), (23, NO_FILE), (1190, NO_FILE), (1191, CHANGED), (20_000, CHANGED), (-1, CHANGED)],
)
def test_a_file_that_was_cut_does_not_open(length: int, told: str) -> None:
    with pytest.raises(OpeningError, match=told):
        opened(sealed(b"x" * 50_000)[:length])


def test_two_files_share_nothing() -> None:
    assert sealed(b"same")[24:] != sealed(b"same")[24:]


def test_file_that_was_sealed_once_opens_for_ever() -> None:
    # Made once, with version 50 of the library: what is kept for years is read by programs of then.
    stored = base64.b64decode((VECTORS / "sealed_file_1.txt").read_text())
    identity = Identity.from_text("exchange-identity-1:" + base64.b64encode(bytes(range(96))).decode())

    assert stored.startswith(b"exchange sealed file 1\n")
    assert opened(stored, identity) == b"a copy kept for years"
    assert sealed(b"", to=identity.recipient).startswith(b"exchange sealed file 1\n")


def test_line_ends_around_a_text_are_no_part_of_it() -> None:
    assert Recipient.from_text(f"\n{IDENTITY.recipient.text}\n").text == IDENTITY.recipient.text
    assert Identity.from_text(f"\n{IDENTITY.text}\n").text == IDENTITY.text


def test_identity_and_recipient_come_back_from_their_texts() -> None:
    again = Identity.from_text(IDENTITY.text + "\n")

    assert again.recipient.text == Recipient.from_text(IDENTITY.recipient.text).text
    assert opened(sealed(b"kept"), again) == b"kept"
    assert IDENTITY.text not in IDENTITY.recipient.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "exchange-recipient-1:",
        "exchange-recipient-1:AAAA",
        "exchange-recipient-1:?",
        "exchange-recipient-1:é",
        IDENTITY.text,
        IDENTITY.recipient.text.removeprefix("exchange-recipient-1:"),
        IDENTITY.recipient.text[:-8] + "!" + IDENTITY.recipient.text[-8:],
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(CryptoError, match="no recipient"):
        Recipient.from_text(text)


@pytest.mark.parametrize("text", ["", "exchange-identity-1:AAAA", IDENTITY.recipient.text, IDENTITY.text[20:]])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(CryptoError, match="no identity"):
        Identity.from_text(text)


@pytest.mark.parametrize(
    ("text", "is_written_out"),
    [
        (IDENTITY.recipient.text, True),
        (f"\n{IDENTITY.recipient.text}\n", True),
        ("exchange-recipient-1:?", True),
        ("keeper/recipient", False),
        (IDENTITY.text, False),
        ("", False),
    ],
)
def test_recipient_is_told_from_the_name_of_a_file_that_holds_one(text: str, is_written_out: bool) -> None:
    assert is_recipient(text) is is_written_out


def test_a_recipient_that_is_no_key_is_refused() -> None:
    text = "exchange-recipient-1:" + base64.b64encode(b"\xff" * 1216).decode()

    with pytest.raises(CryptoError, match="no recipient"):
        Recipient.from_text(text)
