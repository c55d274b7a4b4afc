"""Cursors: where a client goes on reading, sealed so that it tells nothing and serves nobody else.

A position is a number in some order: of commits, of alerts, of notices. How many of them others have is nobody's to
know, so a client never sees one; in a list by id the place is an id. A restored database gives numbers once more: a
cursor from before would pass over what comes then, so it is a foreign one.
"""

from collections.abc import Callable
from uuid import UUID

from exchange.crypto import OpeningError, open_token, seal_token
from exchange.kernel import MalformedError
from exchange.members import Client
from exchange.usecases.steps.context import Services

_NONCE_BYTES = 12
_POSITION_BYTES = 8
_ID_BYTES = 16
_UNFINISHED = b"\x01"
"""Behind the position of a cursor before which not all was told."""
_LAST_POSITION = (2**63 - 1).to_bytes(_POSITION_BYTES)
"""What a database counts to."""


def seal_position(services: Services, client: Client, position: int, *, of: str = "list") -> str:
    """Return the cursor for `position` in the order that `of` names; only `client` can use it, and only there."""
    return _sealed(services, client, position.to_bytes(_POSITION_BYTES), of)


def open_position(services: Services, client: Client, cursor: str | None, *, of: str = "list") -> int:
    """Return the position in `cursor`, 0 without one; raises MalformedError for one that was not given to `client`."""
    if cursor is None:
        return 0
    return int.from_bytes(_opened(services, client, cursor, of, _is_position)[:_POSITION_BYTES])


def seal_unfinished(services: Services, client: Client, position: int) -> str:
    """Return the cursor for `position` in the list that remembers that not all before it was told."""
    return _sealed(services, client, position.to_bytes(_POSITION_BYTES) + _UNFINISHED, "list")


def is_unfinished(services: Services, client: Client, cursor: str | None) -> bool:
    """Return whether not all before the position in `cursor` was told; raises MalformedError as `open_position`."""
    return cursor is not None and len(_opened(services, client, cursor, "list", _is_position)) > _POSITION_BYTES


def seal_id(services: Services, client: Client, an_id: str, *, of: str) -> str:
    """Return the cursor behind `an_id` in the list that `of` names; only `client` can use it, and only there."""
    return _sealed(services, client, UUID(an_id).bytes, of)


def open_id(services: Services, client: Client, cursor: str | None, *, of: str) -> str | None:
    """Return the id in `cursor`, None without one; raises MalformedError for one that was not given to `client`."""
    if cursor is None:
        return None
    return str(UUID(bytes=_opened(services, client, cursor, of, lambda payload: len(payload) == _ID_BYTES)))


def _sealed(services: Services, client: Client, payload: bytes, of: str) -> str:
    return seal_token(services.cursor_key, _purpose(services, of, client), payload, services.randomness(_NONCE_BYTES))


def _opened(services: Services, client: Client, cursor: str, of: str, is_one: Callable[[bytes], bool]) -> bytes:
    try:
        payload = open_token(services.cursor_key, _purpose(services, of, client), cursor)
        if not is_one(payload):
            raise OpeningError("the cursor holds no such place")
    except OpeningError as exc:
        message = (
            "the cursor, in `after` or `Last-Event-ID`, was not given to this client, or before a restore: "
            "use your own last one (`next` of a page, `id` of an event)"
        )
        raise MalformedError(message) from exc
    return payload


def _is_position(payload: bytes) -> bool:
    position, rest = payload[:_POSITION_BYTES], payload[_POSITION_BYTES:]
    return len(position) == _POSITION_BYTES and position <= _LAST_POSITION and rest in (b"", _UNFINISHED)


def _purpose(services: Services, of: str, client: Client) -> str:
    restores = services.store.lineage.number
    return f"{of} cursor of {client.id}" + (f" after restore {restores}" if restores else "")
