"""Backups as lines of JSON: the database as of one moment, and the files beside it that are no secret.

Line 1 says of what and when, each other line holds rows of one table, a file of the log's archive, or a piece of a
large part, still sealed; the last one says how many of each there were. Signing (`signed_backup`) and sealing the whole
are the caller's affair; so is where it goes.
INVARIANT: no key of custody, of the log, of a node or of a server is in it.
"""

import base64
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from exchange.audit import Entry, EventName, Outcome, parse_entry
from exchange.crypto import CryptoError, personal_context
from exchange.custody import Custodian, Wrapped
from exchange.kernel import InvalidError, MalformedError, UnavailableError, rfc3339
from exchange.kernel.clock import Clock
from exchange.store import BlobMissingError, BlobStore, GivenTo
from exchange.store.books.restore_claims import Claim, unknown_acts
from exchange.store.database.schema import head
from exchange.store.dumping import Replay, Rows, dumped, misfits_in
from exchange.store.log.large_parts import is_in_database
from exchange.usecases.agreements.move_again import PartyMove, move_told
from exchange.usecases.steps.given_to import given_by
from exchange.usecases.upkeep.end_again import EndTold

_FORMAT = 3
_FILE_LINE = {"file", "content"}
"""INVARIANT: what is one when the backup is looked at is one when it is put back, and nothing else is."""
_LOG_TABLE = "log_state"
_PART_TABLES = ("report_part", "upload_part")
_KEY_TABLE = "personal_key"
_LOOKED_AT = 5
_NOT_ITS_KEYS = "the keys here do not open the backup: put its own back first, with `exchange keys restore`"

_ENDED_ACTS = frozenset({EventName.ACT_CONFIRMED.value, EventName.ACT_REFUSED.value})
_REFUSED = {
    EventName.ONWARD_REFUSED.value: "request",
    EventName.DERIVATION_REFUSED.value: "request",
    EventName.PROXY_REFUSED.value: "consent",
}
"""What ends with a refusal, by the name under which its entry tells which one it was."""
_RECALLED = {EventName.REPORT_RECALLED.value: "recalled", EventName.REPORT_ENDED.value: "expired"}
_TO_SEE_TO: Mapping[str, str] = {
    EventName.CLIENT_REVOKED.value: "exchange client revoke {id}",
    EventName.CLIENT_CHANGED.value: (
        "client {id} was changed{now}: look at `exchange client show {id}`, and narrow it again"
    ),
    EventName.CERTIFICATE_REMOVED.value: "exchange client certificate remove {id} THUMBPRINT",
    EventName.MEMBER_SUSPENDED.value: "exchange member suspend {id}",
    EventName.AGREEMENT_SUSPENDED.value: "its party's signatory suspends agreement {id} again",
    EventName.REQUEST_WITHDRAWN.value: "its asker withdraws request {id} again",
    EventName.REPORT_AMENDED.value: "its originator amends report {id} again: the version before it holds",
    EventName.ONWARD_REVOKED.value: "its originator's releaser takes back again to whom report {id} may go onward",
    EventName.ONWARD_WITHDRAWN.value: "its requester withdraws its request to pass report {id} on again",
    EventName.DERIVATION_WITHDRAWN.value: "its requester withdraws its request to derive from report {id} again",
    EventName.PROXY_REVOKED.value: "a releaser takes back again who may post on its behalf: agreement {id}",
    EventName.CAVEATS_ACTIVATED.value: "its member puts caveats {id} into force again, two persons",
    EventName.AGREEMENT_AMENDED.value: "the parties sign again what amended agreement {id}: the text before it holds",
    EventName.AGREEMENT_SIGNATURE_WITHDRAWN.value: (
        "its party's signatory takes back again its signature under a text proposed for agreement {id}"
    ),
    EventName.SIGNATORY_KEY_RETIRED.value: "exchange client signature-key retire {id} KEY_ID",
    EventName.DERIVATION_REVOKED.value: "its originator's releaser revokes again what may derive from report {id}",
    EventName.AGREEMENT_WITHDRAWN.value: "its party's signatory withdraws from agreement {id} again",
    EventName.CRISIS_ENDED.value: "a signatory whom it names ends the crisis of agreement {id} again",
    EventName.WITNESS_REMOVED.value: "exchange audit witness remove {id}, where it is asked again",
    EventName.WITNESS_QUORUM_SET.value: "exchange audit witness quorum: it was set after the backup, look at it",
    EventName.HOLD_PUT.value: "exchange hold put: legal hold {id} was put on after the backup, and is on no more",
}
"""What was narrowed after the backup, and how it is narrowed again."""


@dataclass(frozen=True, slots=True)
class BackedLog:
    """The log as the backup holds it."""

    log: int
    origin: str
    keys: str
    size: int


@dataclass(slots=True)
class Contents:
    """What a backup holds, read to its end: nothing of it was believed before."""

    made_at: str
    node: str
    schema: str
    files: dict[str, bytes]
    archived: list[str] = field(default_factory=list)
    """The paths of the log's archive, whose contents `files_of` yields."""
    log: BackedLog | None = None
    rows: dict[str, int] = field(default_factory=dict)
    personal_keys: list[dict[str, Any]] = field(default_factory=list)
    """The last rows of keys that custody wrapped and that are not destroyed."""
    blobs: int = 0
    missing: int = 0
    """Large parts that the blob store did not have when the backup was made."""
    altered: Mapping[str, int] = field(default_factory=dict)
    """By table, how many rows held something else than belongs in their columns: it is in the backup as it stood."""


@dataclass(slots=True)
class Lacking:
    """What a backup could not put aside as it was: large parts that are gone, by place, and rows that were altered."""

    large_parts: list[str] = field(default_factory=list)
    altered: dict[str, int] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Return whether all of it is whole."""
        return not self.large_parts and not self.altered


async def backup_lines(  # noqa: PLR0913  what there is, and where
    url: str,
    *,
    node: str,
    clock: Clock,
    files: Mapping[str, bytes],
    archived: Callable[[], Iterable[tuple[str, bytes]]] = tuple,
    blobs: BlobStore | None = None,
    lacking: Lacking | None = None,
) -> AsyncIterator[bytes]:
    """Yield the lines of a backup of the database at `url`; `files` are path -> content, none of them secret.

    `archived` reads what left the database for files, one by one; `blobs` has the large parts. INVARIANT: what is
    damaged keeps nothing else from being put aside, and nothing is left out in silence: `lacking` says what could not
    be read, to be told beside the backup, and so does the backup's last line.
    """
    lost = Lacking() if lacking is None else lacking
    made_at, counted, locations = rfc3339(clock()), dict[str, int](), list[str]()
    dump = dumped(url)
    # INVARIANT: as of the first row, and only then what left before: what leaves meanwhile is in one place or in both.
    first = await anext(dump)
    kept = {path: base64.b64encode(content).decode() for path, content in files.items()}
    yield _line({"exchange_backup": _FORMAT, "made_at": made_at, "node": node, "schema": head(), "files": kept})
    left = 0
    for path, content in archived():
        yield _line({"file": path, "content": base64.b64encode(content).decode()})
        left += 1
    async for name, columns, rows in _behind(first, dump):
        counted[name] = counted.get(name, 0) + len(rows)
        if name in _PART_TABLES:
            place = columns.index("location")
            named = (row[place] for row in rows if isinstance(row[place], str))
            locations += [location for location in named if not is_in_database(location)]
        if altered := len(misfits_in(name, columns, rows)):
            lost.altered[name] = lost.altered.get(name, 0) + altered
        if rows:
            yield _line({"t": name, "c": columns, "r": rows})
    for location in locations:
        if blobs is None:
            raise UnavailableError("the database has large parts in a blob store, and `blob_store_url` names none")
        try:
            async for line in _blob_lines(blobs, location):
                yield line
        except (BlobMissingError, ValueError):
            # Gone, or no place at all: what names it was altered.
            lost.large_parts.append(location)
    missing = len(lost.large_parts)
    held = {"blobs": len(locations) - missing, "missing": missing, "altered": dict(lost.altered), "archived": left}
    yield _line({"end": counted, **held})


def read_contents(lines: Iterable[bytes]) -> Contents:
    """Return what a backup holds, read to its end; MalformedError where it is none, or not whole."""
    contents: Contents | None = None
    end: dict[str, int] | None = None
    held, left, piece = 0, 0, 0
    for line in lines:
        record = _parsed(line)
        if contents is None:
            contents = _opened(record)
        elif "end" in record:
            end, held, left = record["end"], record.get("blobs", 0), record.get("archived", 0)
            contents.missing = record.get("missing", 0)
            contents.altered = record.get("altered", {})
        elif record.keys() == _FILE_LINE:
            contents.archived.append(_file_in(record)[0])
        elif "blob" in record:
            if record.get("piece", 0) != piece:
                raise MalformedError("the backup is not whole: use another one")
            piece = piece + 1 if record.get("more") else 0
            contents.blobs += 0 if piece else 1
        else:
            contents.rows[record["t"]] = contents.rows.get(record["t"], 0) + len(record["r"])
            if record["t"] == _LOG_TABLE:
                contents.log = _newest_log(record)
            elif record["t"] == _KEY_TABLE:
                contents.personal_keys = [*contents.personal_keys, *_living(record)][-_LOOKED_AT:]
    if (
        contents is None
        or end is None
        or any(contents.rows.get(name, 0) != count for name, count in end.items())
        or (contents.blobs, len(contents.archived)) != (held, left)
    ):
        raise MalformedError("the backup is not whole: use another one")
    return contents


def rows_of(lines: Iterable[bytes]) -> Iterator[Rows]:
    """Yield the rows of a backup whose contents were read before."""
    for line in lines:
        record = _parsed(line)
        if "t" in record:
            yield record["t"], record["c"], record["r"]


def files_of(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the log's archive in a backup whose contents were read before: path and content."""
    for line in lines:
        record = _parsed(line)
        if record.keys() == _FILE_LINE:
            yield _file_in(record)


def blobs_of(lines: Iterable[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the blobs of a backup whose contents were read before: location and content, in pieces to be read at once.

    No blob is in memory whole.
    """
    records = (record for record in map(_parsed, lines) if "blob" in record)
    for location, pieces in groupby(records, key=itemgetter("blob")):
        yield location, (base64.b64decode(piece["content"], validate=True) for piece in pieces)


class After(NamedTuple):
    """What came after a backup: destroyed or ended again with the rows, to be confirmed, done again by its use case.

    `ends` tell of `replay.recalled`.
    """

    replay: Replay
    claims: list[Claim]
    moves: list[PartyMove]
    ends: list[EndTold]


def what_came_after(contents: Contents, kept: Iterable[bytes] | None) -> After:
    """Return what `kept`, the log's entries behind the backup's last, says was narrowed since: done again, or to be.

    Reports whose keys were destroyed, and erased personal data, are destroyed again, and of the reports it is told anew
    that they ended; acts that had their second person wait for none, what was refused is refused, and removed
    subscriptions are told nothing; what a party did to its part of an agreement is done again once the rows are there,
    and where it cannot be is an operator's to see to. So is the rest, and always what no kept log tells of.

    It is gone through twice, where a report was recalled.
    """
    ended = _Ended()
    last = contents.made_at
    for content in kept or ():
        entry = parse_entry(content)
        last = entry["ts"]
        if entry["decision"] == Outcome.PERMITTED.value and "object" in entry:
            ended.take(entry, entry["object"]["id"])
    claims = [*ended.claims, unknown_acts(last)]
    recalled = {report: _RECALLED[entry["type"]] for report, entry in ended.reports.items()}
    replay = Replay(recalled, tuple(ended.erased), ended.acts, tuple(ended.subscriptions), ended.refused)
    given = _given(kept or (), [report for report, status in recalled.items() if status == "recalled"])
    ends = [EndTold(entry, tuple(given.get(report, {}).values())) for report, entry in ended.reports.items()]
    return After(replay, claims, ended.moves, ends)


def _given(kept: Iterable[bytes], reports: Collection[str]) -> dict[str, dict[str, GivenTo]]:
    """Return by report and client when each of these reports was first given to whom.

    Looked for once they are known: all that was read since a backup may be more than the memory holds.
    """
    found: dict[str, dict[str, GivenTo]] = {report: {} for report in reports}
    for entry in map(parse_entry, kept if found else ()):
        by_client = found.get(entry["object"]["id"]) if "object" in entry else None
        if by_client is not None and (given := given_by(entry)) is not None:
            by_client.setdefault(given.client, given)
    return found


@dataclass(slots=True)
class _Ended:
    """What the entries read so far tell of."""

    reports: dict[str, Entry] = field(default_factory=dict)
    erased: list[tuple[str, str]] = field(default_factory=list)
    acts: dict[str, str] = field(default_factory=dict)
    subscriptions: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    moves: list[PartyMove] = field(default_factory=list)

    def take(self, entry: Entry, subject: str) -> None:
        """Add what `entry`, of something that was permitted to be done to `subject`, tells of."""
        kind = entry["type"]
        if kind in _RECALLED:
            self.reports[subject] = entry
        elif kind == EventName.PERSONAL_ERASED.value:
            self.erased.append((subject, _period(entry)))
        elif kind in _ENDED_ACTS:
            self.acts[subject] = entry["actor"].get("id", "")
        elif kind in _REFUSED:
            self.refused[str(entry.get("detail", {}).get(_REFUSED[kind], ""))] = entry["actor"].get("id", "")
        elif kind == EventName.SUBSCRIPTION_REMOVED.value:
            self.subscriptions.append(subject)
        elif (move := move_told(entry)) is not None:
            self.moves.append(move)
        if kind == EventName.HOLD_LIFTED.value:
            self.claims = [claim for claim in self.claims if claim.subject != subject]
        if kind in _TO_SEE_TO:
            told = _TO_SEE_TO[kind].format(id=subject, now=_stood(entry))
            self.claims.append(Claim(entry["id"], kind, subject, told))


async def _behind(first: Rows, others: AsyncIterator[Rows]) -> AsyncIterator[Rows]:
    yield first
    async for rows in others:
        yield rows


async def _blob_lines(blobs: BlobStore, location: str) -> AsyncIterator[bytes]:
    """Yield the lines of one blob; BlobMissingError, before any, where it is not there."""
    number, held = 0, b""
    async for piece in blobs.pieces(location):
        if held:
            yield _blob_line(location, number, held, has_more=True)
            number += 1
        held = piece
    yield _blob_line(location, number, held, has_more=False)


def _blob_line(location: str, number: int, piece: bytes, *, has_more: bool) -> bytes:
    more = {"more": True} if has_more else {}
    return _line({"blob": location, "piece": number, **more, "content": base64.b64encode(piece).decode()})


def _stood(entry: Entry) -> str:
    """Return how a client stood from `entry` on, which nothing in a restored database says."""
    said = {name: entry.get("detail", {}).get(name) for name in ("standing", "level", "compartments", "until")}
    words = [f"{name} {' '.join(each) if isinstance(each, list) else each}" for name, each in said.items() if each]
    return f" to {', '.join(words)}" * bool(words)


def _period(entry: Entry) -> str:
    detail = entry.get("detail", {})
    return str(detail.get("period", ""))


def _opened(record: Mapping[str, Any]) -> Contents:
    if record.get("exchange_backup") != _FORMAT:
        raise MalformedError("this is no backup of the exchange, or one of another version")
    if record["schema"] > head():
        raise MalformedError(
            f"the backup has schema `{record['schema']}`, this version knows `{head()}`: restore it with a newer one"
        )
    files = {path: base64.b64decode(content, validate=True) for path, content in record["files"].items()}
    return Contents(record["made_at"], record["node"], record["schema"], files)


async def require_its_keys(contents: Contents, custodian: Custodian) -> None:
    """Raise InvalidError where custody does not open what the backup holds: it has the keys of another instance.

    One row that was damaged before the backup keeps nothing from being restored; one under a version that is missing
    here does.
    """
    fault: Exception | None = None
    for row in reversed(contents.personal_keys):
        wrapped = Wrapped(
            row["key_id"], row["key_version"], row["wrap_suite"], base64.b64decode(row["wrapped_key"]["b"])
        )
        try:
            await custodian.unwrap(wrapped, personal_context(row["kid"], row["subject"], row["period"], row["boot"]))
        except CryptoError as exc:
            fault = exc
        except UnavailableError as exc:
            raise InvalidError(_NOT_ITS_KEYS) from exc
        else:
            return
    if fault is not None:
        raise InvalidError(_NOT_ITS_KEYS) from fault


def _living(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = (dict(zip(record["c"], row, strict=True)) for row in record["r"])
    return [key for key in keys if key["destroyed_at"] is None]


def _newest_log(record: Mapping[str, Any]) -> BackedLog | None:
    logs = [dict(zip(record["c"], row, strict=True)) for row in record["r"]]
    if not logs:
        return None
    newest = max(logs, key=lambda log: int(log["log"]))
    return BackedLog(newest["log"], newest["origin"], newest["keys"], newest["size"])


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _file_in(record: Mapping[str, Any]) -> tuple[str, bytes]:
    try:
        return str(record["file"]), base64.b64decode(record["content"], validate=True)
    except (TypeError, ValueError) as exc:
        raise MalformedError("the backup holds a file that is none: use another one") from exc


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise MalformedError("this is no backup of the exchange") from exc
    if not isinstance(record, dict):
        raise MalformedError("this is no backup of the exchange")
    return record
