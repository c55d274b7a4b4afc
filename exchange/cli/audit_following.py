"""Following the log: entries as they get their places, until one stops looking.

In the order of the log, and not of time: an entry has the time at which what it is about began, and whoever lets that
take long would else come in behind what was looked at last, where nobody looks again.

To follow is an entry itself; those of who follows are not shown to it.
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress

from exchange.audit.export import ExportedEntry, Place, Statement, parse_place
from exchange.cli import output
from exchange.client import ExchangeClient
from exchange.wire import ShownEntryBody

_LOOKS = frozenset({"audit.searched", "audit.exported"})
_NOTHING = {"until": "1970-01-01T00:00:01Z"}
"""What no entry meets: such an export says where the log ends, and no more."""

Filters = Mapping[str, str | None]


def follow_entries(
    client: ExchangeClient, filters: Filters, row: Callable[[ShownEntryBody], tuple[object, ...]], *, as_json: bool
) -> None:
    """Print what meets `filters`, in the order of the log, one entry a line, and go on with what is new.

    Where no time is asked for, it begins behind the newest entry there is.
    """
    asked = {name: value for name, value in filters.items() if value is not None}
    # Ctrl-C is how one stops following: that is done, not failed.
    with suppress(KeyboardInterrupt):
        own = client.whoami().id
        after = None if "since" in asked else _end(client)
        for item in client.export(after, asked, follow=True):
            if isinstance(item, Statement):
                # Nothing more for now.
                output.flush()
                continue
            entry = _shown(item)
            if _is_look_of(own, entry):
                continue
            if as_json:
                output.show_json_line(entry.model_dump_json())
            else:
                output.show_line(_line(row(entry)))


def _end(client: ExchangeClient) -> Place | None:
    """Return the place of the newest entry there is, whosever it is; None where there is none."""
    ends = [parse_place(item.end) for item in client.export(None, _NOTHING) if isinstance(item, Statement)]
    end = ends[-1] if ends else Place(1, 0)
    return Place(end.log, end.position - 1) if end.position else None


def _shown(exported: ExportedEntry) -> ShownEntryBody:
    personal = exported.personal
    told = set(personal.values())
    return ShownEntryBody.model_validate(
        {
            "id": exported.entry["id"],
            "leaf": base64.b64encode(exported.leaf).decode(),
            "extent": exported.extent,
            "entry": exported.entry,
            # In an export that is said in the place of each thing.
            "personal": told.pop() if told in ({"erased"}, {"damaged"}) else personal or None,
        }
    )


def _is_look_of(client_id: str, entry: ShownEntryBody) -> bool:
    actor = entry.entry.get("actor")
    return entry.entry.get("type") in _LOOKS and isinstance(actor, dict) and actor.get("id") == client_id


def _line(cells: tuple[object, ...]) -> str:
    return "  ".join("-" if cell is None or cell == "" else str(cell) for cell in cells)
