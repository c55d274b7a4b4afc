"""The life of a report with the command line alone: amended, lowered, passed on, recalled, destroyed."""

import pytest

from exchange.client import ExchangeClient
from tests.support.house import WARNING
from tests.support.terminal import before_terminal

pytestmark = pytest.mark.journey

LOW = "NATO RESTRICTED//ORCON/REL TO GBR, NOR"


@pytest.fixture(scope="module")
def living(house):
    """The house with two releasers of the originator."""
    for name in ("gbr-releaser", "gbr-second"):
        house.enrol(name, "GBR", "--role", "releaser")
    return house


def test_report_is_amended_superseded_and_downgraded(living):
    report = living.post(files=(WARNING,)).json["id"]
    amended = living.as_("gbr", "report", "amend", report, WARNING, "--subject", "again", "--json")
    marking = LOW.replace("ORCON/", "")
    waiting = living.as_("gbr-releaser", "report", "downgrade", report, "--marking", marking, "--json")
    act = living.as_("gbr-second", "act", "show", waiting.json["act"], "--json").json
    told = living.as_("gbr-second", "act", "show", waiting.json["act"])
    lowered = living.as_("gbr-second", "act", "confirm", act["id"], "--digest", act["digest"], "--json")
    seen = living.as_("nor", "report", "pull", report, "--json")
    newer = living.as_("gbr", "report", "supersede", report, WARNING, "--json")

    assert (amended.code, amended.json["version"]) == (0, 2)
    assert (waiting.code, waiting.json["state"], waiting.json["version"]) == (0, "awaiting-second-person", 2)
    assert (act["kind"], act["asked"]["to"], lowered.json["state"]) == ("downgrade", marking, "done")
    assert " ".join(told.out.split()).count(marking) == 2
    assert f"part 1 {marking} report {report} to {marking}" in " ".join(told.out.split())
    assert "labels" not in told.out
    assert (seen.json["subject"], seen.json["marking"]) == ("again", "NATO RESTRICTED//REL TO GBR, NOR")
    assert newer.json["supersedes"] == report
    assert living.as_("nor", "report", "pull", report, "--json").json["status"] == "superseded"


def test_reader_is_shown_which_version_it_is_and_until_when_it_holds(living):
    first = living.post("--valid-until", "2089-01-01T00:00:00Z", files=(WARNING,)).json["id"]
    words = ("--valid-until", "2090-01-01T00:00:00Z", "--declassify-on", "2091-01-01", "--reference", first)
    newer = living.post(*words, "--supersedes", first, files=(WARNING,)).json["id"]
    living.as_("gbr", "report", "amend", newer, WARNING)

    lines = [line.split("  ") for line in living.as_("nor", "report", "pull", newer).out.splitlines()]

    shown = {name[0]: name[-1].strip() for name in lines}
    assert (shown["version"], shown["supersedes"], shown["references"]) == ("2", first, first)
    assert (shown["valid until"], shown["declassified on"]) == ("2090-01-01 00:00:00Z", "2091-01-01")
    old = living.as_("nor", "report", "pull", first).out
    assert "valid until" in old
    assert not any(name in old for name in ("version ", "supersedes", "references", "declassified on", "conditions"))


def test_amendment_undoes_none_that_was_made_while_it_was_written(living, monkeypatch):
    report = living.post(files=(WARNING,)).json["id"]
    read, others = ExchangeClient.pull_report, []

    def overtaken(client, *words, **options):
        before = read(client, *words, **options)
        monkeypatch.setattr(ExchangeClient, "pull_report", read)
        others.append(living.as_("gbr", "report", "amend", report, WARNING, "--subject", "theirs", "--json").json)
        return before

    monkeypatch.setattr(ExchangeClient, "pull_report", overtaken)
    amended = living.as_("gbr", "report", "amend", report, WARNING, "--valid-until", "2090-01-01")
    seen = living.as_("nor", "report", "pull", report, "--json").json

    assert [each["version"] for each in others] == [2]
    assert (amended.code, "at version 2: read it again" in amended.err) == (1, True), amended
    assert (seen["subject"], seen["version"]) == ("theirs", 2)


def test_third_is_given_what_it_asked_for_and_loses_it_again(living):
    report = living.post("--marking", LOW, files=(WARNING,)).json["id"]
    asked = living.as_("nor", "report", "onward", "request", report, "--to", "DNK", "--reason", "theirs", "--json")
    assert living.as_("dnk", "report", "pull", report).code == 1
    words = ("grant", asked.json["id"], "--conditions", "not to be quoted", "--until", "2090-01-01", "--json")
    granted = living.as_("gbr-releaser", "report", "onward", *words)
    given, told = living.as_("dnk", "report", "pull", report, "--json"), living.as_("dnk", "report", "pull", report)
    revoked = living.as_("gbr-releaser", "report", "onward", "revoke", asked.json["id"])

    assert (granted.json["state"], granted.json["act"]) == ("granted", None)
    assert granted.json["until"] == "2090-01-01T00:00:00Z"
    assert (given.code, given.json["marking"]) == (0, LOW)
    terms = {"conditions": "not to be quoted", "purposes": [], "until": "2090-01-01T00:00:00Z"}
    assert given.json["released_under"] == [terms]
    assert "by GBR: not to be quoted; for any purpose; until 2090-01-01 00:00:00Z" in told.out
    assert revoked.code == 0
    assert living.as_("dnk", "report", "pull", report).code == 1


@pytest.mark.parametrize("kind", ["onward", "derive"])
def test_request_made_by_mistake_is_withdrawn_and_granted_no_more(living, kind):
    report = living.post("--marking", LOW, files=(WARNING,)).json["id"]
    wish = {
        "onward": ("--to", "ESP"),
        "derive": ("--marking", "NATO UNCLASSIFIED//REL TO GBR, NOR", "--until", "2090-01-01"),
    }
    who = {"onward": "nor", "derive": "gbr"}[kind]
    asked = living.as_(who, "report", kind, "request", report, *wish[kind], "--reason", "a mistake", "--json")
    withdrawn = living.as_(who, "report", kind, "withdraw", asked.json["id"])
    shown = living.as_("gbr-releaser", "report", kind, "list")
    listed = living.as_("gbr-releaser", "report", kind, "list", "--json").json
    granted = living.as_("gbr-releaser", "report", kind, "grant", asked.json["id"])

    assert (withdrawn.code, "withdrawn" in withdrawn.out) == (0, True)
    (line,) = [line for line in shown.out.splitlines() if asked.json["id"] in line]
    assert "withdrawn" in line
    (told,) = [each for each in listed if each["id"] == asked.json["id"]]
    # Clients from before know no other word.
    assert (told["state"], told["decided_at"], told["withdrawn_at"] is None) == ("lapsed", None, False)
    assert (granted.code, "who asked has withdrawn the request" in granted.err) == (1, True)


def test_derived_report_is_marked_lower_with_the_originators_consent_alone(living):
    living.enrol("nor-analyst", "NOR", "--role", "contributor", "--role", "reader")
    source = living.post("--marking", "NATO CONFIDENTIAL//REL TO GBR, NOR", files=(WARNING,)).json["id"]
    marking = ("--marking", "NATO RESTRICTED//REL TO NOR, GBR")

    def derived():
        return living.post(*marking, "--reference", source, who="nor-analyst", files=(WARNING,))

    assert derived().code == 1
    words = (source, *marking, "--until", "2090-01-01", "--reason", "police are to be warned", "--json")
    asked = living.as_("nor-analyst", "report", "derive", "request", *words)
    granted = living.as_("gbr-releaser", "report", "derive", "grant", asked.json["id"], "--json")
    made = derived()
    listed = living.as_("gbr-releaser", "report", "derive", "list")
    revoked = living.as_("gbr-releaser", "report", "derive", "revoke", asked.json["id"])

    assert (granted.json["state"], granted.json["act"]) == ("granted", None)
    assert made.json["references"] == [source]
    assert "NATO RESTRICTED//REL TO NOR, GBR" in listed.out
    assert revoked.code == 0
    assert derived().code == 1


def test_recalled_report_is_gone_and_its_destruction_certified(living, tmp_path):
    report = living.post(files=(WARNING,)).json["id"]
    assert living.as_("nor", "report", "pull", report).code == 0
    words = ("report", "recall", report, "--reason", "the source is at risk", *living.door("gbr-releaser"))
    asked = before_terminal("no\n", *words)
    assert (asked.code, "asked to destroy it  1 client: 1 of NOR" in asked.err) == (1, True)
    assert living.as_("nor", "report", "pull", report).code == 0
    recalled = living.as_("gbr-releaser", "report", "recall", report, "--reason", "the source is at risk", "--json")
    assert living.as_("nor", "report", "pull", report).code == 1
    asked = living.as_("nor", "report", "destruction", "list", "--json")
    told = living.as_("nor", "report", "notices", "--json")
    note = tmp_path / "certificate"
    certified = living.as_("nor", "report", "destruction", "certify", report, "--method", "erased", "--out", note)
    shown = living.as_("gbr-releaser", "report", "recall", report, "--show", "--json")

    assert [each["member"] for each in recalled.json["asked"]] == ["NOR"]
    assert [each["id"] for each in asked.json if each["id"] == report] == [report]
    assert ("recalled", report) in [(each["kind"], each["report"]) for each in told.json["items"]]
    assert certified.code == 0
    assert note.read_bytes().startswith(b"exchange.destruction/v1\n")
    assert [each["state"] for each in shown.json["asked"]] == ["certified"]


def test_certificate_that_cannot_be_written_is_printed(living, tmp_path):
    report = living.post(files=(WARNING,)).json["id"]
    living.as_("nor", "report", "pull", report)
    living.as_("gbr-releaser", "report", "recall", report, "--reason", "the source is at risk", "--json")
    nowhere = tmp_path / "missing" / "certificate"
    certified = living.as_("nor", "report", "destruction", "certify", report, "--method", "erased", "--out", nowhere)

    assert certified.code == 1
    assert "cannot be written" in certified.err
    assert "\nexchange.destruction/v1\n" in certified.out
    assert living.as_("nor", "report", "destruction", "certify", report, "--method", "erased").code == 1


def test_who_lowers_a_marking_at_a_terminal_is_told_for_whom(living):
    report = living.post("--marking", "NATO CONFIDENTIAL//REL TO GBR, NOR", files=(WARNING,)).json["id"]
    marking = "NATO RESTRICTED//REL TO GBR, DNK, NOR"
    wanted = ("--marking", marking, "--part-marking", marking)
    words = ("report", "downgrade", report, *wanted, *living.door("gbr-releaser"))
    asked = before_terminal("no\n", *words)
    unknown = living.as_("dnk", "report", "pull", report)
    lowered = before_terminal("yes\n", *words)

    assert (asked.code, unknown.code, lowered.code) == (1, 1, 0)
    assert asked.err.count("RESTRICTED of NATO, for DNK, GBR, NOR; no caveats") == 2


def test_who_pulls_is_shown_the_text_of_h3(living):
    words = ("--marking", "NATO RESTRICTED//H3/REL TO GBR, NOR", "--conditions", "ring before you act")
    report = living.post(*words, files=(WARNING,)).json["id"]
    pulled = living.as_("nor", "report", "pull", report)

    assert "ring before you act" in pulled.out
