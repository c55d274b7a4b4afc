"""How long `exchange doctor` waits for a database that is silent: once in all, not for each thing it looks at."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from time import monotonic

from exchange.cli.finding import Finding

PATIENCE_SECONDS = 20.0
"""Longer than any look takes where nobody holds a lock; whoever is woken at night waits for it once."""

SILENT = f"it was silent for {PATIENCE_SECONDS:.0f} s in all: what comes after the line above was not looked at"


async def patiently(
    looks: AsyncGenerator[Finding | None, None], silence: Finding, *, seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[Finding]:
    """Yield what `looks` yields, and `silence` in the place of all that is left once `seconds` were waited in vain.

    What ended well costs nothing of them, nor does None, by which a long look says that it goes on.
    """
    while True:
        began = monotonic()
        try:
            async with asyncio.timeout(seconds):
                finding = await anext(looks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            yield silence
            return
        if finding is None:
            continue
        yield finding
        if finding.state == Finding.MEND:
            seconds = max(0.0, seconds - (monotonic() - began))
