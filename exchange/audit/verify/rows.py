"""The rows that the log tells of: each stands where its entries say, or further.

The log proves itself; what is decided on stands in rows, which a database's owner can write. Read in the order of the
log, a page of entries at a time and their rows after them: a row that moves on meanwhile contradicts nothing.
"""

from typing import Final

from exchange.audit.rows_told import LastWords, RowTold, contradiction, rows_told
from exchange.audit.shape import Entry
from exchange.audit.verify.findings import Finding, Findings, Step
from exchange.audit.verify.source import Source
from exchange.kernel import MalformedError

_AT_ONCE: Final = 500


class RowChecks:
    """Is told every entry, and holds what it says of rows against the rows."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._waiting: list[tuple[int | None, RowTold]] = []
        self._last_words = LastWords()
        self._is_shown = True

    def observe(self, position: int, entry: Entry, leaf_hash: bytes) -> None:  # noqa: ARG002  what observers are told
        """Take one entry."""
        found = rows_told(entry)
        self._waiting += [(position, told) for told in found]
        for told in found:
            self._last_words.take(told)
        if len(self._waiting) >= _AT_ONCE:
            self._compare()

    def conclude(self) -> None:
        """Compare what is left, and what was said last."""
        self._compare()
        self._waiting = [(None, told) for told in self._last_words.found()]
        self._compare()

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
                self._findings.add(Finding(Step.ROWS, str(told.name), found.why, position, told.by["id"]))
