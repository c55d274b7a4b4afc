"""An instance put aside and put back at another place, as an operator does it: data by one file, keys by another."""

import asyncio
import base64
import json
import os
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from exchange.cli import key_escrow, sealed_io
from exchange.cli.backups import _put_beside
from exchange.cli.instance import open_host
from exchange.crypto import read_certificate
from exchange.crypto.sealed_files import Identity, open_sealed
from exchange.custody import create_log_key, create_root_file, load_log_key, replace_log_key
from exchange.kernel import InvalidError, UnavailableError
from exchange.settings import InstanceLayout
from exchange.usecases import describe_caller
from exchange.usecases.log.signed_backup import signed_lines
from tests.support.prepared import run_prepared

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def put_aside(exchange, instance, keeper):
    backup = exchange("backup", keeper / "backup", "--to", keeper / "recipient", "--dir", instance, "--json")
    keys = exchange(
        "keys", "escrow", "--to", keeper / "recipient", "--out", keeper / "keys", "--dir", instance, "--json"
    )
    assert (backup.code, keys.code) == (0, 0), backup.err + keys.err
    return keeper / "backup", keeper / "keys"


def test_instance_comes_back_and_serves_nothing_before_it_is_confirmed(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", keeper / "identity"

    assert exchange("keys", "restore", keys, "--identity", identity, "--dir", place).code == 0
    told = exchange("restore", backup, "--identity", identity, "--dir", place, "--json")

    assert told.code == 0, told.err
    assert told.json["to_confirm"] == 2
    members = [exchange("status", "--dir", each, "--json").json["members"] for each in (instance, place)]
    assert members[0] == members[1]
    refused = run_prepared("-m", "exchange.cli", "serve", "--dir", place, "--port", 0, timeout=60)
    assert refused.returncode == 1
    assert "exchange restored list" in refused.stderr
    for claim in ("tls/authorities/demo.pem", "unknown-acts"):
        assert exchange("restored", "confirm", claim, "--dir", place).code == 0
    assert exchange("restored", "list", "--dir", place, "--json").json == []
    assert exchange("restored", "confirm", "unknown-acts", "--dir", place).code == 1


def test_whom_somebody_stopped_to_believe_does_not_come_back_unseen(exchange, instance, keeper, monkeypatch):
    """Put back with the keys they were there already when the backup came, and nobody was told."""
    trusted = ("tls/authorities/old.pem", "tls/crl/old.pem", "tls/edges.pem")
    for name in trusted:
        (instance / name).parent.mkdir(exist_ok=True)
        (instance / name).write_bytes((instance / "tls" / "ca.pem").read_bytes())
    # Of a witness that was removed since, the quorum would be met again.
    (instance / "log" / "witnesses").write_bytes(b"quorum none\n")
    place, identity = keeper / "new", keeper / "identity"
    with monkeypatch.context() as before:
        # As the keys were put aside by versions that held these among them.
        before.setattr(key_escrow, "_TRUSTED", (), raising=False)
        backup, keys = put_aside(exchange, instance, keeper)
    assert exchange("keys", "restore", keys, "--identity", identity, "--dir", place).code == 0
    assert not any((place / name).exists() for name in trusted)

    assert exchange("restore", backup, "--identity", identity, "--dir", place).code == 0

    claims = exchange("restored", "list", "--dir", place, "--json").json
    assert [claim["id"] for claim in claims] == ["log/witnesses", "tls/authorities/demo.pem", *trusted, "unknown-acts"]
    assert all("take it away again" in claim["told"] for claim in claims[1:-1])
    assert exchange("restored", "confirm", "tls/authorities/old.pem", "--dir", place).code == 0


def test_restore_into_a_database_that_was_only_begun_says_how_to_empty_it(exchange, instance, keeper):
    backup, _ = put_aside(exchange, instance, keeper)

    refused = exchange("restore", backup, "--identity", keeper / "identity", "--dir", instance)

    assert (refused.code, "holds no client and no report: empty the database" in refused.err) == (1, True), refused.err


@pytest.mark.parametrize("name", ["a # b", "a?b", "a%41"])
def test_backup_is_made_wherever_the_instance_lies(exchange, instance, keeper, monkeypatch, name):
    """Behind a `#` the address of the file ended: another one was made there, empty."""
    place = instance.rename(keeper / name)
    monkeypatch.setenv("EXCHANGE_DATABASE_URL", f"sqlite+aiosqlite:///{quote(str(place))}/exchange.db")
    before = {path.name for path in keeper.iterdir()}

    backup, _ = put_aside(exchange, place, keeper)

    assert backup.stat().st_size
    assert {path.name for path in keeper.iterdir()} == before | {"backup", "keys"}


async def ask_as(instance: Path, thumbprint: str) -> None:
    """Be a client once: what is personal in the entry has a key, which custody wraps."""
    async with open_host(instance) as host:
        await describe_caller(host.services, replace(host.call(), source="192.0.2.7", thumbprint=thumbprint))


def test_keys_of_another_instance_are_told_before_anything_is_restored(exchange, instance, enrol, keeper):
    assert enrol(out=keeper / "desk").code == 0
    asyncio.run(ask_as(instance, read_certificate((keeper / "desk" / "client.pem").read_bytes()).thumbprint))
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", keeper / "identity"
    assert exchange("keys", "restore", keys, "--identity", identity, "--dir", place).code == 0
    roots = InstanceLayout(place.absolute()).roots_file
    own = roots.read_bytes()
    roots.unlink()
    create_root_file(roots, NOW, os.urandom)

    refused = exchange("restore", backup, "--identity", identity, "--dir", place)

    assert (refused.code, "do not open the backup" in refused.err) == (1, True)
    assert not (place / "exchange.db").exists()
    roots.write_bytes(own)
    assert exchange("restore", backup, "--identity", identity, "--dir", place).code == 0


def test_instance_restored_from_a_restored_one(exchange, instance, keeper):
    """The second restore once failed over what the first one left to be confirmed."""
    for number in range(2):
        (keeper / str(number)).mkdir()
        backup, keys = (keeper / str(number) / name for name in ("backup", "keys"))
        sealed = ("--to", keeper / "recipient", "--dir", instance)
        assert exchange("backup", backup, *sealed).code == 0
        assert exchange("keys", "escrow", "--out", keys, *sealed).code == 0
        instance, identity = keeper / f"new-{number}", ("--identity", keeper / "identity")
        assert exchange("keys", "restore", keys, *identity, "--dir", instance).code == 0

        told = exchange("restore", backup, *identity, "--dir", instance)

        assert told.code == 0, told.err


def test_backup_holds_no_key_and_keys_hold_no_data(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)
    identity = Identity.from_text((keeper / "identity").read_text())
    inside = b"".join(open_sealed(identity, memoryview(backup.read_bytes())))
    layout = InstanceLayout(instance.absolute())

    for path in (
        layout.roots_file,
        layout.cursor_key_file,
        layout.log_key_file,
        layout.node_key_file,
        layout.server_key_file,
    ):
        secret = path.read_bytes()
        assert secret not in inside
        assert base64.b64encode(secret) not in inside
    assert json.loads(inside.split(b"\n", 1)[0])["exchange_backup"] == 3
    # With what stands around it: three bytes are in ciphertext by chance now and then.
    at = inside.index(b"GBR")
    assert inside[at - 8 : at + 8] not in backup.read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (backup, keys)} == {0o600}


def test_nothing_is_overwritten(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)

    for verb in (("backup", backup), ("keys", "escrow", "--out", backup)):
        again = exchange(*verb, "--to", keeper / "recipient", "--dir", instance)
        assert (again.code, "exists already" in again.err) == (1, True)
    over = exchange("restore", backup, "--identity", keeper / "identity", "--dir", instance)
    assert (over.code, "in use" in over.err) == (1, True)
    beside = exchange("keys", "restore", keys, "--identity", keeper / "identity", "--dir", instance)
    assert (beside.code, "already" in beside.err) == (1, True)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("cut", "was changed, or cut"),
        ("flip", "was changed, or cut"),
        ("other", "sealed to another recipient"),
        ("empty", "is empty"),
        ("keys", "is no backup of the exchange"),
    ],
)
def test_what_cannot_be_opened_whole_changes_nothing_and_says_why(exchange, instance, keeper, spoil, why):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", keeper / "identity"
    assert exchange("keys", "restore", keys, "--identity", identity, "--dir", place).code == 0
    content = bytearray(backup.read_bytes())
    match spoil:
        case "cut":
            del content[-100:]
        case "flip":
            content[len(content) // 2] ^= 1
        case "empty":
            content.clear()
        case "keys":
            content[:] = keys.read_bytes()
        case "other":
            identity = keeper / "stranger"
            assert exchange("keys", "recipient", "--out", identity).code == 0
    backup.write_bytes(content)
    before = {path for path in place.rglob("*") if path.is_file()}

    refused = exchange("restore", backup, "--identity", identity, "--dir", place)

    assert refused.code == 1
    assert why in refused.err
    assert "unexpected" not in refused.err
    assert {path for path in place.rglob("*") if path.is_file()} == before


def forged(backup: Path, keeper: Path, change) -> None:
    """Put another backup in the place of this one, as whoever has the recipient can make one."""
    identity = Identity.from_text((keeper / "identity").read_text())
    lines = b"".join(open_sealed(identity, memoryview(backup.read_bytes()))).splitlines(keepends=True)
    backup.unlink()
    with sealed_io.SealedWriter(backup, identity.recipient) as writer:
        for line in change(lines):
            writer.write(line)


def unsigned(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def resigned(origin: str):
    def change(lines: list[bytes]) -> list[bytes]:
        async def signed() -> list[bytes]:
            async def each():
                for line in lines[:-1]:
                    yield line

            with tempfile.TemporaryDirectory() as folder:
                key = create_log_key(Path(folder) / "log.key", origin, os.urandom)
            return [line async for line in signed_lines(each(), key)]

        return asyncio.run(signed())

    return change


def changed(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"GBR", b"NOR") for line in lines]


def another_when_read_again():
    """Give the lines of a file as they are once, and other ones to whoever reads it after that."""
    readings = []

    @contextmanager
    def lines_of(file, identity):
        readings.append(file)
        with sealed_io.sealed_lines(file, identity) as lines:
            yield lines if len(readings) == 1 else (line.replace(b'"active"', b'"suspended"') for line in lines)

    return lines_of


def test_backup_that_anybody_can_have_made_is_refused_or_restored_knowingly(exchange, instance, keeper, monkeypatch):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0
    before = {path for path in place.rglob("*") if path.is_file()}
    own = backup.read_bytes()
    own_origin = load_log_key(InstanceLayout(instance).log_key_file).origin
    tries = (
        (unsigned, (), "is not signed"),
        (resigned("another.example/log/1"), (), "signed by `another.example/log/1`, whose keys are not known here"),
        (resigned(own_origin), (), "lacks the signature of"),
        (changed, (), "a wrong signature of"),
        (resigned(own_origin), ("--unverified",), "lacks the signature of"),
        (changed, ("--unverified",), "a wrong signature of"),
    )

    for change, options, told in tries:
        backup.unlink()
        backup.write_bytes(own)
        forged(backup, keeper, change)
        refused = exchange("restore", backup, *identity, "--dir", place, *options)
        assert (refused.code, told in refused.err) == (1, True), refused.err
        assert {path for path in place.rglob("*") if path.is_file()} == before

    backup.unlink()
    backup.write_bytes(own)
    # What is put there is what was verified, and not what somebody put in its place since.
    with monkeypatch.context() as swapped:
        swapped.setattr("exchange.cli.backups.sealed_lines", another_when_read_again())
        refused = exchange("restore", backup, *identity, "--dir", place)
    assert (refused.code, "was changed while it was restored" in refused.err) == (1, True), refused.err
    forged(backup, keeper, unsigned)
    taken = exchange("restore", backup, *identity, "--dir", place, "--unverified", "--json")
    assert (taken.code, taken.json["signed_by"]) == (0, None), taken.err
    claims = exchange("restored", "list", "--dir", place, "--json").json
    assert "backup-unverified" in {claim["id"] for claim in claims}
    assert len(claims) == taken.json["to_confirm"]


STRAYS = (
    "tls/./authorities/theirs.pem",
    "tls//authorities/theirs.pem",
    "./tls/crl/theirs.pem",
    "log/../tls/authorities/theirs.pem",
    "log/theirs",
    "secrets.pem",
)


def test_authority_does_not_come_back_unasked_under_another_spelling(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    own, sealed = backup.read_bytes(), keys.read_bytes()
    content = base64.b64encode((instance / "tls" / "ca.pem").read_bytes()).decode()

    def with_file(name):
        def change(lines):
            first, *rest = unsigned(lines)
            said = json.loads(first)
            said["files"][name] = content
            return [json.dumps(said, separators=(",", ":")).encode() + b"\n", *rest]

        return change

    def with_secret(name):
        def change(lines):
            said = json.loads(lines[0])
            said["files"][name] = content
            return [json.dumps(said).encode() + b"\n"]

        return change

    for name in STRAYS:
        keys.write_bytes(sealed)
        forged(keys, keeper, with_secret(name))
        refused = exchange("keys", "restore", keys, *identity, "--dir", place)
        assert (refused.code, name in refused.err, place.exists()) == (1, True, False), refused.err
    keys.write_bytes(sealed)
    assert exchange("keys", "restore", keys, *identity, "--dir", place).code == 0
    before = {path for path in place.rglob("*") if path.is_file()}
    for name in (*STRAYS, "secrets/theirs.key"):
        backup.write_bytes(own)
        forged(backup, keeper, with_file(name))
        refused = exchange("restore", backup, *identity, "--dir", place, "--unverified")
        assert (refused.code, name in refused.err) == (1, True), refused.err
        assert {path for path in place.rglob("*") if path.is_file()} == before


def beside(record: dict[str, object], place: int, count: int):
    """Put a record into a line of its own behind this line of a backup, or, where it counts none, into that line."""

    def change(lines: list[bytes]) -> list[bytes]:
        said = [json.loads(line) for line in unsigned(lines)]
        if count:
            said[-1]["archived"] = count
            said.insert(place, record)
        else:
            said[place] |= record
        return [json.dumps(each).encode() + b"\n" for each in said]

    return change


THEIRS = {"file": "tls/authorities/theirs.pem", "content": "eA=="}


@pytest.mark.parametrize(
    ("record", "place", "count"),
    [
        (THEIRS, 1, 1),
        ({**THEIRS, "file": "tls/edges.pem"}, 1, 1),
        ({**THEIRS, "file": "log/archive/../../theirs"}, 1, 1),
        ({**THEIRS, "file": 7}, 1, 1),
        ({"file": "log/archive/0/tile", "content": "?"}, 1, 1),
        (THEIRS, 0, 0),
        (THEIRS, -1, 0),
    ],
)
def test_whom_to_believe_does_not_come_back_unasked_as_a_file_of_the_archive(
    exchange, instance, keeper, record, place, count
):
    backup, keys = put_aside(exchange, instance, keeper)
    new, identity = keeper / "new", ("--identity", keeper / "identity")
    assert exchange("keys", "restore", keys, *identity, "--dir", new).code == 0
    before = {path for path in new.rglob("*") if path.is_file()}
    forged(backup, keeper, beside(record, place, count))
    told = exchange("restore", backup, *identity, "--dir", new, "--unverified")

    assert (told.code, "unexpected" in told.err) == (1 if count else 0, False), told.err
    if count:
        assert {path for path in new.rglob("*") if path.is_file()} == before
    assert not (new / "tls" / "authorities" / "theirs.pem").exists()


def test_backup_and_keys_are_held_against_the_public_keys_that_one_has_from_before(exchange, instance, keeper):
    backup, keys = put_aside(exchange, instance, keeper)
    place, identity = keeper / "new", ("--identity", keeper / "identity")
    layout = InstanceLayout(instance)
    other = keeper / "others-keys"
    other.write_text(create_log_key(keeper / "other.key", "another.example/log/1", os.urandom).verifier_keys)
    restore_keys = ("keys", "restore", keys, *identity, "--dir", place, "--key")
    restore = ("restore", backup, *identity, "--dir", place, "--json", "--key")

    refused = exchange(*restore_keys, other)
    assert (refused.code, "not those that `--key` names" in refused.err, place.exists()) == (1, True, False)
    assert exchange(*restore_keys, layout.log_verifier_file).code == 0
    refused = exchange(*restore, other)
    assert (refused.code, "known: `another.example/log/1`" in refused.err) == (1, True), refused.err
    done = exchange(*restore, layout.log_verifier_file)

    assert (done.code, done.json["signed_by"]) == (0, load_log_key(layout.log_key_file).origin), done.err


def test_backup_of_a_log_that_ended_is_known_by_what_lies_beside_the_database(exchange, instance, keeper):
    backup, _ = put_aside(exchange, instance, keeper)
    layout = InstanceLayout(instance)
    newer = replace_log_key(layout.log_key_file, load_log_key(layout.log_key_file).origin + "/2", os.urandom)
    with layout.log_verifier_file.open("a") as file:
        file.write(newer.verifier_keys)
    for rest in layout.folder.glob("exchange.db*"):
        rest.unlink()

    done = exchange("restore", backup, "--identity", keeper / "identity", "--dir", instance)

    assert done.code == 0, done.err


def test_no_backup_is_made_that_nothing_signs(exchange, instance, keeper):
    InstanceLayout(instance).log_key_file.unlink()

    refused = exchange("backup", keeper / "backup", "--to", keeper / "recipient", "--dir", instance)

    assert (refused.code, "log.key` is missing" in refused.err) == (1, True), refused.err
    assert not (keeper / "backup").exists()


def test_backup_in_place_of_the_keys_is_told_so(exchange, instance, keeper):
    backup, _ = put_aside(exchange, instance, keeper)

    refused = exchange("keys", "restore", backup, "--identity", keeper / "identity", "--dir", keeper / "new")

    assert (refused.code, "a backup is put back by `exchange restore`" in refused.err) == (1, True)


def test_recipient_is_taken_written_out_or_from_a_file(exchange, instance, keeper):
    written = (keeper / "recipient").read_text().strip()

    missing = exchange("backup", keeper / "one", "--to", keeper / "nobody", "--dir", instance)
    assert (missing.code, "nobody` cannot be read: no such file or directory" in missing.err) == (1, True)
    # Without a slash in it the whole of it would be one name, longer than a file's may be.
    for text in (written, "exchange-recipient-1:" + "A" * 1600):
        made = exchange("backup", keeper / "two", "--to", text, "--dir", instance)
        assert "unexpected" not in made.err
        assert (made.code == 0) == (text == written)


@pytest.mark.parametrize("size_bytes", [10, 3 << 20])
def test_full_disk_leaves_nothing_and_is_told(keeper, monkeypatch, size_bytes):
    def full(handle, mode):
        os.close(handle)
        return Path("/dev/full").open(mode)

    monkeypatch.setattr(sealed_io.os, "fdopen", full)

    with (
        pytest.raises(UnavailableError, match="cannot be written: no space left"),
        sealed_io.SealedWriter(keeper / "backup", Identity.new().recipient) as writer,
    ):
        writer.write(b"x" * size_bytes)

    assert {path.name for path in keeper.iterdir()} == {"identity", "recipient"}


def test_escrow_says_which_key_it_has_not(exchange, instance, keeper):
    (instance / "secrets" / "log.key").unlink()

    told = exchange("keys", "escrow", "--to", keeper / "recipient", "--out", keeper / "keys", "--dir", instance)

    assert told.code == 0
    assert "log.key` is missing here, and so not in the escrow: keep the one from before" in told.err


@pytest.mark.parametrize("name", ["../beside", "secrets/../../beside"])
def test_33_no_file_of_a_backup_lands_outside_of_the_instance(tmp_path, name):
    with pytest.raises(InvalidError, match="outside the instance"):
        _put_beside(InstanceLayout(tmp_path / "instance"), [(name, b"not theirs to write")])
    assert not (tmp_path / "beside").exists()


def test_identity_that_others_can_read_is_refused(exchange, instance, keeper):
    backup, _ = put_aside(exchange, instance, keeper)
    (keeper / "identity").chmod(0o644)

    refused = exchange("restore", backup, "--identity", keeper / "identity", "--dir", keeper / "new")

    assert refused.code == 1


def test_backup_that_is_not_whole_says_so_and_stands(exchange, instance, keeper):
    altered = "INSERT INTO duty_breach VALUES (1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'no number', 1)"
    with closing(sqlite3.connect(instance / "exchange.db")) as database, database:
        database.execute(altered)
    made = exchange("backup", keeper / "backup", "--to", keeper / "recipient", "--dir", instance, "--json")

    assert (made.code, made.json["rows_altered"], made.json["large_parts_missing"]) == (1, {"duty_breach": 1}, 0)
    assert "rows of `duty_breach` that hold what does not belong there: 1" in made.err
    assert (keeper / "backup").stat().st_size == made.json["bytes"]
