"""What the page of formats says is what the exchange signs and hashes: its code is run, beside the exchange's own."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from exchange.agreements import TAKING_BACK_PURPOSE, TreatyText
from exchange.agreements.treaty import SIGNING_PURPOSE, statement_of
from exchange.audit import DeedKind, hash_leaf, parse_entry
from exchange.client.receipts import KeptReceipt
from exchange.crypto import ObjectSigningKey
from exchange.kernel import canonical_bytes
from exchange.reports import header_as_json, version_digest
from exchange.wire import AgreementEvidenceBody
from tests.core.agreements.worlds import example_json
from tests.core.audit.boots import Boot
from tests.core.reports.worlds import compose

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ID, CLIENT = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"
TEXT = TreatyText(ID, 2, "0" * 64, {**example_json(), "title": "Ærø–Øst “warning”"})
KEY = ObjectSigningKey.new(lambda count: b"k" * count)


@pytest.fixture(scope="module")
def page():
    """The names that the page's code makes, run from top to bottom."""
    made = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(block, made)
    return SimpleNamespace(**made)


def test_canonical_form_is_the_one_of_the_exchange(page):
    value = {"ø": 'Ærø \\ " \n \u2028', "a": [1, None, True, {"z": 2**53 - 1, "b": "\x7f"}]}

    assert page.canonical(value) == canonical_bytes(value)


def test_text_and_statement_are_those_that_are_signed(page):
    digest = page.text_digest(ID, 2, "0" * 64, TEXT.terms)

    assert digest == TEXT.digest
    assert page.statement(ID, 2, digest, "NOR", CLIENT) == statement_of(TEXT, digest, member="NOR", signatory=CLIENT)
    for purpose in (SIGNING_PURPOSE, TAKING_BACK_PURPOSE):
        assert f'message("{purpose}", statement(...))' in PAGE


def test_both_keys_sign_the_message_of_the_page_and_prove_that_they_are_held(page):
    public, made, proof = KEY.verifying_key, KEY.sign(b"words", purpose="agreement"), KEY.prove_possession()
    name = page.key_name(public.ed25519.raw, public.ml_dsa_65.raw)

    assert name == public.key_id
    assert (len(public.ed25519.raw), len(public.ml_dsa_65.raw)) == (32, 1952)
    for signature, message in (
        (made, page.message("agreement", b"words")),
        (proof, page.message("key possession", name.encode())),
    ):
        public.ed25519.verify(signature.ed25519, message)
        public.ml_dsa_65.verify(signature.ml_dsa_65, message)


@pytest.mark.parametrize("version", [1, 3])
def test_version_is_named_by_what_its_reader_has(page, version):
    header = replace(compose(), version=version)
    shown = json.loads(json.dumps(header_as_json(header, status=None, marking=str)))

    assert shown.get("version", 1) == version
    assert page.version_digest(shown) == version_digest(header)


def test_leaf_is_the_hash_of_the_entry(page):
    assert page.leaf_hash(b"{}") == hash_leaf(b"{}")


def test_node_signs_as_the_page_says(page):
    boot = Boot()
    boot.write(2)
    leaves = [each.leaf_hash for each in boot.written]
    boot.sign()
    entry = parse_entry(boot.written[-1].content)
    signature = base64.b64decode(entry["detail"].pop("signature"))

    running = hashlib.sha256(b"exchange boot\n" + entry["boot"].encode() + b"\n" + b"".join(leaves))
    assert entry["detail"]["hash"] == base64.b64encode(running.digest()).decode()
    boot.key.verifying_key.verify(signature, b"exchange node evidence v1\n" + page.canonical(entry))


def test_page_names_every_kind_of_deed_and_every_field_of_a_receipt_and_of_evidence():
    assert all(f"`{kind.value}`" in PAGE for kind in DeedKind)
    assert all(f"`{name}`" in PAGE for name in KeptReceipt.__slots__)
    assert all(f"`{name}`" in PAGE for name in AgreementEvidenceBody.model_fields)
