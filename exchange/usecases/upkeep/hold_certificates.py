"""Which certificate is whose, held against the log; and what older entries gave without saying which, put on record.

Steps for what older versions enrolled: (1) entries that gave a certificate and say nothing of it are counted; (2) what
their clients use now is put on record once, by an entry; (3) from then on nothing else is theirs.
"""

import logging
from dataclasses import replace

from exchange.audit import EventName, Subject
from exchange.audit.certificates_told import BLIND_BYTES, CERTIFICATE_EVENTS, CertificatesTold, detail_of
from exchange.audit.rows_told import Contradiction
from exchange.kernel import ExchangeError, is_uuid7, micros_in
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.told_entries import may_be_told, told_of

_log = logging.getLogger("exchange.rows")


async def untold_certificates(services: Services, before: int, now: int, lacks: list[Found]) -> list[Contradiction]:
    """Return the certificates in use that no entry gave to their client, of those from `before` and from after `now`.

    Every entry from `before` is found by the search; both in microseconds. Into `lacks` come the places of those that
    the log lacks; of what they may tell of nothing is returned.
    """
    told = await _certificates_told(services, lacks)
    kept = [each for each in await services.store.rows_kept.certificates() if each.is_settled(before, now)]
    return list(told.untold(each for each in kept if not may_be_told(lacks, each.added_at, micros_in(each.client))))


class CertificateRecords:
    """Puts on record, in one process, what older entries gave without saying which."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._recorded: set[tuple[str, int]] = set()

    async def complete(self) -> None:
        """Record the certificates of clients of which some are not on record."""
        # (1) what was given
        lacks: list[Found] = []
        told = await _certificates_told(self._services, lacks)
        # INVARIANT: what may be on record already is not put there as it is now.
        for client, given, owner in () if lacks else told.waiting():
            # Its entry may be on its way to its place.
            if (client, given) in self._recorded or not is_uuid7(client):
                continue
            try:
                await self._record(client, given, owner)
            except ExchangeError as exc:
                # One that cannot be must not keep the others from being looked at.
                _log.error("certificates are not put on record: %s", exc.message)
            else:
                self._recorded.add((client, given))

    async def _record(self, client: str, given: int, owner: str | None) -> None:
        services = self._services
        async with services.store.unit_of_work() as unit:
            # (2) what it uses now
            marks = await unit.held_certificates().put_on_record(client, lambda: services.randomness(BLIND_BYTES))
            entry = service_draft(services, EventName.CERTIFICATE_RECORDED, subject=Subject("client", client))
            # (3) no more than that
            await unit.record(replace(entry, owner=owner, detail={**detail_of(marks), "given": given}))


async def _certificates_told(services: Services, lacks: list[Found]) -> CertificatesTold:
    told = CertificatesTold()
    async for entries in told_of(services, *CERTIFICATE_EVENTS, lacks=lacks):
        for entry in entries:
            told.take(entry)
    return told
