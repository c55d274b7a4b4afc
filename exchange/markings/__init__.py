"""Markings: levels, labels, dominance, equivalence, marking text, STANAG 4774 XML.

Promises: a total order of levels per security policy and a partial order over labels; a label that no policy knows
is refused, never guessed; protection rounds up and clearance rounds down into the base policy.
Does not: read files, know members, or decide who may read; it compares labels and nothing else.
"""

from exchange.markings.catalogue import Catalogue
from exchange.markings.label import Label
from exchange.markings.load import load_catalogue
from exchange.markings.policy import Equivalence, Level, SecurityPolicy, Source, UnknownMarkingError

__all__ = [
    "Catalogue",
    "Equivalence",
    "Label",
    "Level",
    "SecurityPolicy",
    "Source",
    "UnknownMarkingError",
    "load_catalogue",
]
