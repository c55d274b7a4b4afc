"""Strangers: who was refused before there was a request. Nobody asked for anything, and the log has it all the same.

Promises: the first is recorded at once, whoever follows within `PAUSE_SECONDS` is counted and recorded after them in
one entry, by what was wrong: a scan of the port costs the log an entry a minute and worker. Where the log is away the
count is kept for the next entry.
Does not: answer, know a name or a certificate, note who hangs up without a word or does not trust this server.
"""

import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum

from exchange.entrypoints.http.paced import PacedRecord
from exchange.kernel import ExchangeError

PAUSE_SECONDS = 60.0
"""A port that anybody can reach is tried all day; what is more than a minute old is no news."""

_log = logging.getLogger("exchange.http")


class Wrong(Enum):
    """What was wrong with a handshake, or with what came behind it."""

    NO_CERTIFICATE = "no-certificate"
    UNKNOWN_AUTHORITY = "unknown-authority"
    EXPIRED = "certificate-expired"
    NOT_YET_VALID = "certificate-not-yet-valid"
    REVOKED = "certificate-revoked"
    BAD_CERTIFICATE = "certificate-refused"
    PLAIN_HTTP = "plain-http"
    OLD_TLS = "tls-version"
    NO_TLS = "no-tls"
    NO_HTTP = "no-http"


# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_OF_CERTIFICATES = {
    2: Wrong.UNKNOWN_AUTHORITY,
    9: Wrong.NOT_YET_VALID,
    10: Wrong.EXPIRED,
    18: Wrong.UNKNOWN_AUTHORITY,
    19: Wrong.UNKNOWN_AUTHORITY,
    20: Wrong.UNKNOWN_AUTHORITY,
    21: Wrong.UNKNOWN_AUTHORITY,
    23: Wrong.REVOKED,
}
_OF_HANDSHAKES = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Wrong.NO_CERTIFICATE,
    "HTTP_REQUEST": Wrong.PLAIN_HTTP,
    "HTTPS_PROXY_REQUEST": Wrong.PLAIN_HTTP,
    "UNSUPPORTED_PROTOCOL": Wrong.OLD_TLS,
}

Record = Callable[[dict[str, int], str], Awaitable[None]]
"""Records so many refused connections by what was wrong, the first of them from this address."""


def wrong_with(fault: Exception) -> Wrong | None:
    """Return what this exchange refused in a handshake that ended in `fault`, None where the other side ended it."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return _OF_CERTIFICATES.get(fault.verify_code, Wrong.BAD_CERTIFICATE)
    has_hung_up = isinstance(fault, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if not isinstance(fault, ssl.SSLError) or has_hung_up or "ALERT" in (fault.reason or ""):
        return None
    return _OF_HANDSHAKES.get(fault.reason or "", Wrong.NO_TLS)


class Strangers(PacedRecord):
    """Counts who was refused, and records it; `async with`, so that nothing counted is lost at the end."""

    def __init__(self, record: Record, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        super().__init__(pause_seconds, name="strangers")
        self._record = record
        self._counts: Counter[str] = Counter()
        self._source = ""

    def note(self, source: str, fault: Exception) -> None:
        """Note a handshake from `source` that ended in `fault`."""
        wrong = wrong_with(fault)
        if wrong is not None:
            self.count(source, wrong)

    def count(self, source: str, wrong: Wrong) -> None:
        """Note a connection from `source` with which this was wrong."""
        self._source = self._source or source
        self._counts[wrong.value] += 1
        self._noted()

    def _is_waiting(self) -> bool:
        return bool(self._counts)

    async def _write(self) -> None:
        counts, source = self._counts, self._source
        if not counts:
            return
        self._counts, self._source = Counter(), ""
        try:
            await self._record(dict(counts), source)
        except ExchangeError as exc:
            self._counts.update(counts)
            self._source = source
            _log.error("refused connections not recorded", extra={"cause": type(exc).__name__})
