"""Marking lower what derives from a report, over the interface: ask, list, grant, refuse, revoke."""

from exchange.client.answers import parsed, path_of, post
from exchange.client.transport import Transport
from exchange.wire import (
    DerivationBody,
    DerivationGrant,
    DerivationListBody,
    DerivationRefusal,
    DerivationRequest,
    DerivationRevocation,
    WireModel,
)


class Derivations:
    """What authors ask the originators of their sources for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, report_id: str, request: DerivationRequest) -> DerivationBody:
        """Ask that what derives from a report may be marked lower (contributor or releaser that reads it)."""
        return self._post(path_of("/v1/reports", report_id, "derivation-requests"), request)

    def list(self) -> list[DerivationBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        answer = self._transport.request("GET", "/v1/derivation-requests", may_repeat=True, body={})
        return parsed(DerivationListBody, answer.content).items

    def grant(self, request_id: str, conditions: str | None = None) -> DerivationBody:
        """Consent (originator's releaser); where `act` stands in the answer, a second releaser has to confirm it."""
        return self._post(
            path_of("/v1/derivation-requests", request_id, "grant"), DerivationGrant(conditions=conditions)
        )

    def refuse(self, request_id: str, reason: str) -> DerivationBody:
        """Refuse a request (originator's releaser)."""
        return self._post(path_of("/v1/derivation-requests", request_id, "refusal"), DerivationRefusal(reason=reason))

    def revoke(self, request_id: str) -> DerivationBody:
        """Take a consent back (originator's releaser)."""
        return self._post(path_of("/v1/derivation-requests", request_id, "revocation"), DerivationRevocation())

    def _post(self, path: str, said: WireModel) -> DerivationBody:
        return post(self._transport, DerivationBody, path, said)
