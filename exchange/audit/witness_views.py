"""Who stands behind a log, as auditors are told."""

from dataclasses import dataclass
from datetime import datetime

from exchange.audit.note_keys import VerifierKey


@dataclass(frozen=True, slots=True)
class WitnessView:
    """One witness, and the largest checkpoint that it stands behind: its size, the time it states, and what is missing.

    `behind` counts the entries from there to the newest kept checkpoint.
    """

    name: str
    key: VerifierKey
    url: str | None
    size: int | None
    cosigned_at: datetime | None
    behind: int


@dataclass(frozen=True, slots=True)
class WitnessesView:
    """Who stands behind the log; `origin` is None before the log began.

    `quorum` is the rule in words; `since` when the first checkpoint without it was signed, None while none lacks it.
    """

    origin: str | None
    size: int
    witnesses: tuple[WitnessView, ...]
    quorum: str
    has_quorum: bool
    witnessed_size: int | None
    since: datetime | None
