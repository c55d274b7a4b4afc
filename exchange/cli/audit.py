"""`exchange audit`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import (  # noqa: F401  they add their verbs to the group
    audit_alerts,
    audit_archive,
    audit_deed,
    audit_erasing,
    audit_export,
    audit_feed,
    audit_log,
    audit_receipts,
    audit_search,
    audit_tiles,
    audit_verify,
    audit_witness,
    audit_witnesses,
)
