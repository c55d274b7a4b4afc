"""Webhooks from a member's side: where this client is told of new reports, and whether a message is the exchange's."""

import hmac
from collections.abc import Mapping
from typing import Final

from exchange.client.answers import Asking, path_of, stating
from exchange.crypto import WebhookKey
from exchange.kernel import MalformedError
from exchange.wire import (
    BareAct,
    DeliveryBody,
    DeliveryListBody,
    NewSubscriptionBody,
    ReplayBody,
    SentBody,
    SubscriptionBody,
    SubscriptionListBody,
    SubscriptionRequest,
)

_PATH: Final = "/v1/subscriptions"

_MOST_DIGITS: Final = 12
"""Of a time in seconds: of thousands of digits no number can be made."""

TOLERANCE_SECONDS: Final = 300
"""How far a message's time may be from the receiver's: what is older was recorded by somebody and sent again."""


class Webhooks(Asking):
    """This client's subscriptions at one exchange."""

    def add(self, url: str, *, purpose: str | None = None) -> NewSubscriptionBody:
        """Be told at `url` of what this client may read from now on; the answer's secret is shown this once."""
        return self._post(NewSubscriptionBody, _PATH, SubscriptionRequest(url=url), stating(purpose))

    def all(self) -> list[SubscriptionBody]:
        """Return this client's subscriptions, oldest first."""
        return self._get(SubscriptionListBody, _PATH).items

    def remove(self, subscription_id: str) -> SubscriptionBody:
        """End a subscription."""
        return self._delete(SubscriptionBody, path_of(_PATH, subscription_id))

    def test(self, subscription_id: str) -> str:
        """Have a message sent that tells of nothing, and return its id."""
        return self._post(SentBody, path_of(_PATH, subscription_id, "test"), BareAct()).id

    def deliveries(self, subscription_id: str) -> list[DeliveryBody]:
        """Return the newest messages that were delivered, or that nobody took."""
        return self._get(DeliveryListBody, path_of(_PATH, subscription_id, "deliveries")).items

    def replay(self, subscription_id: str) -> int:
        """Have sent again what nobody took; return how many messages that are."""
        return self._post(ReplayBody, path_of(_PATH, subscription_id, "replay"), BareAct()).replayed


def check_webhook(secret: str, headers: Mapping[str, str], body: bytes, *, now_seconds: int) -> str:
    """Return the id of a message that an exchange signed with `secret`: keep it, for one may come more than once.

    `headers` are those of the request, their names in lower case. Raises MalformedError for every other message.
    """
    message_id, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    # Anybody may send to a receiver: nothing is made of what cannot be an exchange's.
    is_time = seconds.isascii() and seconds.isdecimal() and len(seconds) <= _MOST_DIGITS
    if not message_id or not message_id.isascii() or not is_time:
        raise MalformedError("no webhook: it has no id or no time")
    if abs(int(seconds) - now_seconds) > TOLERANCE_SECONDS:
        raise MalformedError("the webhook is not of now: it may have been recorded and sent again")
    wanted = WebhookKey(secret).sign(message_id, int(seconds), body)
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(wanted.encode(), one.encode(errors="replace")) for one in given):
        raise MalformedError("the webhook was not signed with this secret")
    return message_id
