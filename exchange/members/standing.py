"""How members and clients change: a table of moves, and functions that answer the next version."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import TypeVar

from exchange.kernel.errors import ConflictError, ForbiddenError
from exchange.members.model import Clearance, Client, Member, Standing

Holder = TypeVar("Holder", Client, Member)


class StandingMove(Enum):
    """What changes a standing."""

    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"


# Revoked is final: no row leaves it.
STANDING_MOVES: Mapping[tuple[Standing, StandingMove], Standing] = MappingProxyType(
    {
        (Standing.ACTIVE, StandingMove.SUSPEND): Standing.SUSPENDED,
        (Standing.ACTIVE, StandingMove.REVOKE): Standing.REVOKED,
        (Standing.SUSPENDED, StandingMove.RESUME): Standing.ACTIVE,
        (Standing.SUSPENDED, StandingMove.REVOKE): Standing.REVOKED,
    }
)


class InactiveHolder(Enum):
    """Whose standing keeps a client from acting, as entries say it in `inactive`."""

    CLIENT = "client"
    MEMBER = "member"


class InactiveError(ForbiddenError):
    """Who acts is not active; `holder` says by whose standing. The caller is answered one code for both."""

    code = "client-suspended"

    def __init__(self, message: str, *, holder: InactiveHolder) -> None:
        super().__init__(message)
        self.holder = holder


def inactive_error(client: Client | None) -> InactiveError:
    """Return why `client`, which is not active, may not act; None is one whose row is gone.

    INVARIANT: a client that is revoked or suspended itself is told of as that, whatever befell its member: who comes
    with its key must not pass for one of many.
    """
    if client is None:
        return InactiveError("this client is suspended or revoked", holder=InactiveHolder.CLIENT)
    is_own = client.standing is not Standing.ACTIVE
    return InactiveError(why_inactive(client), holder=InactiveHolder.CLIENT if is_own else InactiveHolder.MEMBER)


def why_inactive(client: Client) -> str:
    """Return in a sentence what keeps `client`, which is not active, from acting, and who can mend it."""
    if client.standing is Standing.REVOKED:
        return "this client is revoked for good: its member's operator enrols another one"
    if client.standing is Standing.SUSPENDED:
        return "this client is suspended: ask its member's operator"
    return f"the member of this client is {client.member_standing.value}: ask the exchange's operator"


def suspended(holder: Holder) -> Holder:
    """Return the next version, which may not act until it is resumed; ConflictError."""
    return _moved(holder, StandingMove.SUSPEND)


def unmoved(holder: Holder) -> Holder:
    """Return the next version, which stands as it stood: somebody takes the right away that is not there."""
    return replace(holder, version=holder.version + 1)


def resumed(holder: Holder) -> Holder:
    """Return the next version, which may act again; ConflictError."""
    return _moved(holder, StandingMove.RESUME)


def revoked(holder: Holder) -> Holder:
    """Return the next version, which may never act again; ConflictError."""
    return _moved(holder, StandingMove.REVOKE)


def with_clearance(client: Client, clearance: Clearance) -> Client:
    """Return the next version of `client`, cleared as `clearance` says; ConflictError for a revoked client."""
    if client.standing is Standing.REVOKED:
        message = f"`{client.name}` is revoked: enrol a new client"
        raise ConflictError(message)
    return replace(client, version=client.version + 1, clearance=clearance)


def _moved(holder: Holder, move: StandingMove) -> Holder:
    after = STANDING_MOVES.get((holder.standing, move))
    if after is None:
        possible = [each.value for standing, each in STANDING_MOVES if standing is holder.standing]
        message = (
            f"`{holder.name}` is {holder.standing.value}: cannot {move.value}; "
            f"possible now: {', '.join(possible) or 'nothing'}"
        )
        raise ConflictError(message)
    return replace(holder, version=holder.version + 1, standing=after)
