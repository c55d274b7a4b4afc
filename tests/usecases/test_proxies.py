"""Posting on behalf: by two persons' consent, narrow, for a time, taken back at the next post; on both databases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.store import ProxyState, ProxyWish
from exchange.usecases.posting import proxies
from exchange.usecases.posting.post_report import PostedAnswer
from tests.support.lived import MakeLived
from tests.support.put_back import kept_rows
from tests.support.world import AGREEMENT, World
from tests.usecases.test_amending import concluded

FOR_ALL = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))


async def with_releasers(world: World) -> None:
    for name in ("NOR releaser", "NOR second releaser", "DNK releaser"):
        await world.enrol(name, name[:3], "releaser")


@pytest.fixture
async def joint(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


def wish(world: World, **changes: Any) -> ProxyWish:
    fields = {"proxy": "GBR", "agreement": world.agreement_id, "scope": "cyber-threats", "until": None, "reason": "r"}
    return ProxyWish(**{**fields, **changes})


async def ask(world: World, name: str = "NOR releaser", **changes: Any) -> usecases.ProxyView:
    return (await usecases.ask_proxy(world.services, world.call(name), wish(world, **changes))).value


async def confirm(world: World, view: usecases.ProxyView, name: str = "NOR second releaser") -> None:
    act = (await usecases.show_pending_act(world.services, world.call(name), str(view.act))).value.act
    await usecases.confirm_act(world.services, world.call(name), act.id, act.digest)


async def given(world: World, **changes: Any) -> usecases.ProxyView:
    view = await ask(world, **changes)
    await confirm(world, view)
    return view


async def post(world: World, services: Any = None, **others: Any) -> str:
    body = world.posted(**{"label": FOR_ALL, "on_behalf_of": "NOR", **others})
    return (await usecases.post_report(services or world.services, world.call("GBR contributor"), body)).value.report_id


async def is_refused(world: World, services: Any = None, **others: Any) -> bool:
    with pytest.raises(InvalidError) as caught:
        await post(world, services, **others)
    return [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/on_behalf_of", "no-consent")]


async def test_report_is_the_originators_and_the_log_says_who_posted_it(joint: World) -> None:
    await given(joint)
    report = await post(joint)
    pulled = (await usecases.pull_report(joint.services, joint.call("DNK reader"), report)).value
    entry = next(each for each in await joint.entries() if each["type"] == "report.posted" and "detail" in each)

    assert b'"originator":"NOR"' in pulled.header_json
    assert (entry["member"], entry["owner"], entry["detail"]) == ("GBR", "NOR", {"on_behalf_of": "NOR"})
    # Only its originator does anything to it.
    await joint.enrol("GBR last releaser", "GBR", "releaser")
    with pytest.raises(NotFoundError):
        await usecases.recall_report(joint.services, joint.call("GBR last releaser"), report, "not ours")
    assert (await usecases.recall_report(joint.services, joint.call("NOR releaser"), report, "ours")).value.tombstone


async def test_who_posted_it_is_told_what_it_sent_whatever_became_of_it(joint: World) -> None:
    """Attack: a key sent again tells whether the originator amended, lowered or recalled what only it may read."""
    await given(joint)
    label, services = Label("NATO", "RESTRICTED", releasable_to=("NOR",)), joint.services
    body = joint.posted(label=label, on_behalf_of="NOR")

    async def posted() -> PostedAnswer:
        joint.clock.advance(timedelta(minutes=1))
        call = joint.call("GBR contributor")
        return (await usecases.post_report(services, call, body, idempotency_key="k-1")).value

    first = await posted()
    again = [await posted()]
    second = joint.posted(label=label, content=b"second")
    await usecases.amend_report(services, joint.call("NOR contributor"), first.report_id, second)
    again.append(await posted())
    await usecases.recall_report(services, joint.call("NOR releaser"), first.report_id, "ours")
    again.append(await posted())

    assert again == [replace(first, is_replayed=True)] * 3
    # Nor is it told, nor the log, by a row alone that it posted something else.
    other = await joint.post("NOR contributor", label=label)
    await usecases.amend_report(services, joint.call("NOR contributor"), other, second)
    for forged in (f"report_id = '{other}'", f"created_at = {2**62}"):
        joint.sql(f"UPDATE idempotency SET {forged}")
        made = await joint.attempt(posted())
        assert isinstance(made.error, UnavailableError)
        assert "report.posted" not in {entry["type"] for entry in made.entries if entry["decision"] == "permitted"}


async def test_nobody_posts_for_another_without_the_second_person(joint: World) -> None:
    assert await is_refused(joint)
    view = await ask(joint)
    act = (await usecases.show_pending_act(joint.services, joint.call("NOR second releaser"), str(view.act))).value.act
    told = {"proxy": "GBR", "agreement": joint.agreement_id, "scope": "cyber-threats", "until": "taken back"}
    assert act.asked == {**told, "consent": view.row.id, "reason": view.row.wish.reason}
    assert await is_refused(joint)
    with pytest.raises(ConflictError):
        await confirm(joint, view, "NOR releaser")
    assert await is_refused(joint)
    await confirm(joint, view)
    assert await post(joint)


async def test_second_person_gives_what_it_was_shown_or_nothing(joint: World) -> None:
    view = await ask(joint)
    joint.sql("UPDATE proxy_consent SET proxy = 'DNK' WHERE id = $1", view.row.id)
    with pytest.raises(ConflictError) as refused:
        await confirm(joint, view)

    assert refused.value.code == "request-altered"
    assert "proxy.given" not in {entry["type"] for entry in await joint.entries()}


@pytest.mark.parametrize("how", ["over", "left"])
async def test_what_has_ended_before_the_second_person_confirms_is_given_by_nobody(joint: World, how: str) -> None:
    text = AGREEMENT.replace("notice: P90D", "notice: PT0S")
    await joint.agree(text)
    view = await ask(joint, until=joint.clock.now + timedelta(hours=1))
    if how == "over":
        joint.clock.advance(timedelta(hours=1))
    else:
        await usecases.withdraw_agreement(joint.services, joint.call("GBR signatory"), joint.agreement_id)
    with pytest.raises(ConflictError) as refused:
        await confirm(joint, view)

    assert refused.value.code == "request-ended"
    assert "proxy.given" not in {entry["type"] for entry in await joint.entries()}


async def test_consent_is_to_one_member_in_one_scope_in_one_direction(joint: World) -> None:
    await given(joint)

    assert await is_refused(joint, on_behalf_of="DNK")
    assert await is_refused(joint, on_behalf_of="ESP")
    assert await is_refused(joint, on_behalf_of="XXX")
    await joint.enrol("DNK second contributor", "DNK", "contributor")
    await joint.enrol("NOR second contributor", "NOR", "contributor")
    for name, of in (("DNK second contributor", "NOR"), ("NOR second contributor", "GBR")):
        body = joint.posted(label=FOR_ALL, on_behalf_of=of)
        with pytest.raises(InvalidError):
            await usecases.post_report(joint.services, joint.call(name), body)


async def test_consent_that_the_log_says_was_taken_back_is_given_by_nobody(joint: World) -> None:
    view = await ask(joint)
    await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
    joint.unguard("proxy_consent")
    joint.unguard("pending_act_end")
    joint.sql("DELETE FROM pending_act_end")
    joint.sql("UPDATE proxy_consent SET state = 'awaiting-second-person', decided_at = NULL, decided_by = NULL")
    with pytest.raises(ConflictError, match="the log says") as caught:
        await confirm(joint, view)

    assert caught.value.code == "request-ended"
    assert await is_refused(joint)


@pytest.mark.parametrize("alter", ["UPDATE proxy_consent SET state = 'refused'", "DELETE FROM proxy_consent"])
async def test_consent_that_does_not_wait_by_its_row_is_neither_given_nor_refused_anew(
    joint: World, alter: str
) -> None:
    view = await ask(joint)
    joint.sql(alter)
    kept = joint.sql("SELECT id, state FROM proxy_consent")
    with pytest.raises(ConflictError) as caught:
        await confirm(joint, view)
    refusal = usecases.refuse_act(joint.services, joint.call("NOR second releaser"), str(view.act), "not ours")
    made = await joint.attempt(refusal)

    assert caught.value.code == "request-ended"
    assert [entry["type"] for entry in made.entries] == ["act.refused"]
    assert joint.sql("SELECT id, state FROM proxy_consent") == kept


async def test_consent_that_is_taken_back_ends_no_other_one(joint: World) -> None:
    first, second = await ask(joint), await ask(joint, proxy="DNK")
    revoked = await joint.attempt(usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), first.row.id))
    await confirm(joint, second)

    assert revoked.entry["detail"]["acts"] == [first.act]
    rows = [each.row for each in (await usecases.list_proxies(joint.services, joint.call("NOR releaser"))).value]
    assert {row.wish.proxy: row.state.value for row in rows} == {"GBR": "revoked", "DNK": "given"}


async def test_consent_taken_back_or_over_lets_nobody_post_on_any_node(joint: World) -> None:
    view = await given(joint)
    async with joint.another_node() as other:
        await post(joint, other)
        revoked = await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
        assert revoked.value.row.state is ProxyState.REVOKED
        assert await is_refused(joint, other)
        with pytest.raises(ConflictError):
            await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
        await given(joint, until=joint.clock.now + timedelta(hours=1))
        await post(joint, other)
        joint.clock.advance(timedelta(hours=1))
        assert await is_refused(joint, other)


async def test_revocation_that_races_a_post_makes_it_be_decided_again(joint: World, monkeypatch: Any) -> None:
    view = await given(joint)
    store = joint.services.store
    kept = store.post_report

    async def taken_back_meanwhile(*words: Any, **others: Any) -> Any:
        monkeypatch.setattr(store, "post_report", kept)
        await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
        return await kept(*words, **others)

    monkeypatch.setattr(store, "post_report", taken_back_meanwhile)
    assert await is_refused(joint)


async def test_suspended_originator_consents_to_nothing(joint: World) -> None:
    await given(joint)
    await usecases.suspend_agreement(joint.services, joint.call("NOR signatory"), joint.agreement_id)

    assert await is_refused(joint)


async def test_what_is_posted_for_another_builds_on_nothing(joint: World) -> None:
    await given(joint)
    own = await joint.post(label=FOR_ALL)
    for links in ({"references": (own,)}, {"supersedes": own}):
        with pytest.raises(InvalidError) as caught:
            await post(joint, **links)
        assert {fault.code for fault in caught.value.faults} == {"not-the-originator"}


async def test_consent_that_makes_no_sense_is_refused_with_every_fault(joint: World) -> None:
    with pytest.raises(InvalidError) as caught:
        await ask(joint, proxy="ESP", scope="weather", until=joint.clock.now)
    assert [fault.pointer for fault in caught.value.faults] == ["/scope", "/proxy", "/until"]
    with pytest.raises(InvalidError):
        await ask(joint, proxy="NOR")
    with pytest.raises(NotFoundError):
        await ask(joint, agreement="01980000-0000-7000-8000-000000000000")
    with pytest.raises(InvalidError):
        await ask(joint, "DNK releaser")  # a reader of the scope, no contributor
    with pytest.raises(ForbiddenError):
        await ask(joint, "NOR reader")


async def test_who_has_left_is_no_proxy(joint: World) -> None:
    await usecases.withdraw_agreement(joint.services, joint.call("DNK signatory"), joint.agreement_id)
    joint.clock.advance(timedelta(days=90) - timedelta(microseconds=1))
    await ask(joint, proxy="DNK")
    joint.clock.advance(timedelta(microseconds=1))
    with pytest.raises(InvalidError) as refused:
        await ask(joint, proxy="DNK")

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/proxy", "not-a-party")]


async def test_consent_of_who_left_and_came_back_is_given_anew(joint: World) -> None:
    await joint.agree(AGREEMENT.replace("notice: P90D", "notice: PT0S"))
    over = await given(joint)
    await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), over.row.id)
    before = await joint.entries()
    await given(joint)
    await post(joint)
    await usecases.withdraw_agreement(joint.services, joint.call("NOR signatory"), joint.agreement_id)
    joint.clock.advance(timedelta(days=300))
    assert await is_refused(joint)
    await concluded(joint, AGREEMENT.replace("P5Y", "P4Y"))
    refused = await is_refused(joint)
    ended = [entry for entry in await joint.entries() if entry["type"] == "proxy.revoked" and entry not in before]
    await given(joint)

    assert refused
    assert [(entry["actor"]["kind"], entry["owner"], entry["detail"]["proxy"]) for entry in ended] == [
        ("service", "NOR", "GBR")
    ]
    assert await post(joint)


async def test_consent_whose_row_was_away_while_its_member_came_back_lets_nobody_post(joint: World) -> None:
    """Attack: who writes to the database keeps a consent from being ended, and puts it back behind that."""
    await joint.agree(AGREEMENT.replace("notice: P90D", "notice: PT0S"))
    view = await given(joint)
    put_back = kept_rows(joint, {"proxy_consent": ("id",)})
    await usecases.withdraw_agreement(joint.services, joint.call("NOR signatory"), joint.agreement_id)
    joint.clock.advance(timedelta(days=300))
    joint.sql("DELETE FROM proxy_consent")
    await concluded(joint, AGREEMENT.replace("P5Y", "P4Y"))
    put_back()
    made = await joint.attempt(post(joint))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"] == {"place": f"proxy {view.row.id}"}
    await given(joint)
    assert await post(joint)


async def test_consent_under_another_agreement_that_cannot_be_read_keeps_nobody_from_acceding(joint: World) -> None:
    first = joint.agreement_id
    await given(joint)
    joint.sql("UPDATE proxy_consent SET asked_at = 9223372036854775807")
    joint.agreement_id = await joint.agree(AGREEMENT.replace("notice: P90D", "notice: PT0S"))
    await usecases.withdraw_agreement(joint.services, joint.call("NOR signatory"), joint.agreement_id)
    joint.clock.advance(timedelta(days=1))
    last = await concluded(joint, AGREEMENT.replace("P5Y", "P4Y"))

    assert (first != joint.agreement_id, last.agreement.edition) == (True, 2)


@pytest.mark.parametrize(("by", "state"), [("NOR second releaser", "refused"), ("NOR releaser", "revoked")])
async def test_consent_that_was_refused_or_taken_back_waits_no_more(joint: World, by: str, state: str) -> None:
    view = await ask(joint)
    ended = await joint.attempt(usecases.refuse_act(joint.services, joint.call(by), str(view.act), "no sensor of ours"))
    (row,) = [each.row for each in (await usecases.list_proxies(joint.services, joint.call("NOR releaser"))).value]

    assert sorted(entry["type"] for entry in ended.entries) == ["act.refused", f"proxy.{state}"]
    assert (row.state.value, row.decided_by, row.refusal) == (state, joint.clients[by].id, "no sensor of ours")
    assert (await usecases.list_proxies(joint.services, joint.call("GBR contributor"))).value == ()
    with pytest.raises(ConflictError):
        await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
    assert await is_refused(joint)


async def test_nobody_is_asked_any_more_to_confirm_a_consent_that_was_taken_back(joint: World) -> None:
    view = await ask(joint)
    call = joint.call("NOR second releaser")
    revoked = await joint.attempt(usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id))

    assert revoked.entry["detail"]["acts"] == [view.act]
    assert (await usecases.list_pending_acts(joint.services, call)).value == ()
    assert await is_refused(joint)


async def test_consent_whose_second_person_did_not_come_has_lapsed_and_can_be_asked_for_anew(joint: World) -> None:
    await ask(joint)
    joint.clock.advance(timedelta(days=7))
    again = await ask(joint)
    rows = [each.row for each in (await usecases.list_proxies(joint.services, joint.call("NOR releaser"))).value]
    await confirm(joint, again)

    assert [row.state.value for row in rows] == ["lapsed", "awaiting-second-person"]
    assert await post(joint)


async def test_each_side_sees_its_consents_and_nobody_else_any(joint: World) -> None:
    view = await ask(joint)

    async def seen(name: str) -> list[str]:
        return [each.row.id for each in (await usecases.list_proxies(joint.services, joint.call(name))).value]

    assert (await seen("NOR releaser"), await seen("GBR contributor"), await seen("DNK releaser")) == (
        [view.row.id],
        [],
        [],
    )
    await confirm(joint, view)
    assert (await seen("GBR contributor"), await seen("DNK releaser")) == ([view.row.id], [])
    # Who else posts for its member is its releasers' to know, and no contributor's.
    assert await seen("NOR contributor") == []
    with pytest.raises(NotFoundError):
        await usecases.revoke_proxy(joint.services, joint.call("DNK releaser"), view.row.id)


async def test_row_that_names_another_proxy_lets_nobody_post_and_is_recorded(joint: World) -> None:
    view = await given(joint, proxy="DNK")
    joint.sql("UPDATE proxy_consent SET proxy = 'GBR'")
    made = await joint.attempt(post(joint))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"] == {"place": f"proxy {view.row.id}"}


async def test_row_without_its_end_lets_nobody_post_longer(joint: World) -> None:
    await given(joint, until=joint.clock.now + timedelta(hours=1))
    joint.clock.advance(timedelta(hours=2))
    joint.sql("UPDATE proxy_consent SET until = NULL")

    assert isinstance((await joint.attempt(post(joint))).error, UnavailableError)


async def test_row_gives_nothing_before_a_second_person_did(joint: World) -> None:
    await ask(joint)
    joint.sql("UPDATE proxy_consent SET state = 'given'")

    assert await is_refused(joint)


async def test_row_of_before_lets_nobody_post_whose_consent_was_taken_back(joint: World) -> None:
    """Attack: who writes to the database puts a consent back for as long as one post in another's name takes."""
    view = await given(joint)
    assert await post(joint)
    await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
    joint.sql("UPDATE proxy_consent SET state = 'given'")
    made = await joint.attempt(post(joint))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"] == {"place": f"proxy {view.row.id}"}


async def test_consent_that_is_taken_back_while_the_log_is_asked_is_none(joint: World, monkeypatch: Any) -> None:
    view, ask_log = await given(joint), proxies.is_any_naming

    async def taken_back_meanwhile(*words: Any, **others: Any) -> bool:
        monkeypatch.setattr(proxies, "is_any_naming", ask_log)
        await usecases.revoke_proxy(joint.services, joint.call("NOR releaser"), view.row.id)
        return await ask_log(*words, **others)

    monkeypatch.setattr(proxies, "is_any_naming", taken_back_meanwhile)
    assert await is_refused(joint)
