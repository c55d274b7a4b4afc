"""Rights whose rows alone somebody ended in the database: they are taken away all the same, and nobody puts them back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import (
    ConflictError,
    ForbiddenError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
    from_micros,
    rfc3339,
    to_micros,
)
from exchange.members import Standing
from exchange.store.log.blobs import BlobsAwayError
from exchange.usecases.members.clients import change_standing, remove_certificate
from exchange.usecases.steps import taken_away_again
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.treaty import sign_by_call, signing_key
from tests.support.world import World, thumbprint_of
from tests.usecases.test_certificates_held import time_passes
from tests.usecases.test_rows_held import held

READER, SIGNATORY = "NOR reader", "NOR signatory"
TABLES = ("client", "member", "client_certificate", "signatory_key", "agreement", "agreement_party")
NOW = "superseded_at IS NULL"
IN_VERSION = "version = (SELECT max(version) FROM agreement_party)"
IN_AGREEMENT, OF_OTHERS = f"member = 'NOR' AND {IN_VERSION}", f"member <> 'NOR' AND {IN_VERSION}"


@dataclass(frozen=True)
class Verb:
    """What takes a right away, its entry, and how its row is set by hand."""

    event: str
    do: Callable[[World], Awaitable[Any]]
    table: str
    column: str
    ended: object
    going_on: object
    which: str

    def put(self, world: World, value: object) -> None:
        world.sql(f"UPDATE {self.table} SET {self.column} = $1 WHERE {self.which}", value)

    def put_back(self, world: World) -> None:
        self.put(world, self.going_on)
        if self.table == "agreement_party":
            world.sql(f"UPDATE agreement_party SET state = 'signed', leaves_at = NULL WHERE {IN_VERSION}")

    def stands(self, world: World) -> Any:
        return world.sql(f"SELECT {self.column} FROM {self.table} WHERE {self.which}")[0][0]


async def stand(world: World, standing: Standing) -> Any:
    return await change_standing(world.services, world.call("NOR operator"), world.clients[READER].id, standing)


async def revoke(world: World) -> Any:
    return await stand(world, Standing.REVOKED)


async def suspend(world: World) -> Any:
    return await stand(world, Standing.SUSPENDED)


async def suspend_member(world: World) -> Any:
    return await usecases.suspend_member(world.services, world.call(None), "NOR")


async def remove(world: World) -> Any:
    client = world.clients[READER].id
    return await remove_certificate(world.services, world.call("NOR operator"), client, thumbprint_of(READER))


async def retire(world: World) -> Any:
    key = signing_key(thumbprint_of(SIGNATORY)).verifying_key.key_id
    client = world.clients[SIGNATORY].id
    return await usecases.retire_signatory_key(world.services, world.call("NOR operator"), client, key)


async def suspend_part(world: World) -> Any:
    return await usecases.suspend_agreement(world.services, world.call(SIGNATORY), world.agreement_id)


async def leave(world: World) -> Any:
    return await usecases.withdraw_agreement(world.services, world.call(SIGNATORY), world.agreement_id)


LONG_AGO = 1
ROW_OF_READER = (
    f"id = (SELECT client_id FROM client_certificate WHERE thumbprint = '{thumbprint_of(READER)}') AND {NOW}"
)
CERTIFICATE = f"thumbprint = '{thumbprint_of(READER)}'"
KEY = f"key_id = '{signing_key(thumbprint_of(SIGNATORY)).verifying_key.key_id}'"
STANDING = ("client", "standing")
PART = ("agreement_party", "state")

VERBS = {
    "revoke": Verb("client.revoked", revoke, *STANDING, "revoked", "active", ROW_OF_READER),
    "suspend": Verb("client.changed", suspend, *STANDING, "suspended", "active", ROW_OF_READER),
    "suspend the revoked": Verb("client.changed", suspend, *STANDING, "revoked", "active", ROW_OF_READER),
    "suspend member": Verb(
        "member.suspended", suspend_member, "member", "standing", "suspended", "active", f"code = 'NOR' AND {NOW}"
    ),
    "remove": Verb("certificate.removed", remove, "client_certificate", "removed_at", LONG_AGO, None, CERTIFICATE),
    "retire": Verb("signatory.key_retired", retire, "signatory_key", "retired_at", LONG_AGO, None, KEY),
    "suspend part": Verb("agreement.suspended", suspend_part, *PART, "suspended", "signed", IN_AGREEMENT),
    "suspend part of who left": Verb("agreement.suspended", suspend_part, *PART, "withdrawn", "signed", IN_AGREEMENT),
    "suspend part of whose notice passed, who left": Verb(
        "agreement.suspended", suspend_part, "agreement_party", "leaves_at", LONG_AGO, None, IN_AGREEMENT
    ),
    "leave": Verb("agreement.withdrawn", leave, "agreement_party", "leaves_at", LONG_AGO, None, IN_AGREEMENT),
    "leave as who left": Verb("agreement.withdrawn", leave, *PART, "withdrawn", "signed", IN_AGREEMENT),
    "suspend unsigned part": Verb("agreement.suspended", suspend_part, *PART, "pending", "signed", IN_AGREEMENT),
    "suspend part, its signature undone": Verb(
        "agreement.suspended", suspend_part, "agreement_party", "signed_at", None, LONG_AGO, IN_AGREEMENT
    ),
    "suspend part of a draft": Verb("agreement.suspended", suspend_part, *PART, "pending", "signed", OF_OTHERS),
    "suspend part that all left": Verb("agreement.suspended", suspend_part, *PART, "withdrawn", "signed", OF_OTHERS),
    "leave a draft": Verb("agreement.withdrawn", leave, *PART, "pending", "signed", OF_OTHERS),
    "leave what all left": Verb("agreement.withdrawn", leave, *PART, "withdrawn", "signed", OF_OTHERS),
}
ENDED = {
    name: verb
    for name, verb in VERBS.items()
    if not name.endswith(("revoked", "left", "undone", "unsigned part", "draft"))
}


async def unreadable(*_: object) -> None:
    raise UnavailableError("too many entries wait")


async def with_operator(world: World) -> str:
    await world.enrol("NOR operator", "NOR", "operator")
    return await world.post()


async def reads(world: World, report: str) -> bool:
    async with world.another_node() as fresh:
        try:
            await usecases.pull_report(fresh, world.call(READER), report)
        except (ForbiddenError, NotAuthenticatedError, NotFoundError):
            return False
    return True


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("name", VERBS)
async def test_right_whose_row_alone_was_ended_is_taken_away_and_not_given_back(
    make_lived: MakeLived, name: str, *, is_placed: bool
) -> None:
    (world, report), verb = await make_lived(with_operator), VERBS[name]
    for table in TABLES:
        world.unguard(table)
    if is_placed:
        await place_entries(world, is_searchable=True)
    verb.put(world, verb.ended)
    made = await world.attempt(verb.do(world))
    again = await world.attempt(verb.do(world))

    assert (made.error, made.entry["type"], made.entry["decision"]) == (None, verb.event, "permitted")
    assert (type(again.error), again.entry["decision"]) in {(ConflictError, "refused"), (NotFoundError, "refused")}
    assert await held(world) == []

    await time_passes(world)
    verb.put_back(world)
    assert await reads(world, report)  # until the jobs look
    assert len(await held(world)) == 1
    assert await reads(world, report) is (name == "retire")
    assert name != "retire" or verb.stands(world) is not None
    assert await held(world) == []


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("name", ENDED)
async def test_right_that_was_taken_away_is_so_once(make_lived: MakeLived, name: str, *, is_placed: bool) -> None:
    world, verb = (await make_lived(with_operator))[0], ENDED[name]
    await verb.do(world)
    if is_placed:
        await place_entries(world, is_searchable=True)
    again = await world.attempt(verb.do(world))

    assert isinstance(again.error, ConflictError | NotFoundError)
    assert (again.entry["type"], again.entry["decision"]) == (verb.event, "refused")


@pytest.mark.parametrize("name", ENDED)
async def test_right_is_taken_away_a_second_time_while_the_log_is_away_but_nobody_leaves_later(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    world, verb = (await make_lived(with_operator))[0], ENDED[name]
    await verb.do(world)
    await place_entries(world, is_searchable=True)
    before = verb.stands(world)

    async def away(*_: object) -> list[bytes]:
        raise BlobsAwayError("the archive is away")

    monkeypatch.setattr(type(world.services.store.log), "whole_at", away)
    again = await world.attempt(verb.do(world))

    assert verb.stands(world) == before
    assert again.entry["decision"] == ("refused" if name == "leave" else "permitted")


@pytest.mark.parametrize(
    ("name", "is_done"),
    [
        *(("suspend unsigned part", True), ("suspend part of a draft", True), ("suspend part that all left", True)),
        *(("leave what all left", True), ("leave", False), ("suspend part of who left", False)),
        ("suspend part, its signature undone", False),
    ],
)
async def test_part_is_suspended_or_left_in_doubt_by_who_has_signed_and_not_left_as_its_row_says(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, name: str, *, is_done: bool
) -> None:
    world, verb = (await make_lived(with_operator))[0], VERBS[name]
    for table in TABLES:
        world.unguard(table)
    verb.put(world, verb.ended)
    monkeypatch.setattr(taken_away_again, "require_readable", unreadable)
    made = await world.attempt(verb.do(world))

    assert made.entry["decision"] == ("permitted" if is_done else "refused")


@pytest.mark.parametrize("do", [suspend_part, leave])
@pytest.mark.parametrize(("gone", "days"), [(("GBR", "DNK"), 90), (("NOR",), 90), ((), 5 * 365)])
async def test_nobody_suspends_or_leaves_what_has_ended_as_the_log_tells(
    make_lived: MakeLived, do: Callable[[World], Awaitable[Any]], gone: tuple[str, ...], days: int
) -> None:
    world = (await make_lived(with_operator))[0]
    for member in gone:
        other = world.call(f"{member} signatory")
        await usecases.withdraw_agreement(world.services, other, world.agreement_id)
    world.clock.advance(timedelta(days=days))
    made = await world.attempt(do(world))

    assert (type(made.error), made.entry["decision"]) == (ConflictError, "refused")


@pytest.mark.parametrize("name", ["leave", "leave as who left"])
async def test_who_alone_its_row_says_has_left_leaves_when_its_notice_has_passed(
    make_lived: MakeLived, name: str
) -> None:
    world, verb = (await make_lived(with_operator))[0], VERBS[name]
    for table in TABLES:
        world.unguard(table)
    verb.put(world, verb.ended)
    made = await world.attempt(verb.do(world))
    party = made.value.value.agreement.party("NOR")

    assert party.leaves_at > world.clock.now
    assert made.entry["detail"]["leaves_at"] == rfc3339(party.leaves_at)
    assert party.state.value == "suspended"


@pytest.mark.parametrize(("alone", "signed"), [("signed_at = NULL", ()), ("leaves_at = NULL", ("NOR",))])
async def test_draft_that_a_row_alone_took_back_is_taken_back_and_concluded_by_nobody(
    populated: World, alone: str, signed: tuple[str, ...]
) -> None:
    agreement = await populated.agree(signatories=signed)
    populated.unguard("agreement_party")
    populated.sql(f"UPDATE agreement_party SET state = 'withdrawn', {alone} WHERE agreement_id = $1", agreement)
    made = await leave(populated)
    populated.sql("UPDATE agreement_party SET state = 'pending' WHERE agreement_id = $1 AND member <> 'NOR'", agreement)

    assert (made.value.state.value, made.value.agreement.party("NOR").leaves_at) == ("withdrawn", None)
    with pytest.raises(ConflictError, match="the agreement is withdrawn"):
        await sign_by_call(populated.services, populated.call("GBR signatory"), agreement)


@pytest.mark.parametrize("lost", ["signature", "text", "entry"])
async def test_who_leaves_what_its_rows_alone_say_is_a_draft_leaves_by_notice_and_ends_it_for_nobody(
    make_lived: MakeLived, lost: str
) -> None:
    world = (await make_lived(with_operator))[0]
    for table in ("agreement", "agreement_signature"):
        world.unguard(table)
    if lost == "text":
        world.sql("UPDATE agreement SET terms = replace(terms, 'North', 'South')")
    else:
        world.sql("DELETE FROM agreement_signature WHERE member = 'GBR'")
    if lost == "entry":
        await usecases.suspend_agreement(world.services, world.call("DNK signatory"), world.agreement_id)
        (entry,) = [each["id"] for each in await world.entries() if each["type"] == "agreement.suspended"]
        await place_entries(world, is_searchable=True)
        world.unguard()
        world.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", b"x", entry)
    made, again = await world.attempt(leave(world)), await world.attempt(leave(world))
    rows = world.sql(f"SELECT state, leaves_at FROM agreement_party WHERE {IN_AGREEMENT}")

    assert [(state == "withdrawn", leaves_at > to_micros(world.clock.now)) for state, leaves_at in rows] == [
        (False, True)
    ]
    assert made.entry["detail"]["leaves_at"] == rfc3339(from_micros(rows[0][1]))
    assert (type(again.error), again.entry["decision"]) == (ConflictError, "refused")


async def test_notice_is_not_lost_where_a_part_is_suspended_whose_row_alone_said_so(make_lived: MakeLived) -> None:
    world, verb = (await make_lived(with_operator))[0], VERBS["suspend part"]
    left = (await leave(world)).value.agreement.party("NOR").leaves_at
    for table in TABLES:
        world.unguard(table)
    verb.put(world, verb.ended)
    made = (await suspend_part(world)).value.agreement.party("NOR")

    assert (made.state.value, made.leaves_at) == ("suspended", left)


async def test_right_that_was_given_back_and_taken_away_by_hand_is_taken_away(make_lived: MakeLived) -> None:
    world = (await make_lived(with_operator))[0]
    for table in TABLES:
        world.unguard(table)
    await suspend(world)
    await stand(world, Standing.ACTIVE)
    await suspend_part(world)
    await usecases.resume_agreement(world.services, world.call(SIGNATORY), world.agreement_id)
    for verb in (VERBS["suspend"], VERBS["suspend part"]):
        verb.put(world, verb.ended)
        made = await world.attempt(verb.do(world))

        assert (made.error, made.entry["decision"]) == (None, "permitted")


@pytest.mark.parametrize("name", ["resume", "resume member", "resume part"])
async def test_what_widens_is_refused_as_ever_where_a_row_alone_says_that_it_is_so(
    make_lived: MakeLived, name: str
) -> None:
    world = (await make_lived(with_operator))[0]
    acts: dict[str, Callable[[], Awaitable[Any]]] = {
        "resume": lambda: stand(world, Standing.ACTIVE),
        "resume member": lambda: usecases.resume_member(world.services, world.call(None), "NOR"),
        "resume part": lambda: usecases.resume_agreement(world.services, world.call(SIGNATORY), world.agreement_id),
    }
    made = await world.attempt(acts[name]())

    assert isinstance(made.error, ConflictError)
    assert made.entry["decision"] == "refused"


async def test_client_that_the_log_says_was_revoked_is_suspended_no_more(make_lived: MakeLived) -> None:
    world = (await make_lived(with_operator))[0]
    world.unguard("client")
    await revoke(world)
    VERBS["suspend"].put(world, "suspended")
    made = await world.attempt(suspend(world))

    assert isinstance(made.error, ConflictError)


async def test_part_is_suspended_while_signatures_are_gone_and_all_resume_once_they_are_back(
    make_lived: MakeLived,
) -> None:
    world, report = await make_lived(with_operator)
    put_back = kept_rows(world, {"agreement_signature": ("text", "member")})
    world.unguard("agreement_signature")
    world.sql("DELETE FROM agreement_signature")
    made = await suspend_part(world)
    put_back()

    assert made.value.state.value == "draft"
    assert not await reads(world, report)
    for member in ("NOR", "GBR"):
        await usecases.resume_agreement(world.services, world.call(f"{member} signatory"), world.agreement_id)
    assert await reads(world, report)
