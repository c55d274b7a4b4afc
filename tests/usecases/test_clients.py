"""Clients: enrolment with every fault at once, clearances, revocation, certificates."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import usecases
from exchange.audit.certificates_told import detail_of, mark_of
from exchange.crypto import issue_client, new_authority, read_certificate
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    ForbiddenError,
    InvalidError,
    MalformedError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
    new_id,
)
from exchange.members import Clearance, Role, Standing
from exchange.store.reads.authority_files import AuthorityFiles, file_name
from exchange.usecases import ClearanceChange, Enrolment
from exchange.usecases.members import clients
from exchange.usecases.members.vouching import authority_fault
from exchange.usecases.steps.positions import seal_position
from tests.support.lived import IN_ONE_WORLD
from tests.support.meanwhile import at_once
from tests.support.placing import place_entries
from tests.support.world import NOW, World, certificate_of, public_key_of, thumbprint_of

ENROLMENT = Enrolment(
    name="sensor-7",
    member="GBR",
    agency="NCSC",
    roles=("reader", "contributor"),
    level="SECRET",
    certificate=certificate_of("sensor-7"),
    compartments=("ATOMAL",),
    until=NOW + timedelta(days=90),
    purposes=("defence", "judicial"),
)
ABSENT = new_id(NOW, bytes)
NO_IDS = [ABSENT, "", "1", "\x00", ABSENT.upper(), f"{ABSENT} ", "\ud800"]


async def test_enrolled_client_is_as_asked_for_and_in_its_member_s_slice(world: World) -> None:
    made = await world.attempt(usecases.enrol_client(world.services, world.call(None), ENROLMENT))

    client = made.value.value.client
    assert client.roles == {Role.READER, Role.CONTRIBUTOR}
    assert client.clearance == Clearance("SECRET", ("ATOMAL",), NOW, NOW + timedelta(days=90))
    assert (client.nationality, client.purposes, client.version) == ("GBR", ("defence", "judicial"), 1)
    assert (await world.services.store.caller(thumbprint_of("sensor-7"))).client == client
    assert (made.entry["type"], made.entry["decision"], made.entry["owner"]) == ("client.enrolled", "permitted", "GBR")
    assert made.entry["object"] == {"type": "client", "id": client.id, "version": 1}
    ((blind,),) = world.sql("SELECT blind FROM client_certificate")
    certificate = ENROLMENT.certificate
    assert made.entry["detail"] == {
        **detail_of([mark_of(client.id, certificate.thumbprint, certificate.public_key, blind)]),
        "standing": "active",
        "roles": ["contributor", "reader"],
        "level": "SECRET",
        "compartments": ["ATOMAL"],
        "agency": ENROLMENT.agency,
        "nationality": "GBR",
        "purposes": ["defence", "judicial"],
        "until": "2026-08-30T12:00:00Z",
    }


FAULTS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"name": ""}, [("/name", "bad-name")]),
    ({"name": "sens\u202eor"}, [("/name", "bad-name")]),
    ({"agency": "A/B"}, [("/agency", "bad-agency")]),
    ({"member": "FIN"}, [("/member", "unknown-member")]),
    ({"member": "GBR\x00"}, [("/member", "unknown-member"), ("/nationality", "unknown-code")]),
    ({"roles": ()}, [("/roles", "empty")]),
    ({"roles": ("superuser",)}, [("/roles/0", "unknown-role")]),
    ({"roles": ("operator", "reader")}, [("/roles", "roles-apart")]),
    ({"roles": ("auditor", "contributor")}, [("/roles", "roles-apart")]),
    ({"roles": ("operator", "releaser")}, [("/roles", "roles-apart")]),
    ({"level": "secret"}, [("/clearance/level", "unknown-level")]),
    ({"level": "ULTRA"}, [("/clearance/level", "unknown-level")]),
    ({"compartments": ("ATOMAL", "NOSUCH")}, [("/clearance/compartments", "unknown-compartment")]),
    ({"nationality": "XXX"}, [("/nationality", "unknown-code")]),
    ({"purposes": ("curiosity",)}, [("/purposes/0", "unknown-purpose")]),
    ({"purposes": ("defence", "defence")}, [("/purposes/1", "repeated")]),
    (
        {"certificate": replace(certificate_of("old"), not_after=NOW)},
        [("/certificate", "certificate-expired")],
    ),
    (
        {"certificate": replace(certificate_of("authority"), is_authority=True)},
        [("/certificate", "authority-certificate")],
    ),
    (
        {
            "name": "",
            "agency": "",
            "roles": (),
            "level": "ULTRA",
            "purposes": ("x",),
            "nationality": "x",
            "member": "FIN",
        },
        [
            ("/member", "unknown-member"),
            ("/name", "bad-name"),
            ("/agency", "bad-agency"),
            ("/roles", "empty"),
            ("/purposes/0", "unknown-purpose"),
            ("/nationality", "unknown-code"),
            ("/clearance/level", "unknown-level"),
        ],
    ),
]


async def test_enrolment_names_every_fault_and_writes_nothing(world: World, subtests: pytest.Subtests) -> None:
    for changes, faults in FAULTS:
        enrolled = usecases.enrol_client(world.services, world.call(None), replace(ENROLMENT, **changes))
        made = await world.attempt(enrolled)

        with subtests.test(changes=changes):
            assert isinstance(made.error, InvalidError)
            assert [(fault.pointer, fault.code) for fault in made.error.faults] == faults
            assert (made.entry["type"], made.entry["decision"]) == ("client.enrolled", "refused")
            assert made.entry["detail"] == {"codes": list(dict.fromkeys(code for _, code in faults))}
    assert await world.services.store.clients() == []


async def test_suspended_member_gets_no_new_client(world: World) -> None:
    await usecases.suspend_member(world.services, world.call(None), "GBR")
    made = await world.attempt(usecases.enrol_client(world.services, world.call(None), ENROLMENT))

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == ["member-suspended"]


@pytest.mark.parametrize(
    ("member", "nationality", "expected"),
    [("GBR", None, "GBR"), ("GBR", "NOR", "NOR"), ("EXCHANGE", None, "EXCHANGE"), ("EXCHANGE", "DNK", "DNK")],
)
async def test_nationality_is_the_one_given_or_the_member_s(
    world: World, member: str, nationality: str | None, expected: str
) -> None:
    enrolment = replace(ENROLMENT, member=member, nationality=nationality)
    made = await usecases.enrol_client(world.services, world.call(None), enrolment)

    assert made.value.client.nationality == expected


async def test_past_end_of_a_clearance_is_taken(world: World) -> None:
    enrolment = replace(ENROLMENT, until=NOW - timedelta(days=1))
    made = await usecases.enrol_client(world.services, world.call(None), enrolment)

    assert not made.value.client.clearance.is_current(NOW)


async def test_certificate_names_one_client_for_ever(world: World) -> None:
    first = (await usecases.enrol_client(world.services, world.call(None), ENROLMENT)).value.client
    again = replace(ENROLMENT, name="another", member="NOR")
    made = await world.attempt(usecases.enrol_client(world.services, world.call(None), again))
    assert isinstance(made.error, ConflictError)
    assert (made.entry["decision"], made.entry["detail"]) == ("refused", {"codes": ["conflict"]})

    await usecases.remove_certificate(world.services, world.call(None), first.id, thumbprint_of("sensor-7"))
    for act in (
        usecases.enrol_client(world.services, world.call(None), again),
        usecases.add_certificate(world.services, world.call(None), first.id, certificate_of("sensor-7")),
    ):
        assert isinstance((await world.attempt(act)).error, ConflictError)
    assert [client.name for client in await world.services.store.clients()] == ["sensor-7"]


async def test_two_certificates_may_overlap_and_no_third(world: World) -> None:
    services = world.services
    client = (await usecases.enrol_client(services, world.call(None), ENROLMENT)).value.client
    added = await world.attempt(
        usecases.add_certificate(services, world.call(None), client.id, certificate_of("second"))
    )
    third = await world.attempt(
        usecases.add_certificate(services, world.call(None), client.id, certificate_of("third"))
    )

    assert added.entry["type"] == "certificate.added"
    assert added.entry["owner"] == "GBR"
    assert isinstance(third.error, ConflictError)
    assert (third.entry["type"], third.entry["decision"]) == ("certificate.added", "refused")
    assert third.entry["object"] == {"type": "client", "id": client.id}
    for name, found in (("sensor-7", client), ("second", client), ("third", None)):
        assert (await services.store.caller(thumbprint_of(name))).client == found


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"not_after": NOW}, "certificate-expired"), ({"is_authority": True}, "authority-certificate")],
)
async def test_certificate_with_which_nobody_can_come_is_added_to_no_client(
    populated: World, changes: dict[str, Any], code: str
) -> None:
    client, certificate = populated.clients["NOR reader"].id, replace(certificate_of("next"), **changes)
    adding = usecases.add_certificate(populated.services, populated.call(None), client, certificate)
    made = await populated.attempt(adding)

    assert isinstance(made.error, InvalidError)
    assert [(fault.pointer, fault.code) for fault in made.error.faults] == [("/certificate", code)]
    assert (made.entry["type"], made.entry["decision"]) == ("certificate.added", "refused")
    shown = await usecases.show_client(populated.services, populated.call(None), client)
    assert shown.value.thumbprints == (thumbprint_of("NOR reader"),)


async def test_removed_certificate_makes_room_for_its_successor(world: World) -> None:
    services = world.services
    client = (await usecases.enrol_client(services, world.call(None), ENROLMENT)).value.client
    await usecases.add_certificate(services, world.call(None), client.id, certificate_of("second"))
    removed = await world.attempt(
        usecases.remove_certificate(services, world.call(None), client.id, thumbprint_of("sensor-7"))
    )
    await usecases.add_certificate(services, world.call(None), client.id, certificate_of("third"))
    shown = await usecases.show_client(services, world.call(None), client.id)

    assert removed.entry["type"] == "certificate.removed"
    assert sorted(shown.value.thumbprints) == sorted([thumbprint_of("second"), thumbprint_of("third")])


async def test_certificate_that_the_client_does_not_use_cannot_be_removed(
    world: World, subtests: pytest.Subtests
) -> None:
    client = (await usecases.enrol_client(world.services, world.call(None), ENROLMENT)).value.client
    for thumbprint in (thumbprint_of("other"), "", "\x00", "ff ff"):
        made = await world.attempt(usecases.remove_certificate(world.services, world.call(None), client.id, thumbprint))

        with subtests.test(thumbprint=thumbprint):
            assert isinstance(made.error, NotFoundError)
            assert (made.entry["type"], made.entry["decision"]) == ("certificate.removed", "refused")


async def test_clearance_is_replaced_whole_and_the_old_version_kept(world: World) -> None:
    client = (await usecases.enrol_client(world.services, world.call(None), ENROLMENT)).value.client
    world.clock.advance(timedelta(hours=1))
    made = await world.attempt(
        usecases.change_clearance(world.services, world.call(None), client.id, ClearanceChange("RESTRICTED"))
    )

    changed = made.value.value.client
    assert changed.clearance == Clearance("RESTRICTED", (), NOW + timedelta(hours=1), None)
    assert changed.version == 2
    assert (made.entry["type"], made.entry["owner"]) == ("client.changed", "GBR")
    assert made.entry["detail"]["level"] == "RESTRICTED"
    rows = world.sql("SELECT version, level FROM client WHERE id = $1 ORDER BY version", client.id)
    assert rows == [(1, "SECRET"), (2, "RESTRICTED")]


async def test_unknown_level_or_compartment_is_no_clearance(world: World) -> None:
    client = (await usecases.enrol_client(world.services, world.call(None), ENROLMENT)).value.client
    change = ClearanceChange("Secret", ("NOSUCH",))
    made = await world.attempt(usecases.change_clearance(world.services, world.call(None), client.id, change))

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == ["unknown-compartment", "unknown-level"]
    assert made.entry["object"] == {"type": "client", "id": client.id}
    assert (await world.services.store.caller(thumbprint_of("sensor-7"))).client == client


async def test_stale_version_is_refused_and_the_current_one_taken(world: World) -> None:
    client = (await usecases.enrol_client(world.services, world.call(None), ENROLMENT)).value.client
    change = ClearanceChange("RESTRICTED")
    stale = await world.attempt(
        usecases.change_clearance(world.services, world.call(None), client.id, change, if_version=2)
    )
    taken = await usecases.change_clearance(world.services, world.call(None), client.id, change, if_version=1)

    assert isinstance(stale.error, PreconditionError)
    assert stale.entry["detail"] == {"codes": ["precondition-failed"]}
    assert taken.value.client.version == 2


async def test_revocation_is_final(world: World) -> None:
    services, host = world.services, world.call(None)
    client = (await usecases.enrol_client(services, host, ENROLMENT)).value.client
    revoked = await world.attempt(usecases.change_standing(services, host, client.id, Standing.REVOKED))
    assert (revoked.entry["type"], revoked.entry["detail"]["standing"]) == ("client.revoked", "revoked")

    for act in (
        usecases.change_standing(services, host, client.id, Standing.ACTIVE),
        usecases.change_standing(services, host, client.id, Standing.SUSPENDED),
        usecases.change_standing(services, host, client.id, Standing.REVOKED),
        usecases.change_clearance(services, host, client.id, ClearanceChange("SECRET")),
    ):
        made = await world.attempt(act)
        assert isinstance(made.error, ConflictError)
        assert made.entry["decision"] == "refused"


async def test_suspended_client_can_be_resumed(world: World) -> None:
    services, host = world.services, world.call(None)
    client = (await usecases.enrol_client(services, host, ENROLMENT)).value.client
    suspended = await usecases.change_standing(services, host, client.id, Standing.SUSPENDED)
    resumed = await world.attempt(usecases.change_standing(services, host, client.id, Standing.ACTIVE))

    assert suspended.value.client.standing is Standing.SUSPENDED
    assert (resumed.value.value.client.standing, resumed.value.value.client.version) == (Standing.ACTIVE, 3)
    assert resumed.entry["type"] == "client.changed"


async def test_member_s_operator_administers_its_own_clients(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    call = populated.call("GBR operator")
    enrolled = await populated.attempt(usecases.enrol_client(populated.services, call, ENROLMENT))
    revoked = await usecases.change_standing(populated.services, call, enrolled.value.value.client.id, Standing.REVOKED)

    assert enrolled.entry["actor"]["id"] == populated.clients["GBR operator"].id
    assert revoked.value.client.standing is Standing.REVOKED


@pytest.mark.parametrize("placed", [True, False], ids=["with its place in the log", "just now"])
async def test_client_that_the_exchange_stopped_is_not_resumed_by_its_member_s_operator(
    populated: World, *, placed: bool
) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    services, call, host = populated.services, populated.call("GBR operator"), populated.call(None)
    client = populated.clients["GBR contributor"].id
    # What the member stopped itself it resumes, whatever it changed meanwhile.
    await usecases.change_standing(services, call, client, Standing.SUSPENDED)
    await usecases.change_clearance(services, call, client, ClearanceChange("SECRET"))
    await usecases.change_standing(services, call, client, Standing.ACTIVE)
    await usecases.change_standing(services, host, client, Standing.SUSPENDED)
    # Nor by a change of its own behind which the exchange's does not stand first.
    await usecases.change_clearance(services, call, client, ClearanceChange("SECRET"))
    if placed:
        await place_entries(populated, is_searchable=True)

    made = await populated.attempt(usecases.change_standing(services, call, client, Standing.ACTIVE))

    assert isinstance(made.error, ConflictError)
    assert "ask the exchange's operator" in made.error.message
    assert (made.entry["type"], made.entry["decision"]) == ("client.changed", "refused")
    resumed = await usecases.change_standing(services, host, client, Standing.ACTIVE)
    assert resumed.value.client.standing is Standing.ACTIVE


async def test_exchange_takes_over_what_a_member_suspended(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    services, call, host = populated.services, populated.call("GBR operator"), populated.call(None)
    client = populated.clients["GBR contributor"].id
    stopped = await usecases.change_standing(services, call, client, Standing.SUSPENDED)
    with pytest.raises(ConflictError):
        await usecases.change_standing(services, call, client, Standing.SUSPENDED)

    made = await populated.attempt(usecases.change_standing(services, host, client, Standing.SUSPENDED))

    assert (made.entry["type"], made.entry["decision"]) == ("client.changed", "permitted")
    assert made.entry["object"]["version"] == stopped.value.client.version + 1
    with pytest.raises(ConflictError, match="ask the exchange's operator"):
        await usecases.change_standing(services, call, client, Standing.ACTIVE)
    with pytest.raises(ConflictError, match="cannot suspend"):
        await usecases.change_standing(services, host, client, Standing.SUSPENDED)


async def test_client_that_the_exchange_stopped_is_not_resumed_though_the_row_of_its_member_s_stop_was_put_back(
    populated: World,
) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    services, call, host = populated.services, populated.call("GBR operator"), populated.call(None)
    client = populated.clients["GBR contributor"].id
    for who in (call, host):
        await usecases.change_standing(services, who, client, Standing.SUSPENDED)
    populated.sql("DELETE FROM client WHERE id = $1 AND version = 3", client)
    populated.sql("UPDATE client SET superseded_at = NULL WHERE id = $1 AND version = 2", client)
    made = await populated.attempt(usecases.change_standing(services, call, client, Standing.ACTIVE))

    assert isinstance(made.error, ConflictError)
    assert "ask the exchange's operator" in made.error.message


async def test_exchange_narrows_and_revokes_what_a_member_suspended(populated: World) -> None:
    """It takes over a suspension where it suspends, and does what it asked for elsewhere."""
    await populated.enrol("GBR operator", "GBR", "operator")
    services, host, client = populated.services, populated.call(None), populated.clients["GBR contributor"].id
    await usecases.change_standing(services, populated.call("GBR operator"), client, Standing.SUSPENDED)

    narrowed = await usecases.change_clearance(services, host, client, ClearanceChange("RESTRICTED"))
    assert (narrowed.value.client.clearance.level, narrowed.value.client.standing) == ("RESTRICTED", Standing.SUSPENDED)
    revoked = await usecases.change_standing(services, host, client, Standing.REVOKED)
    assert revoked.value.client.standing is Standing.REVOKED


async def test_member_s_operator_enrols_nobody_for_another_member(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    for member in ("NOR", "FIN", "EXCHANGE"):
        enrolment = replace(ENROLMENT, member=member)
        made = await populated.attempt(
            usecases.enrol_client(populated.services, populated.call("GBR operator"), enrolment)
        )

        assert isinstance(made.error, ForbiddenError)
        assert (made.entry["decision"], made.entry["reasons"]) == ("refused", ["role-missing"])


async def test_other_members_clients_are_like_absent_ones_to_an_operator(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    services, call, foreign = populated.services, populated.call("GBR operator"), populated.clients["NOR reader"]
    acts: list[Callable[[str], Awaitable[object]]] = [
        lambda client: usecases.show_client(services, call, client),
        lambda client: usecases.change_clearance(services, call, client, ClearanceChange("SECRET")),
        lambda client: usecases.change_clearance(services, call, client, ClearanceChange("SECRET"), if_version=9),
        lambda client: usecases.change_standing(services, call, client, Standing.REVOKED),
        lambda client: usecases.add_certificate(services, call, client, certificate_of("impostor")),
        lambda client: usecases.remove_certificate(services, call, client, thumbprint_of("NOR reader")),
    ]
    for act in acts:
        hidden, absent = [await populated.attempt(act(client)) for client in (foreign.id, ABSENT)]

        assert isinstance(hidden.error, NotFoundError)
        assert (type(hidden.error), str(hidden.error)) == (type(absent.error), str(absent.error))
        assert hidden.entry["decision"] == "refused"
        assert hidden.entry["object"] == {"type": "client", "id": foreign.id}
    assert (await services.store.caller(thumbprint_of("NOR reader"))).client == foreign


async def test_client_that_is_none_is_not_found_and_odd_ids_stay_off_the_record(
    world: World, subtests: pytest.Subtests
) -> None:
    for client_id in NO_IDS:
        made = await world.attempt(usecases.show_client(world.services, world.call(None), client_id))

        with subtests.test(client_id=client_id):
            assert isinstance(made.error, NotFoundError)
            assert made.entry["object"] == {"type": "client", "id": ABSENT if client_id == ABSENT else "malformed"}


async def test_shown_client_has_its_certificates_and_leaves_an_entry(populated: World) -> None:
    client = populated.clients["NOR reader"]
    made = await populated.attempt(usecases.show_client(populated.services, populated.call("NOR signatory"), client.id))

    assert made.value.value.client == client
    assert made.value.value.thumbprints == (thumbprint_of("NOR reader"),)
    assert made.entry["object"] == {"type": "client", "id": client.id, "version": 1}
    assert made.entry["owner"] == "NOR"


@pytest.mark.parametrize(
    ("caller", "members"),
    [
        (None, {"GBR", "NOR", "DNK", "ESP", "EXCHANGE"}),
        ("operator", {"GBR", "NOR", "DNK", "ESP", "EXCHANGE"}),
        ("auditor", {"EXCHANGE"}),
        ("NOR reader", {"NOR"}),
    ],
)
@IN_ONE_WORLD
async def test_clients_are_listed_to_their_own_member_and_to_operators(
    unchanged: World, caller: str | None, members: set[str]
) -> None:
    listed = await unchanged.attempt(usecases.list_clients(unchanged.services, unchanged.call(caller)))

    assert {view.client.member for view in listed.value.value.views} == members
    assert all(view.thumbprints == (thumbprint_of(view.client.name),) for view in listed.value.value.views)
    assert listed.entry["type"] == "client.listed"


@pytest.mark.parametrize("caller", [None, "operator"])
@IN_ONE_WORLD
async def test_clients_are_listed_in_pages_without_gap_or_repeat(unchanged: World, caller: str | None) -> None:
    found: list[str] = []
    after: str | None = None
    while True:
        page = await usecases.list_clients(unchanged.services, unchanged.call(caller), after=after, limit=5)
        found += [view.client.id for view in page.value.views]
        after = page.value.next
        if after is None:
            break

    assert found == sorted(client.id for client in unchanged.clients.values())


@IN_ONE_WORLD
async def test_place_in_the_list_of_clients_is_its_reader_s_own(unchanged: World) -> None:
    page = await usecases.list_clients(unchanged.services, unchanged.call("operator"), limit=2)
    places = {
        "another's": page.value.next,
        "bare": page.value.views[-1].client.id,
        "another list's": seal_position(unchanged.services, unchanged.clients["NOR reader"], 1),
    }
    for after in places.values():
        made = await unchanged.attempt(
            usecases.list_clients(unchanged.services, unchanged.call("NOR reader"), after=after)
        )

        assert isinstance(made.error, MalformedError)
        assert (made.entry["type"], made.entry["decision"]) == ("client.listed", "refused")


@pytest.mark.parametrize("after", ["", "1", "\x00", ABSENT.upper(), "\ud800"])
@IN_ONE_WORLD
async def test_place_in_the_list_that_is_none_is_malformed_and_recorded(unchanged: World, after: str) -> None:
    made = await unchanged.attempt(usecases.list_clients(unchanged.services, unchanged.call(None), after=after))

    assert isinstance(made.error, MalformedError)
    assert (made.entry["decision"], made.entry["detail"]) == ("refused", {"codes": ["malformed"]})


async def test_of_two_clients_that_are_enrolled_at_once_with_one_key_one_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = replace(certificate_of("sensor-8"), public_key=ENROLMENT.certificate.public_key)
    other = replace(ENROLMENT, name="sensor-8", certificate=certificate)
    first, second = (
        world.attempt(usecases.enrol_client(world.services, world.call(None), each)) for each in (ENROLMENT, other)
    )
    one, late = await at_once(monkeypatch, clients, "_record", first, second)

    assert one.error is None
    assert isinstance(late.error, ConflictError)


async def test_key_of_another_members_client_tells_nothing_and_stands_in_nobodys_way(populated: World) -> None:
    """Keys are public: whose officer is enrolled here, or may still be, is no other member's to find out or prevent."""
    await populated.enrol("NOR operator", "NOR", "operator")

    async def enrolled(operator: str | None, member: str, name: str, key: str) -> ExchangeError | None:
        certificate = replace(certificate_of(name), public_key=public_key_of(key))
        new = replace(ENROLMENT, member=member, name=name, certificate=certificate)
        enrolling = usecases.enrol_client(populated.services, populated.call(operator), new)
        return (await populated.attempt(enrolling)).error

    assert await enrolled("NOR operator", "NOR", "probe", "GBR reader") is None
    assert await enrolled("NOR operator", "NOR", "taken first", "GBR officer") is None
    assert await enrolled(None, "GBR", "GBR officer", "GBR officer") is None
    # Within a member it would make one person two.
    assert isinstance(await enrolled("NOR operator", "NOR", "twin", "GBR reader"), ConflictError)


async def test_second_certificate_is_of_an_authority_of_the_clients_member(populated: World, tmp_path: Path) -> None:
    authorities = {member: new_authority(member, NOW - timedelta(days=1)) for member in ("GBR", "NOR")}
    for member, authority in authorities.items():
        thumbprint = read_certificate(authority.certificate_pem).thumbprint
        (tmp_path / file_name(member, thumbprint)).write_bytes(authority.certificate_pem)
    services = replace(populated.services, authorities=AuthorityFiles(tmp_path))
    given = {
        member: read_certificate(issue_client(each, member, organisation=member, now=NOW, days=30).certificate_pem)
        for member, each in authorities.items()
    }
    reader, host = populated.clients["NOR reader"].id, populated.call(None)

    foreign = await populated.attempt(clients.add_certificate(services, host, reader, given["GBR"]))
    own = await populated.attempt(clients.add_certificate(services, host, reader, given["NOR"]))

    assert isinstance(foreign.error, InvalidError)
    assert [(fault.pointer, fault.code) for fault in foreign.error.faults] == [("/certificate", "foreign-authority")]
    assert foreign.entry["decision"] == "refused"
    assert set(own.value.value.thumbprints) == {thumbprint_of("NOR reader"), given["NOR"].thumbprint}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_authorities_that_cannot_be_read_vouch_for_nobody(
    populated: World, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "other.pem")
    services = replace(populated.services, authorities=AuthorityFiles(tmp_path))
    refused = usecases.enrol_client(services, populated.call(None), ENROLMENT)

    error = (await populated.attempt(refused)).error
    assert isinstance(error, UnavailableError)
    assert "`other.pem` is no file" in error.message


async def test_certificate_of_no_authority_is_taken_on_the_word_of_the_exchange_s_operators_alone(
    populated: World, tmp_path: Path
) -> None:
    services = replace(populated.services, authorities=AuthorityFiles(tmp_path))
    own = await populated.enrol("GBR operator", "GBR", "operator")
    pair = issue_client(new_authority("none", NOW), "desk", organisation="GBR/NCSC", now=NOW)
    given = read_certificate(pair.certificate_pem)
    operators = (None, populated.clients["operator"], own)
    faults = [authority_fault(services, operator, "GBR", given) for operator in operators]

    assert [fault and fault.code for fault in faults] == [None, None, "foreign-authority"]
