"""The closed words of agreements and reports: topics, regions, kinds, purposes.

A topic is a path with dots; it covers what is below it. Codes are exact and case-sensitive.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exchange.agreements.reading import Reading, quoted
from exchange.agreements.strict_yaml import read_yaml
from exchange.kernel.errors import InvalidError

_NOT_VALID = "the vocabulary is not valid"
_LONGEST_TITLE = 120
_WORD = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_TOPIC = re.compile(rf"{_WORD}(?:\.{_WORD})*")
_LOWER = re.compile(_WORD)
_REGION = re.compile(r"[A-Z]{3,12}")
_FIELDS = ("topics", "regions", "kinds", "purposes")
_FORMS = {"topics": _TOPIC, "regions": _REGION, "kinds": _LOWER, "purposes": _LOWER}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Code -> title, in the file's order."""

    topics: Mapping[str, str]
    regions: Mapping[str, str]
    kinds: Mapping[str, str]
    purposes: Mapping[str, str]

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """Return the words as lists of code and title, in the file's order."""
        lists = ((name, getattr(self, name)) for name in _FIELDS)
        return {name: [{"code": code, "title": title} for code, title in words.items()] for name, words in lists}


def covers(scope_topics: Iterable[str], topic: str) -> bool:
    """Return whether `topic` is one of `scope_topics` or below one: `cyber` covers `cyber.apt`, not `cyberwar`."""
    return any(topic == wide or topic.startswith(f"{wide}.") for wide in scope_topics)


def load_vocabulary(text: str) -> Vocabulary:
    """Read `policies/vocabulary.yaml`; InvalidError lists every fault with its line."""
    document = read_yaml(text)
    reading = Reading(document.faults, document.line_of)
    if document.value is None and document.faults:
        raise InvalidError(_NOT_VALID, tuple(document.faults))
    fields = reading.mapping(document.value, "", required=_FIELDS)
    words = {name: _words(fields[name], f"/{name}", reading) for name in _FIELDS}
    for topic in words["topics"]:
        parent = topic.rpartition(".")[0]
        if parent and parent not in words["topics"]:
            reading.fault(f"/topics/{topic}", "unknown-topic", f"`{topic}` has no parent: add `{parent}` before it")
    if reading.faults:
        raise InvalidError(_NOT_VALID, tuple(reading.faults))
    return Vocabulary(**{name: MappingProxyType(words[name]) for name in _FIELDS})


def _words(value: object, pointer: str, reading: Reading) -> dict[str, str]:
    entries = reading.mapping(value, pointer)
    if not entries and isinstance(value, Mapping):
        reading.fault(pointer, "empty", "no words: list at least one")
    words = {}
    for code, title in entries.items():
        place = f"{pointer}/{code}"
        if not _FORMS[pointer[1:]].fullmatch(code):
            reading.fault(place, "bad-code", f"`{quoted(code)}` is not a code for {pointer[1:]}")
        words[code] = reading.shown(title, place, "title", longest=_LONGEST_TITLE)
    return words
