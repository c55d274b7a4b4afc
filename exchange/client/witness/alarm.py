"""How a witness shouts: on stderr always, to a command and a webhook where its operator named them.

Promises: a shout that fails is said too, and keeps nobody waiting longer than its limit; one way that fails keeps no
other from being tried.
Does not: decide what is worth one; what it says holds sizes, roots and paths, and nothing of any entry.
"""

import json
import logging
import shlex
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

_log = logging.getLogger("exchange.witness")

# A pager's gateway answers in a second or two; a witness that waits longer is one that does not witness.
LIMIT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Shout:
    """What is shouted: about which log, in one word and in a sentence, and where the evidence lies."""

    origin: str
    finding: str
    told: str
    evidence: Path | None

    def as_json(self) -> dict[str, str | None]:
        """Return it for a webhook."""
        evidence = None if self.evidence is None else str(self.evidence)
        return {"origin": self.origin, "finding": self.finding, "told": self.told, "evidence": evidence}


@dataclass(slots=True)
class Alarm:
    """The ways to shout. `has_rung` stays true once anything was."""

    command: str | None = None
    url: str | None = None
    has_rung: bool = False
    _running: list[threading.Thread] = field(default_factory=list)

    def ring(self, shout: Shout, *, is_new: bool, on_told: Callable[[], None] = lambda: None) -> None:
        """Shout; what was shouted before, with the same evidence, goes to stderr alone.

        `on_told` is called once every way that there is has worked.
        """
        self.has_rung = True
        _log.critical("ALARM: %s: %s: evidence in %s", shout.finding, shout.told, shout.evidence)
        if is_new and (self.command is not None or self.url is not None):
            thread = threading.Thread(target=self._tell, args=(shout, on_told), name="exchange-witness-alarm")
            try:
                thread.start()
            except RuntimeError as exc:
                # The system gives none: what spoke against the log is kept, and refused, all the same.
                _log.error("the alarm went nowhere else: %s", exc)
            else:
                self._running.append(thread)

    def wait(self) -> None:
        """Return when every shout has ended."""
        while self._running:
            self._running.pop().join()

    def _tell(self, shout: Shout, on_told: Callable[[], None]) -> None:
        is_run = self.command is None or _run(self.command, shout)
        is_posted = self.url is None or _post(self.url, shout)
        if is_run and is_posted:
            on_told()


def _run(command: str, shout: Shout) -> bool:
    try:
        # No shell, and no option: what a log calls itself must become neither a command nor a part of one.
        told = (shout.finding, shout.origin, str(shout.evidence), shout.told)
        arguments = [*shlex.split(command), *(f" {each}" if each.startswith("-") else each for each in told)]
        subprocess.run(arguments, check=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)  # noqa: S603  the operator's own
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        _log.error("the alert command failed: %s", exc)
        return False
    return True


def _post(url: str, shout: Shout) -> bool:
    content = json.dumps(shout.as_json()).encode()
    try:
        headers = {"Content-Type": "application/json"}
        answer = httpx2.post(url, content=content, headers=headers, timeout=LIMIT_SECONDS, trust_env=False)
        answer.raise_for_status()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as exc:
        _log.error("the alert webhook failed: %s", type(exc).__name__)
        return False
    return True
