"""Class 37: a watch that is killed at any step has raised an alert whole, or not at all; the next one raises it.

And one whose log was lost goes on with the next one.
"""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange.custody import replace_log_key
from exchange.markings import Label
from exchange.usecases.log.recover_log import give_up_keys, recover_log
from tests.support.alerted_world import RULES, AlertedWorld
from tests.support.prepared import run_prepared
from tests.support.witnessed_world import ORIGIN
from tests.support.world import World

KILLED = """
import asyncio, os, signal, sys
from dataclasses import replace
from pathlib import Path

from exchange.release.alert_rules import load_alert_rules
from exchange.store.books import unit_of_work
from exchange.store.log.alerting import AlertBook
from exchange.usecases.log.watch_alerts import AlertWatch
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


async def test_log_that_recovery_began_is_watched_next_from_its_first_entry_on(populated: World) -> None:
    rule = "rules: [{name: lost, kind: occurrence, severity: critical, cooldown: PT1M, events: [log.recovered], "
    alerted = await AlertedWorld.open(populated, f"{RULES.partition('rules:')[0]}{rule}outcomes: [permitted]}}]")
    desk, call = alerted.log.sequencer._desk, populated.call(None)
    # What there was before the rules, in the log before, raises nothing.
    assert (await populated.services.store.alerts.position()).learned_to > 1  # type: ignore[union-attr]
    await give_up_keys(populated.services, call, desk, "stolen")
    key = replace_log_key(populated.folder / "log" / "log.key", f"{ORIGIN}/2", os.urandom)
    await recover_log(populated.services, call, desk, key=key)
    async with populated.another_node() as node:
        watch = alerted.another_watch(node)
        while await watch.round():
            continue
        told = await node.store.alerts.page(after=0, limit=9, rule=None, member=None)

    assert [alert.rule for alert, _ in told] == ["lost"]
    await alerted.close()
