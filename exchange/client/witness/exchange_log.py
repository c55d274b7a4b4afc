"""The exchange's log as a witness sees it over the member's mutual TLS."""

import json
from types import TracebackType
from typing import Self

from exchange.client.answers import JSON
from exchange.client.errors import AnswerError
from exchange.client.log_reads import LogReads
from exchange.client.transport import Endpoint, Transport
from exchange.kernel import MalformedError


class ExchangeLog:
    """A connection to one exchange, for what a witness asks of it. Use it as a context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._transport = Transport(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._transport.close()

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint that the exchange keeps: one that is kept can be cosigned later, too."""
        return LogReads(self._transport).kept_checkpoint()

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the log grew from the one size to the other."""
        try:
            return LogReads(self._transport).consistency(old_size, new_size)
        except MalformedError as exc:
            raise AnswerError("the answer is no consistency proof") from exc

    def bring(self, note: bytes) -> None:
        """Hand over a checkpoint with this witness's cosignatures. Twice is as good as once."""
        content = json.dumps({"checkpoint": note.decode()}).encode()
        self._transport.request("POST", "/v1/audit/cosignatures", may_repeat=True, content=content, headers=JSON)
