"""Acts that no one person can do: one asks, another one of a right role approves, within a time.

Steps of an approval: (1) it waits still; (2) its time has not run out; (3) the approver is another client; (4) and
holds a right role. What was altered since it was asked for cannot even be read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from exchange.kernel import Canonical, ConflictError, ForbiddenError, canonical_bytes
from exchange.members.model import Client, ClientId, Role

PENDING_DAYS: Final = 7
"""Long enough to find a colleague, short enough that what is approved is still what was meant."""


@dataclass(frozen=True, slots=True)
class PendingAct:
    """An act that was asked for. `payload` is its canonical JSON, `digest` the SHA-256 of that in hex."""

    id: str
    kind: str
    payload: str
    digest: str
    requester: ClientId
    requested_at: datetime
    expires_at: datetime
    approver: ClientId | None = None

    @property
    def asked(self) -> Mapping[str, str]:
        """Return what was asked for, by name; ConflictError where it is not what the digest names."""
        # The digest stands in the log since the act was asked for.
        if _digest_hex(self.payload) != self.digest:
            raise ConflictError("what is kept is not what was asked for: ask again", code="request-altered")
        asked: Mapping[str, str] = json.loads(self.payload)
        return asked


def ask_for_act(act_id: str, kind: str, asked: Mapping[str, str], *, requester: Client, now: datetime) -> PendingAct:
    """Return the act that `requester` asks for; it waits for another person for seven days."""
    content: Canonical = dict(asked)
    payload = canonical_bytes(content).decode()
    until = now + timedelta(days=PENDING_DAYS)
    return PendingAct(act_id, kind, payload, _digest_hex(payload), requester.id, requested_at=now, expires_at=until)


def require_second_person(act: PendingAct, second: Client, *, roles: frozenset[Role], now: datetime) -> None:
    """Check that `second` may approve `act` at `now`.

    Raises ConflictError where the act waits no longer or is the approver's own; ForbiddenError for a client that is not
    active or holds none of `roles`.
    """
    # (1) once only
    if act.approver is not None:
        raise ConflictError("this was approved already", code="approved-already")
    # (2) the first moment that is too late is `expires_at` itself
    if now >= act.expires_at:
        raise ConflictError("this was asked for too long ago: ask again", code="request-expired")
    # (3) INVARIANT: no one person
    if second.id == act.requester:
        raise ConflictError("who asks cannot approve: a second person must", code="second-person-needed")
    # (4) as of now, whoever it was
    if not second.is_active or second.roles.isdisjoint(roles):
        raise ForbiddenError(f"approving needs the role {' or '.join(sorted(f'`{role.value}`' for role in roles))}")


def _digest_hex(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()
