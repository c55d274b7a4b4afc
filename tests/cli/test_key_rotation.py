"""`exchange keys status` and `rotate` on the host: two steps, both to be run again, nothing but counts to be seen."""

import asyncio
import json
import sqlite3
from contextlib import suppress
from dataclasses import replace

import pytest

from exchange.cli.instance import open_host
from exchange.kernel import ExchangeError
from exchange.settings import InstanceLayout
from exchange.usecases import describe_caller


@pytest.fixture
def database(instance):
    def ask(statement):
        with sqlite3.connect(InstanceLayout(instance).database_file) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    return ask


@pytest.fixture
def personal(operate, database, instance):
    """Give the instance something that custody sealed: a key of personal data, made by a client's request."""

    async def called():
        async with open_host(instance) as host:
            stranger = replace(host.call(), source="192.0.2.7", thumbprint="0" * 64)
            # Nobody enrolled: refused, and on the record with its address.
            with suppress(ExchangeError):
                await describe_caller(host.services, stranger)

    asyncio.run(called())
    assert database("SELECT key_version FROM personal_key") == [(1,)]


def roots(instance):
    return InstanceLayout(instance).folder / "custody" / "roots.json"


def test_status_shows_versions_ages_and_what_is_under_them(operate, personal, instance):
    said = operate("keys", "status", "--json")
    found = said.json
    (version,) = found["versions"]

    assert (found["id"], found["kind"], found["current"], found["older"], found["missing"]) == (
        "file",
        "file",
        1,
        0,
        [],
    )
    assert (version["version"], version["rows"], version["kept"]["personal-key"]) == (1, 1, 1)
    assert version["age_seconds"] >= 0
    shown = operate("keys", "status")
    assert "1 (current)" in shown.out
    assert "1 personal-key" in shown.out
    for root in json.loads(roots(instance).read_text())["roots"]:
        assert root["key"] not in said.out + shown.out


def test_rotation_in_two_steps(operate, personal, database):
    added = operate("keys", "rotate")
    assert (added.code, database("SELECT key_version FROM personal_key")) == (0, [(1,)])
    assert "version 2 of the root key is added" in added.out
    for step in ("keys escrow", "every other node", "--rewrap"):
        assert step in added.out
    assert operate("keys", "rotate", "--json").json == {"id": "2", "current": 2, "added": False, "older": 1}
    assert "1 row is under older ones yet" in operate("keys", "rotate").out

    done = operate("keys", "rotate", "--rewrap")
    assert (done.code, database("SELECT key_version FROM personal_key")) == (0, [(2,)])
    assert "1 row is now under version 2" in done.out
    again = operate("keys", "rotate", "--rewrap", "--json")
    assert again.json == {"id": "2", "current": 2, "renewed": {}, "unopened": [], "older": 0}
    assert "everything is under version 2" in operate("keys", "rotate", "--rewrap").out
    assert operate("keys", "rotate", "--json").json["added"] is True


def test_version_under_which_nothing_is_needs_no_successor(operate, instance):
    said = operate("keys", "rotate")

    assert (said.code, "needs no successor" in said.out) == (0, True)
    assert len(json.loads(roots(instance).read_text())["roots"]) == 1


def test_what_does_not_open_is_told_and_is_a_failure(operate, personal, database):
    operate("keys", "rotate")
    # A key of nobody: the database lets no key be altered, so it comes as a row of its own.
    database(
        "INSERT INTO personal_key SELECT 'forged', subject, period, boot, key_id, key_version, wrap_suite, wrapped_key,"
        " created_at, NULL FROM personal_key"
    )

    said = operate("keys", "rotate", "--rewrap")
    assert said.code == 1
    assert "does not open, left as it is: personal-key forged" in said.out
    assert operate("keys", "rotate", "--rewrap", "--json").json["unopened"] == ["personal-key forged"]


def test_file_that_lacks_a_version_is_refused_and_shown(operate, personal, instance):
    own = roots(instance).read_bytes()
    operate("keys", "rotate")
    added = roots(instance).read_bytes()
    assert operate("keys", "status", "--json").json["added_elsewhere"] is None
    roots(instance).write_bytes(own)
    assert operate("keys", "status", "--json").json["added_elsewhere"] == 2
    assert "version 2: added on another node, and not in the key file here" in operate("keys", "status").out
    examined = {each["id"]: each for each in operate("doctor", "--json").json}
    assert examined["root key"]["state"] == "warning"
    roots(instance).write_bytes(added)
    operate("keys", "rotate", "--rewrap")
    roots(instance).write_bytes(own)

    for words in (("rotate",), ("rotate", "--rewrap")):
        said = operate("keys", *words)
        assert said.code == 1
        assert "version 2, which is not in the key file here" in said.err
    said = operate("keys", "status").out
    assert "version 2: not in the key file here, and 1 row is under it" in said
    assert "added on another node" not in said
    assert operate("keys", "status", "--json").json["missing"] == [{"version": 2, "rows": 1}]
    examined = operate("doctor")
    assert examined.code == 1
    assert "1 row is under version 2, which is not in the key file here" in examined.out
    assert "the node that added it" in examined.out


@pytest.mark.parametrize("verb", [("keys", "rotate"), ("keys", "rotate", "--rewrap"), ("audit", "archive")])
def test_what_may_be_killed_amid_its_work_is_signed_for_from_its_first_entry_on(operate, personal, database, verb):
    """Killed before it has signed at all, it would leave entries that are told as forged ones for ever."""
    before = database("SELECT max(id) FROM audit_entry")[0][0]

    assert operate(*verb, *(["--older-than", "1"] if verb[0] == "audit" else [])).code == 0

    rows = database("SELECT id, content FROM audit_entry ORDER BY id")
    first = next(json.loads(content) for id_, content in rows if id_ > before)
    assert first["type"] == "node.heartbeat"
    assert "boot_key" in first["detail"]
