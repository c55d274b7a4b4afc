"""The group `exchange report`; its verbs are written in files of their own, which `exchange.cli.report` imports."""

from typing import Annotated

import typer

from exchange.cli.given import id_given
from exchange.cli.program import app

reports = typer.Typer(help="Reports: post, pull, list, watch, explain, amend, recall.", no_args_is_help=True)
app.add_typer(reports, name="report")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The report's id.", callback=id_given)]
