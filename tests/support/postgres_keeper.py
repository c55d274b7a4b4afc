"""Keeper of one private cluster: `python -m tests.support.postgres_keeper FOLDER OWNER_PID fsync|fast [CHOICE...]`.

Makes the cluster, starts it, writes `ready.json`, waits until it is told to end (SIGTERM) or its owner is gone, then stops the
server at once and removes the folder.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.postgres import FAILED, READY
from tests.support.postgres_programs import NoPostgresError, Programs, find_programs

USER = "exchange"
POLL_SECONDS = 0.2
# Two workers with a pool each, two server processes under test, and the connections that make databases.
MAX_CONNECTIONS = 200
PORT_TRIES = 5  # between asking for a free port and taking it, somebody else may


class EndedError(Exception):
    """The keeper was told to end."""


def main(arguments: Sequence[str]) -> int:
    """Keep one cluster until its owner is gone."""
    folder, owner, durable = Path(arguments[0]), int(arguments[1]), arguments[2] == "fsync"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    server: subprocess.Popen[bytes] | None = None
    try:
        programs = find_programs(folder)
        cluster = make_cluster(programs, folder, arguments[3:])
        server, port = start_server(programs, cluster, durable=durable)
        # Over its socket: a statement over TCP takes both sides a third more, and the run makes a million.
        url = f"postgresql://{USER}@/postgres?host={cluster}&port={port}"
        _publish(folder / READY, json.dumps({"url": url, "keeper": os.getpid()}))
        _wait_for_owner(owner, server)
    except EndedError:
        pass
    except (NoPostgresError, OSError) as error:
        _publish(folder / FAILED, str(error))
        time.sleep(2)  # the folder goes with the keeper; its owner reads the reason first
        return 1
    finally:
        if server is not None:
            stop_server(server)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def make_cluster(programs: Programs, folder: Path, more: Sequence[str] = ()) -> Path:
    """Make a cluster of the unprivileged user's in `folder`; `more` are choices of initdb."""
    cluster = folder / "cluster"
    cluster.mkdir(mode=0o700)
    programs.own(cluster)
    choices = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
    programs.run("initdb", "-D", str(cluster), "-U", USER, *choices, *more)
    _leave_out_maps(cluster)
    return cluster


def _leave_out_maps(cluster: Path) -> None:
    """Remove what PostgreSQL makes anew where it misses it: the maps of free space and of visible rows of its catalogues.

    Each database of a test begins as a copy of these: they are an eighth of its files, and so of making and dropping it.
    """
    for kind in ("fsm", "vm"):
        for path in cluster.glob(f"base/*/*_{kind}"):
            path.unlink()


def start_server(programs: Programs, cluster: Path, *, durable: bool) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server on a cluster; return it and its port."""
    fault = ""
    for _ in range(PORT_TRIES):
        port = _free_port()
        command = programs.command("postgres", "-D", str(cluster), *_settings(cluster, port, durable=durable))
        log = (cluster.parent / "server.log").open("ab")
        server = subprocess.Popen(
            command, **programs.identity(), cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        if _answers(cluster, server, port):
            return server, port
        fault = (cluster.parent / "server.log").read_text(errors="replace")[-2000:]
        stop_server(server)
    raise NoPostgresError(f"PostgreSQL does not start: {fault}")


def _settings(cluster: Path, port: int, *, durable: bool) -> list[str]:
    settings = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(cluster),
        "max_connections": str(MAX_CONNECTIONS),
        "timezone": "UTC",
        "shared_buffers": "256MB" if durable else "64MB",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        # A database lives for a second: what tends one that lives for years would only take cores from the tests.
        settings |= {"autovacuum": "off", "wal_level": "minimal", "max_wal_senders": "0"}
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _answers(cluster: Path, server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server takes commands: it listens before that, and refuses."""
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        status = cluster / "postmaster.pid"
        if status.exists() and "ready" in status.read_text() and _listens(port):
            return True
        time.sleep(0.02)
    return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_owner(owner: int, server: subprocess.Popen[bytes]) -> None:
    while _alive(owner):
        if server.poll() is not None:
            raise NoPostgresError(f"PostgreSQL ended by itself with code {server.returncode}")
        time.sleep(POLL_SECONDS)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stop at once: nothing in the cluster is wanted any more."""
    if server.poll() is not None:
        return
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            continue
        return


def _publish(path: Path, text: str) -> None:
    """Write whole or not at all: somebody is polling for it."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


def _end(_number: int, _frame: object) -> None:
    raise EndedError


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
