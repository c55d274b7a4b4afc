"""Bad input gets a clear error that names the fault, nothing written, and an entry in the log."""

import json
import shutil
import socket
import sqlite3
import ssl
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import pytest

from exchange.client import client_context
from exchange.crypto import KeyAndCertificate, issue_client, new_authority
from tests.support.house import BUNDLE, WARNING
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


@pytest.fixture
def http(house):
    """A raw connection as GBR's contributor."""
    files = house.files("gbr")
    context = client_context(files / "client.pem", files / "client.key", files / "ca.pem")
    with httpx2.Client(base_url=house.url, verify=context, trust_env=False, timeout=30.0) as connection:
        yield connection


@contextmanager
def secure_line(house, context):
    """Open a TLS connection to write bytes into."""
    address = urlsplit(house.url)
    with (
        socket.create_connection((address.hostname, address.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname) as line,
    ):
        yield line


def recorded(house, event):
    """Return the entries of one kind, oldest first, as they stand in the database."""
    with closing(sqlite3.connect(house.folder / "exchange.db")) as database:
        entries = [
            json.loads(content) for (content,) in database.execute("SELECT content FROM audit_entry ORDER BY id")
        ]
    return [entry for entry in entries if entry["type"] == event]


def good_body(house):
    return {
        "agreement": house.agreement, "scope": "cyber-threats", "kind": "intrep", "topic": "cyber.apt", "regions": ["EUR"],
        "precedence": "ROUTINE", "subject": "x",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "parts": [{"label": None, "media_type": "text/plain", "name": "a.txt", "content": "hello", "encoding": "utf-8"}],
    }  # fmt: skip


JSON = {"Content-Type": "application/json"}

BROKEN = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe{}", 400),
    (b'{"a": 1, "a": 2}', 400),
    (b"[]", 422),
    (b'"text"', 422),
    (b"[" * 10_000, 400),
    (b'{"a": NaN}', 400),
]


@pytest.mark.parametrize(("body", "status"), BROKEN, ids=range(len(BROKEN)))
def test_body_that_is_no_report_writes_nothing_but_an_entry(house, http, body, status):
    before = house.reports()

    answer = http.post("/v1/reports", content=body, headers=JSON)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-audit-entry"]
    assert house.reports() == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"frob": 1}, "/frob"),
        ({"originator": "NOR"}, "/originator"),
        ({"id": "x"}, "/id"),
        ({"regions": []}, "/regions"),
        ({"regions": ["XXX"]}, "/regions/0"),
        ({"topic": "cyber.nothing"}, "/topic"),
        ({"kind": "gossip"}, "/kind"),
        ({"precedence": "SOON"}, "/precedence"),
        ({"parts": []}, "/parts"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "/valid_until"),
        ({"valid_until": "yesterday"}, "/valid_until"),
        ({"label": {"policy": "NATO", "classification": "TOP SECRET"}}, "/label/classification"),
        ({"label": {"policy": "NATO", "classification": "secret"}}, "/label/classification"),
        ({"label": {"policy": "NATO", "classification": "SECRET", "compartments": ["X"]}}, "/label/compartments/0"),
        ({"label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["ZZZ"]}}, "/label/releasable_to/0"),
        ({"label": None}, "/label"),
    ],
)
def test_wrong_field_is_pointed_at(house, http, change, pointer):
    before = house.reports()

    answer = http.post("/v1/reports", json={**good_body(house), **change})

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert answer.headers["x-audit-entry"]
    assert house.reports() == before


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/json", "{not json"),
        ("application/stix+json;version=2.1", '{"type": "indicator"}'),
        ("application/stix+json;version=2.1", "[]"),
    ],
)
def test_content_that_is_not_of_its_type_is_pointed_at(house, http, media_type, content):
    body = good_body(house)
    body["parts"][0] |= {"media_type": media_type, "content": content}

    answer = http.post("/v1/reports", json=body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/parts/0/content"]


def test_every_fault_is_told_at_once(house, http):
    answer = http.post("/v1/reports", json={**good_body(house), "topic": "x", "kind": "y", "regions": ["Z"]})

    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert {"/topic", "/kind", "/regions/0"} <= pointers


def test_good_body_is_good(house, http):
    # Without this, all of the above might be refused for another reason.
    assert http.post("/v1/reports", json=good_body(house)).status_code == 201


def test_oversize_body_is_refused_before_it_is_sent(house):
    address = urlsplit(house.url)
    files = house.files("gbr")
    context = client_context(files / "client.pem", files / "client.key", files / "ca.pem")
    head = (
        f"POST /v1/reports HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {1 << 30}\r\n\r\n"
    )
    with secure_line(house, context) as line:
        line.sendall(head.encode())
        answer = line.recv(65536)
        while not answer.endswith(b"}"):
            answer += line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"is larger than 16777216 bytes" in answer
    last = recorded(house, "route.requested")[-1]
    assert (last["detail"]["code"], last["detail"]["route"]) == ("too-large", "/v1/reports")


def test_oversize_file_is_refused_by_name_of_the_limit(house, tmp_path):
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(300 << 20)  # takes no room on the disk
    before = house.reports()

    ran = house.post(files=(tmp_path / "large.bin",))

    assert ran.code == 1
    assert "a report may have 268435456 (`too-large`, 413)" in ran.err
    assert house.reports() == before


def test_oversize_json_that_is_read_whole_is_refused(house, tmp_path):
    (tmp_path / "large.json").write_text('{"a": "' + "b" * 17_000_000 + '"}')
    before = house.reports()

    ran = house.post(files=(tmp_path / "large.json",))

    assert ran.code == 1
    assert "JSON is read whole to be checked, up to 16777216 bytes" in ran.err
    assert house.reports() == before


def test_truncated_upload_posts_nothing(house):
    address = urlsplit(house.url)
    files = house.files("gbr")
    context = client_context(files / "client.pem", files / "client.key", files / "ca.pem")
    body = json.dumps(good_body(house)).encode()
    head = (
        f"POST /v1/reports HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    before, entries = house.reports(), len(recorded(house, "route.requested"))
    with secure_line(house, context) as line:
        line.sendall(head.encode() + body[:-20])

    eventually(lambda: len(recorded(house, "route.requested")) > entries)
    assert recorded(house, "route.requested")[-1]["detail"]["code"] == "malformed"
    assert house.reports() == before


def test_plain_http_on_the_tls_port_is_told_to_use_https(house):
    address = urlsplit(house.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as line:
        line.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ask it by https://" in answer
    # The first at once; whoever follows within a minute is counted, and told after it.
    eventually(lambda: recorded(house, "connection.refused"))


def test_no_certificate_gets_no_answer(house):
    context = ssl.create_default_context(cafile=house.files("gbr") / "ca.pem")

    def ask():
        with secure_line(house, context) as line:
            line.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
            return line.recv(1)

    try:
        answer = ask()
    except (ssl.SSLError, ConnectionError):
        answer = b""

    assert answer == b""


@pytest.fixture
def forged(house):
    """Write the files of a client with another certificate."""

    def write(name, authority, *, days=30):
        pair = issue_client(authority, name, organisation="NOR/NSM", now=datetime.now(UTC), days=days)
        folder = house.files(name)
        folder.mkdir(parents=True)
        (folder / "client.pem").write_bytes(pair.certificate_pem)
        (folder / "client.key").write_bytes(pair.key_pem)
        (folder / "client.key").chmod(0o600)
        shutil.copy(house.files("nor") / "ca.pem", folder / "ca.pem")
        return house.as_(name, "report", "list")

    return write


def own_authority(house):
    tls = house.folder / "tls"
    return KeyAndCertificate((tls / "ca.key").read_bytes(), (tls / "ca.pem").read_bytes())


def test_expired_certificate_is_refused_and_said_so(house, forged):
    # It ended with the second in which it was issued.
    ran = forged("past", own_authority(house), days=0)

    assert ran.code == 1
    assert "/client.pem` ended at" in ran.err or "has expired" in ran.err


def test_certificate_of_an_unknown_authority_is_refused(forged):
    ran = forged("foreign", new_authority("foreign", datetime.now(UTC)))

    assert ran.code == 1
    assert "`exchange ca add`" in ran.err


def test_certificate_that_nobody_enrolled_is_401_and_recorded(house, forged):
    before = house.entries()

    ran = forged("stranger", own_authority(house))

    assert ran.code == 1
    assert "`not-authenticated`, 401" in ran.err
    assert house.entries() > before


def test_locked_database_releases_nothing(house):
    posted = house.post(files=(WARNING,)).json["id"]
    files = house.files("nor")
    context = client_context(files / "client.pem", files / "client.key", files / "ca.pem")
    lock = sqlite3.connect(house.folder / "exchange.db", isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
        with httpx2.Client(base_url=house.url, verify=context, trust_env=False, timeout=60.0) as connection:
            answer = connection.get(f"/v1/reports/{posted}")
    finally:
        lock.execute("ROLLBACK")
        lock.close()

    assert answer.status_code == 503
    assert b"SUNBURST" not in answer.content
    assert house.as_("nor", "report", "pull", posted).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--marking", "SECRET"), "write `NATO SECRET`"),
        (("--marking", "nato secret"), "NATO SECRET"),
        (("--marking", "COSMIC TOP SECRET//REL TO GBR, NOR"), "above the ceiling"),
        (("--marking", "NATO SECRET//REL TO GBR, FRA"), "/label/releasable_to"),
        (("--topic", "weather"), "/topic"),
        (("--kind", "gossip"), "/kind"),
        (("--region", "XXX"), "/regions/0"),
        (("--scope", "none"), "/scope"),
        (("--precedence", "SOON"), "/precedence"),
        (("--valid-until", "soon"), "is no date"),
        (("--agreement", "01a206dc-85dc-7553-b174-629c9b01e720"), "404"),
    ],
)
def test_command_line_names_the_fault_of_a_post(house, words, told):
    before = house.reports()

    ran = house.post(*words)

    assert ran.code == (2 if words[0] == "--valid-until" else 1)
    assert told in ran.err
    # A program is told the same.
    assert told in json.dumps(ran.json["error"], ensure_ascii=False)
    assert house.reports() == before


def test_reader_without_the_role_posts_nothing(house):
    ran = house.post(who="nor")

    assert ran.code == 1
    assert "`role-missing`, 403" in ran.err


def test_missing_file_is_named(house, tmp_path):
    ran = house.post(files=(BUNDLE, tmp_path / "none.json"))

    assert ran.code == 1
    assert "none.json" in ran.err
