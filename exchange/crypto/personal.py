"""Personal data inside audit entries: sealed under keys that can be destroyed, and found again by keyed hashes."""

import hmac
import ipaddress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto.errors import CryptoError, OpeningError
from exchange.crypto.keys import DATA_KEY_BYTES, NONCE_BYTES, check_key

# 128 bits: two addresses share a token once in 2**64 of them, and an entry carries two tokens.
_TOKEN_BYTES: Final = 16

# A token is 100 bytes; strangers' certificates are not bounded otherwise.
_MOST_TOKENS: Final = 20_000


class PersonalKey:
    """The key for the personal data of one subject in one period, of one process start.

    INVARIANT: `number` is used once per key: it is the nonce (NIST SP 800-38D §8.2.1, the key being the fixed field).
    Numbers of entries are given once per process start, and no key outlives one.
    """

    __slots__ = ("_cipher", "kid")

    def __init__(self, kid: str, key: bytes) -> None:
        check_key(key)
        self.kid = kid
        self._cipher = AESGCM(key)

    def encrypt(self, number: int, plaintext: bytes, place: bytes) -> bytes:
        """Return the ciphertext of `plaintext`, bound to `place`."""
        return self._cipher.encrypt(number.to_bytes(NONCE_BYTES), plaintext, place)

    def decrypt(self, number: int, ciphertext: bytes, place: bytes) -> bytes:
        """Return the plaintext. Raises OpeningError where key, number, place and ciphertext do not belong together."""
        try:
            return self._cipher.decrypt(number.to_bytes(NONCE_BYTES), ciphertext, place)
        except (InvalidTag, OverflowError) as exc:
            raise OpeningError("personal data, key and entry do not belong together") from exc


class SearchTokens:
    """Keyed hashes (HMAC-SHA-256, 128 bits, hex) by which addresses and thumbprints are found and not read.

    Who holds the key can test a guess, and of IPv4 addresses every one: a token is a pseudonym, not an erasure.
    """

    __slots__ = ("_kept", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) < DATA_KEY_BYTES:
            raise CryptoError(f"search key has {len(key)} bytes: at least {DATA_KEY_BYTES} are needed")
        self._key = key
        self._kept: dict[tuple[str, str], str] = {}

    def of_address(self, address: str) -> str:
        """Return the token of a network address; every spelling of one address gives the same."""
        return self._kept.get(("address", address)) or self._made("address", address, _one_spelling(address))

    def of_thumbprint(self, thumbprint: str) -> str:
        """Return the token of a certificate's thumbprint, in hex of either case."""
        return self._kept.get(("thumbprint", thumbprint)) or self._made("thumbprint", thumbprint, thumbprint.lower())

    def _made(self, kind: str, given: str, text: str) -> str:
        if len(self._kept) >= _MOST_TOKENS:
            self._kept.clear()
        token = hmac.digest(self._key, f"{kind}\0{text}".encode(errors="surrogatepass"), "sha256")[:_TOKEN_BYTES].hex()
        self._kept[kind, given] = token
        return token


def _one_spelling(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    # An IPv6 socket shows an IPv4 caller in this form: the same caller at the same address.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
