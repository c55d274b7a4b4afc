"""A custodian takes up what was added to its key file, when it is needed, and nothing else."""

import base64
import errno
import json
import os
import secrets
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from exchange.custody import FileCustodian, KeyMissingError, TracedCustodian, add_root_version, create_root_file
from exchange.custody import renewal as renewing
from exchange.kernel.spans import UNTRACED
from tests.core.custody.contract import CONTEXT, DATA_KEY, NAME

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "roots.json"
    create_root_file(path, NOW, secrets.token_bytes)
    return path


async def of_newer(path):
    """Add a version, and return what a process wraps that began after it."""
    add_root_version(path, NOW, secrets.token_bytes)
    return await FileCustodian.load(path).wrap(NAME, DATA_KEY, CONTEXT)


async def current(custodian):
    return (await custodian.status()).current


async def test_version_that_is_met_is_taken_up_and_wraps_from_then_on(path):
    custodian = FileCustodian.load(path)
    wrapped = await of_newer(path)
    before = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

    assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY
    assert await custodian.unwrap(before, CONTEXT) == DATA_KEY
    assert (before.key_version, (await custodian.wrap(NAME, DATA_KEY, CONTEXT)).key_version) == (1, 2)
    assert [each.version for each in (await custodian.status()).versions] == [1, 2]


async def test_version_that_nobody_meets_is_not_taken_up(path):
    custodian = FileCustodian.load(path)
    add_root_version(path, NOW, secrets.token_bytes)

    await custodian.check()

    assert await current(custodian) == 1


@pytest.mark.parametrize("traced", [False, True])
async def test_renewing_takes_it_up_at_once(path, traced):
    custodian = TracedCustodian(FileCustodian.load(path), UNTRACED) if traced else FileCustodian.load(path)
    add_root_version(path, NOW, secrets.token_bytes)

    await custodian.renew()

    assert await current(custodian) == 2


async def test_custodian_without_a_file_has_what_it_was_given(path):
    custodian = FileCustodian(renewing.RootFile(path).load(), secrets.token_bytes)
    wrapped = await of_newer(path)

    with pytest.raises(KeyMissingError):
        await custodian.unwrap(wrapped, CONTEXT)
    await custodian.renew()
    assert await current(custodian) == 1


@pytest.fixture
def reads(monkeypatch):
    """Which files were read, one for each time."""
    reads = []

    def read(which):
        reads.append(which)
        return load(which)

    load = renewing.load_roots
    monkeypatch.setattr(renewing, "load_roots", read)
    return reads


async def test_file_is_read_once_per_change_however_often_a_version_is_missed(path, reads):
    custodian = FileCustodian.load(path)
    wrapped = (await of_newer(path))._replace(key_version=9)
    reads.clear()
    for _ in range(5):
        with pytest.raises(KeyMissingError):
            await custodian.unwrap(wrapped, CONTEXT)

    assert reads == [path]


async def test_damaged_file_is_read_and_told_of_once_per_change(path, reads, caplog):
    custodian = FileCustodian.load(path)
    wrapped = await of_newer(path)
    reads.clear()
    for content in ("{}", "{ }"):
        path.write_text(content)
        for _ in range(2):
            with pytest.raises(KeyMissingError, match="version 2"):
                await custodian.unwrap(wrapped, CONTEXT)

    assert reads == [path] * 2
    assert [message.rpartition("` is ")[2] for message in caplog.messages] == [
        "damaged: put it back from the escrow"
    ] * 2


def opened(path):
    path.chmod(0o644)


def damaged(path):
    path.write_text("{}")


def of_another_instance(path):
    path.unlink()
    create_root_file(path, NOW, secrets.token_bytes)
    add_root_version(path, NOW, secrets.token_bytes)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (opened, "key file `{0}` can be read or written by others (mode 0644): run `chmod 600 {0}`"),
        (damaged, "key file `{0}` is damaged: put it back from the escrow"),
        (of_another_instance, "it lacks, or has changed, a version that is in use"),
    ],
)
async def test_file_that_is_not_to_be_believed_changes_nothing(path, fault, why, caplog):
    custodian = FileCustodian.load(path)
    own = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
    wrapped = await of_newer(path)
    good = path.read_bytes()
    fault(path)
    for _ in range(2):
        with pytest.raises(KeyMissingError, match="version 2"):
            await custodian.unwrap(wrapped, CONTEXT)

    assert caplog.messages == [f"the key file is not taken up: {why.format(path)}"]
    assert {record.name for record in caplog.records} == {"exchange.custody"}
    assert (await current(custodian), await custodian.unwrap(own, CONTEXT)) == (1, DATA_KEY)
    # Mended, it is.
    path.write_bytes(good)
    path.chmod(0o600)
    assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY


async def test_file_that_could_not_be_read_is_looked_for_again_and_told_of_once_until_it_can(path, monkeypatch, caplog):
    custodian = FileCustodian.load(path)

    def refused(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for told in (1, 2):
        wrapped = await of_newer(path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refused)
            for _ in range(2):
                with pytest.raises(KeyMissingError, match=f"version {told + 1}"):
                    await custodian.unwrap(wrapped, CONTEXT)

        why = f"the key file is not taken up: key file `{path}` cannot be read: Too many open files"
        assert caplog.messages == [why] * told
        assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY


async def test_file_that_lacks_one_of_several_versions_changes_nothing(path):
    add_root_version(path, NOW, secrets.token_bytes)
    custodian = FileCustodian.load(path)
    content = json.loads(path.read_text())
    content["roots"][1]["key"] = base64.b64encode(secrets.token_bytes(32)).decode()
    path.write_text(json.dumps(content))
    wrapped = await of_newer(path)

    with pytest.raises(KeyMissingError, match="version 3"):
        await custodian.unwrap(wrapped, CONTEXT)
    assert await current(custodian) == 2


def test_added_are_those_alone_that_were_not_known(path):
    file = renewing.RootFile(path)
    known = {root.version: root for root in file.load()}
    add_root_version(path, NOW, secrets.token_bytes)

    assert [root.version for root in file.added(known)] == [2]
    assert file.added(known) == ()


SIGNS = ("st_dev", "st_ino", "st_mtime_ns", "st_ctime_ns", "st_size")


@pytest.mark.parametrize("sign", SIGNS)
def test_each_sign_of_a_change_is_enough(path, monkeypatch, sign):
    file = renewing.RootFile(path)
    known = {root.version: root for root in file.load()}
    found = path.lstat()
    before = {each: getattr(found, each) for each in SIGNS}
    add_root_version(path, NOW, secrets.token_bytes)
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "lstat", lambda _: SimpleNamespace(**before))
        assert file.added(known) == ()
        patch.setattr(type(path), "lstat", lambda _: SimpleNamespace(**before | {sign: before[sign] + 1}))
        added = file.added(known)

    assert [root.version for root in added] == [2]


async def test_file_that_is_gone_leaves_what_there_is(path, caplog):
    custodian = FileCustodian.load(path)
    own, wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT), await of_newer(path)
    path.unlink()

    with pytest.raises(KeyMissingError):
        await custodian.unwrap(wrapped, CONTEXT)
    assert await custodian.unwrap(own, CONTEXT) == DATA_KEY
    assert caplog.text == ""
