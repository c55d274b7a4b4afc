"""When a version of the root may be added: not while the newest one waits for what is under those before."""

import pytest

from exchange.audit import EventName, Outcome, Subject
from exchange.usecases.steps.recording import draft
from exchange.usecases.upkeep import rotate_keys
from exchange.usecases.upkeep.rotate_keys import rewrap
from tests.support.meanwhile import posted_meanwhile
from tests.support.rotating import add_version, host
from tests.support.world import World


async def test_no_version_is_added_before_everything_is_under_the_newest(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.post()
    assert await add_version(populated) == 2
    assert await add_version(populated) is None  # nothing is under it
    await populated.post()
    assert await add_version(populated) is None  # not everything is
    with monkeypatch.context() as patched:
        # What the log says of the newest one may lie in an archive: posts do not wait for that.
        posted = posted_meanwhile(patched, rotate_keys, "recorded_version", populated)
        await rewrap(populated.services, host(populated))

    assert posted
    assert await add_version(populated) == 3


async def test_entry_about_another_thing_of_the_same_name_adds_no_version(populated: World) -> None:
    await populated.post()
    call, other = host(populated), Subject("witness", "file/2")
    detail = {"kind": "root", "version": 2, "fingerprint": "0" * 16}
    made = draft(call, None, EventName.KEY_CREATED, Outcome.PERMITTED, subject=other, detail=detail)
    await populated.services.store.append(made)

    assert await add_version(populated) == 2
