"""The log itself: checkpoint, tiles, entry bundles, proofs (C2SP tlog-tiles and tlog-proof, RFC 9162)."""

from starlette.responses import Response

from exchange.entrypoints.api.parameters import ENTRY_ID, FLAG, flag, whole_number
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit, query_fault
from exchange.usecases import Recorded
from exchange.usecases.log.read_log import (
    WhichCheckpoint,
    prove_entry,
    prove_growth,
    read_bundle,
    read_checkpoint,
    read_tile,
)
from exchange.wire import ConsistencyBody

_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
_LARGEST_SIZE = 2**63 - 1

_INDEX = Parameter(
    "index",
    "path",
    "Number of the tile, with `.p/<width>` behind it where it is partial, as C2SP tlog-tiles spells both.",
    {"type": "string", "pattern": r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$", "example": "x001/234.p/7"},
)
_LEVEL = Parameter("level", "path", "Level of the tile.", {"type": "string", "pattern": "^[0-9]{1,2}$"})
_NUMBER = {"type": "integer", "minimum": 0, "maximum": _LARGEST_SIZE}
_SIZE = Parameter("size", "query", "In the tree of this size; absent, in the newest one.", _NUMBER)
_FROM = Parameter("from", "query", "The smaller size.", _NUMBER, required=True)
_TO = Parameter("to", "query", "The larger size.", _NUMBER, required=True)

_KEPT = Parameter("kept", "query", "`true`: the newest that is kept for ever, and that witnesses may cosign.", FLAG)
_WITNESSED = Parameter("witnessed", "query", "`true`: the newest that has the quorum of witnesses.", FLAG)

_ORIGIN = Parameter(
    "origin",
    "query",
    "Of the log of this name, as the first line of its checkpoints has it: one that a recovery ended; absent, of the "
    "one in use.",
    {"type": "string", "minLength": 1, "maxLength": 256, "example": "exchange.example/log/1"},
)


@Operation(
    method="GET",
    path="/v1/audit/checkpoint",
    action="audit.read-checkpoint",
    parameters=(_KEPT, _WITNESSED, _ORIGIN),
    answer_media=_TEXT,
)
async def checkpoint(visit: Visit) -> Response:
    """The newest checkpoint, signed by the log and its witnesses (auditor)."""
    query = visit.read_query()
    origin = query.pop("origin", None)
    return _as(_TEXT, await read_checkpoint(visit.services, visit.call, _which(query), origin))


@Operation(
    method="GET",
    path="/v1/audit/tile/entries/{index:path}",
    action="audit.read-bundle",
    parameters=(_INDEX, _ORIGIN),
    answer_media=_BYTES,
)
async def bundle(visit: Visit) -> Response:
    """A bundle of entries (the exchange's auditors)."""
    origin = visit.read_query().get("origin")
    path = f"tile/entries/{visit.path['index']}"
    return _as(_BYTES, await read_bundle(visit.services, visit.call, path, origin))


@Operation(
    method="GET",
    path="/v1/audit/tile/{level}/{index:path}",
    action="audit.read-tile",
    parameters=(_LEVEL, _INDEX, _ORIGIN),
    answer_media=_BYTES,
)
async def tile(visit: Visit) -> Response:
    """A tile of the tree: hashes, nothing of what they are of (auditor)."""
    origin = visit.read_query().get("origin")
    path = f"tile/{visit.path['level']}/{visit.path['index']}"
    return _as(_BYTES, await read_tile(visit.services, visit.call, path, origin))


@Operation(
    method="GET",
    path="/v1/audit/entries/{id}/proof",
    action="audit.prove-entry",
    parameters=(ENTRY_ID, _SIZE),
    errors=(409,),
    answer_media=_TEXT,
)
async def proof(visit: Visit) -> Response:
    """The proof that the log holds an entry, for whoever it concerns: a file `.tlog-proof`."""
    query = visit.read_query()
    size = _size(query, "size") if "size" in query else None
    return _as(_TEXT, await prove_entry(visit.services, visit.call, visit.path["id"], size))


@Operation(
    method="GET",
    path="/v1/audit/consistency",
    action="audit.prove-consistency",
    answer=ConsistencyBody,
    parameters=(_FROM, _TO, _ORIGIN),
)
async def consistency(visit: Visit) -> Response:
    """The proof that a larger log begins with a smaller one."""
    query = visit.read_query()
    sizes = _size(query, "from"), _size(query, "to")
    recorded = await prove_growth(visit.services, visit.call, *sizes, origin=query.get("origin"))
    growth = recorded.value
    return answered(recorded, ConsistencyBody.of(growth.old_size, growth.new_size, growth.proof))


def _which(query: dict[str, str]) -> WhichCheckpoint:
    match [name for name in query if flag(query, name)]:
        case []:
            return WhichCheckpoint.NEWEST
        case [name]:
            return WhichCheckpoint(name)
        case _:
            raise query_fault("witnessed", "ask for one of the two: what is witnessed is kept")


def _as(media: str, recorded: Recorded[bytes]) -> Response:
    return Response(recorded.value, headers=receipt_headers(recorded.receipt), media_type=media)


def _size(query: dict[str, str], name: str) -> int:
    return whole_number(query, name, least=0, most=_LARGEST_SIZE)


OPERATIONS = (checkpoint, bundle, tile, proof, consistency)
