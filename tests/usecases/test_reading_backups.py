"""What a backup is asked before anything of it is restored; nothing here needs a database."""

import json
from contextlib import nullcontext
from typing import Any

import pytest

from exchange.audit import EventName, Outcome, Subject, seal_entry
from exchange.crypto import CryptoError
from exchange.kernel import InvalidError, MalformedError, UnavailableError, rfc3339
from exchange.store.database.schema import head
from exchange.usecases.upkeep.backups import read_contents, require_its_keys, what_came_after
from tests.support.store import NOW, draft, fresh_id

MADE_AT = "2020-01-01T00:00:00Z"


def backup(*records: dict[str, Any], **first: object) -> list[bytes]:
    """Return the lines of a backup that holds these records."""
    header = {"exchange_backup": 3, "made_at": MADE_AT, "node": "n", "schema": head(), "files": {}, **first}
    end = {"end": {record["t"]: len(record["r"]) for record in records}, "blobs": 0, "missing": 0, "altered": {}}
    return [json.dumps(each).encode() for each in (header, *records, end)]


def keys(*destroyed_at: int | None) -> dict[str, Any]:
    """Return rows of personal keys, named by their numbers."""
    columns = ["key_id", "key_version", "wrap_suite", "wrapped_key", "kid", "subject", "period", "boot", "destroyed_at"]
    named = [["k", 1, "s", {"b": ""}, str(each), "x", "2026-10", "b", at] for each, at in enumerate(destroyed_at)]
    return {"t": "personal_key", "c": columns, "r": named}


class Answering:
    """Custody that answers each unwrap in turn, and opens whatever comes after."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)

    async def unwrap(self, *_: object) -> bytes:
        if self.faults:
            raise self.faults.pop(0)
        return b""


def test_backup_that_lacks_rows_of_its_middle_is_not_whole() -> None:
    (first, _, end) = backup(keys(None))

    with pytest.raises(MalformedError, match="not whole"):
        read_contents([first, end])


@pytest.mark.parametrize("made_as", [None, 0, 2, 99])
def test_backup_of_no_known_form_is_refused(made_as: int | None) -> None:
    with pytest.raises(MalformedError, match="no backup of the exchange, or one of another version"):
        read_contents(backup(exchange_backup=made_as))


@pytest.mark.parametrize("line", [b"no record", b"[]", b'"end"', b"\xff"])
@pytest.mark.parametrize("place", [0, 1])
def test_line_that_is_no_record_makes_a_file_no_backup(line: bytes, place: int) -> None:
    lines = backup()
    lines.insert(place, line)

    with pytest.raises(MalformedError, match="no backup of the exchange"):
        read_contents(lines)


def test_log_of_a_backup_is_the_newest() -> None:
    logs = {"t": "log_state", "c": ["log", "origin", "keys", "size"], "r": [[n, f"log {n}", "", n] for n in (1, 3, 2)]}
    log = read_contents(backup(logs)).log

    assert log is not None
    assert (log.log, log.origin, log.size) == (3, "log 3", 3)


def test_backup_without_a_row_of_any_log_has_none() -> None:
    assert read_contents(backup({"t": "log_state", "c": ["log", "origin", "keys", "size"], "r": []})).log is None


def test_keys_that_were_destroyed_open_nothing_and_are_not_tried() -> None:
    contents = read_contents(backup(keys(None, 1, None, 1, 1, 1, 1, 1)))

    assert [key["kid"] for key in contents.personal_keys] == ["0", "2"]


@pytest.mark.parametrize(
    ("faults", "is_refused"),
    [
        ([], False),
        ([CryptoError("damaged")], False),
        ([UnavailableError("no such version")], True),
        ([CryptoError("damaged"), UnavailableError("no such version")], True),
        ([CryptoError("damaged")] * 3, True),
    ],
)
async def test_keys_of_another_instance_are_told_by_the_first_that_custody_does_not_know(
    faults: list[Exception], is_refused: bool
) -> None:
    contents, custodian = read_contents(backup(keys(None, None, None))), Answering(*faults)

    with pytest.raises(InvalidError, match="put its own back first") if is_refused else nullcontext():
        await require_its_keys(contents, custodian)  # type: ignore[arg-type]  # all that is asked of custody


def test_what_nobody_knows_begins_where_the_kept_log_ends() -> None:
    told = draft(EventName.CLIENT_REVOKED, outcome=Outcome.REFUSED, subject=Subject("client", "x"))
    entry = seal_entry(told, entry_id=fresh_id(), node="n", boot=fresh_id(), node_seq=1)
    contents = read_contents(backup())

    ends = {
        why: what_came_after(contents, kept).claims[-1].told for why, kept in (("kept", [entry.content]), ("", None))
    }
    assert rfc3339(NOW).removesuffix("Z") in ends["kept"]
    assert MADE_AT in ends[""]
