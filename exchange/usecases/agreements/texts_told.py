"""What the log tells of the texts that were laid before an agreement's parties: proposed, signed, taken back by whom.

Promises: it is asked before others wait (`ask`), and again only where somebody did one of these meanwhile (`hold`).
INVARIANT: whoever does one holds the agreement, and leaves a row: while the rows are what they were, and entries tell
of each that ends a signature, nothing more is told of it.
"""

from collections.abc import Sequence
from datetime import datetime

from exchange.agreements import Amendment
from exchange.audit import Entry, EventName
from exchange.kernel import UnavailableError, parse_rfc3339, to_micros
from exchange.members import Client
from exchange.store import UnitOfWork, Unread
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.told_entries import is_too_much_waiting, may_be_told, require_readable, told_until_now

Signings = dict[tuple[str, str], datetime]
"""By member, and by the name of the key that it signed with: when it last did."""

_EVENTS = EventName.AMENDMENT_PROPOSED, EventName.AGREEMENT_SIGNATURE_WITHDRAWN, EventName.AGREEMENT_SIGNED


class TextsTold:
    """What is told of one agreement's."""

    def __init__(self, services: Services, agreement_id: str) -> None:
        self.agreement_id = sought_id(agreement_id)
        self._services = services
        self._rows: frozenset[tuple[str, ...]] = frozenset()
        self._told: dict[EventName, tuple[list[Entry], list[Found]] | UnavailableError] = {}

    async def ask(self, client: Client) -> None:
        """Ask within no unit, where texts of what `client` may see were signed or proposed: an archive may be slow."""
        async with self._services.store.unit_of_work() as unit:
            # INVARIANT: what may not be seen costs what an absent one costs.
            named_in = await unit.amendments().of(self.agreement_id, Unread(), naming=client.member)
            agreement = await unit.agreements().one(self.agreement_id, of=None if named_in else client.member)
            self._rows = frozenset() if agreement is None else await unit.amendments().moves(self.agreement_id)
        if agreement is None or not self._rows or await is_too_much_waiting(self._services):
            return
        try:
            for event in _EVENTS:
                await self._entries(event)
        except UnavailableError as exc:
            # Each answer may be waited for: what does not answer is asked nothing more.
            for event in _EVENTS:
                self._told.setdefault(event, exc)

    async def hold(self, unit: UnitOfWork) -> None:
        """Forget what was told before somebody proposed, signed or took back; the agreement is held."""
        if self._told and (self._has_row_alone() or await unit.amendments().moves(self.agreement_id) != self._rows):
            self._told.clear()

    def _has_row_alone(self) -> bool:
        """Return whether a row says that somebody took back what no entry told of: doing so leaves no other row."""
        told = self._told.get(EventName.AGREEMENT_SIGNATURE_WITHDRAWN)
        entries = told[0] if isinstance(told, tuple) else []
        ended = {("taken back", each.get("detail", {}).get("text"), each.get("member")) for each in entries}
        return any(row[0] == "taken back" and row not in ended for row in self._rows)

    async def proposed(self, known: Sequence[Amendment], *, must_be_read: bool) -> list[Amendment]:
        """Return those of these amendments that an entry tells of, or that the log may lack it of.

        INVARIANT: a row alone lays no text before anybody, nor in anybody's name. While too much waits to be asked it
        does; then nobody signs, for it is asked which signatures stand. So it does while the archive is away, where it
        need not be read: else UnavailableError.
        """
        if not known or await is_too_much_waiting(self._services):
            return [*known]
        try:
            entries, lacks = await self._entries(EventName.AMENDMENT_PROPOSED)
        except UnavailableError:
            if must_be_read:
                raise
            return [*known]
        details = [(each.get("detail", {}), each["actor"].get("id")) for each in entries]
        told = {(detail.get("number"), detail.get("text"), by) for detail, by in details}
        return [
            each
            for each in known
            # Where a party has acceded since the first text, no number is in the entry.
            if not told.isdisjoint((number, each.text, each.proposed_by) for number in (each.number, None))
            or may_be_told(lacks, to_micros(each.proposed_at))
        ]

    async def taken_back(
        self, unit: UnitOfWork, amendments: Sequence[Amendment], *, must_be_read: bool = True
    ) -> dict[str, set[str]]:
        """Return by proposed text which members took back their signature under it, by the log.

        By its rows too where the log lacks what may tell of it. Raises UnavailableError as `require_readable`, and
        where the archive is away; without `must_be_read` the rows alone are told then, as to who takes back its own:
        that must not wait, and whoever would sign meanwhile does.
        """
        # INVARIANT: nobody is bound by what it has taken back, nor shown to be, whatever became of the row that says
        # so; nor is anybody said to have taken back what no entry tells of.
        if must_be_read:
            await require_readable(self._services, "which signatures stand")
        rows = {each.text: set(await unit.amendments().taken_back(each.text)) for each in amendments}
        if not rows or (not must_be_read and await is_too_much_waiting(self._services)):
            return rows
        try:
            entries, lacks = await self._entries(EventName.AGREEMENT_SIGNATURE_WITHDRAWN)
        except UnavailableError:
            if must_be_read:
                raise
            return rows
        told = {(each.get("detail", {}).get("text"), each.get("member", "")) for each in entries}
        return {
            text: {member for of, member in told if of == text} | (members if lacks else set())
            for text, members in rows.items()
        }

    async def signings(self, text: str, *, must_be_read: bool = False) -> Signings | None:
        """Return when entries tell that a text was signed; None where that cannot be asked now.

        With `must_be_read` UnavailableError then, as `taken_back`.
        """
        if must_be_read:
            await require_readable(self._services, "who has signed")
        elif await is_too_much_waiting(self._services):
            return None
        found: Signings = {}
        try:
            entries, _ = await self._entries(EventName.AGREEMENT_SIGNED)
        except UnavailableError:
            if must_be_read:
                raise
            return None
        for entry in entries:
            detail = entry.get("detail", {})
            if detail.get("text") == text:
                made, at = (entry.get("member", ""), str(detail.get("key"))), parse_rfc3339(entry["ts"])
                found[made] = max(at, found.get(made, at))
        return found

    async def _entries(self, event: EventName) -> tuple[list[Entry], list[Found]]:
        """Return the entries of one event, and the places of those that are not whole; UnavailableError as before."""
        if event not in self._told:
            lacks: list[Found] = []
            try:
                entries = told_until_now(self._services, event, subject=self.agreement_id, lacks=lacks)
                self._told[event] = [entry async for entry in entries], lacks
            except UnavailableError as exc:
                self._told[event] = exc
        told = self._told[event]
        if isinstance(told, UnavailableError):
            raise told
        return told
