"""The server of the demo: `exchange serve` in a process of its own, on a free port."""

import os
import select
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from exchange.cli.demo.stage import Stage
from exchange.kernel import UnavailableError

_READY = "ready "
_START_SECONDS = 40.0
_STOP_SECONDS = 15.0
_ANSWER_SECONDS = 30.0
# Enough of its last words to see why it stopped.
_LOG_TAIL_BYTES = 2000


@contextmanager
def running_server(stage: Stage) -> Iterator[None]:
    """Serve the instance of `stage` for as long as the context lasts, and tell it the address.

    Raises UnavailableError with the server's last words where it does not get ready.
    """
    command = [sys.executable, "-m", "exchange.cli", "serve", "--dir", str(stage.folder), "--port", "0"]
    log = stage.folder / "serve.log"
    with log.open("wb") as words:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, stdin=subprocess.DEVNULL)  # noqa: S603  our own program
        try:
            stage.url = _address(process, log)
            yield
        finally:
            _stop(process)


def check_server(stage: Stage) -> None:
    """Check that the server speaks TLS, and to nobody who shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever has no certificate takes any of the server's: what matters is what it is told.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        answer = httpx2.get(f"{stage.url}/v1/whoami", verify=context, trust_env=False, timeout=_ANSWER_SECONDS)
    except httpx2.TransportError:
        found, is_mutual = "mutual TLS only", True
    else:
        found, is_mutual = f"answers without a certificate: {answer.status_code}", False
    is_right = is_mutual and stage.url.startswith("https://")
    stage.script.check("the server starts", f"{stage.url}, {found}", is_right=is_right)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    line = _first_line(process)
    if not line.startswith(_READY):
        said = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        raise UnavailableError(f"the server did not start: {said or 'it said nothing'}")
    return line.removeprefix(_READY).strip()


def _first_line(process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None:
        return ""
    deadline = time.monotonic() + _START_SECONDS
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        readable, _, _ = select.select([process.stdout], [], [], max(left, 0))
        # Read from the descriptor itself: a buffered reader would hide bytes from `select`.
        read = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not read:
            return line.decode(errors="replace")
        line += read
    return line.decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
