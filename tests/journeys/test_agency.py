"""An agency's day, with the command line alone, on a running exchange."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from exchange.client import ExchangeClient
from tests.support.house import BUNDLE, MARKING, WARNING, command, done
from tests.support.prepared import PROGRAM, PreparedProcess
from tests.support.terminal import before_terminal

pytestmark = pytest.mark.journey

TEAR_LINE = f"{WARNING.name}=NATO RESTRICTED//REL TO GBR, DNK, NOR"
ABSENT = "01a206dc-85dc-7553-b174-629c9b01e720"


@pytest.fixture
def report(house):
    """The id of a report of two parts, the second with a lower marking that DNK may read."""
    return house.post("--subject", "day", "--part-marking", TEAR_LINE, files=(BUNDLE, WARNING)).json["id"]


def test_posted_report_is_pulled_byte_for_byte(house, report, tmp_path):
    ran = house.as_("nor", "report", "pull", report, "--out", tmp_path, "--json")

    assert ran.code == 0
    assert ran.json["marking"] == MARKING
    assert ran.json["subject"] == "day"
    for source in (BUNDLE, WARNING):
        assert (tmp_path / source.name).read_bytes() == source.read_bytes()
    assert "SUNBURST" not in ran.out


def test_operator_of_a_member_stops_its_own_clients_from_its_own_desk_and_no_others(house):
    house.enrol("nor-operator", "NOR", "--role", "operator")
    house.enrol("nor-stopped", "NOR", "--role", "reader")
    desk = house.clients["nor-stopped"]

    def operate(*words):
        return house.as_("nor-operator", "client", *words)

    assert {each["member"] for each in operate("list", "--json").json} == {"NOR"}
    assert operate("suspend", desk, "--json").json["standing"] == "suspended"
    assert house.as_("nor-stopped", "report", "list").code == 1
    assert operate("resume", desk, "--json").json["standing"] == "active"
    assert operate("clearance", desk, "--clearance", "RESTRICTED", "--json").json["clearance"]["level"] == "RESTRICTED"
    assert operate("revoke", desk, "--yes", "--json").json["standing"] == "revoked"
    assert operate("show", desk, "--json").json["version"] == 5
    foreign = operate("suspend", house.clients["gbr"], "--json")
    assert (foreign.code, foreign.json["error"]["code"]) == (1, "not-found")


def test_words_of_a_report_and_one_s_own_clearance_are_told(house):
    words = house.as_("nor", "policy", "vocabulary")
    given = house.as_("gbr", "policy", "vocabulary", "--json").json
    own = house.as_("nor", "profile", "whoami")

    assert (words.code, own.code, given["id"]) == (0, 0, "vocabulary")
    assert {"cyber.apt", "EUR", "intrep", "defence"} <= set(words.out.split())
    assert re.search(r"^NATO +NATO SECRET +yes$", words.out, re.MULTILINE)
    assert re.search(r"^NATO +ATOMAL, .*$", words.out, re.MULTILINE)
    assert re.search(r"^NATO +EYES ONLY, .*TLP:RED$", words.out, re.MULTILINE)
    assert max(map(len, words.out.splitlines())) <= 170
    assert any(law["id"] == "NATO" and "SECRET" in law["may_originate"] for law in given["policies"])
    assert {"NOR", "SECRET", "mutual-tls"} <= set(own.out.split())
    assert house.as_("nor", "profile", "whoami", "--json").json["id"] == house.clients["nor"]


def test_bytes_that_are_no_text_come_back_the_same(house, tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 10)
    posted = house.post(files=(tmp_path / "a.bin",)).json["id"]

    assert house.as_("nor", "report", "pull", posted, "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "a.bin").read_bytes() == bytes(range(256)) * 10


def test_large_part_is_streamed_and_whole(house, tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a.bin").write_bytes(content)
    posted = house.post(files=(tmp_path / "a.bin",)).json["id"]

    assert house.as_("nor", "report", "pull", posted, "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "a.bin").read_bytes() == content


def test_pull_into_a_file_is_told_that_it_needs_a_folder(house, report, tmp_path):
    (tmp_path / "mine").write_text("mine")

    ran = house.as_("nor", "report", "pull", report, "--out", tmp_path / "mine")

    assert (ran.code, "`--out` names a folder" in ran.err) == (1, True)
    assert (tmp_path / "mine").read_text() == "mine"


def test_pull_does_not_overwrite_unless_told_to(house, report, tmp_path):
    (tmp_path / WARNING.name).write_text("mine")

    ran = house.as_("nor", "report", "pull", report, "--out", tmp_path)

    assert ran.code == 1
    assert {path.name for path in tmp_path.iterdir()} == {WARNING.name}
    assert (tmp_path / WARNING.name).read_text() == "mine"
    assert house.as_("nor", "report", "pull", report, "--out", tmp_path, "--force").code == 0
    assert (tmp_path / WARNING.name).read_bytes() == WARNING.read_bytes()


def test_reader_of_the_tear_line_learns_of_nothing_else(house, report, tmp_path):
    ran = house.as_("dnk", "report", "pull", report, "--out", tmp_path, "--json")

    assert ran.json["subject"] is None
    assert ran.json["marking"] == "NATO RESTRICTED//REL TO GBR, DNK, NOR"
    assert [part["name"] for part in ran.json["parts"]] == [WARNING.name]
    assert BUNDLE.name not in ran.out
    assert (tmp_path / WARNING.name).read_bytes() == WARNING.read_bytes()


@pytest.mark.parametrize("verb", ["pull", "explain", "receipt"])
def test_who_is_no_party_is_told_what_everybody_is_told(house, report, verb):
    hidden = house.as_("esp", "report", verb, report)
    absent = house.as_("esp", "report", verb, ABSENT)

    assert (hidden.code, hidden.out, hidden.err) == (absent.code, absent.out, absent.err)
    assert hidden.code == 1
    assert "404" in hidden.err


def test_list_shows_each_what_it_may_see(house, report):
    listed = {
        name: {header["id"] for header in house.as_(name, "report", "list", "--json").json}
        for name in ("nor", "dnk", "esp")
    }

    assert report in listed["nor"]
    assert report in listed["dnk"]
    assert listed["esp"] == set()


def test_list_narrows_by_what_is_asked(house, report):
    assert house.as_("nor", "report", "list", "--topic", "cyber.vulnerability", "--json").json == []
    assert house.as_("nor", "report", "list", "--since", "2099-01-01", "--json").json == []
    assert house.as_("nor", "report", "list", "--topic", "cyber", "--agreement", house.agreement, "--json").json


def test_reader_is_told_why_it_may_read(house, report):
    shown = house.as_("nor", "report", "explain", report, "--json").json

    assert shown["decision"] == "permit"
    assert {rule["outcome"] for rule in shown["rules"]} == {"passed"}


def test_reader_acknowledges_receipt_and_the_first_time_counts(house, report):
    first = house.as_("nor", "report", "receipt", report, "--json").json
    again = house.as_("nor", "report", "receipt", report, "--json").json
    shown = house.as_("nor", "report", "receipt", report)

    assert first == again
    assert (first["id"], first["client"]) == (report, house.clients["nor"])
    assert first["entry"] in shown.out


def test_operator_is_told_the_decision_and_no_content(house, report):
    ran = house.operate("policy", "explain", report, "--client", house.clients["esp"], "--json")

    assert ran.json["decision"] == "refuse"
    assert {"not-a-party", "not-releasable"} <= set(ran.json["reasons"])
    assert "day" not in [rule["sentence"] for rule in ran.json["rules"]]
    with closing(sqlite3.connect(house.folder / "exchange.db")) as database:
        entries = [json.loads(content) for (content,) in database.execute("SELECT content FROM audit_entry")]
    (entry,) = (each for each in entries if each["type"] == "report.explained" and each["object"]["id"] == report)
    assert entry["detail"] == {"client": house.clients["esp"], "viewer": "exchange"}
    assert house.as_("operator", "report", "pull", report).code == 1


@pytest.mark.parametrize("as_operator", [True, False])
def test_simulation_says_who_could_read(house, as_operator):
    words = (
        "policy", "simulate", "--agreement", house.agreement, "--scope", "cyber-threats", "--kind", "intrep",
        "--topic", "cyber.apt", "--region", "EUR", "--marking", MARKING, "--json",
    )  # fmt: skip
    ran = house.operate(*words, "--originator", "GBR") if as_operator else house.as_("gbr", *words)

    outlook = {member["member"]: member for member in ran.json["members"]}
    assert outlook["NOR"]["can_read"] is True
    assert outlook["DNK"]["reasons"] == ["not-releasable"]
    assert "ESP" not in outlook


def test_one_key_posts_once(house, tmp_path):
    key = f"key-{time.monotonic_ns()}"
    before = house.reports()

    first, second = (house.post("--idempotency-key", key) for _ in range(2))

    assert first.json["id"] == second.json["id"]
    assert house.reports() == before + 1


def test_revocation_holds_from_the_next_request_on(house, report):
    house.enrol("leaver", "NOR", "--role", "reader")
    assert house.as_("leaver", "report", "pull", report).code == 0

    assert house.operate("client", "revoke", house.clients["leaver"]).code == 0

    ran = house.as_("leaver", "report", "pull", report)
    assert ran.code == 1
    assert "`client-suspended`, 403" in ran.err


def test_lower_clearance_holds_from_the_next_request_on(house, report):
    house.enrol("demoted", "NOR", "--role", "reader")
    assert house.as_("demoted", "report", "pull", report).code == 0

    changed = house.operate("client", "clearance", house.clients["demoted"], "--level", "UNCLASSIFIED")

    assert changed.code == 0
    assert "404" in house.as_("demoted", "report", "pull", report).err


def test_second_certificate_serves_while_the_first_is_replaced(house, report):
    house.enrol("rotating", "NOR", "--role", "reader")
    house.enrol("donor", "NOR", "--role", "reader")
    donated = house.files("donor") / "client.pem"

    ran = house.operate("client", "certificate", "add", house.clients["rotating"], donated)

    # A certificate serves one client for ever: what another was enrolled with is refused.
    assert ran.code == 1
    assert house.as_("rotating", "report", "pull", report).code == 0


@pytest.mark.parametrize("act", ["suspend", "withdraw"])
def test_agreement_ends_for_who_leaves_it(house, act, tmp_path):
    text = (
        (BUNDLE.parents[3] / "policies" / "agreements" / "north-sea-cyber.yaml")
        .read_text(encoding="utf-8")
        .replace("title: ", f"title: {act} ")
    )
    (tmp_path / "terms.yaml").write_text(text, encoding="utf-8")
    agreement = house.operate("agreement", "propose", tmp_path / "terms.yaml", "--json").json["id"]
    for name in ("gbr", "nor", "dnk"):
        assert house.sign(name, agreement).code == 0
    posted = house.post("--agreement", agreement).json["id"]
    assert house.as_("nor", "report", "pull", posted).code == 0
    asked = before_terminal("no\n", "agreement", act, agreement, *house.door("nor")) if act == "withdraw" else None

    assert house.as_("nor", "agreement", act, agreement).code == 0
    if asked is not None:
        assert asked.code == 1
        assert "0 of NOR's, 1 of others', of those that you may read" in asked.err
        assert "every report of NOR under it is recalled" in asked.err

    # Who withdraws gives notice: it stays bound, and reads, until that has passed; nothing is there to be resumed.
    is_gone = act == "suspend"
    pulled = house.as_("nor", "report", "pull", posted)
    assert ("404" in pulled.err, pulled.code) == (is_gone, int(is_gone))
    assert house.as_("nor", "agreement", "resume", agreement).code == int(not is_gone)
    assert house.as_("nor", "report", "pull", posted).code == 0


def test_who_signs_at_a_terminal_is_shown_what_is_signed(house, tmp_path):
    text = (BUNDLE.parents[3] / "policies" / "agreements" / "north-sea-cyber.yaml").read_text(encoding="utf-8")
    for name, title in (("first", "asked about"), ("second", "asked about again")):
        (tmp_path / f"{name}.yaml").write_text(text.replace("title: ", f"title: {title} "), encoding="utf-8")
    proposed = house.operate("agreement", "propose", tmp_path / "first.yaml", "--json").json
    words = ("agreement", "sign", proposed["id"], "--signing-key", house.files("gbr") / "agreement.key")

    asked = before_terminal("no\n", *words, *house.door("gbr"))
    parties = house.as_("gbr", "agreement", "show", proposed["id"], "--json").json["parties"]
    signed = before_terminal("yes\n", *words, *house.door("gbr"))
    assert (asked.code, signed.code, {party["state"] for party in parties}) == (1, 0, {"pending"})
    shown = ("asked about", proposed["text"], "originator-consent", "kept for P5Y", "This cannot be undone")
    assert [told for told in shown if told not in asked.err] == []

    for name in ("nor", "dnk"):
        assert house.sign(name, proposed["id"]).code == 0
    house.as_("gbr", "agreement", "amend", proposed["id"], tmp_path / "second.yaml")
    asked = before_terminal("no\n", *words, "--amendment", "1", *house.door("gbr"))
    given = before_terminal("", *words, "--amendment", "1", "--yes", *house.door("gbr"))
    assert (asked.code, given.code) == (1, 0)
    # All of what is signed, and not what the exchange says that it changes.
    assert all(told in asked.err for told in ("take-back` takes it back", "asked about again", "kept for P5Y"))
    assert "cannot be undone" not in asked.err


def test_operator_signs_for_nobody(house):
    key = house.files("gbr") / "agreement.key"
    ran = house.as_("operator", "agreement", "sign", house.agreement, "--signing-key", key)

    assert ran.code == 1
    assert "role-missing" in ran.err


def test_who_is_no_party_sees_no_agreement(house):
    assert house.as_("esp", "agreement", "list", "--json").json == []
    assert "404" in house.as_("esp", "agreement", "show", house.agreement).err


def test_follower_is_told_of_a_new_report(house, report):
    files = house.files("nor")
    follower = PreparedProcess(
        [*PROGRAM, "report", "list", "--follow", "--json", "--url", house.url,
         "--cert", files / "client.pem", "--key", files / "client.key", "--ca", files / "ca.pem"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        assert "marking" in follower.stdout.readline()
        posted = house.post("--subject", "news").json["id"]
        line = follower.stdout.readline()
        while posted not in line:
            line = follower.stdout.readline()
            assert line
    finally:
        follower.terminate()
        follower.wait(60)
        follower.stdout.close()


def test_watcher_is_told_of_a_report_as_it_is_listed(house, report):
    files = house.files("nor")
    with ExchangeClient(house.url, files / "client.pem", files / "client.key", files / "ca.pem") as client:
        cursor = _end_of(client)
    posted = house.post("--subject", "watched", "--precedence", "FLASH").json["id"]
    watcher = PreparedProcess(
        [*PROGRAM, "report", "watch", "--json", "--after", cursor, "--url", house.url,
         "--cert", files / "client.pem", "--key", files / "client.key", "--ca", files / "ca.pem"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watcher.stdout is not None
        told = json.loads(watcher.stdout.readline())
        again = house.post("--subject", "watched too").json["id"]
        assert json.loads(watcher.stdout.readline())["id"] == again
    finally:
        watcher.send_signal(signal.SIGINT)
        code = watcher.wait(60)
        watcher.stdout.close()

    listed = {header["id"]: header for header in house.as_("nor", "report", "list", "--json").json}
    assert (told["id"], told["report"]) == (posted, listed[posted])
    assert code == 0


def _end_of(client):
    cursor = None
    while (page := client.page(cursor)).items:
        cursor = page.next
    return page.next


def test_saved_profile_serves_as_the_options_do(house, report, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    files = house.files("nor")
    done(
        "profile", "add", "nor", "--url", house.url, "--cert", files / "client.pem", "--key", files / "client.key",
        "--ca", files / "ca.pem",
    )  # fmt: skip

    assert command("report", "pull", report, "--profile", "nor").code == 0
