"""Saved connections: found by name, kept apart from options and environment."""

import fcntl
import os
from contextlib import suppress

import pytest

from exchange.cli import profiles
from exchange.cli.profiles import Door, endpoint_of, profiles_path


@pytest.fixture
def files(tmp_path):
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.fixture
def saved(exchange, files):
    words = ["--url", "https://one:1", "--cert", files / "cert", "--key", files / "key", "--ca", files / "ca"]
    assert exchange("profile", "add", "one", *words).code == 0
    return files


def test_saved_profile_is_found_again(exchange, saved):
    (shown,) = exchange("profile", "list", "--json").json

    assert shown == {"id": "one", "url": "https://one:1"} | {name: str(saved / name) for name in ("cert", "key", "ca")}


@pytest.mark.parametrize("name", ["øst", "北", "\U0001f511", 'a"b\\c', "tab\there", "del\x7f", "line\nbreak"])
def test_path_of_any_letters_is_found_again_and_harms_no_other_profile(exchange, saved, name):
    words = ["--url", "https://two:1", "--cert", saved / name, "--key", saved / "key", "--ca", saved / "ca"]
    assert exchange("profile", "add", "two", *words).code == 0

    one, two = exchange("profile", "list", "--json").json
    assert (one["id"], two["cert"]) == ("one", str(saved / name))


def test_path_that_is_no_text_is_refused_and_harms_no_other_profile(exchange, saved):
    before = profiles_path().read_bytes()
    words = ["--url", "https://two:1", "--cert", saved / "\udce9", "--key", saved / "key", "--ca", saved / "ca"]

    ran = exchange("profile", "add", "two", *words)

    assert (ran.code, ran.err) == (
        1, "error: an address or a path of the profile is not text in UTF-8: rename the file\n"
    )  # fmt: skip
    assert profiles_path().read_bytes() == before


def test_profiles_are_written_one_after_the_other_and_whole(exchange, saved, monkeypatch):
    """Of two that were saved at once one was lost, or the file was put in its place half written."""
    read = profiles.read_profiles
    looked = []

    def while_another_waits():
        handle = os.open(profiles_path().parent, os.O_RDONLY)
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            looked.append("free")
        os.close(handle)
        return read()

    words = ["--url", "https://two:1", "--cert", saved / "cert", "--key", saved / "key", "--ca", saved / "ca"]
    monkeypatch.setattr(profiles, "read_profiles", while_another_waits)
    assert exchange("profile", "add", "two", *words).code == 0
    assert looked == []
    # The first look says whether there is such a profile, the second one is what is written.
    assert exchange("profile", "remove", "one").code == 0
    assert looked == ["free"]
    assert list(read()) == ["two"]
    assert {path.name for path in profiles_path().parent.iterdir()} == {"profiles.toml"}


def test_option_counts_before_profile_and_profile_before_environment(saved, monkeypatch):
    monkeypatch.setenv("EXCHANGE_URL", "https://environment:1")

    assert endpoint_of(Door(profile="one")).url == "https://one:1"
    assert endpoint_of(Door(profile="one", url="https://option:1")).url == "https://option:1"


def test_environment_alone_is_enough(files, monkeypatch):
    monkeypatch.setenv("EXCHANGE_URL", "https://environment:1")
    for name in ("cert", "key", "ca"):
        monkeypatch.setenv(f"EXCHANGE_{name.upper()}", str(files / name))

    assert endpoint_of(Door()).url == "https://environment:1"


def test_unknown_profile_names_the_known(exchange, saved):
    ran = exchange("report", "list", "--profile", "two")

    assert ran.code == 1
    assert "saved are `one`" in ran.err


def test_what_is_missing_is_named(exchange):
    ran = exchange("report", "list", "--url", "https://x:1", "--cert", "c")

    assert ran.code == 2
    assert "missing `--key`, `--ca`" in ran.err


@pytest.mark.parametrize("name", ["", "../x", "a b", "ä", "x" * 65])
def test_odd_name_is_refused(exchange, files, name):
    words = ["--url", "https://x:1", "--cert", files / "cert", "--key", files / "key", "--ca", files / "ca"]

    assert exchange("profile", "add", name, *words).code == 2
    assert not profiles_path().exists()


@pytest.mark.parametrize("text", ["[", "[one]\nurl = 1", "one = 1"])
def test_broken_file_is_named(exchange, text):
    profiles_path().parent.mkdir(parents=True)
    profiles_path().write_text(text)

    ran = exchange("report", "list", "--profile", "one")

    assert ran.code == 1
    assert "profiles.toml" in ran.err


def test_profile_keeps_receipts_in_a_file_of_its_own(saved):
    assert endpoint_of(Door(profile="one")).receipts == profiles_path().parent / "receipts" / "one.ndjson"


def test_receipts_go_where_they_were_told(saved, monkeypatch, tmp_path):
    words = {"url": "https://one:1", "cert": saved / "cert", "key": saved / "key", "ca": saved / "ca"}
    assert endpoint_of(Door(**words)).receipts is None

    monkeypatch.setenv("EXCHANGE_RECEIPTS", str(tmp_path / "environment"))
    assert endpoint_of(Door(**words)).receipts == tmp_path / "environment"
    assert endpoint_of(Door(**words, receipts=tmp_path / "option")).receipts == tmp_path / "option"


def test_profile_is_removed_alone_and_its_receipts_and_files_stay(exchange, saved):
    words = ["--url", "https://two:1", "--cert", saved / "cert", "--key", saved / "key", "--ca", saved / "ca"]
    assert exchange("profile", "add", "two", *words).code == 0
    receipts = profiles_path().parent / "receipts" / "one.ndjson"
    receipts.parent.mkdir(exist_ok=True)
    receipts.write_text("{}\n")
    removed = exchange("profile", "remove", "one", "--json")

    assert (removed.code, removed.json) == (0, {"id": "one", "receipts": str(receipts)})
    assert [each["id"] for each in exchange("profile", "list", "--json").json] == ["two"]
    assert receipts.exists()
    assert all((saved / name).exists() for name in ("cert", "key", "ca"))
    assert exchange("profile", "remove", "two", "--json").json == {"id": "two", "receipts": None}
    assert exchange("profile", "list", "--json").json == []


def test_profile_that_is_not_there_is_not_removed_and_those_there_are_named(exchange, saved):
    ran = exchange("profile", "remove", "two")

    assert (ran.code, "saved are `one`" in ran.err) == (1, True)
    assert [each["id"] for each in exchange("profile", "list", "--json").json] == ["one"]
