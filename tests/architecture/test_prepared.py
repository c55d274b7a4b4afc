"""A copy of the loaded program is what a process that was begun by `exec` is, as far as anybody can see."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.prepared import ROOT, PreparedProcess, run_prepared

SEEN = """
import json, os, resource, signal, sys, threading
from pathlib import Path
status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "parent": os.getppid(),
    "leads": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "session": os.getsid(0), "group": os.getpgrp(),
    "folder": os.getcwd(), "environment": dict(os.environ), "words": sys.argv, "name": __name__,
    "open": sorted(os.listdir("/proc/self/fd"), key=int)[:-1],
    "signals": [status[name] for name in ("SigBlk", "SigIgn", "SigCgt")],
    "threads": threading.active_count(), "mask": status["Umask"], "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "read": sys.stdin.read(),
    "loaded": "exchange.app" in sys.modules,
}))
print("said", file=sys.stderr)
sys.exit(7)
"""


def seen(kind: type[subprocess.Popen[Any]], folder: Path, *, is_leader: bool) -> dict[str, Any]:
    process = kind(
        [sys.executable, "-c", SEEN, "one", "two words"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "EXCHANGE_CANARY": "æ=1"},
        start_new_session=is_leader,
    )
    out, err = process.communicate("asked", timeout=60)
    assert (process.returncode, err) == (7, "said\n")
    told: dict[str, Any] = json.loads(out)
    if is_leader:
        assert {told.pop("session"), told.pop("group")} == {process.pid}
    return told


@pytest.mark.parametrize("is_leader", [False, True])
def test_copy_has_all_that_a_process_has_of_its_own(tmp_path: Path, is_leader: bool) -> None:
    copied = seen(PreparedProcess, tmp_path, is_leader=is_leader)
    begun = seen(subprocess.Popen, tmp_path, is_leader=is_leader)

    assert copied.pop("loaded") is True
    assert begun.pop("loaded") is False
    assert copied == begun
    assert (copied["parent"], copied["open"]) == (os.getpid(), ["0", "1", "2"])


def test_copies_share_nothing_that_either_changes() -> None:
    code = "import exchange.app as app; print(getattr(app, 'canary', None)); app.canary = 1"

    assert [run_prepared("-c", code).stdout for _ in range(2)] == ["None\n"] * 2


def test_copy_is_ended_by_a_signal_and_says_which() -> None:
    assert run_prepared("-c", "import os; os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL
    assert "KeyboardInterrupt" in run_prepared("-c", "import os; os.kill(os.getpid(), 2)").stderr


def test_other_program_is_never_a_copy(tmp_path: Path) -> None:
    (tmp_path / "exchange.py").write_text("print('the other one')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}

    with PreparedProcess[str](
        [sys.executable, "-m", "exchange"], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.communicate()[0] == "the other one\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print('said'); sys.exit()",
        "import sys; print('said', file=sys.stderr); sys.exit(-1)",
        "import sys; sys.exit('in words')",
        "print('said'); raise ValueError('of its own')",
        "import atexit; atexit.register(print, 'at the end'); print('before')",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.05), print('later'))).start()",
        "import sys; sys.stdout = open('/dev/full', 'w'); print('into what is full')",
        "import sys; sys.stdout.close()",
    ],
)
def test_copy_ends_as_a_process_does(code: str) -> None:
    began = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    copy = run_prepared("-c", code)

    # Where in the loader it ran is said above the fault.
    told = [each.stderr.splitlines()[-1:] for each in (copy, began)]
    assert (copy.returncode, copy.stdout, told[0]) == (began.returncode, began.stdout, told[1])


def test_copy_is_not_taken_apart() -> None:
    code = "class Kept:\n    def __del__(self): print('taken apart')\nkept = Kept()"

    assert run_prepared("-c", code).stdout == ""
