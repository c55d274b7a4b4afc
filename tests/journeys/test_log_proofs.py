"""Receipts and proofs on a real exchange: what a member keeps, what it can prove later, and an auditor without a server."""

import json
import shutil
import subprocess
import sys

import pytest

from exchange.client import read_receipts
from tests.support.house import ROOT, House, command, done, served
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def keys(house):
    return house.folder / "log" / "verifier-keys"


def door(house, name):
    files = house.files(name)
    return (
        "--url", house.url, "--cert", files / "client.pem", "--key", files / "client.key", "--ca", files / "ca.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def auditors(house):
    # A server answers a moment before its sequencer has begun.
    eventually(lambda: house.operate("status", "--json").json["log_size"] > 0)
    house.enrol("proof-auditor", "EXCHANGE", "--role", "auditor")
    house.enrol("nor-proof-auditor", "NOR", "--role", "auditor")


def test_member_keeps_receipts_and_the_log_proves_them(house, keys, tmp_path):
    # A server answers a moment before its sequencer has begun.
    eventually(lambda: house.operate("status", "--json").json["log_size"] > 0)
    report = house.post().json["id"]
    kept = tmp_path / "receipts.ndjson"
    assert house.as_("nor", "report", "pull", report, "--receipts", kept).code == 0
    assert house.as_("dnk", "report", "pull", report, "--receipts", kept).code == 1

    receipts, spoiled = read_receipts(kept)
    # Who is shown nothing asks once more: who it is, and whether its clearance has ended.
    assert ([each.status for each in receipts], spoiled) == ([200, 404, 200], [])

    # Each client proves its own: the other's is as absent as what never was.
    ran = house.as_("nor", "audit", "check-receipts", kept, "--key", keys, "--json")
    assert ran.code == 1
    assert (ran.json["proven"], [each["entry"] for each in ran.json["findings"]]) == (
        1,
        [each.entry for each in receipts[1:]],
    )

    lines = kept.read_text().splitlines()
    for name, line in zip(("nor", "dnk"), lines[:2], strict=True):
        own = tmp_path / f"{name}.ndjson"
        own.write_text(line + "\n")
        ran = house.as_(name, "audit", "check-receipts", own, "--key", keys, "--proofs", tmp_path / name)
        assert ran.code == 0, ran.err
        offline = command("audit", "check-receipts", own, "--key", keys, "--proofs", tmp_path / name, "--json")
        assert (offline.code, offline.json["proven"]) == (0, 1)


def test_auditors_verify_over_the_wire_and_from_files(house, keys, auditors, tmp_path):
    whole = house.as_("proof-auditor", "audit", "verify", "--key", keys, "--json")
    assert whole.code == 0, whole.out
    assert whole.json["sound"]
    assert whole.json["entries"] == whole.json["size"] > 0

    hashes = house.as_("nor-proof-auditor", "audit", "verify", "--key", keys, "--json")
    assert hashes.code == 0
    assert hashes.json["entries"] == 0
    assert "not what they say" in hashes.json["notes"][0]

    assert house.as_("nor", "audit", "verify", "--key", keys).code == 1
    assert house.as_("proof-auditor", "audit", "tiles", "--out", tmp_path / "log").code == 0
    alone = subprocess.run(
        [sys.executable, "-m", "exchange.cli", "audit", "verify", tmp_path / "log", "--key", keys, "--json"],
        cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert json.loads(alone.stdout)["entries"] > 0


def test_export_is_verified_without_the_exchange(house, keys, auditors, tmp_path):
    for name, proofs in (("proof-auditor", ()), ("nor-proof-auditor", ("--proofs",))):
        out = tmp_path / f"{name}.ndjson"
        ran = house.as_(name, "audit", "export", "--format", "ndjson", "--out", out, *proofs)
        assert ran.code == 0, ran.err

        ran = command("audit", "verify", out, "--key", keys, "--json")
        assert (ran.code, ran.json["findings"]) == (0, []), ran.out
        assert ran.json["entries"] > 0

    out = tmp_path / "proof-auditor.ndjson"
    out.write_bytes(out.read_bytes().replace(b'"NOR"', b'"DNK"', 1))
    assert command("audit", "verify", out, "--key", keys).code == 1


def test_operator_verifies_the_database_and_its_copy_once_tampered(house, keys, auditors, tmp_path):
    house.as_("proof-auditor", "audit", "verify", "--key", keys)
    assert house.operate("audit", "verify", "--key", keys).code == 0

    bundle = tmp_path / "log" / "tile" / "entries"
    assert house.as_("proof-auditor", "audit", "tiles", "--out", tmp_path / "log").code == 0
    (first,) = sorted(bundle.rglob("[0-9]*"))[-1:]
    first.write_bytes(first.read_bytes().replace(b'"source"', b'"sourcf"', 1))

    ran = command("audit", "verify", tmp_path / "log", "--key", keys, "--json")
    assert ran.code == 1
    assert {each["step"] for each in ran.json["findings"]} == {"tree", "form"}


def proven(home, kept, keys):
    return home.as_("nor", "audit", "check-receipts", kept, "--key", keys, "--json").json["proven"]


def test_log_restored_from_yesterday_is_noticed_by_receipt(tmp_path):
    home = House(tmp_path / "instance")
    done("init", "--dir", home.folder)
    done("member", "add", "NOR", "--name", "Norway", "--dir", home.folder)
    home.enrol("nor", "NOR", "--role", "reader")
    kept, keys = tmp_path / "receipts.ndjson", home.folder / "log" / "verifier-keys"
    with served(home.folder, tmp_path / "first.log") as home.url:
        assert home.as_("nor", "profile", "whoami", "--receipts", kept).code == 0
        eventually(lambda: proven(home, kept, keys) == 1)
    yesterday = tmp_path / "yesterday"
    yesterday.mkdir()
    for each in home.folder.glob("exchange.db*"):
        shutil.copy(each, yesterday)
    with served(home.folder, tmp_path / "second.log") as home.url:
        assert home.as_("nor", "profile", "whoami", "--receipts", kept).code == 0
        eventually(lambda: proven(home, kept, keys) == 2)
    lost = read_receipts(kept)[0][-1]

    for each in home.folder.glob("exchange.db*"):
        each.unlink()
    for each in yesterday.iterdir():
        shutil.copy(each, home.folder)
    # What this host signed last says that the log was longer. Over that the exchange would not start: who hides the loss
    # takes the file away, and the log goes on as another one.
    assert home.operate("audit", "verify", "--key", keys).code == 1
    (home.folder / "log" / "last-signed.json").unlink()
    with served(home.folder, tmp_path / "third.log") as home.url:
        ran = home.as_("nor", "audit", "check-receipts", kept, "--key", keys, "--json")

    assert ran.code == 1
    owed = {each["entry"]: each["why"] for each in ran.json["findings"]}
    assert "the log was cut" in owed[lost.entry]
    told = ("the log shows fewer: cut", "two histories")
    assert any(entry is None and any(word in why for word in told) for entry, why in owed.items()), ran.out
