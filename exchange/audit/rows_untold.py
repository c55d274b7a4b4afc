"""Rows that no entry tells of: of a version that was written in, keys nobody enrolled, crises nobody declared.

So are parties of agreements whose signature nobody made, and requests for information that nobody ended so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from exchange.audit.events import EventName
from exchange.audit.rows_told import (
    NO_ENTRY,
    TEXT_PLACE,
    Contradiction,
    RowKind,
    RowName,
    RowTold,
    TextTold,
    is_settled,
    party_place,
)
from exchange.audit.shape import Entry

_ALONE: Final = {RowKind.SIGNATORY_KEY: "no entry enrolled it", RowKind.CRISIS: "no entry declared it"}
"""What has one version, and what is said of it where no entry tells of it."""

_CONSENTING: Final = frozenset({EventName.AGREEMENT_SIGNED.value, EventName.AGREEMENT_RESUMED.value})
"""By what a party says that a text binds it: by its signature, or by resuming what it may have been written into."""

_UNSIGNED: Final = "pending"

_NUMBERED: Final = frozenset({RowKind.CLIENT, RowKind.MEMBER, RowKind.AGREEMENT, RowKind.CAVEATS, *_ALONE})
"""Of what every version is in the log."""

_TAKEN: Final = frozenset({*_NUMBERED, RowKind.REQUEST})

_CLOSED: Final = "closed"
_WITHDRAWN: Final = "withdrawn"
"""How a request for information ended: of one that was withdrawn nothing more comes."""


class RowCurrent(NamedTuple):
    """The version in force under a name, and when it was recorded, in microseconds; nothing of it is believed.

    Of a request for information that has ended, how, and when.
    """

    name: RowName
    version: object
    recorded_at: object


class NewestTold:
    """Is told what entries say, in any order, and says which rows none of them made."""

    def __init__(self) -> None:
        self._newest: dict[RowName, RowTold] = {}

    def take(self, told: RowTold) -> None:
        """Take what one entry says."""
        if told.name.kind not in _TAKEN:
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
            if name.kind is RowKind.REQUEST:
                if is_settled(recorded_at, before, now):
                    yield from _ended_untold(name, version, newest)
                continue
            if not is_settled(recorded_at, before, now) or (newest is not None and newest.version == version):
                continue
            if name.kind in _ALONE:
                yield Contradiction(RowTold(name, NO_ENTRY), _ALONE[name.kind])
            elif newest is None:
                yield Contradiction(RowTold(name, NO_ENTRY), f"no entry tells of its version {version}")
            elif not isinstance(version, int) or version > newest.version:
                told = replace(newest, says={}, is_over=False, is_newest=True)
                yield Contradiction(told, f"no entry tells of its version {version}")


class PartyKept(NamedTuple):
    """A party that has signed, as its row in the current version of an agreement says; nothing of it is believed.

    `recorded_at` is of that version, `signed_at` of the signature, in microseconds.
    """

    agreement: str
    version: object
    edition: object
    text: object
    member: str
    recorded_at: object
    signed_at: object


class ConsentsTold:
    """Is told what entries say, in any order, and says which parties are bound by rows alone."""

    def __init__(self) -> None:
        self._told: set[tuple[object, object, object]] = set()

    def take(self, entry: Entry) -> None:
        """Take one entry."""
        if entry["type"] in _CONSENTING:
            detail = entry.get("detail", {})
            member = detail.get("on_behalf_of", entry.get("member"))
            self._told.add((entry.get("object", {}).get("id"), detail.get("text"), member))

    def untold(
        self, kept: Iterable[PartyKept], newest: Iterable[RowTold], *, before: int, now: int | None
    ) -> Iterator[Contradiction]:
        """Yield the agreements of which parties have signed by no entry, where the current version is a told one.

        Of versions from `before` and from after `now`: all entries from `before` were taken.
        """
        versions = {(told.name.id, told.version): told for told in newest}
        says: dict[tuple[str, object], dict[str, object]] = {}
        for each in kept:
            is_told = (each.agreement, each.text, each.member) in self._told
            if is_told or not is_settled(each.recorded_at, before, now):
                continue
            # Under a text that not all have signed nobody takes part.
            text = TextTold(each.edition if isinstance(each.edition, int) else 0, each.text)
            unsigned = says.setdefault((each.agreement, each.version), {TEXT_PLACE: text})
            unsigned[party_place(each.member)] = _UNSIGNED
        for (agreement, version), unsigned in says.items():
            told = versions.get((agreement, version)) if isinstance(version, int) else None
            if told is not None:
                who = ", ".join(sorted(unsigned.keys() - {TEXT_PLACE}))
                yield Contradiction(replace(told, says=unsigned, is_over=False), f"no entry tells that {who} signed")


def _ended_untold(name: RowName, ended: object, newest: RowTold | None) -> Iterator[Contradiction]:
    told = None if newest is None else newest.says.get("ended", _CLOSED)
    # That it was withdrawn, and its row says less, is for the entry to contradict.
    if told not in {ended, _WITHDRAWN}:
        by = NO_ENTRY if newest is None else newest.by
        # INVARIANT: nothing that somebody wrote into a row comes into the log by it.
        how = f"was {ended}" if ended in {_CLOSED, _WITHDRAWN} else "ended so"
        yield Contradiction(RowTold(name, by, says={"ended": told}), f"no entry tells that it {how}")


def _place(told: RowTold) -> tuple[int, bool, str]:
    # Where a row was lost its number is given a second time: the later entry tells of it then. What was withdrawn may
    # have been closed besides, where nobody could look whether it was.
    return told.version, told.says.get("ended") == _WITHDRAWN, told.by["id"]
