"""Faults that only the process itself can have: custody that goes away, a clock that jumps; with others at work."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx2
import pytest

from exchange.custody import CustodyUnavailableError
from tests.attacks.hidden import report_body
from tests.support.world import World

POSTERS, PULLERS = 3, 4
FEW = 12
POSTED, PULLED = "POST", "GET"
_BREATH_SECONDS = 0.002
As = Callable[[str], httpx2.AsyncClient]


@dataclass
class Load:
    """Posts under keys of their own, each asked again until it is acknowledged, and pulls of what was; all at once."""

    world: World
    http: As
    acknowledged: dict[str, str] = field(default_factory=dict)
    pulled: list[tuple[str, str]] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    is_ending: bool = False

    async def run(self) -> None:
        """Go on until it is ending; what was begun is brought to its end."""
        await asyncio.gather(
            *(self._post(number) for number in range(POSTERS)), *(self._pull() for _ in range(PULLERS))
        )

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let it go on until something is so."""
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110  many count
                await asyncio.sleep(0.01)

    async def goes_on(self) -> None:
        """Wait for a few more posts and pulls that are answered well."""
        posts, pulls = len(self.acknowledged) + FEW, len(self.pulled) + FEW
        await self.until(lambda: len(self.acknowledged) >= posts and len(self.pulled) >= pulls)

    async def is_turned_away(self) -> None:
        """Wait until a few more posts and a few more pulls were told to come again."""
        posts, pulls = self.answers[POSTED, 503] + FEW, self.answers[PULLED, 503] + FEW
        await self.until(lambda: self.answers[POSTED, 503] >= posts and self.answers[PULLED, 503] >= pulls)

    async def _post(self, poster: int) -> None:
        client, number = self.http("GBR contributor"), 0
        while not self.is_ending:
            number += 1
            key = f"poster-{poster}-{number:04}"
            body, status = report_body(self.world.agreement_id, subject=key), 0
            while status != 201:
                answer = await client.post("/v1/reports", json=body, headers={"Idempotency-Key": key})
                status = self._counted(POSTED, answer)
                # The store writes in a thread, which wants its turn too.
                await asyncio.sleep(_BREATH_SECONDS)
            self.acknowledged[key] = answer.json()["id"]

    async def _pull(self) -> None:
        client = self.http("NOR reader")
        while not self.is_ending:
            for report in list(self.acknowledged.values())[-2:]:
                answer = await client.get(f"/v1/reports/{report}")
                is_given = self._counted(PULLED, answer) == 200
                assert (b"first part" in answer.content) is is_given
                if is_given:
                    self.pulled.append((report, answer.headers["x-audit-entry"]))
            await asyncio.sleep(_BREATH_SECONDS)

    def _counted(self, act: str, answer: httpx2.Response) -> int:
        self.answers[act, answer.status_code] += 1
        assert answer.status_code in {200, 201, 503}, answer.text
        assert answer.status_code != 503 or answer.headers["retry-after"]
        return answer.status_code


@asynccontextmanager
async def under_load(world: World, http: As) -> AsyncIterator[Load]:
    """Give a load that is at work; behind it, compare what was told with what is there."""
    cursor = (await http("NOR reader").get("/v1/reports")).json()["next"]
    load = Load(world, http)
    running = asyncio.create_task(load.run())
    try:
        await load.goes_on()
        yield load
        await load.goes_on()
    finally:
        load.is_ending = True
        await asyncio.wait_for(running, 60)
    # Nothing acknowledged is lost or doubled, and the cursor from before passes over nothing.
    listed = await listed_behind(http, cursor)
    assert sorted(listed) == sorted(load.acknowledged.values())
    for poster in range(POSTERS):
        own = [report for key, report in load.acknowledged.items() if key.startswith(f"poster-{poster}-")]
        assert [report for report in listed if report in own] == own
    # Nothing was given that is not on the record.
    entries = {entry["id"]: entry for entry in await world.entries()}
    for report, entry in load.pulled:
        assert (entries[entry]["type"], entries[entry]["object"]["id"]) == ("report.read", report)


async def listed_behind(http: As, cursor: str) -> list[str]:
    reader, found = http("NOR reader"), []
    while True:
        page = (await reader.get("/v1/reports", params={"after": cursor, "limit": 100})).json()
        found += [header["id"] for header in page["items"]]
        cursor = page["next"]
        if not page["items"]:
            return found


def taken_away(patch: pytest.MonkeyPatch, world: World) -> None:
    async def away(*_args: object) -> Awaitable[None]:
        raise CustodyUnavailableError("the token was pulled out")

    for name in ("wrap", "unwrap", "seal_header", "open_headers"):
        patch.setattr(type(world.services.custodian), name, away)


async def test_custody_that_goes_away_releases_nothing_until_it_is_back(http, world, monkeypatch) -> None:
    async with under_load(world, http) as load:
        with monkeypatch.context() as gone:
            taken_away(gone, world)
            await load.is_turned_away()
            before = len(load.acknowledged), len(load.pulled)
            await load.is_turned_away()
            amid = len(load.acknowledged), len(load.pulled)
            needs_no_key = await http("NOR reader").get("/v1/whoami")

    assert amid == before
    assert needs_no_key.status_code == 200


async def test_clock_that_jumps_keeps_order_and_loses_nothing(http, world) -> None:
    world.clock.advance(timedelta(hours=12))
    async with under_load(world, http) as load:
        for jump in (timedelta(hours=6), timedelta(hours=-12), timedelta(hours=6, minutes=1)):
            world.clock.advance(jump)
            await load.goes_on()

    assert load.answers[POSTED, 503] == load.answers[PULLED, 503] == 0


async def test_clock_that_jumps_ahead_ends_what_has_an_end(http, world) -> None:
    report = await world.post()
    reader = http("NOR reader")
    assert (await reader.get(f"/v1/reports/{report}")).status_code == 200

    world.clock.advance(timedelta(days=20_000))  # beyond every agreement and clearance

    assert (await reader.get(f"/v1/reports/{report}")).status_code == 404
