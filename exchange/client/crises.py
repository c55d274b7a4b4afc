"""Crises over the interface: ask for one, list them, end one."""

from exchange.client.answers import Asking, path_of
from exchange.wire import CrisisBody, CrisisEnd, CrisisListBody, CrisisRequest, PendingActBody


class Crises(Asking):
    """What two signatories open together under an agreement's crisis clause."""

    def ask(self, agreement_id: str, request: CrisisRequest) -> PendingActBody:
        """Ask for a crisis (named signatory); it opens when one of another member confirms the act in the answer."""
        return self._post(PendingActBody, path_of("/v1/agreements", agreement_id, "crises"), request)

    def list(self, agreement_id: str) -> list[CrisisBody]:
        """Return every use of an agreement's crisis clauses, the newest first."""
        return self._get(CrisisListBody, path_of("/v1/agreements", agreement_id, "crises")).items

    def end(self, agreement_id: str, crisis_id: str) -> CrisisBody:
        """End a crisis before its time (named signatory)."""
        path = path_of("/v1/agreements", agreement_id, "crisis-end")
        return self._post(CrisisBody, path, CrisisEnd(crisis=crisis_id))
