"""Consultations and disputes under an agreement: opened by one member, answered by others, settled between them.

Promises: where one stands follows from what was said, in order; what is settled is final.
Does not: know who may speak for a member, or keep anything.

Decided here. A consultation asks, and is settled by the member that opened it. A dispute has sides: it is settled when
each of its members has agreed to the same words. Whoever says other words later agrees to those, and to the former no
more.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from exchange.kernel.errors import ConflictError

MOST_SAID = 100
"""By one member in one matter: all that was said is shown whenever somebody looks."""


class MatterKind(Enum):
    """What is opened: a question to other parties, or a disagreement with them."""

    CONSULTATION = "consultation"
    DISPUTE = "dispute"


class MatterState(Enum):
    """Where it stands."""

    OPEN = "open"
    ANSWERED = "answered"
    SETTLED = "settled"


class Speech(Enum):
    """What a member does with its words."""

    OPEN = "open"
    ANSWER = "answer"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Said:
    """Words of a member; `client` spoke them for it, `entry` of the log has their digest."""

    member: str
    client: str
    speech: Speech
    text: str
    at: datetime
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Matter:
    """A consultation or dispute among some parties of an agreement. The first words are those that opened it."""

    id: str
    agreement: str
    kind: MatterKind
    members: tuple[str, ...]
    breach: str | None
    said: tuple[Said, ...]

    @property
    def opened_by(self) -> str:
        """Return the member that opened it."""
        return self.said[0].member

    @property
    def state(self) -> MatterState:
        """Return where it stands."""
        if self._is_settled:
            return MatterState.SETTLED
        has_answer = any(each.member != self.opened_by for each in self.said)
        return MatterState.ANSWERED if has_answer else MatterState.OPEN

    @property
    def _is_settled(self) -> bool:
        agreed = {each.member: each.text for each in self.said if each.speech is Speech.SETTLE}
        if self.kind is MatterKind.CONSULTATION:
            return self.opened_by in agreed
        return agreed.keys() >= set(self.members) and len(set(agreed.values())) == 1


def require_speech(matter: Matter, member: str, speech: Speech) -> None:
    """Raise ConflictError where a member of `matter` cannot say that now, or has said as much as one may."""
    if matter.state is MatterState.SETTLED:
        raise ConflictError(f"the {matter.kind.value} is settled: open another one", code="settled")
    if speech is Speech.SETTLE and matter.kind is MatterKind.CONSULTATION and member != matter.opened_by:
        raise ConflictError("a consultation is settled by the member that opened it", code="not-yours-to-settle")
    # The last words are to settle it by.
    most = MOST_SAID if speech is Speech.SETTLE else MOST_SAID - 1
    if sum(each.member == member for each in matter.said) >= most:
        message = f"your member has said {most} times something here: settle it, or open another one"
        raise ConflictError(message, code="too-much-said")
