"""`exchange ca`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import edge, server_certificate  # noqa: F401  they add their verbs to that of `clients`
