"""From a model to the bytes that are sent, from the bytes of an answer to a model, and to paths that stay inside."""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError

from exchange.client.errors import AnswerError
from exchange.client.transport import Transport
from exchange.kernel import new_id
from exchange.wire import ListAnswer, WireModel

Answer = TypeVar("Answer", bound=WireModel)

_log = logging.getLogger("exchange.client")

JSON = {"Content-Type": "application/json"}


def path_of(collection: str, *steps: str) -> str:
    """Return a path of which no step can leave the collection: what is no plain id is refused, not escaped."""
    for step in steps:
        if not step or not all(letter.isascii() and (letter.isalnum() or letter == "-") for letter in step):
            raise AnswerError(f"`{step[:60]}` is no id", code="invalid")
    return "/".join([collection, *steps])


def stating(purpose: str | None) -> dict[str, str]:
    """Return the header that states why the caller reads; none where its first registered purpose is meant."""
    return {} if purpose is None else {"Exchange-Purpose": purpose}


def meant_for(version: int | None) -> dict[str, str]:
    """Return the header that names the version which a change is meant for; none where any is."""
    return {} if version is None else {"If-Match": f'"{version}"'}


def sent(model: WireModel) -> bytes:
    """Return a model as the JSON that is sent."""
    return model.model_dump_json(by_alias=True).encode()


def parsed(model: type[Answer], content: bytes) -> Answer:
    """Return an answer's JSON as `model`; AnswerError for what the contract does not say."""
    try:
        # A newer exchange may say more than this client knows; what it knows must be right.
        answer = model.model_validate_json(content, extra="ignore")
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        place = "/".join(map(str, first["loc"])) or "the whole"
        raise AnswerError(f"the answer is not what the contract says: {place}: {first['msg'].lower()}") from exc
    if isinstance(answer, ListAnswer) and answer.unopened:
        # Who takes the items alone must not take them for all there is.
        lacking = len(answer.unopened)
        told = "%d things are not in the answer: what is stored of them cannot be read"
        _log.warning(told, lacking, extra={"unopened": lacking})
    return answer


def about(asked: str, answer: Answer, told: str) -> Answer:
    """Return an answer that tells of what was asked for; AnswerError for one of another thing.

    Else what an exchange puts in its place is signed, confirmed or kept under the name that was asked for.
    """
    if told != asked:
        raise AnswerError(f"the answer is about `{told[:60]}`, and `{asked}` was asked for: do not use it")
    return answer


class Asking:
    """What asks an exchange for things, one request for each, and takes its answers as models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(
        self,
        model: type[Answer],
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        *,
        purpose: str | None = None,
    ) -> Answer:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        answer = self._transport.request("GET", path, may_repeat=True, params=params, headers=stating(purpose))
        return parsed(model, answer.content)

    def _post(  # noqa: PLR0913  what is said, and how
        self,
        model: type[Answer],
        path: str,
        said: WireModel | bytes,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        may_repeat: bool = False,
    ) -> Answer:
        """Send a model, or JSON as it is; once, unless it `may_repeat`."""
        content = said if isinstance(said, bytes) else sent(said)
        headers = {**JSON, **(headers or {})}
        answer = self._transport.request(method, path, may_repeat=may_repeat, content=content, headers=headers)
        return parsed(model, answer.content)

    def _delete(self, model: type[Answer], path: str) -> Answer:
        return parsed(model, self._transport.request("DELETE", path, may_repeat=False).content)

    def _post_report(
        self, model: type[Answer], report: WireModel, idempotency_key: str | None, purpose: str | None
    ) -> Answer:
        """Post a report; a key is made where none is given, so that a broken connection does not post it twice."""
        key = idempotency_key or new_id(datetime.now(UTC), os.urandom)
        return self._post(model, "/v1/reports", report, {**stating(purpose), "Idempotency-Key": key}, may_repeat=True)
