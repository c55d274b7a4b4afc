"""Rows that no entry tells of: of a version that was written in, keys nobody enrolled, crises nobody declared."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from exchange.audit.rows_told import NO_ENTRY, Contradiction, RowKind, RowName, RowTold, is_settled

_ALONE: Final = {RowKind.SIGNATORY_KEY: "no entry enrolled it", RowKind.CRISIS: "no entry declared it"}
"""What has one version, and what is said of it where no entry tells of it."""

_NUMBERED: Final = frozenset({RowKind.CLIENT, RowKind.MEMBER, RowKind.AGREEMENT, RowKind.CAVEATS, *_ALONE})
"""Of what every version is in the log."""


class RowCurrent(NamedTuple):
    """The version in force under a name, and when it was recorded, in microseconds; nothing of it is believed."""

    name: RowName
    version: object
    recorded_at: object


class NewestTold:
    """Is told what entries say, in any order, and says which rows none of them made."""

    def __init__(self) -> None:
        self._newest: dict[RowName, RowTold] = {}

    def take(self, told: RowTold) -> None:
        """Take what one entry says."""
        if told.name.kind not in _NUMBERED:
            return
        before = self._newest.get(told.name)
        if before is None or _place(before) < _place(told):
            self._newest[told.name] = told

    def of(self, kind: RowKind) -> list[RowTold]:
        """Return the newest of each row of a kind; of caveats what is in force: what replaced others stands alone."""
        return [told for name, told in self._newest.items() if name.kind is kind]

    def untold(self, current: Iterable[RowCurrent], *, before: int, now: int | None) -> Iterator[Contradiction]:
        """Yield the rows whose version no entry made, of those from `before` and those from after `now`.

        All entries from `before` were taken.
        """
        for name, version, recorded_at in current:
            newest = self._newest.get(name)
            if not is_settled(recorded_at, before, now) or (newest is not None and newest.version == version):
                continue
            if name.kind in _ALONE:
                yield Contradiction(RowTold(name, NO_ENTRY), _ALONE[name.kind])
            elif newest is None:
                yield Contradiction(RowTold(name, NO_ENTRY), f"no entry tells of its version {version}")
            elif not isinstance(version, int) or version > newest.version:
                told = replace(newest, says={}, is_over=False, is_newest=True)
                yield Contradiction(told, f"no entry tells of its version {version}")


def _place(told: RowTold) -> tuple[int, str]:
    # Where a row was lost its number is given a second time: the later entry tells of it then.
    return told.version, told.by["id"]
