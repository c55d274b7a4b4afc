"""Class 37: a watch that is killed at any step has raised an alert whole, or not at all; the next one raises it."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange.markings import Label
from tests.support.alerted_world import RULES, AlertedWorld
from tests.support.prepared import run_prepared
from tests.support.world import World

KILLED = """
import asyncio, os, signal, sys
from dataclasses import replace
from pathlib import Path

from exchange.release.alert_rules import load_alert_rules
from exchange.store import unit_of_work
from exchange.store.alerting import AlertBook
from exchange.usecases.watch_alerts import AlertWatch
from tests.support.world import reopen_world

url, folder, step, rules = sys.argv[1:]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

async def watch():
    world = await reopen_world(url, Path(folder))
    law = replace(world.services.law, alerts=load_alert_rules(rules, world.services.law.catalogue))
    owner = unit_of_work.UnitOfWork if step in {"record", "commit"} else AlertBook
    setattr(owner, step, die)
    await AlertWatch(replace(world.services, law=law), ("soc",)).round()

asyncio.run(watch())
"""


@pytest.fixture
async def alerted(populated: World) -> AsyncIterator[AlertedWorld]:
    opened = await AlertedWorld.open(populated)
    yield opened
    await opened.close()


@pytest.mark.parametrize("step", ["record", "move", "commit"])
async def test_watch_killed_at_any_step_loses_and_doubles_nothing(
    alerted: AlertedWorld, step: str, tmp_path: Path
) -> None:
    report = await alerted.world.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    for _ in range(3):
        await alerted.pull("DNK reader", report)
    await alerted.log.step()

    killed = run_prepared("-c", KILLED, alerted.world.url, tmp_path, step, RULES)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert await alerted.alerts() == []

    await alerted.settle()
    assert await alerted.rules_told() == ["refusals"]
    assert len(await alerted.raised()) == 1
    assert alerted.world.sql("SELECT hook, tries FROM alert_delivery") == [("soc", 0)]
