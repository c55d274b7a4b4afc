"""A crisis with the command line alone: asked for, confirmed, read under, ended."""

import pytest

from tests.journeys.test_auditor import until
from tests.support.house import ROOT, WARNING, Ran

pytestmark = pytest.mark.journey

CLAUSE = """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    readers: [DNK]
    at_most: PT24H
    signatories: [{member: GBR, name: gbr}, {member: NOR, name: nor}]
"""
FOR_DNK = "NATO SECRET//REL TO GBR, DNK, NOR"


@pytest.fixture(scope="module")
def treaty(house, tmp_path_factory) -> str:
    """An agreement with a crisis clause, signed by all."""
    text = (ROOT / "policies" / "agreements" / "north-sea-cyber.yaml").read_text("utf-8")
    file = tmp_path_factory.mktemp("treaty") / "storm.yaml"
    file.write_text(text.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]") + CLAUSE, "utf-8")
    proposed = house.as_("gbr", "agreement", "propose", file, "--json")
    for name in ("gbr", "nor", "dnk"):
        assert house.sign(name, proposed.json["id"]).code == 0
    return proposed.json["id"]


def test_two_signatories_open_a_crisis_and_one_ends_it(house, treaty):
    wanted = ("--clause", "storm-watch", "--reason", "a cable was cut", "--hours", 2)
    asked = house.as_("gbr", "agreement", "crisis", "open", treaty, *wanted, "--json")
    alone = house.as_("gbr", "act", "confirm", asked.json["id"], "--digest", asked.json["digest"])
    confirmed = house.as_("nor", "act", "confirm", asked.json["id"], "--digest", asked.json["digest"])
    use, *_ = house.as_("dnk", "agreement", "crisis", "list", treaty, "--json").json
    report = house.post("--agreement", treaty, "--marking", FOR_DNK, files=(WARNING,)).json["id"]
    during = house.as_("dnk", "report", "pull", report)
    ended = house.as_("nor", "agreement", "crisis", "end", treaty, use["id"])
    after = house.as_("dnk", "report", "pull", report)

    assert (asked.json["kind"], asked.json["asked"]["lasts"]) == ("open-crisis", "PT2H")
    assert (alone.code, confirmed.code, during.code, ended.code, after.code) == (1, 0, 0, 0, 1)
    assert (use["readers"], use["opened_by"], use["open"]) == (["DNK"], ["GBR", "NOR"], True)
    assert "no such thing" in after.err
    table = house.as_("gbr", "agreement", "crisis", "list", treaty)
    assert "storm-watch" in table.out
    assert "over" in table.out


def test_auditor_reviews_what_was_released_only_because_of_it(house, treaty):
    for name, code in (("gbr-audit", "GBR"), ("nor-audit", "NOR"), ("dnk-audit", "DNK")):
        house.enrol(name, code, "--role", "auditor")
    wanted = ("--clause", "storm-watch", "--reason", "a second cable was cut", "--hours", 1)
    asked = house.as_("nor", "agreement", "crisis", "open", treaty, *wanted, "--json").json
    assert house.as_("gbr", "act", "confirm", asked["id"], "--digest", asked["digest"]).code == 0
    use = house.as_("dnk", "agreement", "crisis", "list", treaty, "--json").json[0]["id"]
    report = house.post("--agreement", treaty, "--marking", FOR_DNK, files=(WARNING,)).json["id"]
    for name in ("dnk", "nor"):
        assert house.as_(name, "report", "pull", report).code == 0
    assert house.as_("dnk", "report", "list").code == 0

    def review(name: str, *words: str) -> Ran:
        return house.as_(name, "agreement", "crisis", "review", use, *words)

    own = until(lambda: review("dnk-audit"), lambda ran: "report.listed" in ran.out)
    released = [line.split()[2:4] for line in own.out.splitlines()[1:]]
    assert released == [[report, "DNK"]] * 2
    (entry,) = review("gbr-audit", "--json").json
    assert (entry["entry"]["type"], entry["entry"]["member"]) == ("report.read", "DNK")
    assert f"crisis/{use}" in entry["entry"]["policies"]
    assert "nothing to show" in review("nor-audit").out
    other = house.as_("gbr-audit", "agreement", "crisis", "review", treaty)
    assert (other.code, f"agreement crisis list {treaty}" in other.err) == (0, True)
    assert "lacks the role" in review("gbr").err
    searched = house.as_("gbr-audit", "audit", "search", "--crisis", use, "--event", "report.read", "--json").json
    assert [each["id"] for each in searched] == [entry["id"]]
    assert house.as_("nor", "agreement", "crisis", "end", treaty, use).code == 0
    assert report in review("gbr-audit").out


def test_what_cannot_be_opened_is_told_and_opens_nothing(house, treaty):
    def opens(name: str, *words: object):
        return house.as_(name, "agreement", "crisis", "open", treaty, "--reason", "why", *words)

    assert "/hours" in opens("gbr", "--clause", "storm-watch", "--hours", 25).err
    assert "/hours" in opens("gbr", "--clause", "storm-watch", "--hours", 0).err
    assert "it has `storm-watch`" in opens("gbr", "--clause", "flood").err
    assert "does not name you" in opens("dnk", "--clause", "storm-watch").err
    assert "no such thing" in opens("esp", "--clause", "storm-watch").err
    assert "asked for" in opens("nor", "--clause", "storm-watch").out
