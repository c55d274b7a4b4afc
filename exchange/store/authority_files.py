"""Whose authority issued a certificate, from the files in which `exchange ca add` keeps what it was given.

Does not say whether a certificate is good: chains, days and revocation are TLS's to check.
"""

import re
from pathlib import Path
from typing import Final

from exchange.crypto import Authority, read_authorities
from exchange.kernel import MalformedError, UnavailableError

_OF_A_MEMBER: Final = re.compile(r"([A-Z][A-Z0-9]{1,15})-[0-9a-f]{16}\.pem")
"""As `file_name` writes it; under any other name lies the exchange's own."""


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
            found = [(path.name, path.read_bytes()) for path in sorted(self._folder.glob("*.pem"))]
        except OSError as exc:
            raise UnavailableError(f"the authorities cannot be read: {(exc.strerror or str(exc)).lower()}") from exc
        return frozenset(_member(name) for name, pem in found if any(each.has_issued(der) for each in _read(pem)))


def _member(name: str) -> str | None:
    match = _OF_A_MEMBER.fullmatch(name)
    return None if match is None else match[1]


def _read(pem: bytes) -> tuple[Authority, ...]:
    try:
        return read_authorities(pem)
    except MalformedError:
        return ()  # vouches for nobody; `exchange doctor` and the nodes tell of it
