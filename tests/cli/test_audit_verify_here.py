"""`exchange audit verify` on the instance of this host: what was done to its database, and logs that were recovered."""

import asyncio
import shutil
import sqlite3

import pytest

from exchange import services
from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.kernel import system_clock
from exchange.settings import load_settings
from exchange.usecases.sequence_log import Sequencer, Step


def sequence(instance, count=0):
    """Record some refusals, and give what waits its place."""

    async def work():
        async with services.open_desk(load_settings(instance)) as desk:
            host = {"outcome": Outcome.REFUSED, "actor": Actor(kind="host"), "request_id": "r", "source": "host"}
            for _ in range(count):
                await desk.record(EntryDraft(event=EventName.REPORT_LISTED, at=system_clock(), **host))
            sequencer = Sequencer(desk)
            while (step := await sequencer.step()) in {Step.MORE, Step.PLACED}:
                continue
            return step

    return asyncio.run(work())


def own(instance, *statements):
    """Do as the database's owner can."""
    with sqlite3.connect(instance / "exchange.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
    database.close()


@pytest.fixture
def keys(instance, tmp_path):
    """The log's public keys, as an auditor took them home."""
    return shutil.copy(instance / "log" / "verifier-keys", tmp_path / "log-keys")


@pytest.mark.parametrize("change", ["keys = 'x'", "size = 'x'", "signed_at = 'x'", "size = 10000"])
def test_what_stands_beside_the_signed_note_keeps_nobody_from_verifying(instance, operate, keys, change):
    sequence(instance, 3)
    own(instance, f"UPDATE log_state SET {change}")

    assert operate("audit", "verify", "--key", keys).code == 0


@pytest.mark.parametrize("change", ["DELETE FROM log_state", "UPDATE log_state SET note = ''"])
def test_log_that_was_taken_away_is_not_called_a_log_that_never_was(instance, operate, keys, change):
    sequence(instance, 3)
    own(instance, change)

    ran = operate("audit", "verify", "--key", keys)

    assert ran.code == 1
    assert "the database holds no log, and this host signed" in ran.err


@pytest.fixture
def recovered(instance, operate, keys, tmp_path):
    """An instance whose log lost its tail to an older copy of the database, and was recovered."""
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", tmp_path / "yesterday.db")
    sequence(instance, 3)
    assert operate("audit", "verify", "--key", keys, "--state", tmp_path / "state").code == 0
    shutil.copy(tmp_path / "yesterday.db", instance / "exchange.db")
    assert sequence(instance, 1) is Step.FROZEN
    assert operate("audit", "recover").code == 0
    sequence(instance)
    return instance


def test_each_log_is_held_against_its_own_keys(recovered, operate, keys):
    both = operate("audit", "verify", "--key", recovered / "log" / "verifier-keys", "--json")

    assert both.code == 0
    assert [each["sound"] for each in both.json] == [True, True]
    assert both.err.count("the keys come from the instance itself") == 0
    assert operate("audit", "verify", "--key", keys).code == 1, "the log in use has other keys than those of the first"


def test_state_of_the_log_that_was_lost_tells_what_was_lost(recovered, operate, tmp_path):
    ran = operate(
        "audit", "verify", "--key", recovered / "log" / "verifier-keys", "--state", tmp_path / "state", "--json"
    )

    assert ran.code == 1
    old, new = ran.json
    assert "its tail was cut" in old["findings"][0]["why"]
    assert new["findings"] == []


def test_earlier_log_under_other_keys_is_noticed(recovered, operate):
    own(recovered, "UPDATE log_state SET note = (SELECT note FROM log_state WHERE log = 2) WHERE log = 1")

    ran = operate("audit", "verify", "--key", recovered / "log" / "verifier-keys", "--json")

    assert ran.code == 1
    assert ran.json[0]["sound"] is False
