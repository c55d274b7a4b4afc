"""What the service does by itself, as the log says it: in its own name, and in no client's."""

from collections.abc import Callable
from typing import Protocol, Unpack

from exchange.audit import Actor, EntryDraft, EventName, Outcome
from exchange.kernel import Clock, new_id
from exchange.store import Store
from exchange.usecases.steps.recording import DraftFields


class Drafting(Protocol):
    """What an entry has its time and its id from."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""

    @property
    def randomness(self) -> Callable[[int], bytes]:
        """Return the source of random bytes."""


class Recording(Drafting, Protocol):
    """What records entries in this process: the wired services, or a `Recorder`."""

    @property
    def store(self) -> Store:
        """Return where they are recorded."""


def service_draft(
    own: Drafting, event: EventName, outcome: Outcome = Outcome.PERMITTED, **fields: Unpack[DraftFields]
) -> EntryDraft:
    """Return the entry of what the service did by itself."""
    now = own.clock()
    return EntryDraft(
        event=event,
        outcome=outcome,
        at=now,
        actor=Actor(kind="service"),
        request_id=new_id(now, own.randomness),
        source="local",
        **fields,
    )
