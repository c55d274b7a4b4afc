"""When a version of the root may be added: not while the newest one waits for what is under those before."""

from exchange.usecases.rotate_keys import rewrap
from tests.support.rotating import add_version, host
from tests.support.world import World


async def test_no_version_is_added_before_everything_is_under_the_newest(populated: World) -> None:
    await populated.post()
    assert await add_version(populated) == 2
    assert await add_version(populated) is None  # nothing is under it
    await populated.post()
    assert await add_version(populated) is None  # not everything is
    await rewrap(populated.services, host(populated))

    assert await add_version(populated) == 3
