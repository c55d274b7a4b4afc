"""Keys of personal data: made as needed, durable before the first entry that uses one, forgotten once destroyed.

Each process makes keys of its own, so that none waits for another. What is in memory is a copy: when the policy version
moves, as it does with every erasure, the next entry asks first which of them are destroyed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.audit import EntryDraft, Guard, Outcome, key_subject, period_of
from exchange.crypto import DATA_KEY_BYTES, PersonalKey, SearchTokens, personal_context
from exchange.kernel import Clock, UnavailableError, new_id, to_micros
from exchange.store.database.dialect import Parameters, Row, Value
from exchange.store.rows.main_rows import Sealed
from exchange.store.tables.personal_tables import PersonalKeyTable

_MOST_GUARDS: Final = 20_000
"""A key is 1 KiB in memory. Beyond this many clients of one process at once, keys are made anew."""


class _OutOfReachError(UnavailableError):
    """Custody does not wrap, so no key can be made."""


@dataclass(frozen=True, slots=True)
class PersonalCustody:
    """What wraps the keys of personal data, and what their store must know.

    `wrap` takes a data key and its context; `search_key` is the same on every node; a period has `period_months`.
    """

    wrap: Callable[[bytes, bytes], Awaitable[Sealed]]
    search_key: bytes
    period_months: int = 1


def no_custody(randomness: Callable[[int], bytes]) -> PersonalCustody:
    """Return what a process has that acts for no client, such as the sequencer: nothing personal can be kept."""

    async def refuse(data_key: bytes, context: bytes) -> Sealed:  # noqa: ARG001  the signature is custody's
        raise UnavailableError("this process has no custody: it keeps no personal data")

    return PersonalCustody(refuse, randomness(DATA_KEY_BYTES))


@dataclass(frozen=True, slots=True)
class PersonalKeyRow:
    """A key and whose it is. `key` is None once it is destroyed."""

    kid: str
    subject: str
    period: str
    boot: str
    key: Sealed | None


class Place(NamedTuple):
    """Whose key, of which period."""

    subject: str
    period: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is not durable yet, and its row in the order of the table's columns."""

    guard: Guard
    row: tuple[Value, ...]


class PersonalKeys:
    """The keys that one process start has made. `fetch` reads, `keep` makes a row durable."""

    def __init__(  # noqa: PLR0913  what wires it
        self,
        custody: PersonalCustody,
        fetch: Callable[[Parameters], Awaitable[Sequence[Row]]],
        keep: Callable[[tuple[Value, ...]], Awaitable[object]],
        *,
        boot: str,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._custody = custody
        self._fetch = fetch
        self._keep = keep
        self._boot = boot
        self._clock = clock
        self._randomness = randomness
        self._without_key = Guard(SearchTokens(custody.search_key), None)
        self._guards: dict[Place, Guard] = {}
        self._making: dict[Place, asyncio.Task[Guard]] = {}
        self._seen_version = self._checked_version = 0

    def see(self, policy_version: int) -> None:
        """Take note of the policy version that a request has read."""
        self._seen_version = max(self._seen_version, policy_version)

    async def guard(self, draft: EntryDraft) -> Guard | None:
        """Return what keeps the personal data of `draft`, its key durable; None where there is none to keep.

        Where custody cannot wrap, a refusal or failure is kept without its personal data: nothing was released, and it
        must be on the record. Raises UnavailableError for anything else, and where the store cannot write.
        """
        place = self.place_of(draft)
        if place is None:
            return None
        held = await self.held(place)
        if held is not None:
            return held
        try:
            return await asyncio.shield(self._being_made(place))
        except _OutOfReachError:
            return self.without_key(draft)

    async def guard_to_keep(self, draft: EntryDraft) -> tuple[Guard | None, Callable[[], Awaitable[object]]]:
        """Return what `guard` does, and what makes its key durable, to be done before the entry is.

        Raises as `guard`, and the second one where the store cannot write.
        """
        place = self.place_of(draft)
        held = None if place is None else await self.held(place)
        if place is None or held is not None:
            return held, _nothing_to_keep
        try:
            new = await self.new_key(place)
        except _OutOfReachError:
            return self.without_key(draft), _nothing_to_keep

        async def keep() -> None:
            await self._keep(new.row)
            self.remember(place, new.guard)

        return new.guard, keep

    async def held(self, place: Place) -> Guard | None:
        """Return the key that is in memory and not destroyed."""
        if self._seen_version != self._checked_version:
            await self._forget_destroyed()
        return self._guards.get(place)

    def place_of(self, draft: EntryDraft) -> Place | None:
        """Return under which key the personal data of `draft` belongs; None where it has none."""
        subject = key_subject(draft)
        return None if subject is None else Place(subject, period_of(draft.at, months=self._custody.period_months))

    def without_key(self, draft: EntryDraft) -> Guard:
        """Return what keeps `draft` while custody is away; only what was refused or failed is kept so."""
        if draft.outcome is Outcome.PERMITTED:
            raise UnavailableError("custody is away: personal data cannot be kept, so nothing was released")
        return self._without_key

    async def new_key(self, place: Place) -> NewKey:
        """Return a key for `place`; whoever asks makes it durable and then hands it to `remember`."""
        now = self._clock()
        kid = new_id(now, self._randomness)
        key = self._randomness(DATA_KEY_BYTES)
        try:
            stored = await self._custody.wrap(key, personal_context(kid, place.subject, place.period, self._boot))
        except UnavailableError as exc:
            raise _OutOfReachError(exc.message) from exc
        wrapped = (stored.key_id, stored.key_version, stored.suite, stored.blob)
        row = (kid, *place, self._boot, *wrapped, to_micros(now), None)
        return NewKey(Guard(self._without_key.tokens, PersonalKey(kid, key)), row)

    def remember(self, place: Place, guard: Guard) -> None:
        """Use this key from now on."""
        if len(self._guards) >= _MOST_GUARDS:
            self._guards.clear()
        self._guards[place] = guard

    def forget(self, place: Place) -> None:
        """Drop the copy of a key that is being destroyed."""
        self._guards.pop(place, None)

    def _being_made(self, place: Place) -> "asyncio.Task[Guard]":
        """Return the making of a key, one for all who wait for it; it goes on when they have gone."""
        task = self._making.get(place)
        if task is None:
            task = self._making[place] = asyncio.create_task(self._made(place))
            task.add_done_callback(lambda done: self._finish(place, done))
        return task

    async def _made(self, place: Place) -> Guard:
        new = await self.new_key(place)
        # INVARIANT: durable before any entry that uses it, or what the entry holds could never be read.
        await self._keep(new.row)
        self.remember(place, new.guard)
        return new.guard

    def _finish(self, place: Place, done: "asyncio.Task[Guard]") -> None:
        self._making.pop(place, None)
        if not done.cancelled():
            done.exception()  # seen: those who waited may all have gone

    async def _forget_destroyed(self) -> None:
        version = self._seen_version
        destroyed = {row[0] for row in await self._fetch({"boot": self._boot})}
        if destroyed:
            kept = self._guards.items()
            self._guards = {place: guard for place, guard in kept if guard.key and guard.key.kid not in destroyed}
        self._checked_version = version


async def _nothing_to_keep() -> None:
    """Keep nothing: there is no key, or it is durable."""


async def count_personal_keys(session: AsyncSession, subject: str, period: str) -> int:
    """Return how many keys of a subject's period there are that are not destroyed."""
    counted = select(func.count()).select_from(PersonalKeyTable).where(*_living(subject, period))
    return int(await session.scalar(counted) or 0)


async def destroy_personal_keys(session: AsyncSession, subject: str, period: str, now: datetime) -> int:
    """Overwrite every key of a subject's period and return how many there were."""
    destroyed = update(PersonalKeyTable).where(*_living(subject, period))
    result = await session.execute(destroyed.values(wrapped_key=b"", destroyed_at=to_micros(now)))
    return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult


def _living(subject: str, period: str) -> tuple[ColumnElement[bool], ...]:
    is_it = (col(PersonalKeyTable.subject) == subject, col(PersonalKeyTable.period) == period)
    return (*is_it, col(PersonalKeyTable.destroyed_at).is_(None))
