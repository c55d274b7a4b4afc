"""A sealed file opens to its recipient's identity, whole, or not at all."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError
from exchange.crypto.sealed_files import FileSealer, Identity, Recipient, is_recipient, open_sealed

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


def test_nobody_else_opens_it() -> None:
    with pytest.raises(OpeningError, match="another recipient"):
        opened(sealed(b"secret"), OTHER)


@pytest.mark.parametrize("place", [0, 30, 1000, 1191, 1300, -1])
def test_one_changed_byte_is_noticed(place: int) -> None:
    content = bytearray(sealed(b"x" * 50_000))
    content[place] ^= 1

    with pytest.raises(OpeningError):
        opened(bytes(content))


@pytest.mark.parametrize("length", [0, 10, 1000, 1191, 20_000, -1])
def test_a_file_that_was_cut_does_not_open(length: int) -> None:
    with pytest.raises(OpeningError):
        opened(sealed(b"x" * 50_000)[:length])


def test_two_files_share_nothing() -> None:
    assert sealed(b"same")[24:] != sealed(b"same")[24:]


def test_identity_and_recipient_come_back_from_their_texts() -> None:
    again = Identity.from_text(IDENTITY.text + "\n")

    assert again.recipient.text == Recipient.from_text(IDENTITY.recipient.text).text
    assert opened(sealed(b"kept"), again) == b"kept"
    assert IDENTITY.text not in IDENTITY.recipient.text


@pytest.mark.parametrize(
    "text", ["", "age1", "exchange-recipient-1:", "exchange-recipient-1:AAAA", "exchange-recipient-1:?", IDENTITY.text]
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(CryptoError, match="no recipient"):
        Recipient.from_text(text)


@pytest.mark.parametrize("text", ["", "exchange-identity-1:AAAA", IDENTITY.recipient.text])
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
    import base64

    text = "exchange-recipient-1:" + base64.b64encode(b"\xff" * 1216).decode()

    with pytest.raises(CryptoError, match="no recipient"):
        Recipient.from_text(text)
