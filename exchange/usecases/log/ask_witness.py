"""Asking one witness to cosign the newest checkpoint that is kept (C2SP tlog-witness, from the log's side).

Steps: (1) see what there is to cosign, and what this witness cosigned last; (2) ask, with the proof from there; (3)
told that it holds another size, ask again from that one, but not for ever; (4) keep what verifies; (5) where it holds
what the log does not, ask what, and see whether our own keys signed it: then the log is the one that is wrong.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from exchange.audit import KnownWitness, NoteError, parse_signature_line
from exchange.audit.witness import render_submission
from exchange.kernel import MalformedError
from exchange.store.rows.log_rows import CosignatureRow, KeptCheckpoint, LogState
from exchange.usecases.log.quorum import cosigned_note
from exchange.usecases.log.witnessed_log import Agreement, Contradiction, compare, keep_cosignature
from exchange.usecases.steps.context import Services

# The first from what we know, the second from what it says; a third in case another node asked in between.
_MOST_QUESTIONS = 4


@dataclass(frozen=True, slots=True)
class Cosignatures:
    """A 200: signature lines, not verified yet."""

    content: bytes


@dataclass(frozen=True, slots=True)
class HeldSize:
    """A 409: the size that the witness holds."""

    size: int


@dataclass(frozen=True, slots=True)
class Declined:
    """Another refusal; `told` is the witness's own sentence, shortened."""

    status: int
    told: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, or none of the protocol's."""

    told: str


Reply = Cosignatures | HeldSize | Declined | Unreachable


class WitnessLine(Protocol):
    """The way to a witness at its submission prefix `url`."""

    async def add_checkpoint(self, url: str, body: bytes) -> Reply:
        """Send an `add-checkpoint` request."""

    async def newest(self, url: str, origin: str) -> bytes | None:
        """Return the note that the witness keeps of the log, None where it shows none."""


class AskedState(Enum):
    """How asking ended."""

    NOTHING_NEW = "nothing-new"
    COSIGNED = "cosigned"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Asked:
    """How asking a witness ended, about which size, and in words.

    `has_forgotten` says that the witness holds less than it cosigned: its own memory was set back.
    """

    state: AskedState
    size: int = 0
    told: str = ""
    has_forgotten: bool = False
    contradiction: Contradiction | None = None


async def ask_witness(services: Services, witness: KnownWitness, line: WitnessLine) -> Asked:
    """Ask `witness`, which has an address; UnavailableError where the log cannot be read."""
    # (1) what there is to cosign
    state = await services.store.log.state()
    kept = None if state is None else await services.store.log.kept_checkpoint(state.log)
    if state is None or kept is None or witness.url is None:
        return Asked(AskedState.NOTHING_NEW)
    last = await services.store.witnesses.latest_of(state.log, witness.key.name, upto=kept.size)
    if last is not None and last.size >= kept.size:
        return Asked(AskedState.NOTHING_NEW, kept.size)
    return await _Questions(services, witness, line, state, kept).ask(last)


@dataclass(slots=True)
class _Questions:
    services: Services
    witness: KnownWitness
    line: WitnessLine
    state: LogState
    kept: KeptCheckpoint
    has_forgotten: bool = False

    async def ask(self, last: CosignatureRow | None) -> Asked:
        # (2) from what it cosigned last, as far as we know
        believed = 0 if last is None else last.size
        for _ in range(_MOST_QUESTIONS):
            match await self._asked_from(believed, self.kept.size, self.kept.note):
                case Cosignatures(content):
                    return await self._kept_lines(content)
                case HeldSize(size) if size > self.kept.size:
                    return await self._doubted(f"it holds a tree of {size} entries")
                case HeldSize(size) if size == believed:
                    return self._refused(f"it asks for the size {size} that it was given")
                case HeldSize(size):
                    # (3) from what it says
                    believed = await self._reminded(size, last)
                case Declined(status, told):
                    return await self._doubted(f"{status}: {told}")
                case Unreachable(told):
                    return Asked(AskedState.UNREACHABLE, self.kept.size, told, self.has_forgotten)
        return self._refused("it names another size each time")

    async def _asked_from(self, old_size: int, size: int, note: bytes) -> Reply:
        proof = await self.services.store.log.consistency_proof(self.state.log, old_size, size)
        return await self.line.add_checkpoint(self.witness.url or "", render_submission(old_size, proof, note))

    async def _reminded(self, size: int, last: CosignatureRow | None) -> int:
        """Return from where to go on with a witness that holds `size`.

        One that holds less than it cosigned is shown its own signature: so it learns that it has forgotten.
        """
        if last is None or size >= last.size:
            return size
        self.has_forgotten = True
        before = await self.services.store.log.checkpoint(self.state.log, last.size)
        if before is None:
            return size
        reply = await self._asked_from(size, last.size, cosigned_note(before.note, [last]).render())
        return last.size if isinstance(reply, Cosignatures) else size

    async def _kept_lines(self, content: bytes) -> Asked:
        # (4) what verifies
        try:
            lines = tuple(parse_signature_line(line) for line in content.decode().splitlines())
            await keep_cosignature(self.services, self.kept, self.witness, lines)
        except (UnicodeDecodeError, MalformedError, NoteError) as exc:
            return self._refused(f"what it answered is no cosignature of its key: {exc}")
        return Asked(AskedState.COSIGNED, self.kept.size, "cosigned", self.has_forgotten)

    async def _doubted(self, told: str) -> Asked:
        # (5) which of the two is wrong?
        held = await self.line.newest(self.witness.url or "", self.state.origin)
        match None if held is None else await compare(self.services, held):
            case Contradiction() as found:
                return Asked(AskedState.CONTRADICTED, self.kept.size, found.told, contradiction=found)
            case Agreement(checkpoint) if checkpoint.size > self.kept.size:
                # It comes here by itself, too, and has cosigned what is not kept: the next kept one is larger.
                return Asked(AskedState.NOTHING_NEW, self.kept.size)
            case _:
                return self._refused(told)

    def _refused(self, told: str) -> Asked:
        return Asked(AskedState.REFUSED, self.kept.size, told, self.has_forgotten)
