"""Whether the parties of an agreement do what they promised, over the interface."""

from exchange.client.answers import parsed, path_of
from exchange.client.transport import Transport
from exchange.wire import ComplianceBody


class Duties:
    """What parties owe one another under an agreement, and what they did."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def compliance(self, agreement_id: str, since: str | None = None, *, purpose: str | None = None) -> ComplianceBody:
        """Return what each party promised and did, counted over what this client may read (reader)."""
        answer = self._transport.request(
            "GET",
            path_of("/v1/agreements", agreement_id, "compliance"),
            may_repeat=True,
            body={
                "params": {} if since is None else {"since": since},
                "headers": {} if purpose is None else {"Exchange-Purpose": purpose},
            },
        )
        return parsed(ComplianceBody, answer.content)
