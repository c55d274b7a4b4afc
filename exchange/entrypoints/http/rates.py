"""Rates: how much a client may ask, and how much all clients of its member together.

A member may enrol as many clients as it likes: each has its own rate, and what they ask together is bounded too.
Certificates that nobody is enrolled with are counted at this worker alone, by what issued them: who can make as many as
it likes must not have a rate for each, nor a row in the database.
"""

from dataclasses import dataclass, field

from exchange.entrypoints.http.holders import Holder
from exchange.entrypoints.http.limits import RateLimiter, Refusals, SharedRateLimiter
from exchange.entrypoints.http.shares import Share

OF_MEMBER = 2
"""A member's clients together may ask so many times what one may, unless an operator says otherwise."""
RETRY_AFTER_SECONDS = 1
"""When who was refused may come back: every rate is one request a second at least."""


@dataclass(slots=True)
class Rates:
    """The limiters of one worker, and what it refused by them."""

    clients: SharedRateLimiter
    members: SharedRateLimiter
    strangers: RateLimiter
    refusals: Refusals = field(default_factory=Refusals)

    def admit(self, holder: Holder) -> Share | None:
        """Take what is at hand; else return whose it is that is not."""
        if not holder.is_known:
            return None if self.strangers.admit(holder.member) else Share.STRANGERS
        if not self.clients.admit(holder.client):
            return Share.CLIENT
        return None if self.members.admit(holder.member) else Share.MEMBER

    async def admit_later(self, holder: Holder, missing: Share) -> Share | None:
        """Take what `missing` was, once it is lent; else return what is used up, UnavailableError where nobody says."""
        if missing is Share.CLIENT:
            if not await self.clients.admit_later(holder.client):
                return missing
            if self.members.admit(holder.member):
                return None
            missing = Share.MEMBER
        if missing is Share.MEMBER and await self.members.admit_later(holder.member):
            return None
        return missing
