"""Crises: opened by two named signatories of different members, as wide as the signed text says, and over by themselves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, NotFoundError, new_id
from exchange.markings import Label
from exchange.members import Standing
from exchange.store.tables.crisis_tables import CrisisTable
from exchange.usecases import CrisisWish, ListQuery
from tests.support.lived import MakeLived
from tests.support.national import not_to
from tests.support.world import AGREEMENT, NOW, World, certificate_of, public_key_of
from tests.usecases.test_amending import concluded
from tests.usecases.test_national_caveats import enforce
from tests.usecases.test_rows_held import held

CRISIS = """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    ceiling: TOP SECRET
    readers: [DNK]
    at_most: PT72H
    signatories:
      - {member: GBR, name: GBR signatory}
      - {member: GBR, name: GBR deputy}
      - {member: NOR, name: NOR signatory}
"""
# DNK is a party and no reader: what it reads, it reads because of a crisis.
TEXT = AGREEMENT.replace("readers: [GBR, NOR, DNK]", "readers: [GBR, NOR]") + CRISIS
OLDER_TOO = TEXT + "    older_reports: included\n"
FOR_DNK = Label("NATO", "SECRET", releasable_to=("DNK", "GBR", "NOR"))
ABSENT = new_id(NOW, bytes)


async def agreed(world: World, text: str = TEXT) -> None:
    await world.agree(text)
    await world.enrol("GBR deputy", "GBR", "signatory")


@pytest.fixture
async def treaty(make_lived: MakeLived) -> World:
    return (await make_lived(agreed))[0]


async def asked(world: World, by: str = "GBR signatory", *, hours: int | None = None, clause: str = "storm-watch"):
    wish = CrisisWish(clause, "a second cable was cut", hours)
    return (await usecases.ask_for_crisis(world.services, world.call(by), world.agreement_id, wish)).value


async def confirms(world: World, act, by: str = "NOR signatory", services=None):
    return await usecases.confirm_act(services or world.services, world.call(by), act.id, act.digest)


async def opened(world: World, *, hours: int | None = None):
    await confirms(world, await asked(world, hours=hours))
    return (await uses(world))[0]


async def uses(world: World, by: str = "DNK reader"):
    return (await usecases.list_crises(world.services, world.call(by), world.agreement_id)).value.uses


async def reads(world: World, report: str, name: str = "DNK reader", services=None) -> bool:
    try:
        await usecases.pull_report(services or world.services, world.call(name), report)
    except NotFoundError:
        return False
    return True


async def test_crisis_opens_with_the_second_confirmation_and_ends_with_the_clock_on_every_node(treaty: World) -> None:
    before = await treaty.post(label=FOR_DNK)
    act = await asked(treaty, hours=24)
    opens = {name: act.asked.get(name) for name in ("lasts", "ceiling", "readers", "older_reports")}
    assert opens == {"lasts": "PT24H", "ceiling": "TOP SECRET", "readers": "DNK", "older_reports": None}
    async with treaty.another_node() as second:
        still_closed = await treaty.post(label=FOR_DNK)
        assert not await reads(treaty, still_closed, services=second)
        await confirms(treaty, act)
        report = await treaty.post(label=FOR_DNK)

        assert await reads(treaty, report)
        assert await reads(treaty, report, services=second)
        assert not await reads(treaty, before, services=second)
        assert not await reads(treaty, still_closed, services=second)
        treaty.clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
        assert await reads(treaty, report, services=second)
        treaty.clock.advance(timedelta(microseconds=1))
        assert not await reads(treaty, report, services=second)
        assert not await reads(treaty, report)
    assert await reads(treaty, report, "NOR reader")
    (use,) = await uses(treaty)
    assert (use.is_open, use.crisis.opened_by, use.crisis.until - use.crisis.opened_at) == (
        False,
        ("GBR", "NOR"),
        timedelta(hours=24),
    )


CLOSED, OPEN = "ports-and-cables", "weather"


async def test_crisis_opens_no_other_scope(make_lived: MakeLived) -> None:
    world, _ = await make_lived(agreed_in_three_scopes)
    await opened(world)
    scopes = ("cyber-threats", CLOSED, OPEN)
    within, closed, beside = [await world.post(label=FOR_DNK, scope=scope) for scope in scopes]

    assert [await reads(world, report) for report in (within, closed, beside)] == [True, False, True]
    listing = usecases.list_reports(world.services, world.call("DNK reader"), ListQuery())
    listed = await world.attempt(listing)
    assert [row.id for row in listed.value.value.rows] == [within, beside]
    # What is read anyway is no matter for the review of the crisis.
    assert listed.entry["detail"]["in_crisis"] == [within]
    # Nor is anything on record as posted in a crisis of another scope: its readers would keep it.
    state = (await world.services.store.caller("")).state
    classes = await world.services.knowledge.classes(world.services.store, state)
    in_crisis = {row.facts.scope: bool(row.facts.crises) for row in classes.values()}
    assert in_crisis == {"cyber-threats": True, CLOSED: False, OPEN: False}


async def agreed_in_three_scopes(world: World) -> None:
    scope = OLDER_TOO[OLDER_TOO.index("  - name:") : OLDER_TOO.index("obligations")]
    closed = scope.replace("cyber-threats", CLOSED)
    open_to_all = scope.replace("cyber-threats", OPEN).replace("readers: [GBR, NOR]", "readers: [GBR, NOR, DNK]")
    await agreed(world, OLDER_TOO.replace(scope, f"{scope}{closed}{open_to_all}"))


async def test_list_and_stream_of_classes_follow_the_crisis_too(treaty: World) -> None:
    async def listed() -> int:
        found = await usecases.list_reports(treaty.services, treaty.call("DNK reader"), ListQuery())
        return len(found.value.items)

    await opened(treaty)
    await treaty.post(label=FOR_DNK)
    assert await listed() == 1
    treaty.clock.advance(timedelta(hours=72))

    assert await listed() == 0


@pytest.mark.parametrize(("text", "sees_old"), [(TEXT, False), (OLDER_TOO, True)])
async def test_older_reports_go_further_only_where_the_signed_text_says_so(
    populated: World, text: str, sees_old: bool
) -> None:
    await agreed(populated, text)
    old = await populated.post(label=FOR_DNK)
    act = await asked(populated)
    await confirms(populated, act)

    assert act.asked.get("older_reports") == ("included" if sees_old else None)
    assert await reads(populated, old) is sees_old
    populated.clock.advance(timedelta(hours=72))
    assert not await reads(populated, old)


async def test_lifted_ceiling_lets_reports_above_it_in_and_out_until_it_ends(treaty: World) -> None:
    await treaty.enrol("NOR cleared", "NOR", "reader", level="TOP SECRET")
    high = Label("NATO", "TOP SECRET", releasable_to=("GBR", "NOR"))
    with pytest.raises(InvalidError):
        await treaty.post(label=high)
    await opened(treaty)
    report = await treaty.post(label=high)

    assert await reads(treaty, report, "NOR cleared")
    # The clearance is the client's own, whatever is open.
    assert not await reads(treaty, report, "NOR reader")
    treaty.clock.advance(timedelta(hours=72))
    assert not await reads(treaty, report, "NOR cleared")
    with pytest.raises(InvalidError):
        await treaty.post(label=high)


async def test_what_the_originator_controls_or_keeps_from_a_member_is_not_widened(treaty: World) -> None:
    await opened(treaty)
    held = [
        await treaty.post(label=Label("NATO", "SECRET", releasable_to=("DNK", "NOR"), handling=(caveat,)))
        for caveat in ("ORCON", "H2", "TLP:RED")
    ]
    unnamed = await treaty.post(label=Label("NATO", "SECRET", releasable_to=("NOR",)))
    above = Label("NATO", "TOP SECRET", releasable_to=("NOR",), handling=("ORCON",))

    assert [await reads(treaty, report) for report in (*held, unnamed)] == [False] * 4
    assert all([await reads(treaty, report, "NOR reader") for report in (*held, unnamed)])
    with pytest.raises(InvalidError):
        await treaty.post(label=above)


async def test_national_caveat_is_stronger_than_a_crisis(treaty: World) -> None:
    for name in ("GBR releaser", "GBR second releaser"):
        await treaty.enrol(name, "GBR", "releaser")
    await opened(treaty)
    before = await treaty.post(label=FOR_DNK)
    assert await reads(treaty, before)
    await enforce(treaty, not_to("DNK"))
    after = await treaty.post(label=FOR_DNK)

    assert [await reads(treaty, report) for report in (before, after)] == [False, False]
    assert await reads(treaty, after, "NOR reader")


async def test_each_release_that_only_the_crisis_allowed_is_marked_and_no_other_one(treaty: World) -> None:
    use = await opened(treaty)
    report = await treaty.post(label=FOR_DNK)
    mark = f"crisis/{use.crisis.id}"
    pulled = await treaty.attempt(usecases.pull_report(treaty.services, treaty.call("DNK reader"), report))
    own = await treaty.attempt(usecases.pull_report(treaty.services, treaty.call("NOR reader"), report))
    listed = await treaty.attempt(
        usecases.list_reports(treaty.services, treaty.call("DNK reader"), ListQuery(agreement=treaty.agreement_id))
    )
    plain = await treaty.attempt(usecases.list_reports(treaty.services, treaty.call("NOR reader"), ListQuery()))
    told = (await usecases.explain_report(treaty.services, treaty.call("DNK reader"), report)).value

    assert mark in pulled.entry["policies"]
    assert not [policy for policy in own.entry["policies"] if policy.startswith("crisis/")]
    assert (listed.entry["policies"], listed.entry["detail"]) == ([mark], {"in_crisis": [report]})
    assert "policies" not in plain.entry
    assert "A crisis is open" in next(rule.sentence for rule in told.rules if rule.number == 6)


async def test_everything_about_a_crisis_is_on_the_record_of_every_party(treaty: World) -> None:
    use = await opened(treaty, hours=2)
    await usecases.end_crisis(treaty.services, treaty.call("GBR deputy"), treaty.agreement_id, use.crisis.id)
    entries = {entry["type"]: entry for entry in await treaty.entries() if entry["type"].startswith("crisis.")}

    assert set(entries) == {"crisis.asked", "crisis.declared", "crisis.ended", "crisis.listed"}
    told = entries["crisis.declared"]["detail"]
    people = [treaty.clients[name].id for name in ("GBR signatory", "NOR signatory")]
    assert (told["reason"], told["by"], told["readers"]) == ("a second cable was cut", people, ["DNK"])
    assert told["parties"] == ["GBR", "NOR", "DNK"]


async def test_any_named_signatory_ends_it_at_once_and_nobody_else(treaty: World) -> None:
    use = await opened(treaty)
    report = await treaty.post(label=FOR_DNK)
    assert await reads(treaty, report)

    async def ends(by: str, crisis: str = use.crisis.id):
        return await usecases.end_crisis(treaty.services, treaty.call(by), treaty.agreement_id, crisis)

    with pytest.raises(ForbiddenError):
        await ends("DNK signatory")
    with pytest.raises(NotFoundError):
        await ends("ESP signatory")
    with pytest.raises(NotFoundError):
        await ends("GBR signatory", ABSENT)
    assert not (await ends("NOR signatory")).value.is_open
    assert not await reads(treaty, report)
    with pytest.raises(ConflictError):
        await ends("NOR signatory")


async def test_another_crisis_can_follow_and_does_not_reach_what_the_first_one_did(treaty: World) -> None:
    await opened(treaty, hours=1)
    first = await treaty.post(label=FOR_DNK)
    with pytest.raises(ConflictError) as twice:
        await asked(treaty)
    treaty.clock.advance(timedelta(hours=1))
    await opened(treaty)

    assert twice.value.code == "crisis-open"
    assert not await reads(treaty, first)
    assert len(await uses(treaty)) == 2


async def test_one_person_one_member_or_who_is_not_named_opens_nothing(
    treaty: World, subtests: pytest.Subtests
) -> None:
    await treaty.enrol("NOR other", "NOR", "signatory")
    act = await asked(treaty)
    for second, error, code in (
        ("GBR signatory", ConflictError, "second-person-needed"),
        ("GBR deputy", ConflictError, "other-member-needed"),
        ("NOR other", ForbiddenError, "role-missing"),
        ("DNK signatory", NotFoundError, "not-found"),
        ("ESP signatory", NotFoundError, "not-found"),
    ):
        refused = await treaty.attempt(confirms(treaty, act, second))

        with subtests.test(second):
            assert isinstance(refused.error, error)
            assert (refused.error.code, refused.entry["decision"]) == (code, "refused")
            assert await uses(treaty) == ()


async def test_who_may_not_ask_is_refused_and_recorded(treaty: World) -> None:
    await treaty.enrol("NOR other", "NOR", "signatory")

    async def attempt(by: str, **wish):
        return await treaty.attempt(asked(treaty, by, **wish))

    stranger, unnamed = await attempt("ESP signatory"), await attempt("NOR other")
    unknown, long = await attempt("GBR signatory", clause="flood-watch"), await attempt("GBR signatory", hours=73)

    errors = [type(each.error) for each in (stranger, unnamed, unknown, long)]
    assert errors == [NotFoundError, ForbiddenError, InvalidError, InvalidError]
    assert [each.entry["decision"] for each in (stranger, unnamed, unknown, long)] == ["refused"] * 4


async def test_acts_of_one_client_that_wait_are_bounded(treaty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.usecases.steps.second_person.MOST_WAITING", 2)
    first, _ = [await asked(treaty) for _ in range(2)]
    with pytest.raises(ConflictError, match="wait for a second person") as refused:
        await asked(treaty)
    assert refused.value.code == "too-many-waiting"
    await asked(treaty, "GBR deputy")
    # Nor do all clients of one member together fill what everybody looks through.
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("exchange.usecases.steps.second_person.MOST_WAITING_OF_MEMBER", 3)
        with pytest.raises(ConflictError, match="clients of your member"):
            await asked(treaty, "GBR deputy")
        await asked(treaty, "NOR signatory")
    # What was taken back waits no more, and neither does what nobody confirmed in time.
    await usecases.refuse_act(treaty.services, treaty.call("GBR signatory"), first.id)
    await asked(treaty)
    treaty.clock.advance(timedelta(hours=25))
    await asked(treaty)


async def test_confirmation_is_used_once_and_in_its_time(treaty: World) -> None:
    act = await asked(treaty, hours=1)
    made = await treaty.attempt(confirms(treaty, act))
    treaty.clock.advance(timedelta(hours=1))
    with pytest.raises(ConflictError) as again:
        await confirms(treaty, act)
    late = await asked(treaty)
    treaty.clock.advance(timedelta(hours=24))
    with pytest.raises(ConflictError) as expired:
        await confirms(treaty, late)

    assert (again.value.code, expired.value.code) == ("approved-already", "request-expired")
    # Of what two members do, each one's auditors see what its own person did.
    assert [entry.get("owner") for entry in made.entries if entry["type"] == "act.confirmed"] == [None]
    assert [use.is_open for use in await uses(treaty)] == [False]


async def test_suspended_party_or_revoked_person_opens_nothing(treaty: World) -> None:
    act, services, suspended = await asked(treaty), treaty.services, []
    # Whose person confirms, and whose asked: both share under the agreement still.
    for name in ("NOR signatory", "GBR signatory"):
        await usecases.suspend_agreement(services, treaty.call(name), treaty.agreement_id)
        with pytest.raises(ConflictError) as refused:
            await confirms(treaty, act)
        suspended.append(refused.value.code)
        await usecases.resume_agreement(services, treaty.call(name), treaty.agreement_id)
    revoked = treaty.clients["GBR signatory"].id
    await usecases.change_standing(services, treaty.call("operator"), revoked, Standing.REVOKED)
    with pytest.raises(ConflictError) as gone:
        await confirms(treaty, act)

    # Who confirms is told of its own member what it can mend, and of the other one that this is to be asked anew.
    assert (suspended, gone.value.code) == (["agreement-not-in-force", "requester-gone"], "requester-gone")
    assert await uses(treaty) == ()


async def test_row_that_somebody_lengthened_or_invented_opens_no_more_than_the_signed_text(treaty: World) -> None:
    await opened(treaty, hours=1)
    report = await treaty.post(label=FOR_DNK)
    treaty.sql("UPDATE agreement_crisis SET until_at = until_at + 999999999999")
    async with treaty.another_node() as second:
        treaty.clock.advance(timedelta(hours=72))
        assert not await reads(treaty, report, services=second)
        treaty.sql("UPDATE agreement_crisis SET clause = 'all-of-it', opened_at = opened_at + 259000000000")
    async with treaty.another_node() as third:
        assert not await reads(treaty, report, services=third)


async def test_who_confirms_with_the_key_of_who_asked_is_no_second_person(treaty: World) -> None:
    certificate = replace(certificate_of("NOR twin"), public_key=public_key_of("GBR signatory"))
    await treaty.enrol("NOR twin", "NOR", "signatory", certificate=certificate)
    attempt = await treaty.attempt(confirms(treaty, await asked(treaty), "NOR twin"))

    assert attempt.error is not None
    assert attempt.error.code == "second-person-needed"


@pytest.mark.parametrize(
    "alter",
    [
        "until_at = until_at + 3600000000",
        "opened_at = opened_at + 3600000000",
        "edition = edition + 1",
        "clause = 'x'",
        "agreement_id = id",
    ],
)
async def test_crisis_that_was_lengthened_in_its_row_is_told_and_ended(treaty: World, alter: str) -> None:
    crisis = (await opened(treaty, hours=24)).crisis.id
    before = await held(treaty)
    treaty.sql(f"UPDATE agreement_crisis SET {alter}")
    (told,) = await held(treaty)

    assert before == []
    assert (told["object"]["id"], told["detail"]["done"]) == (crisis, "ended again")
    assert treaty.sql("SELECT count(*) FROM agreement_crisis WHERE ended_at IS NULL") == [(0,)]
    assert await held(treaty) == []


async def test_crisis_that_nobody_declared_is_told_and_ended(treaty: World) -> None:
    declared = (await opened(treaty)).crisis.id
    names = ", ".join(name for name in CrisisTable.model_fields if name != "id")
    treaty.sql(f"INSERT INTO agreement_crisis (id, {names}) SELECT '{ABSENT}', {names} FROM agreement_crisis")
    await usecases.end_crisis(treaty.services, treaty.call("GBR signatory"), treaty.agreement_id, declared)
    report = await treaty.post(label=FOR_DNK)
    was_read = await reads(treaty, report)
    treaty.clock.advance(timedelta(hours=1))
    (told,) = await held(treaty)

    assert (told["object"]["id"], told["detail"]["done"], told["detail"]["why"]) == (
        ABSENT,
        "ended",
        "no entry declared it",
    )
    assert (was_read, await reads(treaty, report)) == (True, False)
    assert await held(treaty) == []


async def test_act_about_a_clause_that_the_text_has_no_more_opens_nothing_and_is_ended_by_whoever_sees_it(
    treaty: World,
) -> None:
    await treaty.enrol("NOR other", "NOR", "signatory")
    act = await asked(treaty)
    with pytest.raises(ForbiddenError):
        await usecases.refuse_act(treaty.services, treaty.call("NOR other"), act.id)
    await concluded(treaty, TEXT.replace(CRISIS, ""))
    with pytest.raises(ConflictError) as amended:
        await confirms(treaty, act)
    ended = await usecases.refuse_act(treaty.services, treaty.call("NOR other"), act.id, "no clause any more")

    assert (amended.value.code, ended.value.act.refusal) == ("text-differs", "no clause any more")
    assert await uses(treaty) == ()


async def test_act_is_confirmed_under_the_text_that_it_was_asked_under(treaty: World) -> None:
    act = await asked(treaty)
    await concluded(treaty, TEXT.replace("P5Y", "P4Y"))
    with pytest.raises(ConflictError) as amended:
        await confirms(treaty, act)

    assert amended.value.code == "text-differs"
    assert await uses(treaty) == ()


async def test_act_of_somebody_whose_row_is_gone_opens_nothing(treaty: World) -> None:
    act = await asked(treaty)
    treaty.unguard("client")
    treaty.sql("DELETE FROM client WHERE id = $1", treaty.clients["GBR signatory"].id)
    made = await treaty.attempt(confirms(treaty, act))

    assert isinstance(made.error, ConflictError)
    assert (made.error.code, made.entry["decision"]) == ("requester-gone", "refused")
    assert await uses(treaty) == ()


async def test_crisis_that_stands_under_no_text_is_not_shown_and_is_told_to_whom_all_are_shown(treaty: World) -> None:
    whole = await opened(treaty, hours=1)
    treaty.clock.advance(timedelta(hours=1))
    altered = await opened(treaty)
    treaty.sql("UPDATE agreement_crisis SET edition = 9 WHERE id = $1", altered.crisis.id)
    for name in ("operator", "GBR reader"):
        made = await usecases.list_crises(treaty.services, treaty.call(name), treaty.agreement_id)
        assert [each.crisis.id for each in made.value.uses] == [whole.crisis.id]
        assert made.unopened == 1


async def test_act_of_an_agreement_that_cannot_be_read_takes_no_other_from_the_list(treaty: World) -> None:
    await asked(treaty)
    treaty.unguard("agreement")
    treaty.sql("UPDATE agreement SET terms = '{}'")
    made = await treaty.attempt(usecases.list_pending_acts(treaty.services, treaty.call("NOR signatory")))

    assert (made.value.value, made.value.unopened) == ((), 1)
    assert [entry["type"] for entry in made.entries] == ["act.listed", "key.opened"]
