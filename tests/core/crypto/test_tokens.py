import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError, open_token, seal_token

KEY = bytes(range(32))
NONCE = bytes(range(12))
TOKEN = seal_token(KEY, "cursor reports client-1", b"payload", NONCE)


@given(st.binary(max_size=200), st.text(max_size=20), st.binary(min_size=12, max_size=12))
def test_token_opens_to_what_went_in(payload, purpose, nonce):
    token = seal_token(KEY, purpose, payload, nonce)

    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert open_token(KEY, purpose, token) == payload


def test_tokens_of_every_length_and_ending_open():
    payloads = [bytes(size) for size in range(4)]
    tokens = [seal_token(KEY, "cursor", one, bytes([number]) * 12) for number in range(256) for one in payloads]

    # X, for one: the ending is where padding was taken off.
    assert {"A", "X", "g"} <= {token[-1] for token in tokens}
    assert {open_token(KEY, "cursor", token) for token in tokens} == set(payloads)


def test_token_handed_out_before_opens():
    assert open_token(KEY, "cursor reports", "AAAAAAAAAAAAAAAAft3MstpN59kVUcZMRsMXL70NWoP8x2o") == b"payload"


@pytest.mark.parametrize("purpose", ["cursor reports client-2", "cursor reports client-1 ", "", "session"])
def test_token_of_another_purpose_never_opens(purpose):
    with pytest.raises(OpeningError, match=r"^the token is not one of this exchange's$"):
        open_token(KEY, purpose, TOKEN)


def test_token_of_another_key_never_opens():
    with pytest.raises(OpeningError):
        open_token(bytes(32), "cursor reports client-1", TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AAAA",
        "A" * 16,
        "A" * 100,
        TOKEN + "=",
        TOKEN + "==",
        TOKEN + "A",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[:5] + "\n" + TOKEN[5:],
        TOKEN[:5] + "!" + TOKEN[5:],
        TOKEN[:-1],
        TOKEN.lower(),
        TOKEN + "é",
        "\ud800",
        "\0",
    ],
)
def test_damaged_token_never_opens(text):
    with pytest.raises(OpeningError, match=r"^the token is not one of this exchange's$"):
        open_token(KEY, "cursor reports client-1", text)


def test_token_has_one_spelling():
    # The last letter of 35 octets holds two spare bits: four letters decode alike.
    assert len(TOKEN) % 4 != 0
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    opened = []
    for letter in letters:
        try:
            opened.append(open_token(KEY, "cursor reports client-1", TOKEN[:-1] + letter))
        except OpeningError:
            continue

    assert opened == [b"payload"]


@given(st.text(max_size=80))
def test_no_text_breaks_the_opening(text):
    with pytest.raises(OpeningError):
        open_token(KEY, "cursor", text)


def test_wrong_size_refuses():
    with pytest.raises(CryptoError, match="key has 16 bytes"):
        seal_token(bytes(16), "cursor", b"", NONCE)
    with pytest.raises(CryptoError, match="key has 16 bytes"):
        open_token(bytes(16), "cursor", TOKEN)
    with pytest.raises(CryptoError, match="nonce has 8 bytes"):
        seal_token(KEY, "cursor", b"", bytes(8))
