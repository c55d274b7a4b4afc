"""Give up reports that nobody completed in time: what was declared and the keys of what came are destroyed.

An act of the exchange itself. Each is a step of its own, so that one that cannot be given up holds nobody up. The
ciphertext is cleared away with that of other parts that are gone.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Final

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Subject
from exchange.kernel import ExchangeError, new_id
from exchange.store import UploadRow
from exchange.usecases.context import Call, Services
from exchange.usecases.recording import draft

AT_ONCE: Final = 200

_ID_RANDOMNESS_BYTES = 10

_log = logging.getLogger("exchange.reports")


async def give_up_uploads(services: Services, now: datetime, *, is_held: bool = False) -> bool:
    """Do one round; return whether there may be more. With `is_held`, a legal hold, nothing is destroyed."""
    if is_held:
        return False
    given_up, after = 0, ""
    # Page by page to the end: those that cannot be given up must not stand in the way of the others.
    while given_up < AT_ONCE and (due := await services.store.uploads.due(now, after=after, limit=AT_ONCE)):
        after = due[-1]
        for upload_id in due:
            try:
                given_up += await _given_up(services, now, upload_id)
            except ExchangeError as exc:
                _log.error("a report that is not complete cannot be given up: %s", exc.message)
    return given_up >= AT_ONCE


async def _given_up(services: Services, now: datetime, upload_id: str) -> bool:
    row = await services.store.uploads.one(upload_id)
    if row is None:
        return False
    async with services.store.unit_of_work() as unit:
        book = unit.uploads()
        _, ended = await book.hold(upload_id)
        if ended is not None:
            return False  # somebody else came first
        await unit.record(_entry(services, now, row))
        await book.abandon(upload_id)
    return True


def _entry(services: Services, now: datetime, row: UploadRow) -> EntryDraft:
    call = Call(new_id(now, services.randomness(_ID_RANDOMNESS_BYTES)), "local", None, now)
    entry = draft(
        call,
        None,
        EventName.UPLOAD_ABANDONED,
        Outcome.PERMITTED,
        subject=Subject("report", row.id, 1),
        owner=row.originator,
        agreement=row.agreement,
        detail={"client": row.client},
    )
    return replace(entry, actor=Actor("service"))
