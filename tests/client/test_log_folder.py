"""A log as files: what is written verifies, what is missing or too much is said."""

import os
import stat

import pytest

from exchange.audit import BundlePath, TilePath, parse_checkpoint, parse_note
from exchange.audit.verify import Expectations, KeptCheckpoint, verify_log
from exchange.client.log_folder import LogFolder, write_log
from exchange.kernel import InvalidError, MalformedError
from tests.core.audit.verify.worlds import KEYS, SECOND, START, content, sign, signers, world


@pytest.fixture
def log():
    return world()


@pytest.fixture
def folder(log, tmp_path):
    write_log(log, tmp_path / "log")
    return tmp_path / "log"


def verified(folder):
    return verify_log(LogFolder(folder), Expectations(KEYS))


def test_what_was_written_verifies(folder):
    verification = verified(folder)

    assert verification.is_sound
    assert (verification.size, verification.entries, verification.older) == (600, 600, 6)


def test_files_are_their_owners_alone(folder):
    modes = {stat.S_IMODE(each.stat().st_mode) for each in folder.rglob("*") if each.is_file()}

    assert modes == {0o600}


def test_layout_is_that_of_the_specification(folder):
    names = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}

    assert {"checkpoint", "tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"} < names


def test_log_that_grew_is_written_on_and_full_tiles_stay(log, folder):
    full = [folder / "tile" / "0" / "000", folder / "tile" / "entries" / "000"]
    before = [path.stat().st_mtime_ns for path in full]
    log.append(*(content(number) for number in range(600, 800)))
    told = []

    assert write_log(log, folder, lambda done, total: told.append((done, total))) == 800

    assert verified(folder).is_sound
    assert [path.stat().st_mtime_ns for path in full] == before
    assert told[-1] == (800, 800)


def test_log_after_a_recovery_is_not_written_over_the_one_that_ended(folder):
    origin = "exchange.test/log/1/2"
    next_one = world(20, 20)
    head = parse_checkpoint(parse_note(next_one.newest().note).text)
    next_one.checkpoints = [KeptCheckpoint(sign(head.size, head.root, START, signers(3, origin), origin))]

    with pytest.raises(InvalidError, match=r"holds the log `exchange.test/log/1`: write `exchange.test/log/1/2` into"):
        write_log(next_one, folder)

    assert verified(folder).is_sound


@pytest.mark.parametrize("at", [-1, 0])
def test_history_that_contradicts_what_is_kept_is_not_written_over_it(log, folder, at):
    """The other root of the same size was written over the first one, and the folder verified as if there were one."""
    size = parse_checkpoint(parse_note(log.checkpoints[at].note).text).size
    kept = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    contents = list(log.contents[:size])
    contents[-1] = content(size - 1, purpose="other")
    log.rebuild(contents)
    if at == 0:
        log.append(content(size))

    with pytest.raises(InvalidError, match=f"two histories: .*as the same {size}: keep that folder"):
        write_log(log, folder)

    assert {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()} == kept


def test_checkpoint_that_was_damaged_or_signed_again_is_written_anew(log, folder):
    (folder / "checkpoints" / "600").write_bytes(b"no note")
    write_log(log, folder)
    log.rebuild(list(log.contents), at=START + 5000 * SECOND)
    write_log(log, folder)

    assert verified(folder).is_sound
    assert (folder / "checkpoints" / "600").read_bytes() == log.checkpoints[-1].note


def test_folder_whose_checkpoint_is_none_is_not_written_on(log, folder):
    (folder / "checkpoint").write_bytes(b"x")

    with pytest.raises(InvalidError, match="is no checkpoint"):
        write_log(log, folder)


def test_full_tile_and_bundle_serve_for_partial_ones_that_were_cleared_away(log, folder):
    log.append(*(content(number) for number in range(600, 768)))
    write_log(log, folder)
    old = LogFolder(folder)
    (folder / "tile" / "0" / "002.p" / "88").unlink()
    (folder / "tile" / "entries" / "002.p" / "88").unlink()

    assert old.tile(TilePath(0, 2, 88)) == log.tiles[0, 2][: 88 * 32]
    assert old.entries(BundlePath(2, 88)) == log.contents[512:600]


def test_entry_changed_in_a_file_is_named(folder):
    path = folder / "tile" / "entries" / "001"
    path.write_bytes(path.read_bytes().replace(b'"r300"', b'"r301"'))

    (finding,) = verified(folder).findings

    assert finding.place == "entry 300"


def test_without_bundles_hashes_are_verified(log, tmp_path):
    log.has_entries = False
    write_log(log, tmp_path)

    verification = verified(tmp_path)

    assert verification.is_sound
    assert verification.notes


def test_missing_files_are_named(folder):
    (folder / "tile" / "0" / "001").unlink()
    (folder / "tile" / "entries" / "002.p" / "88").unlink()

    assert [each.place for each in verified(folder).findings] == ["tile/0/001"]
    assert verified(folder).counts == {each.step: 2 for each in verified(folder).findings}


def test_tile_with_something_behind_it_is_not_the_one_that_was_written(folder):
    path = folder / "tile" / "0" / "002.p" / "88"
    path.write_bytes(path.read_bytes() + bytes(32))

    assert verified(folder).findings[0].place == "tile/0/002.p/88"


def test_file_larger_than_it_can_be_is_not_read(folder):
    (folder / "tile" / "0" / "001").write_bytes(bytes(8193))

    assert "larger than the 8192 bytes" in verified(folder).findings[0].why


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/001", "checkpoints/300"])
def test_pipe_in_the_place_of_a_file_keeps_nobody_waiting(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)

    assert any("is no file" in each.why for each in verified(folder).findings)


def test_device_in_the_place_of_a_file_is_not_read(folder):
    path = folder / "tile" / "0" / "001"
    path.unlink()
    path.symlink_to("/dev/zero")

    assert "is no file" in verified(folder).findings[0].why


def test_folder_in_the_place_of_a_file_is_said(folder):
    path = folder / "tile" / "0" / "001"
    path.unlink()
    path.mkdir()

    assert "is a directory" in verified(folder).findings[0].why


def test_other_files_beside_older_checkpoints_are_passed_over(folder):
    (folder / "checkpoints" / "notes.txt").write_text("x")
    (folder / "checkpoints" / "²").write_text("x")
    (folder / "checkpoints" / "٣").write_text("x")

    assert verified(folder).is_sound


def test_folder_without_older_checkpoints_has_none(folder):
    for each in (folder / "checkpoints").iterdir():
        each.unlink()
    (folder / "checkpoints").rmdir()

    assert verified(folder).older == 0


def test_older_checkpoint_that_vanished_is_said(folder):
    (folder / "checkpoints" / "7").symlink_to(folder / "absent")

    with pytest.raises(MalformedError, match="is missing"):
        list(LogFolder(folder).older())


def test_folder_that_is_no_log_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="no folder of a log"):
        LogFolder(tmp_path)
    with pytest.raises(InvalidError, match=r"there is no `.*/absent`"):
        LogFolder(tmp_path / "absent")


def test_log_with_a_hole_is_not_written(log, tmp_path):
    log.contents[300] = None

    with pytest.raises(MalformedError, match=r"`tile/entries/001` is not whole: 255 of 256"):
        write_log(log, tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_log_without_a_tile_is_not_written(log, tmp_path):
    del log.tiles[0, 1]

    with pytest.raises(MalformedError, match="`tile/0/001` is missing"):
        write_log(log, tmp_path)


def test_files_hold_neither_columns_nor_what_waits(folder):
    log = LogFolder(folder)

    assert log.stored(BundlePath(0)) is None
    assert log.pending() == ()
    assert log.entries(BundlePath(9)) is None
