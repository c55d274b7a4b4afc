"""The words that are stored, signed and answered: a kept text is read by them, so none is ever renamed."""

import pytest

from exchange.agreements import (
    AgreementState,
    AmendmentState,
    AnswersTo,
    MatterKind,
    MatterState,
    OlderReports,
    OnwardRelease,
    PartyState,
    SharedReports,
    Speech,
)


@pytest.mark.parametrize(
    ("words", "spelt"),
    [
        (AgreementState, "draft signed in_force suspended expired withdrawn"),
        (PartyState, "pending signed suspended withdrawn"),
        (AmendmentState, "proposed in_force overtaken"),
        (OnwardRelease, "never originator-consent parties"),
        (AnswersTo, "asker asked"),
        (SharedReports, "recalled kept"),
        (OlderReports, "excluded included"),
        (MatterKind, "consultation dispute"),
        (MatterState, "open answered settled"),
        (Speech, "open answer settle"),
    ],
)
def test_no_word_is_ever_renamed(words, spelt):
    assert [each.value for each in words] == spelt.split()
