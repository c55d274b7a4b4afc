"""A part's bytes on the member's side: decoded, and believed only when their digest is the header's."""

import base64
import binascii
import hashlib
from collections.abc import Iterator

from exchange.client.errors import AnswerError
from exchange.wire import PulledPartBody


def decoded(part: PulledPartBody) -> bytes | None:
    """Return the content that came along with the header, None where it must be fetched by itself."""
    if part.content is None:
        return None
    if part.encoding != "base64":
        return part.content.encode()
    try:
        return base64.b64decode(part.content, validate=True)
    except binascii.Error as exc:
        raise AnswerError(f"part {part.number} is not the base64 that it says it is") from exc


def checked_content(part: PulledPartBody, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `chunks`, of no more bytes than the header says; AnswerError at their end where they are not that part."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > part.size_bytes:
            break  # it may have no end
        yield chunk
    if size != part.size_bytes or digest.hexdigest() != part.sha256:
        raise AnswerError(f"part {part.number} is not what its header says: {size} bytes, other SHA-256: do not use it")
