"""`exchange ca`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import edge, server_certificate
from exchange.cli.clients import authorities

__all__ = ["authorities", "edge", "server_certificate"]
