"""What a member was refused, and the change behind it: few marks, and none is pushed out without a trace."""

from collections.abc import Sequence
from typing import Final

from exchange.audit.alerts.memory import Mark

CHANGE: Final = ""
"""The word of a change; that of a refusal is the report."""

ANY: Final = "*"
"""The word of refusals that are no longer told apart: any report may be one of theirs."""

MOST_SOUGHT: Final = 256
"""Marks of one member; 32 KiB of text. Whoever is refused more reports, made-up ones too, hides none behind them."""


def waited_on(marks: Sequence[Mark]) -> list[Mark]:
    """Return what of `marks`, in the order in which they came, says all that matters.

    That is the last change, and of each report the last refusal before it and the last one behind it. Where these are
    too many, the first refusals stand for those of any report.
    """
    kept = _told_apart(marks)
    while len(kept) > MOST_SOUGHT:
        first = next(place for place, mark in enumerate(kept) if mark.word not in {CHANGE, ANY})
        kept = _told_apart([*kept[:first], kept[first]._replace(word=ANY), *kept[first + 1 :]])
    return kept


def obtained_by(marks: Sequence[Mark], report: str) -> str | None:
    """Return the word of the refusal that a change followed, where `report` is read now; None where there is none."""
    before = {mark.word for mark in marks[: _last_change(marks)]}
    return next((word for word in (report, ANY) if word in before), None)


def _told_apart(marks: Sequence[Mark]) -> list[Mark]:
    last = _last_change(marks)
    before = {mark.word: mark for mark in marks[:last] if mark.word != CHANGE}
    behind = {mark.word: mark for mark in marks[last:] if mark.word != CHANGE}
    return [*before.values(), *(mark for mark in marks[last:] if mark.word == CHANGE), *behind.values()]


def _last_change(marks: Sequence[Mark]) -> int:
    """Return the place of the last change, 0 where there is none: nothing stands before it."""
    return max((place for place, mark in enumerate(marks) if mark.word == CHANGE), default=0)
