"""The label that an entry of the log holds, read back."""

from exchange.audit.slice import Label as EntryLabel
from exchange.kernel import MalformedError
from exchange.markings import Label

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
