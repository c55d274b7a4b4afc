"""Parts: bodies of any size under Cobblestone-256 (C2SP chunked encryption), which commits to its key and context."""

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from exchange.crypto.contexts import check_context
from exchange.crypto.errors import OpeningError
from exchange.crypto.keys import check_key

Octets = bytes | bytearray | memoryview

# The segment of C2SP chunked encryption, and its tag.
_SEGMENT_BYTES = 16 * 1024
_TAG_BYTES = 16


def encrypt_part(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext of `plaintext`. `key` is new for every part: nothing else is ever encrypted with it.

    Raises CryptoError for a key or context of the wrong size.
    """
    encryptor = _new_encryptor(key, context)
    return encryptor.update(plaintext) + encryptor.finalize()


def decrypt_part(key: bytes, context: bytes, ciphertext: Octets) -> bytes:
    """Return the plaintext, whole or not at all. Raises OpeningError, and CryptoError for sizes."""
    decryptor = _new_decryptor(key, context)
    try:
        return decryptor.update(ciphertext) + decryptor.finalize()
    except (InvalidTag, TypeError) as exc:  # SQLite keeps a number, too, where bytes belong
        raise _opening_error() from exc


class PartEncryptor:
    """Encrypts one part as it arrives, in flat memory. Use `update` any number of times, then `finish` once."""

    __slots__ = ("_buffer", "_encryptor")

    def __init__(self, key: bytes, context: bytes) -> None:
        self._encryptor = _new_encryptor(key, context)
        self._buffer = bytearray()

    def update(self, plaintext: Octets) -> memoryview:
        """Return the ciphertext that is ready, perhaps none. Copy it before the next call: the buffer is reused."""
        room = _room_for(len(plaintext))
        if len(self._buffer) < room:
            # A new one, not a longer one: a view of the old one may still be held.
            self._buffer = bytearray(room)
        written = self._encryptor.update_into(plaintext, self._buffer)
        return memoryview(self._buffer)[:written].toreadonly()

    def finish(self) -> bytes:
        """Return the last of the ciphertext; without it the part does not open."""
        return self._encryptor.finalize()


class PartDecryptor:
    """Decrypts one part as it is read, in flat memory. Use `update` any number of times, then `finish` once.

    What it returns is authenticated, each piece and its position; that the end is not missing is known when `finish`
    returns. Both raise OpeningError at the first octet that does not belong.
    """

    __slots__ = ("_decryptor",)

    def __init__(self, key: bytes, context: bytes) -> None:
        self._decryptor = _new_decryptor(key, context)

    def update(self, ciphertext: Octets) -> bytes:
        """Return the plaintext that is ready, perhaps none."""
        try:
            return self._decryptor.update(ciphertext)
        except InvalidTag as exc:
            raise _opening_error() from exc

    def finish(self) -> bytes:
        """Return the last of the plaintext."""
        try:
            return self._decryptor.finalize()
        except InvalidTag as exc:
            raise _opening_error() from exc


def _room_for(size_bytes: int) -> int:
    # What was held back is less than a segment; its octets come out with these, and a tag for every segment
    # completed. The prefix comes out first, when nothing is held back, and fits where the held-back would be.
    return size_bytes + _SEGMENT_BYTES + (size_bytes // _SEGMENT_BYTES + 1) * _TAG_BYTES


def _new_encryptor(key: bytes, context: bytes) -> Cobblestone256Encryptor:
    check_key(key)
    check_context(context)
    return Cobblestone256Encryptor(key, context)


def _new_decryptor(key: bytes, context: bytes) -> Cobblestone256Decryptor:
    check_key(key)
    check_context(context)
    return Cobblestone256Decryptor(key, context)


def _opening_error() -> OpeningError:
    return OpeningError("ciphertext, key, label or place do not belong together")
