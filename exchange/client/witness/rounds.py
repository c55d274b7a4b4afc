"""One round of a witness that goes to the log by itself: fetch, check, cosign, bring the cosignature back.

For members whose systems nobody may call from outside: a cron step over the member's own mutual TLS.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from exchange.audit import parse_checkpoint, parse_note
from exchange.audit.witness import Refuse, Submission
from exchange.client.errors import AnswerError, ProblemError
from exchange.client.witness.desk import Cosigned, Desk
from exchange.kernel import MalformedError

# A log that cannot prove its growth says so with one of these; anything else may pass.
_NO_PROOF = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)


class ShownLog(Protocol):
    """A log as one of its members sees it."""

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint's note."""

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the larger tree grew from the smaller one."""

    def bring(self, note: bytes) -> None:
        """Hand a checkpoint with this witness's cosignatures to the log."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """How a round ended: at which size, in which sentence, and whether the exchange has the cosignature."""

    origin: str
    size: int
    is_cosigned: bool
    is_brought: bool
    told: str


def one_round(desk: Desk, log: ShownLog, *, brings: bool = True) -> RoundResult:
    """Do one round; `brings` off keeps the cosignature here.

    Raises AnswerError for what is no checkpoint, and what the connection raises.
    """
    shown = log.checkpoint()
    try:
        note = parse_note(shown)
        checkpoint = parse_checkpoint(note.text)
    except MalformedError as exc:
        raise AnswerError(f"what the exchange shows is no checkpoint: {exc.message}") from exc
    held = desk.held_of(checkpoint.origin)
    proof = _proof(log, held.size, checkpoint.size) if 0 < held.size < checkpoint.size else ()
    outcome = desk.consider(Submission(held.size, proof, note, checkpoint), is_newest=True)
    if isinstance(outcome, Cosigned):
        if brings:
            log.bring(outcome.note)
        return RoundResult(checkpoint.origin, checkpoint.size, is_cosigned=True, is_brought=brings, told="cosigned")
    is_brought = brings and _bring_contradiction(desk, log, checkpoint.origin, outcome)
    return RoundResult(checkpoint.origin, checkpoint.size, is_cosigned=False, is_brought=is_brought, told=outcome.told)


def _proof(log: ShownLog, old_size: int, new_size: int) -> tuple[bytes, ...]:
    try:
        return log.consistency(old_size, new_size)
    except ProblemError as exc:
        if exc.status not in _NO_PROOF:
            raise
        # No proof: the decision will say so, and keep the evidence.
        return ()


def _bring_contradiction(desk: Desk, log: ShownLog, origin: str, refusal: Refuse) -> bool:
    """Show an honest exchange what it signed before: it freezes its log rather than go on signing another history."""
    held = desk.note_of(origin)
    if held is None or refusal.finding is None:
        return False
    try:
        log.bring(held)
    except ProblemError:
        return False
    return True
