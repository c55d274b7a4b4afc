"""A log verified from its export alone: sound as it came, and every change of the file is noticed."""

import base64
import json
import tracemalloc
from datetime import UTC, datetime

import pytest

from exchange.audit import Actor, EntryDraft, EventName, Outcome, hash_leaf, seal_entry
from exchange.audit.export import Statement, ndjson
from exchange.audit.tile_paths import BundlePath, TilePath, bundles_of_size, tiles_of_size
from exchange.audit.tiles import grow_tiles
from exchange.client.log_export import read_export
from exchange.kernel import InvalidError, MalformedError

AT = datetime(2026, 3, 1, tzinfo=UTC)


def contents(count):
    drafts = (
        EntryDraft(EventName.REPORT_READ, Outcome.PERMITTED, AT, Actor("host"), f"r{n}", "host") for n in range(count)
    )
    return [
        seal_entry(draft, entry_id=f"entry-{number}", node="n", boot="b", node_seq=number).content
        for number, draft in enumerate(drafts)
    ]


def written(path, entries, *, end=None, first=0, log=1):
    lines = [
        ndjson.whole_line(log, position, hash_leaf(entry), entry) for position, entry in enumerate(entries, start=first)
    ]
    size = len(entries) if end is None else end
    places = (f"{log}.{first}", f"{log}.{first + len(entries) - 1}")
    told = Statement("2026-03-01T00:00:00Z", None, *places, len(entries), f"{log}.{size}", "the note")
    path.write_bytes(b"".join([*lines, ndjson.statement_line(told)]))
    return path


def only(path):
    """The one log in an export."""
    (log,) = read_export(path)
    return log


def of_two(path, earlier, later, *, ended=("the ended one",)):
    """An export of a log that a recovery ended, and of the one in use."""
    lines = [
        ndjson.whole_line(log, position, hash_leaf(entry), entry)
        for log, entries in ((1, earlier), (2, later))
        for position, entry in enumerate(entries)
    ]
    last, end = f"2.{len(later) - 1}", f"2.{len(later)}"
    told = Statement("2026-03-01T00:00:00Z", None, "1.0", last, len(lines), end, "the note", ended)
    path.write_bytes(b"".join([*lines, ndjson.statement_line(told)]))
    return path


def test_each_log_of_an_export_is_a_source_of_its_own(tmp_path):
    entries = contents(300)
    earlier, later = read_export(of_two(tmp_path / "log", entries[:290], entries[290:]))

    assert (earlier.newest().note, later.newest().note) == (b"the ended one", b"the note")
    assert [each for path in bundles_of_size(290) for each in earlier.entries(path)] == entries[:290]
    assert later.entries(BundlePath(0, 10)) == entries[290:]
    assert later.tile(TilePath(0, 0, 10)) == b"".join(map(hash_leaf, entries[290:]))


def test_log_that_ended_without_a_checkpoint_has_nothing_to_verify(tmp_path):
    earlier, _ = read_export(of_two(tmp_path / "log", contents(2), contents(2), ended=("",)))

    with pytest.raises(MalformedError, match="no checkpoint"):
        earlier.newest()


def test_log_left_out_between_two_others_is_missed(tmp_path):
    path = of_two(tmp_path / "log", contents(2), contents(2))
    path.write_bytes(path.read_bytes().replace(b'"log":2', b'"log":3').replace(b'"2.', b'"3.'))

    with pytest.raises(InvalidError, match="position 2 is not where it belongs"):
        read_export(path)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
def test_tiles_and_entries_are_those_of_the_log(tmp_path, count):
    entries = contents(count)
    source = only(written(tmp_path / "log", entries))
    expected = {tile.path: tile.content for tile in grow_tiles(0, [hash_leaf(each) for each in entries], lambda _: b"")}

    assert {path: source.tile(path) for path in tiles_of_size(count)} == {
        path: expected[path] for path in tiles_of_size(count)
    }
    assert [each for path in bundles_of_size(count) for each in source.entries(path)] == entries
    assert source.tile(TilePath(0, 9)) is None
    assert source.entries(BundlePath(9, 1)) is None
    assert source.newest().note == b"the note"
    assert (list(source.older()), source.stored(BundlePath(0, 1)), source.personal_keys()) == ([], None, None)
    assert list(source.pending()) == []


@pytest.mark.parametrize("place", ["before the last", "behind the last"])
def test_line_without_an_end_is_not_read_into_memory(tmp_path, place):
    path = written(tmp_path / "log", contents(3))
    kept = b"" if place == "before the last" else path.read_bytes()
    path.write_bytes(kept + bytes(64 * 1024 * 1024))
    tracemalloc.start()

    try:
        with pytest.raises(InvalidError, match=r"longer than any|behind its last line"):
            only(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_longest_line_there_is_can_be_read(tmp_path):
    path = written(tmp_path / "log", contents(3))
    (*lines, last) = path.read_bytes().splitlines(keepends=True)
    told = json.loads(last)
    told["complete"]["checkpoint"] = "x" * 512 * 1024
    path.write_bytes(b"".join([*lines, json.dumps(told, separators=(",", ":")).encode() + b"\n"]))

    assert len(only(path).newest().note) == 512 * 1024


def test_entry_that_was_changed_no_longer_fits_its_tile(tmp_path):
    path = written(tmp_path / "log", contents(3))
    path.write_bytes(path.read_bytes().replace(b'"entry-1"', b'"entry-9"'))
    source = only(path)

    assert hash_leaf(source.entries(BundlePath(0, 3))[1]) != source.tile(TilePath(0, 0, 3))[32:64]


def test_narrowed_entry_is_a_missing_one(tmp_path):
    path = written(tmp_path / "log", contents(2))
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first.replace(b',"entry":', b',"extent":"others","entry":') + b"".join(rest))

    assert only(path).entries(BundlePath(0, 2))[0] is None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda lines: lines[:-1], "its last line is missing"),
        (lambda lines: [], "its last line is missing"),
        (lambda lines: [lines[0], *lines[2:]], "position 1 is not where it belongs"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "position 0 is not where it belongs"),
        (lambda lines: [*lines[:2], lines[-1]], "ends at 1.2, and says that it ends at 1.3"),
        (lambda lines: [b"<html>\n", *lines], "line 1"),
        (lambda lines: [lines[0], b"\n", *lines[1:]], "line 2"),
        (lambda lines: [*lines, lines[0]], "something stands behind its last line"),
        (lambda lines: [*lines, lines[-1]], "something stands behind its last line"),
        (lambda lines: [*lines, b"\n"], "something stands behind its last line"),
    ],
)
def test_file_that_is_not_a_whole_log_is_refused(tmp_path, damage, why):
    path = written(tmp_path / "log", contents(3))
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))

    with pytest.raises(InvalidError, match=why):
        only(path)


def test_slice_is_no_whole_log(tmp_path):
    with pytest.raises(InvalidError, match="no export of a whole log"):
        only(written(tmp_path / "log", contents(2), first=5))


def test_export_before_anything_was_signed_has_nothing_to_verify(tmp_path):
    path = tmp_path / "log"
    told = Statement("2026-03-01T00:00:00Z", None, None, None, 0, "1.0")
    path.write_bytes(ndjson.statement_line(told))

    with pytest.raises(MalformedError, match="no checkpoint"):
        only(path).newest()


def test_leaf_stands_in_base64_beside_its_entry(tmp_path):
    (entry,) = contents(1)
    line = written(tmp_path / "log", [entry]).read_bytes().splitlines()[0]

    assert base64.b64decode(json.loads(line)["leaf"]) == hash_leaf(entry)


@pytest.mark.parametrize(
    ("said", "instead", "why"),
    [
        (b'"count":3', b'"count":4', "its last line says otherwise"),
        (b'"first":"1.0"', b'"first":"1.1"', "its last line says otherwise"),
        (b'"last":"1.2"', b'"last":"2.2"', "its last line says otherwise"),
        (b'"end":"1.3"', b'"end":"2.3"', "says that it ends at 2.3"),
        (b'"count":3', b'"count":4,"count":3', "last line: a line of the export is damaged"),
        (b'{"log":1,"position":1', b'{"position":7,"log":1,"position":1', "line 2: a line of the export is damaged"),
    ],
)
def test_file_that_says_two_things_is_no_whole_log(tmp_path, said, instead, why):
    path = written(tmp_path / "log", contents(3))
    path.write_bytes(path.read_bytes().replace(said, instead))

    with pytest.raises(InvalidError, match=why):
        only(path)


def test_entries_with_personal_data_in_the_clear_are_counted(tmp_path):
    path = written(tmp_path / "log", contents(3))
    path.write_bytes(path.read_bytes().replace(b',"entry":', b',"personal":{"name":"x"},"entry":', 2))

    assert only(path).personal == 2
