"""Onward release over the interface: ask, list, grant, refuse, revoke."""

from datetime import datetime

from exchange.client.answers import parsed, path_of, post
from exchange.client.transport import Transport
from exchange.wire import (
    OnwardBody,
    OnwardGrant,
    OnwardListBody,
    OnwardRefusal,
    OnwardRequest,
    OnwardRevocation,
    WireModel,
)


class OnwardReleases:
    """What readers ask their originators for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, report_id: str, request: OnwardRequest) -> OnwardBody:
        """Ask the originator to release a report to a member (reader)."""
        return self._post(path_of("/v1/reports", report_id, "onward-requests"), request)

    def list(self) -> list[OnwardBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        answer = self._transport.request("GET", "/v1/onward-requests", may_repeat=True, body={})
        return parsed(OnwardListBody, answer.content).items

    def grant(self, request_id: str, conditions: str | None = None, *, until: datetime | None = None) -> OnwardBody:
        """Consent (originator's releaser), until an earlier moment than was asked for where one is named.

        Where `act` stands in the answer, a second releaser has to confirm it.
        """
        grant = OnwardGrant(conditions=conditions, until=until)
        return self._post(path_of("/v1/onward-requests", request_id, "grant"), grant)

    def refuse(self, request_id: str, reason: str) -> OnwardBody:
        """Refuse a request (originator's releaser)."""
        return self._post(path_of("/v1/onward-requests", request_id, "refusal"), OnwardRefusal(reason=reason))

    def revoke(self, request_id: str) -> OnwardBody:
        """Take a consent back (originator's releaser)."""
        return self._post(path_of("/v1/onward-requests", request_id, "revocation"), OnwardRevocation())

    def _post(self, path: str, said: WireModel) -> OnwardBody:
        return post(self._transport, OnwardBody, path, said)
