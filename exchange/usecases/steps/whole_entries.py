"""Entries as they come from the store, for whoever must go on behind one that is damaged."""

import logging
from collections.abc import Callable

from exchange.audit import Entry, parse_entry
from exchange.kernel import MalformedError
from exchange.store import Store
from exchange.store.log.searching import as_placed
from exchange.store.rows.log_rows import FoundBy

_log = logging.getLogger("exchange.log")


def whole_entry(content: bytes | None) -> Entry | None:
    """Return the entry with these bytes; None, told in the service's log, where they are none any more or gone."""
    try:
        return parse_entry(content or b"")
    except MalformedError:
        _log.critical("an entry in the log is damaged or gone: `exchange audit verify` tells which")
        return None


async def placed_content(
    store: Store, entry_id: str, may_be_meant: Callable[[FoundBy], bool] = lambda _: True
) -> bytes | None:
    """Return the bytes of an entry; None where there is no such entry.

    Empty where they are not those in the tree, and where they are in none and do not wait for a place: that is damage.

    INVARIANT: what left the database is read from the archive for those alone whom it may concern by what it is found
    by. To others it is absent, as quickly, and while the archive is away or damaged too.
    """
    kept = await store.log.kept(entry_id)
    if kept is None:
        return None
    if kept.content is not None:
        return kept.content if kept.is_waiting else as_placed(kept.content, kept.leaf_hash)
    if kept.found_by is not None and not may_be_meant(kept.found_by):
        return None
    return (await store.log.archived.named([entry_id])).get(entry_id, b"")
