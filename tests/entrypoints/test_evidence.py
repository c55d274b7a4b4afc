"""The file that proves an agreement: it says one thing in one place, and nothing beside what was signed."""

import json
from datetime import UTC, datetime

import pytest

from exchange.agreements import SignatoryKey, SignedText, TextSignature, TreatyText, sign_text, verify_texts
from exchange.crypto import ObjectSigningKey
from exchange.kernel import InvalidError
from exchange.wire import AgreementEvidenceBody, read_evidence
from tests.core.agreements.worlds import example_json

AGREEMENT, CLIENT, ENTRY = (f"01980000-0000-7000-8000-00000000000{digit}" for digit in "123")
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXT = TreatyText(AGREEMENT, 1, None, example_json())


@pytest.fixture(scope="module")
def written():
    key = ObjectSigningKey.new(lambda count: b"k" * count)
    made = sign_text(TEXT, key, member="GBR", signatory=CLIENT)
    signature = TextSignature(TEXT.digest, "GBR", CLIENT, key.verifying_key, made, AT)
    enrolled = SignatoryKey(key.verifying_key, CLIENT, "GBR", AT, None, ENTRY)
    body = AgreementEvidenceBody.of(AGREEMENT, [SignedText(TEXT, TEXT.digest, (signature,))], [enrolled])
    return body.model_dump_json(indent=1)


def changed(written, *path, value):
    whole = json.loads(written)
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(whole).encode()


def test_what_was_written_is_read_in_any_layout(written):
    body = read_evidence(json.dumps(json.loads(written), sort_keys=True).encode())

    assert body == AgreementEvidenceBody.model_validate_json(written)
    told = {each.told: each.is_good for each in verify_texts(body.to_texts(), body.to_keys())}
    assert told[f"text {TEXT.digest}"]
    assert told[f"signed by GBR with key {body.keys[0].key[:16]}"]


@pytest.mark.parametrize("name", ["texts", "ceiling", "title", "member", "retired_at"])
def test_name_that_stands_twice_is_refused(written, name):
    # The second one is what was signed: a reader that takes the first one sees something else.
    twice = written.replace(f'"{name}":', f'"{name}":null,"{name}":', 1)

    with pytest.raises(InvalidError, match="a name stands twice in one object"):
        read_evidence(twice.encode())


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("summary",), "up to TOP SECRET", "`/summary` is nothing that an export has there"),
        (("texts", 0, "summary"), "up to TOP SECRET", "`/texts/0/summary` is nothing"),
        (("texts", 0, "signatures", 0, "name"), "The Minister", "`/texts/0/signatures/0/name` is nothing"),
        (("texts", 0, "signatures", 0, "signed_at"), "2026-01-31T13:00:00+01:00", "signed_at` is nothing"),
        (("keys", 0, "holder"), "The Minister", "`/keys/0/holder` is nothing"),
        (("format",), 2, "it is of format 2: this version reads 1"),
        (("texts", 0, "edition"), "1", "`/texts/0/edition` is not as an export has it"),
    ],
)
def test_what_no_signature_covers_is_refused_beside_what_one_does(written, path, value, told):
    with pytest.raises(InvalidError, match=told):
        read_evidence(changed(written, *path, value=value))


def test_second_spelling_of_a_signature_is_refused(written):
    spelt = json.loads(written)["texts"][0]["signatures"][0]["signature"]["ed25519"]
    another = f"{spelt[:-3]}{chr(ord(spelt[-3]) + 1)}=="

    with pytest.raises(InvalidError, match="/texts/0/signatures/0/signature/ed25519"):
        read_evidence(written.replace(spelt, another).encode())


def test_key_under_another_name_or_twice_is_refused(written):
    (key,) = json.loads(written)["keys"]
    named = read_evidence(changed(written, "keys", 0, "key", value="0" * 64))
    twice = read_evidence(changed(written, "keys", value=[key, {**key, "retired_at": "2026-01-31T12:00:00Z"}]))

    for body in (named, twice):
        with pytest.raises(InvalidError, match="stands twice, or is another one than its name says"):
            body.to_keys()


def test_what_is_no_json_is_no_evidence():
    with pytest.raises(InvalidError, match="the body is not JSON"):
        read_evidence(b"{}x")
