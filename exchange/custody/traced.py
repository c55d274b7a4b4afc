"""A custodian whose acts are spans, for whoever has traces on. What is wrapped or opened is never noted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from exchange.custody.custodian import Custodian, CustodyStatus, SealedHeader, Wrapped
from exchange.kernel.spans import Mark, Span, SpanName, Tracer


class TracedCustodian:
    """Does what `custodian` does, and measures it."""

    def __init__(self, custodian: Custodian, tracer: Tracer) -> None:
        self._custodian = custodian
        self._tracer = tracer

    async def wrap(self, key_name: str, data_key: bytes, context: bytes) -> Wrapped:
        with self._act("wrap"):
            return await self._custodian.wrap(key_name, data_key, context)

    async def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        with self._act("unwrap"):
            return await self._custodian.unwrap(wrapped, context)

    async def seal_header(self, key_name: str, plaintext: bytes, context: bytes) -> Wrapped:
        with self._act("seal-header"):
            return await self._custodian.seal_header(key_name, plaintext, context)

    async def open_headers(self, items: Sequence[tuple[SealedHeader, bytes]]) -> list[bytes]:
        with self._act("open-headers") as span:
            span.note(Mark.COUNT, len(items))
            return await self._custodian.open_headers(items)

    async def check(self) -> None:
        with self._act("check"):
            await self._custodian.check()

    async def renew(self) -> None:
        with self._act("renew"):
            await self._custodian.renew()

    async def status(self) -> CustodyStatus:
        with self._act("status"):
            return await self._custodian.status()

    @contextmanager
    def _act(self, act: str) -> Iterator[Span]:
        with self._tracer.span(SpanName.CUSTODY) as span:
            span.note(Mark.ACT, act)
            yield span
