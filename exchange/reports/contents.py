"""What a part may be called and declared to be, and whether its bytes are that.

Each function answers what is wrong in words, or None. A name must be safe wherever it may be saved (attack 33).
"""

import codecs
import json
import re
from typing import NamedTuple

from exchange.kernel import json_fault, unique_members, values_up_to
from exchange.members import text_problem
from exchange.reports.stix_markings import strictest_marking

# The limit of one file name on common file systems, in bytes of UTF-8.
LONGEST_NAME_BYTES = 255
_LONGEST_MEDIA_TYPE = 127

_TOKEN = r"[a-z0-9][a-z0-9!#$&^_.+-]*"  # noqa: S105  a token of RFC 6838 §4.2, not a credential
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:;{_TOKEN}=[A-Za-z0-9!#$&^_.+-]+)*")
# Separators, what Windows reserves, and the colon of its alternate streams.
_UNSAFE_IN_NAMES = frozenset('/\\<>:"|?*')
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"}
)
# The first bytes of types that begin with fixed ones, each from its own specification.
_SIGNATURES = {
    "application/gzip": (b"\x1f\x8b",),
    "application/pdf": (b"%PDF-",),
    "application/zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}
_LONGEST_SIGNATURE = 16
_NUL_FAULT = "contains NUL: declare application/octet-stream"
STIX = "application/stix+json"
MOST_VALUES = 500_000
"""In what is read whole of one report. Bundles have one in 40 bytes; eight million of the smallest, which 16 MiB hold,
take a worker a second and half a gigabyte, and nobody else is answered meanwhile."""
_MANY_FAULT = (
    f"has more than {MOST_VALUES:,} values, with other JSON of the report: split it, or declare what it is packed in"
)


def name_fault(name: str) -> str | None:
    """Return why `name` cannot be the file name of a part, or None."""
    if len(name.encode(errors="surrogatepass")) > LONGEST_NAME_BYTES:
        return f"is longer than {LONGEST_NAME_BYTES} bytes: shorten it"
    if (problem := text_problem(name, longest=LONGEST_NAME_BYTES)) is not None:
        return problem
    if unsafe := sorted(_UNSAFE_IN_NAMES.intersection(name)):
        return f"contains {' '.join(unsafe)}: give a plain file name without a folder"
    if name.startswith((".", "-", "~")) or name.endswith("."):
        return "begins with `.`, `-` or `~` or ends with `.`: give a plain file name"
    if name.partition(".")[0].rstrip(" ").upper() in _DEVICES:
        return "is the name of a device on some systems: choose another"
    return None


def media_type_fault(media_type: str) -> str | None:
    """Return why `media_type` cannot be declared, or None. One spelling: lower case, no spaces (RFC 6838)."""
    if len(media_type) > _LONGEST_MEDIA_TYPE or _MEDIA_TYPE.fullmatch(media_type) is None:
        return "is no media type: write it in lower case without spaces, such as text/plain"
    essence, parameters = _taken_apart(media_type)
    if essence.startswith("text/") and parameters.get("charset", "utf-8").lower() != "utf-8":
        return "declares another charset: convert the text to UTF-8"
    if essence == STIX and parameters.get("version", "2.1") != "2.1":
        return "declares another STIX version: convert the bundle to 2.1"
    return None


def is_read_whole(media_type: str) -> bool:
    """Return whether contents of the well-formed `media_type` are read as a whole to be checked."""
    essence, _ = _taken_apart(media_type)
    return essence == "application/json" or essence.endswith("+json")


class Found(NamedTuple):
    """What a look into a content found: why it is not what it is declared to be, and how its bundle is marked inside.

    `borne` is the strictest TLP caveat of a STIX bundle, None for none and for all else.
    """

    fault: str | None
    borne: str | None = None


def content_fault(media_type: str, content: bytes) -> str | None:
    """Return why `content` is not what the well-formed `media_type` declares, or None.

    Types without a fixed form are believed; none is ever opened by the exchange.
    """
    return Reading().look(media_type, content).fault


class Reading:
    """What `content_fault` asks, of one content of a report after the other: of all together, not too much is read."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def look(self, media_type: str, content: bytes) -> Found:
        """Return what a look into `content` finds, which is declared to be of `media_type`."""
        essence, _ = _taken_apart(media_type)
        if is_read_whole(media_type):
            return self._json_found(content, is_stix=essence == STIX)
        if essence.startswith("text/"):
            return Found(_text_fault(content))
        signatures = _SIGNATURES.get(essence)
        if signatures is not None and not content.startswith(signatures):
            return Found(f"does not begin like {essence}: declare what it is")
        return Found(None)

    def _json_found(self, content: bytes, *, is_stix: bool) -> Found:
        values = values_up_to(content, self._left)
        if values > self._left:
            return Found(_MANY_FAULT)
        self._left -= values
        # Decoded here: `json` would guess UTF-16 and UTF-32 from bytes (RFC 8259 §8.1 knows UTF-8 only).
        if (fault := _text_fault(content)) is not None:
            return Found(fault)
        try:
            # Nobody asks for the numbers, and to make one takes the square of its digits.
            value = json.loads(
                content.decode(),
                parse_int=len,
                parse_float=len,
                parse_constant=_refuse_constant,
                # Of two readers each would find another bundle, and other markings in it (RFC 8259 §4, RFC 7493 §2.3).
                object_pairs_hook=unique_members if is_stix else None,
            )
        except (ValueError, RecursionError) as exc:
            return Found(f"is not JSON: {json_fault(exc)}")
        if not is_stix:
            return Found(None)
        if not (isinstance(value, dict) and value.get("type") == "bundle"):
            return Found("is not a STIX bundle: an object whose `type` is `bundle`")
        return Found(None, strictest_marking(value))


class ContentCheck:
    """What `content_fault` asks, of bytes that arrive in pieces and are never all in memory.

    For types that are not read whole; use `take` for each piece in order, then `fault` once.
    """

    __slots__ = ("_decoder", "_essence", "_first", "_holds_nul", "_problem", "_taken")

    def __init__(self, media_type: str) -> None:
        self._essence, _ = _taken_apart(media_type)
        self._decoder = codecs.getincrementaldecoder("utf-8")() if self._essence.startswith("text/") else None
        self._first = b""
        self._taken = 0
        self._holds_nul = False
        self._problem: str | None = None

    def take(self, piece: bytes) -> None:
        """Look at the next bytes."""
        if len(self._first) < _LONGEST_SIGNATURE:
            self._first += piece[:_LONGEST_SIGNATURE]
        self._decode(piece, is_last=False)

    def fault(self) -> str | None:
        """Return why what was taken is not what is declared, or None."""
        self._decode(b"", is_last=True)
        signatures = _SIGNATURES.get(self._essence)
        if signatures is not None and not self._first.startswith(signatures):
            return f"does not begin like {self._essence}: declare what it is"
        return self._problem or (_NUL_FAULT if self._holds_nul else None)

    def _decode(self, piece: bytes, *, is_last: bool) -> None:
        if self._decoder is None or self._problem is not None:
            return
        held, _ = self._decoder.getstate()
        try:
            text = self._decoder.decode(piece, is_last)
        except UnicodeDecodeError as exc:
            place = self._taken - len(held) + exc.start
            self._problem = f"is not UTF-8 at byte {place}: convert it or declare application/octet-stream"
            return
        self._taken += len(piece)
        # What is no UTF-8 at all is said first, wherever the pieces were cut.
        self._holds_nul |= "\x00" in text


def _taken_apart(media_type: str) -> tuple[str, dict[str, str]]:
    essence, *parameters = media_type.split(";")
    return essence, {name: value for name, _, value in (each.partition("=") for each in parameters)}


def _text_fault(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        return f"is not UTF-8 at byte {exc.start}: convert it or declare application/octet-stream"
    return _NUL_FAULT if "\x00" in text else None


def _refuse_constant(name: str) -> object:
    message = f"`{name}` is no JSON number"
    raise ValueError(message)
