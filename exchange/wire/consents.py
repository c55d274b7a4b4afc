"""What requests for the originator's consent have in common as JSON: how one stands, and how one ends."""

from typing import Literal

from pydantic import Field

from exchange.wire.base import WireModel
from exchange.wire.words import ClearText

ConsentStateName = Literal["asked", "awaiting-second-person", "granted", "refused", "revoked", "lapsed"]
"""A request that was withdrawn is `lapsed`, and says when it was withdrawn: clients from before read it so."""


class ConsentRefusal(WireModel):
    """Why a request is refused: told to who asked."""

    reason: ClearText = Field(examples=["the source would be known"])
