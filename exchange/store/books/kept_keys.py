"""Every row that holds something sealed by custody directly: counted by the version it is under, read, put anew.

INVARIANT: what is put anew takes the place of what was read and of nothing else. A key that was destroyed meanwhile, a
row that was amended, completed or removed, stays what it has become.

Rows that somebody else holds are passed over: nobody ever waits for a rotation who waits for nothing else here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Join, Select, Table, and_, case, func, or_, select, tuple_, update

from exchange.store.books.book import Book
from exchange.store.rows.main_rows import Sealed
from exchange.store.tables.main_tables import table
from exchange.store.tables.personal_tables import PersonalKeyTable
from exchange.store.tables.request_tables import RequestTable
from exchange.store.tables.subscription_tables import SubscriptionTable
from exchange.store.tables.upload_tables import UploadPartTable, UploadTable

Place = tuple[str | int, ...]

NO_VERSION: Final = -1
"""Of what is under something that is no number."""


class KeptKind(Enum):
    """What kind of thing custody sealed."""

    REPORT_HEADER = "report-header"
    REPORT_PART = "report-part"
    UPLOAD = "upload"
    UPLOAD_PART = "upload-part"
    REQUEST = "request"
    SUBSCRIPTION = "subscription"
    PERSONAL_KEY = "personal-key"


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row with what is sealed in it, in the order of its kind, and what that is bound to.

    `bound` are, for a report's header: version, class digest; its part: version, class facts (JSON), label index; an
    upload: client; its part: the upload's row as of `SealedDeclaration`; a request: facts (JSON); a subscription:
    client, URL; a personal key: subject, period, boot.
    """

    kind: KeptKind
    place: Place
    seals: tuple[Sealed, ...]
    bound: tuple[Any, ...]


class SealedDeclaration(NamedTuple):
    """What an upload's part is bound to: the label is in what was declared."""

    client: str
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes


class _Seal(NamedTuple):
    key_id: str
    key_version: str
    suite: str
    blob: str


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where one kind stands. `holder` is the row that whoever changes it holds, found by the first of its place."""

    rows: Table
    place: tuple[str, ...]
    seals: tuple[_Seal, ...]
    holder: Table
    joined: Table | Join
    bound: tuple[ColumnElement[Any], ...]


_HEADER = _Seal("key_id", "key_version", "header_suite", "sealed_header")
_KEY = _Seal("key_id", "key_version", "wrap_suite", "wrapped_key")
_SECRET = _Seal("key_id", "key_version", "wrap_suite", "wrapped_secret")
_DIGEST = _Seal("digest_key_id", "digest_key_version", "digest_suite", "sealed_digest")

_REPORT, _PART, _CLASS = table("report"), table("report_part"), table("release_class")
_UPLOAD, _UPLOAD_PART = table(UploadTable), table(UploadPartTable)
_REQUEST, _SUBSCRIPTION = table(RequestTable), table(SubscriptionTable)
_PERSONAL = table(PersonalKeyTable)


def _of(rows: Table, *names: str) -> tuple[ColumnElement[Any], ...]:
    return tuple(rows.c[name] for name in names)


_SHELVES: Final = {
    KeptKind.REPORT_HEADER: _Shelf(
        _REPORT,
        ("id",),
        (_HEADER,),
        _REPORT,
        _REPORT.join(_CLASS, _CLASS.c.id == _REPORT.c.class_id),
        (_REPORT.c.version, _CLASS.c.digest),
    ),
    KeptKind.REPORT_PART: _Shelf(
        _PART,
        ("report_id", "number"),
        (_KEY,),
        _REPORT,
        _PART.join(_REPORT, _REPORT.c.id == _PART.c.report_id).join(_CLASS, _CLASS.c.id == _REPORT.c.class_id),
        (_REPORT.c.version, _CLASS.c.facts, _PART.c.label_index),
    ),
    KeptKind.UPLOAD: _Shelf(_UPLOAD, ("id",), (_HEADER,), _UPLOAD, _UPLOAD, _of(_UPLOAD, "client_id")),
    KeptKind.UPLOAD_PART: _Shelf(
        _UPLOAD_PART,
        ("upload_id", "number"),
        (_KEY, _DIGEST),
        _UPLOAD,
        _UPLOAD_PART.join(_UPLOAD, _UPLOAD.c.id == _UPLOAD_PART.c.upload_id),
        _of(_UPLOAD, "client_id", "key_id", "key_version", "header_suite", "sealed_header"),
    ),
    KeptKind.REQUEST: _Shelf(_REQUEST, ("id",), (_HEADER,), _REQUEST, _REQUEST, _of(_REQUEST, "facts")),
    KeptKind.SUBSCRIPTION: _Shelf(
        _SUBSCRIPTION, ("id",), (_SECRET,), _SUBSCRIPTION, _SUBSCRIPTION, _of(_SUBSCRIPTION, "client_id", "url")
    ),
    KeptKind.PERSONAL_KEY: _Shelf(
        _PERSONAL, ("kid",), (_KEY,), _PERSONAL, _PERSONAL, _of(_PERSONAL, "subject", "period", "boot")
    ),
}

_HOLDERS_KEY: Final = {"personal_key": "kid"}
"""What a holder is found by, where that is not `id`."""


class KeptKeys(Book):
    """What custody sealed, in one transaction."""

    async def counts(self, kind: KeptKind) -> dict[int, int]:
        """Return how much of one kind there is under each version; what was destroyed is under none."""
        shelf = _SHELVES[kind]
        oldest = _oldest(shelf)
        counted = select(oldest, func.count()).where(*_is_living(shelf)).group_by(oldest)
        counts: dict[int, int] = {}
        for version, count in await self._session.execute(counted):
            # SQLite keeps a text where a number belongs, if somebody puts it there.
            number = version if isinstance(version, int) else NO_VERSION
            counts[number] = counts.get(number, 0) + int(count)
        return counts

    async def places_outside(self, kind: KeptKind, versions: Collection[int], limit: int) -> list[Place]:
        """Return where something of one kind is under none of these versions."""
        shelf = _SHELVES[kind]
        is_outside = or_(*(shelf.rows.c[seal.key_version].not_in(list(versions)) for seal in shelf.seals))
        place = _of(shelf.rows, *shelf.place)
        asked = select(*place).where(*_is_living(shelf), is_outside).order_by(*place).limit(limit)
        return [tuple(each) for each in await self._session.execute(asked)]

    async def older(self, kind: KeptKind, newest: int, *, after: Place | None, limit: int) -> list[KeptRow]:
        """Return rows of one kind that are under a version before `newest`, by their place, behind `after`."""
        shelf = _SHELVES[kind]
        found = await self._session.execute(_older(shelf, newest, after, limit))
        return [_row(kind, shelf, tuple(each)) for each in found]

    async def put(self, kind: KeptKind, renewed: Sequence[tuple[KeptRow, tuple[Sealed, ...]]]) -> int:
        """Put new seals in the place of those that were read, where those still stand; return of how many rows."""
        shelf = _SHELVES[kind]
        free = await self._hold(shelf, {row.place[0] for row, _ in renewed})
        count = 0
        for row, seals in renewed:
            if row.place[0] in free:
                changed: Any = await self._session.execute(_put(shelf, row, seals))
                count += changed.rowcount
        if count:
            self._note_write()
        return count

    async def _hold(self, shelf: _Shelf, ids: set[str | int]) -> set[str | int]:
        # Who recalls, amends or completes holds the same row first. Not waited for: two that wait would be a deadlock.
        key = shelf.holder.c[_HOLDERS_KEY.get(shelf.holder.name, "id")]
        held = select(key).where(key.in_(sorted(ids))).with_for_update(skip_locked=True)
        return set(await self._session.scalars(held))


def _older(shelf: _Shelf, newest: int, after: Place | None, limit: int) -> Select[Any]:
    place = _of(shelf.rows, *shelf.place)
    seals = [shelf.rows.c[name] for seal in shelf.seals for name in seal]
    is_older = or_(*(shelf.rows.c[seal.key_version] < newest for seal in shelf.seals))
    which = [*_is_living(shelf), is_older]
    if after is not None:
        which.append(tuple_(*place) > tuple_(*after))
    return select(*place, *seals, *shelf.bound).select_from(shelf.joined).where(*which).order_by(*place).limit(limit)


def _put(shelf: _Shelf, row: KeptRow, seals: tuple[Sealed, ...]) -> Any:
    columns = shelf.rows.c
    which = [columns[name] == value for name, value in zip(shelf.place, row.place, strict=True)]
    values: dict[str, Any] = {}
    for names, old, new in zip(shelf.seals, row.seals, seals, strict=True):
        which += [columns[names.blob] == old.blob, columns[names.key_version] == old.key_version]
        values |= dict(zip(names, (new.key_id, new.key_version, new.suite, new.blob), strict=True))
    return update(shelf.rows).where(and_(*which)).values(values)


def _oldest(shelf: _Shelf) -> ColumnElement[int]:
    versions = [shelf.rows.c[seal.key_version] for seal in shelf.seals]
    if len(versions) == 1:
        return versions[0]
    one, other = versions
    return case((one < other, one), else_=other)


def _is_living(shelf: _Shelf) -> list[ColumnElement[bool]]:
    return [shelf.rows.c[seal.blob] != b"" for seal in shelf.seals]


def _row(kind: KeptKind, shelf: _Shelf, found: tuple[Any, ...]) -> KeptRow:
    start, width = len(shelf.place), len(_Seal._fields)
    end = start + width * len(shelf.seals)
    seals = tuple(Sealed(*found[at : at + width]) for at in range(start, end, width))
    bound = found[end:]
    return KeptRow(kind, found[:start], seals, SealedDeclaration(*bound) if kind is KeptKind.UPLOAD_PART else bound)
