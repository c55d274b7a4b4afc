import base64
import errno
import hashlib
import json
import os
import secrets
import stat
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.custody import CustodyUnavailableError, add_root_version, create_root_file, guarded
from exchange.custody.guarded import guard_fault, read_guarded, replacement_of, replacement_path
from exchange.custody.roots import Root, _weakness, load_roots
from exchange.kernel import ConflictError, ExchangeError, UnsafeSettingError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]


def row(number, root, **changes):
    return {"version": number, "created_at": "2026-03-01T00:00:00Z", "key": base64.b64encode(root).decode()} | changes


def rendered(*rows, **changes):
    return json.dumps({"format": 1, "kind": "file", "roots": list(rows)} | changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "roots.json"


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def written(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


# ── writing ──


def test_new_file_is_the_owners_alone_and_loads(path):
    create_root_file(path, NOW, {32: KEYS[0]}.__getitem__)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_roots(path) == (Root(1, NOW, KEYS[0]),)
    assert names_in(path.parent) == ["roots.json"]


def test_new_file_has_the_published_format(path):
    create_root_file(path, NOW, {32: KEYS[0]}.__getitem__)

    assert path.read_text() == json.dumps(json.loads(rendered(row(1, KEYS[0]))), indent=1) + "\n"


def test_mode_does_not_depend_on_the_umask(path):
    before = os.umask(0o777)
    try:
        create_root_file(path, NOW, secrets.token_bytes)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_replacement_is_the_owners_alone_from_its_first_moment(path):
    before = os.umask(0)
    try:
        with replacement_of(path):
            mode = stat.S_IMODE(replacement_path(path).stat().st_mode)
    finally:
        os.umask(before)

    assert mode == 0o600


def test_no_file_stays_open(path):
    def descriptors():
        return len(os.listdir("/dev/fd"))  # noqa: PTH208  its entries are no files to look at

    before = descriptors()
    create_root_file(path, NOW, secrets.token_bytes)
    add_root_version(path, NOW, secrets.token_bytes)
    with pytest.raises(ConflictError):
        create_root_file(path, NOW, secrets.token_bytes)
    path.chmod(0o644)
    with pytest.raises(UnsafeSettingError):
        load_roots(path)

    assert descriptors() == before


def test_file_is_never_overwritten(path):
    create_root_file(path, NOW, secrets.token_bytes)
    before = path.read_bytes()

    with pytest.raises(ConflictError, match=f"key file `{path}` exists: keys are never overwritten"):
        create_root_file(path, NOW, secrets.token_bytes)
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["roots.json"]


def test_not_even_a_dangling_link_is_overwritten(path):
    path.symlink_to("elsewhere")

    with pytest.raises(ConflictError):
        create_root_file(path, NOW, secrets.token_bytes)
    assert names_in(path.parent) == ["roots.json"]


@pytest.mark.parametrize("key", [bytes(32), bytes(range(32)), b"x" * 31])
def test_weak_randomness_is_never_written(path, key):
    with pytest.raises(UnsafeSettingError):
        create_root_file(path, NOW, lambda _: key)
    assert names_in(path.parent) == []


def test_rotation_keeps_the_older_roots(path):
    create_root_file(path, NOW, lambda _: KEYS[0])
    later = datetime(2026, 4, 1, tzinfo=UTC)

    assert add_root_version(path, later, {32: KEYS[1]}.__getitem__) == 2
    assert add_root_version(path, later, {32: KEYS[2]}.__getitem__) == 3
    assert load_roots(path) == (Root(1, NOW, KEYS[0]), Root(2, later, KEYS[1]), Root(3, later, KEYS[2]))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(path.parent) == ["roots.json"]


def test_rotation_to_a_key_in_use_refuses(path):
    create_root_file(path, NOW, lambda _: KEYS[0])
    before = path.read_bytes()

    with pytest.raises(UnsafeSettingError, match="two versions have the same key"):
        add_root_version(path, NOW, lambda _: KEYS[0])
    assert path.read_bytes() == before
    assert names_in(path.parent) == ["roots.json"]


def test_rotation_of_an_unsafe_file_refuses(path):
    create_root_file(path, NOW, secrets.token_bytes)
    path.chmod(0o644)

    with pytest.raises(UnsafeSettingError, match="chmod 600"):
        add_root_version(path, NOW, secrets.token_bytes)


@pytest.mark.parametrize("write", [create_root_file, add_root_version])
def test_two_writers_never_meet(path, write):
    replacement_path(path).touch()

    with pytest.raises(ConflictError, match="somebody is writing keys now; if nobody is, remove it"):
        write(path, NOW, secrets.token_bytes)
    assert replacement_path(path).exists()


def test_lock_of_the_next_writer_is_left_alone(path, monkeypatch):
    create_root_file(path, NOW, secrets.token_bytes)
    sync = guarded.sync_folder

    def next_writer_comes(folder):
        sync(folder)
        replacement_path(path).touch()

    monkeypatch.setattr(guarded, "sync_folder", next_writer_comes)
    add_root_version(path, NOW, secrets.token_bytes)

    assert replacement_path(path).exists()


def failing(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
def test_full_disk_leaves_the_old_roots(path, monkeypatch, call):
    create_root_file(path, NOW, secrets.token_bytes)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(CustodyUnavailableError, match=f"cannot write key file `{path}`: No space left on device"):
            add_root_version(path, NOW, secrets.token_bytes)

    assert path.read_bytes() == before
    assert names_in(path.parent) == ["roots.json"]


@pytest.mark.parametrize("write", [create_root_file, add_root_version])
def test_disk_that_turns_read_only_is_told_by_what_failed_first(tmp_path, monkeypatch, write):
    path = tmp_path / "roots.json"
    if write is add_root_version:
        written(path, rendered(row(1, KEYS[0])))
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    monkeypatch.setattr(Path, "unlink", failing(errno.EROFS))

    with pytest.raises(CustodyUnavailableError, match=f"^cannot write key file `{path}`: Input/output error$"):
        write(path, NOW, secrets.token_bytes)


def test_full_disk_leaves_no_new_file(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(errno.ENOSPC))
        with pytest.raises(CustodyUnavailableError, match=f"^cannot write key file `{path}`: No space left on device$"):
            create_root_file(path, NOW, secrets.token_bytes)

    assert names_in(path.parent) == []


@pytest.mark.parametrize(("write", "call"), [(create_root_file, "hardlink_to"), (add_root_version, "replace")])
def test_disk_that_refuses_the_last_step_changes_nothing(tmp_path, monkeypatch, write, call):
    path = written(tmp_path / "roots.json", rendered(row(1, KEYS[0])))
    with monkeypatch.context() as patch:
        patch.setattr(Path, call, failing(errno.EIO))
        with pytest.raises(CustodyUnavailableError, match=f"^cannot write key file `{path}`: Input/output error$"):
            write(path, NOW, secrets.token_bytes)

    assert load_roots(path) == (Root(1, NOW, KEYS[0]),)
    assert names_in(tmp_path) == ["roots.json"]


@pytest.mark.parametrize("write", [create_root_file, add_root_version])
def test_folder_that_is_not_there_refuses(tmp_path, write):
    with pytest.raises(CustodyUnavailableError, match=r"cannot write key file .*: No such file or directory"):
        write(tmp_path / "gone" / "roots.json", NOW, secrets.token_bytes)


def test_short_writes_are_continued(path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, octets: write(descriptor, octets[:7]))
    create_root_file(path, NOW, lambda _: KEYS[0])

    assert load_roots(path) == (Root(1, NOW, KEYS[0]),)


def test_file_and_folder_are_synced(path, monkeypatch):
    synced = []
    fsync = os.fsync

    def spy(descriptor):
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    create_root_file(path, NOW, secrets.token_bytes)
    add_root_version(path, NOW, secrets.token_bytes)

    assert synced == [False, True, False, True]


# ── who may read it ──


def found(mode, uid=1000):
    return os.stat_result((mode, 0, 0, 1, uid, 0, 0, 0, 0, 0))


FILE = Path("/srv/roots.json")
REGULAR = stat.S_IFREG


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_owners_own_file_is_safe(mode):
    assert guard_fault(FILE, found(REGULAR | mode), user=1000, is_secret_mount=False) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o444, 0o777])
@pytest.mark.parametrize("user", [1000, 0])
def test_file_open_to_others_refuses(mode, user):
    fault = guard_fault(FILE, found(REGULAR | mode, user), user=user, is_secret_mount=False)

    assert fault == (f"key file `{FILE}` can be read or written by others (mode {mode:04o}): run `chmod 600 {FILE}`")


@pytest.mark.parametrize("is_secret_mount", [True, False])
@pytest.mark.parametrize(("owner", "user"), [(1001, 1000), (1000, 0)])
def test_file_of_another_user_refuses(is_secret_mount, owner, user):
    fault = guard_fault(FILE, found(REGULAR | 0o400, owner), user=user, is_secret_mount=is_secret_mount)

    assert fault == f"key file `{FILE}` belongs to user {owner}, not {user}: run `chown {user} {FILE}`"


def test_roots_file_outside_the_mount_refuses():
    fault = guard_fault(FILE, found(REGULAR | 0o400, 0), user=1000, is_secret_mount=False)

    assert fault is not None
    assert "belongs to user 0" in fault


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444])
@pytest.mark.parametrize("user", [1000, 0])
def test_mounted_secret_is_safe(mode, user):
    assert guard_fault(FILE, found(REGULAR | mode, 0), user=user, is_secret_mount=True) is None


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o446, 0o464])
def test_mounted_secret_that_can_be_written_refuses(mode):
    assert guard_fault(FILE, found(REGULAR | mode, 0), user=0, is_secret_mount=True) is not None


@pytest.mark.parametrize("kind", [stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR])
@pytest.mark.parametrize("is_secret_mount", [True, False])
def test_what_is_no_file_refuses(kind, is_secret_mount):
    fault = guard_fault(FILE, found(kind | 0o400, 0), user=0, is_secret_mount=is_secret_mount)

    assert fault == f"key file `{FILE}` is not a regular file: name the file itself"


@pytest.mark.parametrize(
    ("folder", "is_mount"),
    [("", True), ("deeper", True), ("..", False), ("../secrets-not", False), ("linked", False)],
)
def test_only_what_truly_lies_below_the_mount_is_a_mounted_secret(tmp_path, monkeypatch, folder, is_mount):
    mount, beside = tmp_path / "secrets", tmp_path / "secrets-not"
    (mount / "deeper").mkdir(parents=True)
    beside.mkdir()
    (mount / "linked").symlink_to(beside)
    monkeypatch.setattr("exchange.kernel.files.SECRET_MOUNT", mount)
    path = written(mount / folder / "roots.json", rendered(row(1, KEYS[0])))
    path.chmod(0o444)
    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", lambda descriptor: found(fstat(descriptor).st_mode, 0))

    if is_mount:
        assert load_roots(path)
        return
    with pytest.raises(UnsafeSettingError):
        load_roots(path)


def test_readable_by_others_refuses_with_the_way_to_mend_it(path):
    written(path, rendered(row(1, KEYS[0]))).chmod(0o640)

    with pytest.raises(UnsafeSettingError, match=f"run `chmod 600 {path}`"):
        load_roots(path)


def test_missing_file_refuses(path):
    with pytest.raises(UnsafeSettingError, match=f"key file `{path}` is missing: put it back from the escrow"):
        load_roots(path)


def test_file_that_this_user_may_not_open_is_told_with_whose_it_is(path, monkeypatch):
    written(path, rendered(row(1, KEYS[0])))
    opened = os.open

    def refused(name, flags, *rest, **more):
        if name == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, flags, *rest, **more)

    monkeypatch.setattr("os.open", refused)
    monkeypatch.setattr("os.access", lambda place, _: place != path)
    told = f"key file `{path}` cannot be read: `{path}` is user {os.getuid()}'s, and this runs as user"

    with pytest.raises(UnsafeSettingError, match=told):
        load_roots(path)


def test_link_refuses(path, tmp_path):
    path.symlink_to(written(tmp_path / "target", rendered(row(1, KEYS[0]))))

    with pytest.raises(UnsafeSettingError, match="is a symbolic link: name the file itself"):
        load_roots(path)


def test_folder_refuses(path):
    path.mkdir(mode=0o700)

    with pytest.raises(UnsafeSettingError, match="is not a regular file"):
        load_roots(path)


def test_pipe_refuses_without_waiting(path):
    os.mkfifo(path, 0o600)

    with pytest.raises(UnsafeSettingError, match="is not a regular file"):
        load_roots(path)


def test_other_fault_of_the_disk_is_named(path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EIO))

    with pytest.raises(UnsafeSettingError, match=f"key file `{path}` cannot be read: Input/output error"):
        read_guarded(path)


def test_disk_that_fails_at_reading_is_named(path, monkeypatch):
    written(path, "{}")
    monkeypatch.setattr(os, "fdopen", failing(errno.EIO))

    with pytest.raises(UnsafeSettingError, match=f"key file `{path}` cannot be read: Input/output error"):
        read_guarded(path)


def test_file_of_one_mebibyte_is_read_and_no_larger(path):
    assert len(read_guarded(written(path, " " * (1 << 20)))) == 1 << 20
    with pytest.raises(UnsafeSettingError, match="is larger than 1 MiB: it is no key file, name the right one"):
        read_guarded(written(path, " " * ((1 << 20) + 1)))


# ── what is in it ──

WHOLE = row(1, KEYS[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "\ufeff" + rendered(WHOLE),
        "[" * 100_000,
        rendered(),
        rendered(WHOLE, kind="pkcs11"),
        rendered(WHOLE, format="1"),
        rendered(WHOLE, format=None),
        rendered(WHOLE, more=1),
        rendered(WHOLE, roots={}),
        rendered(WHOLE, roots=[1]),
        rendered(row(1, KEYS[0], more=1)),
        rendered(row("1", KEYS[0])),
        rendered(row(1, KEYS[0], key=1)),
        rendered(row(1, KEYS[0], key="!" + WHOLE["key"])),
        rendered(row(1, KEYS[0], key=WHOLE["key"][:-1])),
        rendered(row(1, KEYS[0], key=WHOLE["key"] + "\n")),
        rendered(row(1, KEYS[0], created_at="yesterday")),
        rendered(row(1, KEYS[0], created_at=1)),
        rendered({"version": 1, "key": WHOLE["key"]}),
        rendered(WHOLE).replace('"format": 1', '"format": 1, "format": 1'),
        rendered(WHOLE).replace('"version": 1', '"version": 2, "version": 1'),
    ],
)
def test_damaged_file_refuses_without_quoting_it(path, text):
    with pytest.raises(UnsafeSettingError) as caught:
        load_roots(written(path, text))

    assert str(caught.value) == f"key file `{path}` is damaged: put it back from the escrow"


def test_file_that_is_not_utf8_refuses(path):
    path.write_bytes(b'{"format":\xff')
    path.chmod(0o600)

    with pytest.raises(UnsafeSettingError, match="is damaged"):
        load_roots(path)


def test_format_of_a_newer_version_refuses(path):
    with pytest.raises(UnsafeSettingError) as caught:
        load_roots(written(path, rendered(WHOLE, format=2)))

    fault = "format 2 is unknown here: use the version of the exchange that wrote it"
    assert str(caught.value) == f"key file `{path}`: {fault}"


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [
        ((0,), "version 0 where 1 belongs"),
        ((2,), "version 2 where 1 belongs"),
        ((1, 1), "version 1 where 2 belongs"),
        ((1, 3), "version 3 where 2 belongs"),
        ((2, 1), "version 2 where 1 belongs"),
    ],
)
def test_missing_or_misplaced_version_refuses(path, numbers, fault):
    text = rendered(*(row(number, key) for number, key in zip(numbers, KEYS, strict=False)))

    with pytest.raises(UnsafeSettingError, match=f"{fault}: restore the file from the backup"):
        load_roots(written(path, text))


def test_one_key_in_two_versions_refuses(path):
    with pytest.raises(UnsafeSettingError, match="two versions have the same key: restore the file"):
        load_roots(written(path, rendered(row(1, KEYS[0]), row(2, KEYS[0]))))


@pytest.mark.parametrize("size", [0, 1, 16, 31, 33, 64])
def test_key_of_another_size_refuses(path, size):
    key = hashlib.sha512(b"x").digest()[:size]

    with pytest.raises(UnsafeSettingError, match=f"the key of version 1 has {size} bytes instead of 32: make one with"):
        load_roots(written(path, rendered(row(1, key))))


WEAK = [
    bytes(32),
    b"\xff" * 32,
    bytes(range(32)),
    bytes(range(200, 168, -1)),
    bytes(number * 7 % 256 for number in range(32)),
    b"\x00\xff" * 16,
    bytes(range(15)) * 3,
    KEYS[0][:15] + bytes(17),
    b"changeme" * 4,
    b"correct horse battery staple, 32",
    b"0123456789abcdef0123456789abcdef",
    b"S3cr3t!Passw0rd#With$Many%Chars_",
]


@pytest.mark.parametrize("key", [key[:32] for key in WEAK])
def test_key_that_is_not_random_refuses(path, key):
    assert len(key) == 32
    with pytest.raises(UnsafeSettingError) as caught:
        load_roots(written(path, rendered(row(1, KEYS[1]), row(2, key))))

    assert str(caught.value) == (
        f"key file `{path}`: the key of version 2 is not random: make one with `exchange init`"
    )


@given(st.randoms(use_true_random=True))
def test_random_key_is_never_called_weak(source):
    assert _weakness(source.randbytes(32)) is None


def test_sixteen_distinct_octets_and_steps_are_enough_and_fifteen_are_not():
    distinct = bytes(number * number * 3 % 256 for number in range(32))
    enough = bytes(dict.fromkeys(distinct))[:16]
    key = enough + enough[::-1]

    assert len(set(key)) == 16
    assert _weakness(key) is None
    assert _weakness(key.replace(key[15:16], key[:1])) == "is not random"


def test_steps_are_counted_around_the_end_of_an_octet():
    key = [0]
    for number in range(31):
        key.append((key[-1] + 100 + 2 * ((number * 7 + number // 8) % 8)) % 256)
    steps = [after - before for before, after in pairwise(key)]

    # Eight steps, each of them with a turn and without one.
    assert (len(set(key)) >= 16, len(set(steps)), len({step % 256 for step in steps})) == (True, 16, 8)
    assert _weakness(bytes(key)) == "is not random"


@given(st.text(max_size=200) | st.sampled_from([rendered(WHOLE)]).map(lambda text: text[:-1]))
def test_no_text_breaks_the_reading(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("roots") / "roots.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    path.chmod(0o600)

    with pytest.raises(ExchangeError, match="is damaged"):
        load_roots(path)


def test_key_stays_out_of_a_roots_text():
    assert "key" not in repr(Root(1, NOW, KEYS[0]))
