"""Every use case x strangers, clients whose time is over, and the host: refused, and on the record as they are known."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from exchange import usecases
from exchange.kernel import ForbiddenError, NotAuthenticatedError
from exchange.members import Role, Standing
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import World, reopen_world
from tests.usecases.test_roles import ABSENT, QUEUES, ROWS, USE_CASES, Act, token_of

ENDED = (Standing.SUSPENDED, Standing.REVOKED)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def refusing(
    request: pytest.FixtureRequest,
    populated_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[World, str]]:
    """A populated world in which the acts of this module are refused, and the id of a report in it."""
    folder = tmp_path_factory.mktemp("refusing")
    world = await reopen_world(populated_database(request.param, folder), folder)
    yield world, await world.post()
    await world.services.store.close()


@ROWS
@IN_ONE_WORLD
async def test_stranger_is_refused_and_recorded_by_its_thumbprint_alone(
    refusing: tuple[World, str], act: Act, allowed: frozenset[Role], event: str
) -> None:
    populated, _ = refusing
    made = await populated.attempt(act(populated, populated.call("stranger"), ABSENT))

    assert isinstance(made.error, NotAuthenticatedError)
    assert made.entry["actor"] == {"kind": "unknown", "thumbprint": token_of(populated, "stranger")}
    assert (made.entry["type"], made.entry["decision"]) == (event, "refused")
    assert made.entry["reasons"] == ["not-authenticated"]
    assert "member" not in made.entry


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(refusing: tuple[World, str]) -> dict[Role, tuple[str, ...]]:
    """The clients that had each role, were let in, and are suspended and revoked since: nothing was asked after that."""
    world, _ = refusing
    named = {role: tuple(f"{standing.value} {role.value}" for standing in ENDED) for role in Role}
    for role, (suspended, revoked) in named.items():
        for leaver in (suspended, revoked):
            await world.enrol(leaver, "GBR", role.value)
            await usecases.describe_caller(world.services, world.call(leaver))
    for suspended, revoked in named.values():
        for leaver, standings in ((suspended, ENDED[:1]), (revoked, ENDED)):
            for standing in standings:
                an_id = world.clients[leaver].id
                await usecases.change_standing(world.services, world.call(None), an_id, standing)
    return named


@ROWS
@IN_ONE_WORLD
async def test_suspended_and_revoked_clients_are_refused_from_the_next_call_on(
    refusing: tuple[World, str],
    ended: dict[Role, tuple[str, ...]],
    act: Act,
    allowed: frozenset[Role],
    event: str,
) -> None:
    populated, _ = refusing
    for leaver in ended[min(allowed, key=lambda each: each.value)]:
        made = await populated.attempt(act(populated, populated.call(leaver), ABSENT))

        assert isinstance(made.error, ForbiddenError)
        assert made.error.code == "client-suspended"
        assert (made.entry["type"], made.entry["reasons"]) == (event, ["client-suspended"])


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in USE_CASES
        if row[2] <= {Role.READER, Role.CONTRIBUTOR, Role.RELEASER, Role.SIGNATORY, Role.AUDITOR}
        and row[0] not in QUEUES
    ],
    ids=lambda row: row[0],
)
@IN_ONE_WORLD
async def test_host_has_no_way_to_what_belongs_to_members(
    refusing: tuple[World, str], row: tuple[str, Act, frozenset[Role], str]
) -> None:
    populated, report = refusing
    made = await populated.attempt(row[1](populated, populated.call(None), report))

    assert isinstance(made.error, NotAuthenticatedError)


async def test_connections_that_were_refused_are_on_the_record_without_a_name(populated: World) -> None:
    counts = {"plain-http": 2, "certificate-expired": 1}
    made = await populated.attempt(usecases.record_refused_connections(populated.services, counts, source="192.0.2.7"))

    assert (made.entry["type"], made.entry["decision"]) == ("connection.refused", "refused")
    assert made.entry["actor"] == {"kind": "unknown"}
    assert made.entry["reasons"] == ["not-authenticated"]
    assert made.entry["detail"] == {"codes": ["certificate-expired", "plain-http"], "count": 3}
    assert made.entry["source"] == usecases.search_tokens(populated.services).of_address("192.0.2.7")
