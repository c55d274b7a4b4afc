import signal
import sys

import pytest

from exchange.kernel.hangup import outlive_hangup


@pytest.mark.parametrize(("is_terminal", "outlives"), [(False, True), (True, False)])
def test_hangup_ends_what_has_lost_its_terminal_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, outlives: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        outlive_hangup()
        assert (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN) == outlives
    finally:
        signal.signal(signal.SIGHUP, before)
