"""Who acts while its right is taken away, or what its act rests on ends: of the two one comes second; both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, NotAuthenticatedError, NotFoundError
from exchange.members import Standing
from exchange.store import UnitOfWork
from exchange.store.books.crisis_book import CrisisBook
from exchange.store.books.pending_acts import PendingActs
from exchange.store.books.proxy_book import ProxyBook
from exchange.store.books.signatory_keys import SignatoryKeys
from exchange.store.books.subscriptions import SubscriptionBook
from exchange.usecases import ClearanceChange
from exchange.usecases.agreements import amending
from exchange.usecases.consents import derivations, onward_release
from exchange.usecases.promises import consultations
from exchange.usecases.steps.recording import codes_of
from tests.support import deriving
from tests.support.lived import MakeLived
from tests.support.meanwhile import at_once, done_behind, posted_meanwhile
from tests.support.onward import LOW, ask, grant, with_releasers
from tests.support.treaty import sign_by_call, signing_key
from tests.support.world import AGREEMENT, World, certificate_of, thumbprint_of
from tests.usecases import test_proxies as proxies
from tests.usecases.test_amending import concluded
from tests.usecases.test_consultations import QUESTION
from tests.usecases.test_crises import agreed, asked, confirms
from tests.usecases.test_report_life import amend, recall

WHO = "GBR signatory"
# Of two of them a use case has the name.
receive_report, subscriptions = (
    import_module(f"exchange.usecases.{each}") for each in ("reading.receive_report", "members.subscriptions")
)


def taken_away(world: World, how: str, name: str = WHO) -> Awaitable[Any]:
    services, host, client = world.services, world.call(None), world.clients[name]
    match how:
        case "revoked":
            return usecases.change_standing(services, host, client.id, Standing.REVOKED)
        case "member suspended":
            return usecases.suspend_member(services, host, client.member)
        case "certificate removed":
            return usecases.remove_certificate(services, host, client.id, thumbprint_of(name))
        case _:
            return usecases.change_clearance(services, host, client.id, ClearanceChange("RESTRICTED"))


async def types_by_place(world: World) -> list[str]:
    """Return the types of all entries in the order in which they became durable."""
    types = {entry["id"]: entry["type"] for entry in await world.entries()}
    return [types[entry] for (entry,) in world.sql("SELECT entry_id FROM audit_outbox ORDER BY id")]


@pytest.fixture
async def draft_of_three(populated: World) -> World:
    await populated.agree(signatories=("NOR", "DNK"))
    return populated


@pytest.mark.parametrize(
    ("what", "how", "error"),
    [
        ("signs", "revoked", ForbiddenError),
        ("signs", "member suspended", ForbiddenError),
        ("consults", "revoked", ForbiddenError),
        ("consults", "certificate removed", NotAuthenticatedError),
        ("consults", "lowered", ConflictError),
    ],
)
async def test_who_lost_its_right_since_it_was_admitted_does_nothing(
    draft_of_three: World, monkeypatch: pytest.MonkeyPatch, what: str, how: str, error: type[Exception]
) -> None:
    world = draft_of_three
    module = amending if what == "signs" else consultations
    done_behind(monkeypatch, module, "authenticate", lambda: taken_away(world, how))
    agreement = world.agreement_id
    acts: dict[str, Callable[[], Awaitable[Any]]] = {
        "signs": lambda: sign_by_call(world.services, world.call(WHO), agreement),
        "consults": lambda: usecases.open_consultation(world.services, world.call(WHO), agreement, QUESTION),
    }
    made = await world.attempt(acts[what]())

    assert isinstance(made.error, error)
    last = made.entries[-1]
    assert (last["type"], last["decision"]) == (
        "agreement.signed" if what == "signs" else "consultation.opened",
        "refused",
    )
    assert world.sql("SELECT count(*) FROM consultation") == [(0,)]
    assert world.sql("SELECT count(*) FROM agreement_signature WHERE agreement_id = $1", agreement) == [(2,)]


@pytest.mark.parametrize("what", ["acknowledges", "subscribes"])
async def test_who_was_revoked_since_it_was_admitted_leaves_nothing_that_outlives_it(
    populated: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    services, call, report = populated.services, populated.call("NOR reader"), await populated.post()
    module, name = (receive_report, "seek_permit") if what == "acknowledges" else (subscriptions, "authenticate")
    done_behind(monkeypatch, module, name, lambda: taken_away(populated, "revoked", "NOR reader"))
    acts: dict[str, Callable[[], Awaitable[Any]]] = {
        "acknowledges": lambda: usecases.receive_report(services, call, report),
        "subscribes": lambda: usecases.add_subscription(services, call, "https://desk.example/told"),
    }
    made = await populated.attempt(acts[what]())

    assert isinstance(made.error, ForbiddenError)
    assert populated.rows_of("report_receipt", "subscription") == {"report_receipt": [], "subscription": []}


async def test_act_is_not_confirmed_once_who_asked_is_revoked(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    treaty = (await make_lived(agreed))[0]
    act, added, later = await asked(treaty), CrisisBook.add, list[asyncio.Task[Any]]()

    async def meanwhile(*crisis: Any) -> None:
        revoking = asyncio.ensure_future(taken_away(treaty, "revoked"))
        if backend == "sqlite":  # whoever writes keeps others from it
            later.append(revoking)
        else:
            await revoking
        await added(*crisis)

    monkeypatch.setattr(CrisisBook, "add", meanwhile)
    made = await treaty.attempt(confirms(treaty, act))
    await asyncio.gather(*later)

    assert (made.error and made.error.code) == (None if backend == "sqlite" else "requester-gone")
    types = await types_by_place(treaty)
    opened = "crisis.declared" in types
    assert opened == (backend == "sqlite")
    assert not opened or types.index("crisis.declared") < types.index("client.revoked")


async def test_key_is_retired_behind_the_signature_that_is_being_made_with_it(
    draft_of_three: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, key = draft_of_three, signing_key(thumbprint_of(WHO)).verifying_key.key_id
    signing = sign_by_call(world.services, world.call(WHO), world.agreement_id)
    retiring = usecases.retire_signatory_key(world.services, world.call(None), world.clients[WHO].id, key)
    await at_once(monkeypatch, SignatoryKeys, "add_signature", signing, retiring)

    assert (await types_by_place(world))[-2:] == ["agreement.signed", "signatory.key_retired"]


async def test_of_two_operators_that_revoke_each_other_one_is_heard(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.enrol("second operator", "EXCHANGE", "operator")
    one, other = (
        populated.attempt(
            usecases.change_standing(
                populated.services, populated.call(by), populated.clients[whom].id, Standing.REVOKED
            )
        )
        for by, whom in (("operator", "second operator"), ("second operator", "operator"))
    )
    first, late = await at_once(monkeypatch, UnitOfWork, "record", one, other)

    assert first.error is None
    assert late.error is not None
    assert late.error.code == "client-suspended"


@pytest.mark.parametrize(
    ("how", "step", "code"),
    [
        ("revoked", "_supersede", "client-suspended"),
        ("member suspended", "_supersede", "client-suspended"),
        ("certificate removed", "certificates", "not-authenticated"),
    ],
)
async def test_nobody_acts_whose_right_is_being_taken_away(
    draft_of_three: World, monkeypatch: pytest.MonkeyPatch, how: str, step: str, code: str
) -> None:
    world, services = draft_of_three, draft_of_three.services
    asked = await usecases.open_consultation(services, world.call(WHO), world.agreement_id, QUESTION)
    # Nothing that is counted: what is counted holds who acts besides.
    answering = usecases.answer_consultation(services, world.call("NOR signatory"), asked.value.id, "we agree")
    taking = world.attempt(taken_away(world, how, "NOR signatory"))
    taken, late = await at_once(monkeypatch, UnitOfWork, step, taking, world.attempt(answering))

    assert taken.error is None
    assert late.error is not None
    assert late.error.code == code
    whose = {"revoked": "client", "member suspended": "member"}.get(how)
    assert late.entries[-1]["detail"].get("inactive") == whose


@pytest.mark.parametrize("how", ["revoked", "member suspended", "certificate removed"])
async def test_who_ends_its_own_right_does_so_while_it_has_it(populated: World, how: str) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    services, call, client = populated.services, populated.call("NOR operator"), populated.clients["NOR operator"]
    match how:
        case "revoked":
            done = usecases.change_standing(services, call, client.id, Standing.REVOKED)
        case "member suspended":
            done = usecases.suspend_member(services, call, "NOR")
        case _:
            done = usecases.remove_certificate(services, call, client.id, thumbprint_of("NOR operator"))

    assert (await populated.attempt(done)).error is None
    assert (await populated.attempt(usecases.list_clients(services, call))).error is not None


async def test_member_is_suspended_behind_who_is_being_enrolled_for_it(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspending = usecases.suspend_member(populated.services, populated.call(None), "NOR")
    await at_once(monkeypatch, UnitOfWork, "add_client", populated.enrol("NOR deputy", "NOR", "reader"), suspending)

    assert (await types_by_place(populated))[-2:] == ["client.enrolled", "member.suspended"]


@pytest.mark.parametrize("what", ["suspends", "removes"])
async def test_who_is_revoked_meanwhile_ends_nothing_of_its_own_either(
    populated: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    services, call, client = populated.services, populated.call("NOR operator"), populated.clients["NOR operator"]
    module = import_module(f"exchange.usecases.members.{'members' if what == 'suspends' else 'clients'}")
    done_behind(monkeypatch, module, "admit_or_host", lambda: taken_away(populated, "revoked", "NOR operator"))
    if what == "suspends":
        ending: Awaitable[Any] = usecases.suspend_member(services, call, "NOR")
    else:
        ending = usecases.remove_certificate(services, call, client.id, thumbprint_of("NOR operator"))
    made = await populated.attempt(ending)

    assert isinstance(made.error, ForbiddenError)
    assert populated.sql("SELECT count(*) FROM member WHERE standing <> 'active'") == [(0,)]
    assert populated.sql("SELECT count(*) FROM client_certificate WHERE removed_at IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("what", ["resumes itself", "resumes its member", "is raised by itself"])
async def test_who_lost_its_right_meanwhile_gives_itself_none(
    populated: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await populated.enrol("NOR operator", "NOR", "operator", level="RESTRICTED")
    services, call, client = populated.services, populated.call("NOR operator"), populated.clients["NOR operator"]
    match what:
        case "resumes itself":
            # By its own member: what the exchange suspended is resumed by no operator of a member.
            await populated.enrol("NOR deputy", "NOR", "operator")
            taking = usecases.change_standing(services, populated.call("NOR deputy"), client.id, Standing.SUSPENDED)
            doing: Awaitable[Any] = usecases.change_standing(services, call, client.id, Standing.ACTIVE)
        case "resumes its member":
            taking = usecases.suspend_member(services, populated.call(None), "NOR")
            doing = usecases.resume_member(services, call, "NOR")
        case _:
            taking = taken_away(populated, "certificate removed", "NOR operator")
            doing = usecases.change_clearance(services, call, client.id, ClearanceChange("SECRET"))
    module = import_module(f"exchange.usecases.members.{'members' if what == 'resumes its member' else 'clients'}")
    done_behind(monkeypatch, module, "admit_or_host", lambda: taking)
    made = await populated.attempt(doing)

    assert isinstance(made.error, NotAuthenticatedError if what == "is raised by itself" else ForbiddenError)
    assert made.entries[-1]["decision"] == "refused"
    assert (await populated.attempt(usecases.list_clients(services, call))).error is not None


async def test_who_uses_a_certificate_that_was_removed_meanwhile_removes_no_other_one(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    services, call, client = populated.services, populated.call("NOR operator"), populated.clients["NOR operator"]
    await usecases.add_certificate(services, populated.call(None), client.id, certificate_of("its next one"))
    module = import_module("exchange.usecases.members.clients")
    done_behind(
        monkeypatch, module, "admit_or_host", lambda: taken_away(populated, "certificate removed", "NOR operator")
    )
    removing = usecases.remove_certificate(services, call, client.id, thumbprint_of("its next one"))

    assert isinstance((await populated.attempt(removing)).error, NotAuthenticatedError)


async def test_clearance_that_was_ended_meanwhile_is_another_one(
    draft_of_three: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = draft_of_three
    ended = ClearanceChange("SECRET", (), until=world.clock.now)
    done_behind(
        monkeypatch,
        consultations,
        "authenticate",
        lambda: usecases.change_clearance(world.services, world.call(None), world.clients[WHO].id, ended),
    )
    asking = usecases.open_consultation(world.services, world.call(WHO), world.agreement_id, QUESTION)

    assert isinstance((await world.attempt(asking)).error, ConflictError)


# ── what it rests on ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("how", "code"), [("suspended", "agreement-not-in-force"), ("never", "originator-control")])
async def test_report_of_an_agreement_that_lets_nothing_go_on_meanwhile_goes_on_to_nobody(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    request = await ask(world, await world.post(label=LOW))

    async def ended() -> None:
        if how == "suspended":
            await usecases.suspend_agreement(world.services, world.call(WHO), world.agreement_id)
        else:
            await concluded(world, AGREEMENT.replace("originator-consent", "never"))

    done_behind(monkeypatch, onward_release, "_require_goes_on", ended)
    made = await world.attempt(grant(world, request))

    assert made.error is not None
    assert made.error.code == code
    assert world.sql("SELECT state FROM onward_release") == [("asked",)]


async def test_nobody_consents_by_a_consent_of_its_source_that_is_taken_back_meanwhile(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = (await make_lived(with_releasers))[0]
    for name in ("GBR analyst", "NOR analyst"):
        await world.enrol(name, name[:3], "contributor", "reader")
    source = await world.post(label=deriving.MIDDLE)
    leave = await deriving.ask(world, source)
    await deriving.grant(world, leave)
    derived = await deriving.derive(world, source, label=replace(deriving.MIDDLE, releasable_to=("DNK", "GBR", "NOR")))
    onward = await deriving.ask(world, derived, "GBR analyst")
    done_behind(
        monkeypatch,
        derivations,
        "do_sources_allow",
        lambda: usecases.revoke_derivation(world.services, world.call("GBR releaser"), leave),
    )
    made = await world.attempt(deriving.grant(world, onward, "NOR releaser"))

    assert made.error is not None
    assert made.error.code == "originator-control"
    assert world.sql("SELECT state FROM derivation_consent WHERE id = $1", onward) == [("asked",)]


@pytest.mark.parametrize(("how", "code"), [("amended", "below-source"), ("recalled", "unknown-report")])
async def test_nothing_is_marked_lower_by_a_consent_that_ends_with_its_version_meanwhile(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    source = await world.post(label=deriving.MIDDLE)
    await deriving.grant(world, await deriving.ask(world, source))

    async def ended() -> None:
        if how == "amended":
            await amend(world, source, label=deriving.MIDDLE)
        else:
            await recall(world, source)

    done_behind(monkeypatch, import_module("exchange.usecases.posting.post_report"), "postable", ended)
    made = await world.attempt(deriving.derive(world, source))

    assert made.error is not None
    assert codes_of(made.error) == (code,)
    assert world.sql("SELECT id FROM report") == [(source,)]


@pytest.mark.parametrize(
    ("how", "code"), [("suspended", "not-found"), ("recalled", "recalled"), ("closed", "request-ended")]
)
async def test_what_ends_while_an_answer_is_looked_at_answers_nothing(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    services = world.services
    asking = usecases.request_information(services, world.call("GBR reader"), world.wanted())
    request = (await asking).value.row.id
    report = await world.post("NOR contributor")

    async def ended() -> None:
        if how == "suspended":
            await usecases.suspend_agreement(services, world.call("NOR signatory"), world.agreement_id)
        elif how == "closed":
            await usecases.close_request(services, world.call("GBR reader"), request)
        else:
            await usecases.recall_report(services, world.call("NOR releaser"), report, "it was wrong")

    done_behind(monkeypatch, import_module("exchange.usecases.requests.answer_request"), "_own", ended)
    answering = usecases.answer_request(services, world.call("NOR contributor"), request, report)
    made = await world.attempt(answering)

    assert made.error is not None
    assert codes_of(made.error) == (code,)
    assert world.sql("SELECT count(*) FROM information_request_answer") == [(0,)]


async def test_posts_wait_for_nobody_who_answers_a_request(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    services, asker = populated.services, populated.call("GBR reader")
    request = (await usecases.request_information(services, asker, populated.wanted())).value.row.id
    report = await populated.post("NOR contributor")
    module = import_module("exchange.usecases.requests.answer_request")
    written = posted_meanwhile(monkeypatch, module, "view_of", populated)
    answered = await usecases.answer_request(services, populated.call("NOR contributor"), request, report)

    assert (len(written), [each.report for each in answered.value.answers]) == (1, [report])


@pytest.mark.parametrize("what", ["onward", "derivation"])
async def test_who_suspends_its_part_while_it_asks_about_a_report_asks_nothing(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    await world.enrol("NOR analyst", "NOR", "contributor", "reader")
    report, call = await world.post(label=deriving.MIDDLE), world.call("NOR signatory")
    module, step = (onward_release, "_meant") if what == "onward" else (derivations, "_faults")
    done_behind(monkeypatch, module, step, lambda: usecases.suspend_agreement(world.services, call, world.agreement_id))
    made = await world.attempt((ask if what == "onward" else deriving.ask)(world, report, "NOR analyst"))

    assert isinstance(made.error, NotFoundError)
    table = {"onward": "onward_release", "derivation": "derivation_consent"}[what]
    assert world.sql(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("what", ["asked", "given"])
async def test_agreement_is_suspended_behind_the_consent_to_posting_that_rests_on_it(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    world = (await make_lived(with_releasers))[0]
    owner, step = PendingActs, "add"
    consenting: Awaitable[Any] = proxies.ask(world)
    if what == "given":
        owner, step, consenting = ProxyBook, "put", proxies.confirm(world, await consenting)
    suspending = usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id)
    await at_once(monkeypatch, owner, step, consenting, suspending)

    assert (await types_by_place(world))[-1] == "agreement.suspended"


async def test_webhook_that_is_removed_while_something_is_queued_for_it_leaves_nothing_behind(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, reader = populated.services, populated.call("NOR reader")
    added = (await usecases.add_subscription(services, reader, "https://desk.example/told")).value.row.id
    asking = usecases.request_information(services, populated.call("GBR reader"), populated.wanted())
    await at_once(monkeypatch, SubscriptionBook, "queue", asking, usecases.remove_subscription(services, reader, added))

    assert populated.sql("SELECT count(*) FROM subscription_delivery") == [(0,)]
