"""`exchange report`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import report_derivations, report_life, report_onward, report_proxies, report_uploads, reports
from exchange.cli.report_group import reports as group

__all__ = ["group", "report_derivations", "report_life", "report_onward", "report_proxies", "report_uploads", "reports"]
