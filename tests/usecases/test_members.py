"""Members: who adds, sees, suspends and resumes them, and what stays on the record."""

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError
from exchange.members import Standing
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import MEMBERS, World


async def test_host_adds_a_member_and_the_entry_names_it(world: World) -> None:
    added = await world.attempt(usecases.add_member(world.services, world.call(None), "FIN", "Finland"))

    assert (added.value.value.code, added.value.value.version, added.value.value.standing) == (
        "FIN",
        1,
        Standing.ACTIVE,
    )
    assert added.entry["id"] == added.value.receipt.entry
    assert (added.entry["type"], added.entry["decision"], added.entry["owner"]) == ("member.added", "permitted", "FIN")
    assert added.entry["actor"] == {"kind": "host"}
    assert added.entry["object"] == {"type": "member", "id": "FIN", "version": 1}


async def test_operator_of_the_exchange_adds_a_member(populated: World) -> None:
    added = await populated.attempt(
        usecases.add_member(populated.services, populated.call("operator"), "FIN", "Finland")
    )

    assert added.entry["actor"]["id"] == populated.clients["operator"].id


async def test_operator_of_a_member_adds_no_other_member(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    refused = await populated.attempt(
        usecases.add_member(populated.services, populated.call("GBR operator"), "FIN", "Finland")
    )

    assert isinstance(refused.error, ForbiddenError)
    assert (refused.entry["decision"], refused.entry["reasons"]) == ("refused", ["role-missing"])
    assert refused.error.receipt.entry == refused.entry["id"]
    assert "FIN" not in [member.code for member in await populated.services.store.members()]


async def test_member_with_a_wrong_code_or_name_is_refused_with_every_fault(
    world: World, subtests: pytest.Subtests
) -> None:
    for code, name, codes in (
        ("XXX", "Nowhere", ["unknown-code"]),
        ("gbr", "Lower case", ["bad-code"]),
        ("GBR\x00", "With NUL", ["bad-code"]),
        ("ＧＢＲ", "Full width", ["bad-code"]),
        ("FIN", "Fin\u200bland", ["bad-name"]),
        ("FIN", "", ["bad-name"]),
        ("", "", ["bad-code", "bad-name"]),
    ):
        refused = await world.attempt(usecases.add_member(world.services, world.call(None), code, name))

        with subtests.test(code=code, name=name):
            assert isinstance(refused.error, InvalidError)
            assert [fault.code for fault in refused.error.faults] == codes
            assert (refused.entry["type"], refused.entry["decision"]) == ("member.added", "refused")
            assert refused.entry["detail"] == {"codes": codes}
            assert refused.error.receipt.entry == refused.entry["id"]
    assert len(await world.services.store.members()) == len(MEMBERS)


async def test_member_is_added_once(world: World) -> None:
    refused = await world.attempt(usecases.add_member(world.services, world.call(None), "GBR", "Once more"))

    assert isinstance(refused.error, ConflictError)
    assert refused.entry["detail"] == {"codes": ["conflict"]}
    assert [member.name for member in await world.services.store.members() if member.code == "GBR"] == [
        "United Kingdom"
    ]


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (None, sorted(MEMBERS)),
        ("operator", sorted(MEMBERS)),
        ("auditor", ["EXCHANGE"]),
        ("GBR reader", ["GBR"]),
        ("ESP signatory", ["ESP"]),
    ],
)
@IN_ONE_WORLD
async def test_every_member_sees_itself_only(unchanged: World, caller: str | None, seen: list[str]) -> None:
    listed = await unchanged.attempt(usecases.list_members(unchanged.services, unchanged.call(caller)))

    assert [member.code for member in listed.value.value] == seen
    assert (listed.entry["type"], listed.entry["decision"]) == ("member.listed", "permitted")


async def test_suspended_member_has_no_active_client_from_the_next_call_on(populated: World) -> None:
    services = populated.services
    await usecases.describe_caller(services, populated.call("NOR reader"))
    suspended = await populated.attempt(usecases.suspend_member(services, populated.call(None), "NOR"))
    refused = await populated.attempt(usecases.describe_caller(services, populated.call("NOR reader")))

    assert (suspended.value.value.version, suspended.value.value.standing) == (2, Standing.SUSPENDED)
    assert suspended.entry["detail"] == {"standing": "suspended"}
    assert isinstance(refused.error, ForbiddenError)
    assert refused.error.code == "client-suspended"
    assert (refused.entry["reasons"], refused.entry["detail"]) == (["client-suspended"], {"inactive": "member"})


async def test_resumed_member_acts_again(populated: World) -> None:
    services = populated.services
    await usecases.suspend_member(services, populated.call(None), "NOR")
    resumed = await populated.attempt(usecases.resume_member(services, populated.call(None), "NOR"))

    assert (resumed.value.value.version, resumed.value.value.standing) == (3, Standing.ACTIVE)
    assert resumed.entry["type"] == "member.resumed"
    assert (await usecases.describe_caller(services, populated.call("NOR reader"))).value.name == "NOR reader"


async def test_member_that_is_none_cannot_be_suspended(world: World, subtests: pytest.Subtests) -> None:
    for code in ("FIN", "nor", "NOR\x00", "NOR'--", "\ud800"):
        refused = await world.attempt(usecases.suspend_member(world.services, world.call(None), code))

        with subtests.test(code=code):
            assert isinstance(refused.error, NotFoundError)
            assert (refused.entry["type"], refused.entry["decision"]) == ("member.suspended", "refused")


async def test_suspension_of_a_suspended_member_conflicts(world: World) -> None:
    await usecases.suspend_member(world.services, world.call(None), "NOR")
    refused = await world.attempt(usecases.suspend_member(world.services, world.call(None), "NOR"))

    assert isinstance(refused.error, ConflictError)
    assert refused.entry["decision"] == "refused"


async def test_operator_of_a_member_suspends_no_other_member(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    refused = await populated.attempt(
        usecases.suspend_member(populated.services, populated.call("GBR operator"), "NOR")
    )

    assert isinstance(refused.error, ForbiddenError)
    assert refused.entry["reasons"] == ["role-missing"]
    assert all(member.standing is Standing.ACTIVE for member in await populated.services.store.members())


async def test_suspension_on_one_node_stands_on_another(world: World) -> None:
    async with world.another_node() as second:
        await usecases.suspend_member(world.services, world.call(None), "NOR")
        refused = await world.attempt(usecases.suspend_member(second, world.call(None), "NOR"))

    assert isinstance(refused.error, ConflictError)
