"""OCSF 1.8.0 events: one JSON object a line, of the class that fits (see `ocsf_classes`).

Profiles: `security_control` says what the policy decided, `data_classification` what the label says. What OCSF has
no field for stands in `unmapped`; the leaf hash, by which the entry is found in the log, in `raw_data_hash`.
"""

import json
from collections.abc import Mapping
from typing import assert_never

import orjson

from exchange import __version__
from exchange.audit.export.exported import ExportedEntry, Place, Statement
from exchange.audit.export.ocsf_classes import OTHER_ID, Activity, OcsfClass, activity_of
from exchange.audit.export.ocsf_objects import (
    Json,
    classifications,
    endpoint,
    entity,
    request_of,
    resource,
    session,
    user,
)
from exchange.audit.export.severity import Severity, severity_of
from exchange.audit.shape import Entry
from exchange.kernel import MalformedError, parse_micros

SCHEMA_VERSION = "1.8.0"
PROFILES = ("data_classification", "security_control")

_SEVERITIES: Mapping[Severity, int] = {
    Severity.INFORMATIONAL: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}
# decision -> action_id, action, disposition_id, disposition, status_id, status
_DECISIONS: Mapping[str, tuple[int, str, int, str, int, str]] = {
    "permitted": (1, "Allowed", 1, "Allowed", 1, "Success"),
    "refused": (2, "Denied", 2, "Blocked", 2, "Failure"),
    "failed": (OTHER_ID, "Failed", 27, "Error", 2, "Failure"),
}
# A finding has a life of its own; `New` is how it begins.
_NEW = (1, "New")
# What the fields above and below do not say; they stand in `unmapped` as they are in the entry.
_UNMAPPED = (
    *("clearance", "owner", "agreement", "scope", "purpose", "node", "boot", "node_seq", "detail"),
    *("bytes", "result_count", "result_ids", "result_ids_sha256"),
)
_PERSONAL = ("certificate_subject", "user_agent")
_ALGORITHM = "SHA-256 of a zero byte and the entry (RFC 6962 leaf hash)"


def entry_line(exported: ExportedEntry) -> bytes:
    """Return the line of one entry."""
    return _line(event_of(exported))


def statement_line(statement: Statement) -> bytes:
    """Return the last line: an export of the log, with the statement in `unmapped`."""
    activity = activity_of("audit.exported")
    event = {
        **_kind(activity),
        "time": _milliseconds(statement.at),
        "severity_id": _SEVERITIES[Severity.INFORMATIONAL],
        "metadata": {"version": SCHEMA_VERSION, "product": _PRODUCT, "event_code": "export.complete"},
        "log_name": "audit",
        "status_id": 1,
        "unmapped": {"complete": statement.as_json()},
    }
    return _line(event)


def place_in(line: bytes) -> Place | None:
    """Return the place in a line, None for the last; raises MalformedError for what is no line."""
    try:
        event = orjson.loads(line)
        log, position = event["unmapped"].get("log"), event["metadata"].get("sequence")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise MalformedError("a line of the export is no OCSF event") from exc
    return Place(log, position) if isinstance(log, int) and isinstance(position, int) else None


def event_of(exported: ExportedEntry) -> Json:
    """Return the event of one entry."""
    entry = exported.entry
    activity = activity_of(entry["type"])
    return {
        **_kind(activity),
        "time": _milliseconds(entry["ts"]),
        "severity_id": _SEVERITIES[severity_of(entry)],
        "metadata": _metadata(exported),
        "message": f"{entry['type']} {entry['decision']}",
        **_outcome(entry, activity),
        **_of_class(exported, activity.kind),
        "raw_data_hash": {"algorithm_id": OTHER_ID, "algorithm": _ALGORITHM, "value": exported.leaf.hex()},
        "unmapped": _unmapped(exported),
    }


def _kind(activity: Activity) -> Json:
    kind = activity.kind
    return {
        "category_uid": kind.category,
        "class_uid": kind.value,
        "class_name": kind.caption,
        "activity_id": activity.number,
        "activity_name": activity.name,
        "type_uid": kind.value * 100 + activity.number,
    }


def _metadata(exported: ExportedEntry) -> Json:
    entry = exported.entry
    metadata: Json = {
        "version": SCHEMA_VERSION,
        "profiles": list(PROFILES),
        "product": _PRODUCT,
        "uid": entry["id"],
        "sequence": exported.place.position,
        "event_code": entry["type"],
        "log_name": "audit",
        "log_version": str(entry["v"]),
        "original_time": entry["ts"],
    }
    if "request_id" in entry:
        metadata["correlation_uid"] = entry["request_id"]
    if "label" in entry:
        metadata["data_classifications"] = classifications(entry["label"])
    return metadata


def _outcome(entry: Entry, activity: Activity) -> Json:
    action_id, action, disposition_id, disposition, status_id, status = _DECISIONS[entry["decision"]]
    if activity.kind is OcsfClass.DETECTION_FINDING:
        status_id, status = _NEW
    outcome: Json = {
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "status_id": status_id,
        "status": status,
    }
    if "reasons" in entry:
        outcome["status_code"] = entry["reasons"][0]
        outcome["status_detail"] = " ".join(entry["reasons"])
    if "policies" in entry:
        outcome["authorizations"] = [
            {"decision": entry["decision"], "policy": {"uid": policy}} for policy in entry["policies"]
        ]
    return outcome


def _of_class(exported: ExportedEntry, kind: OcsfClass) -> Json:
    """Return what this class asks for besides what all have."""
    entry = exported.entry
    match kind:
        case OcsfClass.API_ACTIVITY:
            api: Json = {"operation": entry["type"], "request": {"uid": request_of(entry)}, "service": _SERVICE}
            return {**_who(exported), "api": api, "resources": [resource(exported)]}
        case OcsfClass.AUTHENTICATION:
            protocol: Json = {"auth_protocol_id": OTHER_ID, "auth_protocol": "Mutual TLS", "is_remote": True}
            return {**_who(exported), "user": user(exported), "service": _SERVICE, **protocol}
        case OcsfClass.AUTHORIZE_SESSION:
            clearance = entry.get("clearance")
            held = ["none"] if clearance is None else [clearance["level"], *clearance["compartments"]]
            return {**_who(exported), "user": user(exported), "session": session(exported), "privileges": held}
        case OcsfClass.ENTITY_MANAGEMENT:
            return {**_who(exported), "entity": entity(exported)}
        case OcsfClass.EVENT_LOG_ACTIVITY:
            return {**_who(exported), "log_name": "audit"}
        case OcsfClass.APPLICATION_LIFECYCLE:
            return {"app": _PRODUCT}
        case OcsfClass.DETECTION_FINDING:
            return {"finding_info": _finding(entry), "is_alert": True, "resources": [resource(exported)]}
        case other:
            assert_never(other)


def _who(exported: ExportedEntry) -> Json:
    return {"actor": {"user": user(exported)}, "src_endpoint": endpoint(exported.source)}


def _finding(entry: Entry) -> Json:
    rule = entry.get("detail", {}).get("rule")
    title = rule if isinstance(rule, str) else entry["type"]
    return {"uid": entry["id"], "title": title, "created_time": _milliseconds(entry["ts"])}


def _unmapped(exported: ExportedEntry) -> Json:
    entry = exported.entry
    kept: Json = {"log": exported.place.log, "extent": exported.extent}
    kept |= {name: entry[name] for name in _UNMAPPED if name in entry}  # type: ignore[literal-required]  # names of the shape
    return kept | {name: exported.personal[name] for name in _PERSONAL if name in exported.personal}


def _milliseconds(moment: str) -> int:
    return parse_micros(moment) // 1000


def _line(event: Json) -> bytes:
    # ASCII alone: no text from outside turns the direction of a line or ends it for a reader that knows more line ends.
    return json.dumps(event, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


_PRODUCT: Json = {"name": "The exchange", "uid": "exchange", "vendor_name": "The exchange", "version": __version__}
_SERVICE: Json = {"name": "exchange"}
