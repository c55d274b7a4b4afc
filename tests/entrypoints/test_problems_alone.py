"""What was altered is told to the log as that, wherever a request meets it."""

import json
from unittest.mock import AsyncMock, Mock

import pytest
from starlette.responses import Response

from exchange.entrypoints.http import problems
from exchange.entrypoints.http.errors import (
    MethodNotAllowedError,
    NotAcceptableError,
    OverloadedError,
    RangeError,
    SlowRequestError,
    UnsupportedMediaError,
)
from exchange.entrypoints.http.problems import Asked, failure, problem, refusal
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    Fault,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    MalformedError,
    NotAuthenticatedError,
    NotFoundError,
    PreconditionError,
    StalePolicyError,
    TooLargeError,
    UnavailableError,
)
from exchange.store.rows.unread import UnreadRowError
from exchange.store.writer.standing import AlteredStateError

ABOUT_IT = {"allow", "content-range", "retry-after"}
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


@pytest.mark.parametrize(("length", "told"), [(500, "x" * 500), (501, "x" * 496 + " ...")])
def test_problem_is_told_in_so_many_words_and_no_more(length: int, told: str) -> None:
    answer = problem(ConflictError("x" * length), "one")

    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["detail"] == told


@pytest.mark.parametrize("error", [ConflictError("no"), InvalidError("wrong"), UnavailableError("away")])
def test_problem_without_faults_lists_none(error: ExchangeError) -> None:
    assert "errors" not in json.loads(problem(error, "one").body)


@pytest.mark.parametrize(
    ("error", "logged"),
    [(UnavailableError("the disk is full"), 1), (OverloadedError("too much"), 0), (ConflictError("no"), 0)],
)
def test_operator_is_told_what_is_broken_and_of_no_flood(
    caplog: pytest.LogCaptureFixture, error: ExchangeError, logged: int
) -> None:
    problem(error, "one")

    assert caplog.messages == ["request not answered"] * logged


@pytest.mark.parametrize("error", [NotAuthenticatedError("nobody"), ForbiddenError("suspended")])
async def test_stranger_hears_that_it_is_one_whatever_else_was_wrong(
    monkeypatch: pytest.MonkeyPatch, error: ExchangeError
) -> None:
    monkeypatch.setattr(problems, "authenticate", AsyncMock(side_effect=error))
    answer = await refusal(Mock(), Mock(request_id="one"), MalformedError("what was asked"), ASKED)

    assert json.loads(answer.body)["code"] == error.code


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_refusal_that_is_recorded_or_cannot_be_is_not_recorded_again(
    monkeypatch: pytest.MonkeyPatch, is_recorded: bool
) -> None:
    error = MalformedError("what was asked") if is_recorded else UnavailableError("the log is away")
    error.receipt = Mock(entry="an id", leaf="a leaf") if is_recorded else None
    recorded = AsyncMock()
    monkeypatch.setattr(problems, "authenticate", recorded)
    monkeypatch.setattr(problems, "record_rejection", recorded)
    await refusal(Mock(), Mock(request_id="one"), error, ASKED)

    assert not recorded.called


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (MalformedError("x"), 400, None),
        (NotAuthenticatedError("x"), 401, None),
        (ForbiddenError("x"), 403, None),
        (NotFoundError("x"), 404, None),
        (MethodNotAllowedError(("GET", "POST")), 405, ("allow", "GET, POST")),
        (NotAcceptableError("x"), 406, None),
        (SlowRequestError("x"), 408, None),
        (ConflictError("x"), 409, None),
        (PreconditionError("x"), 412, None),
        (TooLargeError("x"), 413, None),
        (UnsupportedMediaError("x"), 415, None),
        (RangeError(7), 416, ("content-range", "bytes */7")),
        (InvalidError("x"), 422, None),
        (LimitExceededError("x", retry_after_seconds=3), 429, ("retry-after", "3")),
        (ExchangeError("x"), 500, None),
        (StalePolicyError("x"), 503, ("retry-after", "2")),
        (UnavailableError("x"), 503, ("retry-after", "2")),
    ],
)
def test_each_error_has_its_status_and_what_goes_with_it(
    error: ExchangeError, status: int, header: tuple[str, str] | None
) -> None:
    answer = problem(error, "one")

    assert (answer.status_code, json.loads(answer.body)["status"]) == (status, status)
    assert {header} - {None} == {each for each in answer.headers.items() if each[0] in ABOUT_IT}


def test_fault_of_a_file_is_told_with_its_line() -> None:
    error = InvalidError("wrong", (Fault("/a", "code", "message", 7),))

    told = {"pointer": "/a", "code": "code", "detail": "message", "line": 7}
    assert json.loads(problem(error, "one").body)["errors"] == [told]
