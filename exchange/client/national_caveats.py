"""National caveats over the interface: check, propose, withdraw, list, show."""

from exchange.client.answers import Asking, path_of
from exchange.wire import BareAct, CaveatPreviewBody, CaveatSetBody, CaveatSetListBody, CaveatSetTextBody, CaveatsText


class NationalCaveats(Asking):
    """What a member's releasers put in force for its own reports, two of them together."""

    def check(self, text: CaveatsText) -> CaveatPreviewBody:
        """Return what these guards would change if they were in force (releaser); nothing of it is kept."""
        return self._post(CaveatPreviewBody, "/v1/caveats/checks", text)

    def propose(self, text: CaveatsText) -> CaveatSetBody:
        """Ask that these guards hold in place of those in force (releaser); a second one confirms `act`."""
        return self._post(CaveatSetBody, "/v1/caveats", text)

    def withdraw(self) -> CaveatSetBody:
        """Ask that no guard holds any more (releaser); a second one confirms `act`."""
        return self._post(CaveatSetBody, "/v1/caveats/withdrawal", BareAct())

    def list(self) -> list[CaveatSetBody]:
        """Return what your member has, had and waits to have in force, the newest first."""
        return self._get(CaveatSetListBody, "/v1/caveats").items

    def show(self, set_id: str) -> CaveatSetTextBody:
        """Return one set of your member's with its text."""
        return self._get(CaveatSetTextBody, path_of("/v1/caveats", set_id))
