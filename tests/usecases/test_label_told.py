"""By which label of a report a member is told of it."""

import pytest

from exchange.agreements import AgreementId
from exchange.markings import Label
from exchange.release import ClassFacts, Consent
from exchange.usecases.steps.entry_labels import label_told
from tests.support.world import the_law

WHOLE = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
MIDDLE = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


def told(member: str | None, *consented: Label) -> str:
    facts = ClassFacts(
        agreement=AgreementId("a"),
        scope="cyber-threats",
        originator="GBR",
        topic="cyber",
        regions=("EUR",),
        kind="intrep",
        label=WHOLE,
        part_labels=(LOW, MIDDLE, WHOLE),
        consents=(Consent.over(consented, member="ESP"),),
    )
    return label_told(the_law().catalogue, facts, member).classification


@pytest.mark.parametrize(
    ("member", "level"), [(None, "SECRET"), ("GBR", "SECRET"), ("NOR", "SECRET"), ("DNK", "RESTRICTED")]
)
def test_whole_is_told_to_whom_it_may_go_and_of_parts_their_own(member: str | None, level: str) -> None:
    assert told(member) == level


@pytest.mark.parametrize(
    ("consented", "level"),
    [
        ((), "SECRET"),
        ((LOW,), "RESTRICTED"),
        ((LOW, MIDDLE), "CONFIDENTIAL"),
        ((LOW, WHOLE), "SECRET"),
    ],
)
def test_what_was_released_to_a_member_is_told_by_its_own_label(consented: tuple[Label, ...], level: str) -> None:
    assert told("ESP", *consented) == level
