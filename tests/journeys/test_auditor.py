"""An auditor's day, with the command line alone, on a running exchange."""

import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest

from tests.support.house import Ran, done
from tests.support.prepared import PROGRAM, PreparedProcess

pytestmark = pytest.mark.journey

SEQUENCED_SECONDS = 60
"""The log gives places within a second; two busy cores take longer."""


# SECRET is registered when it is distributed and when it is received.
EVENTS = ["report.distributed", "report.posted", "report.read", "report.read", "report.received"]


@pytest.fixture(scope="module")
def audited(house):
    """The house with auditors, and the id of a report that NOR has read and DNK has been refused."""
    for name, member in (("gbr-auditor", "GBR"), ("nor-auditor", "NOR"), ("auditor", "EXCHANGE")):
        if name not in house.clients:
            house.enrol(name, member, "--role", "auditor", "--clearance", "TOP SECRET")
    report = house.post("--subject", "audited").json["id"]
    assert house.as_("nor", "report", "pull", report).code == 0
    assert house.as_("dnk", "report", "pull", report).code == 1
    found = until(
        lambda: house.as_("auditor", "audit", "search", "--report", report, "--json"),
        lambda ran: sorted(entry["entry"]["type"] for entry in ran.json) == EVENTS,
    )
    acts = [entry for entry in found.json if entry["entry"]["type"] in {"report.posted", "report.read"}]
    return house, report, {entry["entry"]["member"]: entry for entry in acts}


def until(ask, is_there) -> Ran:
    deadline = time.monotonic() + SEQUENCED_SECONDS
    while True:
        ran = ask()
        assert ran.code == 0, ran.err
        if is_there(ran) or time.monotonic() > deadline:
            assert is_there(ran), ran.out
            return ran
        time.sleep(0.2)


def test_search_shows_a_table_and_json(audited):
    house, report, entries = audited
    shown = house.as_("gbr-auditor", "audit", "search", "--report", report, "--outcome", "refused")
    told = house.as_("gbr-auditor", "audit", "search", "--report", report, "--limit", "2", "--oldest", "--json")

    assert (shown.code, told.code) == (0, 0)
    assert "not-releasable" in shown.out
    assert entries["DNK"]["id"] in shown.out
    # On one screen: of who it was and what it was to, the end of the id.
    assert f"report ..{report[-6:]}  refused" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 140
    assert [entry["entry"]["type"] for entry in told.json] == ["report.posted", "report.distributed"]
    # Who asks who read it takes what is shown for all there is.
    assert "2 are shown, and there may be more" in told.err
    assert "there may be more" not in shown.err


def test_record_of_a_look_has_what_was_shown_and_no_more(audited):
    house, report, _ = audited
    searched = house.as_("gbr-auditor", "audit", "search", "--report", report, "--outcome", "permitted", "--limit", "3")
    registry = house.as_("gbr-auditor", "audit", "registry", report, "--limit", "1")
    assert (searched.code, registry.code) == (0, 0)

    def newest(ran: Ran) -> dict[str, int | None]:
        # Newest first: what the other tests looked for is behind.
        return {each["entry"]["type"]: each["entry"].get("result_count") for each in reversed(ran.json)}

    until(
        lambda: house.as_("auditor", "audit", "search", "--client", house.clients["gbr-auditor"], "--json"),
        lambda ran: {"audit.searched": 3, "audit.read": 1}.items() <= newest(ran).items(),
    )


def test_member_sees_its_own_slice_alone(audited):
    house, report, entries = audited
    # Its own auditors' looks are in it too.
    found = house.as_("nor-auditor", "audit", "search", "--report", report, "--event", "report.read", "--json").json

    assert [entry["id"] for entry in found] == [entries["NOR"]["id"]]
    assert house.as_("nor-auditor", "audit", "show", entries["DNK"]["id"]).code == 1


def test_entry_is_shown_with_its_leaf_and_whose_it_was(audited):
    house, _, entries = audited
    shown = house.as_("nor-auditor", "audit", "show", entries["NOR"]["id"])
    told = house.as_("nor-auditor", "audit", "show", entries["NOR"]["id"], "--json").json

    assert shown.code == 0
    assert entries["NOR"]["leaf"] in shown.out
    assert "personal name" in shown.out
    assert told["personal"]["name"] == "nor"
    assert told["personal"]["certificate_subject"].startswith("CN=nor,")
    assert told["personal"]["user_agent"].startswith("python-httpx")


@contextmanager
def slow_request(house, name: str) -> Iterator[Callable[[], None]]:
    """Begin a request, and give what sends the rest of it and waits for the answer."""
    files, where = house.files(name), urlsplit(house.url)
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "client.pem", files / "client.key")
    with (
        socket.create_connection((where.hostname, where.port)) as plain,
        context.wrap_socket(plain, server_hostname=where.hostname) as connection,
    ):
        head = "POST /v1/information-requests HTTP/1.1\r\nHost: exchange\r\nConnection: close\r\n"
        kind = "Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(f"{head}{kind}".encode())
        # It has begun once it is asked for its body.
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")

        def finish() -> None:
            connection.sendall(b"{}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")

        yield finish


def test_follower_is_shown_what_is_new_and_never_itself(audited):
    house, _, _ = audited
    report = house.post("--subject", "followed").json["id"]
    house.enrol("nor-follower", "NOR", "--role", "auditor", "--clearance", "TOP SECRET")
    files = house.files("nor-follower")
    door = ("--url", house.url, "--cert", files / "client.pem", "--key", files / "client.key", "--ca", files / "ca.pem")
    words = ("audit", "search", "--follow", "--member", "NOR", "--json", *door)
    with PreparedProcess([*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            # It follows once it has asked where the log ends, and for what is behind that.
            until(
                lambda: house.as_("auditor", "audit", "search", "--client", house.clients["nor-follower"], "--json"),
                lambda ran: len([each for each in ran.json if each["entry"]["type"] == "audit.exported"]) > 1,
            )
            with slow_request(house, "nor") as finish:
                assert house.as_("nor", "report", "pull", report).code == 0
                shown = next(
                    each for line in following.stdout if (each := json.loads(line))["entry"]["type"] == "report.read"
                )
                finish()
            assert house.as_("nor", "report", "pull", report).code == 0
            # What began before all that was shown, and ended behind it, is shown too.
            until_next = []
            while (entry := json.loads(following.stdout.readline())["entry"])["type"] != "report.read":
                until_next.append(entry)
            following.send_signal(signal.SIGINT)
            rest = [json.loads(line)["entry"]["type"] for line in following.stdout]
        except BaseException:
            following.kill()  # or leaving waits for it
            raise

    assert following.returncode == 0
    assert (shown["entry"]["object"]["id"], shown["entry"]["member"]) == (report, "NOR")
    late = [entry for entry in until_next if entry["type"] == "route.requested"]
    assert [entry["ts"] < shown["entry"]["ts"] for entry in late] == [True]
    assert not {"audit.searched", "audit.exported"} & {*rest, *(entry["type"] for entry in until_next)}


def test_registry_of_a_report_and_of_a_client(audited):
    house, report, entries = audited
    lines = house.as_("gbr-auditor", "audit", "registry", report, "--json").json
    client = house.as_("nor-auditor", "audit", "registry", "--client", house.clients["nor"])
    shown = house.as_("gbr-auditor", "audit", "registry", report)

    assert [(line["event"], line["member"]) for line in lines] == [
        *(("report.posted", "GBR"), ("report.distributed", "GBR")),
        *(("report.read", "NOR"), ("report.received", "NOR")),
    ]
    assert entries["NOR"]["id"] in client.out
    heads = [ran.out.splitlines()[0].split() for ran in (shown, client)]
    assert heads[0] == ["time", "event", "how", "member", "agency", "client", "part", "bytes", "purpose", "entry"]
    assert heads[1] == ["time", "event", "how", "report", "part", "bytes", "purpose", "entry"]
    assert [line.split()[2:4] for line in shown.out.splitlines()[-2:]] == [
        ["report.read", "-"],
        ["report.received", "read"],
    ]
    assert max(map(len, shown.out.splitlines() + client.out.splitlines())) <= 160
    assert (
        "1 is shown, and there may be more" in house.as_("gbr-auditor", "audit", "registry", report, "--limit", "1").err
    )
    assert house.as_("nor-auditor", "audit", "registry", report).code == 1
    assert house.as_("nor-auditor", "audit", "registry").code == 2


def test_readers_on_a_day(audited):
    house, report, entries = audited
    # Not today: it may have been read before midnight.
    day = entries["NOR"]["entry"]["ts"][:10]
    told = house.as_("gbr-auditor", "audit", "readers", report, "--on", day, "--json").json
    shown = house.as_("gbr-auditor", "audit", "readers", report, "--on", day)

    # Others share this exchange: of Norway there may be more readers by now.
    assert {each["member"] for each in told["could"]} == {"GBR", "NOR"}
    assert all(each["full"] >= 1 for each in told["could"])
    assert [each["client"] for each in told["did"]] == [house.clients["nor"]]
    assert "its own to know" in shown.out
    assert "did read" in shown.out


def test_auditor_is_told_why_a_client_may_or_may_not_as_far_as_it_may_know(audited):
    house, report, _ = audited
    words = ("report", "explain", report, "--client")

    told = house.as_("gbr-auditor", *words, house.clients["nor"])
    assert (told.code, "decision  not shown" in told.out) == (0, True)
    assert house.clients["nor"] in told.out
    assert house.as_("auditor", *words, house.clients["dnk"], "--json").json["decision"] == "refuse"
    assert "404" in house.as_("nor-auditor", *words, house.clients["nor"]).err
    assert "role-missing" in house.as_("nor", *words, house.clients["nor"]).err


def test_who_is_no_auditor_is_refused(audited):
    house, report, _ = audited
    for words in (("search",), ("registry", report), ("readers", report, "--on", "2026-01-01")):
        ran = house.as_("nor", "audit", *words)
        assert ran.code == 1
        assert "role" in ran.err


@pytest.mark.parametrize(
    "words", [("--since", "yesterday"), ("--since", "9999-12-31"), ("--event", "x"), ("--level", "secret")]
)
def test_wrong_filter_is_told(audited, words):
    house, _, _ = audited
    ran = house.as_("auditor", "audit", "search", *words)

    assert ran.code == (2 if "yesterday" in words else 1)
    assert words[1] in ran.err or words[0].strip("-") in ran.err


def test_search_by_time_and_everything_else(audited):
    house, report, entries = audited
    day = entries["NOR"]["entry"]["ts"][:10]
    before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    agreement = house.agreement
    filters = (
        *("--member", "NOR", "--agency", "A", "--client", house.clients["nor"], "--subject", report),
        *("--owner", "GBR", "--agreement", agreement, "--event", "report.read", "--level", "SECRET"),
    )
    found = house.as_("auditor", "audit", "search", *filters, "--since", day, "--json").json

    assert len(found) == 1
    assert house.as_("auditor", "audit", "search", *filters, "--since", before, "--until", day, "--json").json == []
    by_report = house.as_("auditor", "audit", "search", "--client", report, "--json")
    assert (by_report.json, by_report.code) == ([], 0)
    assert f"`{report}` is the id of another thing (report): `--subject` finds what was done to it" in by_report.err
    by_none = house.as_("gbr-auditor", "audit", "search", "--client", f"{report[:-4]}0000", "--json")
    assert "and no entry that you may see tells of such a client: `client list` has" in by_none.err
    # Whoever means a day by that would take the answer for one about it.
    nothing = house.as_("auditor", "audit", "search", *filters, "--since", day, "--until", day, "--json")
    assert [fault["pointer"] for fault in nothing.json["error"]["errors"]] == ["/until"]
    assert house.as_("auditor", "audit", "search", "--text", "releasable", "--reason", "not-releasable").code == 0
    assert done("--help").out
