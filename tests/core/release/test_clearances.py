"""What a clearance covers without being a reader's: level and compartments, fail closed."""

import pytest

from exchange.markings import Label
from exchange.members import Clearance
from exchange.release import covers_label, levels_covered
from tests.support.world import NOW, the_law


def clearance(level: str, *compartments: str) -> Clearance:
    return Clearance(level, compartments, NOW, None)


@pytest.mark.parametrize(
    ("held", "label", "is_covered"),
    [
        (clearance("SECRET"), Label("NATO", "SECRET"), True),
        (clearance("SECRET"), Label("NATO", "RESTRICTED"), True),
        (clearance("CONFIDENTIAL"), Label("NATO", "SECRET"), False),
        (clearance("SECRET"), Label("NATO", "SECRET", ("ATOMAL",)), False),
        (clearance("SECRET", "ATOMAL"), Label("NATO", "SECRET", ("ATOMAL",)), True),
        (clearance("SECRET", "ATOMAL"), Label("NATO", "TOP SECRET", ("ATOMAL",)), False),
        (clearance("SECRET"), Label("NATO", "SECRET", (), ("GBR",), ("ORCON",)), True),
        (clearance("TOP SECRET"), Label("NATO", "NO SUCH"), False),
        (clearance("TOP SECRET"), Label("NO SUCH", "SECRET"), False),
        (clearance("NO SUCH"), Label("NATO", "UNCLASSIFIED"), False),
    ],
)
def test_clearance_covers(held: Clearance, label: Label, is_covered: bool) -> None:
    assert covers_label(held, label, the_law().catalogue) is is_covered


def test_levels_covered_are_those_of_which_some_label_is() -> None:
    catalogue = the_law().catalogue
    for held in ("UNCLASSIFIED", "CONFIDENTIAL", "TOP SECRET"):
        covered = {
            level.name
            for policy in catalogue.policies.values()
            for level in policy.levels
            if covers_label(clearance(held), Label(policy.id, level.name), catalogue)
        }
        assert levels_covered(clearance(held), catalogue) == covered
    assert levels_covered(clearance("NO SUCH"), catalogue) == frozenset()
