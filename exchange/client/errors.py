"""What can go wrong between a member and the exchange, said so that one knows what to mend."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from exchange.crypto import read_certificates
from exchange.kernel import ExchangeError, Fault, MalformedError, system_clock

_FAILED = 500
"""From here on a status says that the exchange failed, not the caller."""


class ProblemError(ExchangeError):
    """The exchange answered with an RFC 9457 problem.

    `code` is the contract's stable word, `faults` what was wrong with the request, `request_id` and `entry`
    what the exchange's operator needs to find the request in its log. `retry_after_seconds` is when the exchange asks
    to be asked again, None where it does not.
    """

    def __init__(  # noqa: PLR0913  what an answer may say
        self,
        *,
        status: int,
        code: str,
        detail: str,
        faults: tuple[Fault, ...] = (),
        request_id: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.detail = detail
        self.faults = faults
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        lines = [f"{self.detail} (`{self.code}`, {self.status})", *(f"  {fault}" for fault in self.faults)]
        if self.retry_after_seconds:
            lines.append(f"  ask again in {self.retry_after_seconds:.0f} s")
        if self.status >= _FAILED and self.request_id:
            # The cause is in the exchange's own log, under this id.
            lines.append(f"  tell the exchange's operator of request {self.request_id}")
        return "\n".join(lines)


class ConnectionFailedError(ExchangeError):
    """The exchange could not be reached, or one of the two did not accept the other's certificate."""

    code = "connection-failed"


class UnsafeKeyError(ExchangeError):
    """A private key or certificate file with which the client refuses to connect."""

    code = "unsafe-key"


class AnswerError(ExchangeError):
    """The answer is not what the contract says: another service, a proxy, or a newer exchange."""

    code = "unexpected-answer"


class ReceiptFileError(ExchangeError):
    """The file of kept receipts cannot be read or written; an answer without its receipt is not used."""

    code = "receipts"


def explain_connection(url: str, cert: Path, ca: Path, failure: BaseException) -> ConnectionFailedError:
    """Return the error that names the cause of `failure`, found in its chain, and the mend."""
    text = " ".join(str(link) for link in _chain(failure)).lower()
    for marks, sentence in _CAUSES:
        if any(mark in text for mark in marks):
            # Who hangs up says nothing: where one's own certificate tells why, nothing else is guessed.
            own = _why_rejected(cert) if sentence is _REJECTED else None
            return ConnectionFailedError((own or sentence).format(url=url, cert=cert, ca=ca))
    kind = type(failure).__name__
    return ConnectionFailedError(f"no connection to `{url}`: {str(failure).lower() or kind}")


_REJECTED = (
    "`{url}` closed the connection without an answer: it does not accept the certificate `{cert}` "
    "(no longer valid, or its authority is not trusted there: the operator adds one with `exchange ca add`), "
    "or it was stopped"
)

# What OpenSSL and the sockets say, in lower case, and what it means here; the first match counts.
_CAUSES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("alert certificate required", "peer did not return a certificate"),
        "`{url}` asks for a client certificate: give one and its key (on the command line `--cert` and `--key`)",
    ),
    (
        ("alert certificate expired",),
        "`{url}` says that the certificate `{cert}` has expired: ask the exchange's operator for a new one",
    ),
    (
        ("alert certificate revoked",),
        "`{url}` says that the certificate `{cert}` was revoked: ask the exchange's operator",
    ),
    (
        ("alert unknown ca", "alert bad certificate", "alert certificate unknown"),
        "`{url}` does not trust the authority of `{cert}`: the operator adds it with `exchange ca add`",
    ),
    (
        ("hostname mismatch", "is not valid for", "doesn't match"),
        "the certificate of `{url}` is for another name: use a name or address that the server certificate holds",
    ),
    (
        ("certificate has expired",),
        "the server certificate of `{url}` has expired: its operator must renew it",
    ),
    (
        ("certificate_verify_failed", "certificate verify failed"),
        "`{url}` shows a server certificate that is not from the authority in `{ca}`: use the right ca.pem",
    ),
    (
        ("wrong version number", "record layer failure", "unknown protocol", "http request"),
        "`{url}` does not speak TLS: check the address and port",
    ),
    (
        ("connection refused", "errno 111"),
        "nothing answers at `{url}`: check the address and port, and that the exchange runs",
    ),
    (
        ("name or service not known", "name resolution", "nodename nor servname", "no address associated"),
        "the name in `{url}` cannot be found: check the address",
    ),
    (
        ("timed out", "timeout"),
        "`{url}` did not answer in time: try again, or ask whether the exchange is overloaded",
    ),
    (
        ("incomplete chunked read", "without sending complete message"),
        "`{url}` broke its answer off (something there is away, or it was stopped): ask again for what is missing",
    ),
    (
        ("connection reset", "eof occurred", "disconnected without", "connection closed", "broken pipe"),
        _REJECTED,
    ),
)


def _why_rejected(cert: Path) -> str | None:
    """Return why no exchange takes the certificate now, as far as its own times tell; None where they do not."""
    try:
        own = read_certificates(cert.read_bytes())
    except (OSError, MalformedError):
        return None
    now = system_clock()
    if own and own[0].not_after <= now:
        return f"the certificate `{{cert}}` ended at {own[0].not_after:%Y-%m-%d %H:%M:%SZ}: ask for a new one"
    if own and now < own[0].not_before:
        return f"the certificate `{{cert}}` begins at {own[0].not_before:%Y-%m-%d %H:%M:%SZ}: look at your clock"
    return None


def _chain(failure: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = failure
    while link is not None:
        yield link
        if isinstance(link, ssl.SSLCertVerificationError):
            # The reason stands in an attribute as well as in the text.
            yield ConnectionFailedError(link.verify_message)
        link = link.__cause__ or link.__context__
