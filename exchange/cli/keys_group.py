"""The group `exchange keys`; its verbs are written in files of their own, which `exchange.cli.keys` imports."""

import typer

from exchange.cli.program import app

keys = typer.Typer(help="Keys: their versions, sealed to their keepers, put back.", no_args_is_help=True)
app.add_typer(keys, name="keys")
