"""One mechanism for every act of two persons: asked for, seen, confirmed or ended, each on the record."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ExchangeError, NotFoundError, UnavailableError, canonical_bytes
from exchange.members import ACT_KINDS, PendingAct, Standing
from exchange.usecases import Enrolment, WantedErasure
from exchange.usecases.consents.pending_acts import CARRY_OUT, MAKE_READY
from exchange.usecases.steps import told_entries
from tests.support.in_turn import InTurn
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import Attempt, World, certificate_of, public_key_of, thumbprint_of
from tests.usecases.test_scrubbing import holding

PERIOD = "2026-06"
SECOND = certificate_of("second")


async def asked_for(world: World, *, by: str = "operator", whose: str = "NOR reader") -> tuple[str, str]:
    """Ask for an erasure and return the act's id and digest."""
    await usecases.describe_caller(world.services, world.call(whose))
    wanted = WantedErasure(world.clients[whose].id, PERIOD, "because")
    act = (await usecases.request_erasure(world.services, world.call(by), wanted)).value.act
    return act.id, act.digest


async def confirm(world: World, act_id: str, digest: str, *, by: str = "auditor") -> Attempt:
    return await world.attempt(usecases.confirm_act(world.services, world.call(by), act_id, digest))


def code(made: Attempt) -> str:
    assert isinstance(made.error, ExchangeError)
    assert (made.entry["type"], made.entry["decision"]) in {
        ("act.confirmed", "refused"),
        ("act.refused", "refused"),
        ("act.read", "refused"),
    }
    return made.error.code


def test_every_kind_that_can_be_asked_for_can_be_done() -> None:
    assert sorted([*CARRY_OUT, *MAKE_READY]) == sorted(ACT_KINDS)


async def test_second_person_confirms_what_it_saw_and_it_is_done(populated: World) -> None:
    act_id, digest = await asked_for(populated)
    whose = populated.clients["NOR reader"].id
    keys = [bytes(key) for (key,) in populated.sql("SELECT wrapped_key FROM personal_key WHERE subject = $1", whose)]
    seen = (await usecases.show_pending_act(populated.services, populated.call("auditor"), act_id)).value
    made = await confirm(populated, act_id, seen.act.digest)

    assert keys
    assert not populated.url.startswith("sqlite") or holding(populated, *keys) == []
    assert seen.may_confirm
    assert seen.act.asked == {"subject": populated.clients["NOR reader"].id, "period": PERIOD, "reason": "because"}
    assert made.value.value.act.approver == populated.clients["auditor"].id
    done, confirmed = sorted(made.entries, key=lambda entry: entry["type"], reverse=True)
    assert (done["type"], done["decision"], done["detail"]["digest"]) == ("personal.erased", "permitted", digest)
    assert (confirmed["type"], confirmed["decision"]) == ("act.confirmed", "permitted")
    assert confirmed["detail"] == {
        "kind": "erase-personal",
        "digest": digest,
        "requester": populated.clients["operator"].id,
        "members": ["NOR"],
    }


@pytest.mark.parametrize("by", ["operator", "operator under another certificate"])
async def test_one_person_alone_does_nothing_under_any_number_of_clients(populated: World, by: str) -> None:
    enrolment = Enrolment(
        name="Operator", member="EXCHANGE", agency="OPS", roles=("auditor",), level="SECRET", certificate=SECOND
    )
    await usecases.enrol_client(populated.services, populated.call(None), enrolment)
    act_id, digest = await asked_for(populated)
    caller = "operator" if by == "operator" else "second"
    made = await confirm(populated, act_id, digest, by=caller)

    assert code(made) == "second-person-needed"
    assert populated.sql("SELECT count(*) FROM pending_act WHERE approver IS NOT NULL") == [(0,)]


async def enrol(world: World, name: str, *, key: str) -> Attempt:
    certificate = replace(certificate_of(name), public_key=public_key_of(key))
    enrolment = Enrolment(
        name=name, member="EXCHANGE", agency="OPS", roles=("auditor",), level="SECRET", certificate=certificate
    )
    return await world.attempt(usecases.enrol_client(world.services, world.call(None), enrolment))


async def test_one_key_pair_is_one_clients_for_ever(populated: World) -> None:
    services, operator = populated.services, populated.clients["operator"]
    renewed = replace(certificate_of("renewed"), public_key=public_key_of("operator"))
    taken = await enrol(populated, "second", key="operator")
    own = await populated.attempt(usecases.add_certificate(services, populated.call(None), operator.id, renewed))
    await usecases.remove_certificate(services, populated.call(None), operator.id, renewed.thumbprint)
    await usecases.remove_certificate(services, populated.call(None), operator.id, thumbprint_of("operator"))
    still_taken = await enrol(populated, "second", key="operator")
    auditor = populated.clients["auditor"].id
    added = await populated.attempt(
        usecases.add_certificate(
            services, populated.call(None), auditor, replace(certificate_of("third"), public_key=renewed.public_key)
        )
    )

    assert own.error is None
    for refused in (taken, still_taken, added):
        assert isinstance(refused.error, ConflictError)
        assert refused.entry["decision"] == "refused"
    assert (await enrol(populated, "second", key="another")).error is None


async def test_one_key_under_two_clients_from_before_keys_were_kept_is_no_second_person(populated: World) -> None:
    await enrol(populated, "second", key="second")
    populated.sql("UPDATE client_certificate SET public_key = NULL")
    act_id, digest = await asked_for(populated)
    with_same_key = replace(populated.call("second"), public_key=public_key_of("operator"))
    alone = await populated.attempt(usecases.confirm_act(populated.services, with_same_key, act_id, digest))

    assert code(alone) == "second-person-needed"
    # Others enrolled then go on as before, and their keys are known from then on.
    assert (await confirm(populated, act_id, digest)).error is None
    known = {row[0] for row in populated.sql("SELECT public_key FROM client_certificate WHERE public_key IS NOT NULL")}
    assert known == {public_key_of("operator"), public_key_of("auditor")}


async def test_another_digest_confirms_nothing(populated: World) -> None:
    act_id, _ = await asked_for(populated)
    _, other = await asked_for(populated, whose="GBR reader")

    assert code(await confirm(populated, act_id, other)) == "digest-differs"


async def test_request_of_one_who_was_revoked_since_is_confirmed_by_nobody(populated: World) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    act_id, digest = await asked_for(populated, by="NOR operator")
    revoked = populated.clients["NOR operator"].id
    await usecases.change_standing(populated.services, populated.call(None), revoked, Standing.REVOKED)

    assert code(await confirm(populated, act_id, digest)) == "requester-gone"


async def test_request_of_one_whose_row_is_gone_is_confirmed_by_nobody(populated: World) -> None:
    act_id, digest = await asked_for(populated)
    populated.unguard("client")
    populated.sql("DELETE FROM client WHERE id = $1", populated.clients["operator"].id)

    assert code(await confirm(populated, act_id, digest)) == "requester-gone"


async def test_seal_of_something_else_says_of_nobody_that_it_asked(populated: World) -> None:
    act_id, _ = await asked_for(populated)
    act = (await usecases.show_pending_act(populated.services, populated.call("auditor"), act_id)).value.act
    sealed = await populated.services.custodian.wrap("acts", bytes(len(act.statement)), act.statement)
    blob = base64.b64encode(sealed.blob).decode()
    seal = f"{sealed.key_id} {sealed.key_version} {sealed.suite} {blob}"
    content = {"asked": dict(act.asked), "members": sorted(act.members), "seal": seal}
    payload = canonical_bytes(content).decode()
    digest = hashlib.sha256(payload.encode()).hexdigest()
    populated.unguard("pending_act")
    populated.sql("UPDATE pending_act SET payload = $1, digest = $2", payload, digest)

    assert code(await confirm(populated, act_id, digest)) == "request-altered"


async def test_request_ends_after_its_time(populated: World) -> None:
    act_id, digest = await asked_for(populated)
    populated.clock.advance(timedelta(days=7))

    assert code(await confirm(populated, act_id, digest)) == "request-expired"
    listed = await usecases.list_pending_acts(populated.services, populated.call("auditor"))
    assert listed.value == ()


@pytest.mark.parametrize(("by", "state"), [("auditor", "refused"), ("operator", "taken back")])
async def test_ended_request_is_not_confirmed_any_more(populated: World, by: str, state: str) -> None:
    act_id, digest = await asked_for(populated)
    ended = await populated.attempt(usecases.refuse_act(populated.services, populated.call(by), act_id))
    again = await populated.attempt(usecases.refuse_act(populated.services, populated.call(by), act_id))

    assert state
    assert ended.value.value.act.refuser == populated.clients[by].id
    assert (ended.entry["type"], ended.entry["decision"]) == ("act.refused", "permitted")
    assert code(again) == "request-ended"
    assert code(await confirm(populated, act_id, digest)) == "request-ended"
    assert (await usecases.list_pending_acts(populated.services, populated.call("auditor"))).value == ()


async def test_list_shows_each_what_it_has_to_do_with_and_whether_it_may_confirm(populated: World) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    await populated.enrol("GBR operator", "GBR", "operator")
    act_id, _ = await asked_for(populated)
    seen = {}
    for name in ("operator", "auditor", "NOR operator", "GBR operator"):
        views = (await usecases.list_pending_acts(populated.services, populated.call(name))).value
        seen[name] = [(view.act.id, view.may_confirm) for view in views]

    assert seen == {
        "operator": [(act_id, False)],
        "auditor": [(act_id, True)],
        "NOR operator": [(act_id, True)],
        "GBR operator": [],
    }


async def test_foreign_act_is_answered_like_an_absent_one(populated: World) -> None:
    await populated.enrol("GBR operator", "GBR", "operator")
    act_id, digest = await asked_for(populated)
    call = populated.call("GBR operator")
    messages = set()
    for an_id in (act_id, "01980000-0000-7000-8000-00000000000f", "no id"):
        for act in (
            usecases.show_pending_act(populated.services, call, an_id),
            usecases.confirm_act(populated.services, call, an_id, digest),
            usecases.refuse_act(populated.services, call, an_id),
        ):
            made = await populated.attempt(act)
            assert isinstance(made.error, NotFoundError)
            assert made.entry["decision"] == "refused"
            messages.add(str(made.error))

    assert len(messages) == 1


async def test_what_was_altered_since_is_confirmed_by_nobody(populated: World) -> None:
    act_id, digest = await asked_for(populated)
    populated.sql(
        "ALTER TABLE pending_act DISABLE TRIGGER ALL"
        if "postgresql" in populated.url
        else "DROP TRIGGER pending_act_no_update"
    )
    populated.sql("UPDATE pending_act SET payload = $1", '{"asked":{},"members":["GBR"]}')

    assert code(await confirm(populated, act_id, digest)) == "request-altered"
    assert (await usecases.list_pending_acts(populated.services, populated.call("auditor"))).value == ()


CHANGES = (
    "requester = 'OTHER'",
    "expires_at = expires_at + 1000000",
    "requested_at = requested_at - 1",
    "kind = 'open-crisis'",
    "id = '019e830e-1a00-7000-b38d-0ba5813d9823'",
    "payload = 'UNSEALED', digest = 'DIGEST'",
    "payload = 'SEALED', digest = 'DIGEST'",
)


async def test_nobody_is_made_to_have_asked_by_who_writes_to_the_database(
    populated: World, in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    # The auditor asks, and would confirm it by itself.
    await usecases.describe_caller(populated.services, populated.call("NOR reader"))
    wanted = WantedErasure(populated.clients["NOR reader"].id, PERIOD, "because")
    act = (await usecases.request_erasure(populated.services, populated.call("auditor"), wanted)).value.act
    populated.unguard("pending_act")
    put_back = kept_rows(populated, {"pending_act": ("id",)})
    for change in in_turn(CHANGES):
        populated.sql(f"UPDATE pending_act SET {written(populated, act, change)}")
        by = "auditor" if "requester" in change else "operator"
        ((act_id, shown),) = populated.sql("SELECT id, digest FROM pending_act")
        made = await confirm(populated, act_id, shown, by=by)
        put_back()

        with subtests.test(change):
            # Of another kind it is nobody's of these roles any more.
            assert code(made) == ("not-found" if "kind" in change else "request-altered")
            assert populated.sql("SELECT count(*) FROM personal_key WHERE destroyed_at IS NOT NULL") == [(0,)]
    # Nothing else was wrong with it.
    assert (await confirm(populated, act.id, act.digest, by="operator")).error is None


def written(world: World, act: PendingAct, change: str) -> str:
    """Return a change with what it names written out."""
    content = {"asked": dict(act.asked), "members": ["NOR"], "seal": "file/acts 1 no-suite AAAA"}
    payload = canonical_bytes(content if "'SEALED'" in change else {**content, "seal": None}).decode()
    said = {
        "OTHER": world.clients["operator"].id,
        "UNSEALED": payload,
        "SEALED": payload,
        "DIGEST": hashlib.sha256(payload.encode()).hexdigest(),
    }
    for mark, value in said.items():
        change = change.replace(f"'{mark}'", f"'{value}'")
    return change


@pytest.mark.parametrize("is_placed", [False, True])
@pytest.mark.parametrize("ended", ["taken back", "refused", "confirmed", "approved"])
async def test_what_the_log_says_has_ended_is_confirmed_by_nobody(
    populated: World, ended: str, is_placed: bool
) -> None:
    services = populated.services
    act_id, digest = await asked_for(populated)
    await {
        "taken back": lambda: usecases.refuse_act(services, populated.call("operator"), act_id),
        "refused": lambda: usecases.refuse_act(services, populated.call("auditor"), act_id),
        "confirmed": lambda: usecases.confirm_act(services, populated.call("auditor"), act_id, digest),
        "approved": lambda: usecases.approve_erasure(services, populated.call("auditor"), act_id),
    }[ended]()
    if is_placed:
        await place_entries(populated, is_searchable=True)
    populated.unguard("pending_act")
    populated.unguard("pending_act_end")
    populated.sql("DELETE FROM pending_act_end")
    populated.sql("UPDATE pending_act SET approver = NULL, approved_at = NULL")
    listed = (await usecases.list_pending_acts(services, populated.call("auditor"))).value

    assert [view.act.id for view in listed] == [act_id]
    assert code(await confirm(populated, act_id, digest)) == "request-ended"


async def test_nothing_is_confirmed_while_nobody_can_read_what_waits_for_its_place(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_id, digest = await asked_for(populated)
    monkeypatch.setattr(told_entries, "_WAITING_AT_MOST", 0)
    made = await confirm(populated, act_id, digest)
    monkeypatch.undo()

    assert isinstance(made.error, UnavailableError)
    assert "ask again later" in made.error.message
    assert (await confirm(populated, act_id, digest)).error is None


async def test_of_two_confirmations_at_once_one_is_done(populated: World) -> None:
    await populated.enrol("second auditor", "EXCHANGE", "auditor")
    act_id, digest = await asked_for(populated)
    both = await asyncio.gather(
        *(
            usecases.confirm_act(populated.services, populated.call(name), act_id, digest)
            for name in ("auditor", "second auditor")
        ),
        return_exceptions=True,
    )

    (error,) = [each for each in both if isinstance(each, ConflictError)]
    assert error.code == "approved-already"
    assert [entry["type"] for entry in await populated.entries()].count("personal.erased") == 1


async def test_database_refuses_to_change_how_an_act_ended(populated: World) -> None:
    act_id, _ = await asked_for(populated)
    await usecases.refuse_act(populated.services, populated.call("auditor"), act_id)
    for change in ("UPDATE pending_act_end SET client = 'somebody else'", "DELETE FROM pending_act_end"):
        with pytest.raises(Exception, match="stays"):
            populated.sql(change)
