"""Rows of reports that are not whole, altered: told to who sends them, and in nobody else's way."""

from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import NotFoundError, UnavailableError
from exchange.usecases.posting.give_up_uploads import give_up_uploads
from tests.support.in_turn import InTurn
from tests.support.lived import MakeLived
from tests.support.put_back import kept_rows
from tests.support.uploading import awaited, begun, completed, sent
from tests.support.world import World

CONTENT = b"a part"
ALTERED = {
    "no revision": "UPDATE upload SET revision = 'x' WHERE id = $1",
    "no id": "UPDATE upload SET id = x'ff' WHERE id = $1",
    "no end": "UPDATE upload SET ended = 'x' WHERE id = $1",
    "due at no moment": f"UPDATE upload SET due_at = {2**63 - 1} WHERE id = $1",
    "begun at no moment": f"UPDATE upload SET begun_at = {2**63 - 1} WHERE id = $1",
    "no originator": "UPDATE upload SET originator = 'x' WHERE id = $1",
    "no agreement": "UPDATE upload SET agreement = 'x' WHERE id = $1",
    "an originator in bytes": "UPDATE upload SET originator = x'ff' WHERE id = $1",
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
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL keeps out of these columns what is none
async def test_altered_upload_keeps_no_other_from_being_given_up(make_lived: MakeLived, alter: str) -> None:
    populated, (first, altered, last) = await make_lived(three)
    populated.sql("PRAGMA foreign_keys = OFF")
    populated.sql(ALTERED[alter], altered)
    populated.clock.advance(timedelta(days=2))

    assert not await give_up_uploads(populated.services, populated.clock.now)
    ended = dict(populated.sql("SELECT id, ended FROM upload"))
    assert (ended[first], ended[last]) == ("abandoned", "abandoned")


async def test_altered_upload_is_told_as_that_to_who_sends_it(
    make_lived: MakeLived, backend: str, in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    populated, (_, altered, last) = await make_lived(three)
    put_back = kept_rows(populated, {"upload": ("id",)})
    # A column of numbers, and one of text, which PostgreSQL keeps so.
    of_sqlite = {"no revision", "an originator in bytes"}
    tried = in_turn(name for name in ALTERED if name not in {"no id", *of_sqlite})
    for name in [*tried, *(of_sqlite if backend == "sqlite" else ())]:
        alter = ALTERED[name]
        populated.sql(alter, altered)
        with subtests.test(name):
            await require_told_as_altered(populated, altered)
            await sent(populated, last, CONTENT)
        put_back()
    # Nothing else was wrong with it.
    await sent(populated, altered, CONTENT)


async def require_told_as_altered(populated: World, altered: str) -> None:
    absent = await populated.attempt(sent(populated, altered, CONTENT, name="NOR contributor"))
    assert isinstance(absent.error, NotFoundError)
    assert absent.entry.get("owner") in {None, "GBR"}
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


async def test_upload_that_was_altered_completes_nothing(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(populated, awaited(CONTENT))
    await sent(populated, upload, CONTENT)
    put_back = kept_rows(populated, {"upload_part": ("upload_id",), "upload": ("id",)})
    in_part = (f"size_bytes = {2**63 - 1}", "size_bytes = 1", "number = 7")
    # Where its row alone says that it is posted, nobody would send it again.
    for alter in (*(f"upload_part SET {each}" for each in in_part), "upload SET ended = 'completed'"):
        populated.sql(f"UPDATE {alter}")
        poster = populated.call("GBR contributor")
        made = await populated.attempt(usecases.complete_upload(populated.services, poster, upload))
        assert isinstance(made.error, UnavailableError), alter
        assert [entry["detail"]["place"] for entry in made.entries if entry["type"] == "key.opened"] == [
            f"upload {upload}"
        ]
        put_back()

    assert await completed(populated, upload)
    # Said again, nobody reads for it all that waits to be found.
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
    with pytest.raises(UnavailableError, match="too many entries wait"):
        await completed(populated, upload)
