"""The registry of classified information: what is CONFIDENTIAL or above is registered when it goes out and comes in.

Council Decision 2013/488/EU, Article 9(2): such information is registered before distribution and on receipt. The
entry of the post is joined by `report.distributed` in the same transaction. The entry of a read is durable before
anything is shown; the first read of each client is registered as `report.received` within seconds of it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exchange.audit import OF_TEAR_LINE, Detail, EntryDraft, EventName, Receipt
from exchange.kernel import ConflictError
from exchange.markings import Label
from exchange.release import Law
from exchange.reports import Header
from exchange.store import ReceiptHow, ReceiptRow, Store

REGISTERED_LEVEL = "CONFIDENTIAL"
"""The lowest level of the base policy that is registered."""

_MOST_REMEMBERED = 200_000
"""Reads known to be registered; each costs about 150 bytes, and forgetting one costs a query."""

_MOST_WAITING = 20_000
"""Reads to be registered. Beyond it the entry of the read itself is what tells of the receipt."""

_MOST_LABELS = 10_000
"""Labels known to be registered or not; each costs about 100 bytes."""

_AT_ONCE = 500

_Key = tuple[str, str]

_log = logging.getLogger("exchange.log")


@dataclass(slots=True)
class ReadRegister:
    """First reads of this process that wait to be registered: report and client -> what to record."""

    waiting: dict[_Key, EntryDraft] = field(default_factory=dict)
    recorded: dict[_Key, ReceiptRow] = field(default_factory=dict)
    """Those of them whose entry is durable, and that they are known by is not yet."""
    known: set[_Key] = field(default_factory=set)
    labels: dict[Label, bool] = field(default_factory=dict)

    def note(self, law: Law, report_id: str, label: Label, read: EntryDraft) -> None:
        """Note that `read` showed a report; one below the registered level, or known, is passed over."""
        key = (report_id, read.actor.id or "")
        if key in self.known or not self._is_registered(law, label):
            return
        if len(self.waiting) >= _MOST_WAITING:
            _log.warning("more first reads than can be registered", extra={"waiting": len(self.waiting)})
            return
        if len(self.known) >= _MOST_REMEMBERED:
            self.known.clear()
        self.known.add(key)
        self.waiting[key] = received_draft(read, ReceiptHow.READ)

    def _is_registered(self, law: Law, label: Label) -> bool:
        known = self.labels.get(label)
        if known is None:
            if len(self.labels) >= _MOST_LABELS:
                self.labels.clear()
            known = self.labels[label] = is_registered(law, label)
        return known


def is_registered(law: Law, label: Label) -> bool:
    """Return whether information under `label` is registered when it is distributed and received."""
    catalogue = law.catalogue
    return catalogue.protection_rank(label) >= catalogue.clearance_rank(REGISTERED_LEVEL)


def received_draft(read: EntryDraft, how: ReceiptHow, *, is_repeated: bool = False) -> EntryDraft:
    """Return the entry that registers a receipt, made of the entry of the access that was it."""
    detail: Detail = {"how": how.value}
    if OF_TEAR_LINE.items() <= read.detail.items():
        detail |= OF_TEAR_LINE
    if is_repeated:
        detail["repeated"] = "yes"
    return replace(read, event=EventName.REPORT_RECEIVED, size_bytes=None, detail=detail)


def distribution_draft(law: Law, header: Header, posted: EntryDraft) -> EntryDraft | None:
    """Return the entry that registers a distribution, made of the entry of the post; None below the level."""
    if not is_registered(law, header.label):
        return None
    # An empty list means the originator alone (contract).
    to = sorted(header.label.releasable_to or (header.originator,))
    return replace(posted, event=EventName.REPORT_DISTRIBUTED, detail={"to": to})


async def register_reads(store: Store, register: ReadRegister) -> None:
    """Register the first reads that wait; UnavailableError where that fails, and they go on waiting."""
    while register.waiting:
        some = dict(list(register.waiting.items())[:_AT_ONCE])
        known = await store.receipts.known(some)
        new = {key: draft for key, draft in some.items() if key not in known and key not in register.recorded}
        told = await asyncio.gather(*(store.append(draft) for draft in new.values()), return_exceptions=True)
        for (key, draft), receipt in zip(new.items(), told, strict=True):
            if isinstance(receipt, Receipt):
                # INVARIANT: one entry for each, however often what follows fails.
                register.recorded[key] = ReceiptRow(*key, ReceiptHow.READ, draft.at, receipt.entry)
        await _keep(store, [register.recorded[key] for key in some if key in register.recorded])
        for key in some:
            if key in known or key in register.recorded:
                register.recorded.pop(key, None)
                del register.waiting[key]
        for fault in told:
            if isinstance(fault, BaseException):
                raise fault


async def _keep(store: Store, rows: Sequence[ReceiptRow]) -> None:
    try:
        await store.receipts.add(rows)
    except ConflictError:
        for row in rows:
            try:
                await store.receipts.add([row])
            except ConflictError:
                _log.error("a report that was read is gone from the store", extra={"report": row.report})
