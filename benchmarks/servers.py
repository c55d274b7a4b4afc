"""Servers under load, each in a process of its own, and the load upon them."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import Caller, Orders, Seen, Turn, cpu_seconds
from benchmarks.results import BenchmarkError

ROOT = Path(__file__).resolve().parents[1]
_STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers at `host` and `port`."""

    host: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used, all threads together."""
        return cpu_seconds(self.pid)

    def turn(self, callers: Sequence[Caller], seconds: float) -> Turn:
        """Return the order to load it so long."""
        return Turn(self.host, self.port, self.pid, tuple(callers), seconds)

    def peak_rss_mb(self) -> float:
        """Return the most memory that the process ever had, in MB of a million bytes."""
        return self._memory_mb("VmHWM:")

    def rss_mb(self) -> float:
        """Return the memory that the process has now."""
        return self._memory_mb("VmRSS:")

    def _memory_mb(self, field: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e6
        raise BenchmarkError("the system does not tell the memory of a process")


@contextmanager
def serve_exchange(folder: Path, database_url: str | None, *, workers: int = 1, jobs: bool = True) -> Iterator[Server]:
    """Run `exchange serve` on the instance in `folder`; `database_url` None means its own SQLite."""
    words = ["exchange.cli", "serve", "--dir", str(folder), "--port", "0", "--workers", str(workers)]
    with _served(words if jobs else [*words, "--no-jobs"], _environment(database_url), folder) as server:
        yield server


@contextmanager
def run_jobs(folder: Path, database_url: str | None) -> Iterator[None]:
    """Run `exchange audit sequence` on the instance in `folder`: what `exchange serve` has beside its workers."""
    words = [sys.executable, "-m", "exchange.cli", "audit", "sequence", "--dir", str(folder)]
    with (folder / "jobs.log").open("ab") as errors:
        process = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **_environment(database_url)}, stdout=errors, stderr=errors
        )
    try:
        yield
    finally:
        _end(process)


@contextmanager
def database_at(url: str | None) -> Iterator[None]:
    """Let what opens an instance in this process find its database at `url`; None means its own SQLite."""
    before = dict(os.environ)
    os.environ.update(_environment(url))
    try:
        yield
    finally:
        for name in _environment(url).keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def serve_floor(folder: Path, size_bytes: int, *, workers: int = 1) -> Iterator[Server]:
    """Run the floor with answers of `size_bytes` and the certificates of the instance in `folder`."""
    with _served(["benchmarks.floor", str(folder), str(size_bytes), str(workers)], {}, folder) as server:
        yield server


@contextmanager
def _served(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Server]:
    log = folder / "server.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise BenchmarkError(f"`{words[0]}` did not start: {log.read_text()[-2000:]}")
        address = urlsplit(line.split()[1])
        yield Server(str(address.hostname), int(address.port or 0), process.pid)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(database_url: str | None) -> dict[str, str]:
    return {} if database_url is None else {"EXCHANGE_DATABASE_URL": database_url}


def load(server: Server, callers: Sequence[Caller], *, seconds: float, warm_seconds: float = 1.0) -> Seen:
    """Load `server` from a process of its own; BenchmarkError where any answer is not the expected one."""
    (seen,) = load_in_turn([server.turn(callers, seconds)], warm_seconds=warm_seconds)
    return seen


def load_in_turn(turns: Sequence[Turn], *, warm_seconds: float) -> list[Seen]:
    """Load servers one after the other from one process; BenchmarkError where any answer is not the expected one."""
    orders = Orders(tuple(turns), warm_seconds)
    with tempfile.TemporaryDirectory(prefix="exchange-load-") as folder:
        told = Path(folder) / "seen"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", str(told)],
            cwd=ROOT,
            input=pickle.dumps(orders),
            capture_output=True,
            check=False,
            timeout=orders.seconds + 90,
        )
        if done.returncode != 0:
            raise BenchmarkError(f"the load ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        seen = [Seen(**each) for each in pickle.loads(told.read_bytes())]
    for each in seen:
        if each.fault:
            raise BenchmarkError(f"an answer is not the expected one: {each.fault}")
    return seen
