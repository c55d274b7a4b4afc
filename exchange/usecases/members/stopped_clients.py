"""Who stopped a client: what the exchange stopped, a member's own operator does not set going again.

The row says that a client is suspended, not by whom, and whoever owns the database writes it: so the log is asked.
"""

from itertools import takewhile

from exchange.audit import Entry, EventName
from exchange.kernel import ConflictError
from exchange.members import Client, Standing
from exchange.usecases.steps.authenticate import kept_to
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import told_until_now

_TELLING = (EventName.CLIENT_ENROLLED, EventName.CLIENT_CHANGED)
"""The entries that say how a client stands that is not revoked, one for each of its versions."""


async def require_own_stop(services: Services, operator: Client | None, client: Client) -> None:
    """Raise ConflictError where `operator` is of one member, and another one than that member suspended `client`.

    `client` is as it is held in the unit of work that asks, and suspended.
    """
    if kept_to(operator) is not None and not await _is_own_stop(services, client):
        raise ConflictError("the exchange suspended this client: ask the exchange's operator to resume it")


async def takes_over(services: Services, operator: Client | None, client: Client) -> bool:
    """Return whether `operator`, who suspends `client`, is the exchange's, and its member alone suspended it before.

    `client` is as it is held in the unit of work that asks.
    """
    is_stopped = client.standing is Standing.SUSPENDED
    return is_stopped and kept_to(operator) is None and await _is_own_stop(services, client)


async def _is_own_stop(services: Services, client: Client) -> bool:
    """Return whether nobody but its member had a hand in it since it is suspended.

    What the log does not tell of, as a row that the jobs suspended, was not its member's doing.
    """
    by_version = await _told(services, client.id)
    # From the newest one that either tells of: somebody may have put an older row back.
    newest_first = map(by_version.get, range(max((client.version, *by_version)), 0, -1))
    since = takewhile(_may_have_stopped, newest_first)
    return all(entry is not None and entry.get("member") == client.member for entry in since)


def _may_have_stopped(entry: Entry | None) -> bool:
    return entry is None or entry["detail"].get("standing") == Standing.SUSPENDED.value


async def _told(services: Services, client_id: str) -> dict[int, Entry]:
    entries = [entry async for entry in told_until_now(services, *_TELLING, subject=client_id)]
    return {entry["object"]["version"]: entry for entry in entries if entry.get("object", {}).get("type") == "client"}
