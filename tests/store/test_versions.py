"""Members, clients and agreements keep every version, and have one current one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.agreements import Party, PartyState, SignatoryKey, TextSignature, sign_text, text_of
from exchange.kernel import ConflictError, NotFoundError
from exchange.members import Member, Standing
from exchange.store import Store
from exchange.store.tables.main_tables import table
from tests.support.store import NOW, agreement, certificate, client, draft, enrol, member, open_store, rows_of
from tests.support.treaty import signing_key

THUMBPRINT = "a" * 64


def signature_of(signed, member) -> TextSignature:
    text, key = text_of(signed), signing_key("signatory")
    return TextSignature(
        text.digest,
        member,
        "signatory",
        key.verifying_key,
        sign_text(text, key, member=member, signatory="signatory"),
        NOW,
    )


def enrolled_key(signature: TextSignature) -> SignatoryKey:
    return SignatoryKey(signature.key, "signatory", signature.member, NOW, None, "entry")


async def test_client_comes_back_as_it_went_in(store: Store) -> None:
    enrolled = client(nationality="NOR", purposes=("law-enforcement",))
    await enrol(store, enrolled, THUMBPRINT)

    assert (await store.caller(THUMBPRINT)).client == enrolled
    assert await store.clients() == [enrolled]
    async with store.unit_of_work() as unit:
        assert await unit.client(enrolled.id) == enrolled
        assert await unit.certificates(enrolled.id) == [THUMBPRINT]


async def test_clearance_without_end_comes_back_without_end(store: Store) -> None:
    enrolled = client()
    enrolled = replace(enrolled, clearance=replace(enrolled.clearance, until=None, compartments=()))
    await enrol(store, enrolled, THUMBPRINT)

    assert (await store.caller(THUMBPRINT)).client == enrolled


async def test_next_version_replaces_the_client_and_keeps_the_old_one(store: Store) -> None:
    first = client()
    await enrol(store, first, THUMBPRINT)
    second = replace(first, version=2, standing=Standing.SUSPENDED)
    async with store.unit_of_work() as unit:
        await unit.put_client(second)
        await unit.record(draft())

    assert (await store.caller(THUMBPRINT)).client == second
    kept = await rows_of(store, "SELECT version, standing, superseded_at IS NULL FROM client ORDER BY version")
    assert [tuple(row) for row in kept] == [(1, "active", False), (2, "suspended", True)]


async def test_suspended_member_suspends_its_clients_from_the_next_call(store: Store) -> None:
    enrolled = client()
    await enrol(store, enrolled, THUMBPRINT)
    assert (await store.caller(THUMBPRINT)).client == enrolled
    async with store.unit_of_work() as unit:
        await unit.put_member(member(version=2, standing=Standing.SUSPENDED))
        await unit.record(draft())

    seen = (await store.caller(THUMBPRINT)).client
    assert seen is not None
    assert not seen.is_active
    assert (await store.members())[0].standing is Standing.SUSPENDED


async def test_agreement_comes_back_as_it_went_in_and_keeps_its_proposer(store: Store) -> None:
    first = agreement()
    first = replace(first, parties=tuple(Party(party.member, PartyState.PENDING) for party in first.parties))
    member = first.parties[1].member
    given = signature_of(first, member)
    second = replace(first, version=2, parties=(first.parties[0], Party(member, PartyState.SIGNED, NOW, given)))
    unsigned = replace(
        second, version=3, parties=(Party(first.parties[0].member, PartyState.SIGNED, NOW), *second.parties[1:])
    )
    async with store.unit_of_work() as unit:
        await unit.add_agreement(first, "proposer")
        await unit.record(draft())
        assert await unit.agreements().one(first.id, for_update=True) == first
    async with store.unit_of_work() as unit:
        await unit.signatory_keys().add(enrolled_key(given))
        await unit.signatory_keys().add_signature(first.id, given)
        await unit.put_agreement(second)
        await unit.record(draft())

    assert await store.agreement(first.id) == second
    assert await store.agreements() == [second]
    async with store.unit_of_work() as unit:
        assert await unit.agreements().all() == [second]
    kept = await rows_of(store, "SELECT version, proposed_by FROM agreement ORDER BY version")
    assert [tuple(row) for row in kept] == [(1, "proposer"), (2, "proposer")]
    async with store.unit_of_work() as unit:
        await unit.put_agreement(unsigned)
        await unit.record(draft())
    # Who stands as signed without a signature has not signed.
    proven = await store.agreement(first.id)
    assert proven is not None
    assert proven.parties[0] == Party(first.parties[0].member, PartyState.PENDING)
    assert proven.parties[1] == second.parties[1]


async def test_what_is_absent_is_none(store: Store) -> None:
    assert await store.agreement("absent") is None
    async with store.unit_of_work() as unit:
        assert await unit.member("GBR") is None
        assert await unit.client("absent") is None
        assert await unit.agreements().one("absent") is None
        assert await unit.certificates("absent") == []


@pytest.mark.parametrize("version", [1, 3])
async def test_version_out_of_turn_is_refused(store: Store, version: int) -> None:
    enrolled, agreed = client(), agreement()
    await enrol(store, enrolled, THUMBPRINT)
    async with store.unit_of_work() as unit:
        await unit.add_agreement(agreed, None)
        await unit.record(draft())

    for put in (
        lambda unit: unit.put_client(replace(enrolled, version=version)),
        lambda unit: unit.put_member(member(version=version)),
        lambda unit: unit.put_agreement(replace(agreed, version=version)),
    ):
        async with store.unit_of_work() as unit:
            with pytest.raises(ConflictError, match="somebody else changed it"):
                await put(unit)


async def test_second_member_of_one_code_is_refused(store: Store) -> None:
    await enrol(store, client(), THUMBPRINT)

    with pytest.raises(ConflictError):
        await add_and_record(store, member())


async def add_and_record(store: Store, added: Member) -> None:
    async with store.unit_of_work() as unit:
        await unit.add_member(added)
        await unit.record(draft())


@pytest.mark.parametrize("name", ["member", "client", "agreement"])
async def test_database_itself_refuses_two_current_versions(store: Store, name: str) -> None:
    columns = [column.name for column in table(name).c if column.name != "version"]
    await enrol(store, client(), THUMBPRINT)
    async with store.unit_of_work() as unit:
        await unit.add_agreement(agreement(), None)
        await unit.record(draft())
    listed = ", ".join(columns)

    with pytest.raises(ConflictError):
        await rows_of(store, f"INSERT INTO {name} (version, {listed}) SELECT 9, {listed} FROM {name}")


async def test_clients_are_listed_by_member_and_in_pages(store: Store) -> None:
    mine = sorted([client() for _ in range(3)], key=lambda each: each.id)
    other = client(member="NOR", agency="NOR/NSM")
    for number, each in enumerate([*mine, other]):
        await enrol(store, each, f"{number}" * 64)

    async with store.unit_of_work() as unit:
        assert await unit.clients(member="GBR") == mine
        assert await unit.clients(member="GBR", after=mine[0].id, limit=1) == [mine[1]]
        assert len(await unit.clients()) == 4
        assert [each.code for each in await unit.members()] == ["GBR", "NOR"]


async def test_two_nodes_changing_one_client_lose_no_change(store: Store, store_url: str) -> None:
    enrolled = client()
    await enrol(store, enrolled, THUMBPRINT)
    other = await open_store(store_url)
    try:
        async with other.unit_of_work() as unit:
            await unit.put_client(replace(enrolled, version=2, name="desk-2"))
            await unit.record(draft())
        async with store.unit_of_work() as unit:
            with pytest.raises(ConflictError):
                await unit.put_client(replace(enrolled, version=2, name="desk-3"))
    finally:
        await other.close()

    seen = (await store.caller(THUMBPRINT)).client
    assert seen is not None
    assert seen.name == "desk-2"


async def test_removed_certificate_is_nobody_from_the_next_call_and_for_ever(store: Store) -> None:
    enrolled = client()
    await enrol(store, enrolled, THUMBPRINT)
    async with store.unit_of_work() as unit:
        await unit.add_certificate(enrolled.id, certificate("b" * 64, NOW + timedelta(days=9)))
        await unit.remove_certificate(enrolled.id, THUMBPRINT)
        await unit.record(draft())

    assert (await store.caller(THUMBPRINT)).client is None
    assert (await store.caller("b" * 64)).client == enrolled
    async with store.unit_of_work() as unit:
        with pytest.raises(ConflictError, match="is enrolled, or was"):
            await unit.add_certificate(enrolled.id, certificate(THUMBPRINT, NOW))


async def test_third_certificate_is_refused(store: Store) -> None:
    enrolled = client()
    await enrol(store, enrolled, THUMBPRINT)

    async with store.unit_of_work() as unit:
        await unit.add_certificate(enrolled.id, certificate("b" * 64, NOW))
        with pytest.raises(ConflictError, match="2 certificates"):
            await unit.add_certificate(enrolled.id, certificate("c" * 64, NOW))
        await unit.record(draft())


async def test_certificate_of_nobody_is_refused(store: Store) -> None:
    async with store.unit_of_work() as unit:
        with pytest.raises(NotFoundError):
            await unit.add_certificate("absent", certificate(THUMBPRINT, NOW))
        with pytest.raises(NotFoundError):
            await unit.remove_certificate("absent", THUMBPRINT)
        await unit.record(draft())
