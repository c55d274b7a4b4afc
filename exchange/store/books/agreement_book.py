"""Agreements, and what was proposed, as one transaction reads them.

INVARIANT: of an agreement that does not concern who asks not a row is read: it costs what an absent one costs, however
long its text is, and whatever is read besides of one such as it.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Executable, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.agreements import Agreement, PartyState, left_behind
from exchange.kernel import to_micros
from exchange.members import Client
from exchange.store.books.agreement_rows import (
    Besides,
    absence_rows,
    agreement_versions,
    agreements_of,
    current_agreements,
    earlier_texts,
    whole,
    with_absences_and_crises,
)
from exchange.store.books.crisis_book import crisis_rows
from exchange.store.database.dialect import Row
from exchange.store.rows.unread import Unread
from exchange.store.tables.main_tables import AgreementTable, ClientTable, PartyTable, table


class AgreementBook:
    """Agreements in one transaction. Writing them is the unit's: each moves the policy."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._besides = Besides(
            crises=lambda: self._rows(crisis_rows()),
            absences=lambda: self._rows(absence_rows()),
            texts=lambda: self._rows(earlier_texts()),
        )

    async def one(
        self,
        agreement_id: str,
        *,
        of: str | None = None,
        for_update: bool = False,
        crises_unread: Unread | None = None,
    ) -> Agreement | None:
        """Return the current version of an agreement; `for_update` keeps others from changing it meanwhile.

        With `of`, only where that member is a party of it, or `left_behind`: then as it was by that. Crises of it that
        cannot be read open nothing, and are noted in `crises_unread`.
        """
        if for_update and not await self.hold(agreement_id, of=of):
            return None
        which = (col(AgreementTable.id) == agreement_id, *_naming(of, in_version=True))
        kept = agreements_of(await self._rows(current_agreements().where(*which)))
        if not kept and of is not None:
            return left_behind(await self.editions(agreement_id, of=of), of)
        found = await whole(kept, self._besides, None, crises_unread=crises_unread)
        return found[0] if found else None

    async def hold(self, agreement_id: str, *, of: str | None = None) -> bool:
        """Let nobody else move an agreement until the end of the transaction; return whether there is one for `of`."""
        # INVARIANT: the lock is on the first version. The current one is another row once who waited for it gets it,
        # and nobody would hold the row that is current then.
        first = (col(AgreementTable.id) == agreement_id, col(AgreementTable.version) == 1, *_naming(of))
        return (
            await self._session.scalar(select(col(AgreementTable.version)).where(*first).with_for_update()) is not None
        )

    async def all(self, unread: Unread | None = None) -> list[Agreement]:
        """Return the current version of every agreement, by id; with `unread`, without those that cannot be read."""
        return await whole(agreements_of(await self._rows(current_agreements()), unread), self._besides, unread)

    async def proposer(self, agreement_id: str) -> str | None:
        """Return the client that proposed an agreement, the same in all its versions; None where the host did."""
        which = col(AgreementTable.id) == agreement_id
        return await self._session.scalar(select(col(AgreementTable.proposed_by)).where(which).limit(1))

    async def editions(self, agreement_id: str, *, of: str | None = None) -> list[Agreement]:
        """Return the last version of every edition of an agreement, the oldest first.

        With `of`, only where one of them names that member: then all of them.
        """
        versions = select(func.max(col(AgreementTable.version))).where(col(AgreementTable.id) == agreement_id)
        last = versions.group_by(col(AgreementTable.edition))
        which = (col(AgreementTable.id) == agreement_id, col(AgreementTable.version).in_(last), *_naming(of))
        kept = agreements_of(await self._rows(agreement_versions().where(*which)))
        found = await with_absences_and_crises(kept, self._besides, None)
        return sorted(found, key=lambda each: each.edition)

    async def edition_after(self, agreement_id: str, text: str) -> int:
        """Return the number of the edition that follows the text with this digest."""
        which = (col(AgreementTable.id) == agreement_id, col(AgreementTable.text) == text)
        found = await self._session.scalar(select(func.max(col(AgreementTable.edition))).where(*which))
        return int(found or 0) + 1

    async def unanswered(self, client: Client, *, withdrawn_since: datetime, of_member: bool = False) -> int:
        """Return how many agreements `client` proposed, or any of its member's, that no other member has signed.

        Of those that its own member has withdrawn from, the ones from `withdrawn_since` on.
        """
        party, row, proposer = PartyTable, AgreementTable, ClientTable
        of_row = and_(col(party.agreement_id) == col(row.id), col(party.version) == col(row.version))
        is_own = col(party.member) == client.member
        signed = select(col(party.member)).where(of_row, ~is_own, col(party.signed_at).is_not(None)).exists()
        is_left = col(party.state) == PartyState.WITHDRAWN.value
        left = select(col(party.member)).where(of_row, is_own, is_left).exists()
        is_open = or_(~left, col(row.recorded_at) >= to_micros(withdrawn_since))
        is_who = (col(proposer.id) == col(row.proposed_by), col(proposer.member) == client.member)
        # A client is of one member for ever: its first version says which.
        of_them = select(col(proposer.id)).where(*is_who, col(proposer.version) == 1).exists()
        is_its = (of_them if of_member else col(row.proposed_by) == client.id, col(row.superseded_at).is_(None))
        count = select(func.count()).select_from(row).where(*is_its, ~signed, is_open)
        return int(await self._session.scalar(count) or 0)

    async def _rows(self, statement: Executable) -> Sequence[Row]:
        return [tuple(row) for row in await self._session.execute(statement)]


def _naming(member: str | None, *, in_version: bool = False) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that some version of an agreement, or this very one, names `member`; none for None."""
    if member is None:
        return ()
    agreement, party = table(AgreementTable), table(PartyTable).alias("named")
    is_its = [party.c.agreement_id == agreement.c.id, party.c.member == member]
    if in_version:
        is_its.append(party.c.version == agreement.c.version)
    return (exists().where(*is_its).correlate(agreement),)
