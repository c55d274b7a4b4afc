import itertools

import pytest

from exchange.crypto import HEADER_SUITE, PART_SUITE, WRAP_SUITE, CryptoError, Suite, require_suite, suite_named


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        (Suite.PART, "cobblestone-256"),
        (Suite.HEADER, "aes-256-gcm+agreement-key"),
        (Suite.WRAP, "aes-256-gcm"),
    ],
)
def test_suite_ids_never_change(suite, name):
    assert suite_named(name) is suite
    assert suite.value == name
    require_suite(name, suite)


def test_constants_are_the_ids():
    assert [suite.value for suite in Suite] == [PART_SUITE, HEADER_SUITE, WRAP_SUITE]


@pytest.mark.parametrize("name", ["", "none", "AES-256-GCM", "aes-128-gcm", "aes-256-gcm ", "cobblestone-128"])
def test_unknown_suite_refuses(name):
    with pytest.raises(CryptoError) as caught:
        suite_named(name)

    known = "`cobblestone-256`, `aes-256-gcm+agreement-key`, `aes-256-gcm`"
    assert str(caught.value) == f"unknown suite `{name}`: this version opens {known}"


def test_unknown_suite_is_quoted_in_brief():
    with pytest.raises(CryptoError, match=f"`{'x' * 40}`:"):
        suite_named("x" * 41)


@pytest.mark.parametrize(("suite", "other"), list(itertools.permutations(Suite, 2)))
def test_ciphertext_is_never_tried_under_another_suite(suite, other):
    with pytest.raises(CryptoError) as caught:
        require_suite(suite.value, other)

    assert str(caught.value) == f"suite `{suite.value}` where `{other.value}` belongs"
