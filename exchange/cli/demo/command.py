"""`exchange demo`: the whole main job, and the exit code that says whether all of it came out right."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.demo.agreements import perform_agreements
from exchange.cli.demo.inputs import read_inputs
from exchange.cli.demo.play import perform
from exchange.cli.demo.record import COLUMNS, table_rows
from exchange.cli.demo.script import Script, StepFailedError
from exchange.cli.demo.stage import Stage
from exchange.cli.program import FAILED, app
from exchange.cli.verbs import JsonOption
from exchange.kernel import UnsafeSettingError

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
_DEFAULT_INPUT = (SAMPLES / "solarwinds-2020.json", SAMPLES / "threat-warning.txt")


class Tour(StrEnum):
    """What can be shown."""

    EXCHANGE = "exchange"
    AGREEMENTS = "agreements"


_TOURS: Mapping[Tour, Callable[[Stage], None]] = MappingProxyType(
    {Tour.EXCHANGE: perform, Tour.AGREEMENTS: perform_agreements}
)


@app.command()
def demo(
    dir: Annotated[  # noqa: A002  what the option is called
        Path | None, typer.Option("--dir", metavar="DIR", help="Make the demo's instance here, and leave it there.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the instance behind for a look around.")] = False,
    input: Annotated[  # noqa: A002
        list[Path] | None, typer.Option("--input", metavar="FILE", help="Post this file; may be repeated.")
    ] = None,
    tour: Annotated[Tour, typer.Option("--tour", help="The main job, or how treaties live.")] = Tour.EXCHANGE,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="More input files.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the main job on real input with a real server; exit 1 where any step comes out wrong."""
    started = time.monotonic()
    inputs = (*(input or ()), *(files or ())) or _DEFAULT_INPUT
    script = Script(is_quiet=as_json)
    with _stage_folder(dir, keep=keep) as folder:
        stage = Stage(folder, read_inputs(inputs), script)
        _perform(stage, tour)
        seconds = round(time.monotonic() - started, 1)
        _close(stage, seconds, as_json=as_json)
    if not script.is_right:
        raise typer.Exit(FAILED)


def _perform(stage: Stage, tour: Tour) -> None:
    try:
        _TOURS[tour](stage)
    except StepFailedError as exc:
        output.say_failure(str(exc))


def _close(stage: Stage, seconds: float, *, as_json: bool) -> None:
    script = stage.script
    if as_json:
        steps = [step.as_json() for step in script.steps]
        audit = [dict(entry) for entry in stage.entries]
        shown = {"id": str(stage.folder), "ok": script.is_right, "seconds": seconds, "steps": steps, "audit": audit}
        output.show_json(shown)
        return
    if stage.entries:
        script.chapter(f"The audit log of all of it ({len(stage.entries)} entries)")
        output.show_table(COLUMNS, table_rows(stage.entries, stage.names))
    wrong = [step.name for step in script.steps if not step.is_right]
    output.show_line("")
    if wrong or not script.steps:
        output.show_line(f"WRONG after {seconds} s: {len(wrong)} of {len(script.steps)} steps: {'; '.join(wrong)}")
    else:
        output.show_line(f"all {len(script.steps)} steps came out right in {seconds} s")


@contextmanager
def _stage_folder(given: Path | None, *, keep: bool) -> Iterator[Path]:
    """Yield the folder of the demo; a temporary one is removed behind it unless it is to be kept."""
    if given is not None and given.exists() and (not given.is_dir() or any(given.iterdir())):
        raise UnsafeSettingError(f"`{given}` is there already and not empty: nothing is overwritten, name a new folder")
    folder = given.absolute() if given is not None else Path(tempfile.mkdtemp(prefix="exchange-demo-"))
    try:
        yield folder
    finally:
        if given is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            output.note(f"the instance is in {folder}, its clients' files in {folder / 'clients'}")
