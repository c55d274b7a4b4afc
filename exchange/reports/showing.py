"""What of a header is shown, and where a report stands at a moment."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from exchange.markings import Label
from exchange.reports.model import Header, ReportStatus
from exchange.reports.posting import CONDITIONS_CAVEAT


def status_of(stored: ReportStatus | str, valid_until: datetime | None, now: datetime) -> ReportStatus:
    """Return the status at `now`; `valid_until` is exclusive. Recalled outweighs expired, expired superseded.

    ValueError for a stored word that is no status.
    """
    status = ReportStatus(stored)
    if status is not ReportStatus.RECALLED and valid_until is not None and valid_until <= now:
        return ReportStatus.EXPIRED
    return status


def visible_header(header: Header, permitted: Collection[Label]) -> Header:
    """Return `header` with only the parts whose label is permitted; for a reader who may know the report itself.

    They are numbered anew from 1: a gap would tell that something is withheld.
    """
    shown = (part for part in header.parts if part.label in permitted)
    return replace(header, parts=tuple(replace(part, number=number) for number, part in enumerate(shown, start=1)))


def tear_line(header: Header, permitted: Collection[Label], *, join: Callable[[tuple[Label, ...]], Label]) -> Header:
    """Return what a reader sees who may read some parts but not the report's own label.

    No subject, no links to other reports, no day of declassification (it belongs to the hidden label); the label is
    the join of the parts shown. Parts are numbered as `visible_header` does. ValueError where no part is permitted.
    """
    shown = visible_header(header, permitted)
    if not shown.parts:
        message = "no part is permitted: there is no tear-line to show"
        raise ValueError(message)
    return replace(
        shown,
        subject=None,
        label=join(tuple(dict.fromkeys(part.label for part in shown.parts))),
        declassify_on=None,
        supersedes=None,
        references=(),
        conditions=shown.conditions if any(CONDITIONS_CAVEAT in part.label.handling for part in shown.parts) else None,
    )
