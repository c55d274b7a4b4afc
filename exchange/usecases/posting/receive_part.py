"""Receive one part of a report that is not whole yet: sealed as it arrives, and whole or not there at all.

Steps: (1) the caller's own upload, and a part declared for it; (2) what its sender says of its size is what was
declared: else nothing is read; (3) sealed piece by piece, its type checked as far as it goes; whoever is revoked
meanwhile is heard no longer; (4) it is what was declared in size, digest and type; (5) the caller may still, and the
part is durable with its entry, in the place of one that came before. Whatever stops before that leaves nothing.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from exchange.audit import Detail, EventName, Outcome
from exchange.crypto import PART_SUITE, PartEncryptor
from exchange.kernel import ExchangeError, Fault, InvalidError, TooLargeError, UnavailableError
from exchange.reports import ArrivingContent, PartHeader
from exchange.store import NewPart, ReceivedPart, Sealed
from exchange.store.log.large_parts import PIECE_BYTES
from exchange.usecases.posting.begin_upload import seal_digest
from exchange.usecases.posting.uploads import OwnUpload, UploadView, hold_open, own_upload, require_part, view_now
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.deciding_anew import decided_anew
from exchange.usecases.steps.recording import on_record
from exchange.usecases.steps.sealing import new_part_key

_ASKED_AGAIN: Final = timedelta(seconds=1)
"""How long a client that is revoked may still send."""

_EVENT = EventName.UPLOAD_PART_RECEIVED


@dataclass(frozen=True, slots=True)
class Incoming:
    """A content on its way in. `stated_bytes` is what its sender says that comes, None where it does not say.

    `hold` is told how much of it stays in memory, and raises where there is no room.
    """

    pieces: AsyncIterator[bytes]
    stated_bytes: int | None
    hold: Callable[[int], None]


async def receive_part(
    services: Services, call: Call, upload_id: str, number: int, incoming: Incoming
) -> Recorded[UploadView]:
    """Receive part `number` of an upload that the caller began, and return what has come by now.

    Raises NotFoundError alike for an absent upload, another client's and a part that was not declared; ConflictError
    for one that has ended; TooLargeError, InvalidError where what comes is not what was declared.
    """
    # (1) its own
    own = await own_upload(services, call, upload_id, event=_EVENT)
    attempt = own.entry(call, _EVENT, Outcome.REFUSED)
    async with on_record(services, attempt):
        part = require_part(own.declared, number)
        # (2) as large as declared
        _require_size(part, incoming.stated_bytes)
        # (3), (4) sealed
        arrival = await _arrival(services, call, own, part, incoming)
        new = await arrival.whole()
        # (5) durable
        try:
            return await _kept(services, call, arrival, new)
        except UnavailableError:
            # Nobody knows whether it is durable; where it is not, it is cleared away in time.
            raise
        except ExchangeError:
            await services.store.large_parts.discard_parts([new.part])
            raise


def _require_size(part: PartHeader, stated_bytes: int | None) -> None:
    if stated_bytes is None or stated_bytes == part.size_bytes:
        return
    told = f"{part.size_bytes} bytes were declared of this part, and {stated_bytes} would come: send it as declared"
    if stated_bytes > part.size_bytes:
        raise TooLargeError(told)
    raise InvalidError(told, (Fault("", "wrong-size", told),))


@dataclass(slots=True)
class _Arrival:
    """One part while it arrives, under a key of its own."""

    services: Services
    call: Call
    own: OwnUpload
    part: PartHeader
    incoming: Incoming
    wrapped: Sealed
    encryptor: PartEncryptor
    content: ArrivingContent
    asked_at: datetime
    sealed_digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    async def whole(self) -> ReceivedPart:
        """Return the part, sealed and put away, once all of it is there and is what was declared."""
        large_parts, part = self.services.store.large_parts, self.part
        ciphertext, location = b"", None
        if large_parts.is_large(part.size_bytes):
            location = await large_parts.receive(self._sealed(), until=self.own.row.due_at)
        else:
            ciphertext = b"".join([piece async for piece in self._sealed()])
        new = NewPart(part.number, 0, part.size_bytes, self.wrapped, PART_SUITE, ciphertext, location)
        sha256 = self.content.sha256
        return ReceivedPart(
            new, await seal_digest(self.services, self.own.declared, part.number, self.wrapped, sha256=sha256)
        )

    async def _sealed(self) -> AsyncIterator[bytes]:
        """Yield the ciphertext in pieces; raise, before the last, for what is not what was declared."""
        ready = bytearray()
        async for piece in self.incoming.pieces:
            self._take(piece)
            ready += self.encryptor.update(piece)
            while len(ready) >= PIECE_BYTES:
                yield self._noted(bytes(ready[:PIECE_BYTES]))
                del ready[:PIECE_BYTES]
            await self._ask_again()
        # (4) what was declared
        if faults := self.content.faults():
            raise InvalidError("the part is not what was declared: nothing of it was kept", faults)
        ready += self.encryptor.finish()
        yield self._noted(bytes(ready))

    def _take(self, piece: bytes) -> None:
        self.content.take(piece)
        if self.content.is_too_long:
            raise TooLargeError(f"more comes than the {self.part.size_bytes} bytes that were declared of this part")
        if self.content.is_kept:
            self.incoming.hold(len(piece))

    def _noted(self, piece: bytes) -> bytes:
        self.sealed_digest.update(piece)
        return piece

    async def _ask_again(self) -> None:
        now = self.services.clock()
        if now - self.asked_at >= _ASKED_AGAIN:
            self.asked_at = now
            await require_still(self.services, self.call, self.own.row.id)


async def _arrival(services: Services, call: Call, own: OwnUpload, part: PartHeader, incoming: Incoming) -> _Arrival:
    """Return an arrival under a new key, bound to the label and the place that the part will have in the report."""
    key, context, wrapped = await new_part_key(services, own.declared, part)
    return _Arrival(
        services,
        call,
        own,
        part,
        incoming,
        wrapped=wrapped,
        encryptor=PartEncryptor(key, context),
        content=ArrivingContent(part),
        asked_at=services.clock(),
    )


async def require_still(services: Services, call: Call, upload_id: str) -> OwnUpload:
    """Return the upload as `own_upload` does, as of now and not of when the call began."""
    return await own_upload(services, replace(call, now=services.clock()), upload_id, event=_EVENT)


@decided_anew("the part could be kept: send it again")
async def _kept(services: Services, call: Call, arrival: _Arrival, new: ReceivedPart) -> Recorded[UploadView]:
    own, part = await require_still(services, call, arrival.own.row.id), new.part
    detail: Detail = {"part": part.number, "sealed_sha256": arrival.sealed_digest.hexdigest()}
    entry = own.entry(call, _EVENT, Outcome.PERMITTED, size_bytes=part.size_bytes, detail=detail)
    async with services.store.unit_of_work() as unit:
        await hold_open(unit, own)
        receipt = await unit.record(entry)
        await unit.uploads().put_part(own.row.id, new)
    return Recorded(await view_now(services, call, own), receipt)
