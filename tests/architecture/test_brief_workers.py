"""What a worker of the run leaves out is no news."""

import pytest

from tests.support.brief_workers import send_news


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
@pytest.mark.parametrize("outcome", ["passed", "failed", "skipped"])
def test_only_what_passed_around_the_call_is_not_told(when: str, outcome: str) -> None:
    told: list[str] = []

    send_news(lambda name, **_: told.append(name), "testreport", data={"when": when, "outcome": outcome})

    assert told == ([] if outcome == "passed" and when != "call" else ["testreport"])
