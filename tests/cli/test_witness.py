"""`exchange audit witness`: a witness made, run for a round and as a service, with and without the command line."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import pytest

from exchange.audit import parse_verifier_key
from exchange.settings import load_settings
from tests.support.instance_log import own, sequence
from tests.support.shown_log import MadeLog

NAME = "witness.nor.example/w1"
ALONE = """
import importlib.abc, runpy, sys

class Refusing(importlib.abc.MetaPathFinder):
    # What requirements-client.txt does not hold.
    refused = {"typer", "rich", "fastapi", "starlette", "uvicorn", "sqlmodel", "sqlalchemy", "alembic", "cedarpy",
               "asyncpg", "aiosqlite", "uvloop", "pydantic_settings"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.refused:
            raise ImportError(f"{name} is not installed where only the client is")
        return None

sys.meta_path.insert(0, Refusing())
sys.argv[0] = "witness"
runpy.run_module("exchange.client.witness", run_name="__main__")
"""


class Shown:
    """A log that stands in for the exchange's."""

    log = MadeLog().grow(12)
    brought: list[bytes] = []  # noqa: RUF012  reset by the fixture

    def __init__(self, _endpoint: object) -> None:
        self.size: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def checkpoint(self) -> bytes:
        return self.log.note().render()

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        return self.log.proof(old_size, new_size)

    def bring(self, note: bytes) -> None:
        self.brought.append(note)


@pytest.fixture
def shown(monkeypatch) -> type[Shown]:
    monkeypatch.setattr("exchange.client.witness.running.ExchangeLog", Shown)
    monkeypatch.setattr(Shown, "log", MadeLog().grow(12))
    monkeypatch.setattr(Shown, "brought", [])
    return Shown


@pytest.fixture
def state(tmp_path, exchange) -> Path:
    """A witness of the made log."""
    folder, keys = tmp_path / "witness", tmp_path / "keys"
    keys.write_text("".join(f"{key}\n" for key in MadeLog().known.keys))
    assert exchange("audit", "witness", "keygen", "--state", folder, "--name", NAME, "--log", f"@{keys}").code == 0
    return folder


@pytest.fixture
def door() -> tuple[str, ...]:
    return ("--url", "https://exchange.test", "--cert", "c", "--key", "k", "--ca", "a")


def test_keygen_prints_both_keys_and_overwrites_nothing(exchange, tmp_path):
    words = ("audit", "witness", "keygen", "--state", tmp_path / "w", "--name", NAME, "--json")

    made = exchange(*words)

    assert [parse_verifier_key(key).type.value for key in made.json["keys"]] == [4, 6]
    assert made.json["id"] == NAME
    assert exchange(*words).code == 1


@pytest.mark.parametrize("name", ["", "a b", "a+b"])
def test_keygen_refuses_a_name_that_cannot_name_a_key(exchange, tmp_path, name):
    assert exchange("audit", "witness", "keygen", "--state", tmp_path / "w", "--name", name).code == 1
    assert not (tmp_path / "w" / "witness.key").exists()


def test_keygen_refuses_what_is_no_key_of_a_log(exchange, tmp_path):
    for key in ("nonsense", f"@{tmp_path}/absent"):
        ran = exchange("audit", "witness", "keygen", "--state", tmp_path / "w", "--name", NAME, "--log", key)
        assert ran.code == 1
        assert not (tmp_path / "w" / "witness.key").exists()


def test_round_cosigns_and_brings(exchange, state, door, shown):
    ran = exchange("audit", "witness", "--once", "--state", state, *door, "--json")

    assert ran.code == 0
    assert (ran.json["size"], ran.json["cosigned"], ran.json["brought"], ran.json["alarm"]) == (12, True, True, False)
    assert len(shown.brought) == 1


def test_round_says_what_it_did_once(exchange, state, door, shown, monkeypatch):
    """What logs are told of stood above the answer, in another form."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)

    ran = exchange("audit", "witness", "--once", "--state", state, *door)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("cosigned")


def test_round_may_keep_its_cosignature(exchange, state, door, shown):
    assert exchange("audit", "witness", "--once", "--keep", "--state", state, *door).code == 0
    assert shown.brought == []


def test_fork_is_exit_1_and_loud(exchange, state, door, shown, monkeypatch):
    exchange("audit", "witness", "--once", "--state", state, *door)
    monkeypatch.setattr(shown, "log", shown.log.cut(5).grow(9, "forged"))

    ran = exchange("audit", "witness", "--once", "--state", state, *door)

    assert ran.code == 1
    assert "refused" in ran.out
    assert len(list((state / "evidence").iterdir())) == 1


def test_witness_is_asked_for_and_its_folder_from_the_environment(exchange, state, door, shown, monkeypatch):
    nameless = exchange("audit", "witness", "--once", *door)
    monkeypatch.setenv("EXCHANGE_WITNESS_DIR", str(state))

    assert (nameless.code, "which witness?" in nameless.err) == (2, True)
    assert exchange("audit", "witness", "--once", *door).code == 0


@pytest.mark.parametrize("listen", ["8460", ":8460", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "0.0.0.0:0"])
def test_address_that_is_none_or_not_safe_is_refused(exchange, state, listen):
    is_one = listen == "0.0.0.0:0"

    assert exchange("audit", "witness", "--state", state, "--listen", listen).code == (1 if is_one else 2)


def test_operator_enrols_asks_for_a_quorum_and_removes(operate, exchange, tmp_path):
    key = exchange("audit", "witness", "keygen", "--state", tmp_path / "w", "--name", NAME, "--json").json["keys"][1]
    (tmp_path / "key").write_text(f"{key}\n")

    added = operate(
        "audit", "witness", "add", "nor", f"@{tmp_path}/key", "--url", "https://witness.nor.example", "--json"
    )
    quorum = operate("audit", "witness", "quorum", 1, "--json")
    shown = operate("audit", "witnesses", "--json")
    needed = operate("audit", "witness", "remove", "nor")
    operate("audit", "witness", "quorum", 0)
    removed = operate("audit", "witness", "remove", "nor", "--json")

    assert (added.json["id"], added.json["key"]) == ("nor", key)
    assert quorum.json["quorum"] == "1 of 1"
    assert [(each["name"], each["size"]) for each in shown.json["items"]] == [("nor", None)]
    assert (needed.code, "lower it first" in needed.err) == (1, True)
    assert removed.json["witnesses"] == []
    assert "nothing to show" in operate("audit", "witnesses").out


def test_log_that_nobody_witnesses_is_not_shown_as_witnessed(operate, instance):
    """Where no quorum is asked for, every checkpoint has it: it said "met", and witnessed up to the newest."""
    sequence(instance, 3)

    shown = operate("audit", "witnesses").out.splitlines()

    assert [line.split(maxsplit=1)[1] for line in shown if line.startswith("quorum")] == ["none is asked for"]
    assert "witnessed up to  -" in shown


def start(state: Path, *words: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", ALONE, "serve", "--state", str(state), "--listen", "127.0.0.1:0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"EXCHANGE_DIR": ""})  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("ready http://127.0.0.1:"), process.communicate()
    return process, int(said.rpartition(":")[2])


@pytest.fixture
def alone(state) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The service in a process that has the client's dependencies alone."""
    process, port = start(state)
    yield process, port
    if process.poll() is None:
        process.kill()
    process.communicate()


def ask(port: int, body: bytes) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/add-checkpoint", body=body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_policy_of_witnesses_that_is_gone_or_damaged_is_told(operate, instance):
    """Nobody is asked then, and a quorum of nobody is always there."""
    sequence(instance, 1, is_searchable=True)
    policy = load_settings(instance).witness_policy_file

    def told():
        ran = operate("doctor", "--json")
        return next((each["state"], each["told"]) for each in ran.json if each["id"] == "witness policy")

    assert told() == ("ok", "no witness is named")
    own(
        instance,
        "INSERT INTO log_cosignature SELECT log, size, 'witness.nor.example/w1', 'line', 1 FROM log_checkpoint",
    )
    assert told() == ("mend", f"witnesses cosigned the log, and `{policy}` is gone")
    policy.write_text("witness half a li")
    assert told()[0] == "mend"
    assert "is it whole?" in told()[1]


@pytest.mark.journey
def test_client_alone_serves_a_witness_and_exits_0(alone):
    process, port = alone
    log = MadeLog().grow(12)
    # Whoever rotates its log says so to it.
    process.send_signal(signal.SIGHUP)

    assert [ask(port, log.body(0)), ask(port, log.body(0)), ask(port, log.body(12))] == [200, 409, 200]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.journey
def test_service_that_saw_a_fork_goes_on_and_exits_1(alone):
    process, port = alone
    log = MadeLog().grow(12)

    assert ask(port, log.body(0)) == 200
    assert ask(port, log.cut(5).grow(7, "forged").body(12)) == 409
    assert ask(port, log.grow(3).body(12)) == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1


@pytest.mark.journey
def test_service_killed_goes_on_where_it_was(alone, state):
    process, port = alone
    log = MadeLog().grow(12)
    assert ask(port, log.body(0)) == 200
    process.kill()
    process.wait(60)

    again, other_port = start(state)

    assert [ask(other_port, log.body(0)), ask(other_port, log.grow(3).body(12))] == [409, 200]
    again.terminate()
    assert again.wait(60) == 0
    again.communicate()


@pytest.mark.journey
def test_two_services_of_one_witness_are_one_too_many(alone, exchange, state):
    ran = exchange("audit", "witness", "--state", state, "--listen", "127.0.0.1:0")

    assert (ran.code, "another process is this witness" in ran.err) == (1, True)
