"""Entries that the log lacks, for a bundle of the archive is lost: what is not there any more is not what never was."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from unittest.mock import Mock

import pytest

from exchange import usecases
from exchange.markings import Label
from exchange.store.log.archived import LogDamagedError
from exchange.store.log.blobs import BlobsAwayError
from exchange.usecases import DutyWatch
from exchange.usecases.promises import sure_breaches
from tests.support import deriving, onward
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.world import World
from tests.usecases import test_proxies, test_second_person
from tests.usecases.conftest import with_an_analyst
from tests.usecases.test_breaches import DAY, MINUTE, flash, found, made_owing
from tests.usecases.test_breaches_forged import ALTERED, broken, shown
from tests.usecases.test_destructions_altered import ALTERED as DESTRUCTIONS_ALTERED
from tests.usecases.test_destructions_altered import CERTIFIED, OPEN, asked_of, recalled
from tests.usecases.test_destructions_altered import shown as shown_asked
from tests.usecases.test_reports_walked import told, with_reports

Deed = Callable[[World], Awaitable[object]]


async def lose(world: World, event: str, **told: object) -> None:
    """Give every entry its place, and take those of an event from the database, as one does whose bundle is lost."""
    await place_entries(world, is_searchable=True)
    lost = [
        entry["id"]
        for entry in await world.entries()
        if entry["type"] == event and told.items() <= entry.get("detail", {}).items()
    ]
    assert lost
    world.unguard("audit_entry")
    for each in lost:
        world.sql("DELETE FROM audit_entry WHERE id = $1", each)


@pytest.mark.parametrize("event", ["report.recalled", "report.amended", "report.downgraded", "report.superseded"])
async def test_walk_accuses_no_report_of_what_the_log_lacks(make_lived: MakeLived, event: str) -> None:
    world, _ = await make_lived(with_reports)
    await lose(world, event)

    assert await told(world) == []


@pytest.mark.parametrize("event", ["report.posted", "report.received"])
async def test_nobody_broke_a_promise_by_what_the_log_lacks_and_others_are_found(
    make_lived: MakeLived, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    world, _ = await make_lived(made_owing)
    report = await flash(world)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    world.unguard("report_receipt")
    world.sql("DELETE FROM report_receipt")
    await lose(world, event)
    other = await flash(world)
    world.clock.advance(11 * MINUTE)
    watch = DutyWatch(world.services)
    for _ in range(2):
        await watch.round()

    assert [entry["detail"]["report"] for entry in await found(world)] == [other]
    assert len([text for text in caplog.messages if "not all broken promises are found" in text]) == 1


async def test_acknowledgement_that_the_log_lacks_and_that_came_too_late_lets_nobody_off(make_lived: MakeLived) -> None:
    world, _ = await make_lived(made_owing)
    report = await flash(world)
    world.clock.advance(11 * MINUTE)
    await usecases.receive_report(world.services, world.call("NOR reader"), report)
    await lose(world, "report.received")
    await DutyWatch(world.services).round()

    assert [entry["detail"]["report"] for entry in await found(world)] == [report]


async def test_nobody_was_silent_by_a_post_that_the_log_lacks(
    make_lived: MakeLived, caplog: pytest.LogCaptureFixture
) -> None:
    world, _ = await make_lived(made_owing)
    world.clock.advance(MINUTE)
    await world.post()
    world.sql("UPDATE report SET posted_at = posted_at - 86400000000")
    await lose(world, "report.posted")
    world.clock.advance(DAY - MINUTE)
    watch = DutyWatch(world.services)
    for _ in range(2):
        await watch.round()

    assert await found(world) == []
    assert len([text for text in caplog.messages if "not all broken promises are found" in text]) == 1


async def test_silence_waits_for_posts_that_are_away_and_nothing_else_does(
    make_lived: MakeLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = await make_lived(made_owing)
    world.clock.advance(MINUTE)
    await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR")))
    await place_entries(world, is_searchable=True)
    world.clock.advance(DAY - MINUTE)
    report = await flash(world, name="NOR contributor", label=Label("NATO", "SECRET", releasable_to=("GBR", "NOR")))
    world.clock.advance(11 * MINUTE)
    watch = DutyWatch(world.services)
    with monkeypatch.context() as meanwhile:
        away = Mock(side_effect=BlobsAwayError("the archive does not answer"))
        meanwhile.setattr(sure_breaches, "sought_entries", away)
        await watch.round()
    before = [entry["detail"].get("report") for entry in await found(world)]
    await watch.round()

    assert report in before
    assert None not in before
    assert {entry["detail"]["owed_to"] for entry in await found(world) if "report" not in entry["detail"]} == {
        "DNK",
        "NOR",
    }


async def test_breach_that_the_log_lacks_is_found_no_second_time_and_others_are(
    make_lived: MakeLived, caplog: pytest.LogCaptureFixture
) -> None:
    world, _ = await make_lived(broken)
    await lose(world, "duty.breached")
    watch = DutyWatch(world.services)
    for _ in range(2):
        await watch.round()
    silent = [text for text in caplog.messages if "not all broken promises are found" in text]
    before = await found(world)
    world.clock.advance(DAY)
    await DutyWatch(world.services).round()

    assert (before, len(silent)) == ([], 1)
    assert {entry["detail"]["kind"] for entry in await found(world)} == {"report"}


async def test_silence_that_lasts_and_whose_entry_the_log_lacks_hides_none_that_came_later(
    make_lived: MakeLived,
) -> None:
    world, _ = await make_lived(made_owing)
    world.clock.advance(DAY + MINUTE)
    await DutyWatch(world.services).round()
    await lose(world, "duty.breached", owed_to="NOR")
    world.clock.advance(DAY)
    await world.post(label=Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR")))
    world.clock.advance(DAY + MINUTE)
    await DutyWatch(world.services).round()

    silences = [entry["detail"] for entry in await found(world) if entry["detail"]["kind"] == "report"]
    assert [each["owed_to"] for each in silences] == ["DNK", "DNK"]


async def test_breach_of_which_the_log_lacks_the_entry_is_shown_and_one_of_another_time_is_not(
    make_lived: MakeLived,
) -> None:
    world, (breach, other) = await make_lived(broken)
    await lose(world, "duty.breached")
    before = await shown(world)
    world.unguard("duty_breach")
    world.sql(ALTERED["found_at"].replace("60000000", "7200000000"), breach)

    assert (before, await shown(world)) == ([breach, other], [other])


async def refuses(act: Awaitable[object], *, lacks: int = 1) -> None:
    with pytest.raises(LogDamagedError, match=f"the log lacks {lacks} of the entries that tell of this"):
        await act


async def test_consent_of_which_the_log_lacks_what_took_it_back_lets_nothing_through(make_lived: MakeLived) -> None:
    world, _ = await make_lived(with_an_analyst)
    source = await world.post(label=deriving.MIDDLE)
    request = await deriving.ask(world, source)
    await deriving.grant(world, request)
    await usecases.revoke_derivation(world.services, world.call("GBR releaser"), request)
    world.unguard("derivation_consent")
    world.sql("UPDATE derivation_consent SET state = 'granted'")
    await lose(world, "derivation.revoked")

    await refuses(deriving.derive(world, source))


async def test_consent_is_gone_by_though_the_log_lacks_another_one_about_the_same_report(make_lived: MakeLived) -> None:
    world, _ = await make_lived(with_an_analyst)
    source = await world.post(label=deriving.MIDDLE)
    other, request = await deriving.ask(world, source), await deriving.ask(world, source)
    for each in (other, request):
        await deriving.grant(world, each)
    await lose(world, "derivation.granted", request=other)
    await deriving.derive(world, source)
    await lose(world, "derivation.granted", request=request)

    await refuses(deriving.derive(world, source), lacks=2)


async def test_act_of_which_the_log_lacks_the_end_is_done_by_nobody(make_lived: MakeLived) -> None:
    world, _ = await make_lived(test_proxies.with_releasers)
    view = await test_proxies.ask(world)
    await usecases.revoke_proxy(world.services, world.call("NOR releaser"), view.row.id)
    for table in ("proxy_consent", "pending_act_end"):
        world.unguard(table)
    world.sql("DELETE FROM pending_act_end")
    world.sql("UPDATE proxy_consent SET state = 'awaiting-second-person', decided_at = NULL, decided_by = NULL")
    await lose(world, "proxy.revoked")

    await refuses(test_proxies.confirm(world, view))


async def test_act_of_which_the_log_lacks_that_it_was_refused_is_confirmed_by_nobody(populated: World) -> None:
    act, digest = await test_second_person.asked_for(populated)
    await usecases.refuse_act(populated.services, populated.call("auditor"), act)
    populated.unguard("pending_act_end")
    populated.sql("DELETE FROM pending_act_end")
    await lose(populated, "act.refused")

    await refuses(usecases.confirm_act(populated.services, populated.call("auditor"), act, digest))


async def test_request_of_which_the_log_lacks_the_end_is_granted_by_nobody(make_lived: MakeLived) -> None:
    world, _ = await make_lived(onward.with_releasers)
    request = await onward.ask(world, await world.post(label=onward.LOW))
    await usecases.refuse_onward(world.services, world.call("GBR releaser"), request, "no")
    world.unguard("onward_release")
    world.sql("UPDATE onward_release SET state = 'asked', decided_at = NULL, decided_by = NULL")
    await lose(world, "onward.refused")

    await refuses(onward.grant(world, request))


async def onward_refused(world: World) -> None:
    request = await onward.ask(world, await reported(world))
    await usecases.refuse_onward(world.services, world.call("GBR releaser"), request, "no")


async def onward_granted(world: World) -> None:
    await onward.grant(world, await onward.ask(world, await reported(world)))


async def derivation_revoked(world: World) -> None:
    request = await deriving.ask(world, await reported(world))
    await deriving.grant(world, request)
    await usecases.revoke_derivation(world.services, world.call("GBR releaser"), request)


async def derived(world: World) -> None:
    report = await reported(world)
    await deriving.grant(world, await deriving.ask(world, report))
    await deriving.derive(world, report)


async def proxy_revoked(world: World) -> None:
    view = await test_proxies.given(world)
    await usecases.revoke_proxy(world.services, world.call("NOR releaser"), view.row.id)


async def erased(world: World) -> None:
    act, digest = await test_second_person.asked_for(world)
    await usecases.confirm_act(world.services, world.call("auditor"), act, digest)


async def reported(world: World) -> str:
    """Return the first report there is; where there is none, post it."""
    found = [str(row[0]) for row in world.sql("SELECT id FROM report ORDER BY seq")]
    label = replace(deriving.MIDDLE, handling=("ORCON",))
    return found[0] if found else await world.post(label=label)


@pytest.mark.parametrize(
    ("first", "lost", "later"),
    [
        (onward_refused, "onward.refused", onward_granted),
        (derivation_revoked, "derivation.revoked", derived),
        (proxy_revoked, "proxy.revoked", test_proxies.given),
        (erased, "personal.erased", erased),
    ],
)
async def test_what_the_log_lacks_from_before_it_was_asked_for_ends_no_consent_and_no_act(
    make_lived: MakeLived, first: Deed, lost: str, later: Deed
) -> None:
    """What is about the same report, agreement or client, and was taken back long before, is another one."""
    world, _ = await make_lived(with_everybody)
    await first(world)
    await lose(world, lost)
    world.clock.advance(121 * MINUTE)

    await later(world)


async def with_everybody(world: World) -> None:
    await with_an_analyst(world)
    for name in ("NOR releaser", "NOR second releaser"):
        await world.enrol(name, "NOR", "releaser")


async def test_destruction_of_which_the_log_lacks_who_was_asked_is_shown_and_certified(make_lived: MakeLived) -> None:
    world, report = await recalled(make_lived)
    await lose(world, "destruction.asked")
    before = [await asked_of(world, name) for name in ("NOR reader", "NOR releaser")]
    how = usecases.Certificate("shredded", 1)
    await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)

    assert before == [([report], 0)] * 2
    assert await shown_asked(world, report) == (["GBR", "NOR"], 0)
    assert await asked_of(world, "NOR reader") == ([], 0)


async def test_certificate_that_the_log_lacks_lets_off_nobody_at_another_time(
    make_lived: MakeLived,
) -> None:
    world, report = await recalled(make_lived)
    how = usecases.Certificate("shredded", 1)
    await usecases.certify_destruction(world.services, world.call("GBR reader"), report, how)
    await lose(world, "destruction.certified")
    world.sql(
        f"{CERTIFIED} WHERE member = 'NOR'".replace("asked_at,", "asked_at + 3600000000,", 1), b"as if it were one"
    )

    assert await shown_asked(world, report) == (["GBR"], 1)


async def test_what_the_log_lacks_of_one_destruction_bears_out_no_row_of_another_report(make_lived: MakeLived) -> None:
    world, report = await recalled(make_lived)
    other = await world.post()
    await usecases.pull_report(world.services, world.call("NOR reader"), other)
    await usecases.recall_report(world.services, world.call("GBR releaser"), other, "mistaken")
    await lose(world, "destruction.asked", of=[world.clients["NOR reader"].id])
    alter = "UPDATE report_destruction SET asked_at = asked_at - 30000000, due_at = due_at - 30000000"
    world.sql(f"{alter} WHERE report_id = $1", report)

    assert await asked_of(world, "NOR reader") == ([other], 1)


async def test_destruction_of_which_the_log_lacks_the_certificate_is_shown_as_certified(make_lived: MakeLived) -> None:
    world, report = await recalled(make_lived)
    how = usecases.Certificate("shredded", 1)
    await usecases.certify_destruction(world.services, world.call("NOR reader"), report, how)
    await lose(world, "destruction.certified")
    made = await usecases.show_recall(world.services, world.call("GBR releaser"), report)

    certified = {row.given.member: row.returned_at is not None for row in made.value.asked}
    assert (certified, made.unopened) == ({"NOR": True, "GBR": False}, 0)


@pytest.mark.parametrize(
    ("name", "lost", "alter"),
    [
        ("NOR reader", "destruction.asked", OPEN),
        ("GBR reader", "destruction.certified", DESTRUCTIONS_ALTERED[1]),
        ("GBR reader", "destruction.certified", DESTRUCTIONS_ALTERED[2]),
    ],
)
async def test_row_of_a_destruction_is_not_told_against_what_the_log_has(
    make_lived: MakeLived, name: str, lost: str, alter: str
) -> None:
    """Whatever it lacks besides: whoever certified is not accused, and nobody of what it was never asked."""
    world, report = await recalled(make_lived)
    how = usecases.Certificate("shredded", 1)
    await usecases.certify_destruction(world.services, world.call(name), report, how)
    await lose(world, lost)
    world.sql(f"{alter} WHERE member = 'NOR'")

    assert await shown_asked(world, report) == (["GBR"], 1)
