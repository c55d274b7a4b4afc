"""A member's witness brings a checkpoint that it cosigned: what verifies is kept, what contradicts the log freezes it.

Who brings it must be an auditor of its member; what counts is whose key signed. A witness that refuses the log brings
what it cosigned before, and a log that went back in time learns so what it had signed.
"""

from dataclasses import dataclass
from typing import NoReturn

from exchange.audit import Detail, EventName, KnownWitness, NoteError, Outcome, SignedNote, Subject, parse_note
from exchange.kernel import ConflictError, Fault, InvalidError, MalformedError
from exchange.members import Client, Role
from exchange.store.rows.log_rows import KeptCheckpoint
from exchange.usecases.log.quorum import enrolled
from exchange.usecases.log.watch_witnesses import refusal_detail
from exchange.usecases.log.witnessed_log import (
    Agreement,
    Contradiction,
    compare,
    keep_contradiction,
    keep_cosignature,
    valid_lines,
)
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, on_record, refuse


@dataclass(frozen=True, slots=True)
class ReceivedCosignatures:
    """At which size the log keeps them, and of which enrolled witnesses they are."""

    size: int
    witnesses: tuple[str, ...]


async def receive_cosignature(services: Services, call: Call, checkpoint: str) -> Recorded[ReceivedCosignatures]:
    """Keep the cosignatures of enrolled witnesses in `checkpoint`, a note as text.

    Raises InvalidError for what is no note of this log or holds no enrolled witness's signature, ConflictError for a
    checkpoint that is not kept and for one that contradicts the log.
    """
    event = EventName.COSIGNATURE_RECEIVED
    client = await authenticate(services, call, Role.AUDITOR, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED)
    async with on_record(services, attempt):
        # (1) it is a note of this log
        note = _parsed(checkpoint)
        match await compare(services, checkpoint.encode()):
            case Contradiction() as found:
                # (2) that the log contains, or else the log is the one that is wrong
                await _contradicted(services, call, client, found)
            case Agreement(agreed):
                # (3) of a checkpoint that is kept, (4) cosigned by witnesses that are enrolled
                kept = await _kept(services, agreed.size)
                signers = _signers(services, note)
            case _:
                raise _fault("this log has not signed it")
        for witness in signers:
            await keep_cosignature(services, kept, witness, note.signatures)
        names = tuple(witness.name for witness in signers)
        detail: Detail = {"size": kept.size, "witnesses": list(names)}
        receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, detail=detail))
    return Recorded(ReceivedCosignatures(kept.size, names), receipt)


def _parsed(checkpoint: str) -> SignedNote:
    try:
        return parse_note(checkpoint.encode())
    except MalformedError as exc:
        raise _fault(exc.message) from exc


async def _contradicted(services: Services, call: Call, client: Client, found: Contradiction) -> NoReturn:
    """Keep what contradicts the log, and say so."""
    keep_contradiction(services, found)
    detail = refusal_detail(found.told, found.checkpoint.size, found)
    entry = draft(
        call,
        client,
        EventName.WITNESS_REFUSED,
        Outcome.FAILED,
        subject=Subject("log", found.checkpoint.origin),
        detail=detail,
    )
    await refuse(services, entry, ConflictError(f"the log contradicts what it signed: {found.told}"))


async def _kept(services: Services, size: int) -> KeptCheckpoint:
    state = await services.store.log.state()
    kept = None if state is None else await services.store.log.checkpoint(state.log, size)
    if kept is None:
        raise ConflictError(f"the checkpoint of size {size} is not kept: cosign one of `?kept=true`")
    return kept


def _signers(services: Services, note: SignedNote) -> tuple[KnownWitness, ...]:
    found, now = [], int(services.clock().timestamp())
    named = {(line.name, line.key_id) for line in note.signatures}
    for witness in enrolled(services).witnesses:
        if (witness.key.name, witness.key.key_id) in named:
            try:
                valid_lines(note.text, note.signatures, witness, now)
            except (NoteError, MalformedError) as exc:
                raise _fault(exc.message) from exc
            found.append(witness)
    if not found:
        raise _fault("no enrolled witness has cosigned it: the operator enrols one with `exchange audit witness add`")
    return tuple(found)


def _fault(told: str) -> InvalidError:
    return InvalidError("the checkpoint has faults", (Fault("/checkpoint", "invalid-value", told),))
