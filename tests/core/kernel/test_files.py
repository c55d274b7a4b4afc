"""What is kept is on the disk before it takes the place of what was kept before."""

import fcntl
import os
import re
import ssl
from pathlib import Path

import pytest

from exchange.kernel import UnavailableError
from exchange.kernel.files import (
    SECRET_MOUNT,
    fault_in_words,
    held_alone,
    is_mounted_secret,
    keep_file,
    lock_held,
    may_lie_there,
    shut_out,
    state_of,
)


@pytest.fixture
def deeds(monkeypatch):
    """What was done to the disk, in order: which file was synced, which took its place."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle):
        # Each unfinished one has a name of its own.
        done.append(
            ("synced", re.sub(r"\.[0-9a-f]{8}\.part$", ".part", str(Path(f"/proc/self/fd/{handle}").readlink())))
        )
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


def test_two_that_keep_one_file_at_once_both_keep_it_whole(tmp_path, monkeypatch):
    path, fsync, others = tmp_path / "kept", os.fsync, [b"of the other one"]

    def another_one_comes(handle):
        if others:
            keep_file(path, others.pop())
            assert path.read_bytes() == b"of the other one"
        fsync(handle)

    monkeypatch.setattr("os.fsync", another_one_comes)
    keep_file(path, b"1")

    assert path.read_bytes() == b"1"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_disk_that_refuses_leaves_what_was_kept_and_nothing_beside_it(tmp_path, monkeypatch, call):
    keep_file(tmp_path / "kept", b"1")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, fail)
    with pytest.raises(OSError, match="No space left") as refused:
        keep_file(tmp_path / "kept", b"2")

    assert refused.value.filename == str(tmp_path / "kept")

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept", b"1")]


def test_nothing_is_written_through_a_link_that_waits_there(tmp_path):
    (tmp_path / "another's").write_bytes(b"another's")
    (tmp_path / ".kept.part").symlink_to(tmp_path / "another's")
    keep_file(tmp_path / "kept", b"1")

    assert (tmp_path / "another's").read_bytes() == b"another's"
    assert not (tmp_path / "kept").is_symlink()


def test_what_a_crash_left_unfinished_leaves_nothing_in_what_is_kept_next(tmp_path):
    (tmp_path / ".kept.part").write_bytes(b"longer than what is kept")
    keep_file(tmp_path / "kept", b"1")

    assert (tmp_path / "kept").read_bytes() == b"1"


def test_file_for_others_is_theirs_to_read(tmp_path):
    before = os.umask(0o022)
    try:
        keep_file(tmp_path / "kept", b"1", mode=0o644)
    finally:
        os.umask(before)

    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o644


@pytest.fixture
def shut(monkeypatch):
    """The files that this process's user, 1001, may not read, and the folders that it may list and not enter."""
    places, may = set(), os.access

    def allowed(path, mode):
        is_shut = str(path) in places and mode == (os.X_OK if path.is_dir() else os.R_OK)
        return not is_shut and may(path, mode)

    monkeypatch.setattr("os.geteuid", lambda: 1001)
    monkeypatch.setattr("os.access", allowed)
    return places


@pytest.mark.parametrize("name", ["instance", "instance/custody", "instance/custody/root"])
def test_first_place_on_the_way_that_is_shut_is_named_with_whose_it_is(tmp_path, shut, name):
    folder = tmp_path / "instance" / "custody"
    folder.mkdir(parents=True)
    (folder / "root").write_bytes(b"1")
    os.chown(tmp_path / name, os.getuid(), -1)
    shut |= {str(tmp_path / name), str(folder / "root")}

    told = shut_out(folder / "root")

    assert told == (
        f"`{tmp_path / name}` is user {os.getuid()}'s, and this runs as user 1001: run this as the user of the service,"
        " to whom all of the instance belongs"
    )


@pytest.mark.parametrize("name", ["open", "gone/root"])
def test_where_nothing_on_the_way_is_seen_shut_the_mend_is_told_alone(tmp_path, shut, name):
    (tmp_path / "open").write_bytes(b"1")

    assert not shut
    assert shut_out(tmp_path / name) == (
        "permission denied: run this as the user of the service, to whom all of the instance belongs"
    )


def test_state_is_another_once_a_file_is_exchanged_written_to_or_given_to_others(tmp_path):
    file, behind = tmp_path / "file", tmp_path / "link"
    behind.symlink_to(file)
    states = [state_of(behind)]
    file.write_bytes(b"one")
    states.append(state_of(behind))
    file.write_bytes(b"longer")
    states.append(state_of(behind))
    os.utime(file, ns=(1, 1))
    states.append(state_of(behind))
    keep_file(file, b"longer")
    os.utime(file, ns=(1, 1))
    states.append(state_of(behind))

    assert states[0] == ()
    assert len(set(states)) == len(states)
    assert state_of(behind) == state_of(file) == states[-1]


def test_mount_of_secrets_is_dockers():
    assert Path("/run/secrets") == SECRET_MOUNT


@pytest.mark.parametrize(
    ("name", "is_mounted"),
    [
        ("key", True),
        ("deeper/key", True),
        ("link", True),
        ("../secrets/key", True),
        ("../secrets-not/key", False),
        ("linked/key", False),
        ("led_out", False),
    ],
)
@pytest.mark.parametrize("is_mount_linked", [False, True])
def test_only_what_truly_lies_below_the_mount_is_a_mounted_secret(
    tmp_path, monkeypatch, name, is_mounted, is_mount_linked
):
    mount, beside = tmp_path / "secrets", tmp_path / "secrets-not"
    for folder in (mount / "deeper", mount, beside):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key").touch()
    (mount / "link").symlink_to("key")
    (mount / "linked").symlink_to(beside)
    (mount / "led_out").symlink_to(beside / "key")
    (tmp_path / "run").symlink_to(mount)
    monkeypatch.setattr("exchange.kernel.files.SECRET_MOUNT", tmp_path / "run" if is_mount_linked else mount)

    assert is_mounted_secret(mount / name) is is_mounted


def test_what_lies_in_a_shut_folder_may_lie_there(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    there = [tmp_path / "file", tmp_path / "dangling"]
    gone = [tmp_path / "gone", tmp_path / "file" / "below", tmp_path / "no\0name"]

    assert [may_lie_there(path) for path in (*there, *gone)] == [True, True, False, False, False]

    def refused(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refused)
    assert may_lie_there(tmp_path / "gone")


def test_folder_is_held_by_one_at_a_time_until_it_is_done(tmp_path):
    other = os.open(tmp_path, os.O_RDONLY)
    with held_alone(tmp_path), pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def ended_by_a_fault():
        with held_alone(tmp_path):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ended_by_a_fault()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_lock_is_held_by_one_at_a_time_and_told_in_its_askers_words(tmp_path):
    lock, busy = tmp_path / "made" / "lock", ZeroDivisionError("somebody is at it")
    with lock_held(lock, busy), pytest.raises(ZeroDivisionError) as met, lock_held(lock, busy):
        pytest.fail("two held it")
    assert met.value is busy
    assert (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with lock_held(lock, busy):
        pass

    with pytest.raises(UnavailableError, match="lock` cannot be written"), lock_held(lock / "below", busy):
        pytest.fail("it was held")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "what is in it is not whole"),
        ("hello", "no certificate or crl found"),
        (None, "no such file or directory"),
    ],
)
def test_what_tls_cannot_use_is_said_in_words(tmp_path, content, said):
    path = tmp_path / "nor.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the system's and OpenSSL's own
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)

    assert fault_in_words(caught.value) == said
    assert fault_in_words(ValueError("Encrypted")) == "encrypted"
