"""An instance made once and copied for each test, and the command line run in this process."""

import json
import logging
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import typer.main

from exchange.cli import run
from exchange.store.database import schema
from tests.support.law import law_read_once  # noqa: F401  for every test of this folder


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for name in ("DIR", "URL", "CERT", "KEY", "CA", "POLICIES_DIR", "DATABASE_URL", "TRACEBACK", "RECEIPTS"):
        monkeypatch.delenv(f"EXCHANGE_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(autouse=True)
def plain_logging():
    """Take back what `serve` in this process sets up: its handler writes to a stream that ends with the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    chatty = {name: logging.getLogger(name).level for name in ("asyncio", "uvicorn.error", "httpx2")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in chatty.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture(scope="module", autouse=True)
def migrated_once(migrated_file: Path) -> Iterator[None]:
    """Let a new database of SQLite begin as a copy of a migrated one, which takes a tenth of the time.

    All the rest is done as ever: the file is made, and its schema asked. Over with each module: others are about migrations.
    """
    make_file = schema._make_file

    def make_migrated_file(path: Path) -> None:
        make_file(path)
        if path.stat().st_size == 0:
            path.write_bytes(migrated_file.read_bytes())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(schema, "_make_file", make_migrated_file)
        yield


@pytest.fixture(scope="session", autouse=True)
def verbs_made_once() -> Iterator[None]:
    """Make the command of each verb once: with every verb that is read, those of all that were read are made anew."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(typer.main, "get_command_from_info", cache(typer.main.get_command_from_info))
        yield


@pytest.fixture
def exchange(capsys) -> Callable[..., Ran]:
    """Run one command in this process."""

    def command(*words) -> Ran:
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return command


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """An instance as `exchange init` leaves it, with the members GBR and NOR."""
    folder = tmp_path_factory.mktemp("pristine") / "instance"
    assert run(["init", "--dir", str(folder)]) == 0
    for code in ("GBR", "NOR"):
        assert run(["member", "add", code, "--name", code, "--dir", str(folder)]) == 0
    return folder


@pytest.fixture
def instance(pristine, tmp_path) -> Path:
    """An instance of the test's own."""
    return Path(shutil.copytree(pristine, tmp_path / "instance"))


@pytest.fixture
def operate(exchange, instance):
    """Run an operator's command on that instance."""

    def command(*words) -> Ran:
        return exchange(*words, "--dir", instance)

    return command


@pytest.fixture
def enrol(operate, tmp_path):
    """Enrol a client of NOR; its files go to a folder of its own."""

    def command(*words, name="desk", out=None) -> Ran:
        given = {
            "--member": "NOR", "--agency": "NSM", "--role": "reader", "--clearance": "SECRET",
            "--out": out or tmp_path / name,
        }  # fmt: skip
        missing = [word for pair in given.items() if pair[0] not in words for word in pair]
        return operate("client", "enrol", name, *words, *missing)

    return command


@pytest.fixture
def findings(operate):
    """Return a function: what the doctor ends with, and its findings by id."""

    def examine():
        ran = operate("doctor", "--json")
        return ran.code, {finding["id"]: finding for finding in ran.json}

    return examine


@pytest.fixture
def keeper(exchange, tmp_path):
    """The folder of who keeps backups and keys: an identity, and its recipient."""
    made = exchange("keys", "recipient", "--out", tmp_path / "identity")
    assert made.code == 0
    (tmp_path / "recipient").write_text(made.out)
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o600
    return tmp_path
