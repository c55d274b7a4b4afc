"""A witness's folder on the disk: what of it outlives a power cut, and what is never written over or through."""

import errno
import os
from pathlib import Path

import pytest

from exchange.client.witness import WitnessError
from exchange.client.witness.folder import WitnessFolder, make_folder, read_guarded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_folder(tmp_path / "witness", {"logs": b"logs", "witness.key": b"key"})
    return tmp_path / "witness"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was synced, in order."""
    found: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def test_files_of_a_new_folder_are_on_the_disk_and_then_their_names(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "witness"

    make_folder(folder, {"logs": b"logs", "witness.key": b"key"})

    assert synced == [folder / "logs", folder / "witness.key", folder]


def test_file_that_came_meanwhile_is_not_written_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)

    with pytest.raises(WitnessError, match="cannot be written: file exists"):
        make_folder(path, {"witness.key": b"another"})
    assert (path / "witness.key").read_bytes() == b"key"


def test_disk_that_is_full_leaves_nothing_in_the_way_of_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, files = tmp_path / "witness", {"logs": b"logs", "witness.key": b"key"}
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "witness.key":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(os, "fsync", full)
        with pytest.raises(WitnessError, match="cannot be written: no space left"):
            make_folder(folder, files)
    make_folder(folder, files)

    assert {each.name: each.read_bytes() for each in folder.iterdir()} == files


def test_that_somebody_was_told_is_on_the_disk_by_its_name(path: Path, synced: list[Path]) -> None:
    with WitnessFolder(path) as folder:
        evidence, is_new = folder.keep_evidence("forked", {"shown": b"note"})
        synced.clear()
        folder.mark_shouted(evidence)

        assert is_new
        assert synced == [evidence / "shouted", evidence]
        assert folder.keep_evidence("forked", {"shown": b"note"}) == (evidence, False)


def test_nothing_is_written_through_a_link(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"not ours")
    with WitnessFolder(path) as folder:
        folder.keep("log", b"note")
        (kept,) = path.glob("logs.d/*/checkpoint")
        kept.with_suffix(".new").symlink_to(elsewhere)

        with pytest.raises(WitnessError, match="cannot be written"):
            folder.keep("log", b"another note")
        assert (elsewhere.read_bytes(), folder.held("log")) == (b"not ours", b"note")


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601])
def test_key_is_its_owner_s_alone(path: Path, mode: int) -> None:
    (path / "witness.key").chmod(mode)

    with pytest.raises(WitnessError, match="run `chmod 600"):
        read_guarded(path / "witness.key")


def test_folder_that_another_one_holds_leaves_nothing_open(path: Path) -> None:
    with WitnessFolder(path):
        for _ in range(3):
            with pytest.raises(WitnessError, match="another process is this witness"):
                WitnessFolder(path).__enter__()

        assert [each.resolve() for each in Path("/proc/self/fd").iterdir()].count(path / "lock") == 1
