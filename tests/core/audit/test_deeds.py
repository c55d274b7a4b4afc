import hashlib

import pytest

from exchange.audit import (
    Deed,
    DeedKind,
    NoteError,
    NoteSigner,
    SignatureType,
    SignedNote,
    deed_digest,
    read_deed,
    says_as,
    sign_deed,
)
from exchange.crypto import SignatureScheme, SigningKey
from exchange.kernel import CanonicalError, MalformedError

KEY = SigningKey.from_seed(SignatureScheme.ED25519, bytes(range(32)))
SIGNER = NoteSigner("node", SignatureType.ED25519, KEY)
OTHER = NoteSigner("node", SignatureType.ED25519, SigningKey.from_seed(SignatureScheme.ED25519, bytes(range(1, 33))))
DEED = Deed(DeedKind.TOMBSTONE, {"report": "r", "reason": "süd, \n line", "copies": 2})


def signed(text):
    return SignedNote(text, (SIGNER.sign(text, 0),)).render()


@pytest.mark.parametrize("kind", DeedKind)
def test_deed_reads_back_as_it_was_signed(kind):
    deed = Deed(kind, DEED.content)

    assert read_deed(sign_deed(deed, SIGNER, 0), [OTHER.verifier, SIGNER.verifier]) == deed


def test_deed_that_nobody_known_signed_is_not_believed():
    with pytest.raises(NoteError):
        read_deed(sign_deed(DEED, OTHER, 0), [SIGNER.verifier])


def test_deed_altered_after_it_was_signed_is_not_believed():
    note = sign_deed(DEED, SIGNER, 0).replace(b'"copies":2', b'"copies":1')

    with pytest.raises(NoteError):
        read_deed(note, [SIGNER.verifier])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('exchange.will/v1\n{"report":"r"}\n', "`exchange.will/v1` is no kind of deed that this version reads"),
        (
            'exchange.tombstone/v2\n{"report":"r"}\n',
            "`exchange.tombstone/v2` is no kind of deed that this version reads",
        ),
        ("exchange.tombstone/v1\n{\n", "the deed's content is not JSON"),
        ("exchange.tombstone/v1\n[]\n", "the deed's content is not canonical"),
        ('exchange.tombstone/v1\n{"report": "r"}\n', "the deed's content is not canonical"),
        ('exchange.tombstone/v1\n{"report":"r","report":"r"}\n', "the deed's content is not canonical"),
        ('exchange.tombstone/v1\n{"report":"r"}\nmore\n', "the deed's content is not JSON"),
    ],
)
def test_signed_text_that_is_no_deed_is_malformed(text, why):
    with pytest.raises(MalformedError, match=f"^{why}$"):
        read_deed(signed(text), [SIGNER.verifier])


def test_deed_holds_no_number_that_two_readers_could_read_apart():
    with pytest.raises(CanonicalError):
        read_deed(signed('exchange.tombstone/v1\n{"copies":1.5}\n'), [SIGNER.verifier])


def test_what_a_deed_says_is_read_without_its_signature_and_only_whole():
    note = sign_deed(DEED, SIGNER, 0)

    assert says_as(note, DeedKind.TOMBSTONE, {"report": "r", "copies": 2})
    assert not says_as(note, DeedKind.CONSENT, {"report": "r"})
    assert not says_as(note, DeedKind.TOMBSTONE, {"report": "q"})
    assert not says_as(note, DeedKind.TOMBSTONE, {"conditions": None})
    for line in ("{", "[1]", "[" * 5_000, '{"report": "r"}'):
        assert not says_as(signed(f"exchange.tombstone/v1\n{line}\n"), DeedKind.TOMBSTONE, {})
    for other in (b"", signed("exchange.other/v1\n{}\n")):
        assert not says_as(other, DeedKind.TOMBSTONE, {})


def test_an_entry_names_a_deed_by_the_digest_of_the_note():
    assert deed_digest(b"note") == hashlib.sha256(b"note").hexdigest()
