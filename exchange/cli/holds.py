"""`exchange hold`: while a legal hold is on, nothing is destroyed or archived for its age, on any node."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.given import id_given
from exchange.cli.instance import Host
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, host_verb
from exchange.kernel import rfc3339
from exchange.usecases.upkeep.legal_holds import LegalHold, holds_on, lift_hold, put_hold

holds = typer.Typer(
    help="Legal holds: while one is on, nothing is destroyed or archived for its age.", no_args_is_help=True
)
app.add_typer(holds, name="hold")

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


@holds.command("put")
@host_verb
async def put(host: Host, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Put a legal hold on (operator); every node goes by it from its next round on, within a minute."""
    hold = (await put_hold(host.services, host.call(), reason)).value
    told = f"legal hold {hold.id} is on: nothing is destroyed or archived for its age"
    output.show_done(_shown(hold), told, as_json=as_json)


@holds.command("list")
@host_verb
async def list_all(host: Host, as_json: JsonOption = False) -> None:
    """List the legal holds that are on (operator)."""
    found = await holds_on(host.services)
    rows = ((each.id, each.since, each.reason) for each in found)
    output.show_list(list(map(_shown, found)), ("id", "since", "why"), rows, as_json=as_json)


@holds.command("lift")
@host_verb
async def lift(
    host: Host,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.", callback=id_given)],
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """Lift a legal hold (operator); what is over its time is destroyed, unless another hold is on."""
    others = [each.id for each in await holds_on(host.services) if each.id != hold]
    lifted = (await lift_hold(host.services, host.call(), hold, reason)).value
    since = "" if lifted.is_damaged else f", on since {output.in_words(lifted.since)},"
    left = f"still on: {', '.join(others)}" if others else "none is on now, and what is over its time is destroyed"
    output.show_done(_shown(lifted), f"legal hold {lifted.id}{since} is lifted; {left}", as_json=as_json)


def _shown(hold: LegalHold) -> dict[str, str | None]:
    return {"id": hold.id, "since": None if hold.since is None else rfc3339(hold.since), "reason": hold.reason}
