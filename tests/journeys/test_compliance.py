"""What parties promised and did, with the command line alone."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.kernel import rfc3339
from tests.support.house import WARNING

pytestmark = pytest.mark.journey


def scope_of(answer, member: str):
    (scope,) = next(party["scopes"] for party in answer.json["parties"] if party["member"] == member)
    return scope


def test_posts_and_acknowledgements_are_counted_for_those_whom_they_concern(house):
    before = house.as_("gbr", "agreement", "compliance", house.agreement, "--json")
    # What was posted here: on a slow machine others' FLASH reports are overdue by now.
    since = ("--since", rfc3339(datetime.now(UTC)))
    report = house.post("--precedence", "FLASH", files=(WARNING,)).json["id"]
    house.post(files=(WARNING,))
    assert house.as_("nor", "report", "receipt", report).code == 0

    for_gbr = house.as_("gbr", "agreement", "compliance", house.agreement, "--json")
    own = house.as_("gbr", "agreement", "compliance", house.agreement, *since, "--json")
    for_dnk = house.as_("dnk", "agreement", "compliance", house.agreement, "--json")
    # Not a day that is written here: it would be too long ago one day.
    day = (datetime.now(UTC) - timedelta(days=300)).date().isoformat()
    table = house.as_("gbr", "agreement", "compliance", house.agreement, "--since", day)

    assert for_gbr.json["id"] == house.agreement
    assert scope_of(for_gbr, "GBR")["posts"] == scope_of(before, "GBR")["posts"] + 2
    flash = {each["precedence"]: each for each in scope_of(own, "NOR")["acknowledgements"]}["FLASH"]
    assert (flash["within"], flash["in_time"], flash["overdue"]) == ("PT10M", 1, 0)
    assert scope_of(for_gbr, "NOR")["rhythm"]["every"] == "P7D"
    assert all(each["in_time"] == 0 for each in scope_of(for_dnk, "NOR")["acknowledgements"])
    assert table.code == 0
    assert "every P7D" in table.out


def test_who_is_no_party_is_told_of_no_agreement(house):
    foreign = house.as_("esp", "agreement", "compliance", house.agreement)
    too_long = house.as_("nor", "agreement", "compliance", house.agreement, "--since", "2020-01-01")

    assert (foreign.code, too_long.code) == (1, 1)
    assert "no such thing, or none that you may see" in foreign.err
    assert "last 366 days" in too_long.err


def test_parties_consult_and_settle_and_a_third_hears_nothing(house):
    asked = house.as_("gbr", "agreement", "dispute", house.agreement, "--with", "NOR", "--text", "why?", "--json")
    answered = house.as_("nor", "agreement", "answer", asked.json["id"], "--text", "because", "--json")
    halfway = house.as_("nor", "agreement", "settle", asked.json["id"], "--text", "weekly", "--json")
    third = house.as_("dnk", "agreement", "answer", asked.json["id"], "--text", "we too")
    settled = house.as_("gbr", "agreement", "settle", asked.json["id"], "--text", "weekly", "--json")
    heard = house.as_("dnk", "agreement", "consultations", house.agreement, "--json")
    shown = house.as_("nor", "agreement", "consultations", house.agreement)
    breaches = house.as_("nor", "agreement", "breaches", house.agreement, "--json")

    states = [each.json["state"] for each in (asked, answered, halfway, settled)]
    assert states == ["open", "answered", "answered", "settled"]
    assert (third.code, heard.json) == (1, [])
    assert {each["kind"] for each in breaches.json} <= {"acknowledgement"}  # of what other journeys posted
    assert "because" in shown.out
    assert house.as_("gbr", "agreement", "consult", house.agreement, "--text", "").code == 1
