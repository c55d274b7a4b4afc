"""Receipts kept: for every answer, which audit entry the exchange wrote about it, and that entry's leaf hash.

A file of lines, each one JSON object, each on disk before the answer is used; it belongs to its owner alone.
Later the log must prove every one of them: what it cannot prove, it has lost, changed or hidden.
"""

import base64
import binascii
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import httpx2

from exchange.client.errors import AnswerError, ReceiptFileError
from exchange.kernel import MalformedError, is_uuid7, parse_rfc3339, rfc3339
from exchange.kernel.files import sync_folder

ENTRY_HEADER = "x-audit-entry"
LEAF_HEADER = "x-audit-leaf"

_LEAF_BYTES = 32
# A line of ours has about 300 bytes; a longer one is not of ours.
_LONGEST_LINE = 4096
_SUCCESSES = range(200, 300)


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """What one answer left behind. `leaf` is the leaf hash in base64; `at` is when this side read the answer.

    `request` is method and path, without the query: enough to know what it was about.
    """

    entry: str
    leaf: str
    at: str
    request: str
    status: int

    @property
    def leaf_hash(self) -> bytes:
        """Return the leaf hash itself."""
        return base64.b64decode(self.leaf)

    @property
    def is_of_success(self) -> bool:
        """Return whether what was asked for was done: each such answer has an entry of its own."""
        return self.status in _SUCCESSES


class ReceiptFile:
    """A file of receipts that grows by a line per answer. Several programs may write to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, answer: httpx2.Response) -> None:
        """Write down the receipt of an answer, and return once it is on disk; a refusal may come without one.

        Raises AnswerError for a receipt that cannot be one and for a success without, of which nobody could prove later
        that the log had it; ReceiptFileError where the file cannot be written.
        """
        receipt = receipt_of(answer)
        if receipt is None:
            return
        line = json.dumps(asdict(receipt), separators=(",", ":")).encode() + b"\n"
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "r+b", buffering=0) as file:
                is_new = file.seek(0, os.SEEK_END) == 0
                # A line that a crash cut short is closed first, so that it spoils no other. One write: appended whole.
                added = line if is_new or _ends_whole(file) else b"\n" + line
                if file.write(added) < len(added):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            if is_new:
                sync_folder(self._path.parent)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            raise ReceiptFileError(f"the receipt could not be kept in `{self._path}`: {reason}") from exc


def receipt_of(answer: httpx2.Response) -> KeptReceipt | None:
    """Return the receipt that an answer carries, None for a refusal without one; AnswerError as `keep` raises it."""
    entry, leaf = answer.headers.get(ENTRY_HEADER), answer.headers.get(LEAF_HEADER)
    if entry is None and leaf is None:
        if answer.is_success:
            raise AnswerError("the answer brings no receipt: whether the log has it, nobody could ever prove")
        # What a proxy refused, a flood, a log that is away: there is no entry of it alone.
        return None
    if entry is None or leaf is None or not _is_receipt(entry, leaf):
        raise AnswerError("the answer's receipt is none: `X-Audit-Entry` or `X-Audit-Leaf` is malformed")
    request = f"{answer.request.method} {answer.request.url.path}"
    return KeptReceipt(entry, leaf, rfc3339(datetime.now(UTC)), request, answer.status_code)


def read_receipts(path: Path) -> tuple[list[KeptReceipt], list[int]]:
    """Return the receipts in a file, and the numbers of lines that hold none.

    One that was written down twice is there once, and of a refused flood the one that speaks for it.

    Raises ReceiptFileError where the file cannot be read.
    """
    kept: dict[object, KeptReceipt] = {}
    spoiled = []
    try:
        with path.open("rb") as file:
            for number, receipt in _lines(file):
                if receipt is None:
                    spoiled.append(number)
                else:
                    kept.setdefault(receipt if receipt.is_of_success else (receipt.entry, receipt.leaf), receipt)
    except FileNotFoundError as exc:
        told = f"there is no file of receipts `{path}`: a saved profile begins its own with its first answer"
        raise ReceiptFileError(f"{told}, other calls keep them where `--receipts` says") from exc
    except OSError as exc:
        raise ReceiptFileError(f"`{path}` cannot be read: {(exc.strerror or str(exc)).lower()}") from exc
    return list(kept.values()), spoiled


def _lines(file: Iterator[bytes]) -> Iterator[tuple[int, KeptReceipt | None]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, _read_line(line)


def _read_line(line: bytes) -> KeptReceipt | None:
    try:
        fields = json.loads(line) if len(line) <= _LONGEST_LINE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.keys() != set(KeptReceipt.__slots__):
        return None
    texts = (fields["entry"], fields["leaf"], fields["at"], fields["request"])
    if not all(isinstance(text, str) for text in texts) or type(fields["status"]) is not int:
        return None
    return KeptReceipt(**fields) if _is_receipt(fields["entry"], fields["leaf"]) and _is_time(fields["at"]) else None


def _is_receipt(entry: str, leaf: str) -> bool:
    try:
        return is_uuid7(entry) and len(base64.b64decode(leaf, validate=True)) == _LEAF_BYTES
    except (binascii.Error, ValueError):
        return False


def _is_time(text: str) -> bool:
    try:
        parse_rfc3339(text)
    except MalformedError:
        return False
    return True


def _ends_whole(file: FileIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
