"""A composed project that is up: its containers asked, killed and replaced with the real engine."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ComposeError(Exception):
    """Something is not as it must be; the text says what."""


class Project:
    """The project called `name`; every verb is the engine's own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compose(self, *words: str, given: bytes | None = None, **environment: str) -> bytes:
        """Run `docker compose`; ComposeError with what it said where it fails."""
        return self._run(
            "docker",
            "compose",
            "-p",
            self.name,
            "-f",
            str(ROOT / "docker-compose.yml"),
            *words,
            given=given,
            **environment,
        )

    def docker(self, *words: str, given: bytes | None = None) -> bytes:
        """Run `docker`."""
        return self._run("docker", *words, given=given)

    def exchange(self, *words: str, given: bytes | None = None) -> bytes:
        """Run an operator's verb inside the jobs' container."""
        return self.compose("exec", "-T", "jobs", "exchange", *words, given=given)

    def container(self, service: str) -> str:
        """Return the id of the container of a service, running or not."""
        return self.compose("ps", "-a", "-q", service).decode().strip()

    def health(self, service: str) -> str:
        """Return `healthy`, `starting`, `unhealthy`, or the state of a container without a check."""
        state = json.loads(self.docker("inspect", self.container(service)))[0]["State"]
        return str(state.get("Health", {}).get("Status", state["Status"]) if state["Running"] else state["Status"])

    def wait_healthy(self, service: str, *, seconds: float = 90) -> None:
        """Wait until a service is healthy; ComposeError with its last lines where it is not in time."""
        wait_until(lambda: self.health(service) == "healthy", f"`{service}` to be healthy", seconds=seconds)

    def _run(self, *words: str, given: bytes | None = None, **environment: str) -> bytes:
        done = subprocess.run(
            words, input=given, capture_output=True, cwd=ROOT, env={**os.environ, **environment}, check=False
        )
        if done.returncode:
            raise ComposeError(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        return done.stdout


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Wait for something; ComposeError where it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ComposeError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.5)
