"""The answer to what is no request: complete bytes, for where there is no application to answer yet."""

import json
import os

from exchange.kernel import new_id, system_clock

_PROBLEM = {
    "type": "urn:exchange:problem:malformed",
    "title": "The request cannot be read",
    "status": 400,
    "code": "malformed",
}
NO_HTTP = "this is no HTTP/1.1 request, or its head is too large"
NO_UPGRADE = "this address speaks HTTP/1.1 and nothing else: send no `Upgrade` with a body"
NO_TLS = "this address speaks TLS with client certificates: ask it by https://, with your certificate and key"


def unread_answer(detail: str) -> bytes:
    """Return a 400 that says `detail`, under a request id of its own; the connection ends with it."""
    request_id = new_id(system_clock(), os.urandom)
    body = json.dumps({**_PROBLEM, "detail": detail, "request_id": request_id}).encode()
    head = (
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nx-content-type-options: nosniff\r\n"
        f"cache-control: no-store\r\nx-request-id: {request_id}\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
