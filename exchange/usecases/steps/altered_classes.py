"""Release classes whose rows were altered or damaged: what is sealed still says what they are.

A class decides who reads its reports, so facts that are not what their digest names decide nothing. But each header
is sealed for the digest of its class, and holds nearly all of its facts: what a header of the class opens under, and
a digest agrees with, is proven, whatever the row says. Only a row of which nothing sealed speaks stays unknown.

Nothing is asked of it where all is well: it comes in where a class did not pass.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from exchange.audit import EventName, Outcome
from exchange.crypto import CryptoError, OpeningError, header_context
from exchange.custody import KeyMissingError
from exchange.kernel import ExchangeError, MalformedError
from exchange.release import ClassFacts, PostedUnder, class_digest, class_facts
from exchange.reports import Header, header_from_json
from exchange.store import ClassRow, PolicyState, ReportRow, StoredClass
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft

_LOOKED_AT = 5
"""Reports of a class whose headers are tried: one alone may be damaged as well."""

_MOST_EDITIONS = 64
"""Texts of an agreement that a report may have been posted under, tried one by one."""

_TOLD_AGAIN = timedelta(days=1)
"""While a row stays as it is, the jobs tell of it so often."""

_log = logging.getLogger("exchange.reports")


async def whole_classes(services: Services, state: PolicyState) -> dict[int, ClassRow]:
    """Return what `Knowledge.classes` does, for who goes on without those of which nothing is known any more.

    These are in `Knowledge.unknown_classes` then. What was found altered is on the record.
    """
    knowledge = services.knowledge
    try:
        return await knowledge.classes(services.store, state)
    except OpeningError:
        pass
    if knowledge.class_version < state.class_version:
        stored = await services.store.stored_classes(knowledge.class_version)
    else:
        found = [await services.store.stored_class(class_id) for class_id in sorted(knowledge.unknown_classes)]
        stored = [each for each in found if each is not None]
    known, unknown = [], []
    for each in stored:
        row = await _told_by_itself_or_seals(services, each)
        if row is None:
            unknown.append(each.id)
        else:
            known.append(row)
    knowledge.take(known, unknown, state.class_version)
    return knowledge.known_classes


async def class_of(services: Services, class_id: int) -> ClassRow:
    """Return one class, if need be as seals tell it; OpeningError where nothing does."""
    knowledge = services.knowledge
    try:
        return await knowledge.release_class(services.store, class_id)
    except OpeningError:
        stored = await services.store.stored_class(class_id)
        row = None if stored is None else await _told_by_itself_or_seals(services, stored)
        if row is None:
            raise
    knowledge.take([row], (), knowledge.class_version)
    return row


async def tell_altered_class(services: Services, class_id: object) -> None:
    """Put on record that the row of a class is altered, or gone, where it is; this process does so once a day.

    It is read anew: who found a report in an altered class may have read another class of it than this one.
    """
    if not isinstance(class_id, int) or _was_told(services, class_id):
        return
    stored = await services.store.stored_class(class_id)
    if stored is not None and _whole(stored) is not None:
        return
    try:
        row = await class_of(services, class_id)
    except OpeningError:
        row = None
    # Who asked of it for the first time just now has told it as well.
    if not _was_told(services, class_id):
        await _record(services, class_id, row)


def _was_told(services: Services, class_id: int) -> bool:
    told_at = services.knowledge.told_altered.get(class_id)
    return told_at is not None and abs(services.clock() - told_at) < _TOLD_AGAIN


def _whole(stored: StoredClass) -> ClassRow | None:
    """Return the class of a row whose facts are those that its digest names; None for another."""
    facts = _facts_of(stored)
    if facts is None or class_digest(facts) != stored.digest:
        return None
    return ClassRow(stored.id, stored.id, stored.digest, facts)


async def _told_by_itself_or_seals(services: Services, stored: StoredClass) -> ClassRow | None:
    row = _whole(stored)
    if row is not None:
        return row
    row = await _told_by_seals(services, stored, _facts_of(stored))
    was_unknown = stored.id in services.knowledge.unknown_classes
    is_news = row is not None if was_unknown else not _was_told(services, stored.id)
    if is_news:
        await _record(services, stored.id, row)
    return row


async def _told_by_seals(services: Services, stored: StoredClass, facts: ClassFacts | None) -> ClassRow | None:
    page = await services.store.page(
        "",
        [stored.id],
        after=0,
        limit=_LOOKED_AT,
        now=services.clock(),
        precedence=None,
        since=None,
    )
    for report in page.rows:
        # What opens for the digest of the facts says that these are right, and the digest beside them is not.
        if facts is not None and await _opened(services, report, class_digest(facts)) is not None:
            return ClassRow(stored.id, stored.id, class_digest(facts), facts)
        header = await _opened(services, report, stored.digest)
        for found in () if header is None else _candidates(header, facts):
            # INVARIANT: what decides is what the ciphertexts are bound to.
            if class_digest(found) == stored.digest:
                return ClassRow(stored.id, stored.id, stored.digest, found)
    return None


async def _opened(services: Services, report: ReportRow, digest: str) -> Header | None:
    try:
        context = header_context(report.id, report.version, digest)
        (header_json,) = await services.custodian.open_headers([(report, context)])
        return header_from_json(json.loads(header_json))
    except (CryptoError, KeyMissingError):
        return None


def _candidates(header: Header, altered: ClassFacts | None) -> Iterator[ClassFacts]:
    """Yield what the class of a header may be: of its consents, text and crises the header does not tell."""
    consents = () if altered is None else altered.consents
    crises = () if altered is None else altered.crises
    for edition in range(1, _MOST_EDITIONS + 1):
        yield class_facts(header, consents, under=PostedUnder(edition, crises))
        if consents or crises:
            yield class_facts(header, under=PostedUnder(edition))


def _facts_of(stored: StoredClass) -> ClassFacts | None:
    try:
        return stored.read_facts()
    except (ExchangeError, MalformedError, ValueError, TypeError):
        return None


async def _record(services: Services, class_id: int, row: ClassRow | None) -> None:
    # By no number and no digest (ADR 0041): which row it is, is for the operator, whose log says it.
    done = "nothing of it is shown" if row is None else "what is sealed tells what it was"
    failed = service_draft(services, EventName.KEY_OPENED, Outcome.FAILED)
    failed = replace(failed, detail={"place": "release class", "done": done})
    if row is not None:
        facts = row.facts
        failed = replace(failed, owner=facts.originator, label=facts.label.as_json(), agreement=facts.agreement)
    await services.store.append(failed)
    services.knowledge.told_altered[class_id] = services.clock()
    _log.critical("release class %d was altered, or its row is gone: %s", class_id, done)
