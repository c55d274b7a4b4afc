"""The doctor looks at every disk of the host that an instance fills."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from exchange.cli.doctor import _mend_of_silence, _mend_of_waiting
from exchange.settings import load_settings


@pytest.mark.parametrize(("free", "state"), [(1 << 40, "ok"), (1 << 30, "warning"), (1 << 20, "mend")])
def test_disk_that_is_nearly_full_is_told(findings, monkeypatch, free, state):
    usage = SimpleNamespace(total=1 << 41, free=free)
    monkeypatch.setattr("exchange.cli.doctor_log.shutil.disk_usage", lambda _folder: usage)

    assert findings()[1]["disk"]["state"] == state


def test_disk_of_large_parts_is_looked_at_where_it_is_another(findings, instance, monkeypatch):
    full, roomy = SimpleNamespace(total=1 << 41, free=0), SimpleNamespace(total=1 << 41, free=1 << 40)
    monkeypatch.setattr("exchange.cli.doctor_log.shutil.disk_usage", lambda at: full if at == Path("/proc") else roomy)

    monkeypatch.setenv("EXCHANGE_BLOB_STORE_URL", "file:///proc/blobs")
    monkeypatch.setenv("EXCHANGE_AUDIT_ARCHIVE_URL", "file:///proc/archive")
    found = findings()[1]
    assert (found["disk"]["state"], found["disk of large parts"]["state"]) == ("ok", "mend")
    assert "/proc" in found["disk of large parts"]["mend"]
    assert "disk of the archive" not in found, "it is the same one"

    monkeypatch.setenv("EXCHANGE_BLOB_STORE_URL", (instance / "blobs").as_uri())
    assert "disk of large parts" not in findings()[1]


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("EXCHANGE_LAST_SIGNED_FILE", "/proc/exchange/last-signed.json", "disk of last-signed.json"),
        ("EXCHANGE_DATABASE_URL", "sqlite+aiosqlite:////proc/exchange.db", "disk of the database"),
    ],
)
def test_full_disk_that_holds_nothing_else_is_told(findings, monkeypatch, variable, value, name):
    """Nothing was wrong but a backlog, for which another sequencer was to be run: it cannot sign either."""
    full, roomy = SimpleNamespace(total=1 << 41, free=0), SimpleNamespace(total=1 << 41, free=1 << 40)
    monkeypatch.setattr("exchange.cli.doctor_log.shutil.disk_usage", lambda at: full if at == Path("/proc") else roomy)
    monkeypatch.setenv(variable, value)

    found = findings()[1]

    assert (found["disk"]["state"], found[name]["state"]) == ("ok", "mend")
    assert "/proc" in found[name]["mend"]


def test_database_is_named_by_its_file_whatever_its_folder_is_called(instance):
    settings = load_settings(instance.rename(instance.parent / "100%25?"))

    assert f"`{settings.instance_folder / 'exchange.db'}`" in _mend_of_waiting(settings)
    assert _mend_of_silence(settings).startswith("make room where the disk is full; else look at the disk")


@pytest.mark.parametrize(
    ("url", "told"),
    [("mysql://db/x", "`mysql` is no database"), ("postgresql+asyncpg://me:word@db/x", "holds a password")],
)
def test_address_that_names_no_database_is_told_among_all_else(findings, monkeypatch, url, told):
    """It ended the look with an error and no table, or blamed a server that nobody had asked."""
    monkeypatch.setenv("EXCHANGE_DATABASE_URL", url)

    code, found = findings()

    assert code == 1
    assert told in found["database"]["told"]
    assert found["database"]["mend"].startswith("docs/operations.md")
    assert found["law"]["state"] == "ok"
    assert "schema" not in found
