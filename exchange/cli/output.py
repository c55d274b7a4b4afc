"""What verbs print: tables and records for people, JSON for programs, remarks on stderr.

Text that came from outside is shown with its control characters replaced, what names it too: a report's name must
not be able to steer the reader's terminal, nor an exchange that of the auditor who distrusts it.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from exchange.wire import WireModel

# In a pipe nothing is cut to a terminal's width: lines are as long as they need to be.
_PIPE_COLUMNS = 100_000
# Between two columns.
_GAP = 2
# Words in a narrower column are read one by one.
_NARROWEST_TEXT = 12
# Cc control, Cf format (bidirectional overrides among them), Cs surrogate, Co private use.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co"})

_GOOD = frozenset({"active", "in_force", "ok", "permitted", "current", "signed", "PASS"})
_BAD = frozenset({"revoked", "withdrawn", "refused", "failed", "recalled", "FAIL", "mend"})
_OPEN = frozenset({"suspended", "draft", "pending", "expired", "superseded", "warning"})


def shown(text: object) -> str:
    """Return `text` for a terminal: control and format characters become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(letter) in _UNSHOWN else letter for letter in str(text))


class _Said:
    """What this command has printed."""

    whole_document = False


def begin() -> None:
    """Forget what an earlier command of this process has printed."""
    _Said.whole_document = False


def show_json(value: object) -> None:
    """Print `value` as one JSON document; bodies of the wire in it are written as the wire has them."""
    _Said.whole_document = True
    # ensure_ascii keeps control and bidirectional characters of foreign text from a terminal.
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, default=_as_wire) + "\n")


def show_json_failure(value: object) -> None:
    """Print `value` as one line of JSON, the last of a stream's, or nothing behind a whole document."""
    if not _Said.whole_document:
        sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")


def show_json_line(document: str) -> None:
    """Print a JSON document as one line; as `show_json`, every letter of it is there for who reads it."""
    sys.stdout.write(json.dumps(json.loads(document), ensure_ascii=True) + "\n")


def show_line(text: str) -> None:
    """Print one plain line."""
    sys.stdout.write(shown(text) + "\n")


def show_done(document: Mapping[str, object], sentence: str, *, as_json: bool) -> None:
    """Print what a verb did: for programs as `document`, else as `sentence`, one plain line."""
    if as_json:
        show_json(document)
    else:
        show_line(sentence)


def flush() -> None:
    """Let a pipe have what was printed so far."""
    sys.stdout.flush()


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Print rows under their column names; nothing to show is said in words.

    Where a terminal is too narrow for that, each row is a block of lines: an id is to be copied whole.
    """
    console = _console()
    if title is not None:
        console.print(Text(shown(title), style="bold"))
    if not rows:
        console.print(Text("nothing to show", style="dim"))
        return
    cells = [[_cell(value) for value in row] for row in rows]
    if _needed(columns, cells) > console.width:
        _show_blocks(console, columns, cells)
        return
    widths = [
        max(map(cell_len, column))
        for column in zip(columns, *([cell.plain for cell in row] for row in cells), strict=True)
    ]
    if sum(widths) + _GAP * (len(widths) - 1) <= console.width:
        _show_lines(console, widths, [[Text(name, style="bold") for name in columns], *cells])
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for name, *column in zip(columns, *cells, strict=True):
        table.add_column(name, overflow="fold", no_wrap=not any(" " in cell.plain for cell in column))
    for row_cells in cells:
        table.add_row(*row_cells)
    _print(console, table)


def show_list(
    found: Sequence[object],
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    as_json: bool,
) -> None:
    """Print a list: for programs what was `found`, else its `rows`, which are made for that alone."""
    if as_json:
        show_json(found)
    else:
        show_table(columns, list(rows), title=title)


def show_record(
    fields: Mapping[str, object], *, title: str | None = None, document: object = None, as_json: bool = False
) -> None:
    """Print the named values of one thing, a line each, or for programs as one JSON document: `document`, if given."""
    if as_json:
        show_json(fields if document is None else document)
        return
    if title is not None:
        _console().print(Text(shown(title), style="bold"))
    _print(_console(), _record([(name, _cell(value)) for name, value in fields.items()]))


def show_body(
    body: "WireModel",
    *,
    title: str | None = None,
    told: Mapping[str, object] | None = None,
    as_json: bool = False,
) -> None:
    """Print a body of the wire: for programs as it is, for people without what is not set.

    `told` stands for fields that people are told in other words.
    """
    if as_json:
        show_json(body)
        return
    # Dumped, times would be those of the wire; taken for a mapping, a body with a field `keys` would be called.
    fields = {**dict(iter(body)), **(told or {})}
    is_set = {name.replace("_", " "): value for name, value in fields.items() if value not in (None, [])}
    show_record(is_set, title=title)


def show_question(title: str, fields: Mapping[str, object], question: str) -> None:
    """Ask on stderr, under what it is about; who typed the end of a line has moved to the next one."""
    console = _console(stderr=True)
    console.print(Text(shown(title), style="bold"))
    _print(console, _record([(name, _cell(value)) for name, value in fields.items()]))
    console.print(Text(shown(question), style="bold"), end="")
    console.file.flush()


def note(text: str) -> None:
    """Say on stderr something that is no part of the answer."""
    _console(stderr=True).print(Text(shown(text), style="dim"), soft_wrap=True)


def warn(text: str) -> None:
    """Say on stderr what the caller should know although the verb went on."""
    _console(stderr=True).print(Text(f"warning: {shown(text)}", style="yellow"), soft_wrap=True)


def say_failure(text: str) -> None:
    """Say on stderr why the verb failed."""
    lines = "\n".join(shown(line) for line in text.splitlines())
    _console(stderr=True).print(Text(f"error: {lines}", style="red"), soft_wrap=True)


def listed(values: Sequence[str] | frozenset[str]) -> str:
    """Return several words as one cell: `-` where there are none."""
    return ", ".join(sorted(values) if isinstance(values, frozenset) else values) or "-"


def _as_wire(body: object) -> object:
    # Imported only now: whoever hands a body over has it, and a verb that has none starts sooner.
    from exchange.wire import WireModel

    if not isinstance(body, WireModel):
        raise TypeError(f"`{type(body).__name__}` is no JSON and no body of the wire")
    return body.model_dump(mode="json")


def _print(console: Console, table: Table) -> None:
    with console.capture() as printed:
        console.print(table)
    # Cells are filled up to their column: of the last one in a line that is nothing but blanks.
    console.file.write("\n".join(line.rstrip(" ") for line in printed.get().split("\n")))


def _record(lines: Sequence[tuple[str, Text]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in lines:
        table.add_row(Text(shown(name)), cell)
    return table


def _show_lines(console: Console, widths: Sequence[int], rows: Iterable[Sequence[Text]]) -> None:
    """Print rows that fit, a line each: to lay out ten thousand as a table takes several times as long."""
    for row in rows:
        line = Text()
        for width, cell in zip(widths, row, strict=True):
            line.append_text(cell).append(" " * (width - cell.cell_len + _GAP))
        line.rstrip()
        console.print(line, soft_wrap=True)


def _show_blocks(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    for number, row in enumerate(rows):
        if number:
            console.print()
        _print(console, _record([(name, cell) for name, cell in zip(columns, row, strict=True) if cell.plain]))


def _needed(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
    """Return the width of a table in which no id is broken and no text stands word by word."""
    widths = [
        max(_narrowest(text) for text in (name, *(cell.plain for cell in column)))
        for name, *column in zip(columns, *rows, strict=True)
    ]
    return sum(widths) + _GAP * (len(widths) - 1)


def _narrowest(text: str) -> int:
    longest = max(map(cell_len, text.split()), default=0)
    return max(longest, min(cell_len(text), _NARROWEST_TEXT))


def _cell(value: object) -> Text:
    text = shown(in_words(value))
    style = "green" if text in _GOOD else "red" if text in _BAD else "yellow" if text in _OPEN else ""
    return Text(text, style=style)


def in_words(value: object) -> object:
    """Return what a person is shown of a value: times to the second, lists as one text."""
    match value:
        case None | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case list() | tuple() if not any(isinstance(each, dict | list) for each in value):
            return ", ".join(map(str, value))
    return value


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
