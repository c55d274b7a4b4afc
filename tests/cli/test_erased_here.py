"""Personal data erased from an instance that has more than one log: no log is accused of what two persons did."""

import asyncio
import shutil
from dataclasses import replace

import pytest

from exchange.cli.instance import open_host
from exchange.crypto import read_certificate
from exchange.kernel import system_clock
from exchange.usecases import WantedErasure, approve_erasure, describe_caller, request_erasure
from tests.support.instance_log import lose_and_recover, own, sequence

ROLES = {"desk": ("NOR", "reader"), "asks": ("EXCHANGE", "operator"), "approves": ("EXCHANGE", "auditor")}


@pytest.fixture
def people(enrol, tmp_path):
    """The thumbprint of each, by name."""
    for name, (member, role) in ROLES.items():
        assert enrol("--member", member, "--role", role, name=name).code == 0
    return {name: read_certificate((tmp_path / name / "client.pem").read_bytes()).thumbprint for name in ROLES}


def act(instance, thumbprint, deed, *arguments):
    """Let a client do something, as if it had come over HTTPS."""

    async def work():
        async with open_host(instance) as host:
            call = replace(host.call(), source="192.0.2.7", thumbprint=thumbprint)
            return await deed(host.services, call, *arguments)

    return asyncio.run(work())


def erase(instance, exchange, people):
    """Erase the reader's personal data of this month by two persons."""
    clients = exchange("client", "list", "--json", "--dir", instance).json
    subject = next(each["id"] for each in clients if each["name"] == "desk")
    wanted = WantedErasure(subject, system_clock().strftime("%Y-%m"), "asked for")
    asked = act(instance, people["asks"], request_erasure, wanted)
    act(instance, people["approves"], approve_erasure, asked.value.act.id)
    sequence(instance)


def verify(instance, exchange):
    return exchange("audit", "verify", "--key", instance / "log" / "verifier-keys", "--dir", instance, "--json")


def test_what_is_erased_after_a_recovery_is_no_fault_of_the_log_before(instance, exchange, operate, people, tmp_path):
    act(instance, people["desk"], describe_caller)
    lose_and_recover(instance, operate, instance / "log" / "verifier-keys", tmp_path)
    erase(instance, exchange, people)

    ran = verify(instance, exchange)

    assert [each["findings"] for each in ran.json] == [[], []]
    assert "personal data of 1 entry is erased" in ran.json[0]["notes"]
    own(instance, "DELETE FROM personal_key")
    assert [each["step"] for each in verify(instance, exchange).json[0]["findings"]] == ["erasure"]


def test_what_a_restore_erases_again_is_no_fault_of_the_log_that_was_restored(instance, exchange, people, tmp_path):
    identity, place, kept = tmp_path / "identity", tmp_path / "new", tmp_path / "kept"
    recipient = exchange("keys", "recipient", "--out", identity).out.strip()
    act(instance, people["desk"], describe_caller)
    sequence(instance)
    sealed = ("--to", recipient, "--dir", instance)
    assert exchange("backup", tmp_path / "backup", *sealed).code == 0
    assert exchange("keys", "escrow", "--out", tmp_path / "keys", *sealed).code == 0
    sequence(instance)
    erase(instance, exchange, people)
    keys = shutil.copy(instance / "log" / "verifier-keys", tmp_path / "verifier-keys")
    assert exchange("audit", "tiles", "--dir", instance, "--out", kept, "--key", keys).code == 0

    assert exchange("keys", "restore", tmp_path / "keys", "--identity", identity, "--dir", place).code == 0
    restored = exchange("restore", tmp_path / "backup", "--identity", identity, "--dir", place, "--log", kept)
    assert restored.code == 0, restored.err
    before = exchange("restored", "list", "--dir", place, "--json").json
    assert exchange("audit", "recover", "--dir", place).code == 0
    assert exchange("restored", "list", "--dir", place, "--json").json == before, "the restore asks already"
    sequence(place)

    ran = verify(place, exchange)
    assert [each["findings"] for each in ran.json] == [[], []], ran.json
    assert any("is erased" in note for note in ran.json[0]["notes"])
