"""Release classes: the set of reports that no rule or guard can tell apart.

A class is named by the digest of its facts. The store keeps one row per digest, so a decision is made once per
class and not once per report.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from exchange.kernel import Canonical, MalformedError, canonical_bytes
from exchange.markings import label_from_json
from exchange.release.facts import FIRST_TEXT, ClassFacts, Consent, PostedUnder, sorted_labels
from exchange.reports import Header

# Raised by one whenever a field is added or its meaning changes: old and new classes then never share a digest.
_FORMAT = 1
_FORMAT_WITH_CONSENTS = 2
_FIRST_EDITION = 1

_TEXT_FIELDS = ("agreement", "scope", "originator", "topic", "kind")
_FIELDS = frozenset({"format", *_TEXT_FIELDS, "regions", "label", "part_labels"})
# Written where there is something to say.
_OPTIONAL_FIELDS = frozenset({"consents", "edition", "crises"})
_CONSENT_FIELDS = frozenset({"member", "labels", "purposes", "until_micros"})

ClassJson = dict[str, Canonical]


def class_facts(header: Header, consents: Iterable[Consent] = (), *, under: PostedUnder = FIRST_TEXT) -> ClassFacts:
    """Return the release class of the report with this header and these consents of its originator.

    `under` is what stood when it was posted.
    """
    return ClassFacts(
        agreement=header.agreement,
        scope=header.scope,
        originator=header.originator,
        topic=header.topic,
        regions=tuple(sorted(set(header.regions))),
        kind=header.kind,
        label=header.label,
        part_labels=sorted_labels(part.label for part in header.parts),
        consents=_sorted_consents(consents),
        edition=under.edition,
        crises=tuple(sorted(set(under.crises))),
    )


@lru_cache(maxsize=256)
def class_digest(facts: ClassFacts) -> str:
    """Return the SHA-256 of the class's canonical bytes, in 64 lower-case hex digits."""
    return hashlib.sha256(canonical_bytes(class_as_json(facts))).hexdigest()


def class_as_json(facts: ClassFacts) -> ClassJson:
    """Return the JSON form in which a class is stored; `class_from_json` reads it back unchanged."""
    written: ClassJson = {
        "format": _FORMAT_WITH_CONSENTS if facts.consents else _FORMAT,
        "agreement": facts.agreement,
        "scope": facts.scope,
        "originator": facts.originator,
        "topic": facts.topic,
        "regions": list(facts.regions),
        "kind": facts.kind,
        "label": facts.label.as_json(),
        "part_labels": [label.as_json() for label in facts.part_labels],
    }
    if facts.consents:
        written["consents"] = [_consent_as_json(consent) for consent in facts.consents]
    # The first edition is not written: classes from before there were others keep their digests.
    if facts.edition != _FIRST_EDITION:
        written["edition"] = facts.edition
    if facts.crises:
        written["crises"] = list(facts.crises)
    return written


def class_from_json(value: object) -> ClassFacts:
    """Return the class that `class_as_json` wrote.

    Raises MalformedError for anything else: a stored class that cannot be read must not be guessed at.
    """
    given = value if isinstance(value, dict) else {}
    edition, crises = _edition(given), _crises(given)
    fields = _object(value, _FIELDS | (_OPTIONAL_FIELDS & given.keys()), "class")
    has_consents = "consents" in fields
    expected = _FORMAT_WITH_CONSENTS if has_consents else _FORMAT
    if fields["format"] != expected or type(fields["format"]) is not int:
        raise MalformedError(f"the class has format `{fields['format']}`: this version reads {expected} here")
    labels = fields["part_labels"]
    if not isinstance(labels, list):
        raise MalformedError("`part_labels` of the class is not a list")
    facts = ClassFacts(
        **{name: _text(fields[name], name) for name in _TEXT_FIELDS},
        regions=_texts(fields["regions"], "regions"),
        label=label_from_json(fields["label"]),
        part_labels=tuple(label_from_json(item) for item in labels),
        consents=_consents(fields["consents"]) if has_consents else (),
        edition=edition,
        crises=crises,
    )
    # INVARIANT: one class, one spelling; an unsorted row would be a second class with the same meaning.
    if facts.regions != tuple(sorted(set(facts.regions))) or facts.part_labels != sorted_labels(facts.part_labels):
        raise MalformedError("the class is not in its canonical order")
    return facts


def _sorted_consents(consents: Iterable[Consent]) -> tuple[Consent, ...]:
    # Two consents that say the same are one: how often it was given is no concern of a decision.
    return tuple(sorted(set(consents), key=_consent_order))


def _consent_order(consent: Consent) -> bytes:
    return canonical_bytes(_consent_as_json(consent))


def _consent_as_json(consent: Consent) -> ClassJson:
    return {
        "member": consent.member,
        "labels": [label.as_json() for label in consent.labels],
        "purposes": list(consent.purposes),
        "until_micros": consent.until_micros,
    }


def _consents(value: object) -> tuple[Consent, ...]:
    if not isinstance(value, list) or not value:
        raise MalformedError("`consents` of the class is no list of consents")
    consents = tuple(_consent(item) for item in value)
    if consents != _sorted_consents(consents):
        raise MalformedError("the consents of the class are not in their canonical order")
    return consents


def _consent(value: object) -> Consent:
    fields = _object(value, _CONSENT_FIELDS, "consent")
    labels, until = fields["labels"], fields["until_micros"]
    if not isinstance(labels, list) or not (until is None or type(until) is int):
        raise MalformedError("a consent of the class has no labels or no end")
    made = tuple(label_from_json(item) for item in labels)
    purposes = _texts(fields["purposes"], "purposes")
    if made != sorted_labels(made) or not made or purposes != tuple(sorted(set(purposes))):
        raise MalformedError("a consent of the class is not in its canonical order")
    return Consent(_text(fields["member"], "member"), made, purposes, until)


def _edition(given: Mapping[str, object]) -> int:
    if "edition" not in given:
        return _FIRST_EDITION
    edition = given["edition"]
    # One class, one spelling: the first edition is never written.
    if type(edition) is not int or edition <= _FIRST_EDITION:
        raise MalformedError("`edition` of the class is no number from 2 on")
    return edition


def _crises(given: Mapping[str, object]) -> tuple[str, ...]:
    if "crises" not in given:
        return ()
    crises = _texts(given["crises"], "crises")
    # One class, one spelling: none is never written.
    if not crises or crises != tuple(sorted(set(crises))):
        raise MalformedError("`crises` of the class are not in their canonical order")
    return crises


def _object(value: object, names: frozenset[str], place: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or value.keys() != names:
        raise MalformedError(f"the stored {place} does not have exactly the fields {', '.join(sorted(names))}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"`{name}` of the class is not text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise MalformedError(f"`{name}` of the class is not a list")
    return tuple(_text(item, name) for item in value)
