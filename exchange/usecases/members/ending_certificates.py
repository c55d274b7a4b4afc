"""Clients that soon can connect no more: their last certificate ends, or has ended."""

from datetime import datetime, timedelta

from exchange.members import Client, Standing
from exchange.store import Unread
from exchange.usecases.steps.context import Services


async def ending_certificates(services: Services, within: timedelta) -> list[tuple[Client, datetime]]:
    """Return each active client whose last certificate ends within that time, and when, the first one first."""
    async with services.store.unit_of_work() as unit:
        ends = await unit.held_certificates().ending(services.clock() + within)
        # One that cannot be read connects no more before it is mended: others are told of all the same.
        clients = {str(client.id): client for client in await unit.clients(unread=Unread())} if ends else {}
    found = [(clients.get(client_id), end) for client_id, end in ends]
    return [(client, end) for client, end in found if client is not None and client.standing is Standing.ACTIVE]
