"""Whether the parties of an agreement do what they promised, over the interface."""

from collections.abc import Iterator

from exchange.client.answers import Asking, path_of
from exchange.client.listing import walked
from exchange.wire import (
    BreachBody,
    BreachListBody,
    ComplianceBody,
    ConsultationBody,
    ConsultationListBody,
    ConsultationOpening,
    ConsultationWords,
)


class Duties(Asking):
    """What parties owe one another under an agreement, and what they did."""

    def compliance(self, agreement_id: str, since: str | None = None, *, purpose: str | None = None) -> ComplianceBody:
        """Return what each party promised and did, counted over what this client may read (reader)."""
        path = path_of("/v1/agreements", agreement_id, "compliance")
        return self._get(ComplianceBody, path, {"since": since}, purpose=purpose)

    def breaches(self, agreement_id: str) -> Iterator[BreachBody]:
        """Yield what this member did not do for others, or others for it, the first found first (signatory)."""
        path = path_of("/v1/agreements", agreement_id, "breaches")
        yield from walked(lambda after, limit: self._get(BreachListBody, path, {"after": after, "limit": limit}), None)

    def open(self, agreement_id: str, opening: ConsultationOpening) -> ConsultationBody:
        """Open a consultation or dispute with other parties (signatory)."""
        return self._post(ConsultationBody, path_of("/v1/agreements", agreement_id, "consultations"), opening)

    def consultations(self, agreement_id: str) -> list[ConsultationBody]:
        """Return the consultations and disputes that name this member (signatory)."""
        path = path_of("/v1/agreements", agreement_id, "consultations")
        return self._get(ConsultationListBody, path).items

    def answer(self, consultation_id: str, text: str) -> ConsultationBody:
        """Answer for this member (signatory)."""
        path = path_of("/v1/consultations", consultation_id, "answers")
        return self._post(ConsultationBody, path, ConsultationWords(text=text))

    def settle(self, consultation_id: str, text: str) -> ConsultationBody:
        """Agree to settle it with these words (signatory)."""
        path = path_of("/v1/consultations", consultation_id, "settlement")
        return self._post(ConsultationBody, path, ConsultationWords(text=text))
