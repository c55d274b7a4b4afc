import base64
import hashlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.audit import (
    Attestation,
    Checkpoint,
    NoteError,
    NoteSignature,
    NoteSigner,
    SignatureType,
    SignedNote,
    TreeHead,
    VerifierKey,
    hash_leaf,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    verify_note,
)
from exchange.crypto import CryptoError, SignatureScheme, SigningKey, VerifyingKey
from exchange.kernel import MalformedError

ED25519 = SigningKey.from_seed(SignatureScheme.ED25519, bytes(range(32)))
ML_DSA_44 = SigningKey.from_seed(SignatureScheme.ML_DSA_44, bytes(range(32)))
LOG = NoteSigner("exchange.example/log/1", SignatureType.ED25519, ED25519)
LOG_ML_DSA = NoteSigner("exchange.example/log/1", SignatureType.ML_DSA_44_COSIGNATURE, ML_DSA_44)
WITNESS = NoteSigner("witness.example/w1", SignatureType.ED25519_COSIGNATURE, ED25519)
WITNESS_ML_DSA = NoteSigner("witness.example/w1", SignatureType.ML_DSA_44_COSIGNATURE, ML_DSA_44)
SIGNERS = [LOG, LOG_ML_DSA, WITNESS, WITNESS_ML_DSA]
COSIGNERS = [WITNESS, WITNESS_ML_DSA]
EACH_SIGNER = pytest.mark.parametrize("signer", SIGNERS, ids=lambda each: f"{each.name}-{each.type.name}")
EACH_COSIGNER = pytest.mark.parametrize("signer", COSIGNERS, ids=lambda each: each.type.name)
NOW = 1_679_315_147
PUBLISHED = {
    vector["name"]: vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors" / "signed_notes.json").read_text("utf-8"))["notes"]
}
EXAMPLE_KEY = PUBLISHED["signed-note"]["key"]
CHECKPOINT = Checkpoint("exchange.example/log/1", TreeHead(42, bytes(range(32))))
TEXT = CHECKPOINT.text


def signed(*signers, text=TEXT, at=NOW):
    return SignedNote(text, tuple(signer.sign(text, at) for signer in signers))


def test_published_notes_verify():
    for vector in (PUBLISHED["signed-note"], PUBLISHED["go-sumdb"]):
        key = parse_verifier_key(vector["key"])

        assert str(key) == vector["key"]
        assert verify_note(parse_note(vector["note"].encode()), [key]) == (Attestation(key, None),)


def test_published_ml_dsa_log_verifies():
    vector = PUBLISHED["ml-dsa-log"]
    key = SigningKey.from_seed(SignatureScheme.ML_DSA_44, bytes.fromhex(vector["seed"]))
    verifier = NoteSigner(vector["origin"], SignatureType.ML_DSA_44_COSIGNATURE, key).verifier
    note = parse_note(vector["note"].encode())

    assert verifier.key_id.hex() == vector["key_id"]
    assert verify_note(note, [verifier]) == (Attestation(verifier, None),)
    assert parse_checkpoint(note.text).head == TreeHead(1, hash_leaf(vector["leaf"].encode()))


def test_published_note_with_another_text_is_refused():
    vector = PUBLISHED["signed-note"]
    note = parse_note(vector["note"].replace("an example", "no example").encode())
    with pytest.raises(NoteError, match=r"^the signature of `example\.com/foo` \(key id 530d903a\) is wrong: "):
        verify_note(note, [parse_verifier_key(vector["key"])])


def test_types_are_those_of_the_spec():
    assert [(each.value, each.scheme, each.is_cosignature) for each in SignatureType] == [
        (0x01, SignatureScheme.ED25519, False),
        (0x04, SignatureScheme.ED25519, True),
        (0x06, SignatureScheme.ML_DSA_44, True),
    ]


@EACH_SIGNER
def test_key_id_is_the_one_of_the_spec(signer):
    typed = bytes([signer.type.value]) + signer.key.verifying_key.raw

    assert signer.verifier.key_id == hashlib.sha256(signer.name.encode() + b"\n" + typed).digest()[:4]
    assert str(signer.verifier) == f"{signer.name}+{signer.verifier.key_id.hex()}+{base64.b64encode(typed).decode()}"


@EACH_SIGNER
def test_verifier_key_comes_back_from_its_text(signer):
    assert parse_verifier_key(str(signer.verifier)) == signer.verifier


@EACH_SIGNER
def test_signature_verifies_with_the_key_in_text(signer):
    key = parse_verifier_key(str(signer.verifier))
    note = parse_note(signed(signer).render())

    assert verify_note(note, [key]) == (Attestation(key, NOW if signer.type.is_cosignature else None),)


def test_log_signs_the_text_as_it_is():
    signature = LOG.sign("any text\n", NOW)

    assert signature == NoteSignature(LOG.name, LOG.verifier.key_id, ED25519.sign(b"any text\n"))
    assert LOG.sign("any text\n", -1) == signature


def test_ed25519_cosignature_is_over_time_and_text():
    signature = WITNESS.sign(TEXT, NOW)
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()

    assert signature == NoteSignature(
        WITNESS.name, WITNESS.verifier.key_id, struct.pack(">Q", NOW) + ED25519.sign(message)
    )


@EACH_COSIGNER
def test_cosignature_begins_with_its_time(signer):
    assert signer.sign(TEXT, NOW).signature[:8] == struct.pack(">Q", NOW)
    assert len(signer.sign(TEXT, NOW).signature) == (72 if signer is WITNESS else 2428)


def test_ml_dsa_cosignature_is_over_names_time_range_and_root():
    signature = WITNESS_ML_DSA.sign(Checkpoint(CHECKPOINT.origin, CHECKPOINT.head, ("extension",)).text, NOW)
    name, origin = WITNESS_ML_DSA.name.encode(), CHECKPOINT.origin.encode()
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name + struct.pack(">Q", NOW)
    message += bytes([len(origin)]) + origin + struct.pack(">QQ", 0, 42) + CHECKPOINT.root

    assert signature.key_id == WITNESS_ML_DSA.verifier.key_id
    ML_DSA_44.verifying_key.verify(signature.signature[8:], message)


def test_extension_lines_are_covered_by_ed25519_only():
    extended = Checkpoint(CHECKPOINT.origin, CHECKPOINT.head, ("extension",)).text
    for signer in SIGNERS:
        note = SignedNote(extended, signed(signer).signatures)
        if signer.type is SignatureType.ML_DSA_44_COSIGNATURE:
            assert verify_note(note, [signer.verifier])
        else:
            with pytest.raises(NoteError):
                verify_note(note, [signer.verifier])


@EACH_SIGNER
@pytest.mark.parametrize(
    "other",
    [
        Checkpoint("exchange.example/log/2", CHECKPOINT.head),
        Checkpoint(CHECKPOINT.origin, TreeHead(43, CHECKPOINT.root)),
        Checkpoint(CHECKPOINT.origin, TreeHead(42, bytes(32))),
    ],
)
def test_signature_of_one_checkpoint_is_none_of_another(signer, other):
    with pytest.raises(NoteError) as caught:
        verify_note(SignedNote(other.text, signed(signer).signatures), [signer.verifier])

    key_id, scheme = signer.verifier.key_id.hex(), signer.key.scheme.value
    assert str(caught.value) == (
        f"the signature of `{signer.name}` (key id {key_id}) is wrong:"
        f" the signature is not of this `{scheme}` key over this message"
    )
    assert caught.value.code == "note-invalid"


@EACH_SIGNER
@settings(max_examples=15)
@given(place=st.integers(0, 71), mask=st.integers(1, 255), data=st.data())
def test_damaged_signature_is_refused(signer, place, mask, data):
    (signature,) = signed(signer).signatures
    made = bytearray(signature.signature)
    made[place % len(made)] ^= mask
    wrong = NoteSignature(signature.name, signature.key_id, bytes(made))
    with pytest.raises(NoteError):
        verify_note(SignedNote(TEXT, (wrong,)), [signer.verifier])


@EACH_SIGNER
@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 71, 2427])
def test_signature_of_another_length_is_refused(signer, size):
    (signature,) = signed(signer).signatures
    made = (signature.signature * 40)[:size]
    if made != signature.signature:
        with pytest.raises(NoteError):
            verify_note(SignedNote(TEXT, (NoteSignature(signature.name, signature.key_id, made),)), [signer.verifier])


def test_unknown_keys_are_passed_over():
    stranger = NoteSigner(
        "stranger.example", SignatureType.ED25519, SigningKey.from_seed(SignatureScheme.ED25519, bytes(32))
    )
    nonsense = NoteSignature("stranger.example/2", b"\0\0\0\1", b"nonsense")
    note = signed(stranger, LOG, WITNESS).with_signatures(nonsense)

    assert verify_note(note, [WITNESS.verifier, LOG.verifier]) == (
        Attestation(LOG.verifier, None),
        Attestation(WITNESS.verifier, NOW),
    )


def test_key_is_known_by_name_and_id_together():
    name_only = NoteSignature(LOG.name, b"\0\0\0\1", b"nonsense")
    id_only = NoteSignature("other.example", LOG.verifier.key_id, b"nonsense")

    note = signed(LOG).with_signatures(name_only, id_only)
    assert verify_note(note, [LOG.verifier]) == (Attestation(LOG.verifier, None),)


@pytest.mark.parametrize("signers", [[LOG], [WITNESS, LOG_ML_DSA]])
def test_note_that_no_known_key_signed_is_refused(signers):
    for keys in ([], [WITNESS_ML_DSA.verifier]):
        with pytest.raises(NoteError, match=r"^no known key has signed the note$"):
            verify_note(signed(*signers), keys)


def test_one_wrong_signature_of_a_known_key_refuses_the_note():
    wrong = NoteSignature(WITNESS.name, WITNESS.verifier.key_id, bytes(72))
    for note in (signed(LOG).with_signatures(wrong), SignedNote(TEXT, (wrong, *signed(LOG).signatures))):
        with pytest.raises(NoteError, match=r"^the signature of `witness\.example/w1`"):
            verify_note(note, [LOG.verifier, WITNESS.verifier])

        assert verify_note(note, [LOG.verifier]) == (Attestation(LOG.verifier, None),)


def test_every_signature_of_a_known_key_counts():
    twice = signed(WITNESS).with_signatures(*signed(WITNESS, at=NOW + 5).signatures)

    assert [each.at_seconds for each in verify_note(twice, [WITNESS.verifier])] == [NOW, NOW + 5]


@EACH_COSIGNER
def test_cosigner_that_states_no_time_attests_none(signer):
    assert verify_note(signed(signer, at=0), [signer.verifier]) == (Attestation(signer.verifier, None),)
    assert verify_note(signed(signer, at=1), [signer.verifier]) == (Attestation(signer.verifier, 1),)


@EACH_COSIGNER
def test_time_of_a_cosignature_has_63_bits(signer):
    largest = 2**63 - 1
    assert verify_note(signed(signer, at=largest), [signer.verifier])[0].at_seconds == largest
    for at in (-1, 2**63):
        with pytest.raises(MalformedError, match=rf"^time {at} of a cosignature: it must be within 0 to {largest}$"):
            signer.sign(TEXT, at)


@EACH_COSIGNER
def test_later_time_than_that_is_refused(signer):
    made = struct.pack(">Q", 2**63) + signer.sign(TEXT, NOW).signature[8:]
    note = SignedNote(TEXT, (NoteSignature(signer.name, signer.verifier.key_id, made),))
    with pytest.raises(NoteError, match=r"is wrong: time 9223372036854775808 of a cosignature: "):
        verify_note(note, [signer.verifier])


@EACH_COSIGNER
def test_cosignature_is_for_checkpoints_only(signer):
    with pytest.raises(MalformedError, match=r"^checkpoint needs three lines"):
        signer.sign("any text\n", NOW)
    note = SignedNote("any text\n", signed(signer).signatures)
    with pytest.raises(NoteError, match=r"is wrong: checkpoint needs three lines"):
        verify_note(note, [signer.verifier])


def test_ml_dsa_signs_names_of_at_most_255_bytes():
    for size, fits in ((255, True), (256, False)):
        named = NoteSigner("é" * (size // 2) + "n" * (size % 2), SignatureType.ML_DSA_44_COSIGNATURE, ML_DSA_44)
        log = Checkpoint("o" * size, CHECKPOINT.head).text
        if fits:
            assert verify_note(signed(named, text=log), [named.verifier])
        else:
            with pytest.raises(MalformedError, match=r"^`é{80}` has 256 bytes: ML-DSA-44 signs names up to 255$"):
                named.sign(TEXT, NOW)
            with pytest.raises(MalformedError, match=r"^`o{80}` has 256 bytes: ML-DSA-44 signs names up to 255$"):
                WITNESS_ML_DSA.sign(log, NOW)


def vkey(name, typed, key_id=None):
    found = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() if key_id is None else key_id
    return f"{name}+{found}+{base64.b64encode(typed).decode()}"


RAW = ED25519.verifying_key.raw


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`` is no verifier key: write `<name>+<id>+<base64>`"),
        ("name", "`name` is no verifier key: write `<name>+<id>+<base64>`"),
        ("name+00000000", "`name+00000000` is no verifier key: write `<name>+<id>+<base64>`"),
        (f"+{EXAMPLE_KEY.partition('+')[2]}", "'' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na me+00000000+AQ==", "'na me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na\udcffme+00000000+AQ==", "'na\\udcffme' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na\ud800me+00000000+AQ==", "'na\\ud800me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na\udfffme+00000000+AQ==", "'na\\udfffme' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na\0me+00000000+AQ==", "'na\\x00me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("na\x01me+00000000+AQ==", "'na\\x01me' cannot name a key: it is empty, or has a space, a plus or worse"),
        ("name+00000000+", "verifier key of `name` is of no known type: "),
        ("name+00000000+!", "verifier key of `name`: `!` is not base64"),
        (f"{EXAMPLE_KEY}\n", "verifier key of `example.com/foo`: `AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv` is not base64"),
        (vkey("name", b"\x02" + RAW), "verifier key of `name` is of no known type: 02"),
        (vkey("name", b"\x00" + RAW), "verifier key of `name` is of no known type: 00"),
        (vkey("name", b"\xff" + RAW), "verifier key of `name` is of no known type: ff"),
        (vkey("name", b"\x01"), "verifier key of `name`: 0 bytes are no public key of `ed25519`"),
        (vkey("name", b"\x01" + RAW[1:]), "verifier key of `name`: 31 bytes are no public key of `ed25519`"),
        (vkey("name", b"\x04" + RAW + b"\0"), "verifier key of `name`: 33 bytes are no public key of `ed25519`"),
        (vkey("name", b"\x06" + RAW), "verifier key of `name`: 32 bytes are no public key of `ml-dsa-44`"),
        (EXAMPLE_KEY.replace("530d903a", "530d90"), "verifier key of `example.com/foo` has the id 530d903a, not `530d90`"),
        (EXAMPLE_KEY.replace("530d903a", ""), "verifier key of `example.com/foo` has the id 530d903a, not ``"),
        (EXAMPLE_KEY.replace("530d", "530D"), "verifier key of `example.com/foo` has the id 530d903a, not `530D903a`"),
        (EXAMPLE_KEY.replace("530d", "0530d"), "verifier key of `example.com/foo` has the id 530d903a, not `0530d903a`"),
        (vkey("name", b"\x01" + RAW, "0" * 20), f"verifier key of `name` has the id {VerifierKey('name', SignatureType.ED25519, ED25519.verifying_key).key_id.hex()}, not `{'0' * 16}`"),
    ],
)  # fmt: skip
def test_other_text_is_no_verifier_key(text, message):
    with pytest.raises(MalformedError) as caught:
        parse_verifier_key(text)

    assert str(caught.value) == message


def test_long_text_is_quoted_in_brief():
    with pytest.raises(MalformedError, match=r"^`x{80}` is no verifier key"):
        parse_verifier_key("x" * 81)
    for typed in ("!", "Ag==", "AQ=="):
        with pytest.raises(MalformedError, match=r"^verifier key of `x{80}`"):
            parse_verifier_key(f"{'x' * 81}+00000000+{typed}")
    with pytest.raises(MalformedError, match=r"^verifier key of `x{80}` has"):
        parse_verifier_key(vkey("x" * 81, b"\x01" + RAW, "00"))


def test_key_of_another_scheme_is_refused():
    for signature_type, key, name in ((SignatureType.ED25519, ML_DSA_44, "ml-dsa-44"), (SignatureType.ML_DSA_44_COSIGNATURE, ED25519, "ed25519")):  # fmt: skip
        with pytest.raises(CryptoError) as caught:
            VerifierKey("name", signature_type, key.verifying_key)

        assert str(caught.value) == f"a `{name}` key cannot make signatures of type 0x0{signature_type.value}"


def test_key_has_a_name():
    with pytest.raises(MalformedError, match=r"cannot name a key"):
        VerifierKey("two words", SignatureType.ED25519, VerifyingKey(SignatureScheme.ED25519, RAW))
