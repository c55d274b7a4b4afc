"""What a node knows of witnesses outside the database: on the disk before it counts, and whole or as it was."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.kernel import UnavailableError
from exchange.store.log.witness_files import NO_WITNESSES, WitnessedFile, WitnessPolicyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two folders deep, neither of which is there yet."""
    return tmp_path / "instance" / "log" / "witnessed"


def test_file_and_its_place_are_on_the_disk_before_it_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, sync = WitnessedFile(path), os.fsync
    file.keep_newest(b"older")
    synced: list[tuple[Path, bytes | None]] = []

    def note(handle: int) -> None:
        which = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((which, which.read_bytes() if which.is_file() else file.newest()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    file.keep_newest(b"newer")

    (beside, written), place = synced
    assert (beside.parent, written) == (path.parent, b"newer")
    assert beside != path
    assert place == (path.parent, b"newer")


def test_disk_that_takes_no_file_leaves_what_was_kept_and_nothing_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = WitnessedFile(path)
    file.keep_newest(b"older")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="cannot be written: No space left on device"):
        file.keep_contradiction(b"newer")

    assert (file.newest(), file.contradiction()) == (b"older", None)
    assert list(path.parent.iterdir()) == [path]


def test_policy_is_held_and_written_where_no_folder_was(path: Path) -> None:
    policy = WitnessPolicyFile(path)
    with policy.held():
        policy.write(NO_WITNESSES)

    assert policy.read() == NO_WITNESSES
    assert path.parent.stat().st_mode & 0o777 == 0o700


def held(path: Path) -> None:
    with WitnessPolicyFile(path / "witnesses").held():
        pass


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda path: WitnessPolicyFile(path.parent).read(), "cannot be read: Is a directory"),
        (lambda path: WitnessedFile(path.parent).newest(), "cannot be read: Is a directory"),
        (held, "cannot be written"),
    ],
)
def test_place_that_is_none_is_told_and_taken_for_no_missing_file(
    path: Path, use: Callable[[Path], object], told: str
) -> None:
    path.parent.mkdir(parents=True)
    path.touch()

    with pytest.raises(UnavailableError, match=told):
        use(path)
