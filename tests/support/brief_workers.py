"""Workers say of a test that passed that it passed, once.

By themselves they say six things of each: that it begins, how its set-up, its call and its teardown went, that it has ended and
what comes next. The run's own process takes each in turn, while the tests wait for the two cores: a thirtieth of the run.
"""

from functools import partial
from typing import Any, Protocol

import pytest

_BEGIN_AND_END = frozenset({"logstart", "logfinish"})
_EVERYTHING = frozenset("APp")


class Send(Protocol):
    def __call__(self, name: str, **told: Any) -> None:
        """Tell the run's own process of something that happened."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have a worker say less, where nobody asked for more: each line, how long all took, a file of results."""
    option = session.config.option
    asked = option.verbose > 0 or option.durations is not None or option.xmlpath
    if asked or _EVERYTHING & set(option.reportchars) or not hasattr(session.config, "workerinput"):
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = partial(send_news, plugin.sendevent)


def send_news(send: Send, name: str, **told: Any) -> None:
    """Send what is news: whatever failed or was skipped, where that was, and the call of what passed."""
    if name in _BEGIN_AND_END:
        return
    if name == "testreport" and told["data"]["outcome"] == "passed" and told["data"]["when"] != "call":
        return
    send(name, **told)
