"""Checkpoints (C2SP tlog-checkpoint): the text of a note that says how large a log is and what its root is."""

from dataclasses import dataclass

from exchange.audit.merkle import TreeHead
from exchange.audit.note import parse_note
from exchange.audit.strict_text import base64_text, parse_decimal, parse_hash
from exchange.kernel import MalformedError

# Origin, size and root; what follows is extension lines.
_FIRST_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the log `origin`. Extension lines are opaque, and no ML-DSA-44 cosignature covers them."""

    origin: str
    head: TreeHead
    extensions: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.head.size

    @property
    def root(self) -> bytes:
        return self.head.root

    @property
    def text(self) -> str:
        """The text of its note, with the last newline. Raises MalformedError for what cannot be written so."""
        lines = (self.origin, str(self.head.size), base64_text(self.head.root), *self.extensions)
        text = "".join(f"{line}\n" for line in lines)
        if parse_checkpoint(text) != self:
            raise MalformedError("the checkpoint would be read as another one: a line holds what it must not")
        return text


def checkpoint_in(note: bytes) -> Checkpoint:
    """Return the checkpoint that a signed note holds, whoever signed it. Raises MalformedError where it holds none."""
    return parse_checkpoint(parse_note(note).text)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text.

    Raises MalformedError for fewer than three lines, an empty one, a size with leading zeros, and a root that
    is not 32 bytes. Does not check the root of an empty tree: `verify_consistency` does.
    """
    lines = text.split("\n")
    # Every line ends in a newline, so what follows the last is nothing.
    if lines.pop() != "" or len(lines) < _FIRST_LINES:
        raise MalformedError("checkpoint needs three lines: origin, size, root hash")
    if not all(lines):
        raise MalformedError("checkpoint holds an empty line")
    size = parse_decimal(lines[1], "tree size")
    return Checkpoint(lines[0], TreeHead(size, parse_hash(lines[2], "root hash")), tuple(lines[_FIRST_LINES:]))
