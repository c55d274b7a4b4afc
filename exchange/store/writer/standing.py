"""What every hot answer begins with: the policy state, and whose certificate this is.

Nothing is decided without the one row of the policy state, and nothing changed: whoever decides by it or holds it does
so by `the_one` or `hold_state`, which say what is missing and what to do. A backup, and the jobs' walk over reports,
read it by statements of their own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.selectable import FromClause

from exchange.kernel import UnavailableError
from exchange.store.database.faults import SILENT_STORE
from exchange.store.tables.main_tables import table

Found = TypeVar("Found")

STATE = table("policy_state")
MEMBER = table("member")
CLIENT = table("client")
CERTIFICATE = table("client_certificate")
REPORT = table("report")

STANDING_WIDTH = 7
"""How many columns `standing` has."""

_REPORT_COLUMNS = (
    "seq",
    "id",
    "class_id",
    "version",
    "valid_until",
    "status",
    "key_id",
    "key_version",
    "header_suite",
    "sealed_header",
)

REPORT_WIDTH = len(_REPORT_COLUMNS)


class AlteredStateError(UnavailableError):
    """In the row of the policy state something is no number: it is to come on the record."""


def the_one(rows: Iterable[Found]) -> Found:
    """Return the one row that the policy state makes; UnavailableError where it is gone, or there is another beside it.

    Nothing else holds what is in force and in which order reports came: no row is ever made in its place.
    """
    found = list(rows)
    if len(found) == 1:
        return found[0]
    raise _lost("holds no policy state" if not found else "holds more than one policy state")


def numbers_of(row: Sequence[Any]) -> Sequence[Any]:
    """Return numbers of the policy state as they are: versions, the last number of a report, a moment.

    AlteredStateError where one of them is none: SQLite keeps anything in its place, if somebody puts it there.
    """
    if not all(isinstance(each, int) for each in row):
        raise _lost("holds a policy state that was altered", AlteredStateError)
    return row


def _lost(lost: str, kind: type[UnavailableError] = UnavailableError) -> UnavailableError:
    mend = "put a backup back with `exchange restore`, into an empty database, and find out who altered `policy_state`"
    return kind(f"{SILENT_STORE}: the database {lost}: {mend}", told=f"{SILENT_STORE}: it {lost}")


async def hold_state(session: AsyncSession, *columns: str) -> tuple[Any, ...]:
    """Return these columns of the policy state, held to the end of the unit; raises as `the_one`."""
    return await _state(session, columns, is_held=True)


async def look_at_state(session: AsyncSession, *columns: str) -> tuple[Any, ...]:
    """Return these columns of the policy state as they are just now; raises as `the_one`."""
    return await _state(session, columns, is_held=False)


async def _state(session: AsyncSession, columns: Sequence[str], *, is_held: bool) -> tuple[Any, ...]:
    asked = select(*(STATE.c[name] for name in columns))
    rows = await session.execute(asked.with_for_update() if is_held else asked)
    return tuple(the_one(rows.all()))


def standing() -> list[ColumnElement[Any]]:
    """Return policy version, class version, policy digest, last sequence number, and the client's id and versions."""
    state = STATE.c
    known = [state.policy_version, state.class_version, state.policy_digest, state.report_seq]
    return [
        *known,
        CLIENT.c.id.label("client_id"),
        CLIENT.c.version.label("client_version"),
        MEMBER.c.version.label("member_version"),
    ]


def whose(askers: FromClause | None = None) -> FromClause:
    """Return the policy state joined with the client of the parameter `thumbprint`; nobody where it is unknown.

    With `askers` it is that for each of them, by the `thumbprint` of its row.
    """
    thumbprint: ColumnElement[Any] = bindparam("thumbprint") if askers is None else askers.c.thumbprint
    used = and_(CERTIFICATE.c.thumbprint == thumbprint, CERTIFICATE.c.removed_at.is_(None))
    client = and_(CLIENT.c.id == CERTIFICATE.c.client_id, CLIENT.c.superseded_at.is_(None))
    member = and_(MEMBER.c.code == CLIENT.c.member, MEMBER.c.superseded_at.is_(None))
    state = STATE if askers is None else askers.join(STATE, true())
    return state.outerjoin(CERTIFICATE, used).outerjoin(CLIENT, client).outerjoin(MEMBER, member)


def report_columns() -> list[ColumnElement[Any]]:
    """Return the columns of `ReportRow`, in its order."""
    return [REPORT.c[name] for name in _REPORT_COLUMNS]
