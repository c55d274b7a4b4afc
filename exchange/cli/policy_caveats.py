"""`exchange policy caveat`: a member's guards for its own reports; and what they would change, for `policy check`."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.instance import unreadable, write_all_new
from exchange.cli.verbs import JsonOption, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import AnswerError, ExchangeClient
from exchange.kernel import InvalidError, counted
from exchange.members import is_member_code
from exchange.wire import CaveatPreviewBody, CaveatSetBody, CaveatSetTextBody, CaveatsText, faults_of

_LARGEST_BYTES = 1_048_576
"""Whatever is larger is another file than was meant; the exchange takes far less."""

_WAITS = "waits for a second releaser: `exchange act confirm`"

caveat = typer.Typer(help="National caveats: propose, withdraw, list, show.", no_args_is_help=True)

GuardsArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The guards, such as NOR.cedar.")]
ExamplesOption = Annotated[
    Path | None,
    typer.Option("--examples", metavar="FILE", help="Unset: beside the guards, such as NOR.examples.yaml."),
]
SetArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of the set.", callback=id_given)]


@caveat.command("propose")
@member_verb
def propose(
    client: ExchangeClient, guards: GuardsArgument, examples: ExamplesOption = None, as_json: JsonOption = False
) -> None:
    """Ask that these guards hold in place of those in force (releaser); a second releaser confirms it."""
    _show(client.caveats.propose(_read(guards, examples)), _WAITS, as_json=as_json)


@caveat.command("withdraw")
@member_verb
def withdraw(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """Ask that no guard of your member's holds any more (releaser); a second releaser confirms it."""
    _show(client.caveats.withdraw(), _WAITS, as_json=as_json)


@caveat.command("list")
@member_verb
@lists_whole("sets of caveats")
def list_sets(client: ExchangeClient, as_json: JsonOption = False) -> None:
    """List what your member has, had and waits to have in force, the newest first."""
    found = client.caveats.list()
    rows = (
        (each.id, each.number or "", each.state, len(each.guards), each.in_force_at or "", each.ended_at or "")
        for each in found
    )
    output.show_list(found, ("id", "number", "state", "guards", "in force since", "until"), rows, as_json=as_json)


@caveat.command("show")
@member_verb
def show(
    client: ExchangeClient,
    set_id: SetArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write both files into it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one set with its text, or write the text into files."""
    found = client.caveats.show(set_id)
    if out is not None:
        _write_both(out, found)
    if as_json:
        output.show_json(found)
        return
    _show(found, None, as_json=False)
    if out is None:
        for line in found.cedar.splitlines():
            output.show_line(line)


def show_preview(client: ExchangeClient, guards: Path, examples: Path | None, *, as_json: bool) -> None:
    """Say which releases these guards would stop, narrow or open if they were in force."""
    preview = client.caveats.check(_read(guards, examples))
    if as_json:
        output.show_json({"id": str(guards), "ok": True, **preview.model_dump(mode="json")})
        return
    rows = [(each.member, each.change, each.reports, each.scope, each.topic, each.marking) for each in preview.changes]
    if rows:
        output.show_table(("member", "change", "reports", "scope", "topic", "marking"), rows)
    output.show_line(_told(preview))
    if preview.unopened:
        output.warn(
            f"of {len(preview.unopened)} reports what is stored is damaged or was altered: they are not counted"
        )


def _told(preview: CaveatPreviewBody) -> str:
    if not preview.changes:
        told = "no current report is read by more or fewer"
    else:
        told = ", ".join(f"{_count(preview, change)} {change}" for change in ("stopped", "narrowed", "opened"))
    run = f"{counted(len(preview.guards), 'guard', 'guards')}, {counted(preview.examples, 'example', 'examples')} run"
    return f"{run}; releases by report and member: {told}"


def _count(preview: CaveatPreviewBody, change: str) -> int:
    return sum(each.reports for each in preview.changes if each.change == change)


def _write_both(folder: Path, found: CaveatSetTextBody) -> None:
    if not is_member_code(found.member):
        # The files are named after it: another name would lead out of the folder.
        raise AnswerError(f"the set in the answer is of `{found.member}`, which is no member")
    texts = {f"{found.member}.cedar": found.cedar, f"{found.member}.examples.yaml": found.examples}
    # INVARIANT: never over a file that is there, which may be the only copy of another text.
    write_all_new({folder / name: text.encode() for name, text in texts.items()}, mode=0o600)


def _read(guards: Path, examples: Path | None) -> CaveatsText:
    beside = guards.with_suffix(".examples.yaml") if examples is None else examples
    if examples is None and guards.exists() and not beside.exists():
        raise InvalidError(f"every guard brings examples: write them into `{beside}`, or name them with `--examples`")
    try:
        return CaveatsText(guards=_text(guards), examples=_text(beside))
    except ValidationError as exc:
        raise InvalidError("the caveats cannot be sent so", faults_of(exc)) from exc


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise InvalidError(f"`{path}` is larger than any set of caveats")
        return content.decode()
    except OSError as exc:
        raise unreadable(path, exc) from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"`{path}` is not UTF-8") from exc


def _show(found: CaveatSetBody, done: str | None, *, as_json: bool) -> None:
    if as_json:
        output.show_json(found.model_dump(mode="json", include=set(CaveatSetBody.model_fields)))
        return
    guards = "; ".join(f"{guard.id}: {guard.reason}" for guard in found.guards) or "none"
    output.show_body(found, title=done, told={"guards": guards, "cedar": None, "examples": None})
