import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundlePath,
    TilePath,
    bundles_of_size,
    parse_bundle_path,
    parse_tile_path,
    tiles_of_size,
)
from exchange.kernel import MalformedError

PATHS = [
    (0, 0, 256, "0/000"),
    (0, 1, 1, "0/001.p/1"),
    (0, 999, 255, "0/999.p/255"),
    (1, 1000, 256, "1/x001/000"),
    (9, 1234067, 256, "9/x001/x234/067"),
    (10, 1234067, 99, "10/x001/x234/067.p/99"),
    (63, 7, 100, "63/007.p/100"),
    (0, 2**63 // 256, 256, "0/x036/x028/x797/x018/x963/968"),
]


def test_tile_has_the_height_of_the_spec():
    assert (TILE_HEIGHT, TILE_WIDTH) == (8, 256)


@pytest.mark.parametrize(("level", "index", "width", "text"), PATHS)
def test_tile_path_is_spelled_as_in_the_spec(level, index, width, text):
    path = TilePath(level, index, width)

    assert str(path) == f"tile/{text}"
    assert parse_tile_path(f"tile/{text}") == path
    assert path.is_full == (width == 256)


@pytest.mark.parametrize(("index", "width", "text"), [(*row[1:3], row[3].partition("/")[2]) for row in PATHS])
def test_bundle_path_is_spelled_as_in_the_spec(index, width, text):
    path = BundlePath(index, width)

    assert str(path) == f"tile/entries/{text}"
    assert parse_bundle_path(f"tile/entries/{text}") == path
    assert path.is_full == (width == 256)
    assert path.start == index * 256


def test_path_names_a_full_tile_unless_told():
    assert TilePath(0, 3) == TilePath(0, 3, 256)
    assert BundlePath(3) == BundlePath(3, 256)


@given(st.integers(0, 63), st.integers(0, 10**21 - 1), st.integers(1, 256))
def test_path_comes_back_from_its_text(level, index, width):
    assert parse_tile_path(str(TilePath(level, index, width))) == TilePath(level, index, width)
    assert parse_bundle_path(str(BundlePath(index, width))) == BundlePath(index, width)


WRONG_NUMBERS = [
    "",
    "0",
    "00",
    "0000",
    "1000",
    "x000/001",
    "x000",
    "001/002",
    "x001/x002",
    "X001/002",
    "x01/002",
    "/001",
    "001/",
    "-01",
    "+01",
    "00a",
    "٠٠١",
    "001.p",
    "001.p/",
    "001.p/0",
    "001.p/01",
    "001.p/256",
    "001.p/257",
    "001.p/999",
    "001.p/1000",
    "001.p/-1",
    "001.p/1/",
    "001.p/1\n",
    "001\n",
    " 001",
    "001 ",
    pytest.param("x001/" * 7 + "001", id="eight parts"),
    pytest.param("x001/" * 100_000 + "001", id="a hundred thousand parts"),
    "../../etc/passwd",
    "001.P/1",
    "001%2Ep/1",
]


@pytest.mark.parametrize("number", WRONG_NUMBERS)
def test_other_spelling_of_a_path_is_refused(number):
    with pytest.raises(MalformedError, match=r"^`tile/0/"):
        parse_tile_path(f"tile/0/{number}")
    with pytest.raises(MalformedError, match=r"^`tile/entries/"):
        parse_bundle_path(f"tile/entries/{number}")


@pytest.mark.parametrize(
    "text",
    ["", "0/001", "tile/001", "tile/64/001", "tile/99/001", "tile/100/001", "tile/00/001", "tile/01/001", "tile/-1/001", "/tile/0/001", "tile/entries/001", "xtile/0/001", "TILE/0/001"],
)  # fmt: skip
def test_other_place_is_no_tile(text):
    with pytest.raises(MalformedError, match=rf"^`{re.escape(text)}` is no path of a tile: write it like "):
        parse_tile_path(text)


@pytest.mark.parametrize(
    "text", ["", "tile/0/001", "entries/001", "/tile/entries/001", "tile/entries", "tile/Entries/001"]
)
def test_other_place_is_no_bundle(text):
    with pytest.raises(MalformedError, match=rf"^`{re.escape(text)}` is no path of an entry bundle: write it like "):
        parse_bundle_path(text)


def test_second_spelling_is_told_from_nonsense():
    for parse, place in ((parse_tile_path, "tile/0"), (parse_bundle_path, "tile/entries")):
        with pytest.raises(MalformedError, match=r"is not how the path is spelled$"):
            parse(f"{place}/001.p/256")


def test_long_path_is_quoted_in_brief():
    for parse, place in ((parse_tile_path, "tile/0/"), (parse_bundle_path, "tile/entries/")):
        with pytest.raises(MalformedError, match=rf"^`{place}9{{{80 - len(place)}}}` is"):
            parse(place + "9" * 100)


def test_tree_of_the_spec_has_these_tiles():
    tiles = list(tiles_of_size(70_000))

    assert tiles[:273] == [TilePath(0, index) for index in range(273)]
    assert tiles[273:] == [TilePath(0, 273, 112), TilePath(1, 0), TilePath(1, 1, 17), TilePath(2, 0, 1)]


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        (0, []),
        (1, [TilePath(0, 0, 1)]),
        (255, [TilePath(0, 0, 255)]),
        (256, [TilePath(0, 0), TilePath(1, 0, 1)]),
        (257, [TilePath(0, 0), TilePath(0, 1, 1), TilePath(1, 0, 1)]),
    ],
)
def test_small_trees_have_these_tiles(size, tiles):
    assert list(tiles_of_size(size)) == tiles


def test_full_tile_of_level_one_stands_below_a_third_level():
    assert list(tiles_of_size(65_536))[256:] == [TilePath(1, 0), TilePath(2, 0, 1)]


@pytest.mark.parametrize(
    ("size", "bundles"),
    [
        (0, []),
        (1, [BundlePath(0, 1)]),
        (256, [BundlePath(0)]),
        (257, [BundlePath(0), BundlePath(1, 1)]),
        (700, [BundlePath(0), BundlePath(1), BundlePath(2, 188)]),
    ],
)
def test_entries_stand_in_these_bundles(size, bundles):
    assert list(bundles_of_size(size)) == bundles
