"""`exchange report`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import (  # noqa: F401  they add their verbs to the group
    report_derivations,
    report_life,
    report_onward,
    report_proxies,
    report_uploads,
    reports,
)
