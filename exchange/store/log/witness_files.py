"""What a node knows of witnesses outside the database: who they are, and what they hold of the log.

Both outlive a database that went back in time: that is what they are for. Files are replaced whole.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from exchange.audit import LogPolicy, parse_log_policy, render_log_policy
from exchange.kernel import ConflictError, MalformedError, UnavailableError
from exchange.kernel.files import keep_file, lock_held

NO_WITNESSES: Final = LogPolicy((), ())

_HEADING = b"""\
# Who witnesses this log, and how many of them must stand behind a checkpoint (C2SP tlog-policy, without `log` lines).
# Written by `exchange audit witness add | remove | quorum`; a comment here does not outlive them.
"""


class WitnessPolicyFile:
    """The policy of witnesses at `path`; read anew when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._policy = NO_WITNESSES

    def read(self) -> LogPolicy:
        """Return the policy, NO_WITNESSES where there is no file; UnavailableError names the line at fault."""
        try:
            found = self.path.stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if state != self._seen:
                self._policy, self._seen = parse_log_policy(self.path.read_bytes()), state
        except FileNotFoundError:
            self._policy, self._seen = NO_WITNESSES, None
        except OSError as exc:
            raise UnavailableError(f"`{self.path}` cannot be read: {exc.strerror}") from exc
        except MalformedError as exc:
            raise UnavailableError(f"`{self.path}` cannot be used: {exc.message}") from exc
        return self._policy

    def held(self) -> AbstractContextManager[None]:
        """Keep others from changing the policy between reading it and writing it; ConflictError where one is at it."""
        busy = ConflictError("somebody else changes the witnesses at this moment: do it again")
        return lock_held(self.path.with_name(f"{self.path.name}.lock"), busy)

    def write(self, policy: LogPolicy) -> None:
        """Put another policy in force on this node; MalformedError for one that would not be read again."""
        _replace(self.path, _HEADING + render_log_policy(policy))


class WitnessedFile:
    """The notes that witnesses outside hold: the newest that agrees with the log, and one that does not, if ever."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contradiction_path = path.with_name(f"{path.name}-otherwise")

    def newest(self) -> bytes | None:
        """Return the note of the largest tree that a witness is known to hold."""
        return _read(self.path)

    def contradiction(self) -> bytes | None:
        """Return the note that contradicts the log, None where none ever came."""
        return _read(self.contradiction_path)

    def keep_newest(self, note: bytes) -> None:
        """Keep a note; who calls it has compared sizes."""
        _replace(self.path, note)

    def keep_contradiction(self, note: bytes) -> None:
        """Keep the first note that contradicts the log: it stays until a person has looked."""
        if self.contradiction() is None:
            _replace(self.contradiction_path, note)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UnavailableError(f"`{path}` cannot be read: {exc.strerror}") from exc


def _replace(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_file(path, content)
    except OSError as exc:
        raise UnavailableError(f"`{path}` cannot be written: {exc.strerror}") from exc
