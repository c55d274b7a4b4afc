"""What the demo says of a step that cannot be taken."""

import errno
import os
import sqlite3
from subprocess import TimeoutExpired

import httpx2
import pytest

from exchange.cli.demo.script import Script, StepFailedError
from exchange.kernel import UnavailableError


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        (UnavailableError("the store is away"), "the store is away"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "it"), "[Errno 2] No such file or directory: 'it'"),
        (httpx2.ReadError("broken"), "ReadError: broken"),
        (TimeoutExpired("exchange", 60), "TimeoutExpired: Command 'exchange' timed out after 60 seconds"),
        (sqlite3.OperationalError("no such table"), "OperationalError: no such table"),
    ],
)
def test_step_that_cannot_be_taken_is_told_with_those_before_it(raised, found):
    script = Script(is_quiet=True)
    script.check("first", "fine", is_right=True)

    with pytest.raises(StepFailedError, match="step `second` failed"), script.step("second"):
        raise raised

    assert [(step.name, step.is_right) for step in script.steps] == [("first", True), ("second", False)]
    assert not script.is_right
    assert script.steps[1].found == found


def test_step_within_a_step_is_told_once():
    script = Script(is_quiet=True)

    with pytest.raises(StepFailedError), script.step("outer"), script.step("inner"):
        raise UnavailableError("the store is away")

    assert [step.name for step in script.steps] == ["inner"]
