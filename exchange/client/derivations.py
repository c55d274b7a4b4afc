"""Marking lower what derives from a report, over the interface: ask, list, grant, refuse, revoke, withdraw."""

from typing import Final

from exchange.client.answers import path_of
from exchange.client.consents import ConsentRequests
from exchange.client.transport import Transport
from exchange.wire import (
    DerivationBody,
    DerivationGrant,
    DerivationListBody,
    DerivationRequest,
)

_PATH: Final = "/v1/derivation-requests"


class Derivations(ConsentRequests[DerivationBody]):
    """What authors ask the originators of their sources for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, _PATH, DerivationBody)

    def request(self, report_id: str, request: DerivationRequest) -> DerivationBody:
        """Ask that what derives from a report may be marked lower (contributor or releaser that reads it)."""
        return self._post(DerivationBody, path_of("/v1/reports", report_id, "derivation-requests"), request)

    def list(self) -> list[DerivationBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        return self._get(DerivationListBody, _PATH).items

    def grant(self, request_id: str, conditions: str | None = None) -> DerivationBody:
        """Consent (originator's releaser); where `act` stands in the answer, a second releaser has to confirm it."""
        return self._post(DerivationBody, path_of(_PATH, request_id, "grant"), DerivationGrant(conditions=conditions))
