"""The rows of `audit_search`: what an entry is found by, computed from its bytes when it gets its position.

Whoever gives positions writes them in the same transaction. Appending writes none: seven indexes cost an append five
times what the entry itself does.
"""

from dataclasses import fields
from operator import attrgetter

from exchange.audit import EntryColumns, columns_of
from exchange.store.database.dialect import Value

SEARCH_COLUMNS = ("log", "position", *(field.name for field in fields(EntryColumns)))

_values = attrgetter(*SEARCH_COLUMNS[2:])


def search_row(log: int, position: int, content: bytes) -> tuple[Value, ...]:
    """Return the row of the entry at `position` of `log`, in the order of SEARCH_COLUMNS.

    Raises MalformedError for bytes that no entry has.
    """
    values: tuple[Value, ...] = _values(columns_of(content))
    return (log, position, *values)
