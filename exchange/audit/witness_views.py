"""Who stands behind a log, as auditors are told."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from exchange.audit.log_policy import KnownWitness
from exchange.audit.note_keys import VerifierKey
from exchange.kernel import LAST_MOMENT, to_micros

_LAST_SECONDS: Final = to_micros(LAST_MOMENT) // 1_000_000


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

    @classmethod
    def of(cls, witness: KnownWitness, newest: int, *, size: int | None = None, at_seconds: int | None = None) -> Self:
        """Return how `witness` stands to the kept checkpoint of size `newest`; `size` is None where it cosigned none.

        One that stands behind more than was kept is not behind.
        """
        # A witness may state any time up to 2**63 - 1, and the calendar ends before that.
        at = None if size is None or at_seconds is None else datetime.fromtimestamp(min(at_seconds, _LAST_SECONDS), UTC)
        return cls(witness.name, witness.key, witness.url, size, at, max(0, newest - (size or 0)))


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

    @classmethod
    def before_the_log(cls, witnesses: tuple[KnownWitness, ...], quorum: str) -> Self:
        """Return what is shown while there is no log: nobody is behind, and no quorum is missed."""
        unasked = tuple(WitnessView.of(each, 0) for each in witnesses)
        return cls(None, 0, unasked, quorum, has_quorum=True, witnessed_size=None, since=None)
