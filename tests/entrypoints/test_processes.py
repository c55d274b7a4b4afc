"""How processes come to be: a copy answers for itself, holds nobody's line, and is not made where threads run."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from exchange.entrypoints.http import workers
from exchange.entrypoints.http.processes import open_line
from exchange.entrypoints.http.workers import Supervisor
from exchange.entrypoints.jobs import keeper
from exchange.entrypoints.jobs.keeper import kept_running
from tests.support.postgres import ROOT
from tests.support.waiting import eventually

SCRIPT = """
import json, os, signal, sys, threading
from pathlib import Path
from exchange.entrypoints.http.processes import begin_process, can_fork, open_line

loaded = 0

def tell(line):
    comm = Path("/proc/self/comm").read_text().strip()
    line.send([os.getppid(), comm, loaded, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL])

def stay(line):
    tell(line)
    try:
        line.recv_bytes()
    except EOFError:
        pass

def begun(target, name):
    ours, theirs = open_line()
    process = begin_process(target, (theirs,), name=name)
    theirs.close()
    return ours, process, ours.recv()

if __name__ == "__main__":
    loaded = 1
    signal.signal(signal.SIGTERM, lambda *_: None)
    heard, held = open_line(duplex=False)
    one, first, of_first = begun(stay, "exchange-one")
    two, second, of_second = begun(stay, "exchange-two")
    held.close()
    is_let_go = heard.poll(60)
    one.close()
    first.join(60)
    is_first_gone = not first.is_alive()
    second.terminate()
    second.join(60)
    halt = threading.Event()
    threading.Thread(target=halt.wait).start()
    _, third, of_third = begun(tell, "exchange-three")
    third.join(60)
    halt.set()
    print(json.dumps({
        "parent": os.getpid(), "first": of_first, "second": of_second, "third": of_third, "let go": is_let_go,
        "first gone": is_first_gone, "second": [*of_second, second.exitcode], "third ended": third.exitcode,
    }))
"""


def test_copies_answer_for_themselves_and_hold_no_line_and_none_is_made_beside_threads(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, script], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr

    told = json.loads(ran.stdout)
    assert told["first"] == [told["parent"], "exchange-one", 1, True]
    assert told["let go"], "a copy held the end by which the parent is heard"
    assert told["first gone"], "its sibling held the end by which the first one hears that its parent let go"
    assert told["second"] == [told["parent"], "exchange-two", 1, True, -15]
    assert told["third"] == [told["parent"], "exchange-three", 0, True], "what ran beside a thread was not loaded anew"
    assert told["third ended"] == 0


class FakeProcess:
    """Stands for a process: `die` ends it."""

    pid = None
    exitcode: int | None = None

    def __init__(self) -> None:
        self.sentinel, self._end = os.pipe()
        self._is_alive = True

    def is_alive(self) -> bool:
        return self._is_alive

    def die(self) -> None:
        self._is_alive = False
        os.close(self._end)

    def join(self, timeout: float | None = None) -> None:
        pass

    def kill(self) -> None:
        if self._is_alive:
            self.die()

    terminate = kill


class SlowProcess(FakeProcess):
    """Lets one of `slow` report that it is ready when it is looked at."""

    def __init__(self, slow: list[Connection]) -> None:
        super().__init__()
        self._slow = slow

    def is_alive(self) -> bool:
        if self._slow:
            with self._slow.pop() as line:
                line.send_bytes(b"ready")
        return super().is_alive()


@pytest.fixture
def answered_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("answered_signals")
def test_worker_that_cannot_be_replaced_for_want_of_memory_ends_no_other_and_is_replaced_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[FakeProcess] = []
    wants: list[OSError] = []

    def begun(_target: object, arguments: tuple[Any, ...], *, name: str) -> FakeProcess:
        if wants:
            raise wants.pop()
        made.append(FakeProcess())
        arguments[1].report_ready()
        if len(made) == 3:
            assert name == "exchange-0"
            supervisor._stop(0, None)
        return made[-1]

    def kill_one() -> None:
        wants.append(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
        made[0].die()

    monkeypatch.setattr(workers, "begin_process", begun)
    monkeypatch.setattr(workers, "_RESPAWN_SECONDS", 0.01)
    supervisor = Supervisor(begun, None, workers=2, listening=None, counts=None)
    code = supervisor.run(kill_one)

    assert (code, len(made)) == (0, 3)
    assert "a worker cannot be replaced now: Cannot allocate memory" in caplog.text


@pytest.mark.usefixtures("answered_signals")
@pytest.mark.parametrize(
    ("ended_with", "told"),
    [(workers.OUTGROWN, "this version cannot go on, and ends"), (workers.CANNOT_START, "a worker could not start")],
)
def test_worker_whose_like_could_not_serve_in_its_place_ends_the_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ended_with: int, told: str
) -> None:
    made: list[FakeProcess] = []
    slow: list[Connection] = []

    def begun(_target: object, arguments: tuple[Any, ...], *, name: str) -> FakeProcess:
        made.append(SlowProcess(slow))
        if not made[1:]:
            arguments[1].report_ready()
        elif ended_with == workers.OUTGROWN:
            slow.append(Connection(os.dup(arguments[1].line.fileno())))
        else:
            end()
        return made[-1]

    def end() -> None:
        made[1].exitcode = ended_with
        made[1].die()

    def outgrown() -> None:
        assert (ended_with, slow) == (workers.OUTGROWN, []), "it was called ready before all of its workers were"
        end()

    monkeypatch.setattr(workers, "begin_process", begun)
    code = Supervisor(begun, None, workers=2, listening=None, counts=None).run(outgrown)

    # Another one in its place would end as it did, and the address be held while nobody answers there.
    assert (code, len(made)) == (1, 2)
    assert told in caplog.text
    assert not any(each.is_alive() for each in made)


@pytest.mark.usefixtures("answered_signals")
@pytest.mark.parametrize(("ending", "is_told_first"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_no_worker_is_begun_once_the_service_is_told_to_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: signal.Signals, is_told_first: bool
) -> None:
    """Workers that were told with it, as at a terminal, may end first; and whoever died before is not replaced."""
    made: list[FakeProcess] = []

    def begun(_target: object, arguments: tuple[Any, ...], *, name: str) -> FakeProcess:
        assert len(made) < 2, "it was begun at once, and again"
        made.append(FakeProcess())
        arguments[1].report_ready()
        return made[-1]

    def end_one() -> None:
        made[1].die()
        if is_told_first:
            signal.raise_signal(ending)

    monkeypatch.setattr(workers, "begin_process", begun)
    monkeypatch.setattr(workers.time, "sleep", lambda _: signal.raise_signal(ending))
    code = Supervisor(begun, None, workers=2, listening=None, counts=None).run(end_one)

    assert (code, len(made)) == (0, 2)
    assert ("a worker died" in caplog.text) is not is_told_first


@pytest.mark.usefixtures("answered_signals")
@pytest.mark.parametrize("fails_at", ["the second start", "the word that it is ready"])
def test_no_worker_serves_on_where_the_service_could_not_begin(monkeypatch: pytest.MonkeyPatch, fails_at: str) -> None:
    """Left alone they would be waited for without end, and no signal would reach whoever waits."""
    made: list[FakeProcess] = []

    def fail() -> None:
        raise OSError(errno.ENOSPC, fails_at)

    def begun(_target: object, arguments: tuple[Any, ...], *, name: str) -> FakeProcess:
        if made and fails_at == "the second start":
            fail()
        made.append(FakeProcess())
        arguments[1].report_ready()
        return made[-1]

    monkeypatch.setattr(workers, "begin_process", begun)
    with pytest.raises(OSError, match=fails_at):
        Supervisor(begun, None, workers=2, listening=None, counts=None).run(fail)

    assert made
    assert not any(each.is_alive() for each in made)


@pytest.mark.parametrize("fault", [None, OSError(errno.EMFILE, os.strerror(errno.EMFILE))])
def test_process_that_cannot_live_is_let_rest_and_not_called_dead_where_the_service_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: OSError | None
) -> None:
    made: list[FakeProcess] = []

    def begun(*_: object, **__: object) -> FakeProcess:
        made.append(FakeProcess())
        made[-1].die()
        if fault is not None:
            raise fault
        return made[-1]

    monkeypatch.setattr(keeper, "begin_process", begun)
    monkeypatch.setattr(keeper, "can_fork", lambda: False)
    monkeypatch.setattr(keeper, "_RESPAWN_SECONDS", 60.0)
    with kept_running(begun, None, name="job") as begin:
        begin()
        eventually(lambda: bool(made))
        threading.Event().wait(0.2)

    assert len(made) == 1
    assert caplog.messages == ([] if fault is None else ["the job cannot be begun now: Too many open files"])


def test_process_that_waits_for_its_word_gets_it_and_is_replaced_when_it_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProcess] = []
    lines: list[Connection] = []

    def begun(_target: object, given: tuple[Any, Any, Connection], **_named: object) -> FakeProcess:
        lines.append(Connection(os.dup(given[2].fileno())))
        made.append(FakeProcess())
        return made[-1]

    monkeypatch.setattr(keeper, "begin_process", begun)
    monkeypatch.setattr(keeper, "can_fork", lambda: True)
    monkeypatch.setattr(keeper, "_RESPAWN_SECONDS", 0.01)
    with kept_running(print, None, name="job") as begin:
        begin()
        assert lines[0].recv_bytes() == b"begin"
        made[0].die()
        eventually(lambda: len(made) == 2)
        assert lines[1].recv_bytes() == b"begin"

    assert not made[1].is_alive()
    for line in lines:
        line.close()


def test_process_whose_service_is_refused_its_start_is_ended_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    process = Mock(is_alive=lambda: False)
    process.terminate.side_effect = lambda: done.append("told to end")
    process.join.side_effect = lambda *_: done.append("waited for")
    monkeypatch.setattr(keeper, "begin_process", lambda *_given, **_named: process)
    monkeypatch.setattr(keeper, "can_fork", lambda: True)
    with kept_running(print, None, name="job"):
        pass

    assert done == ["told to end", "waited for"]


@pytest.mark.usefixtures("answered_signals")
def test_process_that_waits_for_its_word_ends_with_its_keeper_and_leaves_it_the_interrupts() -> None:
    ours, theirs = open_line()
    ours.close()
    with theirs:
        keeper._at_the_word(lambda *_: pytest.fail("it was never told to begin"), None, theirs)

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
