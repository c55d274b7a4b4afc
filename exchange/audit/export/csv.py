"""CSV (RFC 4180) that a spreadsheet shows and never runs.

Every cell is quoted and holds no line break. What is no number is made visible (see `visible`), and a character that
begins a formula (`= + - @ | %` and their full-width forms) is escaped in the same way at the beginning of a cell and
behind anything that a spreadsheet may take for the border of one: OWASP's advice against CSV injection, which names
quotation marks and the separators of other locales too.
"""

import re
from collections.abc import Sequence

from exchange.audit.export.exported import ExportedEntry, Place, Statement, place_of
from exchange.audit.export.fields import NAMES, Cell, cells_of, statement_cells
from exchange.audit.export.visible import escape, plain, visible
from exchange.kernel import MalformedError

_FORMULA = re.compile('(^|[;,|"])( *)([=+\\-@%|\uff1d\uff0b\uff0d\uff20])')
_CELL = re.compile(r'"((?:[^"]|"")*)"(?:,|$)')


def head() -> bytes:
    """Return the row of names."""
    return _row(NAMES)


def entry_line(exported: ExportedEntry) -> bytes:
    """Return the row of one entry."""
    return _row(list(cells_of(exported).values()))


def statement_line(statement: Statement) -> bytes:
    """Return the last row."""
    cells = statement_cells(statement)
    return _row([cells.get(name) for name in NAMES])


def place_in(line: bytes) -> Place | None:
    """Return the place in a row, None for the first and the last; raises MalformedError for what is no row."""
    cells = read_row(line)
    if len(cells) != len(NAMES):
        raise MalformedError(f"a row of the export has {len(cells)} cells, not {len(NAMES)}")
    return place_of(*cells[:2])


def read_row(line: bytes) -> list[str]:
    """Return the cells of one row as they were before they were escaped; none where it is no row."""
    text, at, cells = line.decode().removesuffix("\r\n"), 0, list[str]()
    while found := _CELL.match(text, at):
        cells.append(plain(found[1].replace('""', '"')))
        at = found.end()
    return cells if at == len(text) and text.endswith('"') else []


def cell_text(cell: Cell) -> str:
    """Return what stands between the quotation marks of a cell, before those inside are doubled."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    return _FORMULA.sub(lambda found: found[1] + found[2] + escape(found[3]), visible(cell))


def _row(cells: Sequence[Cell]) -> bytes:
    quoted = ('"' + cell_text(cell).replace('"', '""') + '"' for cell in cells)
    return (",".join(quoted) + "\r\n").encode()
