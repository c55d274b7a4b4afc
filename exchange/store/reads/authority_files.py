"""Whose authority issued a certificate, from the files in which `exchange ca add` keeps what it was given.

Does not say whether a certificate is good: chains, days and revocation are TLS's to check.
"""

import re
from pathlib import Path
from typing import Final

from exchange.crypto import readable_authorities
from exchange.kernel import UnavailableError
from exchange.kernel.files import fault_in_words

_OF_A_MEMBER: Final = re.compile(r"([A-Z][A-Z0-9]{1,15})-[0-9a-f]{16}\.pem")
"""As `file_name` writes it."""

_OWN: Final = "demo.pem"
"""As `exchange init` writes it. What lies there under any other name was put there by hand, and vouches for nobody."""


def file_name(member: str, thumbprint: str) -> str:
    """Return the name under which an authority of `member` is kept; `thumbprint` in hex names its certificate."""
    return f"{member}-{thumbprint[:16]}.pem"


class AuthorityFiles:
    """The authorities in `folder`, read anew each time: somebody adds one while the service runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def issuers(self, der: bytes) -> frozenset[str | None]:
        """Return the members whose authority issued a certificate itself; None among them is the exchange.

        Empty where none of them did. Raises UnavailableError where the files cannot be read.
        """
        try:
            paths = sorted(self._folder.glob("*.pem"))
            # Asked before: who opens a pipe waits for a writer, and everybody whom this process answers waits for it.
            if no_file := next((path.name for path in paths if not path.is_file()), None):
                raise UnavailableError(f"the authorities cannot be read: `{no_file}` is no file, take it away")
            found = [(path.name, path.read_bytes()) for path in paths]
        except OSError as exc:
            raise UnavailableError(f"the authorities cannot be read: {fault_in_words(exc)}") from exc
        issued = (name for name, pem in found if any(each.has_issued(der) for each in readable_authorities(pem)))
        return frozenset(member for name in issued for member in _members(name))


def _members(name: str) -> tuple[str | None, ...]:
    """Return for whom a file of this name vouches: for a member, for the exchange (None), or for nobody."""
    if name == _OWN:
        return (None,)
    match = _OF_A_MEMBER.fullmatch(name)
    return () if match is None else (match[1],)
