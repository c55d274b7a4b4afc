"""Reports whose parts are sent by themselves, from files."""

import hashlib
import json
from pathlib import Path

import httpx2
import pytest

from exchange.cli.posting import declared_parts_of, law_catalogue, size_of
from exchange.client import ConnectionFailedError, ProblemError
from exchange.kernel import InvalidError
from exchange.wire import LabelBody, PartBody, ReportBody

UPLOAD = "01980000-0000-7000-8000-000000000001"
CONTENT = bytes(range(256)) * 3000
LABEL = {"policy": "NATO", "classification": "SECRET", "compartments": [], "releasable_to": ["GBR"], "handling": []}


def report(*parts: PartBody) -> ReportBody:
    return ReportBody(
        agreement=UPLOAD,
        scope="s",
        kind="k",
        topic="t",
        regions=["EUR"],
        label=LabelBody.model_validate(LABEL),
        complete=False,
        parts=list(parts),
    )


def upload(received: set[int], sizes: dict[int, int]) -> dict[str, object]:
    part = {"label": LABEL, "marking": "NATO SECRET", "media_type": "a/b", "name": "a", "sha256": None}
    return {
        "id": UPLOAD,
        "agreement": UPLOAD,
        "scope": "s",
        "originator": "GBR",
        "begun_at": "2026-06-01T12:00:00Z",
        "given_up_at": "2026-06-02T12:00:00Z",
        "parts": [
            {**part, "number": number, "size_bytes": size, "received": number in received}
            for number, size in sizes.items()
        ],
    }


HEADER = {
    "id": UPLOAD,
    "agreement": UPLOAD,
    "scope": "s",
    "originator": "GBR",
    "kind": "k",
    "topic": "t",
    "regions": ["EUR"],
    "precedence": "ROUTINE",
    "subject": None,
    "label": LABEL,
    "marking": "NATO SECRET",
    "posted_at": "2026-06-01T12:00:00Z",
    "valid_until": None,
    "declassify_on": None,
    "status": "current",
    "supersedes": None,
    "references": [],
    "parts": [],
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    first, second = tmp_path / "a.bin", tmp_path / "b.bin"
    first.write_bytes(CONTENT)
    second.write_bytes(b"note")
    return [first, second]


def exchange(received: set[int], seen: list[tuple[str, str, bytes]]):
    sizes = {1: len(CONTENT), 2: 4}

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.method, request.url.path, request.read()))
        if request.url.path.endswith("/completion"):
            return httpx2.Response(201, json=HEADER)
        if request.method == "PUT":
            received.add(int(request.url.path.rpartition("/")[2]))
            return httpx2.Response(200, json=upload(received, sizes))
        return httpx2.Response(202, json=upload(received, sizes))

    return answer


def test_files_are_sent_one_by_one_and_the_report_completed(line, files):
    seen: list[tuple[str, str, bytes]] = []
    told: list[tuple[int, int]] = []
    one = line(exchange(set(), seen))
    parts = declared_parts_of(files, law_catalogue(), part_markings=[], media_types=[])
    header = one.client.uploads.post_files(report(*parts), files, progress=lambda *done: told.append(done))

    assert header.id == UPLOAD
    path = f"/v1/reports/{UPLOAD}"
    assert [each[:2] for each in seen] == [
        ("POST", "/v1/reports"),
        ("PUT", f"{path}/parts/1"),
        ("PUT", f"{path}/parts/2"),
        ("POST", f"{path}/completion"),
    ]
    assert (seen[1][2], seen[2][2]) == (CONTENT, b"note")
    assert one.sent[1].headers["content-length"] == str(len(CONTENT))
    assert one.sent[1].headers["content-type"] == "application/octet-stream"
    declared = json.loads(seen[0][2])
    assert declared["complete"] is False
    assert [(part["size_bytes"], part["sha256"], part["content"]) for part in declared["parts"]] == [
        (len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), None),
        (4, hashlib.sha256(b"note").hexdigest(), None),
    ]
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT) + 4, len(CONTENT) + 4)
    assert len(told) > 3


def test_other_number_of_files_than_of_parts_sends_none_of_them(line, files):
    """It was told as something unexpected, and after the first ones had been sent."""
    seen: list[tuple[str, str, bytes]] = []
    parts = declared_parts_of(files, law_catalogue(), part_markings=[], media_types=[])

    with pytest.raises(InvalidError, match="waits for 2 parts, and 1 files are given"):
        line(exchange(set(), seen)).client.uploads.post_files(report(*parts), files[:1])

    assert [each[0] for each in seen] == ["POST"]


def test_what_has_come_before_is_not_sent_again(line, files):
    seen: list[tuple[str, str, bytes]] = []
    one = line(exchange({1}, seen))
    parts = declared_parts_of(files, law_catalogue(), part_markings=[], media_types=[])
    one.client.uploads.post_files(report(*parts), files, idempotency_key="mine")

    assert [each[1].rpartition("/")[2] for each in seen] == ["reports", "2", "completion"]
    assert one.sent[0].headers["idempotency-key"] == "mine"


def test_part_whose_connection_broke_is_sent_again_from_its_beginning(line, files):
    seen: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.read())
        if len(seen) == 1:
            raise httpx2.ReadError("broken")
        return httpx2.Response(200, json=upload({1}, {1: len(CONTENT)}))

    one = line(answer)
    assert one.client.uploads.send_part(UPLOAD, 1, files[0]).parts[0].received
    assert seen == [CONTENT, CONTENT]


def test_completion_is_not_repeated(line):
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError("broken")

    one = line(answer)
    with pytest.raises(ConnectionFailedError):
        one.client.uploads.complete(UPLOAD)
    assert len(one.sent) == 1


def test_refused_part_ends_it(line, files):
    problem = {"code": "wrong-digest", "title": "x", "status": 422}
    one = line(lambda _: httpx2.Response(422, json=problem))
    with pytest.raises(ProblemError):
        one.client.uploads.send_part(UPLOAD, 1, files[0])
    assert len(one.sent) == 1


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.txt", "é".encode() * 200_000, "text/plain"),
        ("a.txt", b"\xe9" * 3, "application/octet-stream"),
        ("a.txt", "é".encode() + b"\xc3", "application/octet-stream"),
        ("a.json", b'{"type": "bundle"}', "application/stix+json;version=2.1"),
        ("a.json", b"[]", "application/json"),
        ("a.pcap", b"x", "application/vnd.tcpdump.pcap"),
        ("a.unknown", b"x", "application/octet-stream"),
    ],
)
def test_declared_type_is_what_name_and_bytes_suggest(tmp_path, name, content, media_type):
    file = tmp_path / name
    file.write_bytes(content)
    (part,) = declared_parts_of([file], law_catalogue(), part_markings=[f"{name}=NATO RESTRICTED"], media_types=[])

    assert (part.media_type, part.size_bytes, part.content) == (media_type, len(content), None)
    assert part.label is not None
    (given,) = declared_parts_of([file], law_catalogue(), part_markings=[], media_types=[f"{name}=text/csv"])
    assert given.media_type == "text/csv"


def test_file_that_is_not_there_is_named(tmp_path):
    for look in (size_of, lambda files: declared_parts_of(files, law_catalogue(), part_markings=[], media_types=[])):
        with pytest.raises(InvalidError, match=r"absent.*cannot be read"):
            look([tmp_path / "absent"])


def test_what_is_open_is_found_and_given_up(line):
    item = {
        "id": UPLOAD,
        "agreement": UPLOAD,
        "scope": None,
        "parts": None,
        "size_bytes": None,
        "begun_at": "2026-06-01T12:00:00Z",
        "given_up_at": "2026-06-02T12:00:00Z",
        "parts_received": 1,
        "received_bytes": 7,
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"items": [item]} if request.method == "GET" else {"id": UPLOAD})

    one = line(answer)
    (found,) = one.client.uploads.open()

    assert (found.id, found.parts, found.received_bytes) == (UPLOAD, None, 7)
    assert one.client.uploads.give_up(found.id) == UPLOAD
    assert [(each.method, each.url.path) for each in one.sent] == [
        ("GET", "/v1/uploads"),
        ("DELETE", f"/v1/uploads/{UPLOAD}"),
    ]
