"""A witness started: as a service until a signal, or for one round."""

import logging
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from exchange.client.transport import Endpoint
from exchange.client.witness.alarm import Alarm
from exchange.client.witness.desk import Desk
from exchange.client.witness.errors import WitnessError
from exchange.client.witness.exchange_log import ExchangeLog
from exchange.client.witness.folder import KEY_FILE, LOGS_FILE, WitnessFolder, make_folder
from exchange.client.witness.keys import WitnessKeys, new_key_file, read_keys
from exchange.client.witness.logs import logs_text, read_logs
from exchange.client.witness.rounds import RoundResult, one_round
from exchange.client.witness.service import WitnessServer
from exchange.kernel.files import state_of
from exchange.kernel.hangup import outlive_hangup

_log = logging.getLogger("exchange.witness")

_POLL_SECONDS = 0.2
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a witness listens. Without a certificate only on loopback; `client_authority` asks logs for theirs."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS 1.3 context, None without a certificate; WitnessError for files that are none."""
        if self.certificate is None or self.key is None:
            if self.certificate is not None or self.key is not None or self.client_authority is not None:
                raise WitnessError("give `--tls-cert` and `--tls-key` together")
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.certificate, self.key, password="")
            if self.client_authority is not None:
                context.load_verify_locations(cafile=self.client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as exc:
            raise WitnessError(f"`{self.certificate}` and its key cannot be used: {exc.strerror or exc}") from exc
        return context


class Shown:
    """What a witness shows on each connection: made anew of its files where they changed and are whole."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._seen = self._state()
        self._context = listening.context()

    def __call__(self) -> ssl.SSLContext | None:
        """Return the context of the moment: the one before where the files do not make one."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._context = self._listening.context()
                _log.info("the certificate is shown that lies there now")
            except WitnessError as exc:
                _log.error("the certificate before is shown: %s", exc)
        return self._context

    def _state(self) -> list[tuple[int, ...]]:
        files = (self._listening.certificate, self._listening.key, self._listening.client_authority)
        return [state_of(each) for each in files if each is not None]


def new_witness(path: Path, name: str, logs: tuple[str, ...], randomness: Callable[[int], bytes]) -> WitnessKeys:
    """Make a witness's folder with new keys; `logs` are the verifier keys of the logs that it knows.

    Raises WitnessError where the folder is one already, MalformedError for a name or key that is none.
    """
    make_folder(path, {LOGS_FILE: logs_text(logs), KEY_FILE: new_key_file(name, randomness)})
    return read_keys(path / KEY_FILE)


@contextmanager
def open_desk(path: Path, alarm: Alarm) -> Iterator[Desk]:
    """Hold the witness's folder and give its desk."""
    with WitnessFolder(path) as folder:
        keys, logs = read_keys(folder.key_file), read_logs(folder.logs_file)
        yield Desk(folder, keys, logs, alarm=alarm, now=lambda: int(time.time()))


def serve_witness(path: Path, listening: Listening, alarm: Alarm) -> int:
    """Serve until SIGTERM or SIGINT; prints `ready URL`. Returns 1 where anything was shouted meanwhile, else 0."""
    outlive_hangup()
    with open_desk(path, alarm) as desk:
        server = WitnessServer((listening.host, listening.port), desk, Shown(listening))
        stopping = threading.Event()
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, lambda _number, _frame: stopping.set())
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="exchange-witness")
        thread.start()
        sys.stdout.write(f"ready {server.url}\n")
        sys.stdout.flush()
        stopping.wait()
        server.shutdown()
        thread.join()
        server.server_close()
    alarm.wait()
    return 1 if alarm.has_rung else 0


def run_once(path: Path, endpoint: Endpoint, alarm: Alarm, *, brings: bool) -> RoundResult:
    """Do one round with the exchange at `endpoint`."""
    with open_desk(path, alarm) as desk, ExchangeLog(endpoint) as log:
        result = one_round(desk, log, brings=brings)
    alarm.wait()
    return result


def log_to_stderr(level: int = logging.INFO) -> None:
    """Say what the witness does on stderr, a line each; with a higher `level`, only what is amiss."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # One line for each request of its own is enough.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def address_of(text: str) -> tuple[str, int]:
    """Return the host and port that `HOST:PORT` names; WitnessError for what is none."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > _LARGEST_PORT:
        raise WitnessError(f"`{text}` is no address: write HOST:PORT")
    return host.strip("[]"), int(port)
