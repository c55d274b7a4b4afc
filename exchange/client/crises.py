"""Crises over the interface: ask for one, list them, end one."""

from exchange.client.answers import parsed, path_of, sent
from exchange.client.transport import Body, Transport
from exchange.wire import CrisisBody, CrisisEnd, CrisisListBody, CrisisRequest, PendingActBody

_JSON = {"Content-Type": "application/json"}


class Crises:
    """What two signatories open together under an agreement's crisis clause."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ask(self, agreement_id: str, request: CrisisRequest) -> PendingActBody:
        """Ask for a crisis (named signatory); it opens when one of another member confirms the act in the answer."""
        body: Body = {"content": sent(request), "headers": _JSON}
        path = path_of("/v1/agreements", agreement_id, "crises")
        return parsed(PendingActBody, self._transport.request("POST", path, may_repeat=False, body=body).content)

    def list(self, agreement_id: str) -> list[CrisisBody]:
        """Return every use of an agreement's crisis clauses, the newest first."""
        path = path_of("/v1/agreements", agreement_id, "crises")
        answer = self._transport.request("GET", path, may_repeat=True, body={})
        return parsed(CrisisListBody, answer.content).items

    def end(self, agreement_id: str, crisis_id: str) -> CrisisBody:
        """End a crisis before its time (named signatory)."""
        body: Body = {"content": sent(CrisisEnd(crisis=crisis_id)), "headers": _JSON}
        path = path_of("/v1/agreements", agreement_id, "crisis-end")
        return parsed(CrisisBody, self._transport.request("POST", path, may_repeat=False, body=body).content)
