"""Rows held against the log: what somebody who writes to the database put back is found, told, and ended again.

A decision rests on rows, and a row of before is true: nothing on it tells that it was replaced. The log does. So the
jobs go over what it tells of that narrows anything, every ten minutes, and look whether the rows have come as far.

Steps for a row that has not: (1) it is read again, within a transaction; (2) what the log says has ended is ended
again, and what nobody can bring back is shown to nobody; (3) an entry says which row, and what was done. Nothing of it
is asked for at a request: these are as fast as they were, and what was put back is read for ten minutes at most.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from exchange.agreements import AgreementState, PartyState, active_parties, state_of
from exchange.audit import Detail, Entry, EventName, Outcome, Subject
from exchange.audit.rows_told import (
    AGREEMENT_EVENTS,
    NO_ENTRY,
    TELLING_EVENTS,
    Contradiction,
    LastWords,
    RowKept,
    RowKind,
    RowName,
    RowTold,
    contradiction,
    rows_told,
)
from exchange.audit.rows_untold import ConsentsTold, NewestTold
from exchange.crypto import OpeningError
from exchange.kernel import MICROSECOND, ExchangeError, is_uuid7, new_id, to_micros
from exchange.members import Standing
from exchange.reports import ReportStatus
from exchange.store import UnitOfWork
from exchange.store.books.caveat_mending import CaveatsTold
from exchange.store.log.searching import Found
from exchange.store.rows.log_rows import LogState
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.life.telling_rows import NOTHING_DONE, Put, TellingRows, contradicted_draft
from exchange.usecases.promises.told_breaches import breach_told
from exchange.usecases.steps.altered_classes import class_of, tell_altered_class
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import is_too_much_waiting, may_be_told, require_none, told_of, told_until_now
from exchange.usecases.upkeep.hold_certificates import CertificateRecords, untold_certificates
from exchange.usecases.upkeep.hold_requests import is_ended_untold, stands_again

HELD_EVERY: Final = timedelta(minutes=10)

_ON_ITS_WAY: Final = timedelta(minutes=1)
"""So long an entry may be on its way to its place, as its row stands already."""

_CHECKED: Final = tuple(event for event in TELLING_EVENTS if event is not EventName.REPORT_POSTED)
"""That a report was posted narrows nothing, and is most of a log: `exchange audit verify` looks at that too."""

_PARTIES: Final = frozenset({RowKind.CLIENT, RowKind.MEMBER})
"""Of whom every version is in the log."""

_GRANTED: Final = frozenset({RowKind.ONWARD, RowKind.DERIVATION})
"""Of which an entry names the deed that was signed."""

_IN_ORDER: Final = frozenset(
    {RowKind.REPORT, RowKind.ONWARD, RowKind.DERIVATION, RowKind.REQUEST, RowKind.SUBSCRIPTION}
)
"""What is held by some under the order of reports, or of what is told of besides."""

_ONCE: Final = frozenset({RowKind.CAVEATS, RowKind.AGREEMENT})
"""Of which the last that entries say is held against a row, once: what was lost may have given its number twice."""

_EVERY_VERSION: Final = 2**63

_STILL_WITHHELD: Final = "it is withheld from everybody already"
_AS_IT_WAS: Final = frozenset({NOTHING_DONE, _STILL_WITHHELD})
"""What is done where a row stays as it is."""

_ENDED_AS: Final = {
    EventName.REPORT_RECALLED.value: ReportStatus.RECALLED,
    EventName.REPORT_ENDED.value: ReportStatus.EXPIRED,
}

_LOOKS: Final = 10
_BETWEEN_LOOKS_SECONDS: Final = 0.3
"""The search follows the log once a second."""

_STANDS_STILL: Final = 5
"""So many looks at which it stood still, and nobody works on it: there is nothing to wait for."""

_log = logging.getLogger("exchange.rows")


async def contradicted_rows(services: Services) -> AsyncIterator[list[Contradiction]]:
    """Yield, page by page, the rows that are not what the searchable log says; nothing is changed, nothing recorded.

    What they said before, and is decided on no more, `exchange audit verify` looks at. Raises LogDamagedError behind
    them where the log lacks entries: of what these may tell of, nobody says that it never was.
    """
    newest, last_words, consents = NewestTold(), LastWords(), ConsentsTold()
    lacks: list[Found] = []
    before = await _placed_until(services)
    for event in _CHECKED:
        async for entries in told_of(services, event, lacks=lacks):
            for entry in entries:
                consents.take(entry)
            told = _told(entries)
            for each in told:
                last_words.take(each)
                newest.take(each)
            yield await _contradictions(services, [each for each in told if each.name.kind not in _ONCE])
    yield await _contradictions(services, newest.of(RowKind.CAVEATS))
    yield await _agreements_contradicted(services, newest.of(RowKind.AGREEMENT), last_words)
    if before is not None:
        now = to_micros(services.clock() + _ON_ITS_WAY)
        current = await services.store.rows_kept.current()
        settled = [each for each in current if not may_be_told(lacks, each.recorded_at)]
        yield list(newest.untold(settled, before=before, now=now))
        parties = await services.store.rows_kept.signed_parties()
        signed = [each for each in parties if not may_be_told(lacks, each.recorded_at, each.signed_at)]
        yield list(consents.untold(signed, newest.of(RowKind.AGREEMENT), before=before, now=now))
        yield await untold_certificates(services, before, now, lacks)
    require_none(lacks, "that rows are held against")


async def _contradictions(services: Services, told: Sequence[RowTold]) -> list[Contradiction]:
    """Return which rows are not what entries say that they are now."""
    kept = await services.store.rows_kept.of({each.name for each in told})
    found = [contradiction(each, kept.get(each.name)) for each in told]
    return [each for each in found if each is not None and each.is_current]


async def _agreements_contradicted(
    services: Services, newest: Sequence[RowTold], last_words: LastWords
) -> list[Contradiction]:
    found = await _contradictions(services, newest)
    # However far a row has gone on: it is looked at anew.
    words = [replace(each, holds_to=_EVERY_VERSION) for each in last_words.found()]
    suspects = sorted({each.told.name for each in await _contradictions(services, words)})
    for name in suspects:
        found += await _last_words_contradicted(services, name)
    return found


async def _last_words_contradicted(services: Services, name: RowName) -> list[Contradiction]:
    """Return in what an agreement contradicts the last words about it, of all that was done to it by now.

    Events are read one after the other, and what is done meanwhile may be missing from one and not from the next.
    """
    if await is_too_much_waiting(services):
        _log.warning("%s is not held against its last words: too many entries wait for their place", name)
        return []
    # INVARIANT: the row before its entries, and none that came after it: of those that made it what it is none is
    # missing, and nobody who went on meanwhile is accused.
    kept = (await services.store.rows_kept.of({name})).get(name)
    if kept is None:
        return []
    words, lacks = LastWords(), list[Found]()
    async for entry in told_until_now(services, *AGREEMENT_EVENTS, subject=name.id, lacks=lacks):
        for told in rows_told(entry):
            if told.name == name and told.version <= kept.version:
                words.take(told)
    if lacks:
        return []  # the very last ones may be missing
    found = [contradiction(each, kept) for each in words.found()]
    return [each for each in found if each is not None and each.is_current]


async def _placed_until(services: Services) -> int | None:
    """Return up to when everything that was recorded is found by the search; None where that cannot be said."""
    # Before the state: what waits now has a place in none that was signed before. Where nobody sequenced for a while,
    # the first signature of a log comes before the places of what has long been recorded.
    waiting = (await services.store.log.backlog()).oldest_at
    state = await services.store.log.state()
    if state is None or not await _is_searched(services, state):
        return None
    before = state.signed_at - _ON_ITS_WAY // MICROSECOND
    return None if waiting is not None and waiting <= before else before


async def _is_searched(services: Services, state: LogState) -> bool:
    """Return whether the search has come as far as the log had; where that grows all the time it is a little behind."""
    stood_still, before = 0, -1
    for _ in range(_LOOKS):
        searched = await services.store.log.searched(state.log)
        if searched >= state.size:
            return True
        stood_still = stood_still + 1 if searched == before else 0
        if stood_still >= _STANDS_STILL:
            break
        before = searched
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)
    return False


class RowWatch:
    """The rounds of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._telling = TellingRows(services)
        self._records = CertificateRecords(services)
        self._put: dict[RowName, object] = {}
        """The version of each row that this process put, where that was the last thing that it did to it."""

    async def round(self) -> bool:
        """Go over all that the log tells of rows; return that there is no more to do now."""
        try:
            await self._pass_numbers()
        except UNREADABLE as exc:
            # Whoever posts is told of it; what was put back is held all the same.
            _log.error("the last numbers of the policy state are left: %s", _why(exc))
        if await _placed_until(self._services) is not None:
            await self._records.complete()
        async for found in contradicted_rows(self._services):
            for each in found:
                # What cannot be read of one row, or done to it, keeps no other one from being looked at.
                try:
                    await self._answer(each)
                except UNREADABLE as exc:
                    _log.error("a row that is not what the log says is left: %s", _why(exc))
        return False

    async def _pass_numbers(self) -> None:
        """Have posts go on behind what somebody wrote where the next ones belong: until then each is refused."""
        async with self._services.store.unit_of_work() as unit:
            for name, number in (await unit.mending().pass_numbers()).items():
                subject = Subject("policy-state", name)
                entry = service_draft(self._services, EventName.ROW_CONTRADICTED, Outcome.FAILED, subject=subject)
                detail: Detail = {"why": "rows have the next numbers already", "done": f"moved to {number}"}
                await unit.record(replace(entry, detail=detail))
                _log.critical("rows have the next numbers already: `%s` is moved to %d", name, number)

    async def _answer(self, found: Contradiction) -> None:
        if found.certificate is not None:
            await self._withheld(found, found.certificate)
            return
        if found.is_of_altered_class:
            # Told by itself: of a report that stands in it nothing is said or withheld, but for who may have it anew.
            report = found.told.name.id
            class_id = (await self._services.store.history.classes_of([report])).get(report)
            await tell_altered_class(self._services, class_id)
            if found.is_unread or not await self._may_go_to(found.told.not_for, class_id):
                return
        now = self._services.clock()
        is_told = await self._telling.is_told(found.told, now)
        try:
            is_recorded = await self._recorded(found, is_told=is_told)
        except UNREADABLE as exc:
            # So nobody is let in by it, and nothing read: the program reads it as we do. Told it is.
            _log.error("%s is left as it is: %s", found.told.name, _why(exc))
            is_recorded = await self._recorded(replace(found, is_unread=True), is_told=is_told)
        if is_recorded:
            self._telling.note(found.told, now)
            _log.critical("%s is not what the log says: %s", found.told.name, found.why)

    async def _may_go_to(self, member: str | None, class_id: object) -> bool:
        """Return whether a report of an altered class goes to `member` as far as seals tell, or nothing tells of it."""
        # INVARIANT: a consent that was taken back is not given again by whoever takes away what it is read from.
        if not isinstance(class_id, int):
            return True
        try:
            row = await class_of(self._services, class_id)
        except OpeningError:
            return True
        return any(consent.member == member for consent in row.facts.consents)

    async def _withheld(self, found: Contradiction, thumbprint: str) -> None:
        """End a certificate that is not the client's, and suspend the client; told each time that it is in use."""
        name = found.told.name
        async with self._services.store.unit_of_work() as unit:
            if not await unit.held_certificates().end(name.id, thumbprint):
                return
            put: Put = {}
            done = "certificate removed"
            client = await unit.client(name.id) if is_uuid7(name.id) else None
            if client is not None and client.standing is Standing.ACTIVE:
                done = await _mended_party(unit, found.told, put)
            entry = contradicted_draft(self._services, found, done, put)
            await unit.record(replace(entry, detail={**entry.detail, "certificate": "removed"}))
        _log.critical("%s is not what the log says: %s", name, found.why)

    async def _recorded(self, found: Contradiction, *, is_told: bool) -> bool:
        """Mend and record it; where it was told already, only what was put back since."""
        told = found.told
        if is_ended_untold(told) and not found.is_unread:
            return await stands_again(self._services, found, is_told=is_told)
        async with self._services.store.unit_of_work() as unit:
            # (1) as it is now
            await _hold(unit, told)
            kept = await self._services.store.rows_kept.of({told.name})
            told = self._of_what_was_put(told, kept.get(told.name))
            again = contradiction(told, kept.get(told.name))
            if told.by is NO_ENTRY:
                done = await _ended_untold(unit, told)
                if is_told and done == NOTHING_DONE:
                    return False
                await unit.record(contradicted_draft(self._services, found, done, {}))
                return True
            if again is None or not again.is_current or _moved_on(found, again):
                return False
            # (2) ended again
            put: Put = {}
            if found.is_unread or again.is_unread:
                done = NOTHING_DONE
            else:
                done = await _mended(self._services, unit, told, put, is_kept=told.name in kept)
            if is_told and done in _AS_IT_WAS:
                return False
            # (3) on the record
            await unit.record(contradicted_draft(self._services, again, done, put))
        self._put[told.name] = put.get("put")
        return True

    def _of_what_was_put(self, told: RowTold, kept: RowKept | None) -> RowTold:
        # What was put for one party of an agreement says of another one what was there before.
        is_ours = kept is not None and kept.version == self._put.get(told.name)
        return replace(told, holds_to=kept.version) if kept and is_ours and told.holds_to is not None else told


def _why(fault: Exception) -> str:
    return fault.message if isinstance(fault, ExchangeError) else type(fault).__name__


def _moved_on(found: Contradiction, again: Contradiction) -> bool:
    # What two releasers have put in force meanwhile has no place in the log yet: the next round looks at it.
    return found.told.name.kind is RowKind.CAVEATS and again.why != found.why


def _told(entries: Sequence[Entry]) -> list[RowTold]:
    told = [each for entry in entries for each in rows_told(entry)]
    return [each for each in told if each.name.kind is RowKind.SIGNATORY_KEY or _is_id(each.name)]


def _is_id(name: RowName) -> bool:
    return name.kind in {RowKind.MEMBER, RowKind.ERASED, RowKind.CAVEATS} or is_uuid7(name.id)


async def _hold(unit: UnitOfWork, told: RowTold) -> None:
    """Hold what is held where somebody writes such a row."""
    kind = told.name.kind
    if kind is RowKind.CAVEATS:
        await unit.caveats().hold(told.name.id)
    elif kind is RowKind.AGREEMENT:
        await unit.agreements().hold(told.name.id)
    elif kind is RowKind.BREACH:
        await unit.agreements().hold(told.by["agreement"])
    elif kind in _PARTIES:
        # What its operator does meanwhile comes first, or behind: a version is never put over one that was not seen.
        await unit.mending().hold(told.name)
    elif kind in _IN_ORDER:
        # Before the row, as whoever moves a report, answers with one or tells of it: each would wait for the other.
        await unit.reports().hold_order()


async def _ended_untold(unit: UnitOfWork, told: RowTold) -> str:
    # Who a client is, nobody knows: a person looks. What two signatories have to open, and nobody did, is closed.
    is_ended = told.name.kind is RowKind.CRISIS and await unit.mending().end(told.name, told.event)
    return "ended" if is_ended else NOTHING_DONE


async def _mended(services: Services, unit: UnitOfWork, told: RowTold, put: Put, *, is_kept: bool) -> str:
    """Do again what the log says was done, as far as that can be; return what was, and in `put` as which version."""
    if told.name.kind is RowKind.CAVEATS:
        return await _mended_caveats(services, unit, told, put)
    if told.name.kind is RowKind.BREACH:
        return NOTHING_DONE if is_kept else await _put_back(unit, told)
    return await _mended_kept(unit, told, put, services.clock()) if is_kept else NOTHING_DONE


async def _mended_kept(unit: UnitOfWork, told: RowTold, put: Put, now: datetime) -> str:
    if told.name.kind is RowKind.REPORT:
        return await _mended_report(unit, told)
    if told.name.kind in _PARTIES:
        return await _mended_party(unit, told, put)
    if told.name.kind is RowKind.AGREEMENT:
        return await _mended_agreement(unit, told, put, now)
    if told.name.kind is RowKind.SUBSCRIPTION and not told.is_over:
        return NOTHING_DONE  # its secret does not open for another client: nobody is shown it, or told by it
    if told.name.kind in _GRANTED and not told.is_over:
        # Another deed than the one that was signed: nobody reads on what nobody granted.
        return "the consent is ended" if await unit.mending().end_grant(told.name) else NOTHING_DONE
    return "ended again" if await unit.mending().end(told.name, told.event) else NOTHING_DONE


async def _put_back(unit: UnitOfWork, told: RowTold) -> str:
    # Its entry says all of it, and whom it accuses is told of it still.
    await unit.breaches().add(breach_told(told.by))
    return "put back"


async def _mended_report(unit: UnitOfWork, told: RowTold) -> str:
    report = told.name.id
    if told.is_over:
        await unit.reports().held(report)
        await unit.reports().shred(report, _ENDED_AS[told.event])
        return "its keys are destroyed again"
    # The version that it had is lost: who looks at it finds the older one, and readers find nothing.
    return "withheld from everybody" if await unit.mending().withhold(report) else _STILL_WITHHELD


async def _mended_agreement(unit: UnitOfWork, told: RowTold, put: Put, now: datetime) -> str:
    """Have a party take no part that the log suspended or let go; of another text or version than the log's, nobody."""
    agreement = await unit.agreements().one(told.name.id)
    # Under a draft nobody reads, and none of its parties could resume what it has not begun.
    if agreement is None or state_of(agreement, now) is AgreementState.DRAFT:
        return NOTHING_DONE
    is_other = agreement.version < told.version or told.is_newest
    suspended = sorted(each for each in active_parties(agreement, now) if is_other or told.tells_of_party(each))
    # In its place among those that the log tells of, also where all are suspended: who resumes makes the next one.
    if not suspended and not is_other:
        return NOTHING_DONE
    mending = unit.mending()
    version = await mending.next_version(told.name.kind, told.name.id, max(told.version, told.holds_to or 0))
    parties = tuple(
        replace(each, state=PartyState.SUSPENDED) if each.member in suspended else each for each in agreement.parties
    )
    await mending.put(replace(agreement, version=version, parties=parties))
    put |= {"put": version, "parties": suspended}
    return PartyState.SUSPENDED.value


async def _mended_party(unit: UnitOfWork, told: RowTold, put: Put) -> str:
    mending = unit.mending()
    # Behind what the log tells of, too: of the version that was lost more is told than that it is suspended.
    version = await mending.next_version(told.name.kind, told.name.id, told.version)
    if told.name.kind is RowKind.MEMBER:
        member = await unit.member(told.name.id)
        if member is None:
            return NOTHING_DONE
        put["put"] = version
        await mending.put(replace(member, version=version, standing=Standing.SUSPENDED))
        return "suspended"
    client = await unit.client(told.name.id)
    if client is None:
        return NOTHING_DONE
    is_revoked = told.event == EventName.CLIENT_REVOKED.value or told.says.get("standing") == Standing.REVOKED.value
    standing = Standing.REVOKED if is_revoked else Standing.SUSPENDED
    put["put"] = version
    await mending.put(replace(client, version=version, standing=standing))
    return standing.value


async def _mended_caveats(services: Services, unit: UnitOfWork, told: RowTold, put: Put) -> str:
    """Put in force again what the log says; where its text is lost, what refuses every report of the member."""
    by, now = told.by, services.clock()
    set_id = new_id(now, services.randomness)
    detail = by.get("detail", {})
    named = str(detail.get("set") or by["object"]["id"])
    act, client = (str(each) for each in (detail.get("act"), by["actor"].get("id")))
    last = CaveatsTold(
        member=told.name.id,
        number=told.version,
        set_id=named,
        digest=str(detail.get("digest")),
        act=act if is_uuid7(act) else set_id,
        client=client if is_uuid7(client) else set_id,
    )
    made = await unit.mending().put_caveats(last, set_id)
    put |= {"put": made.number, "set": set_id, "digest": made.digest}
    return "put in force again" if made.is_whole else "the member's reports are withheld"
