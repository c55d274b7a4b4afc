"""What every custodian promises, whichever way it keeps the key-encryption keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from exchange.kernel import UnavailableError


class CustodyUnavailableError(UnavailableError):
    """The keys cannot be reached, so nothing can be opened."""


class KeyMissingError(CustodyUnavailableError):
    """A row names a key or a version of it that this custodian does not hold."""

    code = "key-missing"


class Wrapped(NamedTuple):
    """A data key under a key-encryption key: everything that has to stand on the row beside the ciphertext.

    A tuple and not a dataclass: a page makes a hundred of them, and a tuple costs a quarter.
    """

    key_id: str
    key_version: int
    suite: str
    blob: bytes


class SealedHeader(Protocol):
    """A sealed header as it stands on its row: under which key, in which suite."""

    @property
    def key_id(self) -> str: ...
    @property
    def key_version(self) -> int: ...
    @property
    def header_suite(self) -> str: ...
    @property
    def sealed_header(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of the custodian's root, and since when there is it. `fingerprint` tells it from any other key."""

    version: int
    created_at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CustodyStatus:
    """What may be told about the keys. `current` is the version that wraps; all in `versions` unwrap."""

    kind: str
    current: int
    versions: tuple[KeyVersion, ...]

    def fingerprint(self, version: int) -> str:
        """Return what tells the key of a version from any other, hex; KeyMissingError where it is not held."""
        for each in self.versions:
            if each.version == version:
                return each.fingerprint
        raise KeyMissingError(f"root version {version} is not held")


class Custodian(Protocol):
    """Holds key-encryption keys, one per `key_name`, and never lets one out.

    INVARIANT: what was wrapped with one name and context unwraps with these alone.
    """

    async def wrap(self, key_name: str, data_key: bytes, context: bytes) -> Wrapped:
        """Wrap a 32-byte data key for its 32-byte context under the current version of the key `key_name`.

        Raises CryptoError for wrong sizes, KeyMissingError for a name that no key can have.
        """
        ...

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """Return the data key.

        Raises OpeningError where context and blob do not belong together, KeyMissingError for a key or version
        that is not here, CryptoError for another suite, CustodyUnavailableError where the keys are out of reach.
        """
        ...

    async def seal_header(self, key_name: str, plaintext: bytes, context: bytes) -> Wrapped:
        """Seal a header for its context under the header key that belongs to `key_name`, in its current version.

        Raises CryptoError for an empty context, KeyMissingError for a name that no key can have.
        """
        ...

    async def open_headers(self, items: Sequence[tuple[SealedHeader, bytes]]) -> list[bytes]:
        """Return the headers of pairs of row and context, in order, all or none; raises as `unwrap`.

        Quick: a page is a hundred of them. A custodian whose keys are far away keeps header keys at hand.
        """
        ...

    async def check(self) -> None:
        """Wrap and unwrap for real. Raises CustodyUnavailableError where that fails."""
        ...

    async def renew(self) -> None:
        """Take up versions that were added since this process began; the newest one wraps from now on.

        A version that is met on a row is taken up so by itself.
        """
        ...

    async def status(self) -> CustodyStatus:
        """Return what is held, without any key."""
        ...
