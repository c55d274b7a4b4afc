"""Two persons erase a client's personal data, with the command line, on a running exchange."""

from datetime import UTC, datetime

import pytest

from tests.support.house import House

pytestmark = pytest.mark.journey


@pytest.fixture
def people(house: House) -> House:
    if "person-erased" not in house.clients:
        house.enrol("person-erased", "NOR", "--role", "reader")
        house.enrol("erasing-auditor", "EXCHANGE", "--role", "auditor")
    assert house.as_("person-erased", "report", "list").code == 0
    return house


def ask(house: House, *words: str, who: str = "operator"):
    given = {"--subject": house.clients["person-erased"], "--period": f"{datetime.now(UTC):%Y-%m}", "--reason": "left"}
    missing = [word for pair in given.items() if pair[0] not in words for word in pair]
    return house.as_(who, "audit", "erase-personal", "request", *words, *missing, "--json")


def test_one_asks_and_another_approves(people: House) -> None:
    asked = ask(people)
    seen = people.as_("erasing-auditor", "audit", "erase-personal", "show", asked.json["id"])
    alone = people.as_("operator", "audit", "erase-personal", "approve", asked.json["id"])
    done = people.as_("erasing-auditor", "audit", "erase-personal", "approve", asked.json["id"])

    assert asked.json["state"] == "requested"
    assert (alone.code, "a second person must" in alone.err) == (1, True)
    assert (seen.code, people.clients["person-erased"] in seen.out) == (0, True)
    assert done.code == 0
    assert "erased" in done.out


def test_reader_may_not(people: House) -> None:
    ran = ask(people, who="person-erased")

    assert ran.code == 1
    assert "lacks the role" in ran.err


@pytest.mark.parametrize(("words", "told"), [(("--period", "June 2026"), "/period"), (("--reason", ""), "/reason")])
def test_fault_is_told_before_anything_is_sent(people: House, words: tuple[str, str], told: str) -> None:
    ran = ask(people, *words)

    assert ran.code == 1
    assert told in ran.err
