"""An auditor's export and feed from a real exchange: killed in the middle and gone on with, nothing lost or doubled."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.audit.export import ExportedEntry, Statement, ndjson, parse_place
from exchange.kernel import system_clock
from exchange.settings import InstanceLayout, load_settings
from exchange.store import Store
from tests.support.house import House, command, done, served
from tests.support.prepared import PROGRAM, PreparedProcess
from tests.support.store import NODE_KEY, draft, run_apart
from tests.support.syslog_receiver import SyslogReceiver, make_receiver_files

MANY = 12_000
_WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An exchange with a log long enough to be interrupted, and two auditors."""
    base = tmp_path_factory.mktemp("exporting")
    home = House(base / "instance")
    done("init", "--dir", home.folder)
    done("member", "add", "NOR", "--name", "Norway", "--dir", home.folder)
    home.enrol("auditor", "EXCHANGE", "--role", "auditor")
    home.enrol("nor", "NOR", "--role", "auditor")
    run_apart(lambda: asyncio.run(_fill(home.folder)))
    with served(home.folder, base / "serve.log") as url:
        home.url = url
        _wait_until(lambda: int(home.operate("status", "--json").json["log_size"]) > MANY)
        yield home


async def _fill(folder: Path) -> None:
    url = load_settings(folder).database_url_with_password()
    store = await Store.open(url, node="filler", clock=system_clock, randomness=os.urandom, identity=NODE_KEY)
    for _ in range(MANY // 1000):
        await asyncio.gather(*(store.append(draft(source="host")) for _ in range(1000)))
    await store.close()


def _wait_until(holds) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _started(house: House, name: str, *words: object) -> subprocess.Popen[bytes]:
    files = house.files(name)
    door = ("--url", house.url, "--cert", files / "client.pem", "--key", files / "client.key", "--ca", files / "ca.pem")
    return PreparedProcess([*PROGRAM, *map(str, (*words, *door))], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _killed(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _read(path: Path) -> tuple[list[ExportedEntry], Statement]:
    *entries, last = [ndjson.read_line(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert isinstance(last, Statement)
    return entries, last


def test_auditor_exports_its_slice_into_a_file(house, tmp_path):
    ran = house.as_("auditor", "audit", "export", "--out", tmp_path / "log.ndjson", "--json")
    entries, statement = _read(tmp_path / "log.ndjson")

    assert ran.code == 0, ran.err
    assert ran.json["count"] == len(entries) == statement.count > MANY
    assert [entry.place.position for entry in entries] == list(range(len(entries)))
    assert statement.checkpoint.splitlines()[1] == str(parse_place(statement.end).position)
    assert [path.name for path in tmp_path.iterdir()] == ["log.ndjson"]


def test_members_auditor_exports_what_concerns_its_member(house, tmp_path):
    assert house.as_("nor", "audit", "export", "--out", tmp_path / "log.ndjson").code == 0
    entries, _ = _read(tmp_path / "log.ndjson")

    assert entries
    assert all("NOR" in {entry.entry.get("member"), entry.entry.get("owner")} for entry in entries)


def test_killed_export_is_resumed_exactly(house, tmp_path):
    target, part = tmp_path / "log.csv", tmp_path / "log.csv.part"
    process = _started(house, "auditor", "audit", "export", "--format", "csv", "--out", target)
    _wait_until(lambda: part.exists() and part.stat().st_size > 500_000)
    _killed(process)
    assert not target.exists()
    assert part.stat().st_size > 0

    ran = house.as_("auditor", "audit", "export", "--format", "csv", "--out", target, "--resume", "--json")

    assert ran.code == 0, ran.err
    with target.open(newline="") as file:
        head, *rows, last = list(csv.reader(file, strict=True))
    assert head[:2] == ["log", "position"]
    assert [int(row[1]) for row in rows] == list(range(ran.json["count"]))
    assert json.loads(last[head.index("detail")])["count"] == len(rows) > MANY
    assert not part.exists()


def test_export_is_not_resumed_as_another(house, tmp_path):
    target = tmp_path / "log.csv"
    process = _started(house, "auditor", "audit", "export", "--format", "csv", "--out", target)
    asked = target.with_name("log.csv.asked")
    _wait_until(lambda: asked.exists() and asked.stat().st_size > 0)
    _killed(process)
    if target.exists():
        pytest.skip("the export was quicker than the kill")

    ran = house.as_(
        "auditor", "audit", "export", "--format", "csv", "--event", "report.read", "--out", target, "--resume"
    )

    assert ran.code == 1
    assert "another export" in ran.err


@pytest.mark.parametrize("beside", [["--after", "1.5"], ["--force"]], ids=["after", "force"])
def test_resumed_export_is_told_nothing_that_it_would_pass_over(house, tmp_path, beside):
    ran = house.as_("auditor", "audit", "export", "--out", tmp_path / "log.ndjson", "--resume", *beside)

    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert "without `--after` and `--force`" in ran.err


def test_host_exports_what_verifies(house, tmp_path):
    ran = house.operate("audit", "export", "--out", tmp_path / "log.ndjson", "--json")
    entries, statement = _read(tmp_path / "log.ndjson")

    assert ran.code == 0, ran.err
    assert all(entry.content is not None for entry in entries)
    assert [entry.place.position for entry in entries] == list(range(parse_place(statement.end).position))
    keys = InstanceLayout(house.folder).log_verifier_file
    verified = command("audit", "verify", tmp_path / "log.ndjson", "--key", keys, "--json")
    assert (verified.code, verified.json["sound"], verified.json["size"]) == (0, True, len(entries)), verified.out


def test_changed_export_is_convicted(house, tmp_path):
    path = tmp_path / "log.ndjson"
    assert house.operate("audit", "export", "--out", path).code == 0
    lines = path.read_bytes().splitlines(keepends=True)
    lines[700] = lines[700].replace(b'"permitted"', b'"refused"')
    path.write_bytes(b"".join(lines))
    keys = InstanceLayout(house.folder).log_verifier_file

    verified = command("audit", "verify", path, "--key", keys, "--json")

    assert verified.code == 1
    assert 700 in [finding["position"] for finding in verified.json["findings"]]


@pytest.mark.parametrize("words", [("--format", "csv"), ("--event", "report.read")])
def test_host_exports_no_choice(house, tmp_path, words):
    ran = house.operate("audit", "export", *words, "--out", tmp_path / "f")

    assert ran.code == 2
    assert "whole log as `ndjson`" in ran.err


def test_reader_is_no_auditor(house, tmp_path):
    house.enrol("reader", "NOR", "--role", "reader")
    ran = house.as_("reader", "audit", "export", "--out", tmp_path / "f")

    assert ran.code == 1
    assert "role-missing" in ran.err


def test_feed_and_receiver_are_killed_and_come_back(house, tmp_path):
    files = make_receiver_files(tmp_path)
    state, seen = tmp_path / "state.json", list[int]()
    with SyslogReceiver(files) as receiver:
        port = receiver.port
        words = (
            "audit",
            "feed",
            "--to",
            f"syslog+tls://localhost:{port}",
            "--to-ca",
            files / "ca.pem",
            "--state",
            state,
        )
        # (1) the feed is killed in the middle
        process = _started(house, "auditor", *words)
        _wait_until(lambda: len(receiver.positions) > 500)
        _killed(process)
        # (2) it comes back, and the receiver drops dead
        receiver.limit = len(receiver.positions) + 2000
        process = _started(house, "auditor", *words)
        _wait_until(lambda: receiver.limit is None)
        seen += receiver.positions
    # (3) the receiver comes back under the running feed
    with SyslogReceiver(files, port) as receiver:
        last = int(house.operate("status", "--json").json["log_size"]) - 1
        _wait_until(lambda: last in receiver.positions)
        # (4) what is new follows
        house.as_("nor", "report", "list")
        _wait_until(lambda: max(receiver.positions) > last)
        seen += receiver.positions
        _killed(process)

    assert set(range(last + 1)) <= set(seen)
    assert parse_place(json.loads(state.read_text())["after"]).position <= max(seen)


def test_feed_ends_when_it_is_asked_to(house, tmp_path):
    files = make_receiver_files(tmp_path)
    with SyslogReceiver(files) as receiver:
        words = _to(receiver, files)
        ran = house.as_("nor", "audit", "feed", *words, "--format", "cef", "--state", tmp_path / "state")
        again = house.as_("nor", "audit", "feed", *words, "--format", "cef", "--state", tmp_path / "state")

    assert (ran.code, again.code) == (0, 0), ran.err + again.err
    assert len(receiver.messages) == len(set(receiver.messages))
    assert all(b" - CEF:0|" in message for message in receiver.messages)


def test_host_feeds_the_whole_log_without_a_client_and_signs_for_it(house, tmp_path):
    files, state = make_receiver_files(tmp_path), tmp_path / "state"
    with SyslogReceiver(files) as receiver:
        ran = house.operate("audit", "feed", *_to(receiver, files), "--state", state)
        again = house.operate("audit", "feed", *_to(receiver, files), "--state", state)
    last = max(receiver.positions)

    assert (ran.code, again.code) == (0, 0), ran.err + again.err
    assert sorted(receiver.positions) == list(range(last + 1))
    assert last >= MANY
    assert parse_place(json.loads(state.read_text())["after"]).position == last
    assert not any(b'name="' in message.split(b"\xef\xbb\xbf")[0] for message in receiver.messages)
    _wait_until(lambda: _host_fed_once(house))


def _host_fed_once(house: House) -> bool:
    looks = house.as_("auditor", "audit", "search", "--event", "audit.exported", "--json").json
    fed = [each["entry"] for each in looks if each["entry"].get("detail", {}).get("feed") == "once"]
    return {"host"} == {entry["actor"]["kind"] for entry in fed}


def test_host_feed_is_stopped_by_hand(house, tmp_path):
    files = make_receiver_files(tmp_path)
    with SyslogReceiver(files) as receiver:
        words = ("audit", "feed", *_to(receiver, files)[:-1], "--state", tmp_path / "state", "--dir", house.folder)
        with PreparedProcess(
            [*PROGRAM, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as feeding:
            _wait_until(lambda: len(receiver.positions) > MANY)
            feeding.send_signal(signal.SIGHUP)
            feeding.send_signal(signal.SIGINT)
            _, told = feeding.communicate(timeout=20)

    assert feeding.returncode not in {0, -signal.SIGHUP}
    assert b"Traceback" not in told


def _to(receiver, files):
    return ("--to", f"syslog+tls://localhost:{receiver.port}", "--to-ca", files / "ca.pem", "--once")
