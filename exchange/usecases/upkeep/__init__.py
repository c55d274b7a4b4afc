"""Upkeep: is the service ready, are its rows what the log says, what time brings about, backups and keys."""
