"""Give up reports that nobody completed in time: what was declared and the keys of what came are destroyed.

An act of the exchange itself. Each is a step of its own, so that one that cannot be given up holds nobody up. The
ciphertext is cleared away with that of other parts that are gone.
"""

import logging
from contextlib import suppress
from datetime import datetime
from typing import Final

from exchange.audit import EntryDraft
from exchange.kernel import ExchangeError, new_id
from exchange.store import UploadRow
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.posting.uploads import abandoned_entry, opened_declaration
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.sealed_headers import UNOPENED

AT_ONCE: Final = 200


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
            except UNREADABLE as exc:
                # Somebody wrote it there: all others are given up.
                _log.critical("upload %r cannot be read, and is left as it is: %s", upload_id, type(exc).__name__)
    return given_up >= AT_ONCE


async def _given_up(services: Services, now: datetime, upload_id: str) -> bool:
    row = await services.store.uploads.one(upload_id)
    if row is None:
        return False
    entry = await _entry(services, now, row)
    async with services.store.unit_of_work() as unit:
        book = unit.uploads()
        _, ended = await book.hold(upload_id)
        if ended is not None:
            return False  # somebody else came first
        await unit.record(entry)
        await book.abandon(upload_id)
    return True


async def _entry(services: Services, now: datetime, row: UploadRow) -> EntryDraft:
    call = Call(new_id(now, services.randomness), "local", None, now, is_service=True)
    declared = None
    # What cannot be opened, for whatever reason, is given up all the same.
    with suppress(*UNOPENED, *UNREADABLE):
        declared = await opened_declaration(services, row)
    return abandoned_entry(call, None, row, declared)
