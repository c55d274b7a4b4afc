import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError, PersonalKey, SearchTokens

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
NUMBERS = st.integers(0, 2**63)


@given(st.binary(max_size=300), st.binary(max_size=80), NUMBERS)
def test_what_is_encrypted_opens_again(plaintext, place, number):
    ciphertext = PersonalKey("kid", KEY).encrypt(number, plaintext, place)

    assert PersonalKey("kid", KEY).decrypt(number, ciphertext, place) == plaintext


@pytest.mark.parametrize(
    ("key", "number", "place", "change"),
    [
        (OTHER, 7, b"here", 0),
        (KEY, 8, b"here", 0),
        (KEY, 7, b"there", 0),
        (KEY, 7, b"here", 1),
        (KEY, 2**96, b"here", 0),
        (KEY, -1, b"here", 0),
    ],
)
def test_nothing_opens_elsewhere(key, number, place, change):
    ciphertext = bytearray(PersonalKey("kid", KEY).encrypt(7, b"who and from where", b"here"))
    ciphertext[3] ^= change

    with pytest.raises(OpeningError, match=r"^personal data, key and entry do not belong together$"):
        PersonalKey("kid", key).decrypt(number, bytes(ciphertext), place)


def test_a_fragment_does_not_open():
    assert PersonalKey("kid", KEY).kid == "kid"
    with pytest.raises(OpeningError):
        PersonalKey("kid", KEY).decrypt(7, b"short", b"here")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_of_another_size_is_none(size):
    with pytest.raises(CryptoError):
        PersonalKey("kid", bytes(size))


def test_search_key_that_is_too_short_is_none():
    with pytest.raises(CryptoError, match="at least 32"):
        SearchTokens(bytes(31))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8::1", "2001:0DB8:0000::0001"),
        ("\ud800", "\ud800"),
        ("not an address", "not an address"),
    ],
)
def test_every_spelling_of_an_address_has_one_token(one, other):
    assert SearchTokens(KEY).of_address(one) == SearchTokens(KEY).of_address(other)


def test_tokens_of_two_kinds_keys_and_texts_are_unlike():
    tokens = SearchTokens(KEY)
    made = [
        tokens.of_address("192.0.2.7"),
        tokens.of_address("192.0.2.8"),
        tokens.of_address("not an address"),
        tokens.of_address("not another one"),
        tokens.of_thumbprint("192.0.2.7"),
        SearchTokens(OTHER).of_address("192.0.2.7"),
    ]

    assert len(set(made)) == len(made)
    assert all(len(token) == 32 and set(token) <= set("0123456789abcdef") for token in made)


def test_token_of_a_thumbprint_ignores_case_and_is_stable():
    # Pinned: who changes it can no longer find what was recorded before.
    assert SearchTokens(bytes(32)).of_thumbprint("AB" * 32) == SearchTokens(bytes(32)).of_thumbprint("ab" * 32)
    assert SearchTokens(bytes(32)).of_thumbprint("AB" * 32) == "07a4317c39fa7865a876a98612966b66"
    assert SearchTokens(bytes(32)).of_address("192.0.2.7") == "7070f5f4ff2596f804f1b997db98ec44"


def test_tokens_are_kept_and_not_without_end(monkeypatch):
    monkeypatch.setattr("exchange.crypto.personal._MOST_TOKENS", 3)
    tokens = SearchTokens(KEY)
    for number in range(10):
        assert tokens.of_address(f"192.0.2.{number}") == tokens.of_address(f"192.0.2.{number}")
        assert len(tokens._kept) == number % 3 + 1


def test_token_that_is_kept_is_not_made_again():
    tokens = SearchTokens(KEY)
    kept = [("address", "192.0.2.7"), ("thumbprint", "AB" * 32)]
    made = [tokens.of_address("192.0.2.7"), tokens.of_thumbprint("AB" * 32)]

    assert tokens._kept == dict(zip(kept, made, strict=True))
    tokens._kept.update(dict.fromkeys(kept, "kept"))
    assert [tokens.of_address("192.0.2.7"), tokens.of_thumbprint("AB" * 32)] == ["kept", "kept"]
