"""The root file read again while a process runs: what was added to it is taken up, and nothing else is."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from exchange.custody.roots import Root, load_roots
from exchange.kernel import UnsafeSettingError

_Stamp = tuple[int, ...]

_NEVER_SEEN: Final[_Stamp] = ()

_log = logging.getLogger("exchange.custody")


class RootFile:
    """A root file, and which of its states was read last: unchanged it is not read again, whoever asks how often."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _NEVER_SEEN
        self._told: str | None = None

    def load(self) -> tuple[Root, ...]:
        """Return the roots. Raises UnsafeSettingError for a file that is not safe to use."""
        # Before it is read: what is exchanged in between is read once too often, never too seldom.
        self._seen = self._stamp()
        return load_roots(self._path)

    def added(self, known: Mapping[int, Root]) -> Sequence[Root]:
        """Return the roots that were added to those `known`; none where the file is as it was, or not to be believed.

        It is guarded and checked as at the start. What is wrong with it is told to the operators, once per change. One
        that could not be read is looked for again: for want of descriptors, say, which no change of the file will tell.
        """
        before = self._seen
        if self._stamp() == before:
            return ()
        try:
            roots = self.load()
        except UnsafeSettingError as exc:
            is_unread = isinstance(exc.__cause__, OSError)
            if is_unread:
                self._seen = before
            if not is_unread or exc.message != self._told:
                _log.error("the key file is not taken up: %s", exc.message)
            self._told = exc.message
            return ()
        self._told = None
        # INVARIANT: what this process has opened with goes on opening. A file without that is of another instance.
        if any(root not in roots for root in known.values()):
            _log.error("the key file is not taken up: it lacks, or has changed, a version that is in use")
            return ()
        return [root for root in roots if root.version not in known]

    def _stamp(self) -> _Stamp:
        try:
            found = self._path.lstat()
        except OSError:
            # Gone for now: what is in memory is all there is, and it is looked for again.
            return self._seen
        return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
