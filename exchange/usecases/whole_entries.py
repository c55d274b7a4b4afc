"""Entries as they come from the store, for whoever must go on behind one that is damaged."""

import logging

from exchange.audit import Entry, parse_entry
from exchange.kernel import MalformedError

_log = logging.getLogger("exchange.log")


def whole_entry(content: bytes | None) -> Entry | None:
    """Return the entry with these bytes; None, told in the service's log, where they are none any more or gone."""
    try:
        return parse_entry(content or b"")
    except MalformedError:
        _log.critical("an entry in the log is damaged or gone: `exchange audit verify` tells which")
        return None
