"""The checks of the node's evidence, on a whole log at once."""

from collections.abc import Iterable

from exchange.audit import Entry
from exchange.audit.boot_checks import BootChecks, BootFinding
from exchange.crypto import VerifyingKey


def check_boots(
    entries: Iterable[tuple[int, Entry, bytes]], identities: Iterable[VerifyingKey]
) -> tuple[BootFinding, ...]:
    """Return what is wrong with a whole log: position, entry and leaf hash of each, in the order of the log."""
    checks = BootChecks(identities)
    for position, entry, leaf_hash in entries:
        checks.observe(position, entry, leaf_hash)
    return checks.finish()
