"""The file custodian: key-encryption keys derived from a root file that only the service's user can read."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto import (
    CONTEXT_BYTES,
    DATA_KEY_BYTES,
    HEADER_SUITE,
    NONCE_BYTES,
    WRAP_SUITE,
    CryptoError,
    HeaderCipher,
    OpeningError,
    Suite,
    derive_key,
    require_suite,
)
from exchange.custody.custodian import (
    CustodyStatus,
    CustodyUnavailableError,
    KeyMissingError,
    KeyVersion,
    SealedHeader,
    Wrapped,
)
from exchange.custody.renewal import RootFile
from exchange.custody.roots import KIND, Randomness, Root

_KEY_ID = re.compile(r"file/([A-Za-z0-9][A-Za-z0-9._-]{0,127})")

# A cipher is 300 bytes; a bound, because key ids come from rows, and a row can be forged.
_MOST_CIPHERS: Final = 4096

_PROBE_NAME: Final = "readiness"
_PROBE_CONTEXT: Final = bytes(CONTEXT_BYTES)


class FileCustodian:
    """Keeps the roots in memory. The key for a name is HKDF-SHA-512 of the root, and exists as a cipher only.

    Wraps use random 96-bit nonces: add a version before 2**32 of them under one name (NIST SP 800-38D §8.3).

    A version that it does not have is looked for in the file once per change of the file. Until then it wraps under
    the one it began with: while a key file is being brought to every node, nobody writes what another cannot open.
    """

    def __init__(self, roots: Sequence[Root], randomness: Randomness, *, file: RootFile | None = None) -> None:
        self._roots = {root.version: root for root in roots}
        self._current = max(self._roots)
        self._randomness = randomness
        self._file = file
        self._ciphers: dict[tuple[str, int], AESGCM] = {}
        self._header_ciphers: dict[tuple[str, int], HeaderCipher] = {}

    @classmethod
    def load(cls, path: Path, *, randomness: Randomness = secrets.token_bytes) -> "FileCustodian":
        """Return the custodian of a root file. Raises UnsafeSettingError for one that is not safe to use."""
        file = RootFile(path)
        return cls(file.load(), randomness, file=file)

    async def wrap(self, key_name: str, data_key: bytes, context: bytes) -> Wrapped:
        if len(data_key) != DATA_KEY_BYTES or len(context) != CONTEXT_BYTES:
            raise CryptoError(f"a data key has {DATA_KEY_BYTES} bytes and its context {CONTEXT_BYTES}")
        key_id = f"{KIND}/{key_name}"
        cipher = self._cipher(key_id, self._current)
        nonce = self._randomness(NONCE_BYTES)
        blob = nonce + cipher.encrypt(nonce, data_key, context)
        return Wrapped(key_id=key_id, key_version=self._current, suite=WRAP_SUITE, blob=blob)

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        return self._opened(wrapped, context)

    async def seal_header(self, key_name: str, plaintext: bytes, context: bytes) -> Wrapped:
        key_id = f"{KIND}/{key_name}"
        cipher = self._header_cipher(key_id, self._current)
        blob = cipher.seal(context, plaintext, self._randomness(NONCE_BYTES))
        return Wrapped(key_id=key_id, key_version=self._current, suite=HEADER_SUITE, blob=blob)

    async def open_headers(self, items: Sequence[tuple[SealedHeader, bytes]]) -> list[bytes]:
        known, opened = self._header_ciphers, []
        for row, context in items:
            if row.header_suite != HEADER_SUITE:
                require_suite(row.header_suite, Suite.HEADER)
            key = (row.key_id, row.key_version)
            cipher = known.get(key) or self._header_cipher(*key)
            opened.append(cipher.open(context, row.sealed_header))
        return opened

    async def check(self) -> None:
        try:
            probe = self._randomness(DATA_KEY_BYTES)
            wrapped = await self.wrap(_PROBE_NAME, probe, _PROBE_CONTEXT)
            returned = await self.unwrap(wrapped, _PROBE_CONTEXT)
        except (CryptoError, OSError) as exc:
            raise CustodyUnavailableError(f"the file custodian cannot wrap and unwrap: {exc}") from exc
        if returned != probe:
            raise CustodyUnavailableError("the file custodian unwraps something else than it wrapped")

    async def renew(self) -> None:
        self._take_up()

    async def status(self) -> CustodyStatus:
        versions = tuple(KeyVersion(each.version, each.created_at, each.fingerprint) for each in self._roots.values())
        return CustodyStatus(kind=KIND, current=self._current, versions=versions)

    def _opened(self, wrapped: Wrapped, context: bytes) -> bytes:
        # Quick on purpose: a list comes through here hundreds of times.
        if wrapped.suite != WRAP_SUITE:
            require_suite(wrapped.suite, Suite.WRAP)
        cipher = self._ciphers.get((wrapped.key_id, wrapped.key_version))
        if cipher is None:
            cipher = self._cipher(wrapped.key_id, wrapped.key_version)
        blob = wrapped.blob
        try:
            return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
        except (InvalidTag, ValueError, TypeError) as exc:  # SQLite keeps a number, too, where bytes belong
            raise OpeningError("wrapped key, label or place do not belong together") from exc

    def _cipher(self, key_id: str, version: int) -> AESGCM:
        cipher = self._ciphers.get((key_id, version))
        if cipher is not None:
            return cipher
        cipher = AESGCM(self._derived(key_id, version, "kek"))
        if len(self._ciphers) >= _MOST_CIPHERS:
            self._ciphers.clear()
        self._ciphers[key_id, version] = cipher
        return cipher

    def _header_cipher(self, key_id: str, version: int) -> HeaderCipher:
        cipher = self._header_ciphers.get((key_id, version))
        if cipher is not None:
            return cipher
        cipher = HeaderCipher(self._derived(key_id, version, "header"))
        if len(self._header_ciphers) >= _MOST_CIPHERS:
            self._header_ciphers.clear()
        self._header_ciphers[key_id, version] = cipher
        return cipher

    def _derived(self, key_id: str, version: int, use: str) -> bytes:
        name = _KEY_ID.fullmatch(key_id) if isinstance(key_id, str) else None
        if name is None:
            raise KeyMissingError(f"`{str(key_id)[:80]}` is no key of the file custodian")
        if not isinstance(version, int):
            # SQLite keeps a text where a number belongs, if somebody puts it there.
            raise KeyMissingError("a key's version is no number: the row was altered")
        if version > self._current:
            self._take_up()
        root = self._roots.get(version)
        if root is None:
            mend = "put it back from the escrow, or from the node that added it"
            raise KeyMissingError(f"root version {version} is not in the key file: {mend}")
        return derive_key(root.key, f"exchange {use} {name.group(1)}")

    def _take_up(self) -> None:
        if self._file is None:
            return
        self._roots |= {root.version: root for root in self._file.added(self._roots)}
        self._current = max(self._roots)
