"""What requests for the originator's consent have in common, over the interface: refuse, revoke, withdraw."""

from typing import Generic, TypeVar

from exchange.client.answers import Asking, path_of
from exchange.client.transport import Transport
from exchange.wire import BareAct, ConsentRefusal, WireModel

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
