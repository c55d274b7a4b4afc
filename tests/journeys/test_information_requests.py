"""A request for information with the command line alone: asked, listed, answered, closed, withdrawn."""

import pytest

from tests.support.house import WARNING

pytestmark = pytest.mark.journey

MARKING = "NATO SECRET//REL TO GBR, NOR"


@pytest.fixture(scope="module")
def asking(house):
    """The house with readers of both states that contribute, too."""
    house.enrol("gbr-desk", "GBR", "--role", "reader")
    house.enrol("nor-desk", "NOR", "--role", "reader", "--role", "contributor")
    return house


def ask(house, *more):
    where = ("--agreement", house.agreement, "--scope", "cyber-threats", "--kind", "intrep", "--topic", "cyber.apt")
    how = ("--region", "EUR", "--marking", MARKING, "--of", "NOR")
    return house.as_("gbr-desk", "request", "ask", "Which addresses?", *where, *how, "--json", *more)


def test_request_is_answered_by_a_report_and_ended_by_the_asker(asking):
    made = ask(asking, "--deadline", "2090-01-01")
    request = made.json["id"]
    listed = asking.as_("nor-desk", "request", "list", "--json")
    report = asking.post(who="nor-desk", files=(WARNING,)).json["id"]
    answered = asking.as_("nor-desk", "request", "answer", request, report, "--json")
    shown = asking.as_("gbr-desk", "request", "show", request)

    assert (made.code, made.json["asked"], made.json["state"]) == (0, ["NOR"], "open")
    assert [each["id"] for each in listed.json] == [request]
    assert "text" not in listed.json[0]
    assert [each["report"] for each in answered.json["answers"]] == [report]
    assert (shown.code, "Which addresses?" in shown.out, report in shown.out) == (0, True, True)
    assert asking.as_("dnk", "request", "show", request).code == 1
    assert asking.as_("nor-desk", "request", "close", request).code == 1
    assert asking.as_("gbr-desk", "request", "close", request).code == 0
    assert asking.as_("gbr-desk", "request", "withdraw", request, "--json").json["state"] == "withdrawn"
    assert asking.as_("nor-desk", "request", "show", request).code == 1


def test_request_that_cannot_be_made_says_every_fault(asking):
    refused = ask(asking, "--deadline", "2020-01-01", "--precedence", "ROUTINE", "--of", "DNK")

    assert refused.code == 1
    assert "/deadline" in refused.err
    assert "/asked/1" in refused.err
