"""An entry as a row of named cells: what CSV, CEF and syslog are made of, under the same names."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from exchange.audit.export.exported import ExportedEntry, Statement

Cell = str | int | None

COMPLETE = "export.complete"
"""The event of an export's last record in these formats; the statement is its `detail`."""


def cells_of(exported: ExportedEntry) -> dict[str, Cell]:
    """Return every field of an entry by name, None where the entry has no such field. Lists are joined by spaces."""
    return {name: read(exported) for name, read in _FIELDS.items()}


def statement_cells(statement: Statement) -> dict[str, Cell]:
    """Return the cells of an export's last record."""
    return {"event": COMPLETE, "detail": _json(statement.as_json())}


def _clearance(exported: ExportedEntry) -> Cell:
    clearance = exported.entry.get("clearance")
    return None if clearance is None else " ".join([clearance["level"], *clearance["compartments"]])


def _results(exported: ExportedEntry) -> Cell:
    ids = exported.entry.get("result_ids")
    return exported.entry.get("result_ids_sha256") if ids is None else _joined(ids)


def _detail(exported: ExportedEntry) -> Cell:
    detail = exported.entry.get("detail")
    return None if detail is None else _json(detail)


def _of_object(name: str) -> Callable[[ExportedEntry], Cell]:
    def read(exported: ExportedEntry) -> Cell:
        value = exported.entry.get("object", {}).get(name)
        return value if isinstance(value, str | int) else None

    return read


def _of_label(name: str) -> Callable[[ExportedEntry], Cell]:
    def read(exported: ExportedEntry) -> Cell:
        value = exported.entry.get("label", {}).get(name)
        return value if isinstance(value, str) else _joined(value)

    return read


def _joined(values: Sequence[str] | None) -> str | None:
    return " ".join(values) if values else None


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(value).decode()


_FIELDS: Mapping[str, Callable[[ExportedEntry], Cell]] = {
    "log": lambda one: one.place.log,
    "position": lambda one: one.place.position,
    "id": lambda one: one.entry["id"],
    "time": lambda one: one.entry["ts"],
    "event": lambda one: one.entry["type"],
    "decision": lambda one: one.entry["decision"],
    "actor_kind": lambda one: one.entry["actor"]["kind"],
    "actor": lambda one: one.entry["actor"].get("id"),
    "name": lambda one: one.name,
    "member": lambda one: one.entry.get("member"),
    "agency": lambda one: one.entry.get("agency"),
    "clearance": _clearance,
    "object_type": _of_object("type"),
    "object": _of_object("id"),
    "object_version": _of_object("version"),
    "owner": lambda one: one.entry.get("owner"),
    "policy": _of_label("policy"),
    "level": _of_label("classification"),
    "compartments": _of_label("compartments"),
    "releasable_to": _of_label("releasable_to"),
    "handling": _of_label("handling"),
    "agreement": lambda one: one.entry.get("agreement"),
    "scope": lambda one: one.entry.get("scope"),
    "purpose": lambda one: one.entry.get("purpose"),
    "reasons": lambda one: _joined(one.entry.get("reasons")),
    "policies": lambda one: _joined(one.entry.get("policies")),
    "source": lambda one: one.source or None,
    "thumbprint": lambda one: one.thumbprint,
    "request_id": lambda one: one.entry.get("request_id"),
    "bytes": lambda one: one.entry.get("bytes"),
    "result_count": lambda one: one.entry.get("result_count"),
    "node": lambda one: one.entry.get("node"),
    "boot": lambda one: one.entry.get("boot"),
    "node_seq": lambda one: one.entry.get("node_seq"),
    "extent": lambda one: one.extent,
    "leaf": lambda one: one.leaf.hex(),
    "detail": _detail,
    "results": _results,
    "certificate_subject": lambda one: one.personal.get("certificate_subject"),
    "user_agent": lambda one: one.personal.get("user_agent"),
}

NAMES = tuple(_FIELDS)
"""The names of the fields, in order."""
