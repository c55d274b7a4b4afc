"""Onward release over the interface: ask, list, grant, refuse, revoke, withdraw."""

from datetime import datetime
from typing import Final

from exchange.client.answers import path_of
from exchange.client.consents import ConsentRequests
from exchange.client.transport import Transport
from exchange.wire import (
    OnwardBody,
    OnwardGrant,
    OnwardListBody,
    OnwardRequest,
)

_PATH: Final = "/v1/onward-requests"


class OnwardReleases(ConsentRequests[OnwardBody]):
    """What readers ask their originators for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, _PATH, OnwardBody)

    def request(self, report_id: str, request: OnwardRequest) -> OnwardBody:
        """Ask the originator to release a report to a member (reader)."""
        return self._post(OnwardBody, path_of("/v1/reports", report_id, "onward-requests"), request)

    def list(self) -> list[OnwardBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        return self._get(OnwardListBody, _PATH).items

    def grant(self, request_id: str, conditions: str | None = None, *, until: datetime | None = None) -> OnwardBody:
        """Consent (originator's releaser), until an earlier moment than was asked for where one is named.

        Where `act` stands in the answer, a second releaser has to confirm it.
        """
        grant = OnwardGrant(conditions=conditions, until=until)
        return self._post(OnwardBody, path_of(_PATH, request_id, "grant"), grant)
