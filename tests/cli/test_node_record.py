"""Each verb of the operator is a process of its own, and signs for what it recorded before it ends."""

import asyncio
import sqlite3

import pytest

from exchange.audit import hash_leaf, parse_entry, parse_verifier_key
from exchange.audit.boot_checks import BootFault
from exchange.cli import node_key as node_key_making
from exchange.cli import serving
from exchange.cli.instance import open_host
from exchange.settings import InstanceLayout, load_settings
from exchange.usecases import list_members
from exchange.usecases.log import heartbeat
from tests.support.boots import check_boots


@pytest.fixture
def recorded(instance):
    """The entries of the instance in the order in which they wait for the tree."""

    def read():
        with sqlite3.connect(InstanceLayout(instance).database_file) as database:
            rows = database.execute(
                "SELECT e.content FROM audit_outbox o JOIN audit_entry e ON e.id = o.entry_id ORDER BY o.id"
            )
            return [(place, parse_entry(row[0]), hash_leaf(row[0])) for place, row in enumerate(rows)]

    return read


@pytest.fixture
def node_key(operate):
    return parse_verifier_key(operate("status", "--json").json["node_key"]).key


def test_every_verb_signs_for_its_entries(operate, enrol, recorded, node_key):
    operate("member", "add", "DNK", "--name", "Denmark")
    operate("member", "add", "DNK", "--name", "Denmark")
    enrol()
    operate("client", "list")
    entries = recorded()

    assert check_boots(entries, [node_key]) == ()
    boots = {entry["boot"] for _, entry, _ in entries}
    closed = [entry for _, entry, _ in entries if entry.get("detail", {}).get("state") == "closed"]
    assert {entry["boot"] for entry in closed} == boots
    assert all("boot_key" in entry["detail"] for entry in closed)


def test_entry_added_to_the_database_is_noticed(operate, recorded, node_key):
    operate("member", "add", "DNK", "--name", "Denmark")
    *_, (place, entry, leaf) = recorded()
    entries = [*recorded(), (place + 1, {**entry, "node_seq": entry["node_seq"] + 1, "type": "report.read"}, leaf)]

    (finding,) = check_boots(entries, [node_key])

    assert (finding.fault, finding.position) == (BootFault.FORGED, place + 1)


def test_verb_that_was_interrupted_signs_too(instance, recorded, node_key):
    async def interrupted():
        async with open_host(instance) as host:
            await list_members(host.services, host.call())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interrupted())

    assert check_boots(recorded(), [node_key]) == ()
    assert recorded()[-1][1]["detail"]["state"] == "closed"


def test_node_key_is_on_the_record_with_its_public_half(operate, recorded):
    (made,) = [entry for _, entry, _ in recorded() if entry["type"] == "key.created"]

    shown = operate("status", "--json").json["node_key"]

    assert made["detail"] == {"kind": "node", "key": shown}
    assert made["object"] == {"type": "key", "id": parse_verifier_key(shown).key_id.hex()}


def test_key_that_migrate_makes_is_on_the_record(operate, instance, recorded):
    load_settings(instance).node_key_file.unlink()
    assert operate("migrate").code == 0
    made = [entry["detail"]["key"] for _, entry, _ in recorded() if entry["type"] == "key.created"]

    assert len(set(made)) == 2
    assert made[1] == operate("status", "--json").json["node_key"]


def killed(*_given, **_named):
    raise KeyboardInterrupt


def keys_made(recorded):
    return [entry["detail"]["key"] for _, entry, _ in recorded() if entry["type"] == "key.created"]


def test_key_whose_making_was_killed_before_its_record_is_recorded_by_the_next_migration(
    operate, instance, recorded, monkeypatch
):
    load_settings(instance).node_key_file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(serving, "migrate_store", killed)
        assert operate("migrate").code != 0
    assert len(keys_made(recorded)) == 1

    assert operate("migrate").code == 0
    assert operate("migrate").code == 0

    assert keys_made(recorded)[1:] == [operate("status", "--json").json["node_key"]]


def test_key_that_was_half_written_is_made_anew_and_one_that_signed_never(operate, instance, recorded, monkeypatch):
    path = load_settings(instance).node_key_file
    path.unlink()

    def half(path):
        path.write_bytes(b"-----BEGIN PRIV")
        path.chmod(0o600)
        killed()

    with monkeypatch.context() as patch:
        patch.setattr(node_key_making, "write_node_key", half)
        assert operate("migrate").code != 0

    assert operate("migrate").code == 0
    assert keys_made(recorded)[1:] == [operate("status", "--json").json["node_key"]]
    damaged = b"-----BEGIN PRIV"
    path.write_bytes(damaged)
    refused = operate("migrate")
    assert (refused.code, "is damaged: restore it from the escrow" in refused.err) == (1, True), refused.err
    assert path.read_bytes() == damaged


def test_public_half_of_the_log_that_a_killed_migration_did_not_write_is_written_by_the_next(operate, instance):
    """Without it nobody could verify the log, nor be told whose it is."""
    shown = InstanceLayout(instance).log_verifier_file
    keys = shown.read_text()
    shown.unlink()

    assert operate("migrate").code == 0
    assert shown.read_text() == keys
    former = "former.example/log+00000000+AA==\n"
    shown.write_text(former.strip())
    assert operate("migrate").code == 0
    assert operate("migrate").code == 0
    assert shown.read_text() == former + keys


async def test_long_verb_signs_while_it_goes_on(instance, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    async with open_host(instance) as host:
        await list_members(host.services, host.call())
        node = host.services.store.node
        for _ in range(1000):
            if not node.unsigned:
                break
            await asyncio.sleep(0.01)

        assert (node.unsigned, node.is_closed) == (0, False)
