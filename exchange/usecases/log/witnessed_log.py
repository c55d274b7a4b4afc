"""What the log and its witnesses know of each other: which cosignatures count, and what a witness's note says of us.

Promises: a cosignature is kept only where it verifies under a witness of the policy, on a checkpoint that the log
keeps, and states its time; a note that our own keys signed and the log does not contain is a contradiction, and goes
where the sequencer sees it before it signs again.
Does not: believe a witness's word: without the log's own signature on another tree nothing freezes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from exchange.audit import (
    Checkpoint,
    KnownWitness,
    NoteError,
    NoteSignature,
    SignedNote,
    TreeHead,
    checkpoint_in,
    parse_checkpoint,
    parse_note,
    verify_note,
)
from exchange.kernel import MalformedError, to_micros
from exchange.store.log.witness_files import WitnessedFile
from exchange.store.rows.log_rows import CosignatureRow, KeptCheckpoint, LogState
from exchange.usecases.log.quorum import log_keys
from exchange.usecases.steps.context import Services

# A witness's clock may be ahead of ours by this; a later time would make its silence look fresh.
_CLOCK_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Agreement:
    """A tree that our own keys signed, and that the log begins with."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A tree that our own keys signed, and that the log does not begin with."""

    checkpoint: Checkpoint
    note: bytes
    told: str


def valid_lines(
    text: str, lines: tuple[NoteSignature, ...], witness: KnownWitness, now_seconds: int
) -> tuple[NoteSignature, ...]:
    """Return the lines that are this witness's cosignature on a checkpoint; NoteError where there is none.

    Lines of other keys are passed over, as the protocol asks.
    """
    own = tuple(line for line in lines if (line.name, line.key_id) == (witness.key.name, witness.key.key_id))
    for attested in verify_note(SignedNote(text, own), [witness.key]):
        if attested.at_seconds is None or attested.at_seconds > now_seconds + _CLOCK_SECONDS:
            raise NoteError(f"the cosignature of `{witness.name}` states no time, or one that has not come")
    return own[:1]


async def keep_cosignature(
    services: Services, kept: KeptCheckpoint, witness: KnownWitness, lines: tuple[NoteSignature, ...]
) -> None:
    """Keep a witness's cosignature on a kept checkpoint, in the database and outside of it."""
    now = services.clock()
    own = valid_lines(parse_note(kept.note).text, lines, witness, int(now.timestamp()))
    line = "".join(each.line for each in own)
    row = CosignatureRow(kept.log, kept.size, witness.key.name, line, to_micros(now))
    await services.store.add_cosignature(row)
    if services.witnessing.witnessed is not None:
        _remember(services.witnessing.witnessed, kept)


def keep_contradiction(services: Services, found: Contradiction) -> None:
    """Keep what contradicts the log where the sequencer sees it before it signs again."""
    if services.witnessing.witnessed is not None:
        services.witnessing.witnessed.keep_contradiction(found.note)


async def compare(services: Services, note: bytes) -> Agreement | Contradiction | None:
    """Return whether the log contains the tree in a note that somebody shows; None where our keys did not sign it.

    The log is read after the note came: what it signed before that, it holds by now.
    """
    state = await services.store.log.state()
    if state is None:
        return None
    try:
        parsed = parse_note(note)
        verify_note(parsed, log_keys(state))
        checkpoint = parse_checkpoint(parsed.text)
    except (MalformedError, NoteError):
        # Not signed by us: whatever it says, it proves nothing about this log.
        return None
    if checkpoint.origin != state.origin:
        return None
    told = await _told_against(services, state, checkpoint.head)
    return Agreement(checkpoint) if told is None else Contradiction(checkpoint, note, told)


def witnessed_outside(file: WitnessedFile) -> Callable[[str], Awaitable[TreeHead | None]]:
    """Return what the sequencer asks before it signs: the head of this origin that somebody outside holds.

    What contradicts the log comes first, and stays until the log of another origin begins.
    """

    async def witnessed(origin: str) -> TreeHead | None:
        for note in (file.contradiction(), file.newest()):
            checkpoint = None if note is None else checkpoint_in(note)
            if checkpoint is not None and checkpoint.origin == origin:
                return checkpoint.head
        return None

    return witnessed


async def _told_against(services: Services, state: LogState, head: TreeHead) -> str | None:
    if head.size > state.size:
        return f"our keys signed a tree of {head.size} entries, and the log has {state.size}"
    if await services.store.log.root(state.log, head.size) != head:
        return f"our keys signed another tree of {head.size} entries than the log's"
    return None


def _remember(file: WitnessedFile, kept: KeptCheckpoint) -> None:
    before = file.newest()
    checkpoint = checkpoint_in(kept.note)
    if before is not None:
        known = checkpoint_in(before)
        if known.origin == checkpoint.origin and known.size >= checkpoint.size:
            return
    file.keep_newest(kept.note)
