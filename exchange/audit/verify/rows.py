"""The rows that the log tells of: each stands where its entries say, or further.

The log proves itself; what is decided on stands in rows, which a database's owner can write. Read in the order of the
log, a page of entries at a time and their rows after them: a row that moves on meanwhile contradicts nothing.
"""

from typing import Final

from exchange.audit.certificates_told import CertificatesTold
from exchange.audit.rows_told import Contradiction, LastWords, RowTold, contradiction, rows_told
from exchange.audit.rows_untold import NewestTold
from exchange.audit.shape import Entry
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import Source
from exchange.kernel import MalformedError

_AT_ONCE: Final = 500

_ON_ITS_WAY_MICROS: Final = 60_000_000
"""So long an entry may be on its way to its place, as its row stands already."""


class RowChecks:
    """Is told every entry, and holds what it says of rows against the rows.

    The entries have come up to what was `signed_at`, in microseconds; `now` is the time, where it is to matter.
    """

    def __init__(
        self, source: Source, findings: Findings, *, signed_at: int | None = None, now: int | None = None
    ) -> None:
        self._source = source
        self._findings = findings
        self._waiting: list[tuple[int | None, RowTold]] = []
        self._last_words = LastWords()
        self._newest, self._certificates = NewestTold(), CertificatesTold()
        self._before = None if signed_at is None else _placed_until(source, signed_at)
        self._now = None if now is None else now + _ON_ITS_WAY_MICROS
        self._is_shown = True

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:  # noqa: ARG002  what observers are told
        """Take one entry."""
        self._certificates.take(entry)
        found = rows_told(entry)
        self._waiting += [(position, told) for told in found]
        for told in found:
            self._last_words.take(told)
            self._newest.take(told)
        if len(self._waiting) >= _AT_ONCE:
            self._compare()

    def conclude(self) -> None:
        """Compare what is left, and what was said last."""
        self._compare()
        self._waiting = [(None, told) for told in self._last_words.found()]
        self._compare()
        self._look_for_untold()

    def _compare(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting or not self._is_shown:
            return
        try:
            kept = self._source.kept_rows({told.name for _, told in waiting})
        except MalformedError as exc:
            self._is_shown = False
            self._findings.add(Finding(Step.ROWS, "rows", exc.message))
            return
        if kept is None:
            self._is_shown = False
            return
        for position, told in waiting:
            found = contradiction(told, kept.get(told.name))
            if found is not None:
                self._add(found, position)

    def _look_for_untold(self) -> None:
        if not self._is_shown or not self._certificates or self._before is None:
            return
        current = self._source.current_rows() or ()
        for found in self._newest.untold(current, before=self._before, now=self._now):
            self._add(found)
        kept = self._source.kept_certificates() or ()
        for found in self._certificates.untold(each for each in kept if each.is_settled(self._before, self._now)):
            self._add(found)

    def _add(self, found: Contradiction, position: int | None = None) -> None:
        self._findings.add(Finding(Step.ROWS, str(found.told.name), found.why, position, found.told.by["id"]))


def _placed_until(source: Source, signed_at: int) -> int:
    """Return up to when everything that was recorded had its place in what was signed then."""
    waiting = next(iter(source.pending()), None)
    before = signed_at - _ON_ITS_WAY_MICROS
    return before if waiting is None else min(before, waiting.at_micros)
