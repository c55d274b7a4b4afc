"""What is kept for the next time is on the disk before it takes the place of what was kept before."""

import os
from pathlib import Path

import pytest

from exchange.cli.audit_keys import write_state
from exchange.client.kept_files import keep_file
from exchange.client.log_folder import write_log
from tests.core.audit.verify.worlds import world


@pytest.fixture
def deeds(monkeypatch):
    """What was done to the disk, in order: which file was synced, which took its place."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle):
        done.append(("synced", str(Path(f"/proc/self/fd/{handle}").readlink())))
        fsync(handle)

    def replaced(self, target):
        done.append(("placed", str(target)))
        return replace(self, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    return done


def in_order(folder, name):
    return [
        ("synced", str(folder / f".{name}.part")),
        ("placed", str(folder / name)),
        ("synced", str(folder)),
    ]


def test_file_is_synced_before_it_takes_its_place_and_then_its_name(tmp_path, deeds):
    keep_file(tmp_path / "kept", b"1")
    keep_file(tmp_path / "kept", b"2")

    assert deeds == in_order(tmp_path, "kept") * 2
    assert (tmp_path / "kept").read_bytes() == b"2"
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600


def test_state_of_a_verification_is_kept_so(tmp_path, deeds):
    write_state(tmp_path / "state", world(20, 20).verify(), "2026-01-01T00:00:00Z")

    assert deeds == in_order(tmp_path, "state")


def test_log_in_a_folder_is_whole_on_the_disk_before_its_checkpoint_is_there(tmp_path, deeds):
    write_log(world(300), tmp_path / "log")

    at = deeds.index(("placed", str(tmp_path / "log" / "checkpoint")))
    before, after = deeds[:at], deeds[at + 1 :]
    placed = [Path(name) for deed, name in before if deed == "placed"]
    assert len(placed) == len({*placed}) == 8
    for path in placed:
        assert ("synced", str(path.with_name(f".{path.name}.part"))) in before[: before.index(("placed", str(path)))]
        assert ("synced", str(path.parent)) in before[before.index(("placed", str(path))) :]
    assert after == [("synced", str(tmp_path / "log"))]
