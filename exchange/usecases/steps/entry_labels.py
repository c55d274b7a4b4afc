"""The label that an entry of the log holds, read back; and by which one whoever is shown parts alone is told."""

from exchange.audit.slice import Label as EntryLabel
from exchange.kernel import MalformedError
from exchange.markings import Catalogue, Label
from exchange.release import ClassFacts

_SETS = ("compartments", "releasable_to", "handling")


def label_of(fields: EntryLabel) -> Label:
    """Return the label that an entry holds; MalformedError for fields that are none."""
    policy, classification = fields.get("policy"), fields.get("classification")
    sets = [fields.get(name, []) for name in _SETS]
    if not isinstance(policy, str) or not isinstance(classification, str):
        raise MalformedError("an entry's label has no policy or no level")
    try:
        return Label(policy, classification, *(tuple(values) for values in sets))
    except ValueError as exc:
        raise MalformedError(f"an entry's label is not canonical: {exc}") from exc


def label_told(catalogue: Catalogue, facts: ClassFacts, member: str | None) -> Label:
    """Return the label by which `member` is told of a report: to whom parts alone may go, of these.

    INVARIANT: else a member finds out, by the clearances that it gives its auditors, what its readers are not told.
    """
    if member in {None, facts.originator, *facts.label.releasable_to}:
        return facts.label
    torn = parts_told(facts, member)
    if not torn or facts.label in _given(facts, member):
        return facts.label
    return catalogue.join(torn, originator=facts.originator)


def parts_told(facts: ClassFacts, member: str | None) -> list[Label]:
    """Return the labels of the parts of a report that may go to `member`."""
    given = _given(facts, member)
    return [
        label for label in facts.part_labels if label in given or member in {facts.originator, *label.releasable_to}
    ]


def _given(facts: ClassFacts, member: str | None) -> set[Label]:
    return {label for consent in facts.consents if consent.member == member for label in consent.labels}
