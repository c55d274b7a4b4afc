"""`exchange agreement verify` on a file that somebody brings: what it proves, and what only a key of one's own does."""

from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from exchange.agreements import SignatoryKey, SignedText, TextSignature, TreatyText, sign_text
from exchange.cli.treaties import amend
from exchange.crypto import ObjectSigningKey
from exchange.wire import AgreementEvidenceBody, SignatoryKeyOffer
from tests.core.agreements.worlds import example_json

AGREEMENT, ENTRY = (f"01980000-0000-7000-8000-00000000000{digit}" for digit in "12")
CLIENTS = {member: f"01980000-0000-7000-8000-00000000001{at}" for at, member in enumerate(("GBR", "NOR", "DNK"))}
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXT = TreatyText(AGREEMENT, 1, None, example_json())


@pytest.fixture
def invented(tmp_path):
    """An agreement that no state has signed, with keys that its maker made, and the public file of each."""
    signatures, keys, offers = [], [], []
    for at, (member, client) in enumerate(CLIENTS.items()):
        key = ObjectSigningKey.new(lambda count, at=at: bytes([at]) * count)
        made = sign_text(TEXT, key, member=member, signatory=client)
        signatures.append(TextSignature(TEXT.digest, member, client, key.verifying_key, made, AT))
        keys.append(SignatoryKey(key.verifying_key, client, member, AT, None, ENTRY))
        offers.append(tmp_path / f"{member}.pub")
        offers[-1].write_text(SignatoryKeyOffer.of(key).model_dump_json())
    body = AgreementEvidenceBody.of(AGREEMENT, [SignedText(TEXT, TEXT.digest, tuple(signatures))], keys)
    path = tmp_path / "agreement.json"
    path.write_text(body.model_dump_json())
    return path, offers


def test_keys_of_the_file_alone_are_told_to_be_its_word(exchange, invented):
    path, _ = invented
    ran, told = exchange("agreement", "verify", path), exchange("agreement", "verify", path, "--json")

    assert (ran.code, told.code) == (0, 0)
    assert "whose the keys are, this file alone says" in ran.err
    assert (told.json["ok"], told.json["keys_trusted"]) == (True, False)


def test_keys_that_were_given_are_trusted_and_no_others(exchange, invented):
    path, offers = invented
    named = [word for offer in offers for word in ("--key", offer)]
    ran, fewer = (exchange("agreement", "verify", path, *words, "--json") for words in (named, named[:4]))

    assert (ran.code, ran.err, ran.json["ok"], ran.json["keys_trusted"]) == (0, "", True, True)
    assert (fewer.code, fewer.json["ok"]) == (1, False)
    assert any("which you do not trust" in each["found"] for each in fewer.json["findings"] if not each["ok"])


def test_file_that_says_more_is_named_with_its_place(exchange, invented):
    path, _ = invented
    path.write_text(path.read_text().replace('"edition":', '"summary":"up to TOP SECRET","edition":', 1))

    ran = exchange("agreement", "verify", path)

    assert ran.code == 1
    assert "`/texts/0/summary` is nothing that an export has there" in ran.err


@pytest.mark.parametrize(("last_day", "is_told"), [("2020-12-31", True), ("2999-12-31", False)])
def test_who_amends_to_a_day_that_has_passed_is_told_what_follows(capsys, tmp_path, last_day, is_told):
    (tmp_path / "second.yaml").write_text("title: x\n")
    client, made = Mock(), Mock(terms={"validity": {"until": last_day}}, number=1, parties=[], changes=[])
    client.amend_agreement.return_value = made
    amend.__wrapped__(client, AGREEMENT, tmp_path / "second.yaml")

    told = "the last day of this text, 2020-12-31, has passed: with the last signature under it"
    assert (told in capsys.readouterr().err) == is_told
