"""Which keys a backup must be signed by, as whoever restores holds them from before; and what is done without any."""

import os
from collections.abc import Sequence

from exchange.audit import VerifierKey
from exchange.cli.audit_keys import log_keys_of
from exchange.custody import load_log_key
from exchange.settings import InstanceLayout, Settings
from exchange.store.books.restore_claims import Claim
from exchange.usecases.log.signed_backup import Signed, is_unverifiable, require_signed

UNVERIFIED = Claim(
    "backup-unverified",
    "backup.unverified",
    "",
    "no known key has signed the backup: have each member compare its clients, their roles, clearances and "
    "certificates, and its keys for signing, before anything is served",
)
"""What a person has to see to where nothing said whose backup it was."""


def known_keys(settings: Settings, given: Sequence[str]) -> tuple[VerifierKey, ...]:
    """Return the public keys that are `given`, else those of this instance: of its log, and of logs before it."""
    if given:
        return log_keys_of(list(given))
    keys: list[VerifierKey] = []
    if os.path.lexists(settings.log_key_file):
        keys += [signer.verifier for signer in load_log_key(settings.log_key_file).signers]
    former = InstanceLayout(settings.instance_folder).log_verifier_file
    if former.is_file():
        keys += log_keys_of([str(former)])
    return tuple(dict.fromkeys(keys))


def vouched_by(signed: Signed, known: Sequence[VerifierKey], *, is_unverified_taken: bool) -> str | None:
    """Return the name of the log that signed the backup, None where nobody known did and that is taken.

    Raises InvalidError where it is not taken, and always where a known key's signature is wrong.
    """
    if is_unverified_taken and is_unverifiable(signed, known):
        return None
    return require_signed(signed, known)
