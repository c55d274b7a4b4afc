"""Requests for information over the interface: ask, list, show, answer, close, withdraw."""

from collections.abc import Iterator

from exchange.client.answers import parsed, path_of, post
from exchange.client.listing import PAGE, while_full
from exchange.client.transport import Transport
from exchange.wire import (
    AnswerGiven,
    InformationWanted,
    RequestEnd,
    RequestLineBody,
    RequestListBody,
    RequestShownBody,
    WireModel,
)

_PATH = "/v1/information-requests"


class InformationRequests:
    """What this client's member asks others for, and what it is asked for."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ask(self, wanted: InformationWanted) -> RequestShownBody:
        """Ask contributors of a scope for information (reader)."""
        return self._post(_PATH, wanted)

    def list(self) -> Iterator[RequestLineBody]:
        """Yield every request that this client may read, oldest first, page by page."""
        for page in while_full(self._page, PAGE):
            yield from page.items

    def show(self, request_id: str) -> RequestShownBody:
        """Return a request with its text and the answers that this client may know of."""
        answer = self._transport.request("GET", path_of(_PATH, request_id), may_repeat=True, body={})
        return parsed(RequestShownBody, answer.content)

    def answer(self, request_id: str, report_id: str) -> RequestShownBody:
        """Give a report of one's own member as an answer (contributor of a member that is asked)."""
        return self._post(path_of(_PATH, request_id, "answers"), AnswerGiven(report=report_id))

    def close(self, request_id: str) -> RequestShownBody:
        """Close a request of one's own member (reader): it is answered no more."""
        return self._post(path_of(_PATH, request_id, "closure"), RequestEnd())

    def withdraw(self, request_id: str) -> RequestShownBody:
        """Withdraw a request of one's own member (reader): whoever was asked sees nothing of it any more."""
        return self._post(path_of(_PATH, request_id, "withdrawal"), RequestEnd())

    def _page(self, after: str | None) -> RequestListBody:
        params: dict[str, str | int] = {"limit": PAGE} if after is None else {"limit": PAGE, "after": after}
        answer = self._transport.request("GET", _PATH, may_repeat=True, body={"params": params})
        return parsed(RequestListBody, answer.content)

    def _post(self, path: str, said: WireModel) -> RequestShownBody:
        return post(self._transport, RequestShownBody, path, said)
