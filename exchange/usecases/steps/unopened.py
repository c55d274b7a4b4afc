"""Reports that stand in a list and do not open: who is told that they are there, and what goes on record.

One damaged row takes no other report from anybody, and is never shown. But whose it is, its row alone cannot say any
more: who writes to the database may have moved it to where somebody else reads. The log says it, and cannot be altered
unseen. So a reader is told of what the log says it may see, and of nothing else.

Steps for each: (1) what the log says that the report is; (2) which release classes that fits; (3) a reader that may
read all of these is told which report it is, one that may read some, or of which the log says nothing yet, that there
is one, and another one nothing; (4) what is damaged, and who met it, is on record before anything is answered.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NoReturn

from exchange.agreements import AgreementId
from exchange.audit import EntryDraft, EventName, Outcome, Subject
from exchange.crypto import OpeningError
from exchange.custody import KeyMissingError
from exchange.kernel import MalformedError, UnavailableError
from exchange.members import EXCHANGE_MEMBER, Client, Role
from exchange.release import CURRENT_ROW, ClassFacts, Permit, Use, decide
from exchange.store import PolicyState, ReportRow
from exchange.usecases.steps.altered_classes import class_of
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.entry_labels import label_of
from exchange.usecases.steps.facts import is_cleared_for, reader_facts, stated_purpose
from exchange.usecases.steps.judging import absent_draft, law_in_force, report_not_found
from exchange.usecases.steps.knowledge import Readable
from exchange.usecases.steps.log_words import LogWord, word_of, word_of_class, word_until_now
from exchange.usecases.steps.recorded_keys import recorded_version
from exchange.usecases.steps.recording import NOT_AS_PUT, TamperedError, record_tampering, refuse
from exchange.usecases.steps.service_entries import service_draft

_EACH_BY_ITSELF: Final = 16
"""Damaged reports of one answer with an entry of their own; the rest of a page stands in one."""

_ORIGINATORS: Final = frozenset({Role.CONTRIBUTOR, Role.RELEASER})


@dataclass(frozen=True, slots=True)
class UnopenedReport:
    """A report that the reader may see and that does not open; `id` is None where it may not know which."""

    seq: int
    id: str | None


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: in which call, as of which state."""

    call: Call
    client: Client
    state: PolicyState


@dataclass(frozen=True, slots=True)
class Lister(Asker):
    """Who lists, and what it may read."""

    readable: Readable


class _Told(Enum):
    """What a reader is told of a damaged report."""

    WHICH = "which"
    THAT = "that there is one"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A damaged report, what the log says of it, and what its reader is told."""

    row: ReportRow
    word: LogWord | None
    told: _Told


async def tell_unopened(services: Services, lister: Lister, rows: Sequence[ReportRow]) -> list[UnopenedReport]:
    """Return what who lists is told of these reports, in order, once all of them are on the record."""
    found = []
    for row in rows:
        # (1) what it is
        word = await word_of(services, row.id)
        # (2), (3) who may know
        found.append(_Damaged(row, word, await _told(services, lister, row, word)))
    # (4) INVARIANT: nothing is answered before it is on record that something is damaged.
    await asyncio.gather(*(services.store.append(entry) for entry in _entries(services, lister, found)))
    return [
        UnopenedReport(each.row.seq, each.row.id if each.told is _Told.WHICH else None)
        for each in found
        if each.told is not _Told.NOTHING
    ]


async def record_unopened(
    services: Services, asker: Asker, row: ReportRow, cause: Exception, *, is_asked: bool = True
) -> NoReturn:
    """Record that a report is not what its row says, and raise TamperedError: nothing of it was released.

    In the name of who asked, where the log says that it may know of the report, and of the service elsewhere: what was
    moved to where a client looks is not its member's auditor's to know of.
    """
    place = f"report {row.id}"
    word = await word_until_now(services, row.id)
    if is_asked and (word is None or await _may_know(services, asker, row, word)):
        await record_tampering(services, asker.call, asker.client, place, cause)
    entry = _of_service(services, asker, place=place)
    error = TamperedError(NOT_AS_PUT)
    error.receipt = await services.store.append(entry if word is None else _about(entry, row, word))
    raise error from cause


async def refuse_to_others(services: Services, asker: Asker, row: ReportRow, *, event: EventName) -> None:
    """Refuse, as if it were absent, what did not open, to whom the log says that it may not know of it.

    Who moves another's report to where somebody looks must not have it learn that the report is there.
    """
    if await is_others(services, asker, row):
        await refuse(services, absent_draft(asker.call, asker.client, event, row.id), report_not_found())


async def is_others(services: Services, asker: Asker, row: ReportRow) -> bool:
    """Return whether who asks may not know of a report that does not open: the log says so.

    While nobody reads the log its row is asked: whom not even that lets see the report learns of none.
    """
    try:
        word = await word_until_now(services, row.id)
    except UnavailableError:
        try:
            word = word_of_class((await class_of(services, row.class_id)).facts)
        except OpeningError:
            return True  # altered besides: whose it is nobody can say
    return word is not None and not await _may_know(services, asker, row, word)


async def _may_know(services: Services, asker: Asker, row: ReportRow, word: LogWord) -> bool:
    """Return whether who asks may know of a report that is what the log says: its reader, or its originator's own."""
    client = asker.client
    if client.member == word.originator and not client.roles.isdisjoint(_ORIGINATORS):
        # A contributor needs no clearance to post (ADR 0009), so none to know of it.
        return Role.RELEASER not in client.roles or _is_cleared(services, asker, word)
    if Role.AUDITOR in client.roles:
        is_own = client.member in {EXCHANGE_MEMBER, word.originator}
        return is_own and _is_cleared(services, asker, word)
    return await may_read_by_log(services, asker, row, word)


def _is_cleared(services: Services, asker: Asker, word: LogWord) -> bool:
    if word.recorded is None:
        return False
    try:
        # Of a version that was amended the entry's label is the one before, and its level beside it.
        now = {**word.recorded, "policy": str(word.policy), "classification": str(word.level)}
        labels = label_of(word.recorded), label_of(now)
        return all(is_cleared_for(asker.client, each, services.law.catalogue, asker.call.now) for each in labels)
    except MalformedError:
        return False


async def require_own_version(services: Services, asker: Asker, row: ReportRow, cause: KeyMissingError) -> None:
    """Raise UnavailableError, recorded, where a header is under a key that the instance has and this node has not.

    Then the row is right and the node is not: another one answers. A version that the log knows nothing of was forged.
    """
    custody = await services.custodian.status()
    version = row.key_version
    if not isinstance(version, int) or not str(row.key_id).startswith(f"{custody.kind}/"):
        return
    if version in {each.version for each in custody.versions}:
        return
    if version == 1 or await recorded_version(services, custody, version) is not None:
        await record_tampering(services, asker.call, asker.client, f"report {row.id}", cause)


async def _told(services: Services, lister: Lister, row: ReportRow, word: LogWord | None) -> _Told:
    readable = lister.readable
    if word is None:
        return _Told.THAT if row.class_id in readable.permits else _Told.NOTHING
    known = services.knowledge.known_classes
    fitting = [class_id for class_id, kept in known.items() if word.fits(kept.facts)]
    if not fitting:
        # Its class was altered with its digest, or is no more: the log's word alone is left to decide on.
        return _Told.THAT if await may_read_by_log(services, lister, row, word) else _Told.NOTHING
    # INVARIANT: of reports that no rule tells apart by what the log says, all must be the reader's: else which one it
    # is told of could be another's, moved here.
    may_read = [class_id in readable.permits for class_id in fitting]
    if all(may_read):
        return _Told.WHICH
    return _Told.THAT if any(may_read) else _Told.NOTHING


async def may_read_by_log(services: Services, asker: Asker, row: ReportRow, word: LogWord) -> bool:
    """Return whether a client might read a report that is what the log says, and for the rest what its row says."""
    agreement = services.knowledge.agreement(word.agreement or "")
    clause = None if agreement is None else agreement.terms.scope(word.scope or "")
    kept = services.knowledge.known_classes.get(row.class_id)
    if agreement is None or clause is None or word.originator is None:
        return False
    if kept is not None and word.fits(kept.facts):
        facts = kept.facts
    elif word.label is None:
        return False
    else:
        facts = ClassFacts(
            agreement=AgreementId(agreement.id),
            scope=clause.name,
            originator=word.originator,
            topic=clause.topics[0] if kept is None else kept.facts.topic,
            regions=tuple(sorted(clause.regions)) if kept is None else kept.facts.regions,
            kind=clause.kinds[0] if kept is None else kept.facts.kind,
            label=word.label,
            part_labels=(word.label,),
            edition=agreement.edition if kept is None else kept.facts.edition,
        )
    call, client = asker.call, asker.client
    scope = services.knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition)
    reader = reader_facts(client, purpose=stated_purpose(services, call, client), call=call)
    law = await law_in_force(services, asker.state)
    return isinstance(decide(reader, facts, scope, CURRENT_ROW, Use.READ, law), Permit)


def _entries(services: Services, lister: Lister, found: Sequence[_Damaged]) -> list[EntryDraft]:
    entries = [_entry(services, lister, each) for each in found[:_EACH_BY_ITSELF]]
    if rest := found[_EACH_BY_ITSELF:]:
        entries.append(_of_service(services, lister, place="headers", reports=[each.row.id for each in rest]))
    return entries


def _entry(services: Services, lister: Lister, damaged: _Damaged) -> EntryDraft:
    """Return the entry about one report: its originator's auditors see it, and who met it no more than it was told."""
    row, word = damaged.row, damaged.word
    entry = _of_service(services, lister, place=f"report {row.id}", told=damaged.told.value)
    if word is None:
        return entry
    return _about(entry, row, word)


def _about(entry: EntryDraft, row: ReportRow, word: LogWord) -> EntryDraft:
    return replace(
        entry,
        subject=Subject("report", row.id),
        owner=word.originator,
        label=word.recorded,
        agreement=word.agreement,
        scope=word.scope,
    )


def _of_service(services: Services, lister: Asker, **detail: str | int | list[str]) -> EntryDraft:
    # In the service's own name: what was moved to where a client reads is not its member's auditor's to know of.
    failed = service_draft(services, EventName.KEY_OPENED, Outcome.FAILED)
    return replace(failed, request_id=lister.call.request_id, detail={**detail, "client": lister.client.id})
