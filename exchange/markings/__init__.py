"""Markings: levels, labels, dominance, equivalence, marking text, STANAG 4774 XML.

Promises: a total order of levels per security policy and a partial order over labels; a label that no policy knows
is refused, never guessed; protection rounds up and clearance rounds down into the base policy.
Does not: read files, know members, or decide who may read; it compares labels and nothing else.
"""

from exchange.markings.catalogue import Catalogue
from exchange.markings.label import Label, label_from_json
from exchange.markings.load import load_catalogue
from exchange.markings.policy import Level, SecurityPolicy, Source, UnknownMarkingError
from exchange.markings.stanag4774 import from_stanag4774, to_stanag4774
from exchange.markings.text import MarkingFormatError, parse_marking, render_marking

__all__ = [
    "Catalogue",
    "Label",
    "Level",
    "MarkingFormatError",
    "SecurityPolicy",
    "Source",
    "UnknownMarkingError",
    "from_stanag4774",
    "label_from_json",
    "load_catalogue",
    "parse_marking",
    "render_marking",
    "to_stanag4774",
]
