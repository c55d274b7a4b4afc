"""Whether the parties of an agreement do what they promised, over the interface."""

from collections.abc import Iterator

from exchange.client.answers import parsed, path_of, post
from exchange.client.transport import Transport
from exchange.wire import (
    BreachBody,
    BreachListBody,
    ComplianceBody,
    ConsultationBody,
    ConsultationListBody,
    ConsultationOpening,
    ConsultationWords,
    WireModel,
)


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

    def breaches(self, agreement_id: str) -> Iterator[BreachBody]:
        """Yield what this member did not do for others, or others for it, the first found first (signatory)."""
        after: str | None = None
        while True:
            path = path_of("/v1/agreements", agreement_id, "breaches")
            params = {} if after is None else {"after": after}
            answer = self._transport.request("GET", path, may_repeat=True, body={"params": params})
            page = parsed(BreachListBody, answer.content)
            yield from page.items
            after = page.next
            if not page.items:
                return

    def open(self, agreement_id: str, opening: ConsultationOpening) -> ConsultationBody:
        """Open a consultation or dispute with other parties (signatory)."""
        return self._post(path_of("/v1/agreements", agreement_id, "consultations"), opening)

    def consultations(self, agreement_id: str) -> list[ConsultationBody]:
        """Return the consultations and disputes that name this member (signatory)."""
        path = path_of("/v1/agreements", agreement_id, "consultations")
        return parsed(
            ConsultationListBody, self._transport.request("GET", path, may_repeat=True, body={}).content
        ).items

    def answer(self, consultation_id: str, text: str) -> ConsultationBody:
        """Answer for this member (signatory)."""
        return self._post(path_of("/v1/consultations", consultation_id, "answers"), ConsultationWords(text=text))

    def settle(self, consultation_id: str, text: str) -> ConsultationBody:
        """Agree to settle it with these words (signatory)."""
        return self._post(path_of("/v1/consultations", consultation_id, "settlement"), ConsultationWords(text=text))

    def _post(self, path: str, said: WireModel) -> ConsultationBody:
        return post(self._transport, ConsultationBody, path, said)
