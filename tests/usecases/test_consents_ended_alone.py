"""Consents whose rows somebody ended in the database: they are taken back all the same, and nobody puts them back."""

from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, UnavailableError
from exchange.usecases.steps import taken_away_again
from tests.support import deriving, onward
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases import test_proxies as proxies

REVOKED: dict[str, tuple[Any, str]] = {
    "onward_release": (usecases.revoke_onward, "GBR releaser"),
    "derivation_consent": (usecases.revoke_derivation, "GBR releaser"),
    "proxy_consent": (usecases.revoke_proxy, "NOR releaser"),
}
"""By the tables in which consents are: how they are taken back, and by whom."""

ENDED = [(table, f"state = '{state}'") for table in REVOKED for state in ("refused", "revoked")]
ENDED += [(table, f"state = '{state}'") for table in list(REVOKED)[:2] for state in ("asked", "lapsed", "withdrawn")]
ENDED += [(table, "note = NULL") for table in list(REVOKED)[:2]]


async def with_consents(world: World) -> dict[str, str]:
    """Return the ids of three consents, by the tables in which they are."""
    await onward.with_releasers(world)
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    report = await world.post(label=onward.LOW)
    released, derived = await onward.ask(world, report), await deriving.ask(world, report)
    await onward.grant(world, released)
    await deriving.grant(world, derived)
    other, given = [await proxies.given(world) for _ in range(2)]
    # What is told of another one says nothing of this.
    await usecases.revoke_proxy(world.services, world.call("NOR releaser"), other.row.id)
    return {"onward_release": released, "derivation_consent": derived, "proxy_consent": given.row.id}


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize(("table", "by_hand"), ENDED)
async def test_consent_whose_row_alone_was_ended_is_taken_back_once(
    make_lived: MakeLived, table: str, by_hand: str, *, is_placed: bool
) -> None:
    world, ids = await make_lived(with_consents)
    revoke, name = REVOKED[table]
    if is_placed:
        await place_entries(world, is_searchable=True)
    world.sql(f"UPDATE {table} SET {by_hand}")
    made = await world.attempt(revoke(world.services, world.call(name), ids[table]))
    again = await world.attempt(revoke(world.services, world.call(name), ids[table]))

    assert made.value.value.row.state.value == "revoked"
    assert (made.entry["type"].partition(".")[2], made.entry["decision"]) == ("revoked", "permitted")
    assert isinstance(again.error, ConflictError)


@pytest.mark.parametrize(
    ("table", "by_hand", "decision"),
    [
        ("derivation_consent", "state = 'revoked'", "permitted"),
        ("derivation_consent", "note = NULL", "failed"),
        ("proxy_consent", "state = 'revoked'", "permitted"),
    ],
)
async def test_consent_is_taken_back_in_doubt_where_somebody_signed_it(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, table: str, by_hand: str, decision: str
) -> None:
    world, ids = await make_lived(with_consents)
    revoke, name = REVOKED[table]
    world.sql(f"UPDATE {table} SET {by_hand}")

    async def unreadable(*_: object) -> None:
        raise UnavailableError("too many entries wait")

    monkeypatch.setattr(taken_away_again, "require_readable", unreadable)
    made = await world.attempt(revoke(world.services, world.call(name), ids[table]))

    assert made.entry["decision"] == decision


async def test_consent_of_a_version_before_is_taken_back_by_nobody(make_lived: MakeLived) -> None:
    world, ids = await make_lived(with_consents)
    ((report,),) = world.sql("SELECT id FROM report")
    posted = world.posted(content=b"second", label=onward.LOW)
    await usecases.amend_report(world.services, world.call("GBR contributor"), report, posted)
    for table in ("onward_release", "derivation_consent"):
        revoke, name = REVOKED[table]
        made = await world.attempt(revoke(world.services, world.call(name), ids[table]))

        assert isinstance(made.error, ConflictError)
        assert "lapsed" in made.error.message
