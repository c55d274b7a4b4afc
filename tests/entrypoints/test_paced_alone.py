"""What is told over and over: how often, by itself."""

import asyncio

from exchange.entrypoints.http.paced import PacedRecord


class Noted(PacedRecord):
    """Notes how much was written each time."""

    def __init__(self, pause_seconds: float) -> None:
        super().__init__(pause_seconds, name="noted")
        self.waiting, self.written = 0, []

    def note(self) -> None:
        self.waiting += 1
        self._noted()

    def _is_waiting(self) -> bool:
        return self.waiting > 0

    async def _write(self) -> None:
        self.written.append(self.waiting)
        self.waiting = 0


async def test_what_follows_within_the_pause_is_written_in_one_go() -> None:
    async with Noted(600.0) as noted:
        for _ in range(4):
            noted.note()
            await asyncio.sleep(0)
        before = list(noted.written)

    assert (before, noted.written) == ([1], [1, 3])


async def test_what_comes_after_the_pause_is_written_at_once_and_nothing_where_nothing_waits() -> None:
    async with Noted(0.01) as noted:
        noted.note()
        async with asyncio.timeout(30):
            while noted._later is None or not noted.written:  # noqa: ASYNC110  the loop writes
                await asyncio.sleep(0)
            while noted._later is not None:  # noqa: ASYNC110  the pause is over
                await asyncio.sleep(0.01)
        noted.note()
        await asyncio.sleep(0)

        assert noted.written == [1, 1]
