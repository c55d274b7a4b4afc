"""Receipts are on disk before the answer is used, one line each, for their owner alone."""

import base64
import json
import resource
import stat
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from exchange.client import AnswerError, ProblemError, ReceiptFileError, read_receipts
from exchange.client.transport import Transport
from exchange.kernel import is_uuid7

ENTRY = "019b796d-e988-7000-8000-000000000000"
LEAF = base64.b64encode(bytes(range(32))).decode()
HEADERS = {"X-Audit-Entry": ENTRY, "X-Audit-Leaf": LEAF}
MEMBERS = {"items": []}


def answering(line, handler, path):
    """A client that keeps receipts in `path`."""
    made = line(handler)
    made.endpoint = replace(made.endpoint, receipts=path)
    transport = Transport(made.endpoint)
    transport.close()
    transport._http = made.client._transport._http
    made.client._transport = transport
    return made.client


def members(headers, status=200):
    body = MEMBERS if status == 200 else {"code": "role-missing", "detail": "no"}
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def test_receipt_of_an_answer_is_kept(line, tmp_path):
    path = tmp_path / "deep" / "receipts.ndjson"
    answering(line, members(HEADERS), path).members()

    (kept,), spoiled = read_receipts(path)

    assert (kept.entry, kept.leaf, kept.request, kept.status) == (ENTRY, LEAF, "GET /v1/members", 200)
    assert kept.leaf_hash == bytes(range(32))
    assert kept.at.endswith("Z")
    assert spoiled == []


def test_receipt_file_is_its_owners_alone(line, tmp_path):
    path = tmp_path / "receipts.ndjson"
    answering(line, members(HEADERS), path).members()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_receipt_is_on_the_disk_before_the_answer_is_used_and_the_name_of_its_file_too(line, tmp_path, monkeypatch):
    path, synced = tmp_path / "receipts.ndjson", []

    def sync(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.read_bytes().count(b"\n")))

    monkeypatch.setattr("exchange.client.receipts.os.fsync", sync)
    client = answering(line, members(HEADERS), path)
    for _ in range(2):
        client.members()

    assert synced == [(path, 1), (tmp_path, 1), (path, 2)]


def test_receipt_of_a_refusal_is_kept_before_it_is_raised(line, tmp_path):
    path = tmp_path / "receipts.ndjson"
    client = answering(line, members(HEADERS, 403), path)

    with pytest.raises(ProblemError):
        client.members()

    assert [each.status for each in read_receipts(path)[0]] == [403]


def test_receipt_of_a_stream_is_kept(line, tmp_path):
    path = tmp_path / "receipts.ndjson"
    client = answering(line, lambda _: httpx2.Response(200, content=b"part", headers=HEADERS), path)
    with client._transport.stream("/v1/reports/r/parts/1", {}) as answer:
        assert read_receipts(path)[0][0].request == "GET /v1/reports/r/parts/1"
        assert answer.read() == b"part"


@pytest.mark.parametrize("status", [429, 502, 503])
def test_refusal_without_a_receipt_leaves_no_line(line, tmp_path, status):
    path = tmp_path / "receipts.ndjson"
    client = answering(line, members({}, status), path)

    with pytest.raises(ProblemError):
        client.members()

    assert not path.exists()


def test_success_without_a_receipt_is_not_used(line, tmp_path):
    """An exchange that left receipts out could cut its log later, and no member could prove it."""
    path = tmp_path / "receipts.ndjson"

    with pytest.raises(AnswerError, match="brings no receipt"):
        answering(line, members({}), path).members()


def test_stream_without_a_receipt_is_not_begun(line, tmp_path):
    client = answering(line, lambda _: httpx2.Response(200, content=b"part"), tmp_path / "receipts.ndjson")

    with (
        pytest.raises(AnswerError, match="brings no receipt"),
        client._transport.stream("/v1/reports/r/parts/1", {}) as answer,
    ):
        answer.read()


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("headers", [{"X-Audit-Entry": ENTRY}, {"X-Audit-Leaf": LEAF}])
def test_half_a_receipt_is_none(line, tmp_path, headers, status):
    client = answering(line, members(headers, status), tmp_path / "receipts.ndjson")

    with pytest.raises(AnswerError, match="receipt is none"):
        client.members()


@pytest.mark.parametrize(
    ("entry", "leaf"), [("../x", LEAF), (ENTRY, "x"), (ENTRY, base64.b64encode(b"short").decode()), (ENTRY, LEAF + "!")]
)
def test_receipt_that_cannot_be_one_is_refused(line, tmp_path, entry, leaf):
    client = answering(line, members({"X-Audit-Entry": entry, "X-Audit-Leaf": leaf}), tmp_path / "receipts.ndjson")

    with pytest.raises(AnswerError, match="receipt is none"):
        client.members()


def test_answer_whose_receipt_cannot_be_kept_is_not_used(line, tmp_path):
    client = answering(line, members(HEADERS), tmp_path)

    with pytest.raises(ReceiptFileError, match="is a directory"):
        client.members()


def test_answer_of_whose_receipt_the_disk_took_a_part_is_not_used(line, tmp_path):
    path = tmp_path / "receipts.ndjson"
    client = answering(line, members(HEADERS), path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(ReceiptFileError, match="no space left"):
            client.members()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert path.stat().st_size == 100


def test_line_cut_short_by_a_crash_spoils_no_other(line, tmp_path):
    path = tmp_path / "receipts.ndjson"
    path.write_bytes(b'{"entry":"019b')
    client = answering(line, members(HEADERS), path)

    for times in (1, 2):
        client.members()
        kept, spoiled = read_receipts(path)
        assert ([each.entry for each in kept], spoiled) == ([ENTRY] * times, [1])


def test_line_that_is_there_twice_counts_once_and_a_refused_flood_too(tmp_path):
    whole = {"entry": ENTRY, "leaf": LEAF, "at": "2026-01-01T00:00:00Z", "request": "GET /v1/whoami", "status": 200}
    later, flood = whole | {"at": "2026-01-01T00:00:01Z"}, whole | {"status": 429}
    path = tmp_path / "receipts.ndjson"
    path.write_text(
        "".join(f"{json.dumps(each)}\n" for each in (whole, whole, later, flood, flood | {"at": later["at"]}))
    )

    kept, spoiled = read_receipts(path)

    # Of two answers with one entry both are there: they are held against each other.
    assert ([(each.status, each.at) for each in kept], spoiled) == (
        [(200, whole["at"]), (200, later["at"]), (429, whole["at"])],
        [],
    )


def test_programs_that_write_to_one_file_at_once_overwrite_nothing(line, tmp_path, monkeypatch):
    path = tmp_path / "receipts.ndjson"
    client = answering(line, members(HEADERS), path)
    client.members()
    other = path.read_bytes().replace(ENTRY.encode(), b"019b796d-e988-7000-8000-000000000001")

    def meanwhile(_):
        path.write_bytes(path.read_bytes() + other)
        return True

    monkeypatch.setattr("exchange.client.receipts._ends_whole", meanwhile)
    client.members()

    kept, spoiled = read_receipts(path)
    assert (len(kept), spoiled, path.read_bytes().count(b"\n")) == (3, [], 3)


@pytest.mark.parametrize(
    "change",
    [
        {"entry": "x"},
        {"leaf": 3},
        {"status": "200"},
        {"status": True},
        {"at": None},
        {"at": "then"},
        {"more": 1},
        {"entry": None},
    ],
)
def test_line_of_another_form_is_counted_as_spoiled(tmp_path, change):
    whole = {"entry": ENTRY, "leaf": LEAF, "at": "2026-01-01T00:00:00Z", "request": "GET /v1/whoami", "status": 200}
    path = tmp_path / "receipts.ndjson"
    path.write_text(f"\n{json.dumps(whole)}\n{json.dumps(whole | change)}\n[]\n{'x' * 5000}\n{'[' * 4000}\n")

    kept, spoiled = read_receipts(path)

    assert len(kept) == 1
    assert is_uuid7(kept[0].entry)
    assert spoiled == [3, 4, 5, 6]


def test_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ReceiptFileError, match="begins its own with its first answer"):
        read_receipts(tmp_path / "absent")
