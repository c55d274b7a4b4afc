"""Requests for consent that somebody altered in the database before they were decided: nobody consents to them."""

import asyncio
from datetime import timedelta
from types import ModuleType

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.reports import PostedPart
from exchange.usecases.steps import requested_consents
from exchange.usecases.steps.recording import TamperedError
from tests.support import deriving as derivations
from tests.support import onward
from tests.support.lived import MakeLived
from tests.support.placing import place_entries
from tests.support.put_back import kept_rows
from tests.support.world import World
from tests.usecases.test_rows_held import held

RECIPIENT = """'"recipient": "ESP"', '"recipient": "DNK"'"""
WIDER = [
    RECIPIENT,
    """'"parts": [1]', '"parts": []'""",
    """'"purposes": ["defence"]', '"purposes": []'""",
    """'"until": 1780408800000000', '"until": null'""",
    """'"reason": "', '"reason": "not '""",
    """'"salt": "', '"salt": "00'""",
]


WHILE_ASKED = [
    ("onward_release", f"asked = replace(asked, {RECIPIENT})", onward),
    ("derivation_consent", "lowest = replace(lowest, 'RESTRICTED', 'UNCLASSIFIED')", derivations),
]
"""Table, what is altered in it while the log is asked, and whose requests these are."""


@pytest.fixture
async def asking(make_lived: MakeLived) -> World:
    return (await make_lived(onward.with_releasers))[0]


async def asked(world: World) -> str:
    label = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
    lower = Label("NATO", "UNCLASSIFIED", releasable_to=("GBR", "NOR"))
    parts = (
        PostedPart(lower, "text/plain", "one.txt", b"one"),
        PostedPart(label, "text/plain", "two.txt", b"two"),
    )
    report = await world.post(label=label, parts=parts)
    until = world.clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(days=1, hours=2)
    return await onward.ask(world, report, parts=(1,), purposes=("defence",), until=until)


@pytest.mark.parametrize("is_placed", [False, True])
async def test_nobody_releases_to_another_or_more_than_was_asked_for(
    asking: World, subtests: pytest.Subtests, *, is_placed: bool
) -> None:
    request = await asked(asking)
    if is_placed:
        await place_entries(asking, is_searchable=True)
    ((before,),) = asking.sql("SELECT asked FROM onward_release")
    for wider in WIDER:
        asking.sql(f"UPDATE onward_release SET asked = replace(asked, {wider})")
        assert asking.sql("SELECT asked FROM onward_release") != [(before,)], wider
        made = await asking.attempt(onward.grant(asking, request))
        asking.sql("UPDATE onward_release SET asked = $1", before)

        with subtests.test(wider):
            assert isinstance(made.error, ConflictError)
            assert (made.error.code, made.entry["decision"]) == ("request-altered", "refused")
    assert (await onward.grant(asking, request)).row.wish.recipient == "ESP"


async def test_request_about_a_version_that_was_replaced_is_granted_by_nobody(asking: World) -> None:
    label = onward.LOW
    report = await asking.post(label=label)
    request = await onward.ask(asking, report)
    amended = asking.posted(label=label, content=b"another part")
    await usecases.amend_report(asking.services, asking.call("GBR contributor"), report, amended)
    asking.sql("UPDATE onward_release SET state = 'asked'")

    with pytest.raises(ConflictError, match="not what was asked for"):
        await onward.grant(asking, request)


@pytest.mark.parametrize("end", ["refuse", "withdraw", "revoke"])
async def test_request_that_was_decided_or_taken_back_is_granted_by_nobody_whatever_its_row_says(
    asking: World, end: str
) -> None:
    report = await asking.post(label=onward.LOW)
    request, services = await onward.ask(asking, report), asking.services
    if end == "revoke":
        await onward.grant(asking, request)
        await usecases.revoke_onward(services, asking.call("GBR releaser"), request)
    elif end == "refuse":
        await usecases.refuse_onward(services, asking.call("GBR releaser"), request, "not theirs")
    else:
        await usecases.withdraw_onward(services, asking.call("NOR reader"), request)
    asking.sql("UPDATE onward_release SET state = 'asked'")

    with pytest.raises(ConflictError, match="the log says"):
        await onward.grant(asking, request)
    # What is asked for anew is decided anew.
    again = await onward.ask(asking, report)
    assert (await onward.grant(asking, again)).row.state.value == "granted"


async def test_nobody_consents_to_a_lower_marking_than_was_asked_for(asking: World, subtests: pytest.Subtests) -> None:
    await asking.enrol("NOR analyst", "NOR", "contributor", "reader")
    source = await asking.post(label=derivations.MIDDLE)
    request = await derivations.ask(asking, source)
    await asking.post(label=derivations.MIDDLE)
    put_back = kept_rows(asking, {"derivation_consent": ("id",)})
    for alter in (
        "lowest = replace(lowest, 'RESTRICTED', 'UNCLASSIFIED')",
        "until = until + 86400000000",
        "requester_member = 'DNK'",
        "report_id = (SELECT id FROM report WHERE id <> report_id)",
    ):
        asking.sql(f"UPDATE derivation_consent SET {alter}")
        made = await asking.attempt(derivations.grant(asking, request))
        put_back()

        with subtests.test(alter):
            assert isinstance(made.error, ConflictError)
            assert (made.error.code, made.entry["decision"]) == ("request-altered", "refused")
    # Nothing else was wrong with it.
    assert (await derivations.grant(asking, request)).row.state.value == "granted"


async def test_nobody_consents_while_too_much_waits_to_be_asked(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await asked(asking)
    with monkeypatch.context() as patched:
        patched.setattr("exchange.usecases.steps.told_entries._WAITING_AT_MOST", 0)
        made = await asking.attempt(onward.grant(asking, request))

    assert isinstance(made.error, UnavailableError)
    assert (await onward.grant(asking, request)).row.state.value == "granted"


async def test_request_about_a_report_of_which_nothing_is_left_is_told_as_that_to_who_may_decide_it(
    asking: World,
) -> None:
    request = await asked(asking)
    asking.sql("UPDATE release_class SET facts = '[]', digest = $1", "0" * 64)
    async with asking.another_node() as fresh:
        grant = usecases.grant_onward(fresh, asking.call("GBR releaser"), request, "not to be quoted")
        made = await asking.attempt(grant)

    assert isinstance(made.error, TamperedError)
    assert "report " in [entry for entry in made.entries if entry["type"] == "key.opened"][-1]["detail"]["place"]
    assert asking.sql("SELECT state FROM onward_release") == [("asked",)]


async def granted(world: World) -> tuple[str, str, str]:
    """Have a report released to Spain, beside another one; return both, and the request."""
    report, other = [await world.post(label=onward.LOW) for _ in range(2)]
    request = await onward.ask(world, report)
    await onward.grant(world, request)
    return report, other, request


async def goes_on(world: World) -> int:
    """Return how many reports Spain finds on another node."""
    async with world.another_node() as node:
        call = world.call("ESP reader")
        return len((await usecases.list_reports(node, call, usecases.ListQuery())).value.items)


async def test_consent_that_was_moved_to_another_report_is_not_said_to_be_taken_back(asking: World) -> None:
    _, other, request = await granted(asking)
    asking.sql("UPDATE onward_release SET report_id = $1", other)
    call = asking.call("GBR releaser")
    made = await asking.attempt(usecases.revoke_onward(asking.services, call, request))

    assert isinstance(made.error, TamperedError)
    assert (made.entry["type"], made.entry["detail"]["place"]) == ("key.opened", f"onward {request}")
    assert asking.sql("SELECT state FROM onward_release") == [("granted",)]


async def test_consent_to_lower_marking_that_was_moved_is_not_said_to_be_taken_back(asking: World) -> None:
    await asking.enrol("NOR analyst", "NOR", "contributor", "reader")
    report, other = await asking.post(), await asking.post()
    request = await derivations.ask(asking, report)
    await derivations.confirm(asking, await derivations.grant(asking, request))
    asking.sql("UPDATE derivation_consent SET report_id = $1", other)
    call = asking.call("GBR releaser")
    made = await asking.attempt(usecases.revoke_derivation(asking.services, call, request))

    assert isinstance(made.error, TamperedError)
    assert made.entry["detail"]["place"] == f"derivation {request}"


MOVED = "report_id = (SELECT id FROM report WHERE id <> report_id ORDER BY seq DESC LIMIT 1)"


@pytest.mark.parametrize("alter", [MOVED, "conditions = 'as you like'"])
async def test_consent_whose_row_the_jobs_ended_is_taken_back_by_its_originator(asking: World, alter: str) -> None:
    report, _, request = await granted(asking)
    asking.sql(f"UPDATE onward_release SET {alter}")
    (entry,) = await held(asking)
    asking.sql("UPDATE onward_release SET report_id = $1", report)

    assert (entry["object"]["id"], entry["detail"]["done"]) == (request, "the consent is ended")
    assert await goes_on(asking) == 1
    await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), request)
    assert await goes_on(asking) == 0
    with pytest.raises(ConflictError):
        await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), request)


async def test_consent_that_cannot_be_read_keeps_no_other_from_being_taken_back(asking: World) -> None:
    report, _, altered = await granted(asking)
    other = await onward.ask(asking, report, recipient="DNK")
    await onward.grant(asking, other)
    asking.sql(f"UPDATE onward_release SET asked_at = {2**63 - 1} WHERE id = $1", altered)
    denmark = await onward.read(asking, report, "DNK reader")
    await usecases.revoke_onward(asking.services, asking.call("GBR releaser"), other)

    assert [terms.conditions for terms in denmark.released_under] == ["not to be quoted"]
    with pytest.raises(NotFoundError):
        await onward.read(asking, report, "DNK reader")


LACKING = {
    MOVED: "report {report}: consents",
    "state = 'refused'": "report {report}: consents",
    f"asked = replace(asked, {RECIPIENT})": "report {report}: consents",
    f"asked_at = {2**63 - 1}": "onward {request}",
}


@pytest.mark.parametrize("alter", LACKING)
async def test_reader_by_a_consent_whose_row_was_altered_is_not_told_to_ask_again(asking: World, alter: str) -> None:
    report, _, request = await granted(asking)
    asking.sql(f"UPDATE onward_release SET {alter}")
    made = await asking.attempt(onward.read(asking, report))

    assert isinstance(made.error, TamperedError)
    assert made.entry["detail"]["place"] == LACKING[alter].format(report=report, request=request)
    assert made.entry["member"] == "ESP"


HALF = """replace({}, '"NATO"', '"\\ud800"')""", """replace({}, '"reason": "', '"reason": "\\ud800')"""


async def test_half_a_character_in_a_request_takes_no_other_one_from_its_list(asking: World) -> None:
    await asking.enrol("NOR analyst", "NOR", "contributor", "reader")
    report, call = await asking.post(), asking.call("GBR releaser")
    lower = [await derivations.ask(asking, report) for _ in range(2)]
    passed_on = [await onward.ask(asking, report) for _ in range(2)]
    asking.sql(f"UPDATE derivation_consent SET lowest = {HALF[0].format('lowest')} WHERE id = $1", lower[0])
    asking.sql(f"UPDATE onward_release SET asked = {HALF[1].format('asked')} WHERE id = $1", passed_on[0])

    for made, other in (
        (await usecases.list_derivations(asking.services, call), lower[1]),
        (await usecases.list_onward(asking.services, call), passed_on[1]),
    ):
        assert ([view.row.id for view in made.value], made.unopened) == ([other], 1)


@pytest.mark.parametrize(("table", "alter", "kind"), WHILE_ASKED, ids=[each[0] for each in WHILE_ASKED])
async def test_others_post_while_the_log_is_asked_and_what_is_altered_meanwhile_is_granted_by_nobody(
    asking: World, monkeypatch: pytest.MonkeyPatch, table: str, alter: str, kind: ModuleType
) -> None:
    """The archive may be slow, and who grants holds the order of posts."""
    await asking.enrol("NOR analyst", "NOR", "contributor", "reader")
    request = await kind.ask(asking, await asking.post(label=derivations.MIDDLE))
    ask = requested_consents.require_readable

    async def meanwhile(services: usecases.Services, question: str) -> None:
        monkeypatch.setattr(requested_consents, "require_readable", ask)
        async with asyncio.timeout(10):
            await asking.post(label=derivations.MIDDLE)
        await ask(services, question)
        asking.sql(f"UPDATE {table} SET {alter}")

    monkeypatch.setattr(requested_consents, "require_readable", meanwhile)
    with pytest.raises(ConflictError) as refused:
        await kind.grant(asking, request)

    assert refused.value.code == "request-altered"
