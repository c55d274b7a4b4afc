"""Standing consents to posting on behalf, within a unit of work.

Promises: whatever gives one or takes it back moves the policy version: a post that was decided before is decided again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlmodel import col

from exchange.kernel import from_micros, to_micros
from exchange.store.books.consented_rows import ConsentedRows
from exchange.store.rows.shapes import id_in, member_in, none_or, text_in
from exchange.store.tables.proxy_tables import ProxyTable


class ProxyState(Enum):
    """Where a consent stands; whether its time is over follows from `until`.

    LAPSED is told and never kept: its second person did not come in time.
    """

    AWAITING = "awaiting-second-person"
    GIVEN = "given"
    REFUSED = "refused"
    REVOKED = "revoked"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class ProxyWish:
    """What an originator consents to: who posts for it, under what, until when (None: until it is taken back), why."""

    proxy: str
    agreement: str
    scope: str
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ProxyRow:
    """A consent of `originator`, and what became of it; `seal` is what binds one that was given to what it says."""

    id: str
    originator: str
    wish: ProxyWish
    state: ProxyState
    asked_at: datetime
    asked_by: str
    entry: str
    decided_at: datetime | None = None
    decided_by: str | None = None
    refusal: str | None = None
    seal: bytes | None = None

    def holds(self, now: datetime) -> bool:
        """Return whether the proxy may post under it at `now`."""
        return self.state is ProxyState.GIVEN and (self.wish.until is None or now < self.wish.until)


class ProxyBook(ConsentedRows[ProxyRow]):
    """Standing consents in one transaction."""

    _table = ProxyTable
    _noun = "proxy"
    _partner = "proxy"

    async def put(self, row: ProxyRow) -> None:
        """Keep what became of one."""
        self._note_law()
        await super().put(row)

    async def under(self, agreement: str, member: str) -> list[ProxyRow]:
        """Return those that a member gave, and those that it was given, under one agreement, oldest first."""
        return await self._rows(col(ProxyTable.agreement) == agreement, self._is_of(member))

    async def given(self, originator: str, proxy: str, agreement: str, scope: str) -> list[ProxyRow]:
        """Return those given by one member to another for one scope; their time may be over."""
        row = ProxyTable
        pair = (col(row.originator) == originator, col(row.proxy) == proxy, col(row.agreement) == agreement)
        return await self._rows(*pair, col(row.scope) == scope, col(row.state) == ProxyState.GIVEN.value)

    @classmethod
    def _columns(cls, row: ProxyRow) -> dict[str, Any]:
        wish = row.wish
        return {
            "id": row.id,
            "originator": row.originator,
            "proxy": wish.proxy,
            "agreement": wish.agreement,
            "scope": wish.scope,
            "until": None if wish.until is None else to_micros(wish.until),
            "reason": wish.reason,
            "state": row.state.value,
            "asked_at": to_micros(row.asked_at),
            "asked_by": row.asked_by,
            "decided_at": None if row.decided_at is None else to_micros(row.decided_at),
            "decided_by": row.decided_by,
            "refusal": row.refusal,
            "entry_id": row.entry,
            "seal": row.seal,
        }

    @staticmethod
    def _read(row: ProxyTable) -> ProxyRow:
        until = None if row.until is None else from_micros(row.until)
        return ProxyRow(
            id=id_in(row.id),
            originator=member_in(row.originator),
            wish=ProxyWish(member_in(row.proxy), id_in(row.agreement), text_in(row.scope), until, text_in(row.reason)),
            state=ProxyState(row.state),
            asked_at=from_micros(row.asked_at),
            asked_by=id_in(row.asked_by),
            entry=row.entry_id,
            decided_at=None if row.decided_at is None else from_micros(row.decided_at),
            decided_by=none_or(id_in, row.decided_by),
            refusal=none_or(text_in, row.refusal),
            seal=row.seal,
        )
