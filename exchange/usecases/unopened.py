"""Reports that stand in a list and do not open: who is told that they are there, and what goes on record.

One damaged row takes no other report from anybody, and is never shown. But whose it is, its row alone cannot say any
more: who writes to the database may have moved it to where somebody else reads. The log says it, and cannot be altered
unseen. So a reader is told of what the log says it may see, and of nothing else.

Steps for each: (1) what the log says that the report is; (2) which release classes that fits; (3) a reader that may
read all of these is told which report it is, one that may read some, or of which the log says nothing yet, that there
is one, and another one nothing; (4) what is damaged, and who met it, is on record before anything is answered.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Final

from exchange.agreements import AgreementId
from exchange.audit import Entry, EntryDraft, EventName, Outcome, Subject
from exchange.custody import KeyMissingError
from exchange.kernel import MalformedError, is_uuid7
from exchange.markings import Label
from exchange.members import Client
from exchange.release import ClassFacts, Permit, RowFacts, Use, decide
from exchange.store import Parts, PolicyState, ReportRow
from exchange.usecases.auditing import label_of
from exchange.usecases.authenticate import required_thumbprint
from exchange.usecases.context import Call, Services
from exchange.usecases.facts import reader_facts, stated_purpose
from exchange.usecases.heartbeat import service_draft
from exchange.usecases.judging import absent_draft, law_in_force, report_not_found
from exchange.usecases.knowledge import Readable
from exchange.usecases.recording import record_tampering, refuse
from exchange.usecases.rotate_keys import recorded_version
from exchange.usecases.told_entries import told_of

_TELLING: Final = (
    EventName.REPORT_POSTED,
    EventName.REPORT_AMENDED,
    EventName.REPORT_DOWNGRADED,
    EventName.REPORT_DECLASSIFIED,
)
"""The entries that say what a report is; the newest version counts."""

_EACH_BY_ITSELF: Final = 16
"""Damaged reports of one answer with an entry of their own; the rest of a page stands in one."""

_REMEMBERED: Final = timedelta(minutes=1)
"""Whoever lists again and again meets the same reports."""

_CURRENT: Final = RowFacts(is_recalled=False, is_expired=False)


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
class _LogWord:
    """What the log says a report is; `label` is None where it says no more of it than `level` and `policy`.

    `recorded` is the label that its entries are kept under.
    """

    agreement: str | None
    scope: str | None
    originator: str | None
    policy: object
    level: object
    label: Label | None
    recorded: dict[str, str | list[str]] | None

    def fits(self, facts: ClassFacts) -> bool:
        """Return whether a report of this class may be the one that the log speaks of."""
        if (self.agreement, self.scope, self.originator) != (facts.agreement, facts.scope, facts.originator):
            return False
        if self.label is not None:
            return self.label == facts.label
        return (self.policy, self.level) == (facts.label.policy, facts.label.classification)


@dataclass(frozen=True, slots=True)
class _Damaged:
    """A damaged report, what the log says of it, and what its reader is told."""

    row: ReportRow
    word: _LogWord | None
    told: _Told


async def tell_unopened(services: Services, lister: Lister, rows: Sequence[ReportRow]) -> list[UnopenedReport]:
    """Return what who lists is told of these reports, in order, once all of them are on the record."""
    found = []
    for row in rows:
        # (1) what it is
        word = await _word_of(services, row.id)
        # (2), (3) who may know
        found.append(_Damaged(row, word, await _told(services, lister, row, word)))
    # (4) INVARIANT: nothing is answered before it is on record that something is damaged.
    await asyncio.gather(*(services.store.append(entry) for entry in _entries(services, lister, found)))
    return [
        UnopenedReport(each.row.seq, each.row.id if each.told is _Told.WHICH else None)
        for each in found
        if each.told is not _Told.NOTHING
    ]


async def refuse_to_others(services: Services, call: Call, report_id: str, *, event: EventName) -> None:
    """Refuse, as if it were absent, what did not open, to whom the log says that it may not see it.

    Who moves another's report to where a reader looks must not have it learn that the report is there.
    """
    row = await services.store.report_for(required_thumbprint(call), report_id, parts=Parts.NONE)
    if row.client is None or row.report is None:
        return
    word = await _word_of(services, report_id)
    if word is None or await _may_read(services, Asker(call, row.client, row.state), row.report, word):
        return
    await refuse(services, absent_draft(call, row.client, event, report_id), report_not_found())


async def recorded_label(services: Services, report_id: str) -> Label | None:
    """Return the label that the newest entry about a report stands under; None where none has its place in the log."""
    word = await _word_of(services, report_id)
    return None if word is None or word.recorded is None else _label(word.recorded)


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


async def _told(services: Services, lister: Lister, row: ReportRow, word: _LogWord | None) -> _Told:
    readable = lister.readable
    if word is None:
        return _Told.THAT if row.class_id in readable.permits else _Told.NOTHING
    known = services.knowledge.known_classes
    fitting = [class_id for class_id, kept in known.items() if word.fits(kept.facts)]
    if not fitting:
        # Its class was altered with its digest, or is no more: the log's word alone is left to decide on.
        return _Told.THAT if await _may_read(services, lister, row, word) else _Told.NOTHING
    # INVARIANT: of reports that no rule tells apart by what the log says, all must be the reader's: else which one it
    # is told of could be another's, moved here.
    may_read = [class_id in readable.permits for class_id in fitting]
    if all(may_read):
        return _Told.WHICH
    return _Told.THAT if any(may_read) else _Told.NOTHING


async def _may_read(services: Services, asker: Asker, row: ReportRow, word: _LogWord) -> bool:
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
    return isinstance(decide(reader, facts, scope, _CURRENT, Use.READ, law), Permit)


async def _word_of(services: Services, report_id: str) -> _LogWord | None:
    """Return what the newest entry about a report says it is; None where no entry in its place speaks of it."""
    # What somebody wrote in its place is no id, and no entry is about it.
    now, kept = services.clock(), services.knowledge.words_of_log.get(report_id)
    if kept is not None and abs(now - kept[0]) < _REMEMBERED:
        return _word(kept[1])
    newest: Entry | None = None
    for event in _TELLING if is_uuid7(report_id) else ():
        async for entries in told_of(services, event.value, subject=report_id):
            for entry in entries:
                is_about_it = entry.get("object", {}).get("type") == "report"
                if is_about_it and (newest is None or _version(newest) < _version(entry)):
                    newest = entry
    if newest is None:
        return None
    services.knowledge.hear(report_id, (now, newest))
    return _word(newest)


def _version(entry: Entry) -> int:
    return entry.get("object", {}).get("version", 0)


def _word(entry: Entry) -> _LogWord:
    label: Mapping[str, str | list[str]] = entry.get("label", {})
    detail = entry.get("detail", {})
    # Of a new version the entry says its level; the label beside it is the one before.
    is_whole = entry["type"] == EventName.REPORT_POSTED.value
    return _LogWord(
        entry.get("agreement"),
        entry.get("scope"),
        entry.get("owner"),
        detail.get("to_policy", label.get("policy")),
        detail.get("to_level", label.get("classification")),
        _label(label) if is_whole else None,
        dict(label) or None,
    )


def _label(fields: Mapping[str, str | list[str]]) -> Label | None:
    try:
        return label_of(fields)
    except MalformedError:
        return None


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
    return replace(
        entry,
        subject=Subject("report", row.id),
        owner=word.originator,
        label=word.recorded,
        agreement=word.agreement,
        scope=word.scope,
    )


def _of_service(services: Services, lister: Lister, **detail: str | int | list[str]) -> EntryDraft:
    # In the service's own name: what was moved to where a client reads is not its member's auditor's to know of.
    failed = service_draft(services, EventName.KEY_OPENED, Outcome.FAILED)
    return replace(failed, request_id=lister.call.request_id, detail={**detail, "client": lister.client.id})
