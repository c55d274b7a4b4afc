"""What an auditor keeps for the next time is on the disk before it takes the place of what was kept before."""

# ruff: noqa: F811  `deeds` is a fixture of another file

from dataclasses import replace
from pathlib import Path

from exchange.cli.audit_keys import read_state, write_state
from exchange.client.log_folder import write_log
from tests.core.audit.verify.worlds import world
from tests.core.kernel.test_files import deeds, in_order  # noqa: F401


def test_state_of_a_verification_is_kept_so(tmp_path, deeds):
    write_state(tmp_path / "state", [world(20, 20).verify()], "2026-01-01T00:00:00Z")

    assert deeds == in_order(tmp_path, "state")


def test_state_remembers_the_logs_that_ended(tmp_path):
    path = tmp_path / "state"
    ended, newest = world(20, 20).verify(), replace(world(40, 20).verify(), origin="another")

    write_state(path, [ended, newest], "2026-01-01T00:00:00Z")
    assert [each.note for each in read_state(path)] == [newest.checkpoint, ended.checkpoint]
    # Where it was not looked at this time, what was seen of it is not forgotten.
    write_state(path, [newest], "2026-01-02T00:00:00Z")
    assert [each.note for each in read_state(path)][1:] == [newest.checkpoint, ended.checkpoint]


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
