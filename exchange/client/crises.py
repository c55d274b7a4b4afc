"""Crises over the interface: ask for one, list them, end one."""

from exchange.client.answers import parsed, path_of, post
from exchange.client.transport import Transport
from exchange.wire import CrisisBody, CrisisEnd, CrisisListBody, CrisisRequest, PendingActBody


class Crises:
    """What two signatories open together under an agreement's crisis clause."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ask(self, agreement_id: str, request: CrisisRequest) -> PendingActBody:
        """Ask for a crisis (named signatory); it opens when one of another member confirms the act in the answer."""
        return post(self._transport, PendingActBody, path_of("/v1/agreements", agreement_id, "crises"), request)

    def list(self, agreement_id: str) -> list[CrisisBody]:
        """Return every use of an agreement's crisis clauses, the newest first."""
        path = path_of("/v1/agreements", agreement_id, "crises")
        answer = self._transport.request("GET", path, may_repeat=True, body={})
        return parsed(CrisisListBody, answer.content).items

    def end(self, agreement_id: str, crisis_id: str) -> CrisisBody:
        """End a crisis before its time (named signatory)."""
        path = path_of("/v1/agreements", agreement_id, "crisis-end")
        return post(self._transport, CrisisBody, path, CrisisEnd(crisis=crisis_id))
