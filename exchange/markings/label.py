"""The label: what a report is marked with, after the STANAG 4774 model."""

from dataclasses import dataclass


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
