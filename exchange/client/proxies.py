"""Posting on behalf over the interface: consent, list, take back."""

from exchange.client.answers import Asking, path_of
from exchange.wire import BareAct, ProxyBody, ProxyConsent, ProxyListBody


class Proxies(Asking):
    """Who may post for whom."""

    def ask(self, consent: ProxyConsent) -> ProxyBody:
        """Consent that another member posts for this client's (releaser); a second releaser confirms the `act`."""
        return self._post(ProxyBody, "/v1/proxies", consent)

    def list(self) -> list[ProxyBody]:
        """Return the consents of this client's member (releaser), or those given to it (contributor)."""
        return self._get(ProxyListBody, "/v1/proxies").items

    def revoke(self, consent_id: str) -> ProxyBody:
        """Take a consent of this client's member back (releaser)."""
        return self._post(ProxyBody, path_of("/v1/proxies", consent_id, "revocation"), BareAct())
