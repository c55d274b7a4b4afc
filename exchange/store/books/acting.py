"""Who acts, looked at once more where the act becomes durable: its right may have been taken away since it came in.

Who takes a right away holds the policy state, then the first version of the client or member, to the end of its unit.
Who acts holds the latter, shared, as the last thing before its commit. So one of the two comes second, on whatever
node: what was taken away lets nothing through behind it in the log, and what was done before is before it there.

Who adds to what a client may have so many of holds that row alone, there, and counts: of as many as come at once each
counts those before it, and nobody waits for another client.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from exchange.audit import Actor, EntryDraft, Outcome
from exchange.kernel import ConflictError, NotAuthenticatedError
from exchange.members import Client, Member, inactive_error
from exchange.store.tables.main_tables import CertificateTable, ClientTable, MemberTable
from exchange.store.writer.standing import hold_state

CurrentClient = Callable[[str], Awaitable[Client | None]]
"""The id of a client -> its current version."""

Check = Callable[[], Awaitable[None]]
"""What raises where there is more of something than there may be."""


async def hold_policy(session: AsyncSession) -> None:
    """Hold the policy state to the end of the unit, before any client or member is held."""
    await hold_state(session, "policy_version")


async def hold_client(session: AsyncSession, client_id: str) -> bool:
    """Hold a client, to change what it may do; return whether there is one."""
    await hold_policy(session)
    return await session.scalar(_first_client(client_id).with_for_update()) is not None


async def hold_member(session: AsyncSession, code: str) -> None:
    """Hold a member, to change what its clients may do, or what holds for its reports."""
    await hold_policy(session)
    await session.scalar(_first_member(code).with_for_update())


class Acting:
    """The clients that the entries of one unit say did something, and those that its acts rest on besides."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._actors: dict[str, Actor] = {}
        self._others: dict[str, Client] = {}
        self._counted: list[tuple[Client, Check]] = []
        self._clients: dict[str, Client] = {}
        self._members: dict[str, Member] = {}
        self._parted: set[str] = set()

    def note(self, draft: EntryDraft) -> None:
        """Note who did what an entry says was done."""
        actor = draft.actor
        if actor.kind == "client" and actor.id is not None and draft.outcome is Outcome.PERMITTED:
            self._actors[actor.id] = actor

    def rest_on(self, client: Client) -> None:
        """Note that what is done holds only while `client` is what it was read as here."""
        self._others[client.id] = client

    def counted(self, client: Client, check: Check) -> None:
        """Note that the unit adds to what `client` may have so many of: `check` counts it, with what was added."""
        self._counted.append((client, check))

    def changed(self, before: Client | Member | None) -> None:
        """Note what a client or member was, held, before the unit itself changes it.

        Who ends its own right does so while it has it; who has lost it gives itself none.
        """
        if isinstance(before, Client):
            self._clients.setdefault(before.id, before)
        elif before is not None:
            self._members.setdefault(before.code, before)

    def parted(self, thumbprint: str) -> None:
        """Note that the unit itself ends the use of a certificate that was in use, which may be the caller's."""
        self._parted.add(thumbprint)

    async def require(self, current: CurrentClient) -> None:
        """Hold whoever was noted; raise where its right has been taken away, or what it may do changed, meanwhile.

        What is counted is counted here, one unit of the client after another. Raises what the count raises,
        ForbiddenError for a client that is suspended or revoked, NotAuthenticatedError for a certificate that
        is in use no more, ConflictError for another version of who acts, and of whom the act rests on.
        """
        await self._count()
        for client_id, actor in sorted(self._actors.items()):
            await self._hold(client_id, actor.member or "")
            await self._require_actor(self._as_it_was(await current(client_id)), actor)
        for client_id, client in sorted(self._others.items()):
            await self._hold(client_id, client.member)
            if await current(client_id) != client:
                raise ConflictError("who asked was changed meanwhile: look at it again", code="requester-gone")

    async def _count(self) -> None:
        for client, check in self._counted:
            # Never shared first: two that share it and want it alone would wait for each other.
            await self._session.scalar(_first_member(client.member).with_for_update(read=True))
            await self._session.scalar(_first_client(client.id).with_for_update(key_share=True))
            await check()

    async def _hold(self, client_id: str, member: str) -> None:
        for first in (_first_member(member), _first_client(client_id)):
            await self._session.scalar(first.with_for_update(read=True))

    def _as_it_was(self, client: Client | None) -> Client | None:
        """Return a client without what the unit itself makes of it."""
        if client is None:
            return None
        before, member = self._clients.get(client.id, client), self._members.get(client.member)
        return before if member is None else replace(before, member_standing=member.standing)

    async def _require_actor(self, client: Client | None, actor: Actor) -> None:
        if client is None or not client.is_active:
            raise inactive_error(client)
        if actor.thumbprint not in self._parted and not await self._uses(client, actor.thumbprint):
            raise NotAuthenticatedError("this certificate is not enrolled: ask the exchange's operator to enrol it")
        if client.version != actor.version:
            raise ConflictError("what you may do was changed meanwhile: ask again")

    async def _uses(self, client: Client, thumbprint: str | None) -> bool:
        row = CertificateTable
        used = (col(row.thumbprint) == thumbprint, col(row.client_id) == client.id, col(row.removed_at).is_(None))
        return await self._session.scalar(select(col(row.thumbprint)).where(*used)) is not None


def _first_client(client_id: str) -> Select[Any]:
    # INVARIANT: the first version is what is held: the current one is another row once who waited for it gets it.
    return select(col(ClientTable.version)).where(col(ClientTable.id) == client_id, col(ClientTable.version) == 1)


def _first_member(code: str) -> Select[Any]:
    return select(col(MemberTable.version)).where(col(MemberTable.code) == code, col(MemberTable.version) == 1)
