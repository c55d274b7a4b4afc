"""Amendments: signed by everybody, told in words before that, narrower for all reports and wider for new ones alone."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.agreements import AgreementState, PartyState, amended, sign_text, take_back, text_of, verify_texts
from exchange.audit import Criteria
from exchange.kernel import ConflictError, ExchangeError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.usecases.agreements import amending as module
from exchange.usecases.agreements.texts_told import TextsTold
from exchange.usecases.steps import told_entries
from tests.support.meanwhile import done_behind, posted_meanwhile
from tests.support.placing import place_entries
from tests.support.treaty import signed, signing_key
from tests.support.world import AGREEMENT, World, thumbprint_of

FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "ESP", "GBR", "NOR"))
ALL_THREE = ("GBR", "NOR", "DNK")
NARROWED = AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]")
RAISED = AGREEMENT.replace("ceiling: SECRET", "ceiling: TOP SECRET")
ACCEDED = AGREEMENT.replace("parties: [GBR, NOR, DNK]", "parties: [GBR, NOR, DNK, ESP]").replace(
    "readers: [GBR, NOR, DNK]", "readers: [GBR, NOR, DNK, ESP]"
)


async def proposed(world: World, text: str, *, by: str = "GBR signatory"):
    made = await usecases.propose_amendment(world.services, world.call(by), world.agreement_id, text)
    return made.value


async def signs(world: World, view, member: str):
    name = f"{member} signatory"
    client, key = world.clients[name], signing_key(thumbprint_of(name))
    given = signed(amended(view.agreement, view.amendment.terms, world.clock.now), client, key)
    return (await usecases.sign_agreement(world.services, world.call(name), world.agreement_id, given)).value


async def concluded(world: World, text: str, members=ALL_THREE):
    view = await proposed(world, text)
    for member in members:
        last = await signs(world, view, member)
    return last


async def reads(world: World, report: str, name: str, services=None) -> bool:
    try:
        await usecases.pull_report(services or world.services, world.call(name), report)
    except NotFoundError:
        return False
    return True


async def test_amended_text_binds_with_the_last_signature_on_every_node(populated: World) -> None:
    old = await populated.post(label=FOR_ALL)
    view = await proposed(populated, NARROWED)
    async with populated.another_node() as second:
        for member in ALL_THREE:
            assert await reads(populated, old, "DNK reader", second)
            assert (await signs(populated, view, member)).state is AgreementState.IN_FORCE

        assert not await reads(populated, old, "DNK reader", second)
        assert await reads(populated, old, "NOR reader", second)
    types = [entry["type"] for entry in await populated.entries() if entry["type"].startswith("a")]
    assert types.count("amendment.proposed") == types.count("agreement.amended") == 1
    shown = (
        await usecases.show_agreement(populated.services, populated.call("NOR reader"), populated.agreement_id)
    ).value
    assert (shown.agreement.edition, shown.agreement.terms.scopes[0].readers) == (2, ("GBR", "NOR"))


@pytest.mark.parametrize(("older", "sees_old"), [("", False), ("older_reports: included\n", True)])
async def test_accession_opens_new_reports_and_older_ones_only_where_the_text_says_so(
    populated: World, older: str, sees_old: bool
) -> None:
    await populated.enrol("ESP second", "ESP", "reader")
    old = await populated.post(label=FOR_ALL)
    assert not await reads(populated, old, "ESP second")
    last = await concluded(populated, ACCEDED + older, (*ALL_THREE, "ESP"))
    new = await populated.post(label=FOR_ALL)

    assert last.state is AgreementState.IN_FORCE
    assert await reads(populated, new, "ESP second")
    assert await reads(populated, old, "ESP second") is sees_old
    assert await reads(populated, old, "NOR reader")
    listed = await usecases.list_reports(populated.services, populated.call("ESP second"), usecases.ListQuery())
    assert len(listed.value.items) == 1 + sees_old


@pytest.mark.parametrize(("older", "sees_old"), [("", False), ("older_reports: included\n", True)])
async def test_what_a_member_shared_before_it_left_is_read_again_only_where_the_text_it_came_back_with_says_so(
    populated: World, older: str, sees_old: bool
) -> None:
    old = await populated.post("NOR contributor", label=FOR_ALL)
    await concluded(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, DNK]").replace("[GBR, NOR", "[GBR"))
    assert not await reads(populated, old, "GBR reader")
    await concluded(populated, AGREEMENT.replace("P5Y", "P4Y") + older)
    new = await populated.post("NOR contributor", label=FOR_ALL)

    assert await reads(populated, new, "GBR reader")
    assert await reads(populated, old, "GBR reader") is sees_old


async def test_ceiling_that_was_lowered_for_a_time_holds_for_what_was_posted_before(populated: World) -> None:
    old = await populated.post()
    await concluded(populated, AGREEMENT.replace("ceiling: SECRET", "ceiling: RESTRICTED"))
    assert not await reads(populated, old, "NOR reader")
    await concluded(populated, AGREEMENT.replace("P5Y", "P4Y"))
    new = await populated.post()

    assert await reads(populated, new, "NOR reader")
    assert not await reads(populated, old, "NOR reader")


async def takes_back(world: World, view, member: str, *, as_signature: bool = False):
    name = f"{member} signatory"
    client, key = world.clients[name], signing_key(thumbprint_of(name))
    text = text_of(amended(view.agreement, view.amendment.terms, world.clock.now))
    made = (sign_text if as_signature else take_back)(text, key, member=client.member, signatory=client.id)
    given = usecases.GivenSignature(text.digest, key.verifying_key.key_id, made)
    return await usecases.take_back_signature(world.services, world.call(name), world.agreement_id, given)


async def test_signature_is_taken_back_while_the_text_is_only_proposed(populated: World) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "NOR")
    with pytest.raises(InvalidError):
        await takes_back(populated, view, "NOR", as_signature=True)
    made = await populated.attempt(takes_back(populated, view, "NOR"))
    assert made.value.value.signed == frozenset()
    assert (made.entry["type"], made.entry["decision"]) == ("agreement.signature_withdrawn", "permitted")
    assert made.entry["detail"]["text"] == view.amendment.text
    assert {"ed25519", "ml_dsa_65", "key", "signatory"} <= made.entry["detail"].keys()
    for member in ("GBR", "DNK"):
        await signs(populated, view, member)

    # All others have signed, and it binds nobody; nor does the same signature come back.
    found = await usecases.list_amendments(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    assert [(each.state, each.signed) for each in found.value] == [("proposed", {"GBR", "DNK"})]
    for again in (signs(populated, view, "NOR"), takes_back(populated, view, "NOR")):
        with pytest.raises(ConflictError):
            await again
    for change in ("UPDATE agreement_signature_end SET member = 'x'", "DELETE FROM agreement_signature_end"):
        with pytest.raises(Exception, match="signed"):
            populated.sql(change)


def write_ends(world: World, view: usecases.AmendmentView) -> None:
    """Write by hand that everybody who signed a text took that back."""
    columns = "text, member, agreement_id, signatory, key_id, ed25519, ml_dsa_65"
    world.sql(
        f"INSERT INTO agreement_signature_end ({columns}, taken_back_at) SELECT {columns}, signed_at"
        " FROM agreement_signature WHERE text = $1",
        view.amendment.text,
    )


@pytest.mark.parametrize("is_taken_back", [False, True])
async def test_nobody_is_said_to_have_taken_back_what_no_entry_tells_of(
    populated: World, *, is_taken_back: bool
) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "NOR")
    write_ends(populated, view)
    listed = usecases.list_amendments(populated.services, populated.call("GBR signatory"), populated.agreement_id)
    assert [each.signed for each in (await listed).value] == [{"NOR"}]
    if is_taken_back:
        assert (await takes_back(populated, view, "NOR")).value.signed == frozenset()
        with pytest.raises(ConflictError):
            await takes_back(populated, view, "NOR")
    for member in ("GBR", "DNK"):
        last = await signs(populated, view, member)

    assert last.agreement.edition == (1 if is_taken_back else 2)


async def test_signature_was_taken_back_by_its_row_where_the_log_lacks_what_told_of_it(populated: World) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "NOR")
    await takes_back(populated, view, "NOR")
    await place_entries(populated, is_searchable=True)
    populated.unguard()
    event = "SELECT id FROM audit_search WHERE event = 'agreement.signature_withdrawn'"
    populated.sql(f"DELETE FROM audit_entry WHERE id IN ({event})")
    listed = usecases.list_amendments(populated.services, populated.call("GBR signatory"), populated.agreement_id)

    assert [each.signed for each in (await listed).value] == [set()]


@pytest.mark.parametrize("is_placed", [False, True])
async def test_signature_that_the_log_says_was_taken_back_binds_nobody_whatever_its_row_says(
    populated: World, is_placed: bool
) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "NOR")
    await takes_back(populated, view, "NOR")
    if is_placed:
        await place_entries(populated, is_searchable=True)
    populated.unguard("agreement_signature_end")
    populated.sql("DELETE FROM agreement_signature_end")
    call = populated.call("DNK signatory")
    (shown,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
    assert shown.signed == frozenset()
    for member in ("GBR", "DNK"):
        last = await signs(populated, view, member)
    again = await populated.attempt(signs(populated, view, "NOR"))

    assert last.agreement.edition == 1
    assert isinstance(again.error, ConflictError)
    # Of this text alone: of another one the same member is bound as before.
    assert (await concluded(populated, RAISED)).agreement.edition == 2


async def test_nothing_is_signed_while_nobody_reads_what_was_taken_back_and_that_is_done_all_the_same(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "GBR")
    monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
    with pytest.raises(UnavailableError):
        await signs(populated, view, "NOR")
    with pytest.raises(UnavailableError):
        await usecases.list_amendments(populated.services, populated.call("NOR signatory"), populated.agreement_id)

    assert (await takes_back(populated, view, "GBR")).value.signed == frozenset()


async def test_nobody_waits_to_write_while_the_log_is_asked_about_texts(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, call = await proposed(populated, NARROWED), populated.call("GBR signatory")
    written = posted_meanwhile(monkeypatch, told_entries, "waiting_of", populated)
    await signs(populated, view, "NOR")
    await takes_back(populated, view, "NOR")
    await signs(populated, view, "GBR")
    (listed,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value

    assert (listed.signed, len(written)) == ({"GBR"}, 12)


@pytest.mark.parametrize("has_row_already", [False, True])
async def test_signature_that_is_taken_back_behind_the_look_at_the_log_binds_nobody(
    populated: World, monkeypatch: pytest.MonkeyPatch, *, has_row_already: bool
) -> None:
    view = await proposed(populated, NARROWED)
    for member in ("GBR", "NOR"):
        await signs(populated, view, member)
    if has_row_already:
        write_ends(populated, view)
    done_behind(monkeypatch, TextsTold, "ask", lambda: takes_back(populated, view, "NOR"))

    assert (await signs(populated, view, "DNK")).agreement.edition == 1


@pytest.mark.parametrize("is_away", [False, True])
async def test_of_who_has_left_no_signature_is_shown_while_nobody_reads_when_it_signed(
    populated: World, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    async def away(*_: object) -> None:
        raise UnavailableError("the archive is away")

    view = await proposed(populated, RAISED)
    for member in ("DNK", "NOR"):
        await signs(populated, view, member)
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(days=90))
    if is_away:
        await place_entries(populated, is_searchable=True)
        monkeypatch.setattr(populated.services.store.log, "whole_at", away)
    else:
        monkeypatch.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)

    assert (await takes_back(populated, view, "NOR")).value.signed == frozenset()


async def test_what_binds_and_what_was_never_signed_is_not_taken_back(populated: World) -> None:
    view = await proposed(populated, NARROWED)
    with pytest.raises(ConflictError):
        await takes_back(populated, view, "NOR")
    for member in ALL_THREE:
        await signs(populated, view, member)
    with pytest.raises(ConflictError):
        await takes_back(populated, view, "NOR")
    with pytest.raises(NotFoundError):
        await takes_back(populated, view, "ESP")


async def seen_by(world: World, member: str) -> list[tuple[str, list[str]]]:
    """Return what the auditor of a member finds of the agreement: each event with the parties that it names."""
    world.sequence()
    query = usecases.EntryQuery(criteria=Criteria(agreement=world.agreement_id))
    page = (await usecases.search_entries(world.services, world.call(f"{member} auditor"), query)).value
    fields = [each.view.fields for each in page.items]
    return [(each["type"], each["detail"]["parties"]) for each in fields if "parties" in each.get("detail", {})]


@pytest.mark.parametrize("last", ["ESP", "DNK"])
async def test_party_that_a_text_names_no_more_finds_that_it_binds_and_nothing_after(
    populated: World, last: str
) -> None:
    for member in ("GBR", "DNK", "ESP"):
        await populated.enrol(f"{member} auditor", member, "auditor")
    in_its_place = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR, ESP]")
    others = [member for member in ("GBR", "NOR", "DNK", "ESP") if member != last]
    await concluded(populated, in_its_place, (*others, last))
    await usecases.suspend_agreement(populated.services, populated.call("NOR signatory"), populated.agreement_id)
    told = {member: await seen_by(populated, member) for member in ("GBR", "DNK", "ESP")}

    amended_for = {
        member: [parties for event, parties in told[member] if event == "agreement.amended"] for member in told
    }
    of_its_own = [["DNK"]] if last == "ESP" else [["DNK"], ["GBR", "NOR", "ESP"]]
    assert sorted(amended_for["DNK"]) == of_its_own
    assert amended_for["GBR"] == amended_for["ESP"] == [["GBR", "NOR", "ESP"]]
    assert "agreement.suspended" in {event for event, _ in told["GBR"]} & {event for event, _ in told["ESP"]}
    assert "agreement.suspended" not in {event for event, _ in told["DNK"]}
    # Who came in its place learns of no party before.
    assert not any("DNK" in parties for _, parties in told["ESP"])


async def test_acceding_member_sees_the_amendment_and_no_other_agreement(populated: World) -> None:
    services, call = populated.services, populated.call("ESP signatory")
    with pytest.raises(NotFoundError):
        await usecases.list_amendments(services, call, populated.agreement_id)
    await proposed(populated, NARROWED)
    view = await proposed(populated, ACCEDED)
    (seen,) = (await usecases.list_amendments(services, call, populated.agreement_id)).value

    # Nor how many were laid before the others.
    assert (view.amendment.number, seen.amendment) == (2, replace(view.amendment, number=1))
    assert "ESP accedes" in seen.changes
    with pytest.raises(NotFoundError):
        await usecases.show_agreement(services, call, populated.agreement_id)


@pytest.mark.parametrize(("text", "members", "told"), [(ACCEDED, (*ALL_THREE, "ESP"), None), (RAISED, ALL_THREE, 2)])
async def test_entry_of_a_text_that_binds_counts_to_who_acceded_nothing_from_before(
    populated: World, text: str, members: tuple[str, ...], told: int | None
) -> None:
    await proposed(populated, NARROWED)
    await concluded(populated, text, members)
    (entry,) = [entry for entry in await populated.entries() if entry["type"] == "agreement.amended"]

    assert entry["detail"].get("number") == told


async def test_change_is_told_in_words_with_counts_of_what_the_caller_may_know(populated: World) -> None:
    for _ in range(3):
        await populated.post(label=FOR_ALL)
    await populated.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR")))
    await proposed(populated, NARROWED)
    told = {}
    for member in ALL_THREE:
        call = populated.call(f"{member} signatory")
        (view,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
        told[member] = view.changes

    assert told["GBR"][0] == "DNK may no longer read cyber-threats"
    assert "0 current reports become readable to DNK, 4 are lost" in told["GBR"]
    # One of them is between GBR and DNK: NOR is told nothing of it.
    assert "0 current reports become readable to DNK, 3 are lost" in told["NOR"]
    assert "0 current reports become readable to NOR, 0 are lost" in told["DNK"]


async def test_nobody_waits_to_write_while_reports_are_counted(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await populated.post(label=FOR_ALL)
    written = posted_meanwhile(monkeypatch, module, "impact_of", populated)
    view = await proposed(populated, NARROWED)
    call = populated.call("GBR signatory")
    (listed,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
    assert len(written) == 2
    assert listed.changes == view.changes
    assert any("1 are lost" in sentence for sentence in listed.changes)
    assert await reads(populated, report, "DNK reader")


async def test_of_two_amendments_one_wins_and_the_other_is_kept_whole(populated: World) -> None:
    first, second = await proposed(populated, NARROWED), await proposed(populated, RAISED, by="NOR signatory")
    for member in ("GBR", "NOR"):
        await signs(populated, first, member)
        await signs(populated, second, member)
    ends = await asyncio.gather(signs(populated, first, "DNK"), signs(populated, second, "DNK"), return_exceptions=True)

    (error,) = [each for each in ends if isinstance(each, ExchangeError)]
    assert (type(error), error.code) == (ConflictError, "amendment-overtaken")
    views = (
        await usecases.list_amendments(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    ).value
    assert sorted(view.state for view in views) == ["in_force", "overtaken"]
    lost = next(view for view in views if view.state == "overtaken")
    assert lost.signed == {"GBR", "NOR"}
    assert lost.amendment.terms in {first.amendment.terms, second.amendment.terms}


async def test_amendment_is_signed_with_the_signatorys_own_key_in_use_under_its_very_text(populated: World) -> None:
    view = await proposed(populated, NARROWED)
    other = await proposed(populated, RAISED)
    client, key = populated.clients["NOR signatory"], signing_key(thumbprint_of("NOR signatory"))
    target, raised = (amended(each.agreement, each.amendment.terms, populated.clock.now) for each in (view, other))
    good, foreign = signed(target, client, key), populated.clients["GBR signatory"]

    async def code(given: usecases.GivenSignature) -> set[str]:
        call = populated.call("NOR signatory")
        made = await populated.attempt(usecases.sign_agreement(populated.services, call, populated.agreement_id, given))
        assert made.entry["decision"] == "refused"
        return set(made.entry["detail"]["codes"])

    assert await code(replace(good, text="0" * 64)) == {"text-differs"}
    assert await code(replace(signed(raised, client, key), text=good.text)) == {"bad-signature"}
    assert await code(signed(target, client, key, member="GBR")) == {"bad-signature"}
    assert await code(signed(target, foreign, signing_key(thumbprint_of("GBR signatory")))) == {"unknown-key"}
    retired = key.verifying_key.key_id
    await usecases.retire_signatory_key(populated.services, populated.call("operator"), client.id, retired)
    assert await code(good) == {"unknown-key"}
    for member in ("GBR", "DNK"):
        await signs(populated, view, member)

    call = populated.call("GBR signatory")
    shown = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value[0]
    assert (shown.state, shown.signed) == ("proposed", {"GBR", "DNK"})


async def test_text_that_waited_for_who_has_left_since_binds_with_the_next_word_of_a_signatory(
    populated: World,
) -> None:
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    view = await proposed(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]"))
    for member in ("GBR", "NOR"):
        await signs(populated, view, member)
    populated.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    with pytest.raises(ConflictError, match="has signed"):
        await signs(populated, view, "GBR")
    populated.clock.advance(timedelta(seconds=1))
    last = await signs(populated, view, "GBR")

    assert (last.state, last.agreement.edition) == (AgreementState.IN_FORCE, 2)
    shown = await usecases.show_agreement(populated.services, populated.call("NOR reader"), populated.agreement_id)
    assert [(party.member, party.state.value) for party in shown.value.agreement.parties] == [
        ("GBR", "signed"),
        ("NOR", "signed"),
    ]


async def test_who_has_left_signs_no_text_of_those_who_stayed(populated: World) -> None:
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    view = await proposed(populated, AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, NOR]"))
    populated.clock.advance(timedelta(days=90))
    with pytest.raises(ConflictError) as refused:
        await signs(populated, view, "DNK")

    assert refused.value.code == "not-a-party"
    call = populated.call("GBR signatory")
    (shown,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
    assert (shown.state, shown.signed) == ("proposed", set())


@pytest.mark.parametrize("is_rewritten", [False, True])
async def test_who_has_left_is_brought_back_by_no_act_of_others(populated: World, *, is_rewritten: bool) -> None:
    view = await proposed(populated, RAISED)
    for member in ("DNK", "NOR"):
        await signs(populated, view, member)
    await usecases.withdraw_agreement(populated.services, populated.call("DNK signatory"), populated.agreement_id)
    populated.clock.advance(timedelta(days=90))
    if is_rewritten:
        populated.unguard("agreement_signature")
        populated.sql("UPDATE agreement_signature SET signed_at = signed_at + 86400000000 * 90 WHERE member = 'DNK'")
    last = await signs(populated, view, "GBR")

    assert last.agreement.edition == 1
    assert last.agreement.party("DNK").standing(populated.clock.now) is PartyState.WITHDRAWN
    call = populated.call("GBR signatory")
    (shown,) = (await usecases.list_amendments(populated.services, call, populated.agreement_id)).value
    assert (shown.state, shown.signed) == ("proposed", {"GBR", "NOR"})
    assert shown.changes[0] == "DNK accedes"
    with pytest.raises(ConflictError, match="before it left"):
        await signs(populated, view, "DNK")
    # By its own word, under another text, it may come back.
    back = await concluded(populated, RAISED.replace("North Sea", "Nordic"))
    assert (back.agreement.edition, back.agreement.party("DNK").leaves_at) == (2, None)


async def test_one_signatory_lays_so_many_texts_before_the_parties_and_others_theirs(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PROPOSED", 2)
    titles = [AGREEMENT.replace("North Sea", f"{number}. North Sea") for number in range(4)]
    for text in titles[:2]:
        await proposed(populated, text)
    call = populated.call("GBR signatory")
    more = usecases.propose_amendment(populated.services, call, populated.agreement_id, titles[2])
    refused = await populated.attempt(more)
    await populated.enrol("GBR deputy", "GBR", "signatory")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(module, "MOST_PROPOSED_OF_MEMBER", 2)
        with pytest.raises(ConflictError, match="2 texts of your member's"):
            await proposed(populated, titles[2], by="GBR deputy")
    other = await proposed(populated, titles[2], by="NOR signatory")
    for member in ALL_THREE:
        await signs(populated, other, member)

    assert isinstance(refused.error, ConflictError)
    assert (refused.error.code, refused.entry["decision"]) == ("too-many-waiting", "refused")
    # What lay before the parties was of the text before, and stands in nobody's way.
    assert (await proposed(populated, titles[3])).amendment.number == 4


async def test_what_cannot_be_amended_or_signed_so_is_refused_and_recorded(populated: World) -> None:
    services = populated.services

    async def propose(text: str, by: str = "GBR signatory"):
        return await populated.attempt(
            usecases.propose_amendment(services, populated.call(by), populated.agreement_id, text)
        )

    same, later = await propose(AGREEMENT), await propose(AGREEMENT.replace("from: 2026-01-01", "from: 2026-07-01"))
    stranger = await propose(NARROWED, "ESP signatory")
    assert isinstance(same.error, InvalidError)
    assert isinstance(later.error, InvalidError)
    assert isinstance(stranger.error, NotFoundError)
    assert {each.entry["decision"] for each in (same, later, stranger)} == {"refused"}
    view = await proposed(populated, NARROWED)
    twice = await propose(NARROWED)
    assert isinstance(twice.error, ConflictError)
    await signs(populated, view, "GBR")
    with pytest.raises(ConflictError, match="has signed"):
        await signs(populated, view, "GBR")
    with pytest.raises(NotFoundError):
        await signs(populated, view, "ESP")


async def test_evidence_of_an_amended_agreement_is_a_chain_that_verifies(populated: World) -> None:
    first = text_of(await populated.services.store.agreement(populated.agreement_id))  # type: ignore[arg-type]  # there
    await concluded(populated, RAISED)
    evidence = (
        await usecases.export_agreement(populated.services, populated.call("DNK reader"), populated.agreement_id)
    ).value
    findings = verify_texts(evidence.texts, {each.key.key_id: each for each in evidence.keys})

    assert all(finding.is_good for finding in findings)
    assert [each.text.previous for each in evidence.texts] == [None, first.digest]


@pytest.mark.parametrize("altered", ["signed_at = 9223372036854775807", "ed25519 = ml_dsa_65", "signatory = member"])
async def test_signature_that_is_none_any_more_binds_nobody_and_hides_no_text(populated: World, altered: str) -> None:
    view = await proposed(populated, NARROWED)
    await signs(populated, view, "NOR")
    populated.unguard("agreement_signature")
    populated.sql(f"UPDATE agreement_signature SET {altered} WHERE text = '{view.amendment.text}'")
    for member in ("GBR", "DNK"):
        last = await signs(populated, view, member)
    call = populated.call("GBR signatory")
    listed = await usecases.list_amendments(populated.services, call, populated.agreement_id)
    with pytest.raises(ConflictError, match="not what it signed"):
        await signs(populated, view, "NOR")

    assert (last.agreement.edition, listed.unopened) == (1, 1)
    assert [each.signed for each in listed.value] == [frozenset({"GBR", "DNK"})]
    places = [entry["detail"]["place"] for entry in await populated.entries() if entry["type"] == "key.opened"]
    assert set(places) == {f"signature of NOR under text {view.amendment.text}"}
    assert (await takes_back(populated, view, "NOR")).value.state == "proposed"
