"""The law that decides: the files', and what members put in force for their own reports, as of a policy version.

Putting caveats in force moves the policy version, which every request reads together with its report: so they hold from
the next request on, on every node. Texts never change, so each is parsed once per process, beside the requests.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from exchange.kernel import UnavailableError
from exchange.release import Law, NationalGuards, NationalText, stored_national
from exchange.store import CaveatText, PolicyState, Store
from exchange.store.rows.unread import UNREADABLE


@dataclass(slots=True)
class NationalLaw:
    """What one process knows of national caveats. Not shared between event loops."""

    _files: Law | None = None
    _law: Law | None = None
    _version: int = -1
    _known: dict[str, NationalGuards] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    altered: list[CaveatText] = field(default_factory=list)
    """What was found altered and is not on record yet: it refuses its member's reports."""

    async def law(self, store: Store, files: Law, state: PolicyState) -> Law:
        """Return the law of `files` and of members, as of the policy version in `state` or of a later one."""
        if self._law is not None and self._files is files and self._version >= state.policy_version:
            return self._law
        # One at a time: else every request under way would parse what a member has just put in force.
        async with self._reading:
            return await self._read(store, files, state)

    async def _read(self, store: Store, files: Law, state: PolicyState) -> Law:
        if self._law is not None and self._files is files and self._version >= state.policy_version:
            return self._law
        known = self._known if self._files is files else {}
        ids = await store.caveats.in_force()
        texts = await store.caveats.texts(ids - known.keys()) if ids - known.keys() else []
        new = await _prepared(texts, files)
        if not ids <= known.keys() | new.keys():
            raise UnavailableError("national caveats that are in force cannot be read: nothing was released")
        in_force = {each: known[each] if each in known else new[each] for each in ids}
        made = files.with_national(_of_members(in_force.values(), files)) if in_force else files
        self._files, self._law, self._version, self._known = files, made, state.policy_version, in_force
        self.altered += [each for each in texts if not _is_as_signed(each)]
        return made


def national_of(text: CaveatText, files: Law) -> NationalGuards:
    """Return what a member put in force, ready to be asked; what was altered since refuses its reports."""
    if not _is_as_signed(text):
        return files.guards.prepared(text.member, None)
    return stored_national(text.member, text.guards, files)


def _of_members(in_force: Collection[NationalGuards], files: Law) -> Iterator[NationalGuards]:
    """Yield what holds for each member; of two sets in force nobody can say which does: its reports are refused."""
    yield from in_force
    counts = Counter(each.member for each in in_force)
    yield from (files.guards.prepared(member, None) for member, count in counts.items() if count > 1)


def _is_as_signed(text: CaveatText) -> bool:
    try:
        return NationalText(text.guards, text.examples).digest(text.member) == text.digest
    except UNREADABLE:
        return False


async def _prepared(texts: Sequence[CaveatText], files: Law) -> dict[str, NationalGuards]:
    # In a thread: the dearest that fit in take 200 ms.
    return {each.id: await asyncio.to_thread(national_of, each, files) for each in texts}
