"""What the store tells of subscriptions; times are in microseconds since 1970."""

from dataclasses import dataclass
from enum import Enum

from exchange.store.rows.main_rows import Sealed


class DeliveryState(Enum):
    """What became of something to tell.

    `withheld`: when it was to be sent, its reader might no longer know of it. That is told to nobody.
    """

    WAITING = "waiting"
    DELIVERED = "delivered"
    WITHHELD = "withheld"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """Where one client is told, why it reads there (None: its first purpose), and the secret that signs, wrapped."""

    id: str
    client: str
    purpose: str | None
    url: str
    secret: Sealed
    seq: int
    added_at: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One thing to tell, or told; neither a report nor a breach is a test. `told` is what went wrong last.

    `report` is the id of a report or of a request for information; which of them is known where it is listed.
    """

    id: str
    subscription: str
    report: str | None
    queued_at: int
    state: DeliveryState
    tries: int
    next_at: int
    ended_at: int | None
    told: str | None
    breach: str | None = None
    is_request: bool = False

    @property
    def kind(self) -> str:
        """Return what it tells of."""
        if self.breach is not None:
            return "breach"
        if self.report is None:
            return "test"
        return "request" if self.is_request else "report"
