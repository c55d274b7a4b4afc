"""A log made in memory, with real keys: it can grow, fork, roll back and sign whatever a test wants."""

import hashlib
from dataclasses import dataclass, field

from exchange.audit import Checkpoint, NoteSigner, SignatureType, SignedNote, TreeHead, consistency_proof, root_of
from exchange.audit.witness import Submission, WitnessedLog, render_submission
from exchange.crypto import SigningKey

ORIGIN = "exchange.example/log/7"


def signer(name: str, kind: SignatureType, seed: str) -> NoteSigner:
    return NoteSigner(name, kind, SigningKey.from_seed(kind.scheme, hashlib.sha256(seed.encode()).digest()))


def leaf(number: int, branch: str) -> bytes:
    return hashlib.sha256(f"{branch} {number}".encode()).digest()


@dataclass
class MadeLog:
    """Leaves and the keys that sign their trees."""

    origin: str = ORIGIN
    leaves: list[bytes] = field(default_factory=list)
    seed: str = "log"

    @property
    def signers(self) -> tuple[NoteSigner, ...]:
        kinds = (SignatureType.ED25519, SignatureType.ML_DSA_44_COSIGNATURE)
        return tuple(signer(self.origin, kind, f"{self.seed} {kind.name}") for kind in kinds)

    @property
    def known(self) -> WitnessedLog:
        return WitnessedLog(self.origin, tuple(each.verifier for each in self.signers))

    def grow(self, count: int, branch: str = "leaf") -> "MadeLog":
        start = len(self.leaves)
        self.leaves += [leaf(number, branch) for number in range(start, start + count)]
        return self

    def cut(self, size: int) -> "MadeLog":
        """Return another log that shares only its beginning with this one, under the same keys."""
        return MadeLog(self.origin, self.leaves[:size], self.seed)

    def head(self, size: int | None = None) -> TreeHead:
        count = len(self.leaves) if size is None else size
        return TreeHead(count, root_of(self.leaves[:count]))

    def note(self, size: int | None = None) -> SignedNote:
        text = Checkpoint(self.origin, self.head(size)).text
        return SignedNote(text, tuple(each.sign(text, 1_700_000_000) for each in self.signers))

    def proof(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        new = len(self.leaves) if new_size is None else new_size
        return consistency_proof(old_size, new, self._node)

    def submission(self, old_size: int, size: int | None = None) -> Submission:
        head = self.head(size)
        return Submission(old_size, self.proof(old_size, head.size), self.note(size), Checkpoint(self.origin, head))

    def body(self, old_size: int, size: int | None = None) -> bytes:
        return render_submission(old_size, self.proof(old_size, size), self.note(size).render())

    def _node(self, level: int, index: int) -> bytes:
        return root_of(self.leaves[index << level : (index + 1) << level])
