"""The originator's consent to mark what derives from its report lower than that report.

A consent names a lowest label: what dominates that is covered, nothing else is. It lifts one rule, that of sources; who
reads what was derived is decided as for any other report. What an agreement lets go to nobody, no consent lets go.
"""

from exchange.agreements import OnwardRelease
from exchange.markings import Catalogue, Label
from exchange.release.facts import ClassFacts, ScopeFacts


def covers_derived(  # noqa: PLR0913  what a consent is held against
    lowest: Label, label: Label, *, source: ClassFacts, scope: ScopeFacts | None, member: str, catalogue: Catalogue
) -> bool:
    """Return whether consent down to `lowest` covers a report of `member` that is marked `label`.

    `scope` is the source's clause as of now. A label that the law does not know any more covers nothing.
    """
    if catalogue.check(lowest) or catalogue.check(label):
        return False
    is_high_enough = catalogue.dominates(label, lowest, originator=member)
    return is_high_enough and not added_recipients(label, source=source, scope=scope, member=member)


def added_recipients(
    label: Label, *, source: ClassFacts, scope: ScopeFacts | None, member: str
) -> tuple[tuple[int, str], ...]:
    """Return, with their places in `label`, whom it names beyond the source where nothing may go on to others.

    None where the agreement leaves it to the originator: then consent to the label is consent to whom it names.
    """
    if scope is not None and scope.onward_release is not OnwardRelease.NEVER:
        return ()
    known = {member, source.originator, *source.label.releasable_to}
    return tuple((index, code) for index, code in enumerate(label.releasable_to) if code not in known)
