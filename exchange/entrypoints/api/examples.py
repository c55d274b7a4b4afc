"""An example of every answer, made from what its model says of each field: for who reads the document, not for a test.

What a field's schema says goes first (its own example, a constant, the first of a list of words); for text without any,
the field's name decides. The values belong together: one report, its agreement, who posted and who read it.
"""

from collections.abc import Mapping
from typing import Any

EXAMPLE_ID = "01980000-0000-7000-8000-00000000000f"
_DIGEST = "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea"
_BASE64 = "P3m7e0NbBTIWUdrv03TNxoHcBvqmXjdOODN7iMoEbeo="
_PEM = "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n"
_MARKING = "NATO SECRET//ATOMAL//ORCON/REL TO GBR, NOR"
_CURSOR = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

WORDS: Mapping[str, Any] = {
    "agency": "NCSC",
    "asked": "cyber-threats",
    "cedar": 'forbid (principal, action, resource) when { principal.member == "NOR" };',
    "ceiling": "SECRET",
    "certificate": _PEM,
    "certificate_subject": "CN=nor-desk,O=NOR/NSM",
    "certificates": _DIGEST,
    "changes": "scope `cyber-threats`: the ceiling falls from SECRET to RESTRICTED",
    "checkpoint": "exchange.example/log\n42\n" + _BASE64 + "\n",
    "clause": "acknowledge",
    "code": "not-releasable",
    "compartments": "ATOMAL",
    "conditions": "Ask before any action is based on it.",
    "content": "Seen again.",
    "detail": "the request has faults",
    "digest": _DIGEST,
    "equivalent": "SECRET",
    "event": "report.read",
    "evidence": EXAMPLE_ID,
    "examples": "- name: a court of the member\n  decision: refused\n",
    "grant": _BASE64,
    "handling": "ORCON",
    "highest": "SECRET",
    "key": _BASE64,
    "kind": "intrep",
    "kinds": "intrep",
    "law": _DIGEST,
    "laws": _DIGEST,
    "leaf": _BASE64,
    "level": "SECRET",
    "marking": _MARKING,
    "may_originate": "SECRET",
    "media_type": "text/plain",
    "member": "NOR",
    "name": "nor-desk",
    "nationality": "NOR",
    "next": _CURSOR,
    "origin": "exchange.example/log",
    "owner": "GBR",
    "party": "NOR",
    "policy": "NATO",
    "precedence": "ROUTINE",
    "proof": _BASE64,
    "purpose": "defence",
    "purposes": "defence",
    "quorum": "2 of 3",
    "reason": "the operation is theirs",
    "reasons": "not-releasable",
    "regions": "EUR",
    "replaced": EXAMPLE_ID,
    "scope": "cyber-threats",
    "secret": _BASE64,
    "sentence": "The report is releasable to NOR.",
    "source": "192.0.2.7",
    "subject": "Infrastructure of a known group",
    "text": "Which of these addresses have you seen?",
    "title": "North Sea cyber warning arrangement",
    "told": "2026-01-31T12:00:00Z",
    "tombstone": _BASE64,
    "topic": "cyber.apt",
    "topics": "cyber",
    "url": "https://desk.example/exchange",
    "user_agent": "exchange-client/1.0",
    "witnesses": "witness.example",
}
"""What text stands in a field of this name."""

IDS = frozenset(
    {
        *("act", "agreement", "breach", "client", "entry", "id"),
        *("references", "report", "reports", "request_id", "supersedes"),
    }
)
"""Fields of an id that say so by their name alone."""


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str = "") -> Any:
    """Return an example of `schema`, whose references lead into `schemas`, for a field called `name`."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name=name)
    for said in ("example", "const", "default"):
        if schema.get(said) is not None:
            return schema[said]
    for listed in ("examples", "enum"):
        if schema.get(listed):
            return schema[listed][0]
    if "anyOf" in schema:
        chosen = next(each for each in schema["anyOf"] if each.get("type") != "null")
        return example_of(chosen, schemas, name=name)
    return _of_type(schema, schemas, name)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "object":
            return _of_object(schema, schemas, name)
        case "array":
            return [example_of(schema.get("items", {}), schemas, name=name)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return _of_text(schema, name)
        case _:
            return None


def _of_object(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    fields = {each: example_of(found, schemas, name=each) for each, found in schema.get("properties", {}).items()}
    beyond = schema.get("additionalProperties")
    if isinstance(beyond, Mapping) and not fields:
        return {"NATO" if name == "equivalent" else "scope": example_of(beyond, schemas, name=name)}
    return fields


def _of_text(schema: Mapping[str, Any], name: str) -> str:
    pattern = schema.get("pattern", "")
    if "-7[0-9a-f]{3}-" in pattern or name in IDS:
        return EXAMPLE_ID
    if "{64}" in pattern or name in {"sha256", "thumbprint"}:
        return _DIGEST
    return str(WORDS.get(name, name))
