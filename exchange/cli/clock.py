"""`exchange clock`: the machine's clock, where it is behind the time that is decided by."""

from typing import Annotated

import typer

from exchange.cli import output
from exchange.cli.instance import Host
from exchange.cli.program import app
from exchange.cli.verbs import JsonOption, host_verb
from exchange.kernel import rfc3339
from exchange.usecases.log.keep_time import accept_clock

clock = typer.Typer(help="This machine's clock, where it is behind what was believed.", no_args_is_help=True)
app.add_typer(clock, name="clock")


@clock.command("accept")
@host_verb
async def clock_accept(
    host: Host,
    reason: Annotated[str, typer.Option("--reason", help="Why it was later before, for the record.")],
    as_json: JsonOption = False,
) -> None:
    """Say that this machine's clock is right, and was ahead before: what ended by date alone since may come back."""
    call = host.call()
    accepted, before = rfc3339((await accept_clock(host.services, call, reason)).value.believed_at), rfc3339(call.now)
    told = f"it is {accepted} again, not {before}; every node knows within a minute"
    output.show_done({"id": accepted, "clock": accepted, "decided_by": before}, told, as_json=as_json)
