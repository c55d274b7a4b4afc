import pytest

from exchange import kernel
from exchange.kernel import ExchangeError, Fault, ForbiddenError, InvalidError, LimitExceededError, UnavailableError
from exchange.kernel.errors import MOST_FAULTS_TOLD, faults_told, pointer_token

KINDS = [
    kind
    for name in kernel.__all__
    if isinstance(kind := getattr(kernel, name), type) and issubclass(kind, ExchangeError)
]


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in KINDS]

    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {InvalidError, LimitExceededError}])
def test_error_carries_its_message_and_code(kind):
    error = kind("what is wrong: how to mend it")

    assert str(error) == error.message == "what is wrong: how to mend it"
    assert error.code == kind.code


def test_error_may_carry_a_reason_code_without_changing_its_kind():
    error = ForbiddenError("the client is suspended", code="client-suspended")

    assert error.code == "client-suspended"
    assert ForbiddenError.code == "role-missing"


def test_what_is_away_tells_callers_its_message_or_what_it_is_given_instead():
    assert UnavailableError("the log is full").told == "the log is full"
    hidden = UnavailableError("the archive s3://bucket is away", code="archive-away", told="the archive is away")

    assert (hidden.told, hidden.message) == ("the archive is away", "the archive s3://bucket is away")
    assert hidden.code == "archive-away"


def test_invalid_lists_every_fault():
    error = InvalidError(
        "the agreement is wrong",
        (Fault("/title", "missing", "has no title", line=3), Fault("", "unknown", "has an odd field")),
    )

    assert str(error) == "the agreement is wrong\nline 3: /title: has no title\nhas an odd field"
    assert error.message == "the agreement is wrong"
    assert error.code == "invalid"


def test_invalid_without_faults_is_its_message():
    assert str(InvalidError("wrong")) == "wrong"


def test_fault_that_is_the_whole_message_is_said_once():
    only = Fault("/threshold", "invalid-value", "2 are enrolled")

    assert str(InvalidError("2 are enrolled", (only,))) == "2 are enrolled"
    assert InvalidError("wrong").faults == ()


def test_fault_of_line_zero_still_names_it():
    assert str(Fault("/a", "x", "wrong", line=0)) == "line 0: /a: wrong"


def test_limit_says_when_to_come_back():
    error = LimitExceededError("too many requests", retry_after_seconds=7)

    assert (error.retry_after_seconds, error.code, str(error)) == (7, "rate-limited", "too many requests")


@pytest.mark.parametrize("count", [0, 1, MOST_FAULTS_TOLD, MOST_FAULTS_TOLD + 1])
def test_as_many_faults_as_one_can_mend_are_told_whole(count):
    faults = [Fault(f"/{number}", "x", "wrong") for number in range(count)]

    assert faults_told(faults) == tuple(faults)


@pytest.mark.parametrize(("listed", "count"), [(MOST_FAULTS_TOLD + 2, None), (MOST_FAULTS_TOLD, MOST_FAULTS_TOLD + 2)])
def test_of_more_faults_the_last_line_tells_how_many_are_left_out(listed, count):
    faults = [Fault(f"/{number}", "x", "wrong") for number in range(listed)]

    told = faults_told(faults, count)

    assert told[:-1] == tuple(faults[:MOST_FAULTS_TOLD])
    assert told[-1] == Fault("", "more-faults", "2 more faults are not told: mend these first")


def test_what_parts_a_pointer_is_escaped_within_a_token():
    # RFC 6901 §5; the tilde first, or `~1` would be a slash.
    assert [pointer_token(name) for name in ("a/b", "m~n", "~1", "plain")] == ["a~1b", "m~0n", "~01", "plain"]
