"""What a restore, of keys or of a backup, leaves that was killed or broke off, and how it is done again."""

import os
import shutil

import pytest

from exchange.cli import backups, key_escrow
from exchange.cli.instance import write_all_new
from exchange.settings import InstanceLayout
from tests.cli.test_backups import put_aside


@pytest.mark.parametrize("written", [0, 1, 3, 6])
def test_keys_that_were_put_back_in_part_are_no_instance(exchange, instance, keeper, monkeypatch, written):
    """With half of its keys and its settings it was one, for which `exchange migrate` made the other half anew."""
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")

    def some(files, *, mode):
        write_all_new(dict(list(files.items())[: written + 1]), mode=mode)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(key_escrow, "write_all_new", some)
        assert exchange("keys", "restore", keys, *identity, "--dir", place).code != 0
    made = exchange("migrate", "--dir", place)
    assert (made.code, "was it lost: `exchange keys restore`" in made.err) == (1, True), made.err
    again = exchange("keys", "restore", keys, *identity, "--dir", place)
    assert (again.code, "remove it" in again.err) == (1, True), again.err
    begun = exchange("init", "--dir", place, "--if-absent")
    assert (begun.code, "remove it" in begun.err) == (1, True), begun.err

    shutil.rmtree(place)
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0
    assert not InstanceLayout(place).unfinished_file.exists()
    assert exchange("restore", backup, *identity, "--dir", place).code == 0


def test_keys_whose_putting_back_was_killed_at_its_first_file_say_that_it_may_go(exchange, instance, keeper):
    """Told to name another folder, somebody had one that nothing could be put into."""
    _, keys = put_aside(exchange, instance, keeper)
    (keeper / "new").mkdir()
    InstanceLayout(keeper / "new").unfinished_file.touch()

    again = exchange("keys", "restore", keys, "--identity", keeper / "identity", "--dir", keeper / "new")

    assert (again.code, "nothing is under its keys: remove it" in again.err) == (1, True), again.err


def test_keys_that_were_put_back_but_for_the_name_of_their_settings_say_so(exchange, instance, keeper, monkeypatch):
    """Told that the settings are missing, somebody wrote others, though their own lay beside."""
    _, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")

    def killed(_folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(key_escrow, "sync_folder", killed)
        assert exchange("keys", "restore", keys, *identity, "--dir", place).code != 0
    again = exchange("keys", "restore", keys, *identity, "--dir", place)
    assert (again.code, "rename its `.exchange.toml.new` to `exchange.toml`" in again.err) == (1, True), again.err

    (place / ".exchange.toml.new").rename(place / "exchange.toml")
    assert (place / "exchange.toml").read_bytes() == (instance / "exchange.toml").read_bytes()


def test_restore_that_broke_off_behind_its_rows_says_so_until_it_is_done_again(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0
    (place / "log").write_bytes(b"where a folder belongs")

    broken = exchange("restore", backup, *identity, "--dir", place)

    assert (broken.code, "log` cannot be" in broken.err, "unexpected" in broken.err) == (1, True, False), broken.err
    claims = exchange("restored", "list", "--dir", place, "--json").json
    assert [claim["kind"] for claim in claims] == ["file.returned", "restore.unfinished", "unknown-acts"]
    again = exchange("restore", backup, *identity, "--dir", place)
    assert (again.code, "broken off here: empty the database (SQLite: remove `exchange.db`" in again.err) == (1, True)
    for rest in (place / "log", *place.glob("exchange.db*")):
        rest.unlink()
    assert exchange("restore", backup, *identity, "--dir", place).code == 0
    claims = exchange("restored", "list", "--dir", place, "--json").json
    assert [claim["kind"] for claim in claims] == ["file.returned", "unknown-acts"]


def test_restore_that_was_killed_behind_its_files_has_them_confirmed_when_it_is_done_again(
    exchange, instance, keeper, monkeypatch
):
    """What the first one had put in its place was taken for the instance's own: nobody confirmed whom it believes."""
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0

    async def killed(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backups, "_finish_restore", killed)
        assert exchange("restore", backup, *identity, "--dir", place).code != 0
    (place / "exchange.db").unlink()
    assert exchange("restore", backup, *identity, "--dir", place).code == 0

    claims = exchange("restored", "list", "--dir", place, "--json").json
    assert [claim["id"] for claim in claims] == ["tls/authorities/demo.pem", "unknown-acts"]
    assert not (place / "restore.unfinished").exists()


def test_restore_that_is_killed_leaves_no_half_file(exchange, instance, keeper, monkeypatch):
    """Done again, it took half a file for a whole one: no authority, no node's signature, or no restore at all."""
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0
    names = ("log/verifier-keys", "tls/authorities/demo.pem")
    opened, half = os.fdopen, []

    def begin(handle, *given, **named):
        half.extend(name for name in names if (place / name).exists() and not (place / name).stat().st_size)
        return opened(handle, *given, **named)

    monkeypatch.setattr(os, "fdopen", begin)
    assert exchange("restore", backup, *identity, "--dir", place).code == 0

    assert all((place / name).stat().st_size for name in names)
    assert half == []


def test_who_put_the_keys_back_alone_is_told_of_the_database_that_brings_the_rest(exchange, instance, keeper):
    """Told that no authority is there and to add one, somebody could add none: that is in the backup."""
    _, keys = put_aside(exchange, instance, keeper)
    place = keeper / "new"
    assert exchange("keys", "restore", keys, "--identity", keeper / "identity", "--dir", place).code == 0

    ran = exchange("serve", "--dir", place, "--port", "0", "--no-jobs")

    assert (ran.code, "exchange.db` is missing: put it back, or restore a backup" in ran.err) == (1, True), ran.err
