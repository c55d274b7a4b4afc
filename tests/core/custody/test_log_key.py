"""The keys of a log: kept like the roots, and every one of them has to have signed."""

import base64
import hashlib
import json
import secrets
import stat
from dataclasses import replace

import pytest

from exchange.audit import Checkpoint, NoteError, SignatureType, SignedNote, TreeHead, parse_note, parse_verifier_key
from exchange.audit.note_keys import verify_note
from exchange.custody import (
    LOG_KEY_MEND,
    checkpoint_signed_by,
    create_log_key,
    load_log_key,
    replace_log_key,
    stated_seconds,
)
from exchange.custody.guarded import replacement_path
from exchange.kernel import ConflictError, MalformedError, UnsafeSettingError

ORIGIN = "exchange.example/log/1"
HEAD = TreeHead(7, hashlib.sha256(b"a root").digest())
AT = 1_772_323_200
SEEDS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.key"


def scripted(*seeds):
    """Return randomness that was written down before."""
    rest = list(seeds)

    def take(size):
        assert size == 32
        return rest.pop(0)

    return take


def row(name, seed, **changes):
    return {"type": name, "seed": base64.b64encode(seed).decode()} | changes


ROWS = (row("ed25519", SEEDS[0]), row("ml-dsa-44", SEEDS[1]))


def rendered(*rows, **changes):
    return {"format": 1, "kind": "log", "origin": ORIGIN, "keys": list(rows)} | changes


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


def names_in(folder):
    return [path.name for path in folder.iterdir()]


# ── writing ──


@pytest.mark.parametrize("write", [create_log_key, replace_log_key])
def test_new_file_is_the_owners_alone_and_has_the_published_format(path, write):
    key = write(path, ORIGIN, scripted(SEEDS[0], SEEDS[1]))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == json.dumps(rendered(*ROWS), indent=1) + "\n"
    assert names_in(path.parent) == ["log.key"]
    assert load_log_key(path).verifier_keys == key.verifier_keys


def test_file_is_never_overwritten(path):
    create_log_key(path, ORIGIN, secrets.token_bytes)
    before = path.read_bytes()

    with pytest.raises(ConflictError, match=f"key file `{path}` exists: keys are never overwritten"):
        create_log_key(path, ORIGIN, secrets.token_bytes)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["log.key"]


def test_keys_of_the_next_log_take_the_place_of_those_before(path):
    before = create_log_key(path, ORIGIN, secrets.token_bytes)
    after = replace_log_key(path, "exchange.example/log/2", secrets.token_bytes)

    loaded = load_log_key(path)
    assert (loaded.origin, loaded.verifier_keys) == ("exchange.example/log/2", after.verifier_keys)
    assert {signer.key for signer in loaded.signers}.isdisjoint(signer.key for signer in before.signers)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(path.parent) == ["log.key"]


@pytest.mark.parametrize("write", [create_log_key, replace_log_key])
@pytest.mark.parametrize("origin", ["", "a log", "a+b", "log\n"])
def test_origin_that_can_name_no_key_is_never_written(path, write, origin):
    with pytest.raises(MalformedError, match="cannot name a key"):
        write(path, origin, secrets.token_bytes)
    assert names_in(path.parent) == []


@pytest.mark.parametrize("write", [create_log_key, replace_log_key])
def test_two_writers_never_meet(path, write):
    replacement_path(path).touch()

    with pytest.raises(ConflictError, match="somebody is writing keys now"):
        write(path, ORIGIN, secrets.token_bytes)
    assert names_in(path.parent) == [".log.key.new"]


# ── reading ──


def test_order_of_the_keys_in_the_file_is_no_matter(path):
    one, other = load_log_key(written(path, rendered(*ROWS))), load_log_key(written(path, rendered(*ROWS[::-1])))

    assert one.verifier_keys == other.verifier_keys
    assert [signer.type for signer in other.signers] == [SignatureType.ED25519, SignatureType.ML_DSA_44_COSIGNATURE]


def test_missing_file_says_where_one_comes_from(path):
    with pytest.raises(UnsafeSettingError) as caught:
        load_log_key(path)

    assert str(caught.value) == f"key file `{path}` is missing: {LOG_KEY_MEND}"


def test_file_that_others_can_read_refuses(path):
    written(path, rendered(*ROWS)).chmod(0o640)

    with pytest.raises(UnsafeSettingError, match="chmod 600"):
        load_log_key(path)


def test_dangling_link_is_a_link_and_no_missing_file(path):
    path.symlink_to("elsewhere")

    with pytest.raises(UnsafeSettingError, match="is a symbolic link"):
        load_log_key(path)


def no(name):
    return {key: value for key, value in rendered(*ROWS).items() if key != name}


DAMAGED = {
    "no JSON": "{",
    "no octets of text": "\udcff",
    "too deep": "[" * 100_000,
    "a list": [rendered(*ROWS)],
    "another format": rendered(*ROWS, format=2),
    "another kind": rendered(*ROWS, kind="file"),
    "a field too many": rendered(*ROWS, more=1),
    "origin no text": rendered(*ROWS, origin=7),
    "origin no name": rendered(*ROWS, origin="a log"),
    "no format": no("format"),
    "no kind": no("kind"),
    "no origin": no("origin"),
    "no keys": no("keys"),
    "keys no list": rendered(keys={"ed25519": "x"}),
    "none": rendered(),
    "one of two": rendered(ROWS[0]),
    "the other of two": rendered(ROWS[1]),
    "one twice": rendered(*ROWS, ROWS[1]),
    "one twice, another seed": rendered(*ROWS, row("ed25519", SEEDS[2])),
    "unknown beside them": rendered(*ROWS, row("rsa", SEEDS[2])),
    "unknown in place": rendered(ROWS[0], row("rsa", SEEDS[1])),
    "key a text": rendered(ROWS[0], "ml-dsa-44"),
    "key without type": rendered(ROWS[0], {"seed": ROWS[1]["seed"]}),
    "key without seed": rendered(ROWS[0], {"type": "ml-dsa-44"}),
    "key with more": rendered(ROWS[0], ROWS[1] | {"name": "x"}),
    "type no text": rendered(ROWS[0], ROWS[1] | {"type": 6}),
    "seed no text": rendered(ROWS[0], ROWS[1] | {"seed": 6}),
    "seed no base64": rendered(ROWS[0], ROWS[1] | {"seed": "*" + ROWS[1]["seed"]}),
    "seed too short": rendered(ROWS[0], row("ml-dsa-44", SEEDS[1][:31])),
    "seed too long": rendered(ROWS[0], row("ml-dsa-44", SEEDS[1] + b"x")),
    "the same seed": rendered(ROWS[0], row("ml-dsa-44", SEEDS[0])),
    "zeros": rendered(ROWS[0], row("ml-dsa-44", bytes(32))),
    "zeros in the first": rendered(row("ed25519", bytes(32)), ROWS[1]),
    "fifteen octets": rendered(ROWS[0], row("ml-dsa-44", bytes(range(15)) + bytes(17))),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_file_refuses_and_quotes_no_key(path, content):
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(errors="surrogateescape"))
    path.chmod(0o600)

    with pytest.raises(UnsafeSettingError) as caught:
        load_log_key(path)
    assert str(caught.value) == f"key file `{path}` is damaged: put it back from the escrow"


def test_sixteen_distinct_octets_are_enough(path):
    seed = bytes(range(16)) * 2

    assert len(load_log_key(written(path, rendered(ROWS[0], row("ml-dsa-44", seed)))).signers) == 2


# ── signing ──


@pytest.fixture
def key(path):
    return create_log_key(path, ORIGIN, scripted(SEEDS[0], SEEDS[1]))


def keys_of(key):
    return [parse_verifier_key(line) for line in key.verifier_keys.splitlines()]


def test_verifier_keys_stand_one_per_line_under_the_origin(key):
    assert key.verifier_keys.endswith("\n")
    assert [(each.name, each.type) for each in keys_of(key)] == [
        (ORIGIN, SignatureType.ED25519),
        (ORIGIN, SignatureType.ML_DSA_44_COSIGNATURE),
    ]


def test_what_was_signed_is_the_checkpoint_of_the_head(key):
    assert checkpoint_signed_by(key.verifier_keys, key.sign(HEAD, AT)) == Checkpoint(ORIGIN, HEAD)


def test_both_sign_and_only_one_states_the_time(key):
    attested = verify_note(parse_note(key.sign(HEAD, AT)), keys_of(key))

    assert [(each.key.type, each.at_seconds) for each in attested] == [
        (SignatureType.ED25519, None),
        (SignatureType.ML_DSA_44_COSIGNATURE, AT),
    ]


def test_time_is_what_is_stated_by_who_signed_and_nothing_where_nobody_states_one(key):
    ed25519, ml_dsa = (f"{line}\n" for line in key.verifier_keys.splitlines())
    note = key.sign(HEAD, AT)

    assert [stated_seconds(keys, note) for keys in (key.verifier_keys, ml_dsa, ed25519)] == [AT, AT, 0]
    with pytest.raises(NoteError):
        stated_seconds(key.verifier_keys, note.replace(b"\n7\n", b"\n8\n"))


@pytest.mark.parametrize("kept", [0, 1])
def test_note_that_one_key_did_not_sign_refuses(key, kept):
    note = parse_note(key.sign(HEAD, AT))
    half = replace(note, signatures=(note.signatures[kept],))

    with pytest.raises(NoteError, match="no known key"):
        checkpoint_signed_by(key.verifier_keys, half.render())


def test_note_of_another_text_refuses(key):
    note = parse_note(key.sign(HEAD, AT))
    other = replace(note, text=Checkpoint(ORIGIN, replace(HEAD, size=8)).text)

    with pytest.raises(NoteError, match="is wrong"):
        checkpoint_signed_by(key.verifier_keys, other.render())


def test_note_of_other_keys_refuses(key, tmp_path):
    other = create_log_key(tmp_path / "other.key", ORIGIN, secrets.token_bytes)

    with pytest.raises(NoteError, match="no known key"):
        checkpoint_signed_by(key.verifier_keys, other.sign(HEAD, AT))


def test_no_keys_vouch_for_nothing(key):
    with pytest.raises(NoteError, match=r"^there is no key that could have signed the note$"):
        checkpoint_signed_by("", key.sign(HEAD, AT))


def test_signed_text_that_is_no_checkpoint_refuses(key):
    signer = key.signers[0]
    note = SignedNote("not a checkpoint\n", (signer.sign("not a checkpoint\n", AT),))

    with pytest.raises(MalformedError, match="three lines"):
        checkpoint_signed_by(f"{signer.verifier}\n", note.render())
