"""`exchange keys`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import key_escrow, key_rotation  # noqa: F401  they add their verbs to the group
