"""Every use case x every role: who may, who is refused for lacking the role, and that each leaves one entry.

A caller that passes the check of roles may still fail for another reason; here only the role counts.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from exchange import usecases
from exchange.agreements import MatterKind
from exchange.kernel import ForbiddenError, new_id
from exchange.markings import Label
from exchange.members import Role, Standing
from exchange.reports import Downgrade
from exchange.store import DerivationWish, OnwardWish, ProxyWish
from exchange.usecases import (
    Call,
    ClearanceChange,
    Enrolment,
    EntryQuery,
    Incoming,
    ListQuery,
    NewMatter,
    SimulatedReport,
    WantedErasure,
)
from tests.attacks.hidden import kept_state
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.national import no_court
from tests.support.treaty import NOTHING_SIGNED, offered, signing_key
from tests.support.world import NOW, World, certificate_of, reopen_world, thumbprint_of

Act = Callable[[World, Call, str], Awaitable[object]]

ABSENT = new_id(NOW, bytes)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


NOTHING_COMES = Incoming(_nothing(), 0, hold=lambda _: None)
ANYONE = frozenset(Role)
AUDITOR = frozenset({Role.AUDITOR})
OPERATOR = frozenset({Role.OPERATOR})
SIGNATORY = frozenset({Role.SIGNATORY})
ACTING = frozenset({Role.OPERATOR, Role.AUDITOR, Role.RELEASER, Role.SIGNATORY})
CONTRIBUTOR = frozenset({Role.CONTRIBUTOR})
READER = frozenset({Role.READER})
AUDITOR = frozenset({Role.AUDITOR})
NEW_CLIENT = Enrolment("new", "GBR", "NCSC", ("reader",), "SECRET", certificate_of("new"))
SIMULATED = SimulatedReport(ABSENT, "cyber-threats", "intrep", "cyber.apt", ("EUR",), Label("NATO", "SECRET"))

# Name of the use case, how it is called (with the id of a report), who may, under which event it is recorded.
USE_CASES: list[tuple[str, Act, frozenset[Role], str]] = [
    ("describe_caller", lambda w, c, _: usecases.describe_caller(w.services, c), ANYONE, "caller.described"),
    ("describe_vocabulary", lambda w, c, _: usecases.describe_vocabulary(w.services, c), ANYONE, "vocabulary.read"),
    ("record_visit", lambda w, c, _: usecases.record_visit(w.services, c, route="/docs"), ANYONE, "route.requested"),
    ("add_member", lambda w, c, _: usecases.add_member(w.services, c, "GBR", "Again"), OPERATOR, "member.added"),
    ("list_members", lambda w, c, _: usecases.list_members(w.services, c), ANYONE, "member.listed"),
    ("suspend_member", lambda w, c, _: usecases.suspend_member(w.services, c, "NOR"), OPERATOR, "member.suspended"),
    ("resume_member", lambda w, c, _: usecases.resume_member(w.services, c, "NOR"), OPERATOR, "member.resumed"),
    ("enrol_client", lambda w, c, _: usecases.enrol_client(w.services, c, NEW_CLIENT), OPERATOR, "client.enrolled"),
    ("list_clients", lambda w, c, _: usecases.list_clients(w.services, c), ANYONE, "client.listed"),
    ("show_client", lambda w, c, _: usecases.show_client(w.services, c, ABSENT), ANYONE, "client.listed"),
    (
        "change_clearance",
        lambda w, c, _: usecases.change_clearance(w.services, c, ABSENT, ClearanceChange("SECRET")),
        OPERATOR,
        "client.changed",
    ),
    (
        "change_standing",
        lambda w, c, _: usecases.change_standing(w.services, c, ABSENT, Standing.REVOKED),
        OPERATOR,
        "client.revoked",
    ),
    (
        "add_certificate",
        lambda w, c, _: usecases.add_certificate(w.services, c, ABSENT, certificate_of("second")),
        OPERATOR,
        "certificate.added",
    ),
    (
        "remove_certificate",
        lambda w, c, _: usecases.remove_certificate(w.services, c, ABSENT, thumbprint_of("second")),
        OPERATOR,
        "certificate.removed",
    ),
    (
        "propose_agreement",
        lambda w, c, _: usecases.propose_agreement(w.services, c, "title: none"),
        SIGNATORY | OPERATOR,
        "agreement.proposed",
    ),
    (
        "simulate_agreement",
        lambda w, c, _: usecases.simulate_agreement(w.services, c, "title: none"),
        SIGNATORY | OPERATOR,
        "agreement.simulated",
    ),
    (
        "search_gaps",
        lambda w, c, _: usecases.search_gaps(w.services, c, usecases.GapQuestion()),
        ANYONE,
        "release.searched",
    ),
    ("list_agreements", lambda w, c, _: usecases.list_agreements(w.services, c), ANYONE, "agreement.listed"),
    ("show_agreement", lambda w, c, _: usecases.show_agreement(w.services, c, ABSENT), ANYONE, "agreement.read"),
    (
        "ask_for_crisis",
        lambda w, c, _: usecases.ask_for_crisis(w.services, c, ABSENT, usecases.CrisisWish("storm-watch", "why")),
        SIGNATORY,
        "crisis.asked",
    ),
    ("end_crisis", lambda w, c, _: usecases.end_crisis(w.services, c, ABSENT, ABSENT), SIGNATORY, "crisis.ended"),
    ("list_crises", lambda w, c, _: usecases.list_crises(w.services, c, ABSENT), ANYONE, "crisis.listed"),
    (
        "propose_amendment",
        lambda w, c, _: usecases.propose_amendment(w.services, c, ABSENT, ""),
        SIGNATORY,
        "amendment.proposed",
    ),
    (
        "list_amendments",
        lambda w, c, _: usecases.list_amendments(w.services, c, ABSENT),
        SIGNATORY,
        "amendment.listed",
    ),
    (
        "export_agreement",
        lambda w, c, _: usecases.export_agreement(w.services, c, ABSENT),
        ANYONE,
        "agreement.exported",
    ),
    (
        "show_compliance",
        lambda w, c, _: usecases.show_compliance(w.services, c, ABSENT),
        READER,
        "compliance.read",
    ),
    (
        "list_breaches",
        lambda w, c, _: usecases.list_breaches(w.services, c, ABSENT),
        SIGNATORY,
        "breach.listed",
    ),
    (
        "open_consultation",
        lambda w, c, _: usecases.open_consultation(w.services, c, ABSENT, NewMatter(MatterKind.DISPUTE, "why")),
        SIGNATORY,
        "consultation.opened",
    ),
    (
        "list_consultations",
        lambda w, c, _: usecases.list_consultations(w.services, c, ABSENT),
        SIGNATORY,
        "consultation.listed",
    ),
    (
        "answer_consultation",
        lambda w, c, _: usecases.answer_consultation(w.services, c, ABSENT, "because"),
        SIGNATORY,
        "consultation.answered",
    ),
    (
        "settle_consultation",
        lambda w, c, _: usecases.settle_consultation(w.services, c, ABSENT, "so be it"),
        SIGNATORY,
        "consultation.settled",
    ),
    (
        "enrol_signatory_key",
        lambda w, c, _: usecases.enrol_signatory_key(w.services, c, ABSENT, offered(signing_key("a"))),
        OPERATOR,
        "signatory.key_enrolled",
    ),
    (
        "retire_signatory_key",
        lambda w, c, _: usecases.retire_signatory_key(w.services, c, ABSENT, "0" * 64),
        OPERATOR,
        "signatory.key_retired",
    ),
    (
        "list_signatory_keys",
        lambda w, c, _: usecases.list_signatory_keys(w.services, c, ABSENT),
        ANYONE,
        "signatory.key_listed",
    ),
    (
        "sign_agreement",
        lambda w, c, _: usecases.sign_agreement(w.services, c, ABSENT, NOTHING_SIGNED),
        SIGNATORY,
        "agreement.signed",
    ),
    (
        "take_back_signature",
        lambda w, c, _: usecases.take_back_signature(w.services, c, ABSENT, NOTHING_SIGNED),
        SIGNATORY,
        "agreement.signature_withdrawn",
    ),
    (
        "suspend_agreement",
        lambda w, c, _: usecases.suspend_agreement(w.services, c, ABSENT),
        SIGNATORY,
        "agreement.suspended",
    ),
    (
        "resume_agreement",
        lambda w, c, _: usecases.resume_agreement(w.services, c, ABSENT),
        SIGNATORY,
        "agreement.resumed",
    ),
    (
        "withdraw_agreement",
        lambda w, c, _: usecases.withdraw_agreement(w.services, c, ABSENT),
        SIGNATORY,
        "agreement.withdrawn",
    ),
    ("list_pending_acts", lambda w, c, _: usecases.list_pending_acts(w.services, c), ACTING, "act.listed"),
    ("show_pending_act", lambda w, c, _: usecases.show_pending_act(w.services, c, ABSENT), ACTING, "act.read"),
    ("confirm_act", lambda w, c, _: usecases.confirm_act(w.services, c, ABSENT, "0"), ACTING, "act.confirmed"),
    ("refuse_act", lambda w, c, _: usecases.refuse_act(w.services, c, ABSENT), ACTING, "act.refused"),
    ("post_report", lambda w, c, _: usecases.post_report(w.services, c, w.posted()), CONTRIBUTOR, "report.posted"),
    ("begin_upload", lambda w, c, _: usecases.begin_upload(w.services, c, w.posted()), CONTRIBUTOR, "upload.begun"),
    (
        "receive_part",
        lambda w, c, _: usecases.receive_part(w.services, c, ABSENT, 1, NOTHING_COMES),
        CONTRIBUTOR,
        "upload.part_received",
    ),
    (
        "complete_upload",
        lambda w, c, _: usecases.complete_upload(w.services, c, ABSENT),
        CONTRIBUTOR,
        "upload.completed",
    ),
    ("list_uploads", lambda w, c, _: usecases.list_uploads(w.services, c), CONTRIBUTOR, "upload.listed"),
    (
        "give_up_upload",
        lambda w, c, _: usecases.give_up_upload(w.services, c, ABSENT),
        CONTRIBUTOR,
        "upload.abandoned",
    ),
    ("pull_report", lambda w, c, report: usecases.pull_report(w.services, c, report), READER, "report.read"),
    ("read_part", lambda w, c, report: usecases.read_part(w.services, c, report, 1), READER, "report.part_read"),
    ("receive_report", lambda w, c, report: usecases.receive_report(w.services, c, report), READER, "report.received"),
    ("open_stream", lambda w, c, _: usecases.open_stream(w.services, c, None), READER, "stream.opened"),
    (
        "add_subscription",
        lambda w, c, _: usecases.add_subscription(w.services, c, "https://desk.example/told"),
        READER,
        "subscription.added",
    ),
    ("list_subscriptions", lambda w, c, _: usecases.list_subscriptions(w.services, c), READER, "subscription.listed"),
    (
        "remove_subscription",
        lambda w, c, _: usecases.remove_subscription(w.services, c, ABSENT),
        READER,
        "subscription.removed",
    ),
    (
        "check_subscription",
        lambda w, c, _: usecases.check_subscription(w.services, c, ABSENT),
        READER,
        "subscription.tested",
    ),
    (
        "list_deliveries",
        lambda w, c, _: usecases.list_deliveries(w.services, c, ABSENT),
        READER,
        "subscription.listed",
    ),
    (
        "replay_deliveries",
        lambda w, c, _: usecases.replay_deliveries(w.services, c, ABSENT),
        READER,
        "subscription.replayed",
    ),
    ("list_reports", lambda w, c, _: usecases.list_reports(w.services, c, ListQuery()), READER, "report.listed"),
    (
        "explain_report",
        lambda w, c, report: usecases.explain_report(w.services, c, report),
        frozenset({Role.READER, Role.CONTRIBUTOR, Role.RELEASER}),
        "report.explained",
    ),
    (
        "export_entries",
        lambda w, c, _: usecases.export_entries(w.services, c, usecases.ExportQuery()),
        AUDITOR,
        "audit.exported",
    ),
    (
        "simulate_release",
        lambda w, c, _: usecases.simulate_release(w.services, c, SIMULATED),
        CONTRIBUTOR,
        "release.simulated",
    ),
    ("search_entries", lambda w, c, _: usecases.search_entries(w.services, c, EntryQuery()), AUDITOR, "audit.searched"),
    ("report_registry", lambda w, c, r: usecases.report_registry(w.services, c, r), AUDITOR, "audit.read"),
    ("client_registry", lambda w, c, _: usecases.client_registry(w.services, c, ABSENT), AUDITOR, "audit.read"),
    (
        "explain_to_auditor",
        lambda w, c, r: usecases.explain_to_auditor(w.services, c, r, ABSENT),
        AUDITOR,
        "audit.read",
    ),
    ("readers_on", lambda w, c, r: usecases.readers_on(w.services, c, r, NOW), AUDITOR, "audit.read"),
    ("show_entry", lambda w, c, _: usecases.show_entry(w.services, c, ABSENT), AUDITOR, "audit.read"),
    (
        "list_alerts",
        lambda w, c, _: usecases.list_alerts(w.services, c, usecases.AlertQuery()),
        AUDITOR,
        "alert.listed",
    ),
]
RELEASER = frozenset({Role.RELEASER})
DECIDED = {"grant": (), "refuse": ("no",), "revoke": ()}
DERIVING = RELEASER | frozenset({Role.CONTRIBUTOR})
WISH = OnwardWish("ESP", (), (), None, "the operation is theirs")
EVENT = "derivation.requested"
LESS = DerivationWish(Label("NATO", "RESTRICTED"), NOW, "a warning")
PROXY = ProxyWish("NOR", ABSENT, "cyber-threats", None, "a joint sensor")
LOWER = Downgrade(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
ERASED = usecases.Certificate("erased", 1)
USE_CASES += [
    (
        f"{act}_derivation",
        lambda w, c, _, do=f"{act}_derivation", said=said: getattr(usecases, do)(w.services, c, ABSENT, *said),
        RELEASER,
        f"derivation.{act.rstrip('e')}ed",
    )
    for act, said in DECIDED.items()
]
USE_CASES += [
    ("request_onward", lambda w, c, r: usecases.request_onward(w.services, c, r, WISH), READER, "onward.requested"),
    ("list_onward", lambda w, c, _: usecases.list_onward(w.services, c), READER | RELEASER, "onward.listed"),
    ("grant_onward", lambda w, c, _: usecases.grant_onward(w.services, c, ABSENT), RELEASER, "onward.granted"),
    ("refuse_onward", lambda w, c, _: usecases.refuse_onward(w.services, c, ABSENT, "no"), RELEASER, "onward.refused"),
    ("revoke_onward", lambda w, c, _: usecases.revoke_onward(w.services, c, ABSENT), RELEASER, "onward.revoked"),
    ("withdraw_onward", lambda w, c, _: usecases.withdraw_onward(w.services, c, ABSENT), READER, "onward.withdrawn"),
    (
        "withdraw_derivation",
        lambda w, c, _: usecases.withdraw_derivation(w.services, c, ABSENT),
        DERIVING,
        "derivation.withdrawn",
    ),
    ("request_derivation", lambda w, c, r: usecases.request_derivation(w.services, c, r, LESS), DERIVING, EVENT),
    ("list_derivations", lambda w, c, _: usecases.list_derivations(w.services, c), DERIVING, "derivation.listed"),
    ("list_caveats", lambda w, c, _: usecases.list_caveats(w.services, c), ANYONE, "caveats.listed"),
    ("show_caveats", lambda w, c, _: usecases.show_caveats(w.services, c, ABSENT), ANYONE, "caveats.read"),
    (
        "propose_caveats",
        lambda w, c, _: usecases.propose_caveats(w.services, c, no_court()),
        RELEASER,
        "caveats.proposed",
    ),
    ("withdraw_caveats", lambda w, c, _: usecases.withdraw_caveats(w.services, c), RELEASER, "caveats.proposed"),
    (
        "preview_caveats",
        lambda w, c, _: usecases.preview_caveats(w.services, c, no_court()),
        RELEASER,
        "caveats.checked",
    ),
    (
        "request_information",
        lambda w, c, _: usecases.request_information(w.services, c, w.wanted()),
        READER,
        "request.made",
    ),
    ("list_requests", lambda w, c, _: usecases.list_requests(w.services, c), READER | CONTRIBUTOR, "request.listed"),
    (
        "show_request",
        lambda w, c, _: usecases.show_request(w.services, c, ABSENT),
        READER | CONTRIBUTOR,
        "request.read",
    ),
    (
        "answer_request",
        lambda w, c, r: usecases.answer_request(w.services, c, ABSENT, r),
        CONTRIBUTOR,
        "request.answered",
    ),
    ("close_request", lambda w, c, _: usecases.close_request(w.services, c, ABSENT), READER, "request.closed"),
    ("withdraw_request", lambda w, c, _: usecases.withdraw_request(w.services, c, ABSENT), READER, "request.withdrawn"),
    (
        "amend_report",
        lambda w, c, r: usecases.amend_report(w.services, c, r, w.posted()),
        CONTRIBUTOR,
        "report.amended",
    ),
    (
        "downgrade_report",
        lambda w, c, r: usecases.downgrade_report(w.services, c, r, LOWER),
        RELEASER,
        "report.downgraded",
    ),
    ("recall_report", lambda w, c, r: usecases.recall_report(w.services, c, r, "because"), RELEASER, "report.recalled"),
    ("show_recall", lambda w, c, r: usecases.show_recall(w.services, c, r), RELEASER, "report.recall_read"),
    ("preview_recall", lambda w, c, r: usecases.preview_recall(w.services, c, r), RELEASER, "report.recall_read"),
    (
        "certify_destruction",
        lambda w, c, r: usecases.certify_destruction(w.services, c, r, ERASED),
        READER | RELEASER,
        "destruction.certified",
    ),
    (
        "list_destructions",
        lambda w, c, _: usecases.list_destructions(w.services, c),
        READER | RELEASER,
        "destruction.listed",
    ),
    ("ask_proxy", lambda w, c, _: usecases.ask_proxy(w.services, c, PROXY), RELEASER, "proxy.asked"),
    (
        "list_proxies",
        lambda w, c, _: usecases.list_proxies(w.services, c),
        RELEASER | frozenset({Role.CONTRIBUTOR}),
        "proxy.listed",
    ),
    ("revoke_proxy", lambda w, c, _: usecases.revoke_proxy(w.services, c, ABSENT), RELEASER, "proxy.revoked"),
    ("list_notices", lambda w, c, _: usecases.list_notices(w.services, c), READER, "notice.listed"),
    (
        "request_erasure",
        lambda w, c, _: usecases.request_erasure(w.services, c, WantedErasure(ABSENT, "2026-06", "asked for")),
        OPERATOR | AUDITOR,
        "personal.erasure_requested",
    ),
    (
        "show_erasure",
        lambda w, c, _: usecases.show_erasure(w.services, c, ABSENT),
        OPERATOR | AUDITOR,
        "personal.erasure_read",
    ),
    (
        "approve_erasure",
        lambda w, c, _: usecases.approve_erasure(w.services, c, ABSENT),
        OPERATOR | AUDITOR,
        "personal.erased",
    ),
]
QUEUES = {"list_subscriptions", "remove_subscription", "check_subscription", "list_deliveries", "replay_deliveries"}
"""What is on its way, and where it does not arrive, is the operator's to look after; it is told of no report."""

CHANGING = frozenset(
    {
        "add_subscription",
        "amend_report",
        "begin_upload",
        "certify_destruction",
        "downgrade_report",
        "enrol_client",
        "post_report",
        "propose_caveats",
        "recall_report",
        "request_information",
        "request_onward",
    }
)
"""What changes more than the log where it may be done: each of these needs a world of its own."""


def rows_of(are_meant: Callable[[str], bool]) -> dict[str, list[Any]]:
    """Return the rows of the use cases that are meant, as parameters and their ids."""
    rows = [row for row in USE_CASES if are_meant(row[0])]
    return {"argvalues": [row[1:] for row in rows], "ids": [row[0] for row in rows]}


ROWS = pytest.mark.parametrize(("act", "allowed", "event"), **rows_of(lambda _: True))


def token_of(world: World, name: str) -> str:
    return usecases.search_tokens(world.services).of_thumbprint(thumbprint_of(name))


def test_table_holds_every_use_case_that_a_client_can_call() -> None:
    named = {name for name in usecases.__all__ if name[0].islower()}
    not_for_clients = {
        "authenticate",
        "authenticated_row",
        "check_readiness",
        "close_record",
        "export_log",
        "heartbeats",
        "feed_log",
        "inspect_service",
        "personal_as_json",
        "personal_custody",
        "put_law_in_force",
        "read_entries",
        "record_refused_connections",
        "record_rejection",
        "record_service",
        "record_trust",
        "record_tampering",
        "reveal_personal",
        "search_tokens",
        "simulate_for_host",
    }

    assert {row[0] for row in USE_CASES} == named - not_for_clients


async def one_of_each_role(world: World) -> str:
    """Enrol a client for each role; return the id of a report."""
    for role in Role:
        await world.enrol(f"the {role.value}", "GBR", role.value)
    # One releaser alone lowers no higher one.
    return await world.post(label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR")))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def asked(
    request: pytest.FixtureRequest,
    populated_database: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[World, str]]:
    """A world with a client of each role that is asked and never changed, and the id of a report in it."""
    folder = tmp_path_factory.mktemp("asked")
    world = await reopen_world(populated_database(request.param, folder), folder)
    report = await one_of_each_role(world)
    before = kept_state(world)
    yield world, report
    await world.services.store.close()
    # A row that changes anything belongs among `CHANGING`: the next one would be asked in another world.
    assert kept_state(world) == before


@pytest.mark.parametrize(("act", "allowed", "event"), **rows_of(lambda name: name not in CHANGING))
@IN_ONE_WORLD
async def test_only_the_roles_of_the_table_pass(
    asked: tuple[World, str], act: Act, allowed: frozenset[Role], event: str
) -> None:
    await check_who_passes(*asked, act, allowed, event)


@pytest.mark.parametrize(("act", "allowed", "event"), **rows_of(lambda name: name in CHANGING))
async def test_only_the_roles_of_the_table_change_anything(
    make_lived: MakeLived, act: Act, allowed: frozenset[Role], event: str
) -> None:
    await check_who_passes(*await make_lived(one_of_each_role), act, allowed, event)


async def check_who_passes(world: World, report: str, act: Act, allowed: frozenset[Role], event: str) -> None:
    """Hold that of clients that have one role each those of `allowed` pass, and that every act left its entry."""
    for role in Role:
        name = f"the {role.value}"
        made = await world.attempt(act(world, world.call(name), report))

        is_refused = isinstance(made.error, ForbiddenError) and made.error.code == "role-missing"
        own_member_only = is_refused and event in {"member.suspended", "member.resumed"} and role is Role.OPERATOR
        assert is_refused == (role not in allowed) or own_member_only, role
        assert (made.entry["type"], made.entry["actor"]["id"]) == (event, world.clients[name].id)
        if is_refused:
            assert made.error is not None
            assert made.error.receipt.entry == made.entry["id"]
            assert (made.entry["decision"], made.entry["reasons"]) == ("refused", ["role-missing"])
