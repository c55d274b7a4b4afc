"""Requests for the originator's consent, over the interface: ask, list, grant, refuse, revoke, withdraw."""

from datetime import datetime
from typing import Final, Generic, TypeVar

from exchange.client.answers import Asking, path_of
from exchange.client.transport import Transport
from exchange.wire import (
    BareAct,
    ConsentRefusal,
    DerivationBody,
    DerivationGrant,
    DerivationListBody,
    DerivationRequest,
    OnwardBody,
    OnwardGrant,
    OnwardListBody,
    OnwardRequest,
    WireModel,
)

_ONWARD: Final = "/v1/onward-requests"
_DERIVATION: Final = "/v1/derivation-requests"

BodyT = TypeVar("BodyT", bound=WireModel)


class ConsentRequests(Asking, Generic[BodyT]):
    """Requests of one kind, that stand at `path` and are answered as `body`."""

    def __init__(self, transport: Transport, path: str, body: type[BodyT]) -> None:
        super().__init__(transport)
        self._path = path
        self._body = body

    def refuse(self, request_id: str, reason: str) -> BodyT:
        """Refuse a request (originator's releaser)."""
        return self._post(self._body, path_of(self._path, request_id, "refusal"), ConsentRefusal(reason=reason))

    def revoke(self, request_id: str) -> BodyT:
        """Take a consent back (originator's releaser)."""
        return self._post(self._body, path_of(self._path, request_id, "revocation"), BareAct())

    def withdraw(self, request_id: str) -> BodyT:
        """Take back a request that this client made and nobody has decided."""
        return self._post(self._body, path_of(self._path, request_id, "withdrawal"), BareAct())


class OnwardReleases(ConsentRequests[OnwardBody]):
    """What readers ask their originators for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, _ONWARD, OnwardBody)

    def request(self, report_id: str, request: OnwardRequest) -> OnwardBody:
        """Ask the originator to release a report to a member (reader)."""
        return self._post(OnwardBody, path_of("/v1/reports", report_id, "onward-requests"), request)

    def list(self) -> list[OnwardBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        return self._get(OnwardListBody, _ONWARD).items

    def grant(self, request_id: str, conditions: str | None = None, *, until: datetime | None = None) -> OnwardBody:
        """Consent (originator's releaser), until an earlier moment than was asked for where one is named.

        Where `act` stands in the answer, a second releaser has to confirm it.
        """
        grant = OnwardGrant(conditions=conditions, until=until)
        return self._post(OnwardBody, path_of(_ONWARD, request_id, "grant"), grant)


class Derivations(ConsentRequests[DerivationBody]):
    """What authors ask the originators of their sources for, and what these decide."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, _DERIVATION, DerivationBody)

    def request(self, report_id: str, request: DerivationRequest) -> DerivationBody:
        """Ask that what derives from a report may be marked lower (contributor or releaser that reads it)."""
        return self._post(DerivationBody, path_of("/v1/reports", report_id, "derivation-requests"), request)

    def list(self) -> list[DerivationBody]:
        """Return the requests that this client made, or that are about reports of a releaser's member."""
        return self._get(DerivationListBody, _DERIVATION).items

    def grant(self, request_id: str, conditions: str | None = None) -> DerivationBody:
        """Consent (originator's releaser); where `act` stands in the answer, a second releaser has to confirm it."""
        return self._post(
            DerivationBody, path_of(_DERIVATION, request_id, "grant"), DerivationGrant(conditions=conditions)
        )
