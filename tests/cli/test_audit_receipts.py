"""`exchange audit check-receipts` against kept proofs, and policies on the command line."""

import json
from dataclasses import asdict

import pytest

from exchange.audit import KnownWitness, LogPolicy, parse_note, render_log_policy
from exchange.audit.log_policy import KnownLog
from exchange.client.log_folder import write_log
from exchange.client.receipt_check import proof_file
from tests.client.test_receipt_check import Desk, receipt
from tests.core.audit.signers import W1
from tests.core.audit.verify.worlds import KEYS, START, KeptCheckpoint, content, world


@pytest.fixture
def log():
    return world(60, 20)


@pytest.fixture
def kept(log, tmp_path):
    """A file with two receipts, and a folder with their proofs."""
    receipts = [receipt(log.contents[position]) for position in (3, 31)]
    path = tmp_path / "receipts.ndjson"
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in receipts))
    (tmp_path / "proofs").mkdir()
    for each in receipts:
        proof_file(tmp_path / "proofs", each.entry).write_bytes(Desk(log).proof(each.entry))
    return path, tmp_path / "proofs", receipts


@pytest.fixture
def keys():
    return [word for key in KEYS for word in ("--key", str(key))]


def test_kept_receipts_are_proven_offline_and_the_newest_checkpoint_is_kept(exchange, kept, keys, log):
    path, proofs, _ = kept

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys)

    assert (ran.code, ran.err) == (0, "")
    assert "the log holds everything" in ran.out
    newest = path.with_name("receipts.ndjson.checkpoint")
    assert newest.read_bytes() == log.checkpoints[-1].note
    assert newest.stat().st_mode & 0o777 == 0o600


def test_receipt_without_a_proof_is_named(exchange, kept, keys):
    path, proofs, receipts = kept
    proof_file(proofs, receipts[1].entry).unlink()

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys)
    assert ran.code == 1
    assert f"entry {receipts[1].entry} (GET /v1/whoami" in ran.out
    assert not path.with_name("receipts.ndjson.checkpoint").exists()

    shown = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys, "--json").json
    assert (shown["id"], shown["receipts"], shown["proven"]) == (str(path), 2, 1)
    assert [each["entry"] for each in shown["findings"]] == [receipts[1].entry]


def test_proofs_that_are_older_than_the_last_check_do_not_say_that_the_log_was_cut(exchange, kept, keys):
    path, proofs, _ = kept
    larger = world(80, 20).checkpoints[-1].note
    path.with_name("receipts.ndjson.checkpoint").write_bytes(larger)

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys)

    assert ran.code == 0
    assert "2 checkpoints could not be compared: that is asked of the log itself" in ran.err
    assert path.with_name("receipts.ndjson.checkpoint").read_bytes() == larger


def test_two_histories_are_named_offline(exchange, kept, keys):
    path, proofs, _ = kept
    other = world(60, 20)
    other.rebuild([*other.contents[:59], content(59, purpose="other")])
    path.with_name("receipts.ndjson.checkpoint").write_bytes(other.checkpoints[-1].note)

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys, "--json")

    assert ran.code == 1
    (finding,) = ran.json["findings"]
    assert finding["entry"] is None
    assert finding["why"].startswith("two histories")


def test_spoiled_lines_and_what_could_not_be_compared_are_said(exchange, kept, keys, log):
    path, proofs, _ = kept
    with path.open("a") as file:
        file.write("torn\n")
    path.with_name("receipts.ndjson.checkpoint").write_bytes(log.checkpoints[0].note)

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys)

    assert ran.code == 0
    assert "1 line holds no receipt, the first of them line 3" in ran.err
    assert "could not be compared" in ran.err


@pytest.mark.parametrize("text", ["", "\n", "torn\n", '{"entry":"x"}\n'])
def test_file_without_a_receipt_proves_nothing(exchange, kept, keys, text):
    path, proofs, _ = kept
    path.write_text(text)

    ran = exchange("audit", "check-receipts", path, "--proofs", proofs, *keys)

    assert ran.code == 1
    assert "holds no receipt: nothing was held against the log" in ran.err
    assert ran.out == ""


def test_what_is_missing_is_asked_for(exchange, kept, keys):
    path, proofs, _ = kept

    assert "whose log is it" in exchange("audit", "check-receipts", path, "--proofs", proofs).err
    assert "which receipts" in exchange("audit", "check-receipts", *keys).err
    assert (
        "there is no file of receipts" in exchange("audit", "check-receipts", "absent", "--proofs", proofs, *keys).err
    )
    assert "which exchange" in exchange("audit", "check-receipts", path, *keys).err


# ── verify with a policy ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy"
    path.write_bytes(
        render_log_policy(
            LogPolicy(tuple(KnownLog(key) for key in KEYS), (KnownWitness("one", W1.verifier),), quorum="one")
        )
    )
    return path


def test_policy_brings_keys_and_asks_for_witnesses(exchange, log, policy, tmp_path):
    write_log(log, tmp_path / "log")
    ran = exchange("audit", "verify", tmp_path / "log", "--policy", policy)
    assert ran.code == 1
    assert "witness: checkpoint of 60 entries" in ran.out

    note = parse_note(log.checkpoints[-1].note)
    note = note.with_signatures(W1.sign(note.text, int(START.timestamp())))
    log.checkpoints[-1] = KeptCheckpoint(note.render())
    write_log(log, tmp_path / "log")
    ran = exchange("audit", "verify", tmp_path / "log", "--policy", policy, "--json")
    assert (ran.code, ran.json["witnesses"]) == (0, ["one"])


def test_policy_that_is_none_is_named(exchange, log, tmp_path):
    write_log(log, tmp_path / "log")
    (tmp_path / "policy").write_text("quorum\n")

    ran = exchange("audit", "verify", tmp_path / "log", "--policy", tmp_path / "policy")

    assert ran.code == 1
    assert "line 1" in ran.err
