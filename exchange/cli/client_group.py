"""The group `exchange client`."""

from typing import Annotated

import typer

from exchange.cli.given import id_given
from exchange.cli.program import app

clients = typer.Typer(help="Clients: enrolled systems and people (operator).", no_args_is_help=True)
app.add_typer(clients, name="client")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The client's id.", callback=id_given)]
