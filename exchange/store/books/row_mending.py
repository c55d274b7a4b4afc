"""Rows that an older one was put in the place of, ended again within a unit of work: whoever calls records it there.

Nothing that was lost comes back here: what the log says has ended ends, and what cannot be trusted is shown to nobody.
"""

from itertools import count
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlmodel import col

from exchange.agreements import Agreement
from exchange.audit import EventName
from exchange.audit.rows_told import RowKind, RowName
from exchange.kernel import to_micros
from exchange.members import Client, Member
from exchange.reports import ReportStatus, RequestState
from exchange.store.books.acting import hold_client, hold_member
from exchange.store.books.agreement_book import AgreementBook
from exchange.store.books.agreement_rows import agreement_row, party_rows
from exchange.store.books.book import Book
from exchange.store.books.caveat_mending import CaveatsPut, CaveatsTold, put_in_force_again
from exchange.store.books.consent_book import ConsentState
from exchange.store.books.proxy_book import ProxyState
from exchange.store.books.records import client_row, member_row
from exchange.store.tables.consent_tables import DerivationTable, OnwardTable
from exchange.store.tables.crisis_tables import CrisisTable
from exchange.store.tables.main_tables import (
    AgreementTable,
    ClientTable,
    MemberTable,
    PartyTable,
    PolicyStateTable,
    ReleaseClassTable,
    ReportTable,
)
from exchange.store.tables.proxy_tables import ProxyTable
from exchange.store.tables.request_tables import RequestTable
from exchange.store.tables.stream_tables import StreamEventTable
from exchange.store.tables.subscription_tables import SubscriptionTable
from exchange.store.tables.treaty_tables import SignatoryKeyTable
from exchange.store.writer.standing import hold_state, look_at_state

_STATES: Final[dict[RowKind, tuple[Any, Any]]] = {
    RowKind.PROXY: (ProxyTable, col(ProxyTable.id)),
    RowKind.ONWARD: (OnwardTable, col(OnwardTable.id)),
    RowKind.DERIVATION: (DerivationTable, col(DerivationTable.id)),
}
"""What ends by its state."""

_REVOKED: Final = ConsentState.REVOKED.value
_ENDED_AS: Final = {
    EventName.PROXY_REFUSED.value: ProxyState.REFUSED.value,
    EventName.ONWARD_REFUSED.value: ConsentState.REFUSED.value,
    EventName.ONWARD_WITHDRAWN.value: ConsentState.WITHDRAWN.value,
    EventName.DERIVATION_REFUSED.value: ConsentState.REFUSED.value,
    EventName.DERIVATION_WITHDRAWN.value: ConsentState.WITHDRAWN.value,
}
"""The state that an event ended it in; with all others it was taken back."""

_MOMENTS: Final[dict[RowKind, tuple[Any, Any, str]]] = {
    RowKind.SIGNATORY_KEY: (SignatoryKeyTable, col(SignatoryKeyTable.key_id), "retired_at"),
    RowKind.CRISIS: (CrisisTable, col(CrisisTable.id), "ended_at"),
    RowKind.SUBSCRIPTION: (SubscriptionTable, col(SubscriptionTable.id), "ended_at"),
}
"""What ends by a moment."""

_REQUEST_STATES: Final = {
    EventName.REQUEST_CLOSED.value: RequestState.CLOSED.value,
    EventName.REQUEST_WITHDRAWN.value: RequestState.WITHDRAWN.value,
}
"""How an event ended a request for information."""

_VERSIONED: Final[dict[RowKind, tuple[Any, Any]]] = {
    RowKind.CLIENT: (ClientTable, col(ClientTable.id)),
    RowKind.MEMBER: (MemberTable, col(MemberTable.code)),
    RowKind.AGREEMENT: (AgreementTable, col(AgreementTable.id)),
}
"""What has a row for each of its versions."""


_NUMBERED: Final[dict[str, tuple[Any, ...]]] = {
    "report_seq": (ReportTable.seq, StreamEventTable.seq),
    "class_version": (ReleaseClassTable.id,),
}
"""The last numbers of the policy state, and what is numbered by them."""

_AHEAD: Final = 1_000_000_000


class RowMending(Book):
    """Ends rows again, in one transaction."""

    async def hold(self, name: RowName) -> None:
        """Hold a client or a member, as whoever changes it does."""
        await (hold_client if name.kind is RowKind.CLIENT else hold_member)(self._session, name.id)

    async def end(self, name: RowName, event: str) -> bool:
        """End what has one row, as `event` ended it; return whether it went on, and is of a kind that ends so."""
        if name.kind in _STATES:
            rows, key = _STATES[name.kind]
            values: dict[str, Any] = {"state": _ENDED_AS.get(event, _REVOKED)}
        elif name.kind in _MOMENTS:
            rows, key, column = _MOMENTS[name.kind]
            values = {column: to_micros(self._now)}
        elif name.kind is RowKind.REQUEST:
            rows, key, values = RequestTable, col(RequestTable.id), {"ended": _REQUEST_STATES[event]}
        else:
            return False
        self._note_law()
        ((ended, value),) = values.items()
        place = col(getattr(rows, ended))
        goes_on = place.is_(None) if name.kind in _MOMENTS else place.is_distinct_from(value)
        done = update(rows).where(key == name.id, goes_on).values(values).returning(key)
        return (await self._session.execute(done)).first() is not None

    async def end_grant(self, name: RowName) -> bool:
        """End a consent that is granted; return whether it was: what has ended stays as it ended."""
        rows, key = _STATES[name.kind]
        self._note_law()
        granted = update(rows).where(key == name.id, col(rows.state) == ConsentState.GRANTED.value)
        return (await self._session.execute(granted.values(state=_REVOKED).returning(key))).first() is not None

    async def withhold(self, report_id: str) -> bool:
        """Show a report to nobody; its keys stay, for whoever looks at what was done. Return whether it was shown."""
        row, withheld = ReportTable, ReportStatus.EXPIRED.value
        which = (col(row.id) == report_id, col(row.status) != withheld)
        was_shown = bool(await self._session.scalar(select(col(row.id)).where(*which)))
        if was_shown:
            self._note_law()
            await self._session.execute(update(row).where(*which).values(status=withheld))
        return was_shown

    async def put_caveats(self, told: CaveatsTold, set_id: str) -> CaveatsPut:
        """Put caveats in force again as a new set, `set_id`; the caller holds the member."""
        self._note_law()
        return await put_in_force_again(self._session, told, set_id, self._now)

    async def pass_numbers(self) -> dict[str, int]:
        """Move the last numbers of reports and classes behind those that rows have; return which were moved, and where.

        Each row comes with its number in one transaction: what has the next one was written by somebody else, or the
        last one was set back. Where it stands nothing could be posted.
        """
        # Posts wait for the state: it is held only where something is in their way, which is looked at again then.
        moved = await self._behind(await look_at_state(self._session, *_NUMBERED))
        if moved:
            moved = await self._behind(await hold_state(self._session, *_NUMBERED))
        if moved:
            self._note_law()
            await self._session.execute(update(PolicyStateTable).values(moved))
        return moved

    async def _behind(self, last: tuple[Any, ...]) -> dict[str, int]:
        """Return where each of these last numbers, in the order of `_NUMBERED`, is to go that rows have passed."""
        ahead = {}
        for (name, rows), number in zip(_NUMBERED.items(), last, strict=True):
            taken = max([await self._last_of(row, number) for row in rows])
            if taken > number:
                ahead[name] = taken
        return ahead

    async def _last_of(self, row: Any, last: int) -> int:
        # What stands further ahead is in nobody's way, and would leave no numbers if it were counted from.
        is_next = (col(row) > last, col(row) <= last + _AHEAD)
        return await self._session.scalar(select(func.max(col(row))).where(*is_next)) or last

    async def next_version(self, kind: RowKind, row_id: str, told: int) -> int:
        """Return the first version behind `told` that no row of `row_id` has, whichever is current.

        Not the one behind them all: whoever wrote in a number behind which there is none would have it stay.
        """
        row, key = _VERSIONED[kind]
        taken = set(await self._session.scalars(select(col(row.version)).where(key == row_id)))
        if kind is RowKind.AGREEMENT:
            # INVARIANT: nor of its parties, whom somebody may have written in beforehand so that none can be put.
            parties = select(col(PartyTable.version)).where(col(PartyTable.agreement_id) == row_id)
            taken.update(await self._session.scalars(parties))
        return next(version for version in count(told + 1) if version not in taken)

    async def put(self, changed: Client | Member | Agreement) -> None:
        """Make this the current version, whichever was; the caller holds it."""
        self._note_law()
        match changed:
            case Client():
                await self._supersede(RowKind.CLIENT, changed.id)
                self._session.add(client_row(changed, self._now))
            case Member():
                await self._supersede(RowKind.MEMBER, changed.code)
                self._session.add(member_row(changed, self._now))
            case Agreement():
                await self._supersede(RowKind.AGREEMENT, changed.id)
                proposer = await AgreementBook(self._session).proposer(changed.id)
                self._session.add_all([agreement_row(changed, proposer, self._now), *party_rows(changed)])
        await self._session.flush()

    async def _supersede(self, kind: RowKind, row_id: str) -> None:
        row, key = _VERSIONED[kind]
        current = (key == row_id, col(row.superseded_at).is_(None))
        await self._session.execute(update(row).where(*current).values(superseded_at=to_micros(self._now)))
