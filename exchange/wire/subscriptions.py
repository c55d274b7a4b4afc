"""Subscriptions by webhook, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id

Url = Annotated[str, Field(min_length=9, max_length=2048, examples=["https://desk.example/exchange"])]


class SubscriptionRequest(WireModel):
    """Where this client wants to be told of what it may read."""

    url: Url


class SubscriptionBody(AnswerModel):
    """A subscription of this client."""

    id: Id
    url: Url
    purpose: str | None
    added_at: Instant


class NewSubscriptionBody(SubscriptionBody):
    """A subscription with its secret (Standard Webhooks), which is shown this once."""

    secret: str


class SubscriptionListBody(ListAnswer):
    """The subscriptions of this client, oldest first."""

    items: list[SubscriptionBody]


class DeliveryBody(AnswerModel):
    """A message that was delivered, or that nobody took, or a test that waits: `told` is what went wrong last."""

    id: Id
    kind: Literal["report", "request", "breach", "test"]
    state: Literal["delivered", "dead", "waiting"]
    tries: int
    queued_at: Instant
    ended_at: Instant | None
    told: str | None


class DeliveryListBody(ListAnswer):
    """The newest messages of a subscription that were delivered or given up, and tests that wait."""

    items: list[DeliveryBody]


class SentBody(AnswerModel):
    """A message that is on its way; its `id` will stand among the deliveries."""

    id: Id


class ReplayBody(AnswerModel):
    """How many messages that nobody took are tried again."""

    id: Id
    replayed: int
