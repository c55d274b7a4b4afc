"""`exchange report`: its groups, and every verb of it by importing the files in which they are written."""

from exchange.cli.consents import derivations, onward
from exchange.cli.report_group import reports
from exchange.cli.report_life import destructions
from exchange.cli.report_proxies import proxies
from exchange.cli.report_uploads import uploads

reports.add_typer(derivations, name="derive")
reports.add_typer(destructions, name="destruction")
reports.add_typer(onward, name="onward")
reports.add_typer(proxies, name="proxy")
reports.add_typer(uploads, name="uploads")
