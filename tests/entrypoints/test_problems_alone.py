"""What was altered is told to the log as that, wherever a request meets it."""

from unittest.mock import Mock

import pytest
from starlette.responses import Response

from exchange.entrypoints.http import problems
from exchange.entrypoints.http.problems import Asked, failure, refusal
from exchange.kernel import ExchangeError, MalformedError
from exchange.store.standing import AlteredStateError
from exchange.store.unread import UnreadRowError

ASKED = Asked("GET", "unmatched")
ALTERED = [UnreadRowError("client one"), AlteredStateError("no number")]


@pytest.mark.parametrize("altered", ALTERED, ids=["row", "state"])
@pytest.mark.parametrize("is_met_later", [False, True])
async def test_altered_row_and_state_are_told_as_such(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, altered: ExchangeError, is_met_later: bool
) -> None:
    told: list[object] = []

    async def failed(_services: object, _call: object, _asked: Asked, cause: Exception) -> Response:
        told.append(cause)
        return Response()

    async def authenticated(*_given: object, **_named: object) -> None:
        if is_met_later:
            raise altered

    async def recorded(*_given: object, **_named: object) -> None:
        """Note nothing."""

    monkeypatch.setattr(problems, "failure", failed)
    monkeypatch.setattr(problems, "record_rejection", recorded)
    monkeypatch.setattr(problems, "authenticate", authenticated)
    error = MalformedError("what was asked") if is_met_later else altered
    await refusal(Mock(), Mock(request_id="one"), error, ASKED)

    assert told == [altered]
    # A row's place is told with the entry; of the state there is none but here.
    is_state_s = isinstance(altered, AlteredStateError) and not is_met_later
    assert [getattr(each, "cause", None) for each in caplog.records] == ["no number"] * is_state_s


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ((), "client one"),
        (("client two: version",), "client one"),
        (("client two: version", "client one: version"), "client one: version"),
    ],
)
async def test_row_that_cannot_be_read_is_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...], place: str
) -> None:
    named: list[str] = []

    async def lately() -> tuple[str, ...]:
        return found

    async def tampered(_services: object, _call: object, _client: None, where: str, _cause: Exception) -> None:
        named.append(where)

    async def recorded(*_given: object, **_named: object) -> None:
        """Note nothing."""

    monkeypatch.setattr(problems, "record_tampering", tampered)
    monkeypatch.setattr(problems, "record_rejection", recorded)
    services = Mock()
    services.store.misfits.lately = lately
    await failure(services, Mock(request_id="one"), ASKED, UnreadRowError("client one"))

    assert named == [place]
