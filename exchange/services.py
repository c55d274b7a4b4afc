"""Services: opens the rooms that an instance's settings name, for the server and for the command line.

Promises: what was opened is closed again; keys that do not open and a schema that is not at head are refused.
Does not: know the web framework, so that an operator's verb starts without it; decide anything, or serve.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from exchange.custody import FileCustodian
from exchange.kernel import system_clock
from exchange.release import load_law
from exchange.settings import Settings, read_policies
from exchange.store import Store
from exchange.usecases import Services


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the rooms that `settings` name, for as long as the context lasts."""
    law = load_law(read_policies(settings.policies_dir))
    custodian = FileCustodian.load(settings.roots_file)
    cursor_key = settings.cursor_key()
    url = settings.database_url_with_password()
    store = await Store.open(url, node=settings.node, clock=system_clock, randomness=os.urandom)
    try:
        yield Services(
            store=store, custodian=custodian, law=law, clock=system_clock, randomness=os.urandom, cursor_key=cursor_key
        )
    finally:
        await store.close()
