"""The group `exchange audit`; its verbs are written in files of their own, which `exchange.cli.audit` imports."""

import typer

from exchange.cli.program import app

audits = typer.Typer(help="The audit log: search it, verify it, and check what it owes you.", no_args_is_help=True)
app.add_typer(audits, name="audit")
