"""The loop of the sequencer and the process it runs in: they go on, are replaced, and end with their work done."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from exchange import services
from exchange.entrypoints.jobs import keeper, sequencer
from exchange.entrypoints.jobs.keeper import kept_running
from exchange.entrypoints.jobs.sequencer import Job, SequencerLoop
from exchange.kernel import UnsafeSettingError
from exchange.usecases.log.sequence_log import LogKey, Sequencer
from exchange.usecases.log.sweep_log import Index, Sweep
from tests.support.kept_process import never_stop, stay
from tests.support.log import Log, check_log
from tests.support.postgres import ROOT, PostgresServer, database_of, execute
from tests.support.store import rows_of
from tests.support.waiting import eventually

WAIT_SECONDS = 40


async def loop_of(log: Log, **fields: object) -> SequencerLoop:
    desk = await log.desk(**fields)
    sweep = Sweep(desk.tree, desk.record, desk.clock, desk.randomness)
    return SequencerLoop(Job(Sequencer(desk), sweep, Index(desk.tree)), interval_seconds=0.02)


class Running:
    """A loop that runs beside the test."""

    def __init__(self, loop: SequencerLoop) -> None:
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(loop.run(self.stopping))

    async def stop(self) -> None:
        self.stopping.set()
        await self.task


@pytest.fixture
async def running(log: Log) -> AsyncIterator[Running]:
    going = Running(await loop_of(log))
    yield going
    await going.stop()


async def until_placed(log: Log, entry: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while await log.store.log.leaf(entry) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_entry_that_was_left_out_is_found_where_others_never_cease_to_come(log: Log) -> None:
    loop = await loop_of(log)
    (left_out,) = await log.append(1)
    await rows_of(log.store, "DELETE FROM audit_outbox")
    for _ in range(20):
        await log.append(1)
        await loop._round()
    await log.append(1)
    await loop._round()

    assert await log.store.log.leaf(left_out) is not None


async def test_entries_are_placed_and_found_while_it_runs(log: Log, running: Running) -> None:
    for _ in range(3):
        (entry,) = await log.append(1)
        await until_placed(log, entry)
    await log.append(600)
    deadline = time.monotonic() + WAIT_SECONDS
    while await log.store.log.searched(1) < 604:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)

    await running.stop()
    await check_log(log)


async def test_what_is_left_is_placed_before_it_ends(log: Log) -> None:
    await log.append(30)
    going = Running(await loop_of(log))
    going.stopping.set()
    await going.task

    await check_log(log)
    state, kept = await log.store.log.state(), await log.store.log.checkpoints(1)
    assert state is not None
    assert kept[-1].size == state.size == 31


async def test_second_sequencer_takes_over(log: Log, running: Running) -> None:
    second = Running(await loop_of(log))
    await log.append(50)
    await running.stop()
    (entry,) = await log.append(1)

    await until_placed(log, entry)
    await second.stop()
    await check_log(log)


async def test_database_away_and_back(
    log: Log,
    running: Running,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequencer, "_RETRY_SECONDS", 0.05)
    (entry,) = await log.append(1)
    await until_placed(log, entry)
    leave, come_back = away(log, request)

    leave()
    deadline = time.monotonic() + WAIT_SECONDS
    while "the sequencer cannot work" not in caplog.text:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    come_back()
    (entry,) = await log.append(1)
    await until_placed(log, entry)

    await running.stop()
    assert "the sequencer works again" in caplog.text
    await check_log(log)


def away(log: Log, request: pytest.FixtureRequest) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what takes the database away and what brings it back."""
    if log.url.startswith("sqlite"):
        path = Path(log.url.partition("///")[2])
        hidden = path.with_suffix(".hidden")
        return lambda: path.rename(hidden), lambda: hidden.rename(path)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = database_of(log.url)
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    def allow(is_allowed: bool) -> None:
        execute(server.admin_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {is_allowed}')

    def leave() -> None:
        allow(False)
        execute(server.admin_url, end)

    return leave, lambda: allow(True)


async def test_key_of_another_log_ends_the_loop(log: Log) -> None:
    await log.drain()
    going = Running(await loop_of(log, key=LogKey("exchange.example/log/other", ())))

    with pytest.raises(UnsafeSettingError, match="other keys"):
        await going.task


# ── the process ────────────────────────────────────────────────────────────────────────────────────────────────────


def pid_in(folder: Path, name: str = "started") -> int | None:
    path = folder / name
    content = path.read_text() if path.exists() else ""
    return int(content) if content else None


def test_process_begins_when_asked_and_ends_with_the_context(tmp_path: Path) -> None:
    with kept_running(stay, tmp_path, name="job") as begin:
        assert pid_in(tmp_path) is None
        begin()
        eventually(lambda: pid_in(tmp_path) is not None)

    assert pid_in(tmp_path, "stopped") == pid_in(tmp_path)


def test_process_that_was_never_asked_for_costs_nothing(tmp_path: Path) -> None:
    with kept_running(stay, tmp_path, name="job"):
        pass

    assert pid_in(tmp_path) is None


@pytest.mark.parametrize(
    ("ending", "told", "is_death"),
    [
        (signal.SIGKILL, "the job died and is replaced", True),
        (signal.SIGTERM, "the job was told to end and is begun again", False),
    ],
)
def test_process_that_ends_is_begun_again_and_called_dead_only_where_it_died(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: signal.Signals, told: str, is_death: bool
) -> None:
    with kept_running(stay, tmp_path, name="job") as begin:
        begin()
        eventually(lambda: pid_in(tmp_path) is not None)
        ended = pid_in(tmp_path)
        assert ended is not None
        os.kill(ended, ending)

        eventually(lambda: pid_in(tmp_path) not in {None, ended})

    assert told in caplog.text
    assert ("died" in caplog.text) is is_death


def test_process_that_cannot_be_begun_for_want_of_files_is_begun_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused, begin_process = threading.Event(), keeper.begin_process

    def begun(*given: object, **named: object) -> BaseProcess:
        if refused.is_set():
            return begin_process(*given, **named)
        refused.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(keeper, "_RESPAWN_SECONDS", 0.01)
    with kept_running(stay, tmp_path, name="job") as begin:
        begin()
        eventually(lambda: pid_in(tmp_path) is not None)
        ended = pid_in(tmp_path)
        assert ended is not None
        monkeypatch.setattr(keeper, "begin_process", begun)
        os.kill(ended, signal.SIGKILL)

        eventually(lambda: pid_in(tmp_path) not in {None, ended})

    assert "the job cannot be begun now: Too many open files" in caplog.text


def test_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_STOP_SECONDS", 0.2)
    with kept_running(never_stop, tmp_path, name="job") as begin:
        begin()
        eventually(lambda: pid_in(tmp_path) is not None)

    with pytest.raises(ProcessLookupError):
        os.kill(pid_in(tmp_path) or 0, 0)


SUPERVISOR = """
import sys, time
from pathlib import Path
from exchange.entrypoints.jobs.keeper import kept_running
from tests.support.kept_process import stay

if __name__ == "__main__":
    with kept_running(stay, Path(sys.argv[1]), name="job") as begin:
        begin()
        time.sleep(600)
"""


def test_process_does_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(SUPERVISOR)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, tmp_path], cwd=ROOT, env=environment) as supervisor:
        eventually(lambda: pid_in(tmp_path) is not None)
        supervisor.kill()

    eventually(lambda: pid_in(tmp_path, "stopped") == pid_in(tmp_path))


async def test_fault_beside_the_sequencer_is_told_and_what_it_ended_begun_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_REOPEN_SECONDS", 0.01)
    begun = []

    async def work() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise ExceptionGroup("of several", [RuntimeError("nobody foresaw it")])

    await services._kept_up(work, "raising alerts", asyncio.Event())

    assert len(begun) == 3
    assert caplog.text.count("a fault ended what was beside the sequencer: raising alerts") == 2
