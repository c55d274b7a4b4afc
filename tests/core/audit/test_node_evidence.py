import base64
import dataclasses
import json

import pytest

from exchange.audit import EventName, Evidence, hash_leaf, parse_entry
from exchange.audit.node_evidence import BootOpening, evidence_in, verify_evidence, verify_opening
from exchange.crypto import SignatureError
from exchange.kernel import MalformedError, canonical_bytes
from tests.core.audit.boots import NODE_KEY, Boot, key


def signed(**options):
    boot = Boot()
    boot.write(2)
    boot.sign(**options)
    return boot, parse_entry(boot.written[-1].content)


def with_detail(entry, **fields):
    detail = {**entry["detail"], **fields}
    return {**entry, "detail": {name: value for name, value in detail.items() if value is not None}}


@pytest.mark.parametrize("is_closing", [False, True])
def test_evidence_is_read_as_it_was_stated(is_closing):
    boot, entry = signed(is_closing=is_closing)

    assert evidence_in(entry) == Evidence(2, boot.record_hash(2), is_closing, boot.opening)


def test_later_evidence_carries_no_opening():
    boot, _ = signed()
    boot.sign()

    assert evidence_in(parse_entry(boot.written[-1].content)) == Evidence(3, boot.record_hash(3), False, None)


def test_signed_entry_keeps_its_place_and_has_the_hash_of_its_bytes():
    boot, entry = signed()
    sealed = boot.written[-1]

    assert (sealed.id, sealed.node_seq) == (entry["id"], 3)
    assert sealed.leaf_hash == hash_leaf(sealed.content)
    assert canonical_bytes(entry) == sealed.content


def test_signature_and_certificate_verify():
    boot, entry = signed()

    verify_evidence(entry, boot.key.verifying_key)
    verify_opening(entry, boot.opening, [key(7).verifying_key, NODE_KEY.verifying_key])


def test_node_signs_the_same_words_for_ever():
    boot = Boot()
    key_text = base64.b64encode(boot.key.verifying_key.raw)
    statement = b'exchange boot key v1\n{"boot":"%b","key":"%b","node":"node-1"}' % (boot.id.encode(), key_text)

    NODE_KEY.verifying_key.verify(boot.opening.certificate, statement)


def test_boot_signs_the_whole_entry_without_its_signature():
    boot, entry = signed()
    signature = base64.b64decode(entry["detail"]["signature"])
    unsigned = canonical_bytes(with_detail(entry, signature=None))

    boot.key.verifying_key.verify(signature, b"exchange node evidence v1\n" + unsigned)


CHANGES = {
    "number": {"node_seq": 4},
    "time": {"ts": "2026-01-01T13:00:00Z"},
    "node": {"node": "node-2"},
    "boot": {"boot": "another"},
    "id": {"id": "another"},
    "event": {"type": "service.stopped"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_entry_has_no_signature(change):
    boot, entry = signed()

    with pytest.raises(SignatureError):
        verify_evidence({**entry, **change}, boot.key.verifying_key)


@pytest.mark.parametrize("fields", [{"upto": 1}, {"hash": "AAAA"}, {"state": "closed"}, {"more": "x"}])
def test_changed_statement_has_no_signature(fields):
    boot, entry = signed()

    with pytest.raises(SignatureError):
        verify_evidence(with_detail(entry, **fields), boot.key.verifying_key)


@pytest.mark.parametrize("signature", ["", "no base64", "AAAA"])
def test_what_is_no_signature_is_none(signature):
    boot, entry = signed()

    with pytest.raises(SignatureError):
        verify_evidence(with_detail(entry, signature=signature), boot.key.verifying_key)


def test_signature_of_another_key_is_none():
    _, entry = signed()

    with pytest.raises(SignatureError):
        verify_evidence(entry, NODE_KEY.verifying_key)


@pytest.mark.parametrize("change", [{"node": "node-2"}, {"boot": "another"}])
def test_certificate_is_for_one_boot_of_one_node(change):
    boot, entry = signed()

    with pytest.raises(SignatureError, match=r"^no known node has certified the boot's key$"):
        verify_opening({**entry, **change}, boot.opening, [NODE_KEY.verifying_key])


def test_certificate_is_for_one_key():
    boot, entry = signed()
    other = BootOpening(key(9).verifying_key, boot.opening.certificate)

    with pytest.raises(SignatureError):
        verify_opening(entry, other, [NODE_KEY.verifying_key])
    with pytest.raises(SignatureError):
        verify_opening(entry, boot.opening, [])


def test_other_entries_are_no_evidence():
    boot, entry = signed()

    assert evidence_in(parse_entry(boot.written[0].content)) is None
    assert evidence_in({**entry, "type": EventName.REPORT_READ.value}) is None
    assert evidence_in(with_detail(entry, signature=None)) is None
    assert evidence_in({name: value for name, value in entry.items() if name != "detail"}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"upto": 3},
        {"upto": -1},
        {"upto": True},
        {"upto": "2"},
        {"upto": None},
        {"state": "open"},
        {"state": 1},
        {"state": None},
        {"state": ["running"]},
        {"hash": None},
        {"hash": 1},
        {"hash": "AAAA"},
        {"boot_key": "AAAA"},
        {"boot_key": "?"},
        {"boot_key": 1},
        {"certificate": None},
        {"certificate": "?"},
    ],
    ids=json.dumps,
)
def test_evidence_in_another_form_is_refused(fields):
    _, entry = signed()

    with pytest.raises(MalformedError):
        evidence_in(with_detail(entry, **fields))


UPTO, STATE = "`upto` is no number before the entry's own", "`state` is neither `running` nor `closed`"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"upto": 3}, UPTO),
        ({"upto": -1}, UPTO),
        ({"state": "open"}, STATE),
        ({"state": None}, STATE),
        ({"hash": None}, "`hash` is missing or no text"),
        ({"hash": "AAAA"}, "`hash`: has 3 bytes: a hash has 32"),
        ({"boot_key": "?"}, "`boot_key`: `?` is not base64"),
        ({"boot_key": "AAAA"}, "`boot_key`: 3 bytes are no public key of `ed25519`"),
        ({"certificate": None}, "`certificate` is missing or no text"),
        ({"certificate": "?"}, "`certificate`: `?` is not base64"),
    ],
    ids=json.dumps,
)
def test_refusal_says_what_is_wrong_with_the_evidence(fields, why):
    _, entry = signed()

    with pytest.raises(MalformedError) as caught:
        evidence_in(with_detail(entry, **fields))

    assert caught.value.message == why


def test_signature_that_is_no_base64_is_told():
    boot, entry = signed()

    with pytest.raises(SignatureError, match=r"^`signature`: `\?` is not base64$"):
        verify_evidence(with_detail(entry, signature="?"), boot.key.verifying_key)


def test_evidence_of_nothing_is_evidence():
    boot = Boot()
    boot.sign()

    assert evidence_in(parse_entry(boot.written[0].content)) == Evidence(0, boot.record_hash(0), False, boot.opening)


def test_opening_without_a_certificate_is_not_stated():
    _, entry = signed()
    evidence = evidence_in(entry)

    assert set(dataclasses.replace(evidence, opening=None).as_detail()) == {"upto", "hash", "state"}
