"""What the demo has shown so far: every step with its outcome, said as it happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from exchange.cli import output
from exchange.kernel import ExchangeError


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that had to come out in one way."""

    name: str
    is_right: bool
    found: str

    def as_json(self) -> dict[str, object]:
        """Return the step for programs."""
        return {"id": self.name, "ok": self.is_right, "found": self.found}


class StepFailedError(ExchangeError):
    """A step came out wrong and those behind it cannot be shown."""

    code = "step-failed"


@dataclass(slots=True)
class Script:
    """The steps in order; `is_quiet` where only the JSON at the end is wanted."""

    is_quiet: bool = False
    steps: list[Step] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Return whether there were steps and all came out as they must."""
        return bool(self.steps) and all(step.is_right for step in self.steps)

    def chapter(self, title: str) -> None:
        """Begin a new part of the story."""
        if self.is_quiet:
            return
        if self.steps:
            output.show_line("")
        output.show_line(title)

    def check(self, name: str, found: str, *, is_right: bool) -> None:
        """Record how a step came out."""
        self.steps.append(Step(name, is_right, found))
        if not self.is_quiet:
            output.show_line(f"  {'ok  ' if is_right else 'FAIL'}  {name}: {found}")

    @contextmanager
    def step(self, name: str) -> Iterator["partial[None]"]:
        """Run a step that the following ones need, with its own `check`; what it raises ends the demo as a failure."""
        try:
            yield partial(self.check, name)
        except StepFailedError:
            raise
        except Exception as exc:
            # A library's own error, as of a connection that broke or a process that took too long, is no other outcome.
            found = str(exc) if isinstance(exc, ExchangeError | OSError) else f"{type(exc).__name__}: {exc}"
            self.check(name, found, is_right=False)
            raise StepFailedError(f"step `{name}` failed: {found}") from exc
