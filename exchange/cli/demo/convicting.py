"""The end of the demo: an auditor who trusts nobody verifies the log, and finds what an owner of the database did."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from exchange.audit import checkpoint_in, parse_entry
from exchange.audit.node_evidence import bears_signature
from exchange.audit.tile_paths import bundles_of_size
from exchange.cli.demo import cast
from exchange.cli.demo.record import outcome_of
from exchange.cli.demo.stage import Stage
from exchange.cli.node_key import node_key_text
from exchange.client.log_folder import LogFolder
from exchange.kernel import UnavailableError
from exchange.settings import InstanceLayout, load_settings

_WHOLE, _CHANGED = 0, 1
_SECONDS = 60
_PERMITTED, _REFUSED = b'"decision":"permitted"', b'"decision":"refused"'


def verify_apart(stage: Stage) -> None:
    """Write the log as files, and verify them in a process that has these and the public keys, and nothing else."""
    script, name = stage.script, "a separate process with only the public keys verifies the log"
    with script.step(name) as check, tempfile.TemporaryDirectory(prefix="exchange-auditor-") as temporary:
        desk = Path(temporary)
        tiles, keys = desk / "log", _keys_on(desk, stage)
        run_apart(desk, "audit", "tiles", "--dir", str(stage.folder), "--out", str(tiles), "--json")
        code, told = run_apart(desk, "audit", "verify", str(tiles), *keys, "--json")
        size, unsigned = told.get("size"), _unsigned_boots(LogFolder(tiles))
        found = f"{size} entries, root {str(told.get('root'))[:16]}..., every node's own signature"
        is_whole = code == _WHOLE and told.get("sound") is True and told.get("entries") == size
        if unsigned:
            found = f"no node signed for anything of boot {', '.join(sorted(unsigned))}"
        check(found if is_whole else _first_finding(told), is_right=is_whole and not unsigned)


def convict(stage: Stage) -> None:
    """Turn a refusal into a permission in a copy of the database, as its owner can, and verify the copy."""
    script, name = stage.script, "a refusal turned into a permission is named"
    with script.step(name) as check, tempfile.TemporaryDirectory(prefix="exchange-tampered-") as temporary:
        desk = Path(temporary)
        copy = desk / "instance"
        # The server may be at work: what it writes a file as, before it takes the other's place, comes and goes.
        shutil.copytree(stage.folder, copy, ignore=shutil.ignore_patterns(".last-signed.json.*"))
        entry = _refused_entry(stage)
        _tamper(InstanceLayout(copy).database_file, entry)
        code, told = run_apart(desk, "audit", "verify", "--dir", str(copy), *_keys_on(desk, stage), "--json")
        findings = told.get("findings")
        named = [finding.get("entry") for finding in findings] if isinstance(findings, list) else []
        check(_first_finding(told), is_right=code == _CHANGED and entry in named)


def _unsigned_boots(log: LogFolder) -> set[str]:
    """Return the boots of which nothing is signed: of entries as young as these the verifier takes it that they may be.

    What is signed, it has tried.
    """
    bundles = bundles_of_size(checkpoint_in(log.newest().note).size)
    entries = [parse_entry(each) for bundle in bundles for each in log.entries(bundle) or () if each is not None]
    return {each["boot"] for each in entries} - {each["boot"] for each in entries if bears_signature(each)}


def _keys_on(desk: Path, stage: Stage) -> Sequence[str]:
    """Write the public keys of log and node, as an auditor was given them, and return how the verifier is told."""
    shutil.copy(InstanceLayout(stage.folder).log_verifier_file, desk / "log-keys")
    return ("--key", str(desk / "log-keys"), "--node-key", node_key_text(load_settings(stage.folder)))


def run_apart(desk: Path, *words: str) -> tuple[int, Mapping[str, object]]:
    """Run `exchange` in `desk`, without anything of this process's environment that could lead elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    command = [sys.executable, "-m", "exchange.cli", *words]
    done = subprocess.run(command, cwd=desk, env=kept, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603  our own program
    try:
        told = json.loads(done.stdout)
    except ValueError as exc:
        raise UnavailableError(
            f"`exchange {words[0]} {words[1]}` said: {(done.stderr or done.stdout).strip()[:300]}"
        ) from exc
    return done.returncode, told


def _refused_entry(stage: Stage) -> str:
    """Return the entry of the first read that was refused to DNK."""
    for entry in stage.entries:
        actor = entry.get("actor")
        is_theirs = isinstance(actor, dict) and actor.get("id") == stage.clients[cast.DNK.name]
        if is_theirs and entry.get("type") == "report.read" and outcome_of(entry) == "refused":
            return str(entry["id"])
    raise UnavailableError("the log holds no refusal to turn round")


def _tamper(database: Path, entry: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
        for (name,) in connection.execute(guards).fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        ((content,),) = connection.execute("SELECT content FROM audit_entry WHERE id = ?", (entry,)).fetchall()
        changed = bytes(content).replace(_REFUSED, _PERMITTED)
        connection.execute("UPDATE audit_entry SET content = ? WHERE id = ?", (changed, entry))


def _first_finding(told: Mapping[str, object]) -> str:
    findings = told.get("findings")
    if not isinstance(findings, list) or not findings:
        return "the verifier found nothing"
    first = findings[0]
    return f"{first.get('step')}: {first.get('place')}: {first.get('why')}"
