"""Proofs of the log that have no text form of their own, as JSON."""

from typing import Annotated

from pydantic import Field

from exchange.audit.strict_text import base64_text, parse_hash
from exchange.wire.base import AnswerModel

_MOST_HASHES = 64
"""A tree of 2**63 leaves has no longer proof (RFC 9162 §2.1.4)."""


class ConsistencyBody(AnswerModel):
    """The proof that the tree of `new_size` begins with that of `old_size`: hashes in base64, in their order."""

    old_size: Annotated[int, Field(ge=0)]
    new_size: Annotated[int, Field(ge=0)]
    proof: Annotated[list[str], Field(max_length=_MOST_HASHES)]

    @classmethod
    def of(cls, old_size: int, new_size: int, proof: tuple[bytes, ...]) -> "ConsistencyBody":
        """Return the proof as JSON says it."""
        return cls(old_size=old_size, new_size=new_size, proof=[base64_text(each) for each in proof])

    def hashes(self) -> tuple[bytes, ...]:
        """Return the hashes themselves. Raises MalformedError for what is no hash."""
        return tuple(parse_hash(each, "consistency proof") for each in self.proof)
