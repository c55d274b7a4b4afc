"""A member proves and argues what it was bound to, for its own time: nothing from before it acceded or after it left."""

import json
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.agreements import AgreementState, MatterKind, amended, text_of, verify_texts
from exchange.kernel import ConflictError, InvalidError, NotFoundError
from exchange.markings import Label
from exchange.store import ProxyWish
from exchange.usecases import CrisisWish, GapQuestion, NewMatter
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.treaty import NOTHING_SIGNED, signed, signing_key
from tests.support.world import AGREEMENT, World, thumbprint_of
from tests.usecases.test_amending import proposed, signs, takes_back

CRISIS = """\
crisis:
  - {name: storm-watch, scope: cyber-threats, ceiling: TOP SECRET, at_most: PT72H,
     signatories: [{member: GBR, name: GBR signatory}, {member: NOR, name: NOR signatory}]}
"""
IN_ITS_PLACE = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR, ESP]") + CRISIS
NEVER_PROPOSED = None
AGAIN = IN_ITS_PLACE.replace("ceiling: SECRET", "ceiling: CONFIDENTIAL")


async def amend(world: World, text: str, *members: str) -> None:
    call = world.call("GBR signatory")
    view = (await usecases.propose_amendment(world.services, call, world.agreement_id, text)).value
    for member in members:
        name = f"{member} signatory"
        client, key = world.clients[name], signing_key(thumbprint_of(name))
        given = signed(amended(view.agreement, view.amendment.terms, world.clock.now), client, key)
        await usecases.sign_agreement(world.services, world.call(name), world.agreement_id, given)


async def through_three_texts(world: World) -> None:
    """GBR and NOR stay through three texts; DNK leaves with the second one, ESP accedes with it."""
    world.agreement_id = await world.agree(AGREEMENT + CRISIS)
    await crisis(world)
    await amend(world, IN_ITS_PLACE, "GBR", "NOR", "DNK", "ESP")
    await crisis(world)
    await amend(world, AGAIN, "GBR", "NOR", "ESP")


@pytest.fixture
async def moved(make_lived: MakeLived) -> World:
    return (await make_lived(through_three_texts))[0]


async def crisis(world: World, second: str = "NOR") -> None:
    wish = CrisisWish("storm-watch", "a cable was cut")
    act = (await usecases.ask_for_crisis(world.services, world.call("GBR signatory"), world.agreement_id, wish)).value
    await usecases.confirm_act(world.services, world.call(f"{second} signatory"), act.id, act.digest)


async def evidence(world: World, name: str | None) -> usecases.AgreementEvidence:
    return (await usecases.export_agreement(world.services, world.call(name), world.agreement_id)).value


@pytest.mark.parametrize(
    ("name", "editions"),
    [
        ("GBR reader", [1, 2, 3]),
        ("DNK reader", [1, 2]),
        ("ESP reader", [2, 3]),
        ("operator", [1, 2, 3]),
        (None, [1, 2, 3]),
    ],
)
@IN_ONE_WORLD
async def test_evidence_is_of_the_texts_that_name_the_member_and_verifies(
    share_lived: MakeLived, name: str | None, editions: list[int]
) -> None:
    moved, _ = await share_lived(through_three_texts)
    found = await evidence(moved, name)
    findings = verify_texts(found.texts, {each.key.key_id: each for each in found.keys})

    assert [each.text.edition for each in found.texts] == editions
    assert all(each.is_good for each in findings)
    left_out = [each.told for each in findings if "does not hold" in each.told]
    assert len(left_out) == (name == "ESP reader")
    assert {signature.member for each in found.texts for signature in each.signatures} >= {"GBR", "NOR"}


async def test_entry_of_a_leavers_export_names_nobody_of_later_texts(moved: World) -> None:
    made = await moved.attempt(usecases.export_agreement(moved.services, moved.call("DNK reader"), moved.agreement_id))
    newest = text_of(await moved.services.store.agreement(moved.agreement_id))  # type: ignore[arg-type]  # there

    assert made.entry["detail"]["parties"] == ["DNK"]
    assert newest.digest not in str(made.entry)


async def test_acceded_member_is_told_of_no_crisis_or_amendment_from_before(moved: World) -> None:
    await moved.enrol("outsider", "ESP", "reader")

    async def told(member: str) -> tuple[list[int], list[int]]:
        uses = await usecases.list_crises(moved.services, moved.call(f"{member} reader"), moved.agreement_id)
        call = moved.call(f"{member} signatory")
        proposed = await usecases.list_amendments(moved.services, call, moved.agreement_id)
        return sorted(each.crisis.edition for each in uses.value.uses), [each.edition for each in proposed.value]

    assert await told("GBR") == ([1, 2], [2, 3])
    assert await told("ESP") == ([2], [2, 3])


async def test_amendment_that_lost_before_a_member_acceded_is_neither_shown_nor_counted_to_it(populated: World) -> None:
    lost = await proposed(populated, AGREEMENT.replace("ceiling: SECRET", "ceiling: RESTRICTED"))
    await amend(populated, IN_ITS_PLACE, "GBR", "NOR", "DNK", "ESP")

    async def shown(member: str) -> list[int]:
        call = populated.call(f"{member} signatory")
        found = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
        return [each.amendment.number for each in found]

    assert [await shown(member) for member in ("GBR", "ESP")] == [[1, 2], [1]]
    made = await populated.attempt(proposed(populated, AGAIN, by="ESP signatory"))
    assert (made.value.amendment.number, "number" in made.entry["detail"]) == (2, False)
    assert [await shown(member) for member in ("GBR", "ESP")] == [[1, 2, 3], [1, 2]]
    for member in ("GBR", "NOR", "ESP"):
        await signs(populated, made.value, member)
    (entry, *_) = reversed([each for each in await populated.entries() if each["type"] == "agreement.amended"])
    assert "number" not in entry["detail"]
    assert await signed_as(populated, lost, "ESP") == await signed_as(populated, NEVER_PROPOSED, "ESP")
    assert await signed_as(populated, lost, "GBR") == "amendment-overtaken"


async def signed_as(world: World, view: Any, member: str) -> str:
    """Return as what the signature of a member under a text is refused; `NEVER_PROPOSED`: under none."""
    name = f"{member} signatory"
    client, key = world.clients[name], signing_key(thumbprint_of(name))
    given = NOTHING_SIGNED
    if view is not NEVER_PROPOSED:
        given = signed(amended(view.agreement, view.amendment.terms, world.clock.now), client, key)
    with pytest.raises(ConflictError) as refused:
        await usecases.sign_agreement(world.services, world.call(name), world.agreement_id, given)
    return refused.value.code


@pytest.mark.parametrize(("older", "reads"), [("", False), ("older_reports: included\n", True)])
async def test_who_comes_back_reads_nothing_of_its_absence_unless_the_text_says_so(
    populated: World, older: str, reads: bool
) -> None:
    leaving = AGREEMENT.replace("P90D, shared_reports: recalled", "PT0S, shared_reports: kept") + CRISIS
    await populated.agree(leaving)
    for_all = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(hours=1))
    away = await populated.post(label=for_all)
    without = leaving.replace("[GBR, NOR, DNK]", "[GBR, NOR]")
    call = populated.call("GBR signatory")
    await usecases.propose_amendment(populated.services, call, populated.agreement_id, without)
    await crisis(populated)
    populated.clock.advance(timedelta(hours=1))
    await amend(populated, leaving.replace("P5Y", "P4Y") + older, "GBR", "NOR", "DNK")
    since = await populated.post(label=for_all)

    async with populated.another_node() as other:
        found = (await usecases.list_reports(other, populated.call("DNK reader"), usecases.ListQuery())).value.items
    listed = [json.loads(item)["id"] for item in found]
    assert listed == ([away, since] if reads else [since])
    uses = await usecases.list_crises(populated.services, populated.call("DNK reader"), populated.agreement_id)
    call = populated.call("DNK signatory")
    proposed = await usecases.list_amendments(populated.services, call, populated.agreement_id)
    assert (len(uses.value.uses), len(proposed.value)) == (0, 1)
    # Who stayed lost nothing.
    for name in ("GBR reader", "NOR reader"):
        assert (await usecases.pull_report(populated.services, populated.call(name), away)).value.parts


@pytest.mark.parametrize("how", ["by notice", "with a text"])
@pytest.mark.parametrize(("older", "reads"), [("", False), ("older_reports: included\n", True)])
async def test_what_a_member_shared_before_it_left_is_given_again_where_the_text_says_so(
    populated: World, how: str, older: str, reads: bool
) -> None:
    leaving = AGREEMENT.replace("P90D, shared_reports: recalled", "PT0S, shared_reports: kept")
    await populated.agree(leaving)
    for_all = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
    others = await populated.post(label=for_all)
    report = await populated.post("NOR contributor", label=for_all)
    if how == "by notice":
        call = populated.call("NOR signatory")
        await usecases.withdraw_agreement(populated.services, call, populated.agreement_id)
    else:
        without = leaving.replace("contributors: [GBR, NOR]", "contributors: [GBR]").replace(", NOR", "")
        await amend(populated, without, "GBR", "NOR", "DNK")
    populated.clock.advance(timedelta(hours=1))
    assert await who_reads(populated, report) == []
    await amend(populated, leaving.replace("P5Y", "P4Y") + older, "GBR", "NOR", "DNK")
    since = await populated.post("NOR contributor", label=for_all)

    everybody = ["GBR reader", "NOR reader", "DNK reader"]
    assert await who_reads(populated, report) == (everybody if reads else ["NOR reader"])
    assert await who_reads(populated, since) == everybody
    # Who stayed shares what it shared.
    assert "GBR reader" in await who_reads(populated, others)
    assert "DNK reader" in await who_reads(populated, others)


async def who_reads(world: World, report: str) -> list[str]:
    found = []
    for name in ("GBR reader", "NOR reader", "DNK reader"):
        made = await world.attempt(usecases.pull_report(world.services, world.call(name), report))
        found += [] if isinstance(made.error, NotFoundError) else [name]
    return found


async def test_acceded_member_is_shown_no_promise_of_a_text_from_before(populated: World) -> None:
    owing = "obligations:\n  - {party: GBR, scope: cyber-threats, report_every: P1D}"
    populated.agreement_id = await populated.agree(AGREEMENT.replace("obligations: []", owing))
    populated.clock.advance(timedelta(days=5, hours=1))
    await amend(populated, IN_ITS_PLACE.replace("obligations: []", owing), "GBR", "NOR", "DNK", "ESP")
    populated.clock.advance(timedelta(hours=1))

    async def missed(member: str) -> tuple[int, bool]:
        call = populated.call(f"{member} reader")
        parties = (await usecases.show_compliance(populated.services, call, populated.agreement_id)).value.parties
        rhythm = next(each for each in parties if each.member == "GBR").scopes[0].rhythm
        assert rhythm is not None
        return rhythm.missed, rhythm.is_overdue

    assert await missed("NOR") == (0, True)
    assert await missed("ESP") == (0, False)


async def test_who_left_with_a_text_finds_no_agreement_and_argues_about_its_own_time(moved: World) -> None:
    services, agreement_id = moved.services, moved.agreement_id

    async def opened(by: str, *members: str) -> Any:
        new = NewMatter(MatterKind.DISPUTE, "you owe us reports", members)
        return (await usecases.open_consultation(services, moved.call(f"{by} signatory"), agreement_id, new)).value

    async def known(member: str) -> list[str]:
        found = await usecases.list_consultations(services, moved.call(f"{member} signatory"), agreement_id)
        return [each.id for each in found.value]

    with pytest.raises(NotFoundError):
        await usecases.show_agreement(services, moved.call("DNK signatory"), agreement_id)
    by_leaver, with_leaver, to_all = await opened("DNK", "NOR"), await opened("GBR", "DNK"), await opened("DNK")
    for by, other in (("DNK", "ESP"), ("ESP", "DNK")):
        with pytest.raises(InvalidError):
            await opened(by, other)

    assert set(await known("NOR")) == {by_leaver.id, to_all.id}
    assert set(await known("DNK")) == {by_leaver.id, with_leaver.id, to_all.id}
    assert (to_all.members, await known("ESP")) == (("GBR", "NOR", "DNK"), [])
    await usecases.settle_consultation(services, moved.call("NOR signatory"), by_leaver.id, "paid")
    done = await usecases.settle_consultation(services, moved.call("DNK signatory"), by_leaver.id, "paid")
    assert done.value.state.value == "settled"
    breaches = await usecases.list_breaches(services, moved.call("DNK signatory"), agreement_id)
    assert breaches.value.rows == ()


async def test_who_left_by_notice_sees_the_agreement_as_it_stood_then(populated: World) -> None:
    services, agreement_id = populated.services, populated.agreement_id
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement_id)
    populated.clock.advance(timedelta(days=91))
    await usecases.suspend_agreement(services, populated.call("NOR signatory"), agreement_id)

    async def states(name: str) -> tuple[AgreementState, list[str]]:
        shown = (await usecases.show_agreement(services, populated.call(name), agreement_id)).value
        (listed,) = (await usecases.list_agreements(services, populated.call(name))).value
        assert listed == shown
        return shown.state, [party.standing(populated.clock.now).value for party in shown.agreement.parties]

    assert await states("GBR reader") == (AgreementState.SUSPENDED, ["signed", "suspended", "withdrawn"])
    assert await states("DNK reader") == (AgreementState.IN_FORCE, ["signed", "signed", "withdrawn"])
    assert len((await evidence(populated, "DNK reader")).texts) == 1


async def test_who_left_by_notice_is_told_of_no_state_since_by_what_it_tries(populated: World) -> None:
    services, agreement_id = populated.services, populated.agreement_id
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement_id)
    populated.clock.advance(timedelta(days=91))

    async def told() -> list[str]:
        signatory, found = populated.call("DNK signatory"), []
        for attempt in (
            usecases.post_report(services, populated.call("DNK contributor"), populated.posted()),
            usecases.suspend_agreement(services, signatory, agreement_id),
            usecases.resume_agreement(services, signatory, agreement_id),
            usecases.withdraw_agreement(services, signatory, agreement_id),
        ):
            with pytest.raises(ConflictError) as refused:
                await attempt
            found.append(f"{refused.value.code}: {refused.value.message}")
        return found

    before = await told()
    view = await proposed(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]"))
    assert await signed_as(populated, view, "DNK") == await signed_as(populated, NEVER_PROPOSED, "DNK")
    await usecases.suspend_agreement(services, populated.call("NOR signatory"), agreement_id)

    assert await told() == before
    assert before[0] == "agreement-not-in-force: your member has left the agreement"


async def test_who_left_by_notice_is_told_by_nothing_of_a_text_that_the_others_concluded_since(
    populated: World,
) -> None:
    services, agreement_id = populated.services, populated.agreement_id
    await populated.enrol("DNK releaser", "DNK", "releaser")
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement_id)
    populated.clock.advance(timedelta(days=91))
    signatory, reader = populated.call("DNK signatory"), populated.call("DNK reader")
    wish = ProxyWish("GBR", agreement_id, "cyber-threats", None, "we have no line")

    async def told() -> list[object]:
        found: list[object] = []
        for attempt in (
            usecases.show_agreement(services, signatory, agreement_id),
            usecases.list_agreements(services, signatory),
            usecases.list_crises(services, reader, agreement_id),
            usecases.list_amendments(services, signatory, agreement_id),
            usecases.search_gaps(services, reader, GapQuestion()),
            usecases.suspend_agreement(services, signatory, agreement_id),
            usecases.withdraw_agreement(services, signatory, agreement_id),
            usecases.propose_amendment(services, signatory, agreement_id, AGAIN),
            usecases.post_report(services, populated.call("DNK contributor"), populated.posted()),
            usecases.ask_proxy(services, populated.call("DNK releaser"), wish),
        ):
            made = await populated.attempt(attempt)
            about = {name: made.entry.get(name) for name in ("object", "detail", "agreement")}
            found.append((made.value.value if made.error is None else str(made.error), about))
        compliance = (await usecases.show_compliance(services, reader, agreement_id)).value
        return [*found, compliance.parties, compliance.agreement.terms]

    before = await told()
    await amend(populated, IN_ITS_PLACE, "GBR", "NOR", "ESP")
    assert await told() == before
    await crisis(populated)
    await usecases.suspend_agreement(services, populated.call("NOR signatory"), agreement_id)

    assert await told() == before


async def test_who_left_by_notice_signs_no_text_that_the_others_overtook(populated: World) -> None:
    services, agreement_id = populated.services, populated.agreement_id
    view = await proposed(populated, AGREEMENT.replace("P5Y", "P4Y"))
    for member in ("GBR", "NOR"):
        await signs(populated, view, member)
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement_id)
    populated.clock.advance(timedelta(days=91))
    await amend(populated, IN_ITS_PLACE, "GBR", "NOR", "ESP")
    with pytest.raises(ConflictError) as refused:
        await signs(populated, view, "DNK")
    (shown,) = (await usecases.list_amendments(services, populated.call("DNK signatory"), agreement_id)).value

    assert refused.value.code == "amendment-overtaken"
    assert (shown.amendment.text, shown.state, shown.changes) == (view.amendment.text, "overtaken", ())


@pytest.mark.parametrize("is_by_notice", [True, False])
async def test_who_left_is_explained_its_reports_by_nothing_that_the_others_did_since(
    populated: World, *, is_by_notice: bool
) -> None:
    services = populated.services
    await populated.enrol("NOR auditor", "NOR", "auditor")
    clause = CRISIS.replace("at_most", "readers: [DNK], older_reports: included, at_most").replace("NOR", "DNK")
    text = AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]") + clause
    agreement_id = await populated.agree(text)
    report = await populated.post("NOR contributor", label=Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR")))
    if is_by_notice:
        await usecases.withdraw_agreement(services, populated.call("NOR signatory"), agreement_id)
    else:
        await amend(
            populated, text.replace("GBR, NOR, DNK", "GBR, DNK").replace("GBR, NOR", "GBR"), "GBR", "NOR", "DNK"
        )
    populated.clock.advance(timedelta(days=91))

    async def told() -> list[object]:
        auditor, own = populated.call("NOR auditor"), populated.call("NOR contributor")
        asked = [populated.clients[f"{member} reader"].id for member in ("DNK", "ESP", "NOR")]
        attempts = [usecases.explain_to_auditor(services, auditor, report, each) for each in asked]
        made = [await populated.attempt(each) for each in (*attempts, usecases.explain_report(services, own, report))]
        return [each.value.value if each.error is None else str(each.error) for each in made]

    before = await told()
    await usecases.suspend_agreement(services, populated.call("DNK signatory"), agreement_id)
    assert await told() == before
    await usecases.resume_agreement(services, populated.call("DNK signatory"), agreement_id)
    await crisis(populated, "DNK")
    assert await told() == before
    others = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, DNK, ESP]").replace("rs: [GBR, NOR]", "rs: [GBR]")
    await amend(populated, others, "GBR", "DNK", "ESP")

    assert await told() == before


async def test_stranger_has_no_evidence_and_neither_has_who_was_only_invited(populated: World) -> None:
    view = usecases.propose_amendment
    await view(populated.services, populated.call("GBR signatory"), populated.agreement_id, IN_ITS_PLACE)

    for agreement_id in (populated.agreement_id, "malformed"):
        with pytest.raises(NotFoundError, match="none that you may see"):
            await usecases.export_agreement(populated.services, populated.call("ESP signatory"), agreement_id)


@pytest.mark.parametrize("is_taken_back", [False, True])
async def test_who_left_by_its_notice_is_shown_no_text_that_the_others_concluded_then(
    populated: World, *, is_taken_back: bool
) -> None:
    view = await proposed(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]"))
    await signs(populated, view, "DNK")
    if is_taken_back:
        await takes_back(populated, view, "DNK")
    call = populated.call("DNK signatory")
    await usecases.withdraw_agreement(populated.services, call, populated.agreement_id)
    populated.clock.advance(timedelta(days=100))
    for member in ("GBR", "NOR"):
        await signs(populated, view, member)
    made = await populated.attempt(evidence(populated, "DNK reader"))

    assert [each.text.edition for each in made.value.texts] == [1]
    assert view.amendment.text not in str(made.entry)
    assert [each.text.edition for each in (await evidence(populated, "GBR reader")).texts] == [1, 2]


async def test_who_has_left_is_not_told_when_the_others_ended_a_crisis_of_its_time(populated: World) -> None:
    populated.agreement_id = await populated.agree(AGREEMENT + CRISIS)
    services, agreement = populated.services, populated.agreement_id
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement)
    populated.clock.advance(timedelta(days=89))
    await crisis(populated)
    populated.clock.advance(timedelta(days=1, hours=1))

    async def told(name: str) -> usecases.CrisisView:
        (use,) = (await usecases.list_crises(services, populated.call(name), agreement)).value.uses
        return use

    async def ends() -> str:
        with pytest.raises(ConflictError) as refused:
            await usecases.end_crisis(services, populated.call("DNK signatory"), agreement, before.crisis.id)
        return refused.value.code

    before = await told("DNK reader")
    assert await ends() == "not-a-party"
    await usecases.end_crisis(services, populated.call("GBR signatory"), agreement, before.crisis.id)

    assert await ends() == "not-a-party"
    assert before.is_open
    assert await told("DNK reader") == before
    assert not (await told("GBR reader")).is_open
    populated.clock.advance(timedelta(days=3))
    assert not (await told("DNK reader")).is_open


@pytest.mark.parametrize("member", ["DNK", "ESP"])
async def test_who_is_no_party_is_told_by_its_signature_of_nothing_that_the_others_did(
    populated: World, member: str
) -> None:
    services, agreement, now = populated.services, populated.agreement_id, populated.clock
    await usecases.withdraw_agreement(services, populated.call("DNK signatory"), agreement)
    now.advance(timedelta(days=91))
    later = AGREEMENT.replace("P5Y", "P4Y").replace("[GBR, NOR, DNK]", "[GBR, NOR, DNK, ESP]")
    view = await proposed(populated, later)

    async def told(attempt: Any) -> tuple[Any, dict[str, Any]]:
        made = await populated.attempt(attempt)
        return made.value, {"object": made.entry["object"], "state": made.entry["detail"].get("state")}

    before, entry = await told(signs(populated, view, member))
    _, taken_back = await told(takes_back(populated, view, member))
    await usecases.suspend_agreement(services, populated.call("NOR signatory"), agreement)
    view = await proposed(populated, later.replace("P4Y", "P3Y"))
    after, entry_after = await told(signs(populated, view, member))
    _, taken_back_after = await told(takes_back(populated, view, member))

    assert entry == entry_after == taken_back == taken_back_after
    assert (before.agreement.version, before.state) == (after.agreement.version, after.state) == (2, before.state)
