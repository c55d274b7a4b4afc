"""Where tiles and entry bundles stand (C2SP tlog-tiles): which ones a tree has, and their paths as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exchange.kernel import MalformedError

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT

# C2SP tlog-tiles, "Merkle Tree": `<L>` is between 0 and 63.
_HIGHEST_LEVEL = 63

# 21 digits: more than the 2**63 leaves that any tree may have, and no work for whoever sends a long one.
_NUMBER = r"(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_TILE = re.compile(rf"tile/(?P<level>0|[1-9][0-9]?)/{_NUMBER}")
_BUNDLE = re.compile(rf"tile/entries/{_NUMBER}")


@dataclass(frozen=True, slots=True)
class TilePath:
    """A tile: level, index within the level, and how many hashes it holds, 1 to 256. Its text is its path."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def is_full(self) -> bool:
        return self.width == TILE_WIDTH

    def __str__(self) -> str:
        return f"tile/{self.level}/{_number_text(self.index, self.width)}"


@dataclass(frozen=True, slots=True)
class BundlePath:
    """An entry bundle: it stands beside the tile of level 0 with the same index and width."""

    index: int
    width: int = TILE_WIDTH

    @property
    def is_full(self) -> bool:
        return self.width == TILE_WIDTH

    @property
    def start(self) -> int:
        """Position of its first entry in the log."""
        return self.index * TILE_WIDTH

    def __str__(self) -> str:
        return f"tile/entries/{_number_text(self.index, self.width)}"


def parse_tile_path(text: str) -> TilePath:
    """Return the tile whose path is `text`, such as `tile/0/x001/234.p/7`.

    Raises MalformedError for anything but the one spelling of a path.
    """
    found = _TILE.fullmatch(text)
    if found is None or int(found["level"]) > _HIGHEST_LEVEL:
        raise MalformedError(f"`{text[:80]}` is no path of a tile: write it like `tile/0/x001/234.p/7`")
    path = TilePath(int(found["level"]), *_number(found))
    _check_spelling(path, text)
    return path


def parse_bundle_path(text: str) -> BundlePath:
    """Return the entry bundle whose path is `text`, such as `tile/entries/x001/234.p/7`.

    Raises MalformedError for anything but the one spelling of a path.
    """
    found = _BUNDLE.fullmatch(text)
    if found is None:
        raise MalformedError(f"`{text[:80]}` is no path of an entry bundle: write it like `tile/entries/x001/234.p/7`")
    path = BundlePath(*_number(found))
    _check_spelling(path, text)
    return path


def tiles_of_size(size: int) -> Iterator[TilePath]:
    """Yield all tiles of a tree, level by level from the leaves up, by index."""
    level = 0
    while nodes := size >> TILE_HEIGHT * level:
        for index, width in _cut(nodes):
            yield TilePath(level, index, width)
        level += 1


def tile_in(size: int, level: int, index: int) -> TilePath:
    """Return the tile that a tree of `size` has there: as wide as the tree has filled it."""
    return TilePath(level, index, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def bundles_of_size(size: int) -> Iterator[BundlePath]:
    """Yield all entry bundles of a log, in order."""
    for index, width in _cut(size):
        yield BundlePath(index, width)


def _cut(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, TILE_WIDTH):
        yield start // TILE_WIDTH, min(TILE_WIDTH, count - start)


def _number_text(index: int, width: int) -> str:
    digits = f"{index % 1000:03}"
    while index := index // 1000:
        digits = f"x{index % 1000:03}/{digits}"
    return digits if width == TILE_WIDTH else f"{digits}.p/{width}"


def _number(found: re.Match[str]) -> tuple[int, int]:
    index = int(found["index"].replace("x", "").replace("/", ""))
    return index, TILE_WIDTH if found["width"] is None else int(found["width"])


def _check_spelling(path: TilePath | BundlePath, text: str) -> None:
    # `x000/001` and `.p/256` say in other words what has words already; `.p/300` is no width at all.
    if path.width > TILE_WIDTH or str(path) != text:
        raise MalformedError(f"`{text[:80]}` is not how the path is spelled")
