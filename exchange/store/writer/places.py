"""A report's place, which another one takes: read while the order of reports is held, and taken once at a time."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from exchange.kernel import ConflictError, StalePolicyError
from exchange.reports import ReportStatus, require_place
from exchange.store.rows.main_rows import NewReport
from exchange.store.tables.main_tables import table


@dataclass(slots=True)
class Place:
    """Where a report stands that another one is to supersede; `taken_by` is one that did, and was not destroyed."""

    report: str
    version: int
    status: str
    taken_by: str | None

    @property
    def is_current(self) -> bool:
        """Return whether nothing has ever taken it: what took it once is told, whatever became of that."""
        return self.status == ReportStatus.CURRENT.value

    def take(self, new: NewReport) -> None:
        """Have `new` take it; raises as `require_free_for`."""
        self.require_free_for(new)
        self.taken_by = new.id

    def require_free_for(self, new: NewReport) -> None:
        """Raise ConflictError where it is not to be taken, StalePolicyError where `new` saw another version of it."""
        self.require_free()
        if new.superseded_version not in {None, self.version}:
            raise StalePolicyError("the report to be superseded has changed since the decision: decide again")

    def require_free(self) -> None:
        """Raise ConflictError where no report can take it."""
        try:
            stored = ReportStatus(self.status)
        except ValueError as exc:
            raise ConflictError("the report to be superseded stands as no report does") from exc
        require_place(stored, self.taken_by)


def places(which: ColumnElement[bool]) -> Select[Any]:
    """Return the read of places, in the order of the fields of `Place`; `which` is of the table `report`."""
    report, other = table("report"), table("report").alias("other")
    living = other.c.status.in_([literal_column("'current'"), literal_column("'superseded'")])
    takes = select(func.max(other.c.id)).where(other.c.supersedes == report.c.id, living)
    return select(report.c.id, report.c.version, report.c.status, takes.scalar_subquery()).where(which)


def place_of(row: Any) -> Place:
    """Return the place that a row of `places` tells."""
    return Place(*row)
