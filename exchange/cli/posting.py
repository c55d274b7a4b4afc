"""From files and marking texts to the parts and labels of a report."""

import base64
import codecs
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from exchange.cli.given import checked
from exchange.cli.instance import policies_folder, read_bytes, read_text, unreadable
from exchange.cli.usage import UsageError
from exchange.kernel import ExchangeError, InvalidError
from exchange.markings import Catalogue, load_catalogue, parse_marking
from exchange.wire import LabelBody, PartBody, ReportBody, read_json

STIX = "application/stix+json;version=2.1"
LARGEST_WHOLE_BYTES = 8 * 1024 * 1024
"""Files with more than this together are sent part by part: one body would be a third larger, and held whole."""

# What people exchange, by the end of the file's name; anything else is bytes unless told otherwise.
_TYPES: Mapping[str, str] = {
    ".json": "application/json",
    ".stix": STIX,
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".html": "text/html",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".zip": "application/zip",
    ".pcap": "application/vnd.tcpdump.pcap",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BYTES = "application/octet-stream"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""JSON writes six characters for each of these, base64 four for three."""
_PIECE_BYTES = 256 * 1024
LARGEST_LOOKED_INTO = 16 * 1024 * 1024
"""What is larger the exchange does not take as JSON."""


def law_catalogue() -> Catalogue:
    """Return the classification policies: those of EXCHANGE_POLICIES_DIR, else those that came with the program."""
    folder = policies_folder() / "classification"
    files = {path.name: read_text(path) for path in sorted(folder.glob("*.yaml"))}
    if not files:
        raise InvalidError(f"there are no classification policies in `{folder}`: set EXCHANGE_POLICIES_DIR")
    return load_catalogue(files)


def label_of(marking: str, catalogue: Catalogue) -> LabelBody:
    """Return the label that `marking` writes; raises InvalidError saying what was expected."""
    return LabelBody.of(parse_marking(marking, catalogue))


def words_of_label(label: LabelBody) -> str:
    """Return what a label says, word by word: what was typed in error is seen where it is read another way."""
    audience = ", ".join(label.releasable_to) or "nobody but its originator"
    rest = [*label.compartments, *label.handling]
    return f"{label.classification} of {label.policy}, for {audience}; {', '.join(rest) or 'no caveats'}"


def parts_of(
    files: Sequence[Path], catalogue: Catalogue, *, part_markings: Sequence[str], media_types: Sequence[str]
) -> list[PartBody]:
    """Return a part for each file, in order. The pairs read `FILE=TEXT`, FILE as given or its bare name."""
    markings = _by_file("--part-marking", part_markings, files)
    types = _by_file("--media-type", media_types, files)
    return [
        part_of(
            file.name,
            read_bytes(file),
            label=label_of(markings[file], catalogue) if file in markings else None,
            media_type=types.get(file),
        )
        for file in files
    ]


def declared_parts_of(
    files: Sequence[Path], catalogue: Catalogue, *, part_markings: Sequence[str], media_types: Sequence[str]
) -> list[PartBody]:
    """Return a part for each file as `parts_of` does, without its content: that is sent by itself."""
    markings = _by_file("--part-marking", part_markings, files)
    types = _by_file("--media-type", media_types, files)
    return [
        _declared(file, label=label_of(markings[file], catalogue) if file in markings else None, kind=types.get(file))
        for file in files
    ]


def checked_body(fields: dict[str, object]) -> ReportBody:
    """Return the body of a post; InvalidError points at every fault."""
    return checked(ReportBody, fields, else_told="the report has faults")


def size_of(files: Sequence[Path]) -> int:
    """Return how many bytes the files have together."""
    try:
        return sum(file.stat().st_size for file in files)
    except OSError as exc:
        raise unreadable(Path(str(exc.filename)), exc) from exc


def guess_media_type(name: str, content: bytes) -> str:
    """Return the media type that a file's name and content suggest."""
    suffix = Path(name).suffix.lower()
    guessed = _TYPES.get(suffix, BYTES)
    if guessed == "application/json" and _is_stix(content):
        return STIX
    if guessed.startswith("text/") and not _is_utf8(content):
        return BYTES
    return guessed


def part_of(name: str, content: bytes, *, label: LabelBody | None = None, media_type: str | None = None) -> PartBody:
    """Return a part with this content, as text where it is UTF-8 without control characters."""
    is_text = _is_utf8(content) and _CONTROL.search(content) is None
    return PartBody(
        label=label,
        media_type=media_type or guess_media_type(name, content),
        name=name,
        content=content.decode() if is_text else base64.b64encode(content).decode(),
        encoding="utf-8" if is_text else "base64",
    )


def _declared(file: Path, *, label: LabelBody | None, kind: str | None) -> PartBody:
    digest, decoder, is_text = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), True
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE_BYTES):
                digest.update(piece)
                is_text = is_text and _decodes(decoder, piece)
    except OSError as exc:
        raise unreadable(file, exc) from exc
    guessed = _TYPES.get(file.suffix.lower(), BYTES)
    if guessed == "application/json" and size <= LARGEST_LOOKED_INTO:
        guessed = guess_media_type(file.name, read_bytes(file))
    elif guessed.startswith("text/") and not (is_text and _decodes(decoder, b"", is_last=True)):
        guessed = BYTES
    return PartBody(label=label, media_type=kind or guessed, name=file.name, size_bytes=size, sha256=digest.hexdigest())


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, *, is_last: bool = False) -> bool:
    try:
        decoder.decode(piece, is_last)
    except UnicodeDecodeError:
        return False
    return True


def _by_file(option: str, pairs: Sequence[str], files: Sequence[Path]) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        named = [file for file in files if name in {str(file), file.name}]
        if not sign or len(named) != 1:
            raise UsageError(f"`{option} {pair}` names none or several of the files: write FILE=TEXT, FILE as given")
        if found.setdefault(named[0], text) != text:
            # Which one is meant only its author knows: of two markings the last one could be the lower one.
            raise UsageError(f"`{option}` says two things of `{name}`: `{found[named[0]]}` and `{text}`")
    return found


def _is_stix(content: bytes) -> bool:
    try:
        value = read_json(content)
    except ExchangeError:
        # Whatever is wrong with it, the exchange says so when it is posted.
        return False
    return isinstance(value, dict) and value.get("type") == "bundle"


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
