"""`exchange keys`: every verb of the group, by importing the files in which they are written."""

from exchange.cli import key_escrow, key_rotation
from exchange.cli.keys_group import keys

__all__ = ["key_escrow", "key_rotation", "keys"]
