"""The objects that OCSF events are made of: users, endpoints, resources, entities, classifications."""

from collections.abc import Mapping

from exchange.audit.export.exported import ExportedEntry, address_in
from exchange.audit.export.ocsf_classes import OTHER_ID
from exchange.audit.shape import Entry

Json = dict[str, object]

_USER, _ADMIN, _SYSTEM = 1, 2, 3
_USER_TYPES: Mapping[str, tuple[int, str]] = {
    "client": (_USER, "User"),
    "host": (_ADMIN, "Admin"),
    "service": (_SYSTEM, "System"),
}
_ENTITY_TYPES: Mapping[str, tuple[int, str]] = {
    "client": (2, "User"),
    "member": (4, "Organization"),
    "policy": (5, "Policy"),
    "agreement": (5, "Policy"),
}
# The levels of the base policy and of those that name theirs alike; a national name is `Other`, under that name.
_CONFIDENTIALITY: Mapping[str, tuple[int, str]] = {
    "UNCLASSIFIED": (1, "Not Confidential"),
    "CONFIDENTIAL": (2, "Confidential"),
    "SECRET": (3, "Secret"),
    "TOP SECRET": (4, "Top Secret"),
    "RESTRICTED": (6, "Restricted"),
}
_GOVERNMENTAL = 2
_ABSENT = "none"
"""Stands where OCSF asks for a name and the entry has none."""


def user(exported: ExportedEntry) -> Json:
    """Return who acted; its organisation is the member, its unit the agency."""
    entry = exported.entry
    acting = entry["actor"]
    number, name = _USER_TYPES.get(acting["kind"], (OTHER_ID, acting["kind"]))
    described: Json = {"uid": acting.get("id", acting["kind"]), "type_id": number, "type": name}
    if exported.name is not None:
        described["name"] = exported.name
    if exported.thumbprint is not None:
        described["credential_uid"] = exported.thumbprint
    if "member" in entry:
        described["org"] = {"uid": entry["member"], "ou_uid": entry.get("agency", _ABSENT)}
    return described


def session(exported: ExportedEntry) -> Json:
    """Return the session: here each request stands by itself."""
    entry = exported.entry
    return {"uid": request_of(entry), "is_remote": entry["actor"]["kind"] == "client"}


def request_of(entry: Entry) -> str:
    """Return the id of the request, or the entry's own where it is not shown."""
    return entry.get("request_id", entry["id"])


def endpoint(source: str) -> Json:
    """Return where a request came from: an address, or the word that stands for one."""
    address = address_in(source)
    return {"ip": address} if address is not None else {"name": source or _ABSENT}


def resource(exported: ExportedEntry) -> Json:
    """Return what was acted on."""
    entry = exported.entry
    subject = entry.get("object")
    found: Json = {"name": _ABSENT, "type": entry["type"].partition(".")[0]}
    if subject is not None:
        found = {"uid": subject["id"], "type": subject["type"]}
        if "version" in subject:
            found["version"] = str(subject["version"])
    if "owner" in entry:
        found["owner"] = {"uid": entry["owner"], "type_id": OTHER_ID, "type": "Member"}
    if "label" in entry:
        found["data_classifications"] = classifications(entry["label"])
    return found


def entity(exported: ExportedEntry) -> Json:
    """Return what was administered; for a list of things, the kind of thing."""
    entry = exported.entry
    subject = entry.get("object")
    kind = entry["type"].partition(".")[0] if subject is None else subject["type"]
    number, name = _ENTITY_TYPES.get(kind, (OTHER_ID, kind))
    described: Json = {"type_id": number, "type": name}
    if subject is None:
        return {**described, "name": kind}
    if "version" in subject:
        described["version"] = str(subject["version"])
    return {**described, "uid": subject["id"], "name": f"{kind} {subject['id']}"}


def classifications(label: Mapping[str, str | list[str]]) -> list[Json]:
    """Return what a label says; compartments, releasability and caveats stand in the status details."""
    level = str(label.get("classification", _ABSENT))
    number, caption = _CONFIDENTIALITY.get(level, (OTHER_ID, level))
    details = [
        f"{key}: {', '.join(value)}" for key, value in sorted(label.items()) if isinstance(value, list) and value
    ]
    found: Json = {
        "confidentiality_id": number,
        "confidentiality": caption,
        "category_id": _GOVERNMENTAL,
        "category": "Governmental",
        "policy": {"name": str(label.get("policy", _ABSENT))},
    }
    if details:
        found["status_details"] = details
    return [found]
