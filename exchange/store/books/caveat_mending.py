"""National caveats that the log says are in force put there again, as a new version: what was written never changes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.kernel import to_micros
from exchange.release import NationalText
from exchange.store.database.faults import is_of_no_text
from exchange.store.tables.caveat_tables import CaveatSetTable

_NOTHING: Final = NationalText("", "")

_MOST_NUMBERS: Final = 1_000_000
"""Nobody puts caveats in force so often: a higher number was written in, and might leave none for what follows."""

LOST: Final = NationalText(
    "// What two releasers put in force here was changed or is lost: until they put guards in force again, nobody\n"
    "// reads a report of this member.\n",
    "",
)
"""A text without a guard, which refuses every report of its member."""


class CaveatsTold(NamedTuple):
    """Which set the log says is in force; `act` and `client`, ids, stand for who put it there where its row is gone."""

    member: str
    number: int
    set_id: str
    digest: str
    act: str
    client: str


class CaveatsPut(NamedTuple):
    """What was put in force in its place; `is_whole` where the text is the very one, and else `LOST`."""

    number: int
    digest: str
    is_whole: bool


async def put_in_force_again(session: AsyncSession, told: CaveatsTold, set_id: str, now: datetime) -> CaveatsPut:
    """Make `set_id` what is in force for a member, as told, in place of all that is. The caller holds the member.

    Where a row is newer than what is told, its entry may be lost: nobody can say what holds, and so nothing is read.
    """
    row, moment = CaveatSetTable, to_micros(now)
    # Wherever it stands: in force for another member it is not that one's.
    of_member = or_(col(row.member) == told.member, col(row.id) == told.set_id)
    is_current = (col(row.in_force_at).is_not(None), col(row.ended_at).is_(None))
    await session.execute(update(row).where(of_member, *is_current).values(ended_at=moment))
    found = await _found(session, told.set_id)
    guards, examples, of_guards, *who = found or ("", "", "[]", told.act, told.client)
    texts = (_NOTHING, _text(guards, examples))
    taken = await numbers_of(session, told.member)
    is_newest = all(number <= told.number for number in taken)
    text = next((each for each in texts if is_newest and each.digest(told.member) == told.digest), None)
    kept = text or LOST
    values: dict[str, Any] = {
        "id": set_id,
        "member": told.member,
        # No row has it; the highest there is anybody may have written in.
        "number": next(number for number in count(told.number + 1) if number not in taken),
        "guards": kept.guards,
        "examples": kept.examples,
        "told": of_guards if kept.guards and kept != LOST else "[]",
        "digest": kept.digest(told.member),
        "replaces": told.set_id,
        "act_id": who[0],
        "proposed_by": who[1],
        "proposed_at": moment,
        "in_force_at": moment,
        "ended_at": None,
    }
    await session.execute(insert(row), values)
    return CaveatsPut(values["number"], values["digest"], kept != LOST)


async def numbers_of(session: AsyncSession, member: str) -> set[int]:
    """Return the numbers that a member's sets have, whatever else stands in their place."""
    row = CaveatSetTable
    numbers = await session.scalars(select(col(row.number)).where(col(row.member) == member))
    return {number for number in numbers if isinstance(number, int)}


async def _found(session: AsyncSession, set_id: str) -> Sequence[Any] | None:
    """Return a set that is kept; None for none, and for one with a text that is no UTF-8: it is lost as well."""
    row = CaveatSetTable
    columns = (col(row.guards), col(row.examples), col(row.told), col(row.act_id), col(row.proposed_by))
    try:
        return (await session.execute(select(*columns).where(col(row.id) == set_id))).first()
    except DBAPIError as exc:
        if exc.orig is None or not is_of_no_text(exc.orig):
            raise
        return None


def next_number(taken: Collection[int]) -> int:
    """Return the number of the set that comes behind those with these numbers."""
    last = max((number for number in taken if 0 < number <= _MOST_NUMBERS), default=0)
    return next(number for number in count(last + 1) if number not in taken)


def _text(guards: object, examples: object) -> NationalText:
    is_text = isinstance(guards, str) and isinstance(examples, str)
    return NationalText(str(guards), str(examples)) if is_text else LOST
