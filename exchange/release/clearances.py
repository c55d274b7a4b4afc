"""Does a clearance cover a label: for those who may know of a report without being its reader (auditors)."""

from exchange.markings import Catalogue, Label, UnknownMarkingError
from exchange.members import Clearance


def covers_label(clearance: Clearance, label: Label, catalogue: Catalogue) -> bool:
    """Return whether `clearance` reaches `label` by level and compartments; its validity is the caller's to check.

    Protection is rounded up, clearance down, as for a reader. False for what no policy knows. Who the report is
    releasable to is not asked: knowing that somebody read it is not reading it.
    """
    try:
        is_high_enough = catalogue.clearance_rank(clearance.level) >= catalogue.protection_rank(label)
    except UnknownMarkingError:
        return False
    return is_high_enough and set(clearance.compartments).issuperset(label.compartments)


def levels_covered(clearance: Clearance, catalogue: Catalogue) -> frozenset[str]:
    """Return the names of the levels that `clearance` reaches in at least one policy; none for an unknown level."""
    try:
        held = catalogue.clearance_rank(clearance.level)
    except UnknownMarkingError:
        return frozenset()
    return frozenset(name for (_, name), rank in catalogue.protection.items() if rank <= held)
