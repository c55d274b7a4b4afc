"""The log of an instance that no server runs: stepped by hand, and what its host or its database's owner does to it."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exchange import services
from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.kernel import system_clock
from exchange.settings import load_settings
from exchange.usecases.log.sequence_log import Sequencer, Step
from exchange.usecases.log.sweep_log import Index


def sequence(instance: Path, count: int = 0, *, is_searchable: bool = False) -> Step:
    """Record some refusals, and give what waits its place, and columns to be found by where asked to."""

    async def work() -> Step:
        async with services.open_desk(load_settings(instance)) as desk:
            for _ in range(count):
                await desk.record(_refusal())
            sequencer = Sequencer(desk)
            while (step := await sequencer.step()) in {Step.MORE, Step.PLACED}:
                continue
            index = Index(desk.tree)
            while is_searchable and await index.chunk():
                continue
            return step

    return asyncio.run(work())


def _refusal() -> EntryDraft:
    event, refused = EventName.REPORT_LISTED, Outcome.REFUSED
    return EntryDraft(event, refused, system_clock(), Actor(kind="host"), request_id="r", source="host")


def own(instance: Path, *statements: str) -> None:
    """Do as the database's owner can."""
    with sqlite3.connect(instance / "exchange.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
    database.close()


def lose_and_recover(instance: Path, operate: Callable[..., Any], keys: Path, folder: Path) -> None:
    """Let the log lose its tail to an older copy of the database, and recover it."""
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", folder / "yesterday.db")
    sequence(instance, 3)
    assert operate("audit", "verify", "--key", keys, "--state", folder / "state").code == 0
    shutil.copy(folder / "yesterday.db", instance / "exchange.db")
    assert sequence(instance, 1) is Step.FROZEN
    assert operate("audit", "recover").code == 0
    sequence(instance)
