"""Entries as they come from the store, for whoever must go on behind one that is damaged."""

import logging

from exchange.audit import Entry, parse_entry
from exchange.kernel import MalformedError
from exchange.store import Store
from exchange.store.searching import as_placed

_log = logging.getLogger("exchange.log")


def whole_entry(content: bytes | None) -> Entry | None:
    """Return the entry with these bytes; None, told in the service's log, where they are none any more or gone."""
    try:
        return parse_entry(content or b"")
    except MalformedError:
        _log.critical("an entry in the log is damaged or gone: `exchange audit verify` tells which")
        return None


async def placed_content(store: Store, entry_id: str) -> bytes | None:
    """Return the bytes of an entry, empty where they are not those in the tree; None where there is no such entry."""
    content, leaf = await store.entry(entry_id), await store.log.leaf(entry_id)
    if content is None or leaf is None:
        return content
    return as_placed(content, leaf.leaf_hash)
