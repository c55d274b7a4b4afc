"""Agreements for the tests of this room."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from exchange import agreements
from exchange.agreements import (
    Agreement,
    AgreementId,
    Party,
    PartyState,
    Surroundings,
    Terms,
    TextSignature,
    load_vocabulary,
    parse_agreement,
    sign_text,
    terms_from_json,
    text_of,
)
from exchange.agreements.strict_yaml import Document
from exchange.crypto import ObjectSignature, ObjectSigningKey, SignatureScheme, SigningKey
from exchange.members import MemberCode

ROOT = Path(__file__).resolve().parents[3]
VOCABULARY = load_vocabulary((ROOT / "policies/vocabulary.yaml").read_text("utf-8"))
EXAMPLE = (ROOT / "policies/agreements/north-sea-cyber.yaml").read_text("utf-8")
NATO_LEVELS = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
MEMBERS = frozenset({"GBR", "NOR", "DNK", "ESP", "NLD", "DEU", "FRA", "EUROPOL"})

FIRST_DAY = date(2026, 1, 1)
LAST_DAY = date(2030, 12, 31)
BEFORE = datetime(2025, 6, 1, tzinfo=UTC)
DURING = datetime(2027, 6, 1, tzinfo=UTC)
AFTER = datetime(2031, 1, 1, tzinfo=UTC)
SIGNED_AT = datetime(2025, 5, 1, tzinfo=UTC)


def levels(policy: str) -> tuple[str, ...] | None:
    return NATO_LEVELS if policy == "NATO" else None


def compartments(policy: str) -> frozenset[str]:
    # Asked about known policies only.
    return {"NATO": frozenset({"ATOMAL", "BOHEMIA"})}[policy]


AROUND = Surroundings(VOCABULARY, levels, compartments, MEMBERS.__contains__)


def parse(text: str | Document) -> Terms:
    return parse_agreement(text, AROUND)


def from_json(value: object) -> Terms:
    return terms_from_json(value, AROUND)


def example_json() -> dict[str, Any]:
    return {
        "title": "North Sea cyber warning arrangement",
        "parties": ["GBR", "NOR", "DNK"],
        "policy": "NATO",
        "validity": {"from": "2026-01-01", "until": "2030-12-31", "review_every": "P2Y"},
        "scopes": [
            {
                "name": "cyber-threats",
                "topics": ["cyber"],
                "regions": ["EUR"],
                "kinds": ["intrep", "indicator-set", "threat-warning"],
                "purposes": ["defence", "law-enforcement"],
                "ceiling": "SECRET",
                "compartments": [],
                "contributors": ["GBR", "NOR"],
                "readers": ["GBR", "NOR", "DNK"],
                "onward_release": "originator-consent",
                "retention": "P5Y",
            }
        ],
        "obligations": [
            {"party": "NOR", "scope": "cyber-threats", "report_every": "P7D"},
            {
                "party": "all",
                "scope": "cyber-threats",
                "acknowledge": {"FLASH": "PT10M", "IMMEDIATE": "PT30M", "PRIORITY": "PT3H"},
            },
        ],
        "termination": {"notice": "P90D", "shared_reports": "recalled"},
    }


def agreement(states: Iterable[PartyState], *, signed_at: datetime = SIGNED_AT) -> Agreement:
    """An agreement whose parties (GBR, NOR, DNK ...) stand as given; all but pending ones have signed."""
    codes = [MemberCode(code) for code in ("GBR", "NOR", "DNK", "NLD", "DEU")]
    parties = tuple(
        Party(code, state, None if state is PartyState.PENDING else signed_at)
        for code, state in zip(codes, states, strict=False)
    )
    return Agreement(id=AgreementId("a"), version=7, terms=parse(EXAMPLE), parties=parties)


_KEY = ObjectSigningKey(
    SigningKey.from_seed(SignatureScheme.ED25519, bytes(32)), SigningKey.from_seed(SignatureScheme.ML_DSA_65, bytes(32))
)


def signature_of(agreement: Agreement, member: str, now: datetime, key: ObjectSigningKey = _KEY) -> TextSignature:
    """Return a member's signature under the text of an agreement."""
    text = text_of(agreement)
    made = sign_text(text, key, member=member, signatory=f"{member} signatory")
    return TextSignature(text.digest, member, f"{member} signatory", key.verifying_key, made, now)


def sign(agreement: Agreement, member: str, now: datetime) -> Agreement:
    """Return the next version, signed by a member; what matters here is how an agreement moves."""
    blank = TextSignature("", member, "", _KEY.verifying_key, ObjectSignature(b"", b""), now)
    return agreements.sign(agreement, blank)


REMOVE = object()
SCOPE = ("scopes", 0)


def changed(path, value):
    """The example's JSON with the value at `path` replaced, or removed."""
    body = example_json()
    place = body
    for step in path[:-1]:
        place = place[step]
    if value is REMOVE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body
