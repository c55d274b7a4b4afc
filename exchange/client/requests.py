"""Requests for information over the interface: ask, list, show, answer, close, withdraw."""

from collections.abc import Iterator

from exchange.client.answers import Asking, path_of
from exchange.client.listing import PAGE, while_full
from exchange.wire import AnswerGiven, BareAct, InformationWanted, RequestLineBody, RequestListBody, RequestShownBody

_PATH = "/v1/information-requests"


class InformationRequests(Asking):
    """What this client's member asks others for, and what it is asked for."""

    def ask(self, wanted: InformationWanted) -> RequestShownBody:
        """Ask contributors of a scope for information (reader)."""
        return self._post(RequestShownBody, _PATH, wanted)

    def list(self) -> Iterator[RequestLineBody]:
        """Yield every request that this client may read, oldest first, page by page."""
        for page in while_full(self._page, PAGE):
            yield from page.items

    def show(self, request_id: str) -> RequestShownBody:
        """Return a request with its text and the answers that this client may know of."""
        return self._get(RequestShownBody, path_of(_PATH, request_id))

    def answer(self, request_id: str, report_id: str) -> RequestShownBody:
        """Give a report of one's own member as an answer (contributor of a member that is asked)."""
        return self._post(RequestShownBody, path_of(_PATH, request_id, "answers"), AnswerGiven(report=report_id))

    def close(self, request_id: str) -> RequestShownBody:
        """Close a request of one's own member (reader): it is answered no more."""
        return self._post(RequestShownBody, path_of(_PATH, request_id, "closure"), BareAct())

    def withdraw(self, request_id: str) -> RequestShownBody:
        """Withdraw a request of one's own member (reader): whoever was asked sees nothing of it any more."""
        return self._post(RequestShownBody, path_of(_PATH, request_id, "withdrawal"), BareAct())

    def _page(self, after: str | None) -> RequestListBody:
        return self._get(RequestListBody, _PATH, {"after": after, "limit": PAGE})
