"""Large answers leave in pieces, each once the reader has taken the one before, and only so many at a time.

Written at once, an answer would lie encrypted in the connection until its reader had taken all of it, and the server
would take the reader for quick.
"""

from starlette.types import Message, Send

from exchange.entrypoints.http.errors import OverloadedError
from exchange.entrypoints.http.holders import Holder
from exchange.entrypoints.http.shares import Shares

PIECE_BYTES = 64 * 1024
LARGE_BYTES = 4 * PIECE_BYTES
"""What is smaller leaves whole: most readers take so much in one round trip."""
MOST_BYTES = 256 * 1024 * 1024
"""Of answers on their way from one worker at a time."""


class TooManyLargeAnswersError(OverloadedError):
    """As much is on its way from here, or to this client or its member, as may be: it is cut off, and asks again."""

    def __init__(self) -> None:
        super().__init__("too much is on its way from here, or to this client or its member: ask again")


class LargeAnswers:
    """The large answers that are on their way from one worker."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._shares = Shares(most_bytes)
        self.bytes = 0

    async def send(self, send: Send, message: Message, *, holder: Holder) -> None:
        """Send the body in `message` piece by piece; TooManyLargeAnswersError where there is no room for it."""
        body = memoryview(message["body"])
        if self.bytes + len(body) > self._most_bytes or self._shares.take(holder, len(body)) is not None:
            raise TooManyLargeAnswersError
        self.bytes += len(body)
        try:
            for start in range(0, len(body), PIECE_BYTES):
                is_last = start + PIECE_BYTES >= len(body)
                more = not is_last or message.get("more_body", False)
                await send({**message, "body": bytes(body[start : start + PIECE_BYTES]), "more_body": more})
        finally:
            self.bytes -= len(body)
            self._shares.give_back(holder, len(body))
