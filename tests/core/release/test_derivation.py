"""The originator's consent to mark lower what derives from its report: what it covers, and what no consent covers."""

from dataclasses import replace

import pytest

from exchange.agreements import OnwardRelease
from exchange.markings import Label
from exchange.release import added_recipients, covers_derived
from tests.support.release_world import CLASS, real_law, scope

LOWEST = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
CONSENT = scope(onward_release=OnwardRelease.ORIGINATOR_CONSENT)
NEVER = scope(onward_release=OnwardRelease.NEVER)


def covers(label: Label, lowest: Label = LOWEST, *, under=CONSENT, member="NOR") -> bool:
    catalogue = real_law().catalogue
    return covers_derived(lowest, label, source=CLASS, scope=under, member=member, catalogue=catalogue)


@pytest.mark.parametrize(
    ("label", "is_covered"),
    [
        (LOWEST, True),
        (Label("NATO", "CONFIDENTIAL", releasable_to=("DNK", "GBR", "NOR")), True),
        (Label("NATO", "RESTRICTED", releasable_to=("NOR",)), True),
        (Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"), handling=("ORCON",)), True),
        (Label("NATO", "UNCLASSIFIED", releasable_to=("DNK", "GBR", "NOR")), False),
        (Label("NATO", "RESTRICTED", releasable_to=("DNK", "ESP", "GBR", "NOR")), False),
        (Label("NATO", "SECRETISH", releasable_to=("NOR",)), False),
    ],
)
def test_consent_covers_what_dominates_its_lowest_label_and_nothing_else(label, is_covered):
    assert covers(label) is is_covered


def test_consent_keeps_the_caveats_and_compartments_that_it_names():
    lowest = Label("NATO", "RESTRICTED", ("EXERCISE-AURORA",), ("GBR", "NOR"), ("ORCON",))

    assert covers(lowest, lowest)
    assert not covers(Label("NATO", "RESTRICTED", ("EXERCISE-AURORA",), ("GBR", "NOR")), lowest)
    assert not covers(Label("NATO", "RESTRICTED", (), ("GBR", "NOR"), ("ORCON",)), lowest)


def test_lowest_label_that_the_law_does_not_know_any_more_covers_nothing():
    assert not covers(LOWEST, Label("NATO", "RETIRED", releasable_to=("DNK", "GBR", "NOR")))
    assert not covers(LOWEST, Label("GONE", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))


@pytest.mark.parametrize("under", [NEVER, None])
def test_where_nothing_goes_on_consent_lowers_and_adds_nobody(under):
    assert not covers(LOWEST, under=under)
    assert covers(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")), under=under)
    # Whose report it becomes reads it whoever is named.
    assert covers(Label("NATO", "RESTRICTED", releasable_to=("GBR",)), under=under)


def test_whose_report_it_becomes_adds_nobody_by_naming_itself():
    alone = Label("NATO", "RESTRICTED", releasable_to=("GBR",))
    named = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR"))

    assert covers(named, alone, member="DNK")
    assert covers(named, alone, under=NEVER, member="DNK")
    assert not covers(named, alone, member="NOR")


def test_whose_report_the_source_is_and_whom_its_label_names_are_nobody_added():
    source = replace(CLASS, label=replace(CLASS.label, releasable_to=("NOR",)))
    named = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))

    assert added_recipients(named, source=source, scope=NEVER, member="ESP") == ((0, "DNK"),)


def test_added_recipients_are_told_by_their_place():
    assert added_recipients(LOWEST, source=CLASS, scope=NEVER, member="NOR") == ((0, "DNK"),)
    assert added_recipients(LOWEST, source=CLASS, scope=None, member="DNK") == ()
    assert added_recipients(LOWEST, source=CLASS, scope=CONSENT, member="NOR") == ()
