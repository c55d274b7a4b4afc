"""Witnesses of the log as JSON: who they are, how far each has come, and what one brings."""

from typing import Annotated

from pydantic import Field

from exchange.audit.witness_views import WitnessesView, WitnessView
from exchange.wire.base import AnswerModel, Instant, WireModel

_LARGEST_CHECKPOINT = 128 * 1024
"""A note with thirty cosignatures has half of it."""


class WitnessBody(AnswerModel):
    """A witness: its name in the policy, its verifier key, and the largest checkpoint that it stands behind."""

    name: str
    key: str
    url: str | None
    size: int | None
    cosigned_at: Instant | None
    behind: int

    @classmethod
    def of(cls, witness: WitnessView) -> "WitnessBody":
        """Return `witness` as it is shown."""
        return cls(
            name=witness.name,
            key=str(witness.key),
            url=witness.url,
            size=witness.size,
            cosigned_at=witness.cosigned_at,
            behind=witness.behind,
        )


class WitnessListBody(AnswerModel):
    """Who stands behind the log: `size` is that of the newest kept checkpoint.

    `witnessed_size` is that of the newest one that has the quorum; `since` is when the first one without it was signed.
    """

    origin: str | None
    size: int
    quorum: str
    has_quorum: bool
    witnessed_size: int | None
    since: Instant | None
    items: list[WitnessBody]

    @classmethod
    def of(cls, view: WitnessesView) -> "WitnessListBody":
        """Return the witnesses as they are shown."""
        return cls(
            origin=view.origin,
            size=view.size,
            quorum=view.quorum,
            has_quorum=view.has_quorum,
            witnessed_size=view.witnessed_size,
            since=view.since,
            items=[WitnessBody.of(witness) for witness in view.witnesses],
        )


class CosignedCheckpoint(WireModel):
    """A checkpoint's note with a witness's cosignatures, as text."""

    checkpoint: Annotated[str, Field(min_length=1, max_length=_LARGEST_CHECKPOINT)]


class CosignaturesBody(AnswerModel):
    """Which enrolled witnesses' cosignatures were taken, on the checkpoint of which size."""

    size: int
    witnesses: list[str]
