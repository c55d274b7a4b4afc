"""Trust policies (C2SP tlog-policy): which logs are known, which witnesses, and how many of them must agree.

Does not: ask how old a cosignature is (who judges has its time), or fetch anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exchange.audit.checkpoint import Checkpoint, parse_checkpoint
from exchange.audit.note import SignedNote
from exchange.audit.note_keys import Attestation, NoteError, VerifierKey, verify_note

# The name that stands for no quorum at all; no witness or group may bear it.
NO_QUORUM: Final = "none"


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log by its key, which bears the log's origin as its name."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness: `name` is for this policy alone, `key` makes its cosignatures."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessGroup:
    """Stands behind a checkpoint where at least `threshold` of its members, witnesses or groups, do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands behind a checkpoint that a known log signed.

    `log` are the attestations of the log itself; `witnesses` holds the latest of each witness by its name in
    the policy, in the policy's order. Without the quorum the checkpoint is the log's word alone.
    """

    checkpoint: Checkpoint
    log: tuple[Attestation, ...]
    witnesses: Mapping[str, Attestation]
    has_quorum: bool


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """Known logs and witnesses, groups of them, and the name of the witness or group that is the quorum.

    INVARIANT: a group stands behind the groups that are members of it, as in the text of a policy.
    """

    logs: tuple[KnownLog, ...]
    witnesses: tuple[KnownWitness, ...]
    groups: tuple[WitnessGroup, ...] = ()
    quorum: str = NO_QUORUM

    def judge(self, note: SignedNote) -> Standing:
        """Return what stands behind the checkpoint in `note`.

        Raises NoteError where no known log of its origin signed it or a known key's signature is wrong, and
        MalformedError for what is no checkpoint. A missing quorum is no error here: see `has_quorum`.
        """
        # (1) Every signature of a known key is right.
        keys = [log.key for log in self.logs] + [witness.key for witness in self.witnesses]
        attestations = verify_note(note, keys)
        # (2) One of them is of the log whose checkpoint it is.
        checkpoint = parse_checkpoint(note.text)
        own = {log.key for log in self.logs if log.key.name == checkpoint.origin}
        by_log = tuple(each for each in attestations if each.key in own)
        if not by_log:
            raise NoteError(f"no known log has signed the checkpoint of `{checkpoint.origin[:80]}`")
        # (3) Who else stands behind it, (4) and is that enough?
        witnesses = self._witnesses_in(attestations)
        return Standing(checkpoint, by_log, witnesses, self.is_quorum(witnesses))

    def is_quorum(self, witnesses: Mapping[str, object]) -> bool:
        """Return whether these witnesses, by their names in the policy, are enough. Unknown names count nothing."""
        standing = {witness.name for witness in self.witnesses if witness.name in witnesses}
        for group in self.groups:
            if sum(member in standing for member in group.members) >= group.threshold:
                standing.add(group.name)
        return self.quorum == NO_QUORUM or self.quorum in standing

    def _witnesses_in(self, attestations: tuple[Attestation, ...]) -> dict[str, Attestation]:
        latest: dict[VerifierKey, Attestation] = {}
        for each in sorted(attestations, key=lambda each: each.at_seconds or 0):
            latest[each.key] = each
        return {each.name: latest[each.key] for each in self.witnesses if each.key in latest}
