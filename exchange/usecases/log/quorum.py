"""Is the quorum met: which kept checkpoint has enough witnesses behind it, and since when newer ones have not.

Cosignatures are verified anew, whatever the database says of them.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final

from exchange.audit import (
    NO_QUORUM,
    Attestation,
    KnownLog,
    KnownWitness,
    LogPolicy,
    NoteError,
    NoteSignature,
    SignedNote,
    Standing,
    VerifierKey,
    checkpoint_in,
    parse_note,
    parse_signature_line,
    parse_verifier_key,
)
from exchange.kernel import MalformedError, UnavailableError, to_micros
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.witness_files import NO_WITNESSES
from exchange.store.rows.log_rows import CosignatureRow, KeptCheckpoint, LogState
from exchange.usecases.steps.context import Services

# Rows looked at for a quorum: with five witnesses and a checkpoint every ten seconds, three hours.
_PAGE: Final = 500
_MOST_PAGES: Final = 12

_log = logging.getLogger("exchange.witnesses")


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest kept checkpoint that has the quorum, None where none is found.

    `since` is when the first one after it was signed, or was first seen here where that is earlier (microseconds since
    1970); None where nothing lacks the quorum.
    """

    note: SignedNote | None
    size: int | None
    since: int | None


def log_keys(state: LogState) -> tuple[VerifierKey, ...]:
    """Return the verifier keys of a log; LogDamagedError where the database holds others than keys."""
    try:
        return tuple(parse_verifier_key(line) for line in state.keys.splitlines())
    except MalformedError as exc:
        raise LogDamagedError(f"the log's keys in the database are not what was put there: {exc.message}") from exc


def enrolled(services: Services) -> LogPolicy:
    """Return the policy of witnesses on this node; UnavailableError where its file cannot be used."""
    file = services.witnessing.policy
    return NO_WITNESSES if file is None else file.read()


def policy_of(policy: LogPolicy, state: LogState) -> LogPolicy:
    """Return the policy of witnesses with the log itself in it."""
    return replace(policy, logs=tuple(KnownLog(key) for key in log_keys(state)))


def cosigned_note(note: bytes, rows: list[CosignatureRow]) -> SignedNote:
    """Return a checkpoint's note with what witnesses added to it; a line that is none any more is left out."""
    return parse_note(note).with_signatures(*(line for row in rows for line in _lines(row)))


async def shown_note(services: Services, log: int, size: int, note: bytes) -> SignedNote:
    """Return the checkpoint of this size as `cosigned_note` does; LogDamagedError where none stands there any more."""
    rows = await services.store.log.cosignatures(log, size)
    try:
        checkpoint_in(note)
        return cosigned_note(note, rows)
    except MalformedError as exc:
        raise LogDamagedError(f"the checkpoint in the database is not what was put there: {exc.message}") from exc


def _lines(row: CosignatureRow) -> list[NoteSignature]:
    try:
        return [parse_signature_line(line) for line in row.line.splitlines()]
    except MalformedError as exc:
        _tell_altered(row.size, exc)
        return []


async def newest_witnessed(services: Services, state: LogState, policy: LogPolicy) -> Witnessed:
    """Return the newest kept checkpoint with the quorum of `policy`; without a quorum, the newest there is."""
    log = services.store.log
    if policy.quorum == NO_QUORUM:
        kept = await log.kept_checkpoint(state.log)
        if kept is None:
            return Witnessed(None, None, None)
        return Witnessed(await shown_note(services, state.log, kept.size, kept.note), kept.size, None)
    found = await _search(services, state, policy_of(policy, state))
    size, note = (-1, None) if found is None else found
    unwitnessed = await services.store.witnesses.kept_after(state.log, size)
    since = None if unwitnessed is None else services.witnessing.alone.since(unwitnessed, services.clock())
    return Witnessed(note, None if note is None else size, since)


async def require_quorum(services: Services, now: datetime) -> None:
    """Raise UnavailableError where checkpoints stand without the quorum longer than the setting allows.

    Where nobody is named, as when the policy's file is gone, nobody is waited for: so that is refused at once.
    """
    seconds = services.witnessing.quorum_seconds
    state = await services.store.log.state()
    if seconds is None or state is None:
        return
    policy = enrolled(services)
    if not policy.witnesses:
        raise UnavailableError("a quorum of witnesses is asked for, and none is named: bring their policy's file back")
    since = (await newest_witnessed(services, state, policy)).since
    missing = 0 if since is None else (to_micros(now) - since) // 1_000_000
    if missing > seconds:
        raise UnavailableError(f"checkpoints stand without the quorum of witnesses for {missing} seconds")


async def attestation_of(
    services: Services, policy: LogPolicy, witness: KnownWitness, row: CosignatureRow
) -> Attestation | None:
    """Return what a witness's kept line attests, None where it does not verify."""
    kept = await services.store.log.checkpoint(row.log, row.size)
    standing = None if kept is None else _standing(policy, kept, [row])
    return None if standing is None else standing.witnesses.get(witness.name)


async def _search(services: Services, state: LogState, policy: LogPolicy) -> tuple[int, SignedNote] | None:
    before: int | None = None
    for _ in range(_MOST_PAGES):
        rows = await services.store.witnesses.before(state.log, before, _PAGE)
        # The last size of a full page may go on in the next one.
        is_last = len(rows) < _PAGE
        for size, grouped in groupby(rows, key=lambda row: row.size):
            if not is_last and size == rows[-1].size and size != rows[0].size:
                break
            found = await _with_quorum(services, policy, size, list(grouped))
            if found is not None:
                return size, found
            before = size
        if is_last:
            return None
    return None


async def _with_quorum(
    services: Services, policy: LogPolicy, size: int, rows: list[CosignatureRow]
) -> SignedNote | None:
    kept = await services.store.log.checkpoint(rows[0].log, size)
    judged = None if kept is None else _judged(policy, kept, rows)
    if kept is None or judged is None:
        return None
    standing, sound = judged
    return cosigned_note(kept.note, sound) if standing.has_quorum else None


def _judged(
    policy: LogPolicy, kept: KeptCheckpoint, rows: list[CosignatureRow]
) -> tuple[Standing, list[CosignatureRow]] | None:
    """Return who stands behind a checkpoint, and by which rows; None where none of them says so."""
    standing = _standing(policy, kept, rows)
    if standing is None:
        # What one of them says now takes nothing from the others.
        rows = [row for row in rows if _standing(policy, kept, [row]) is not None]
        standing = _standing(policy, kept, rows) if rows else None
    return None if standing is None else (standing, rows)


def _standing(policy: LogPolicy, kept: KeptCheckpoint, rows: list[CosignatureRow]) -> Standing | None:
    try:
        return policy.judge(cosigned_note(kept.note, rows))
    except (NoteError, MalformedError) as exc:
        _tell_altered(kept.size, exc)
        return None


def _tell_altered(size: int, fault: NoteError | MalformedError) -> None:
    # They verified when they came: the database was changed since. Verification tells where.
    _log.critical("cosignatures of the checkpoint of size %d are not what came: %s", size, fault.message)
