"""Rows of reports that are not whole, altered: told to who sends them, and in nobody else's way."""

from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError
from exchange.usecases.give_up_uploads import give_up_uploads
from tests.support.uploading import awaited, begun, sent
from tests.support.world import World

CONTENT = b"a part"
ALTERED = {
    "no revision": "UPDATE upload SET revision = 'x' WHERE id = $1",
    "no id": "UPDATE upload SET id = x'ff' WHERE id = $1",
    "no end": "UPDATE upload SET ended = 'x' WHERE id = $1",
    "due at no moment": f"UPDATE upload SET due_at = {2**63 - 1} WHERE id = $1",
}
NOT_GIVEN_UP = ("no revision", "no id")


async def three(world: World) -> list[str]:
    """Begin three uploads, and have the one part of each; in the order in which they are given up."""
    found = sorted([await begun(world, awaited(CONTENT)) for _ in range(3)])
    for each in found:
        await sent(world, each, CONTENT)
    return found


@pytest.mark.timeout(60)  # it went round and round
@pytest.mark.parametrize("alter", NOT_GIVEN_UP)
async def test_altered_upload_keeps_no_other_from_being_given_up(populated: World, backend: str, alter: str) -> None:
    if backend == "postgresql":
        return  # it keeps out of these columns what is none
    first, altered, last = await three(populated)
    populated.sql("PRAGMA foreign_keys = OFF")
    populated.sql(ALTERED[alter], altered)
    populated.clock.advance(timedelta(days=2))

    assert not await give_up_uploads(populated.services, populated.clock.now)
    ended = dict(populated.sql("SELECT id, ended FROM upload"))
    assert (ended[first], ended[last]) == ("abandoned", "abandoned")


@pytest.mark.parametrize("alter", ["no revision", "no end", "due at no moment"])
async def test_altered_upload_is_told_as_that_to_who_sends_it(populated: World, backend: str, alter: str) -> None:
    if alter == "no revision" and backend == "postgresql":
        return  # a column of numbers
    _, altered, last = await three(populated)
    populated.sql(ALTERED[alter], altered)
    poster = populated.call("GBR contributor")
    for act in (
        sent(populated, altered, CONTENT),
        usecases.complete_upload(populated.services, poster, altered),
        usecases.give_up_upload(populated.services, poster, altered),
    ):
        made = await populated.attempt(act)
        assert isinstance(made.error, NotFoundError)
        assert "can be read" in made.error.message
        told = [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"]
        assert told == [f"upload {altered}"]
    await sent(populated, last, CONTENT)
