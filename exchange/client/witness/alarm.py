"""How a witness shouts: on stderr always, to a command and a webhook where its operator named them.

Promises: a shout that fails is said too, and keeps nobody waiting longer than its limit.
Does not: decide what is worth one; what it says holds sizes, roots and paths, and nothing of any entry.
"""

import json
import logging
import shlex
import subprocess
import threading
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

    def ring(self, shout: Shout, *, is_new: bool) -> None:
        """Shout; what was shouted before, with the same evidence, goes to stderr alone."""
        self.has_rung = True
        _log.critical("ALARM: %s: %s: evidence in %s", shout.finding, shout.told, shout.evidence)
        if is_new and (self.command is not None or self.url is not None):
            thread = threading.Thread(target=self._tell, args=(shout,), name="exchange-witness-alarm")
            thread.start()
            self._running.append(thread)

    def wait(self) -> None:
        """Return when every shout has ended."""
        while self._running:
            self._running.pop().join()

    def _tell(self, shout: Shout) -> None:
        if self.command is not None:
            _run(self.command, shout)
        if self.url is not None:
            _post(self.url, shout)


def _run(command: str, shout: Shout) -> None:
    # No shell: what a log calls itself must not become a command.
    arguments = [*shlex.split(command), shout.finding, shout.origin, str(shout.evidence), shout.told]
    try:
        subprocess.run(arguments, check=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL)  # noqa: S603  the operator's own
    except (OSError, subprocess.SubprocessError) as exc:
        _log.error("the alert command failed: %s", exc)


def _post(url: str, shout: Shout) -> None:
    content = json.dumps(shout.as_json()).encode()
    try:
        headers = {"Content-Type": "application/json"}
        answer = httpx2.post(url, content=content, headers=headers, timeout=LIMIT_SECONDS, trust_env=False)
        answer.raise_for_status()
    except httpx2.HTTPError as exc:
        _log.error("the alert webhook failed: %s", type(exc).__name__)
