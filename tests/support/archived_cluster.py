"""A PostgreSQL that archives its write-ahead log, and others made from it: as an operator's are, in small."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import execute, fetch, run_folder
from tests.support.postgres_keeper import USER, make_cluster, start_server, stop_server
from tests.support.postgres_programs import Programs, find_programs

_WAIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ArchivedCluster:
    """A running server; its archive and its base backup lie in `folder`."""

    programs: Programs
    folder: Path
    url: str
    port: int

    def back_up(self) -> Path:
        """Take a base backup while the server is used."""
        base = self.folder / "base"
        where = ["--host=127.0.0.1", f"--port={self.port}", f"--username={USER}"]
        self.programs.run("pg_basebackup", *where, f"--pgdata={base}", "--checkpoint=fast", "--wal-method=none")
        return base

    def archive_all(self) -> None:
        """Wait until everything committed so far is in the archive."""
        (row,) = fetch(self.url, "SELECT pg_walfile_name(pg_switch_wal()) AS name")
        deadline = time.monotonic() + _WAIT_SECONDS
        while not (self.folder / "archive" / row["name"]).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def archived_cluster() -> Iterator[ArchivedCluster]:
    """Run a server that archives."""
    folder = run_folder()
    try:
        programs = find_programs(folder)
        cluster = make_cluster(programs, folder)
        (folder / "archive").mkdir(mode=0o700)
        folder.chmod(0o711)
        programs.own(folder)
        programs.own(folder / "archive")
        command = f"test ! -f {folder}/archive/%f && cp %p {folder}/archive/%f"
        with _running(programs, cluster, [f"archive_mode = on\narchive_command = '{command}'"]) as (url, port):
            yield ArchivedCluster(programs, folder, url, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def recovered(cluster: ArchivedCluster, base: Path, until: str) -> Iterator[str]:
    """Run a server recovered from a base backup and the archive to a time; gives its address."""
    settings = [
        f"restore_command = 'cp {cluster.folder}/archive/%f %p'",
        f"recovery_target_time = '{until}'",
        "recovery_target_action = 'promote'",
        "archive_mode = off",
    ]
    signal = base / "recovery.signal"
    signal.touch(0o600)
    cluster.programs.own(signal)
    with _running(cluster.programs, base, settings) as (url, _):
        deadline = time.monotonic() + _WAIT_SECONDS
        while fetch(url, "SELECT pg_is_in_recovery() AS is_so")[0]["is_so"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield url


@contextmanager
def standby(cluster: ArchivedCluster, base: Path) -> Iterator[str]:
    """Run a server that follows the cluster by streaming, and answers reads; gives its address."""
    settings = [
        f"primary_conninfo = 'host=127.0.0.1 port={cluster.port} user={USER}'",
        f"restore_command = 'cp {cluster.folder}/archive/%f %p'",
        "archive_mode = off",
    ]
    signal = base / "standby.signal"
    signal.touch(0o600)
    cluster.programs.own(signal)
    with _running(cluster.programs, base, settings) as (url, _):
        yield url


@contextmanager
def _running(programs: Programs, cluster: Path, settings: Sequence[str]) -> Iterator[tuple[str, int]]:
    with (cluster / "postgresql.auto.conf").open("a") as file:
        file.write("\n".join([*settings, ""]))
    server: subprocess.Popen[bytes]
    server, port = start_server(programs, cluster, durable=True)
    try:
        yield f"postgresql://{USER}@127.0.0.1:{port}/postgres", port
    finally:
        stop_server(server)


def make_database(cluster: ArchivedCluster, name: str) -> str:
    """Make a database on the server; return its asyncpg address."""
    execute(cluster.url, f'CREATE DATABASE "{name}"')
    return named(cluster.url, name)


def named(url: str, name: str) -> str:
    """Return the asyncpg address of a database of the server at `url`."""
    return url.replace("postgresql://", "postgresql+asyncpg://").replace("/postgres", f"/{name}")
