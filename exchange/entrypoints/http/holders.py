"""Holders: against whose shares a request, a connection and what they hold are counted.

Promises: an enrolled certificate counts as its client, and as one of its client's member, before anything is held for
long; a certificate that nobody is enrolled with counts as a stranger, and as one of its issuer. The database is asked
once for each certificate that a worker meets; a stranger is asked about again after `STRANGER_SECONDS`.
Does not: let anybody in. Who may act is read anew with every call. A certificate names one client for ever, and a
client is of one member for ever: that alone may be remembered.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

STRANGER_SECONDS = 1.0
"""For so long nobody asks again who a stranger is: it may be enrolled meanwhile, and counts as one until then."""
_MOST_KEPT = 65_536
"""Each costs about 300 bytes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A client and its member; of a stranger, its certificate and what issued it."""

    client: str
    member: str
    is_known: bool = True

    @property
    def told_as(self) -> str:
        """Return under whose name floods of refusals are told: strangers are too many to be told one by one."""
        return self.client if self.is_known else self.member


def stranger(thumbprint: str, issuer: str) -> Holder:
    """Return the holder for a certificate that nobody is known to be enrolled with."""
    # No code of a member has a space, so nobody's issuer is counted as a member.
    return Holder(thumbprint, f"issuer {issuer}", is_known=False)


Lookup = Callable[[str], Awaitable[Holder | None]]
"""Says who is enrolled with a certificate; None for a stranger, UnavailableError where nobody can say."""


class Holders:
    """The holders that one worker has met."""

    def __init__(self, lookup: Lookup | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        self._known: dict[str, Holder] = {}
        self._strangers: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[Holder | None]] = {}
        self.told: Callable[[str, Holder], None] | None = None
        """Is told of each that is met."""

    def known(self, thumbprint: str) -> Holder | None:
        """Return who is enrolled with a certificate, where that was asked before.

        Where nobody can be asked at all, each certificate is a client and a member of its own.
        """
        return self._known.get(thumbprint) if self._lookup is not None else Holder(thumbprint, f"of {thumbprint}")

    async def meet(self, thumbprint: str) -> Holder | None:
        """Return who is enrolled with a certificate, None for a stranger; UnavailableError where nobody can say."""
        asking = self.ask(thumbprint)
        # Shielded: whoever leaves must not take the others' answer along.
        return self._known.get(thumbprint) if asking is None else await asyncio.shield(asking)

    def ask(self, thumbprint: str) -> "asyncio.Task[Holder | None] | None":
        """Begin to ask who is enrolled with a certificate; None where there is nothing to ask."""
        if self._lookup is None or thumbprint in self._known or self._clock() < self._strangers.get(thumbprint, 0.0):
            return None
        asking = self._asking.get(thumbprint)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(thumbprint, self._lookup))
            self._asking[thumbprint] = asking
            asking.add_done_callback(_seen)
        return asking

    async def _ask(self, thumbprint: str, lookup: Lookup) -> Holder | None:
        try:
            found = await lookup(thumbprint)
        finally:
            del self._asking[thumbprint]
        if found is None:
            _keep(self._strangers, thumbprint, self._clock() + STRANGER_SECONDS)
            return None
        _keep(self._known, thumbprint, found)
        if self.told is not None:
            self.told(thumbprint, found)
        return found


def _keep(kept: dict[str, Holder] | dict[str, float], thumbprint: str, value: Holder | float) -> None:
    if len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]
    kept[thumbprint] = value  # type: ignore[assignment]  # of its own kind


def _seen(asking: "asyncio.Task[Holder | None]") -> None:
    # Who asked may have gone: a fault then is nobody's to hear, and the next one asks again.
    if not asking.cancelled():
        asking.exception()
