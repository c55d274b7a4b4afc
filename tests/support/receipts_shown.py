"""Every answer carries its receipt: asked of whatever a test is answered, not of chosen routes."""

import base64

import httpx2

from exchange.kernel import is_uuid7

FREE = frozenset({429, 500, 503})
"""Of a flood one entry speaks for many; a log that is away gives no receipt, nor does one that is what failed."""


def require_receipt(method: str, path: str, answer: httpx2.Response) -> None:
    """Hold that `answer` names its entry and that entry's leaf hash."""
    if answer.status_code in FREE:
        return
    asked = f"{method} {path} -> {answer.status_code}"
    assert is_uuid7(answer.headers.get("x-audit-entry", "")), asked
    assert len(base64.b64decode(answer.headers.get("x-audit-leaf", ""), validate=True)) == 32, asked
