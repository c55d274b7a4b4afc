"""The law: everything in `policies/` that can alter a decision, loaded, checked and pinned by one digest.

The rules for alerts stand beside it and have a digest of their own: they alter no decision, so a change of theirs makes
no cached one stale and sets no node apart from the others.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from exchange.agreements import Vocabulary, load_vocabulary
from exchange.audit.alerts import AlertRules
from exchange.kernel import Fault, InvalidError, canonical_bytes, pointer_token
from exchange.kernel.canonical import Canonical
from exchange.markings import Catalogue, load_catalogue
from exchange.release.alert_rules import load_alert_rules
from exchange.release.guards import GuardSet, NationalGuards, load_guards

SCHEMA_FILE = "exchange.cedarschema"
VOCABULARY_FILE = "vocabulary.yaml"
ALERTS_FILE = "alerts.yaml"
_NAMED_FILES = (SCHEMA_FILE, VOCABULARY_FILE, ALERTS_FILE)

_POLICY_FILE = re.compile(r"classification/([^/]+\.yaml)")
_GUARD_FILE = re.compile(r"guards/[^/]+\.cedar")
EXAMPLES_FILE = re.compile(r"guards/[^/]+\.examples\.yaml")
_AGREEMENT_EXAMPLE = re.compile(r"agreements/[^/]+\.yaml")


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """The law in force. `digest` (SHA-256, hex) changes with anything in the files that can alter a decision."""

    catalogue: Catalogue
    vocabulary: Vocabulary
    guards: GuardSet
    digest: str
    alerts: AlertRules

    def with_national(self, national: Iterable[NationalGuards]) -> "Law":
        """Return this law together with what members put in force for their own reports, and no other such."""
        return replace(self, guards=self.guards.with_national(national))

    def known_to(self, member: str) -> "Law":
        """Return this law without the caveats that other members have as files: for questions made up by `member`."""
        return replace(self, guards=self.guards.known_to(member))


def load_law(files: Mapping[str, str]) -> Law:
    """Return the law written in `files`: path relative to `policies/` -> text.

    Raises InvalidError listing every fault. A file that is in no known place is one: a guard in a folder with a
    wrong name must not be passed over in silence.
    """
    faults = [*_missing(files), *_misplaced(files)]
    if faults:
        raise InvalidError("the policies are not complete", tuple(faults))
    catalogue = load_catalogue({match[1]: files[path] for path in files if (match := _POLICY_FILE.fullmatch(path))})
    vocabulary = load_vocabulary(files[VOCABULARY_FILE])
    guards = load_guards({path: files[path] for path in files if _GUARD_FILE.fullmatch(path)}, files[SCHEMA_FILE])
    pins: Canonical = {"catalogue": catalogue.digest, "guards": guards.digest, "vocabulary": vocabulary.as_json()}
    alerts = load_alert_rules(files[ALERTS_FILE], catalogue)
    return Law(catalogue, vocabulary, guards, hashlib.sha256(canonical_bytes(pins)).hexdigest(), alerts)


def _missing(files: Mapping[str, str]) -> list[Fault]:
    absent = [name for name in _NAMED_FILES if name not in files]
    if not any(_POLICY_FILE.fullmatch(path) for path in files):
        absent.append("classification/*.yaml")
    return [Fault("", "missing-file", f"`{name}` is missing: put it into the policies folder") for name in absent]


def _misplaced(files: Mapping[str, str]) -> list[Fault]:
    places = (_POLICY_FILE, _GUARD_FILE, EXAMPLES_FILE, _AGREEMENT_EXAMPLE)
    message = "no place for this file: classification/*.yaml, guards/*.cedar, guards/*.examples.yaml, agreements/*.yaml"
    return [
        Fault(f"/{pointer_token(path)}", "unknown-file", message)
        for path in sorted(files)
        if path not in _NAMED_FILES and not any(place.fullmatch(path) for place in places)
    ]
