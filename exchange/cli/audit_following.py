"""Following the log: entries as they get their places, until one stops looking.

Each look is an entry itself; those of who follows are not shown to it, or it would follow itself for ever.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from exchange.cli import output
from exchange.client import ExchangeClient
from exchange.wire import ShownEntryBody

# Twice what an entry mostly waits for its place: each look is an entry of the log.
_LOOK_AGAIN_SECONDS = 2.0
_PAGE = 100
_LOOK = "audit.searched"

Filters = Mapping[str, str | None]


def follow_entries(
    client: ExchangeClient, filters: Filters, row: Callable[[ShownEntryBody], tuple[object, ...]], *, as_json: bool
) -> None:
    """Print what meets `filters`, oldest first, one entry a line, and go on with what is new.

    Where no time is asked for, it begins behind the newest entry there is.
    """
    # Ctrl-C is how one stops following: that is done, not failed.
    with suppress(KeyboardInterrupt):
        own = client.whoami().id
        after = _beginning(client, filters)
        while True:
            page = client.audit_page(after, _PAGE, **filters)
            for entry in page.items:
                if _is_look_of(own, entry):
                    continue
                if as_json:
                    output.show_json_line(entry.model_dump_json())
                else:
                    output.show_line(_line(row(entry)))
            output.flush()
            after = page.next
            if len(page.items) < _PAGE:
                time.sleep(_LOOK_AGAIN_SECONDS)


def _beginning(client: ExchangeClient, filters: Filters) -> str | None:
    """Return the cursor behind what is there now, None to begin with all that the filters mean."""
    if filters.get("since") is not None:
        return None
    newest = client.audit_page(None, 1, **{**filters, "order": "newest"}).items
    # Several entries may share the newest one's time.
    return client.audit_page(None, _PAGE, **{**filters, "since": str(newest[0].entry["ts"])}).next if newest else None


def _is_look_of(client_id: str, entry: ShownEntryBody) -> bool:
    actor = entry.entry.get("actor")
    return entry.entry.get("type") == _LOOK and isinstance(actor, dict) and actor.get("id") == client_id


def _line(cells: tuple[object, ...]) -> str:
    return "  ".join("-" if cell is None or cell == "" else str(cell) for cell in cells)
