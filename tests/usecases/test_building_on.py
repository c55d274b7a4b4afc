"""What a report builds on stays with it, and goes no further than its sources allow; on both databases."""

import json
from dataclasses import replace
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, InvalidError, NotFoundError, UnavailableError
from exchange.reports import Downgrade, PostedPart
from exchange.store import OnwardWish
from exchange.usecases.consents import pending_acts
from exchange.usecases.posting import derived_marking
from exchange.usecases.steps import second_person
from tests.support import onward
from tests.support.deriving import LOW, MIDDLE, SECRET, ask, confirm, derive, grant, is_refused
from tests.support.meanwhile import posted_meanwhile
from tests.support.placing import place_entries
from tests.support.world import World


async def references_of(world: World, report: str, name: str = "NOR analyst") -> list[str]:
    pulled = await usecases.pull_report(world.services, world.call(name), report)
    return list(json.loads(pulled.value.header_json)["references"])


async def amend(world: World, report: str, *sources: str, **others: Any) -> None:
    body = world.posted(**{"label": MIDDLE, "references": sources, "content": b"second", **others})
    await usecases.amend_report(world.services, world.call("NOR analyst"), report, body)


async def is_not_lowered(world: World, report: str) -> bool:
    with pytest.raises(InvalidError) as caught:
        await usecases.downgrade_report(world.services, world.call("NOR analyst"), report, Downgrade(LOW))
    return {fault.code for fault in caught.value.faults} == {"below-source"}


async def test_amendment_leaves_no_source_out(deriving: World) -> None:
    first, second = await deriving.post(label=MIDDLE), await deriving.post(label=MIDDLE)
    report = await derive(deriving, first, label=MIDDLE)
    await amend(deriving, report)
    assert await references_of(deriving, report) == [first]
    await amend(deriving, report, second)

    assert await references_of(deriving, report) == [first, second]
    assert await is_not_lowered(deriving, report)


async def test_source_that_is_gone_is_built_on_still_and_hinders_no_amendment(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    report = await derive(deriving, source, label=MIDDLE)
    await usecases.recall_report(deriving.services, deriving.call("GBR releaser"), source, "it was wrong")
    await amend(deriving, report)
    await amend(deriving, report, source)

    assert await is_not_lowered(deriving, report)
    with pytest.raises(InvalidError) as refused:
        await derive(deriving, source, label=MIDDLE)
    assert [fault.code for fault in refused.value.faults] == ["unknown-report"]


async def test_source_that_somebody_took_out_of_the_database_is_built_on_still_and_lets_nothing_be_lowered(
    deriving: World,
) -> None:
    source, other, moved = [await deriving.post(label=MIDDLE) for _ in range(3)]
    report, alone, unclear = [await derive(deriving, each, label=MIDDLE) for each in (source, source, moved)]
    await amend(deriving, report, other)
    again = deriving.posted(label=MIDDLE, content=b"second")
    await usecases.amend_report(deriving.services, deriving.call("GBR contributor"), moved, again)
    for table, column in (("report_part", "report_id"), ("report_version", "report_id"), ("report", "id")):
        deriving.unguard(table)
        deriving.sql(f"DELETE FROM {table} WHERE {column} IN ($1, $2)", source, moved)
    await amend(deriving, report)

    assert await references_of(deriving, report) == [other]
    # The one that is there holds it to its marking, and so does what the log says of the one that is gone.
    assert await is_not_lowered(deriving, report)
    assert await is_not_lowered(deriving, alone)
    await amend(deriving, alone)
    # Of a new version the log has its level alone; without that one's entry the word before is no word of it.
    with pytest.raises(InvalidError):
        await amend(deriving, unclear)
    await place_entries(deriving, is_searchable=True)
    deriving.unguard()
    deriving.sql("DELETE FROM audit_entry WHERE id IN (SELECT id FROM audit_search WHERE event = 'report.amended')")
    with pytest.raises(InvalidError):
        await amend(deriving, unclear)
    await amend(deriving, alone)


async def test_source_that_was_raised_since_holds_an_amendment_to_its_marking(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    report = await derive(deriving, source, label=MIDDLE)
    raised = deriving.posted(label=SECRET, content=b"names")
    await usecases.amend_report(deriving.services, deriving.call("GBR contributor"), source, raised)
    with pytest.raises(InvalidError) as refused:
        await amend(deriving, report)
    await amend(deriving, report, label=SECRET)

    assert [fault.code for fault in refused.value.faults] == ["below-source"]


async def test_versions_together_build_on_so_many_reports_and_no_more(deriving: World) -> None:
    sources = [await deriving.post(label=LOW) for _ in range(51)]
    report = await derive(deriving, *sources[:50], label=MIDDLE)
    for act in (amend(deriving, report, sources[50]), derive(deriving, sources[50], label=MIDDLE, supersedes=report)):
        with pytest.raises(InvalidError) as refused:
            await act
        assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/references", "too-many")]


async def test_what_takes_the_place_of_a_derived_report_builds_on_the_same(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    first = await derive(deriving, source, label=MIDDLE)
    second = await derive(deriving, label=MIDDLE, supersedes=first)
    third = await derive(deriving, source, label=MIDDLE, supersedes=second)

    body = deriving.posted(label=MIDDLE, supersedes=third)
    told = []
    for _ in range(2):
        call = deriving.call("NOR analyst")
        made = (await usecases.post_report(deriving.services, call, body, idempotency_key="again")).value
        told.append((made.report_id, made.is_replayed, json.loads(made.header_json)["references"]))

    # Who posts is told what it named; who reads sees what it may see.
    assert told == [(told[0][0], False, []), (told[0][0], True, [])]
    assert await references_of(deriving, told[0][0]) == [source]
    assert await references_of(deriving, second) == await references_of(deriving, third) == [source]
    assert await is_not_lowered(deriving, second)
    assert await is_not_lowered(deriving, third)


@pytest.mark.parametrize("status", ["current", "recalled"])
async def test_what_takes_a_place_sheds_no_source_where_somebody_took_out_what_is_sealed(
    deriving: World, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: who writes to the database empties a header, and puts it back behind the post that comes in its place."""
    report = await derive(deriving, await deriving.post(label=MIDDLE), label=MIDDLE)
    store = deriving.services.store
    kept = store.post_report

    async def put_back(*words: Any, **others: Any) -> Any:
        deriving.sql("UPDATE report SET status = 'current' WHERE id = $1", report)
        return await kept(*words, **others)

    monkeypatch.setattr(store, "post_report", put_back)
    await deriving.enrol("NOR poster", "NOR", "contributor", level="RESTRICTED")
    deriving.unguard("report")
    deriving.sql("UPDATE report SET sealed_header = $2, status = $3 WHERE id = $1", report, b"", status)
    body = deriving.posted(label=MIDDLE, supersedes=report)
    made = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR poster"), body))

    assert isinstance(made.error, UnavailableError)
    assert made.entry["detail"] == {"place": f"report {report}"}


async def test_place_of_a_report_marked_low_by_consent_is_taken_by_consent(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    await grant(deriving, request)
    first = await derive(deriving, source)
    body = deriving.posted(label=LOW, supersedes=first)
    posted = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR analyst"), body))
    await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), request)

    assert posted.entry["detail"] == {"consents": [request], "supersedes": first}
    assert await is_refused(deriving, supersedes=posted.value.value.report_id, place="/supersedes")


async def test_part_of_what_derives_from_anothers_report_is_no_lower_either(deriving: World) -> None:
    source, own = await deriving.post(label=MIDDLE), await deriving.post("NOR analyst", label=MIDDLE)
    parts = (PostedPart(LOW, "text/plain", "a.txt", b"a"), PostedPart(None, "text/plain", "b.txt", b"b"))
    assert await is_refused(deriving, source, label=MIDDLE, parts=parts)
    report = await derive(deriving, source, label=MIDDLE)
    wanted = Downgrade(MIDDLE, (LOW,))
    with pytest.raises(InvalidError) as refused:
        await usecases.downgrade_report(deriving.services, deriving.call("NOR analyst"), report, wanted)
    request = await ask(deriving, source)
    await grant(deriving, request)
    body = deriving.posted(label=MIDDLE, references=(source,), parts=parts)
    posted = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("NOR analyst"), body))

    assert [fault.code for fault in refused.value.faults] == ["below-source"]
    assert posted.entry["detail"] == {"consents": [request]}
    # Its own intelligence a member takes apart as it likes.
    assert await derive(deriving, own, label=MIDDLE, parts=parts)


async def test_what_derives_from_anothers_report_goes_on_to_others_by_its_consent_alone(deriving: World) -> None:
    source, own = await deriving.post(label=MIDDLE), await deriving.post("NOR analyst", label=MIDDLE)
    derived = [await derive(deriving, source, label=MIDDLE)]
    derived.append(await derive(deriving, derived[0], label=MIDDLE))
    free = await derive(deriving, own, label=MIDDLE)

    async def pass_on(report: str, recipient: str = "DNK") -> tuple[Any, list[Any]]:
        wish = OnwardWish(recipient, (), (), None, "theirs is the operation")
        asked = await usecases.request_onward(deriving.services, deriving.call("GBR reader"), report, wish)
        act = usecases.grant_onward(deriving.services, deriving.call("NOR analyst"), asked.value.row.id)
        made = await deriving.attempt(act)
        return made.error and made.error.code, [entry["detail"].get("consents") for entry in made.entries]

    wide = replace(MIDDLE, releasable_to=("DNK", "GBR", "NOR"))
    assert [await pass_on(report) for report in derived] == [("originator-control", [None])] * 2
    with pytest.raises(NotFoundError):
        await usecases.pull_report(deriving.services, deriving.call("DNK reader"), derived[0])
    request = await ask(deriving, source, lowest=wide)
    await grant(deriving, request)

    assert [await pass_on(report) for report in (*derived, free)] == [*[(None, [[request]])] * 2, (None, [None])]
    assert await pass_on(derived[0], "ESP") == ("originator-control", [None])


async def test_second_releaser_passes_on_nothing_for_which_a_source_consents_no_more(deriving: World) -> None:
    await deriving.enrol("NOR releaser", "NOR", "releaser")
    source = await deriving.post()
    derived = await derive(deriving, source, label=SECRET)
    wide = await ask(deriving, source, lowest=replace(SECRET, releasable_to=("DNK", "GBR", "NOR")))
    await confirm(deriving, await grant(deriving, wide))
    wish = OnwardWish("DNK", (), (), None, "theirs is the operation")
    asked = await usecases.request_onward(deriving.services, deriving.call("GBR reader"), derived, wish)
    waiting = await usecases.grant_onward(deriving.services, deriving.call("NOR analyst"), asked.value.row.id)
    await usecases.revoke_derivation(deriving.services, deriving.call("GBR releaser"), wide)
    with pytest.raises(ConflictError) as refused:
        await confirm(deriving, waiting.value, "NOR releaser")

    assert refused.value.code == "originator-control"


async def test_posts_wait_for_nobody_who_confirms_by_what_the_log_says_of_the_sources(
    deriving: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deriving.enrol("GBR analyst", "GBR", "contributor", "reader")
    await deriving.enrol("NOR second releaser", "NOR", "releaser")
    source = await deriving.post(label=SECRET)
    lowest = replace(LOW, releasable_to=("DNK", "ESP", "GBR", "NOR"))
    await confirm(deriving, await grant(deriving, await ask(deriving, source, lowest=lowest)))
    report = await derive(deriving, source, label=SECRET)
    lowering = await ask(deriving, report, "GBR analyst")
    with monkeypatch.context() as patched:
        # Nor for custody, which seals what the second one is asked.
        sealed = posted_meanwhile(patched, second_person, "_sealed", deriving)
        lower = await grant(deriving, lowering, "NOR analyst")
    further = await onward.grant(deriving, await onward.ask(deriving, report, "GBR analyst"), "NOR analyst")
    written = posted_meanwhile(monkeypatch, derived_marking, "is_on_record", deriving)
    may_see, looks = pending_acts._may_see, iter((True, False))

    async def comes_into_sight(*asked: Any) -> bool:
        return next(looks, True) and await may_see(*asked)

    # Shown, out of sight as it is made ready, and there again as it is done: it is looked at anew.
    monkeypatch.setattr(pending_acts, "_may_see", comes_into_sight)
    for act in (lower, further):
        await confirm(deriving, act, "NOR second releaser")

    assert (len(sealed), len(written)) == (1, 2)
    assert deriving.sql("SELECT count(*) FROM derivation_consent WHERE state = 'granted'") == [(2,)]
    assert deriving.sql("SELECT state FROM onward_release") == [("granted",)]
