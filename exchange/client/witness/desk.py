"""The witness's desk: one submission after the other, decided, kept on disk, and only then cosigned and answered.

Promises: between reading what is held and keeping what is new nothing else comes in (C2SP tlog-witness asks for it);
a cosignature exists only on what is durable; what contradicts the held checkpoint is kept beside it and shouted.
Does not: listen (see `service`) or fetch (see `rounds`).
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from exchange.audit import NoteError, NoteSignature, SignedNote, TreeHead, parse_checkpoint, parse_note, verify_note
from exchange.audit.witness import (
    NOTHING_HELD,
    SIZE_MEDIA_TYPE,
    Cosign,
    Finding,
    Objection,
    Refuse,
    Submission,
    WitnessedLog,
    judge,
    origin_hash,
    parse_submission,
)
from exchange.client.witness.alarm import Alarm, Shout
from exchange.client.witness.errors import WitnessError
from exchange.client.witness.folder import WitnessFolder
from exchange.client.witness.keys import WitnessKeys
from exchange.kernel import MalformedError

_log = logging.getLogger("exchange.witness")

_PLAIN = "text/plain; charset=utf-8"

STATUSES: Final[Mapping[Objection, HTTPStatus]] = {
    Objection.UNKNOWN_LOG: HTTPStatus.NOT_FOUND,
    Objection.NOT_SIGNED: HTTPStatus.FORBIDDEN,
    Objection.OLD_SIZE_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    Objection.OTHER_OLD_SIZE: HTTPStatus.CONFLICT,
    Objection.INCONSISTENT: HTTPStatus.UNPROCESSABLE_ENTITY,
    Objection.OTHER_ROOT: HTTPStatus.CONFLICT,
}

_SENTENCES: Final[Mapping[Finding, str]] = {
    Finding.FORKED: "two trees of size {shown}, both signed by the log: it shows different histories",
    Finding.UNPROVEN: "a signed tree of size {shown} was not shown to have grown from that of size {held}",
    Finding.ROLLED_BACK: "the log shows a tree of size {shown}, and had one of size {held}: it went back in time",
    Finding.STATE_LOST: "this witness has signed a tree of size {shown} and remembers one of size {held} only: its "
    "folder was restored from a backup; find out whether it signed another tree meanwhile",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to whoever asked."""

    status: int
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What was cosigned: the note as it is kept now, and the witness's own lines of it."""

    head: TreeHead
    note: bytes
    lines: tuple[NoteSignature, ...]
    finding: Finding | None


class Desk:
    """One witness at work. `now` gives the POSIX time that a cosignature states."""

    def __init__(
        self,
        folder: WitnessFolder,
        keys: WitnessKeys,
        logs: tuple[WitnessedLog, ...],
        *,
        alarm: Alarm,
        now: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._logs = {log.origin: log for log in logs}
        self._origins = {origin_hash(log.origin): log.origin for log in logs}
        self._alarm = alarm
        self._now = now
        self._one_at_a_time = threading.Lock()
        self._shouted: frozenset[str] = frozenset()
        for log in logs:
            # A damaged memory is found at the start, not at the first question.
            self.held_head(log)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer an `add-checkpoint` request."""
        try:
            submission = parse_submission(body)
        except MalformedError as exc:
            return told_answer(HTTPStatus.BAD_REQUEST, exc.message)
        match self.consider(submission):
            case Cosigned() as cosigned:
                return Answer(HTTPStatus.OK, "".join(line.line for line in cosigned.lines).encode(), _PLAIN)
            case Refuse(objection=Objection.OTHER_OLD_SIZE) as refusal:
                return Answer(HTTPStatus.CONFLICT, f"{refusal.held_size}\n".encode(), SIZE_MEDIA_TYPE)
            case Refuse() as refusal:
                return told_answer(STATUSES[refusal.objection], refusal.told)

    def newest(self, hashed_origin: str) -> Answer:
        """Answer with what was cosigned last of a log (C2SP tlog-witness, monitor retrieval)."""
        origin = self._origins.get(hashed_origin)
        note = None if origin is None else self._folder.held(origin)
        if note is None:
            return told_answer(HTTPStatus.NOT_FOUND, "no checkpoint of such a log was ever cosigned here")
        return Answer(HTTPStatus.OK, note, _PLAIN)

    def consider(self, submission: Submission, *, is_newest: bool = False) -> Cosigned | Refuse:
        """Cosign or refuse; `is_newest`: the log itself shows this checkpoint as its newest, so any refusal is loud."""
        origin = submission.checkpoint.origin
        log = self._logs.get(origin)
        with self._one_at_a_time:
            held = NOTHING_HELD if log is None else self.held_head(log)
            decision = judge(submission, held, log, self._keys.verifiers)
            if is_newest or _is_loud(decision.finding):
                self._shout(submission, held, decision)
            if log is None or isinstance(decision, Refuse):
                return _noted(decision, origin)
            return self._cosign(submission, log, decision)

    def held_of(self, origin: str) -> TreeHead:
        """Return the tree of a log that was cosigned last, the empty one for a log that is not known."""
        log = self._logs.get(origin)
        return NOTHING_HELD if log is None else self.held_head(log)

    def note_of(self, origin: str) -> bytes | None:
        """Return the note that is kept of a log, None where none is."""
        return self._folder.held(origin) if origin in self._logs else None

    def held_head(self, log: WitnessedLog) -> TreeHead:
        """Return the tree that was cosigned last; raises WitnessError where what is kept is not what was signed."""
        content = self._folder.held(log.origin)
        if content is None:
            return NOTHING_HELD
        try:
            note = parse_note(content)
            checkpoint = parse_checkpoint(note.text)
            verify_note(note, self._keys.verifiers)
            verify_note(note, log.keys)
        except (MalformedError, NoteError) as exc:
            raise WitnessError(
                f"what this witness keeps of `{log.origin}` was changed or damaged: {exc.message}: do not go on with "
                f"it; ask the log's auditors what this witness signed last"
            ) from exc
        return checkpoint.head

    def _cosign(self, submission: Submission, log: WitnessedLog, decision: Cosign) -> Cosigned:
        text, known = submission.note.text, {(key.name, key.key_id) for key in log.keys}
        # One line of each key: a stranger may have repeated them.
        by_key = {(line.name, line.key_id): line for line in submission.note.signatures}
        signed = tuple(line for key, line in by_key.items() if key in known)
        lines = self._keys.cosign(text, self._now())
        note = SignedNote(text, (*signed, *lines)).render()
        # INVARIANT: durable before anybody sees it; after a crash here the log is told 409 and asks again.
        self._folder.keep(log.origin, note)
        _log.info("cosigned %s at size %d", log.origin, decision.head.size)
        return Cosigned(decision.head, note, lines, decision.finding)

    def _shout(self, submission: Submission, held: TreeHead, decision: Cosign | Refuse) -> None:
        head, origin = submission.checkpoint.head, submission.checkpoint.origin
        if decision.finding is not None:
            word = decision.finding.value
            told = _SENTENCES[decision.finding].format(shown=head.size, held=held.size)
        elif isinstance(decision, Refuse):
            word, told = decision.objection.value, f"the checkpoint that the log shows is refused: {decision.told}"
        else:
            return
        files = {
            "shown": submission.note.render(),
            "held": self._folder.held(origin) or b"",
            "proof": "".join(f"{each.hex()}\n" for each in submission.proof).encode(),
            "told": f"{origin}: {word}: {told}\nPOSIX time {self._now()}\n".encode(),
        }
        name = f"{origin_hash(origin)[:16]}-{word}-{held.size}-{head.size}-{head.root.hex()[:16]}"
        # Once for each by this process, whoever hands it in again; the next one tries what did not work.
        is_first, self._shouted = name not in self._shouted, self._shouted | {name}
        try:
            evidence, is_new = self._folder.keep_evidence(name, files)
        except WitnessError:
            # A full disk must not make a contradiction silent.
            self._alarm.ring(Shout(origin, word, told, None), is_new=is_first)
            raise
        shout = Shout(origin, word, told, evidence)
        self._alarm.ring(shout, is_new=is_new and is_first, on_told=lambda: self._mark(evidence))

    def _mark(self, evidence: Path) -> None:
        try:
            self._folder.mark_shouted(evidence)
        except WitnessError as exc:
            _log.error("it will be shouted again: %s", exc)


def _is_loud(finding: Finding | None) -> bool:
    # Anybody may hand in an old note; only where the log shows it as its newest did the log go back.
    return finding is not None and finding is not Finding.ROLLED_BACK


def _noted(decision: Cosign | Refuse, origin: str) -> Refuse:
    if isinstance(decision, Cosign):
        raise TypeError("a log that is not known is never cosigned")
    _log.warning("refused %s: %s: %s", ascii(origin[:200]), decision.objection.value, decision.told)
    return decision


def told_answer(status: HTTPStatus, sentence: str) -> Answer:
    """Return an answer that is a sentence."""
    return Answer(status, f"{sentence}\n".encode(), _PLAIN)
