"""Is there plaintext on disk: every file of the instance searched for pieces of what was posted."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

# Long enough not to be there by chance, short enough to lie within one page of a database.
_PIECE_BYTES = 24
_PIECES = 40
# A piece of one repeated byte, or of blanks, says nothing about where it came from.
_LEAST_DISTINCT = 10
# What is shorter than a piece and less varied than this, as a member's code, stands in a database by chance.
_LEAST_OF_ALL = 8
_CHUNK_BYTES = 1 << 20
# Of each content: who keeps a body keeps all of it, and each spelling is another search of everything.
_MOST_SPELLED = 5


def pieces_of(content: bytes) -> list[bytes]:
    """Return distinctive pieces from all over `content`; none where nothing in it can be told from chance."""
    last = max(len(content) - _PIECE_BYTES, 0)
    starts = {last * index // _PIECES for index in range(_PIECES + 1)}
    pieces = {content[start : start + _PIECE_BYTES] for start in sorted(starts)}
    telling = [piece for piece in pieces if len(set(piece)) >= _LEAST_DISTINCT]
    return sorted(telling) or ([content] if _is_telling(content) else [])


def spellings_of(pieces: Sequence[bytes]) -> list[bytes]:
    """Return some of `pieces` as they cross the interface: as text in JSON and in base64, wherever they begin there."""
    chosen = pieces[:: len(pieces) // _MOST_SPELLED + 1]
    return [spelling for piece in chosen for spelling in (*_in_json(piece), *_in_base64(piece)) if spelling != piece]


def _in_json(piece: bytes) -> Iterator[bytes]:
    # Cut off at its ends in the middle of a letter, perhaps; what is no text besides does not go as text.
    text = piece.decode(errors="ignore")
    if text.encode() in piece and len(text.encode()) * 3 >= len(piece) * 2:
        yield from {json.dumps(text, ensure_ascii=escapes)[1:-1].encode() for escapes in (True, False)}


def _in_base64(piece: bytes) -> Iterator[bytes]:
    for before in range(3):
        whole = (bytes(before) + piece)[: (before + len(piece)) // 3 * 3]
        # The first digits are of what stands before it too.
        yield base64.b64encode(whole)[-(-before * 4 // 3) :]


def _is_telling(content: bytes) -> bool:
    """Return whether content without a distinctive piece can be searched for as a whole; a run of one byte cannot."""
    distinct = len(set(content))
    return distinct >= _LEAST_OF_ALL or (distinct > 1 and len(content) >= _PIECE_BYTES and bool(content.strip()))


def files_below(folder: Path) -> list[Path]:
    """Return every plain file below `folder`, databases, their logs and hidden files among them."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def files_holding(folder: Path, pieces: Sequence[bytes]) -> list[str]:
    """Return the files below `folder` that hold one of `pieces`, as text relative to it.

    A server may be at work there: what it writes a file as, before that takes the other's place, comes and goes.
    """
    return [str(path.relative_to(folder)) for path in files_below(folder) if _holds(path, pieces)]


def _holds(path: Path, pieces: Sequence[bytes]) -> bool:
    try:
        return any(piece in window for window in _windows(path, max(map(len, pieces), default=0)) for piece in pieces)
    except FileNotFoundError:
        return False


def _windows(path: Path, overlap: int) -> Iterator[bytes]:
    """Yield the file in chunks that overlap, so that no piece falls between two."""
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield rest + chunk
            rest = chunk[-overlap:] if overlap else b""
