"""Reports: header, parts, versions, redaction to a tear-line, status."""

from exchange.reports.model import Header, PartHeader, Precedence, Protection, ReportId, ReportStatus

__all__ = ["Header", "PartHeader", "Precedence", "Protection", "ReportId", "ReportStatus"]
