"""An exchange that runs, driven by the command line: what journeys share."""

import contextlib
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.cli import run
from exchange.cli.demo import server
from tests.support.prepared import PROGRAM, PreparedProcess

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "exchange" / "cli" / "samples"
BUNDLE, WARNING = SAMPLES / "solarwinds-2020.json", SAMPLES / "threat-warning.txt"
MARKING = "NATO SECRET//REL TO GBR, NOR"


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err  # else a test would say no more than that nothing is no JSON
        return json.loads(self.out)


def command(*words: object) -> Ran:
    """Run one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(word) for word in words])
    return Ran(code, out.getvalue(), err.getvalue())


def completed(*words: object) -> subprocess.CompletedProcess[str]:
    """Run one command in this process, as if in one of its own: that would take a second to start."""
    ran = command(*words)
    return subprocess.CompletedProcess(list(map(str, words)), ran.code, ran.out, ran.err)


def done(*words: object) -> Ran:
    """Run one command that must succeed."""
    ran = command(*words)
    assert ran.code == 0, ran.err
    return ran


@contextlib.contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """Serve an instance for as long as the context lasts, as the demo does; gives its address."""
    with log.open("wb") as words:
        command = [*PROGRAM, "serve", "--dir", str(folder), "--port", "0"]
        process = PreparedProcess[bytes](command, stdout=subprocess.PIPE, stderr=words, stdin=subprocess.DEVNULL)
    try:
        yield server._address(process, log)
    finally:
        server._stop(process)


class House:
    """An exchange that runs: its folder, its address, its clients and its agreement."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.agreement = ""
        self.clients: dict[str, str] = {}

    def operate(self, *words: object) -> Ran:
        """Run an operator's command."""
        return command(*words, "--dir", self.folder)

    def enrol(self, name: str, member: str, *words: object) -> None:
        """Enrol a client; SECRET unless told otherwise."""
        level = () if "--clearance" in words else ("--clearance", "SECRET")
        place = ("--agency", "A", "--out", self.files(name), "--json")
        self.clients[name] = done(
            "client", "enrol", name, "--member", member, *words, *level, *place, "--dir", self.folder
        ).json["id"]
        if "signatory" in words:
            key = self.files(name) / "agreement.key"
            done("agreement", "key", key)
            done("client", "signature-key", "add", self.clients[name], f"{key}.pub", "--dir", self.folder)

    def sign(self, name: str, agreement: str) -> Ran:
        """Sign an agreement as one of the clients, with its own key."""
        return self.as_(name, "agreement", "sign", agreement, "--signing-key", self.files(name) / "agreement.key")

    def files(self, name: str) -> Path:
        """Return the folder of a client's files."""
        return self.folder.parent / "clients" / name

    def door(self, name: str) -> tuple[object, ...]:
        """Return where the exchange is, and who one of the clients is, as words of a command."""
        files = self.files(name)
        door = ("--url", self.url, "--cert", files / "client.pem", "--key", files / "client.key")
        return (*door, "--ca", files / "ca.pem")

    def as_(self, name: str, *words: object) -> Ran:
        """Run a member's command as one of the clients."""
        return command(*words, *self.door(name))

    def post(self, *words: object, who: str = "gbr", files: tuple[Path, ...] = (BUNDLE,)) -> Ran:
        """Post a report, marked for GBR and NOR unless told otherwise."""
        given = {
            "--agreement": self.agreement, "--scope": "cyber-threats", "--kind": "intrep", "--topic": "cyber.apt",
            "--region": "EUR", "--marking": MARKING,
        }  # fmt: skip
        missing = [word for pair in given.items() if pair[0] not in words for word in pair]
        return self.as_(who, "report", "post", *files, *words, *missing, "--json")

    def reports(self) -> int:
        """Return how many reports there are."""
        return int(self.operate("status", "--json").json["reports"])

    def entries(self) -> int:
        """Return how long the audit log is."""
        return int(self.operate("status", "--json").json["audit_entries"])
