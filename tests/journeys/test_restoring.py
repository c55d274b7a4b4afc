"""An instance put aside while its clients are at work, lost, and put back: what was acknowledged by then is there again,
what was ended since stays ended, and the log says what is missing."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from exchange.audit import parse_entry
from exchange.audit.note import parse_note
from tests.attacks.served import Instance, client, make_instance, rows, serving
from tests.support.house import Ran, done
from tests.support.loaded import CLIENTS, READER, Load, under_load
from tests.support.store import run_apart
from tests.support.waiting import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

GONE = "NOR reader"
RELEASER = "GBR releaser"


def operate(folder: Path, *words: object) -> Ran:
    """Run an operator's command that must succeed, beside the loop of the test."""
    ran: list[Ran] = []
    run_apart(lambda: ran.append(done(*words, "--dir", folder)))
    return ran[0]


async def test_instance_that_was_put_aside_under_load_comes_back_whole(tmp_path: Path) -> None:
    instance = make_instance(tmp_path / "instance", None, {**CLIENTS, GONE: ("reader",), RELEASER: ("releaser",)})
    recipient, backup, keys = (tmp_path / name for name in ("recipient", "backup", "keys"))
    recipient.write_text(done("keys", "recipient", "--out", tmp_path / "identity").out)
    by_then: list[str] = []

    def is_signed() -> bool:
        return bool(operate(instance.folder, "status", "--json").json["log_size"])

    async def put_aside(load: Load) -> None:
        await asyncio.to_thread(eventually, is_signed)
        by_then.extend(load.acknowledged.values())
        sealed = ("--to", recipient)
        await asyncio.to_thread(operate, instance.folder, "backup", backup, *sealed)
        await asyncio.to_thread(operate, instance.folder, "keys", "escrow", *sealed, "--out", keys)
        await load.reaches(10)

    with serving(instance) as running:
        load = await under_load(instance, [running], put_aside)
        async with client(instance, running, GONE) as gone:
            revoked = (await gone.get("/v1/whoami")).json()["id"]
        operate(instance.folder, "client", "revoke", revoked)
        recalled = by_then.pop()
        async with client(instance, running, RELEASER) as releaser:
            was = await releaser.post(f"/v1/reports/{recalled}/recall", json={"reason": "mistaken"})
        eventually(lambda: operate(instance.folder, "status", "--json").json["log_waiting"] == 0)
    operate(instance.folder, "audit", "tiles", "--out", tmp_path / "tiles")
    lost = operate(instance.folder, "status", "--json").json
    shutil.rmtree(instance.folder / "log")

    again = put_back(instance, tmp_path, confirming={revoked: ("client", "revoke", revoked)})
    with serving(again) as running:
        async with client(again, running, READER) as reader, client(again, running, GONE) as gone:
            pulled = [await reader.get(f"/v1/reports/{report}") for report in by_then]
            turned_away = await gone.get("/v1/whoami")
            absent = await reader.get(f"/v1/reports/{recalled}")
        async with client(again, running, RELEASER) as releaser:
            shown = await releaser.get(f"/v1/reports/{recalled}/recall")
        eventually(lambda: operate(again.folder, "status", "--json").json["log_waiting"] == 0)

    assert len(load.acknowledged) > len(by_then) > 0
    assert {answer.status_code for answer in pulled} == {200}
    assert all("first part" in answer.text for answer in pulled)
    assert turned_away.status_code == 403
    assert (was.status_code, absent.status_code, shown.status_code) == (201, 404, 200)
    assert shown.json()["recalled_at"] == was.json()["recalled_at"]
    require_told(again, tmp_path, lost=lost["log_size"])


def put_back(instance: Instance, place: Path, *, confirming: dict[str, tuple[str, ...]]) -> Instance:
    """Restore into another folder with the kept log, see to each thing, begin the next log; nothing serves before."""
    folder, identity = place / "new", ("--identity", place / "identity")
    operate(folder, "keys", "restore", place / "keys", *identity)
    operate(folder, "restore", place / "backup", *identity, "--log", place / "tiles")
    for claim in operate(folder, "restored", "list", "--json").json:
        if claim["subject"] in confirming:
            operate(folder, *confirming.pop(claim["subject"]))
        operate(folder, "restored", "confirm", claim["id"])
    operate(folder, "audit", "recover", "--witnessed", place / "tiles" / "checkpoint")
    assert confirming == {}
    for name in (READER, GONE, RELEASER):
        shutil.copytree(instance.folder / name, folder / name)
    return replace(instance, folder=folder)


def require_told(again: Instance, place: Path, *, lost: int) -> None:
    """Verify both logs of the restored instance, and that the second one owns to what the first has lost."""
    verifier_keys = again.folder / "log" / "verifier-keys"
    verified = operate(again.folder, "audit", "verify", "--key", verifier_keys, "--json").json
    assert [each["sound"] for each in verified] == [True, True]
    entries = [parse_entry(bytes(row[0])) for row in rows(again, "SELECT content FROM audit_entry")]
    (recovered,) = [entry for entry in entries if entry["type"] == "log.recovered"]
    kept = int(parse_note((place / "tiles" / "checkpoint").read_bytes()).text.splitlines()[1])
    assert recovered["detail"]["witnessed_size"] == kept == lost
    assert recovered["detail"]["database_size"] < kept
