"""Amendments that somebody wrote into the database, or altered there: a row alone lays no text before anybody."""

from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import Agreement, AgreementState, amended, sign_text, text_of
from exchange.audit import EventName
from exchange.kernel import ConflictError, NotFoundError, UnavailableError, to_micros
from exchange.members import Client
from exchange.usecases.agreements import texts_told
from exchange.usecases.agreements.texts_told import TextsTold
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.treaty import sign_by_call, signing_key
from tests.support.world import AGREEMENT, World
from tests.usecases.test_amending import ACCEDED, RAISED, proposed, signs, takes_back
from tests.usecases.test_rows_held import held

WRITTEN = {
    "in another's name": "UPDATE agreement_amendment SET proposed_by = $1",
    "of another number": "UPDATE agreement_amendment SET number = 2",
}


async def acceding(world: World) -> usecases.AmendmentView:
    return await proposed(world, ACCEDED)


async def shown(world: World, name: str) -> tuple[list[int], int]:
    call = world.call(f"{name} signatory")
    made = await usecases.list_amendments(world.services, call, world.agreement_id)
    return [each.amendment.number for each in made.value], made.unopened


@pytest.mark.parametrize("is_placed", [False, True])
async def test_amendment_that_no_entry_tells_of_is_shown_to_nobody_and_on_record(
    make_lived: MakeLived, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    world, view = await make_lived(acceding)
    if is_placed:
        await place_entries(world, is_searchable=True)
    assert (await shown(world, "NOR"), await shown(world, "ESP")) == (([1], 0), ([1], 0))
    put_back = kept_rows(world, {"agreement_amendment": ("agreement_id", "number")})
    for how, write in WRITTEN.items():
        world.unguard("agreement_amendment")
        world.sql(write, *([world.clients["NOR signatory"].id] if "$1" in write else []))
        call = world.call("NOR signatory")
        made = await world.attempt(usecases.list_amendments(world.services, call, world.agreement_id))
        with subtests.test(how):
            assert ([each.amendment.number for each in made.value.value], made.value.unopened) == ([], 1)
            (recorded,) = [entry for entry in made.entries if entry["type"] == "key.opened"]
            assert recorded["detail"]["place"].startswith("amendment ")
            # Whom nobody asked to accede learns of no agreement, and nobody signs what nobody proposed.
            with pytest.raises(NotFoundError):
                await shown(world, "ESP")
            for act in (signs, takes_back):
                with pytest.raises(ConflictError):
                    await act(world, view, "NOR")
        put_back()

    assert (await shown(world, "NOR"), await shown(world, "ESP")) == (([1], 0), ([1], 0))


async def test_amendment_is_shown_where_the_log_lacks_what_told_of_it(make_lived: MakeLived) -> None:
    world, _ = await make_lived(acceding)
    await place_entries(world, is_searchable=True)
    world.unguard()
    world.sql("DELETE FROM audit_entry WHERE id IN (SELECT id FROM audit_search WHERE event = 'amendment.proposed')")

    assert (await shown(world, "NOR"), await shown(world, "ESP")) == (([1], 0), ([1], 0))


async def test_signature_is_taken_back_and_none_made_while_the_archive_is_away(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, view = await make_lived(acceding)
    for member in ("ESP", "GBR"):
        await signs(world, view, member)
    await takes_back(world, view, "GBR")
    await place_entries(world, is_searchable=True)

    async def away(*_: object) -> None:
        raise UnavailableError("the archive is away")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.services.store.log, "whole_at", away)
        assert (await takes_back(world, view, "ESP")).value.signed == frozenset()
        with pytest.raises(ConflictError):
            await takes_back(world, view, "GBR")
        assert (await proposed(world, RAISED)).amendment.number == 2
        for name in ("NOR", "ESP"):
            with pytest.raises(UnavailableError):
                await signs(world, view, name)
            with pytest.raises(UnavailableError):
                await shown(world, name)


async def test_nothing_is_signed_while_the_archive_lacks_what_was_taken_back_alone(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, view = await make_lived(acceding)
    told = texts_told.told_until_now

    def away(services: Any, event: EventName, **others: Any) -> Any:
        if event is EventName.AGREEMENT_SIGNATURE_WITHDRAWN:
            raise UnavailableError("the archive is away")
        return told(services, event, **others)

    monkeypatch.setattr(texts_told, "told_until_now", away)
    with pytest.raises(UnavailableError):
        await signs(world, view, "NOR")


async def test_amendment_is_there_for_who_would_accede_while_too_much_waits(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, view = await make_lived(acceding)
    await signs(world, view, "ESP")
    with monkeypatch.context() as patched:
        patched.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
        assert (await takes_back(world, view, "ESP")).value.signed == frozenset()


@pytest.mark.parametrize("is_placed", [False, True])
async def test_signature_whose_row_is_gone_is_taken_back_and_binds_nobody_again(
    make_lived: MakeLived, *, is_placed: bool
) -> None:
    world, view = await make_lived(acceding)
    for member in ("NOR", "ESP"):
        await signs(world, view, member)
    if is_placed:
        await place_entries(world, is_searchable=True)
    put_back = kept_rows(world, {"agreement_signature": ("text", "member")})
    world.unguard("agreement_signature")
    world.sql("DELETE FROM agreement_signature WHERE member = 'NOR' AND text = $1", view.amendment.text)
    assert (await takes_back(world, view, "NOR")).value.signed == {"ESP"}
    with pytest.raises(ConflictError):
        await takes_back(world, view, "DNK")
    put_back()
    for member in ("GBR", "DNK"):
        last = await signs(world, view, member)

    assert last.agreement.edition == 1


def sign_in_rows(world: World, agreement: Agreement, member: str) -> None:
    """Write into the database that `member` has signed, with a key of whoever writes: signature and key are true."""
    client, key = world.clients[f"{member} signatory"], signing_key("of whoever writes")
    text, public, now = text_of(agreement), key.verifying_key, to_micros(world.clock.now)
    made = sign_text(text, key, member=member, signatory=client.id)
    names = ["key_id", "client_id", "member", "ed25519", "ml_dsa_65", "enrolled_at", "entry"]
    values = (public.key_id, client.id, member, public.ed25519.raw, public.ml_dsa_65.raw, now, client.id)
    written(world, "signatory_key", dict(zip(names, values, strict=True)))
    names = ["text", "member", "agreement_id", "signatory", "key_id", "ed25519", "ml_dsa_65", "signed_at"]
    values = (text.digest, member, agreement.id, client.id, public.key_id, made.ed25519, made.ml_dsa_65, now)
    written(world, "agreement_signature", dict(zip(names, values, strict=True)))


def written(world: World, table: str, row: dict[str, Any]) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    world.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def test_nobody_is_bound_by_a_signature_that_no_entry_tells_of(make_lived: MakeLived) -> None:
    world, view = await make_lived(acceding)
    for member in ("NOR", "ESP"):
        await signs(world, view, member)
    sign_in_rows(world, amended(view.agreement, view.amendment.terms, world.clock.now), "GBR")
    last = await world.attempt(signs(world, view, "DNK"))

    assert last.value.agreement.edition == 1
    assert [each["detail"]["place"] for each in last.entries if each["type"] == "key.opened"]
    listed = (await usecases.list_amendments(world.services, world.call("GBR signatory"), world.agreement_id)).value
    assert [each.signed for each in listed] == [{"NOR", "ESP", "DNK"}]


SIGNED_SO = "UPDATE agreement_party SET state = 'signed', signed_at = 1 WHERE agreement_id = $1 AND member = $2"


async def signed_by_two(world: World) -> Agreement:
    text, call = AGREEMENT.replace("P5Y", "P4Y"), world.call("NOR signatory")
    draft = (await usecases.propose_agreement(world.services, call, text)).value.agreement
    for member in ("NOR", "DNK"):
        await sign_by_call(world.services, world.call(f"{member} signatory"), draft.id)
    return draft


async def test_nobody_is_bound_by_a_first_signature_that_no_entry_tells_of(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, text = populated.services, AGREEMENT.replace("P5Y", "P4Y")
    draft = (await usecases.propose_agreement(services, populated.call("NOR signatory"), text)).value.agreement
    sign_in_rows(populated, draft, "DNK")
    populated.sql(SIGNED_SO, draft.id, "DNK")
    ask = TextsTold.ask

    async def asked(log: TextsTold, client: Client) -> None:
        await ask(log, client)
        if client.member == "GBR":
            # Who truly signs once the log was asked counts all the same.
            await sign_by_call(services, populated.call("NOR signatory"), draft.id)

    monkeypatch.setattr(TextsTold, "ask", asked)
    last = (await sign_by_call(services, populated.call("GBR signatory"), draft.id)).value

    assert last.state is AgreementState.DRAFT
    assert {each.member: each.state.value for each in last.agreement.parties} == {
        "GBR": "signed",
        "NOR": "signed",
        "DNK": "pending",
    }
    with pytest.raises(ConflictError, match="proposed anew"):
        await sign_by_call(services, populated.call("DNK signatory"), draft.id)


@pytest.mark.parametrize(("state", "suspended"), [("signed", ["DNK", "GBR", "NOR"]), ("suspended", ["DNK", "NOR"])])
async def test_nobody_takes_part_under_a_text_that_is_signed_by_rows_alone(
    make_lived: MakeLived, state: str, suspended: list[str]
) -> None:
    world, draft = await make_lived(signed_by_two)
    sign_in_rows(world, draft, "GBR")
    world.sql(SIGNED_SO.replace("'signed'", f"'{state}'"), draft.id, "GBR")

    async def standing() -> list[str]:
        shown = (await usecases.show_agreement(world.services, world.call(None), draft.id)).value
        return [shown.state.value, *(party.state.value for party in shown.agreement.parties)]

    assert await standing() == ["in_force", state, "signed", "signed"]
    world.clock.advance(timedelta(hours=1))
    await usecases.list_clients(world.services, world.call(None))
    (detail,) = [entry["detail"] for entry in await held(world) if entry["object"]["type"] == "agreement"]
    assert (detail["done"], detail["parties"]) == ("suspended", suspended)
    assert await standing() == ["suspended", "suspended", "suspended", "suspended"]
