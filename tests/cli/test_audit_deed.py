"""A deed is verified away from the exchange, by the key of the node that signed it and by no other."""

import pytest

from exchange.audit import Deed, DeedKind, NoteSigner, SignatureType, sign_deed
from exchange.crypto import SignatureScheme, SigningKey

ONE, OTHER = (
    NoteSigner("node-1", SignatureType.ED25519, SigningKey.from_seed(SignatureScheme.ED25519, bytes([seed]) * 32))
    for seed in (1, 2)
)
WIPED = Deed(DeedKind.DESTRUCTION, {"report": "report-1", "copies": 2, "parts": ["a", "b"]})


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "certificate.note"
    path.write_bytes(sign_deed(WIPED, ONE, 0))
    return path


def test_deed_is_told_with_what_it_says(exchange, note):
    ran = exchange("audit", "deed", note, "--node-key", ONE.verifier, "--json")

    assert ran.code == 0
    assert ran.json == {"id": str(note), "kind": "destruction", "content": dict(WIPED.content)}
    assert '["a", "b"]' in exchange("audit", "deed", note, "--node-key", ONE.verifier).out


@pytest.mark.parametrize(("keys", "code"), [([OTHER.verifier], 1), ([], 2)])
def test_deed_that_no_named_key_signed_proves_nothing(exchange, note, keys, code):
    ran = exchange("audit", "deed", note, *(word for key in keys for word in ("--node-key", key)))

    assert (ran.code, ran.out) == (code, "")


@pytest.mark.parametrize("made", [lambda note: note.replace(b'"copies":2', b'"copies":1'), lambda _: b"hello"])
def test_deed_that_was_changed_proves_nothing(exchange, note, made):
    note.write_bytes(made(note.read_bytes()))

    ran = exchange("audit", "deed", note, "--node-key", ONE.verifier)

    assert (ran.code, ran.out) == (1, "")
    assert "proves nothing" in ran.err
