"""Stream the headers a reader may see, as they become visible: a list that goes on.

Steps: (1) the reader is admitted, once more each time that its rights may have changed; (2) the entry that it listens
is durable; (3) what lies behind its position is listed as `list_reports` lists it, decided and recorded page by page
before it is sent, and with it what else concerns its member; (4) what a change of rights makes visible comes as well,
and one that takes anything away ends the stream; (5) it waits until something that concerns it stirs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from operator import itemgetter
from time import monotonic

from exchange.audit import EventName, Outcome
from exchange.kernel import ExchangeError, UnavailableError
from exchange.members import Client, Role
from exchange.release import View
from exchange.store import CallerRow
from exchange.usecases.reading.list_reports import ListedReports, ListQuery, list_reports, readable_for
from exchange.usecases.steps.authenticate import admit, authenticated_row, required_thumbprint
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.facts import own_purpose
from exchange.usecases.steps.judging import require_same_law
from exchange.usecases.steps.knowledge import Readable
from exchange.usecases.steps.positions import is_unfinished, open_position, seal_position, seal_unfinished
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.watching import Watch
from exchange.usecases.telling.telling_streams import ToldEvent, told_events

_PAGE = 100
_MOST_MADE_VISIBLE = 1000
"""A change of rights may open years of reports: a reader is told to list them anew rather than sent them all."""

_AWAY_SECONDS = 1.0
"""How long the pulse waits after a failure: the database is away, and asking more often would not bring it back."""

_EVENT = EventName.STREAM_OPENED
_log = logging.getLogger("exchange.streams")


class End(Enum):
    """Why a stream ended; in each case its reader may come again with the last id it was given."""

    STOPPING = "stopping"
    AGED = "aged"
    RIGHTS_CHANGED = "rights-changed"
    TURNED_AWAY = "turned-away"
    UNAVAILABLE = "unavailable"
    READER_GONE = "reader-gone"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to resume from now on; the first one says that the stream stands."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A header that the reader may see, recorded; `cursor` is where to resume once it was taken."""

    header_json: bytes
    cursor: str


@dataclass(frozen=True, slots=True)
class Unopened:
    """A report that the reader may see and that does not open, recorded; None where it may not know which."""

    report: str | None
    cursor: str


@dataclass(frozen=True, slots=True)
class Told:
    """What concerns the reader's member and is no report, recorded; `cursor` is where to resume once it was taken."""

    kind: str
    facts_json: bytes
    cursor: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing to tell for a while."""


@dataclass(frozen=True, slots=True)
class ListAnew:
    """More became visible than is sent, or than was sent when a stream broke: a fresh list has it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last of a stream."""

    why: End


Notice = Begun | Shown | Told | Unopened | Silence | ListAnew | Ended


async def open_stream(services: Services, call: Call, cursor: str | None) -> Recorded["ReportStream"]:
    """Begin to stream what becomes visible to this client behind `cursor`, None for what comes from now on.

    `cursor` is the id of an event, or `next` of a list. The caller closes the stream whatever happens.
    Raises MalformedError for a foreign or forged cursor, ForbiddenError without the reader's role, InvalidError for a
    purpose that the client does not have, LimitExceededError where it has as many streams as it may.
    """
    # (1) who
    client, row = await authenticated_row(services, call, Role.READER, event=_EVENT)
    require_same_law(services, row.state)
    async with on_record(services, draft(call, client, _EVENT, Outcome.REFUSED)):
        purpose = own_purpose(services, call, client)
        after = (await services.store.pulse.beat()).seq if cursor is None else open_position(services, client, cursor)
        has_left = is_unfinished(services, client, cursor)
        watch = services.watching.enter(str(client.id), client.member)
    try:
        # (2) that it listens
        receipt = await services.store.append(draft(call, client, _EVENT, Outcome.PERMITTED, purpose=purpose))
    except BaseException:
        services.watching.exit(watch)
        raise
    _keep_beating(services)
    stream = ReportStream(services, call, client, watch, seal_position(services, client, after), has_left=has_left)
    return Recorded(stream, receipt)


class ReportStream:
    """One stream on its way."""

    def __init__(  # noqa: PLR0913  what one stream is
        self, services: Services, call: Call, client: Client, watch: Watch, cursor: str, *, has_left: bool = False
    ) -> None:
        self._services = services
        self._call = call
        self._client = client
        self._watch = watch
        self._cursor = cursor
        self._position = open_position(services, client, cursor)
        self._has_left = has_left
        self._readable: Readable | None = None
        self._why: End | None = None

    def leave(self) -> None:
        """Tell the stream that its reader has gone."""
        self._watch.leave()

    async def close(self) -> None:
        """Let go of it and record that it ended; where the log is away it has ended nevertheless."""
        self._services.watching.exit(self._watch)
        why = self._why or End.READER_GONE
        ended = draft(
            self._now(), self._client, EventName.STREAM_CLOSED, Outcome.PERMITTED, detail={"finding": why.value}
        )
        try:
            async with self._services.watching.reading(self._client.member):
                await self._services.store.append(ended)
        except ExchangeError as exc:
            _log.warning("the end of a stream was not recorded: %s", exc.message)

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what is to be told, until `Ended`."""
        limits, watch = self._services.watching.limits, self._watch
        begun_at = told_at = monotonic()
        if self._has_left:
            # The one before broke, or ended, before it had told what a change of rights opened.
            yield Begun(self._unfinished())
            yield ListAnew()
        yield Begun(self._cursor)
        while self._why is None:
            if watch.is_stirred:
                async for notice in self._looked():
                    told_at = monotonic()
                    yield notice
            self._why = self._why or self._told_to_end(begun_at)
            # INVARIANT: counted from what was told last. Were it from what stirred last, silence would tell of what
            # the reader may not see.
            silent_at = told_at + limits.silence_seconds
            # (5) until something stirs
            wait = min(silent_at, begun_at + limits.longest_seconds) - monotonic()
            if self._why is None and not await watch.wait(max(0.0, wait)) and monotonic() >= silent_at:
                told_at = monotonic()
                yield Silence()
        if self._why is not End.READER_GONE:
            yield Ended(self._why)

    def _told_to_end(self, begun_at: float) -> End | None:
        if self._watch.is_gone:
            return End.READER_GONE
        if self._watch.has_ended:
            return End.STOPPING
        return End.AGED if monotonic() - begun_at >= self._services.watching.limits.longest_seconds else None

    async def _looked(self) -> AsyncIterator[Notice]:
        """Yield what there is to see now; a failure ends the stream, and nothing of what failed was shown."""
        try:
            async for notice in self._seen():
                yield notice
        except ExchangeError as exc:
            is_away = isinstance(exc, UnavailableError) or exc.receipt is None
            self._why = End.UNAVAILABLE if is_away else End.TURNED_AWAY

    async def _seen(self) -> AsyncIterator[Notice]:
        watch = self._watch
        if watch.must_look:
            # (1), (4) what may it read now
            async with self._services.watching.reading(self._client.member):
                watch.begin_to_look()
                opened = await self._looked_anew()
            if self._why is not None:
                if opened:
                    yield Begun(self._unfinished())
                return
            async for notice in self._made_visible(opened):
                yield notice
        if watch.take_news():
            # (3) what is new
            async for notice in self._listed():
                yield notice

    async def _looked_anew(self) -> frozenset[int]:
        """Learn what the reader may read now; return the classes, known before, that it could not read then."""
        services, call = self._services, self._now()
        row = await self._caller(call)
        self._client = client = await admit(services, call, row.client, Role.READER, event=_EVENT)
        # Only who was admitted: a list begins with what is remembered here.
        services.knowledge.see(required_thumbprint(call), row)
        require_same_law(services, row.state)
        async with on_record(services, draft(call, client, _EVENT, Outcome.REFUSED)):
            readable = await readable_for(services, call, client, row.state)
        before, self._readable = self._readable, readable
        self._watch.may_read(readable.permits.keys(), readable.not_after)
        if before is None:
            return frozenset()
        if _is_narrower(before, readable):
            self._why = End.RIGHTS_CHANGED
        # A class that came into being since has reports behind the position only.
        known = (class_id for class_id in readable.permits if class_id <= before.class_version)
        return frozenset(class_id for class_id in known if _is_more(before, readable, class_id))

    async def _caller(self, call: Call) -> CallerRow:
        services, thumbprint = self._services, required_thumbprint(call)
        seen = services.knowledge.last_seen.get(thumbprint)
        # Read at this policy version by somebody else: whoever changes a client or a certificate moves it.
        if seen is not None and seen.state == services.watching.state:
            return seen
        return await services.store.caller(thumbprint)

    async def _made_visible(self, classes: frozenset[int]) -> AsyncIterator[Notice]:
        """Yield what lies before the position in classes that a change of rights opened."""
        cursor, count, is_full = seal_position(self._services, self._client, 0), 0, bool(classes)
        while is_full:
            page = await self._page(ListQuery(cursor, _PAGE, only=classes))
            shown = zip(page.items, page.rows, strict=True)
            before = [Shown(header_json, self._unfinished()) for header_json, row in shown if row.seq <= self._position]
            damaged = [each for each in page.unopened if each.seq <= self._position]
            # Whoever breaks off among them does not know what is left: the id remembers that something is.
            for notice in before:
                yield notice
            for each in damaged:
                yield Unopened(each.id, self._unfinished())
            count, cursor = count + len(before) + len(damaged), page.next
            is_full = page.is_full and len(before) + len(damaged) == len(page.items) + len(page.unopened)
            if is_full and count >= _MOST_MADE_VISIBLE:
                yield ListAnew()
                is_full = False
        if count:
            yield Begun(self._cursor)

    def _unfinished(self) -> str:
        return seal_unfinished(self._services, self._client, self._position)

    async def _listed(self) -> AsyncIterator[Notice]:
        """Yield what lies behind the position, page by page, headers and what else is told in one order."""
        services, client = self._services, self._client
        is_full = True
        while is_full and not self._watch.is_gone:
            page = await self._page(ListQuery(self._cursor, _PAGE))
            # INVARIANT: what the page is complete up to was committed before it was read, events too.
            to = open_position(services, client, page.next)
            for notice in _in_order(services, client, page, await self._told(to)):
                yield notice
            self._cursor, self._position, is_full = page.next, to, page.is_full

    async def _told(self, to: int) -> list[ToldEvent]:
        async with self._services.watching.reading(self._client.member):
            return await told_events(self._services, self._now(), self._client, self._position, to)

    async def _page(self, query: ListQuery) -> ListedReports:
        # INVARIANT: decided, and recorded, by the use case of the list at this moment: there is no other way to show.
        async with self._services.watching.reading(self._client.member):
            return (await list_reports(self._services, self._now(), query)).value

    def _now(self) -> Call:
        return replace(self._call, now=self._services.clock())


def _in_order(
    services: Services, client: Client, page: ListedReports, events: Sequence[ToldEvent]
) -> Iterator[Shown | Told | Unopened]:
    waiting: list[tuple[int, Told | Unopened]] = [(each.seq, _as_told(services, client, each)) for each in events]
    waiting += [(each.seq, Unopened(each.id, seal_position(services, client, each.seq))) for each in page.unopened]
    waiting.sort(key=itemgetter(0))
    for header_json, row in zip(page.items, page.rows, strict=True):
        while waiting and waiting[0][0] < row.seq:
            yield waiting.pop(0)[1]
        yield Shown(header_json, seal_position(services, client, row.seq))
    for _, notice in waiting:
        yield notice


def _as_told(services: Services, client: Client, event: ToldEvent) -> Told:
    return Told(event.kind.value, event.facts_json, seal_position(services, client, event.seq))


def _is_more(before: Readable, after: Readable, class_id: int) -> bool:
    """Return whether more of a class can be read than before, or it at all."""
    return not _shows_all_of(before, after, class_id)


def _is_narrower(before: Readable, after: Readable) -> bool:
    """Return whether anything that could be read can be read no longer, or less of it."""
    return any(not _shows_all_of(after, before, class_id) for class_id in before.permits)


def _shows_all_of(one: Readable, other: Readable, class_id: int) -> bool:
    """Return whether `one` shows as much of a class as `other`, which shows something."""
    shown, wanted = one.permits.get(class_id), other.permits[class_id]
    if shown is None or not shown.labels >= wanted.labels:
        return False
    return shown.view is View.FULL or wanted.view is not View.FULL


def _keep_beating(services: Services) -> None:
    watching = services.watching
    if watching.beating is None or watching.beating.done():
        watching.forget()
        watching.beating = asyncio.get_running_loop().create_task(_beat_while_needed(services), name="pulse of streams")


async def _beat_while_needed(services: Services) -> None:
    """Feel the pulse while anybody waits; nothing is asked of the database while nobody does."""
    watching, told = services.watching, False
    while watching.is_needed:
        try:
            await _beat(services)
            told = False
        except ExchangeError as exc:
            if not told:
                told = True
                _log.error("streams wait for the database: %s", exc.message)
            await asyncio.sleep(_AWAY_SECONDS)
        except Exception as exc:  # noqa: BLE001  told with its trace
            # Nobody foresaw it. Streams that nothing stirs any more, a revocation neither, look as if all were well.
            if not told:
                told = True
                _log.exception("streams wait", extra={"cause": type(exc).__name__})
            await asyncio.sleep(_AWAY_SECONDS)
        await asyncio.sleep(watching.limits.beat_seconds)


async def _beat(services: Services) -> None:
    watching = services.watching
    beat = await services.store.pulse.beat()
    known, fresh, members = watching.seq, frozenset[int](), frozenset[str]()
    if known is not None and beat.seq > known:
        fresh = await services.store.pulse.classes_behind(known, beat.seq)
        members = await services.store.pulse.members_behind(known, beat.seq)
    watching.stir(beat.state, beat.seq, fresh, services.clock(), members=members)
