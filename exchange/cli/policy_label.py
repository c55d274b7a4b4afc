"""`exchange policy label`: a marking as it is written, in JSON and in the XML of STANAG 4774, and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.instance import read_bytes
from exchange.cli.posting import law_catalogue
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption
from exchange.markings import from_stanag4774, parse_marking, render_marking, to_stanag4774


def translate_label(
    marking: Annotated[
        str | None, typer.Argument(metavar="MARKING", help='Such as "NATO SECRET//REL TO GBR, NOR".')
    ] = None,
    xml: Annotated[
        Path | None, typer.Option("--xml", metavar="FILE", help="Read a label of STANAG 4774 instead.")
    ] = None,
    originator: Annotated[
        str | None,
        typer.Option("--originator", metavar="CODE", help="Whose it is: first in the list, alone where there is none."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="P", help="Whose level it is, where the marking does not say.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a marking into a label of STANAG 4774, or such a label (--xml) into a marking; exit 1 on a fault."""
    if (marking is None) == (xml is None):
        raise UsageError("a marking, or `--xml FILE`? give one of the two")
    catalogue = law_catalogue()
    if xml is not None:
        found = from_stanag4774(read_bytes(xml), catalogue)
    else:
        found = parse_marking(str(marking), catalogue, policy=policy)
    text = render_marking(found, catalogue, originator=originator)
    if xml is not None and not as_json:
        output.show_line(text)
        return
    written = to_stanag4774(found, catalogue, created_at=datetime.now(UTC), originator=originator).decode()
    if as_json:
        output.show_json({"id": text, "label": found.as_json(), "stanag4774": written})
        return
    for line in written.splitlines():
        output.show_line(line)
