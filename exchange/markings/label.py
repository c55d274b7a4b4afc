"""The label: what a report is marked with, after the STANAG 4774 model."""

from dataclasses import dataclass

from exchange.kernel.errors import MalformedError


@dataclass(frozen=True, slots=True)
class Label:
    """A confidentiality label.

    `policy` is the id of a security policy (`NATO`), `classification` the name of one of its levels
    (`SECRET`; exact, case-sensitive). `compartments` restrict (all must be held), `releasable_to` permits
    (member codes; empty = the originator's member only), `handling` are caveats. All three are sorted
    tuples without repeats, so that equal labels are equal values and serialise alike.
    """

    policy: str
    classification: str
    compartments: tuple[str, ...] = ()
    releasable_to: tuple[str, ...] = ()
    handling: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for values in (self.compartments, self.releasable_to, self.handling):
            # INVARIANT: sorted and unique; two spellings of one label would be two release classes.
            if tuple(sorted(set(values))) != values:
                message = f"label sets are sorted tuples without repeats, got {values!r}"
                raise ValueError(message)

    def as_json(self) -> dict[str, str | list[str]]:
        """Return the label in the JSON form of the contract."""
        return {
            "policy": self.policy,
            "classification": self.classification,
            "compartments": list(self.compartments),
            "releasable_to": list(self.releasable_to),
            "handling": list(self.handling),
        }


_TEXTS = ("policy", "classification")
_SETS = ("compartments", "releasable_to", "handling")


def label_from_json(value: object) -> Label:
    """Return the label that `as_json` wrote; MalformedError for anything else, nothing is guessed."""
    if not isinstance(value, dict) or value.keys() != {*_TEXTS, *_SETS}:
        raise MalformedError(f"a stored label does not have exactly the fields {', '.join(sorted((*_TEXTS, *_SETS)))}")
    policy, classification = (_text(value[name], name) for name in _TEXTS)
    sets = [_texts(value[name], name) for name in _SETS]
    try:
        return Label(policy, classification, *sets)
    except ValueError as exc:
        raise MalformedError(f"a stored label is not in its canonical order: {exc}") from exc


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"`{name}` of a stored label is not text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise MalformedError(f"`{name}` of a stored label is not a list")
    return tuple(_text(item, name) for item in value)
