"""Posting on behalf over the interface: consent, list, take back."""

from exchange.client.answers import parsed, path_of, post
from exchange.client.transport import Transport
from exchange.wire import ProxyBody, ProxyConsent, ProxyListBody, ProxyRevocation, WireModel


class Proxies:
    """Who may post for whom."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ask(self, consent: ProxyConsent) -> ProxyBody:
        """Consent that another member posts for this client's (releaser); a second releaser confirms the `act`."""
        return self._post("/v1/proxies", consent)

    def list(self) -> list[ProxyBody]:
        """Return the consents of this client's member (releaser), or those given to it (contributor)."""
        answer = self._transport.request("GET", "/v1/proxies", may_repeat=True, body={})
        return parsed(ProxyListBody, answer.content).items

    def revoke(self, consent_id: str) -> ProxyBody:
        """Take a consent of this client's member back (releaser)."""
        return self._post(path_of("/v1/proxies", consent_id, "revocation"), ProxyRevocation())

    def _post(self, path: str, said: WireModel) -> ProxyBody:
        return post(self._transport, ProxyBody, path, said)
