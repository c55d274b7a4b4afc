"""Agreements: proposed with every fault, seen by their parties only, moved by signatories and by the calendar."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from exchange import usecases
from exchange.agreements import AgreementState, PartyState, text_of
from exchange.kernel import ConflictError, InvalidError, NotFoundError, UnavailableError, new_id, rfc3339
from exchange.store.books.review_book import ReviewBook
from exchange.usecases import AgreementView, Call, Recorded, Services
from exchange.usecases.agreements.note_reviews import note_reviews
from tests.support.lived import IN_ONE_WORLD
from tests.support.treaty import sign_by_call
from tests.support.world import AGREEMENT, NOW, World

ABSENT = new_id(NOW, bytes)
FUTURE = AGREEMENT.replace("from: 2026-01-01", "from: 2026-07-01")
BILATERAL = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]")
Move = Callable[[Services, Call, str], Awaitable[Recorded[AgreementView]]]
MOVES: list[Move] = [
    sign_by_call,
    usecases.suspend_agreement,
    usecases.resume_agreement,
    usecases.withdraw_agreement,
]


async def proposed(world: World, text: str = AGREEMENT) -> str:
    recorded = await usecases.propose_agreement(world.services, world.call(None), text)
    return recorded.value.agreement.id


async def state(world: World, agreement_id: str) -> AgreementState:
    return (await usecases.show_agreement(world.services, world.call(None), agreement_id)).value.state


@pytest.mark.parametrize("caller", [None, "operator", "NOR signatory"])
async def test_host_operators_and_parties_propose(populated: World, caller: str | None) -> None:
    made = await populated.attempt(usecases.propose_agreement(populated.services, populated.call(caller), AGREEMENT))

    view = made.value.value
    assert (view.state, view.agreement.version) == (AgreementState.DRAFT, 1)
    assert {party.state for party in view.agreement.parties} == {PartyState.PENDING}
    assert (made.entry["type"], made.entry["decision"]) == ("agreement.proposed", "permitted")
    assert made.entry["object"] == {"type": "agreement", "id": view.agreement.id, "version": 1}
    text = text_of(view.agreement)
    detail = made.entry["detail"]
    assert {**detail, "canonical": "".join(detail["canonical"])} == {
        "state": "draft",
        "parties": ["GBR", "NOR", "DNK"],
        "edition": 1,
        "text": text.digest,
        "canonical": text.canonical.decode(),
    }
    rows = populated.sql("SELECT proposed_by FROM agreement WHERE id = $1", view.agreement.id)
    assert rows == [(None if caller is None else populated.clients[caller].id,)]


async def test_what_a_client_proposed_and_nobody_else_signed_is_bounded(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.agreements.agreements.MOST_UNANSWERED", 2)
    call, services = populated.call, populated.services

    async def propose(name: str | None = "GBR signatory") -> str | None:
        made = await populated.attempt(usecases.propose_agreement(services, call(name), AGREEMENT))
        return made.value.value.agreement.id if made.error is None else made.error.code

    first, second = await propose(), await propose()
    assert first is not None
    assert second is not None
    await sign_by_call(services, call("GBR signatory"), first)
    assert await propose() == "too-many-waiting"
    assert {len(await propose(other) or "") for other in ("NOR signatory", "operator", None)} == {len(ABSENT)}
    # Nor do all clients of one member together fill what everybody reads.
    await populated.enrol("GBR deputy", "GBR", "signatory")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("exchange.usecases.agreements.agreements.MOST_UNANSWERED_OF_MEMBER", 2)
        assert await propose("GBR deputy") == "too-many-waiting"
    assert await propose("GBR deputy") != "too-many-waiting"

    # Another member's signature is an answer.
    await sign_by_call(services, call("NOR signatory"), first)
    third = await propose()
    assert third != "too-many-waiting"
    # To withdraw makes room, and not at once: what is withdrawn is seen by the others too.
    await usecases.withdraw_agreement(services, call("GBR signatory"), second)
    assert await propose() == "too-many-waiting"
    populated.clock.now += timedelta(days=1, seconds=1)
    assert await propose() != "too-many-waiting"


async def test_agreement_is_the_same_from_yaml_and_json(populated: World) -> None:
    document = yaml.safe_load(AGREEMENT.replace("2026-01-01", "'2026-01-01'").replace("2030-12-31", "'2030-12-31'"))
    from_json = await usecases.propose_agreement(populated.services, populated.call(None), document)
    from_text = await usecases.propose_agreement(populated.services, populated.call(None), AGREEMENT)

    assert from_json.value.agreement.terms == from_text.value.agreement.terms


async def test_faults_of_a_file_have_lines_and_all_are_named(populated: World) -> None:
    text = (
        AGREEMENT.replace("policy: NATO", "policy: SECRETLAND")
        .replace("[cyber]", "[nonsense]")
        .replace("ATOMAL", "NOSUCH")
        .replace("parties: [GBR", "parties: [FIN")
    )
    made = await populated.attempt(usecases.propose_agreement(populated.services, populated.call(None), text))

    assert isinstance(made.error, InvalidError)
    found = {(fault.line, fault.pointer) for fault in made.error.faults}
    assert {(2, "/parties/0"), (3, "/policy"), (7, "/scopes/0/topics/0")} <= found
    assert (made.entry["type"], made.entry["decision"]) == ("agreement.proposed", "refused")
    assert set(made.entry["detail"]["codes"]) == {fault.code for fault in made.error.faults}


async def test_what_is_no_agreement_is_refused_and_recorded(populated: World, subtests: pytest.Subtests) -> None:
    for text in ("", "]", "{", "- 1", "title: x\ntitle: y", "\x00", "&a [*a]", "title: !!python/object:os.system x"):
        made = await populated.attempt(usecases.propose_agreement(populated.services, populated.call(None), text))

        with subtests.test(text=text):
            assert isinstance(made.error, InvalidError)
            assert made.entry["decision"] == "refused"
    assert len(await populated.services.store.agreements()) == 1


async def test_compartments_of_an_unknown_policy_are_unknown(populated: World) -> None:
    document = {**yaml.safe_load(AGREEMENT), "policy": "NOWHERE"}
    made = await populated.attempt(usecases.propose_agreement(populated.services, populated.call(None), document))

    assert isinstance(made.error, InvalidError)


async def test_nobody_proposes_for_others(populated: World) -> None:
    made = await populated.attempt(
        usecases.propose_agreement(populated.services, populated.call("ESP signatory"), AGREEMENT)
    )

    assert isinstance(made.error, InvalidError)
    assert [(fault.pointer, fault.code) for fault in made.error.faults] == [("/parties", "not-a-party")]
    assert made.entry["detail"] == {"codes": ["not-a-party"]}
    assert len(await populated.services.store.agreements()) == 1


async def test_operator_of_a_member_proposes_its_own_agreements_only(populated: World) -> None:
    await populated.enrol("ESP operator", "ESP", "operator")
    made = await populated.attempt(
        usecases.propose_agreement(populated.services, populated.call("ESP operator"), AGREEMENT)
    )

    assert isinstance(made.error, InvalidError)


@pytest.mark.parametrize(
    ("caller", "sees"),
    [
        (None, True),
        ("operator", True),
        ("GBR reader", True),
        ("DNK signatory", True),
        ("ESP signatory", False),
        ("ESP reader", False),
        ("auditor", False),
    ],
)
@IN_ONE_WORLD
async def test_only_parties_see_an_agreement(unchanged: World, caller: str | None, sees: bool) -> None:
    services, call = unchanged.services, unchanged.call(caller)
    listed = await unchanged.attempt(usecases.list_agreements(services, call))
    shown = await unchanged.attempt(usecases.show_agreement(services, call, unchanged.agreement_id))
    absent = await unchanged.attempt(usecases.show_agreement(services, call, ABSENT))

    assert [view.agreement.id for view in listed.value.value] == ([unchanged.agreement_id] if sees else [])
    assert (listed.entry["type"], listed.entry["decision"]) == ("agreement.listed", "permitted")
    assert (shown.error is None) is sees
    assert isinstance(absent.error, NotFoundError)
    if not sees:
        assert (type(shown.error), str(shown.error)) == (NotFoundError, str(absent.error))
        assert shown.entry["object"] == {"type": "agreement", "id": unchanged.agreement_id}
    assert shown.entry["decision"] == ("permitted" if sees else "refused")


async def test_id_that_is_none_is_answered_like_an_absent_one(populated: World, subtests: pytest.Subtests) -> None:
    ids = ("", "1", "\x00", ABSENT.upper(), "\ud800")
    for act, agreement_id in itertools.product((usecases.show_agreement, *MOVES), ids):
        made = await populated.attempt(act(populated.services, populated.call("GBR signatory"), agreement_id))

        with subtests.test(act.__name__, agreement_id=agreement_id):
            assert isinstance(made.error, NotFoundError)
            assert made.entry["object"] == {"type": "agreement", "id": "malformed"}


@pytest.mark.parametrize("move", MOVES)
@IN_ONE_WORLD
async def test_signatory_of_another_member_moves_nothing(unchanged: World, move: Move) -> None:
    made = await unchanged.attempt(move(unchanged.services, unchanged.call("ESP signatory"), unchanged.agreement_id))

    assert isinstance(made.error, NotFoundError)
    assert made.entry["decision"] == "refused"
    assert (await unchanged.services.store.agreement(unchanged.agreement_id)).version == 4  # type: ignore[union-attr]  # it stands


async def test_agreement_is_in_force_with_the_last_signature(populated: World) -> None:
    agreement_id = await proposed(populated)
    states = []
    for member in ("GBR", "DNK", "NOR"):
        made = await populated.attempt(
            sign_by_call(populated.services, populated.call(f"{member} signatory"), agreement_id)
        )
        states.append(made.value.value.state)

        assert (made.entry["type"], made.entry["decision"]) == ("agreement.signed", "permitted")
        assert made.entry["member"] == member
        assert made.entry["detail"]["state"] == states[-1].value
    assert states == [AgreementState.DRAFT, AgreementState.DRAFT, AgreementState.IN_FORCE]


async def test_agreement_comes_into_force_and_expires_by_itself(populated: World) -> None:
    agreement_id = await populated.agree(FUTURE)
    seen = []
    for moment in (
        NOW,
        datetime(2026, 6, 30, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
        datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2031, 1, 1, tzinfo=UTC),
    ):
        populated.clock.now = moment
        seen.append(await state(populated, agreement_id))

    assert [each.value for each in seen] == ["signed", "signed", "in_force", "in_force", "expired"]


async def test_first_and_last_day_hold_on_every_node_whatever_it_remembers(populated: World) -> None:
    await populated.agree(
        AGREEMENT.replace("from: 2026-01-01, until: 2030-12-31", "from: 2026-07-01, until: 2026-07-31")
    )

    async def post(services: usecases.Services) -> str:
        made = await usecases.post_report(services, populated.call("GBR contributor"), populated.posted())
        return made.value.report_id

    async with populated.another_node() as other:
        nodes = (populated.services, other)
        populated.clock.now = datetime(2026, 6, 30, 23, 59, 59, 999999, tzinfo=UTC)
        for node in nodes:
            with pytest.raises(ConflictError):
                await post(node)
        populated.clock.now = datetime(2026, 7, 1, tzinfo=UTC)
        reports = [await post(node) for node in nodes]
        populated.clock.now = datetime(2026, 7, 31, 23, 59, 59, 999999, tzinfo=UTC)
        for node in nodes:
            for report in reports:
                await usecases.pull_report(node, populated.call("NOR reader"), report)
        populated.clock.now = datetime(2026, 8, 1, tzinfo=UTC)

        for node in nodes:
            with pytest.raises(ConflictError):
                await post(node)
            for report in reports:
                with pytest.raises(NotFoundError):
                    await usecases.pull_report(node, populated.call("NOR reader"), report)
            listed = await usecases.list_reports(node, populated.call("NOR reader"), usecases.ListQuery())
            assert listed.value.items == []


async def test_party_suspends_and_resumes_its_own_part(populated: World) -> None:
    services, agreement_id = populated.services, populated.agreement_id
    call = populated.call("NOR signatory")
    suspended = await populated.attempt(usecases.suspend_agreement(services, call, agreement_id))
    resumed = await populated.attempt(usecases.resume_agreement(services, call, agreement_id))

    assert suspended.value.value.state is AgreementState.IN_FORCE
    standing = {party.member: party.state.value for party in suspended.value.value.agreement.parties}
    assert standing == {"GBR": "signed", "NOR": "suspended", "DNK": "signed"}
    assert suspended.entry["type"] == "agreement.suspended"
    assert resumed.entry["type"] == "agreement.resumed"
    assert {party.state for party in resumed.value.value.agreement.parties} == {PartyState.SIGNED}


async def test_agreement_of_two_is_suspended_by_one_and_ended_by_its_withdrawal(populated: World) -> None:
    agreement_id = await populated.agree(
        BILATERAL.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]"), signatories=("GBR", "NOR")
    )
    call = populated.call("NOR signatory")
    suspended = await usecases.suspend_agreement(populated.services, call, agreement_id)
    withdrawn = await populated.attempt(usecases.withdraw_agreement(populated.services, call, agreement_id))

    assert suspended.value.state is AgreementState.SUSPENDED
    # Bound until the notice has passed, whatever becomes of it; then it ends by itself.
    assert withdrawn.value.value.state is AgreementState.SUSPENDED
    leaves_at = NOW + timedelta(days=90)
    assert (withdrawn.entry["type"], withdrawn.entry["detail"]["leaves_at"]) == (
        "agreement.withdrawn",
        rfc3339(leaves_at),
    )
    states = []
    for moment in (leaves_at - timedelta(seconds=1), leaves_at):
        populated.clock.now = moment
        shown = await usecases.show_agreement(populated.services, populated.call("GBR reader"), agreement_id)
        states.append(shown.value.state)
    assert states == [AgreementState.SUSPENDED, AgreementState.WITHDRAWN]


async def test_leaver_reads_and_posts_until_its_notice_has_passed_and_not_after_on_any_node(populated: World) -> None:
    report = await populated.post()
    await usecases.withdraw_agreement(populated.services, populated.call("NOR signatory"), populated.agreement_id)
    leaves_at = NOW + timedelta(days=90)
    async with populated.another_node() as other:
        for services in (populated.services, other):
            call = populated.call("NOR reader", at=leaves_at - timedelta(seconds=1))
            assert (await usecases.pull_report(services, call, report)).value.parts
        for services in (populated.services, other):
            with pytest.raises(NotFoundError):
                await usecases.pull_report(services, populated.call("NOR reader", at=leaves_at), report)
            listed = await usecases.list_reports(
                services, populated.call("NOR reader", at=leaves_at), usecases.ListQuery()
            )
            assert listed.value.items == []
            with pytest.raises(ConflictError):
                await usecases.post_report(
                    services, populated.call("NOR contributor", at=leaves_at), populated.posted()
                )


async def test_review_is_noted_once_when_it_falls_due(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object, **__: object) -> None:
        raise UnavailableError("the archive is away")

    assert await note_reviews(populated.services) == 0
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    populated.clock.now = datetime(2028, 1, 1, tzinfo=UTC)
    made = await populated.attempt(note_reviews(populated.services))
    again = await populated.attempt(note_reviews(populated.services))

    assert (made.value, again.entries) == (1, [])
    assert made.entry["type"] == "agreement.review_due"
    # Who has left by its notice, though the text names it still, and its auditors, are told of nothing since.
    assert made.entry["detail"] == {"parties": ["GBR", "NOR"], "due": "2028-01-01"}
    populated.clock.now = datetime(2030, 6, 1, tzinfo=UTC)
    # Beside it, somebody wrote beforehand that the next one was noted too.
    populated.sql("INSERT INTO agreement_review SELECT agreement_id, '2030-01-01', entry_id FROM agreement_review")
    with monkeypatch.context() as away:
        away.setattr("exchange.usecases.agreements.note_reviews.told_until_now", raising)
        assert await note_reviews(populated.services) == 0
    later, again = [await populated.attempt(note_reviews(populated.services)) for _ in range(2)]
    assert (later.entry["detail"]["due"], again.entries) == ("2030-01-01", [])


async def test_review_that_another_node_has_noted_meanwhile_is_noted_by_that_one_alone(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    populated.clock.now = datetime(2028, 1, 1, tzinfo=UTC)
    await note_reviews(populated.services)

    async def not_yet(_: ReviewBook) -> dict[object, object]:
        return {}

    monkeypatch.setattr(ReviewBook, "noted", not_yet)
    later = await populated.attempt(note_reviews(populated.services))

    assert (later.error, later.entries) == (None, [])


@pytest.mark.parametrize("move", [sign_by_call, usecases.resume_agreement])
async def test_move_that_the_state_does_not_allow_conflicts_and_is_recorded(populated: World, move: Move) -> None:
    made = await populated.attempt(move(populated.services, populated.call("NOR signatory"), populated.agreement_id))

    assert isinstance(made.error, ConflictError)
    assert (made.entry["decision"], made.entry["detail"]) == ("refused", {"codes": ["conflict"]})
    assert made.error.receipt.entry == made.entry["id"]


async def test_all_parties_may_sign_at_once_on_several_nodes(populated: World) -> None:
    async with populated.another_node() as second:
        nodes = {"GBR": populated.services, "NOR": second, "DNK": populated.services}
        for _ in range(5):
            agreement_id = await proposed(populated)
            await asyncio.gather(
                *(
                    sign_by_call(services, populated.call(f"{member} signatory"), agreement_id)
                    for member, services in nodes.items()
                )
            )

            assert await state(populated, agreement_id) is AgreementState.IN_FORCE


async def test_signature_before_the_clock_of_another_node_counts_from_its_moment(populated: World) -> None:
    agreement_id = await proposed(populated)
    ahead = {"GBR": NOW, "NOR": NOW, "DNK": NOW + timedelta(seconds=2)}
    for member, moment in ahead.items():
        call = replace(populated.call(f"{member} signatory"), now=moment)
        await sign_by_call(populated.services, call, agreement_id)

    assert await state(populated, agreement_id) is AgreementState.DRAFT
    populated.clock.advance(timedelta(seconds=2))
    assert await state(populated, agreement_id) is AgreementState.IN_FORCE
