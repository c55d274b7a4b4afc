from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from exchange.agreements import (
    NOTHING_OWED,
    Duty,
    InForce,
    Obligation,
    PartyState,
    Spell,
    duty_of,
    duty_spells,
    owed_to,
    reading_spells,
    resume_party,
    suspend_party,
)
from tests.core.agreements import worlds
from tests.core.agreements.worlds import DURING, EXAMPLE, FIRST_DAY, LAST_DAY, parse

SCOPE = "cyber-threats"
DAY = timedelta(days=1)
DEFAULTS = (("FLASH", "PT10M"), ("IMMEDIATE", "PT30M"), ("PRIORITY", "PT3H"), ("ROUTINE", "PT6H"))


def in_force_agreement():
    return worlds.agreement([PartyState.SIGNED] * 3)


def moment(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def terms_with(*obligations: Obligation):
    return replace(parse(EXAMPLE), obligations=obligations)


def acknowledges(party: str, **times: str) -> Obligation:
    return Obligation(party, SCOPE, None, tuple(times.items()))


def reports(party: str, every: str) -> Obligation:
    return Obligation(party, SCOPE, every, ())


def test_who_owes_acknowledgements_owes_them_of_every_precedence():
    duty = duty_of(terms_with(acknowledges("all", FLASH="PT2M")), "DNK", SCOPE)

    assert dict(duty.acknowledge) == dict(DEFAULTS) | {"FLASH": "PT2M"}
    others = duty_of(terms_with(acknowledges("all", ROUTINE="P1D")), "DNK", SCOPE)
    assert dict(others.acknowledge) == dict(DEFAULTS) | {"ROUTINE": "P1D"}
    assert [duty.within(name) for name in ("FLASH", "ROUTINE", "UNKNOWN")] == ["PT2M", "PT6H", None]


def test_nothing_is_owed_by_default_where_no_text_asks_for_it():
    assert duty_of(terms_with(), "NOR", SCOPE) == NOTHING_OWED
    assert duty_of(terms_with(reports("NOR", "P7D")), "NOR", SCOPE) == Duty("P7D")


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_obligations_the_shortest_times_hold(order: int):
    asked = [
        reports("all", "P1M"),
        reports("NOR", "P28D"),
        acknowledges("all", FLASH="PT10M", PRIORITY="PT1H"),
        acknowledges("NOR", FLASH="PT5M", PRIORITY="P1D"),
    ]

    duty = duty_of(terms_with(*asked[::order]), "NOR", SCOPE)

    assert duty.report_every == "P28D"
    assert (duty.within("FLASH"), duty.within("PRIORITY")) == ("PT5M", "PT1H")


def test_only_contributors_owe_reports_and_only_readers_acknowledge():
    everything = terms_with(reports("all", "P7D"), acknowledges("all", FLASH="PT5M"))
    scope = replace(everything.scopes[0], contributors=("NOR",), readers=("DNK",))
    terms = replace(everything, scopes=(scope,))

    assert duty_of(terms, "NOR", SCOPE) == Duty("P7D")
    assert duty_of(terms, "DNK", SCOPE).report_every is None
    assert duty_of(terms, "DNK", SCOPE).within("FLASH") == "PT5M"
    assert duty_of(terms, "GBR", SCOPE) == NOTHING_OWED


@pytest.mark.parametrize(("member", "scope"), [("ESP", SCOPE), ("NOR", "another scope")])
def test_others_and_other_scopes_owe_nothing(member: str, scope: str):
    assert duty_of(terms_with(reports("all", "P7D")), member, scope) == NOTHING_OWED


def test_obligation_in_one_scope_binds_in_no_other():
    terms = terms_with(reports("NOR", "P7D"))
    terms = replace(terms, scopes=(*terms.scopes, replace(terms.scopes[0], name="another scope")))

    assert duty_of(terms, "NOR", SCOPE) == Duty("P7D")
    assert duty_of(terms, "NOR", "another scope") == NOTHING_OWED


def test_duty_lasts_while_the_agreement_is_in_force():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("NOR", "P7D")))
    first = moment(FIRST_DAY)
    last = moment(LAST_DAY) + DAY
    version = [InForce(agreement, first - 9 * DAY, None)]

    duty = Duty("P7D")
    assert duty_spells(version, "NOR", SCOPE, first - DAY) == ()
    assert duty_spells(version, "NOR", SCOPE, first) == (Spell(first, None, duty),)
    assert duty_spells(version, "NOR", SCOPE, last - timedelta(microseconds=1)) == (Spell(first, None, duty),)
    assert duty_spells(version, "NOR", SCOPE, last) == (Spell(first, last, duty),)
    assert duty_spells(version, "GBR", SCOPE, last) == ()


def test_duty_ends_with_the_agreement_though_another_version_follows_later():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("NOR", "P7D")))
    last = moment(LAST_DAY) + DAY
    versions = [InForce(agreement, last - DAY, last + DAY), InForce(replace(agreement, version=9), last + DAY, None)]

    assert duty_spells(versions, "NOR", SCOPE, last + 2 * DAY) == (Spell(last - DAY, last, Duty("P7D")),)


def test_one_of_two_times_that_are_equal_is_named_in_any_order():
    week = [reports("NOR", "P7D"), reports("NOR", "P1W")]

    assert duty_of(terms_with(*week), "NOR", SCOPE) == duty_of(terms_with(*week[::-1]), "NOR", SCOPE)


def test_party_that_has_suspended_its_part_owes_nothing_meanwhile():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("all", "P7D")))
    start, off, on = DURING, DURING + 3 * DAY, DURING + 5 * DAY
    suspended = suspend_party(agreement, "NOR", off)
    resumed = resume_party(suspended, "NOR", on)
    versions = [InForce(agreement, start, off), InForce(suspended, off, on), InForce(resumed, on, None)]

    spells = duty_spells(versions, "NOR", SCOPE, on + DAY)

    assert spells == (Spell(start, off, Duty("P7D")), Spell(on, None, Duty("P7D")))
    assert [spells[0].holds(at) for at in (start, off - timedelta(microseconds=1), off)] == [True, True, False]
    # The others' duty is one, whoever else suspends its part.
    assert duty_spells(versions, "GBR", SCOPE, on + DAY) == (Spell(start, None, Duty("P7D")),)


def test_reports_are_owed_to_a_reader_while_it_takes_part_and_anew_when_it_comes_back():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("NOR", "P7D")))
    start, off, on = DURING, DURING + 3 * DAY, DURING + 5 * DAY
    suspended = suspend_party(agreement, "DNK", off)
    resumed = resume_party(suspended, "DNK", on)
    (scope,) = agreement.terms.scopes
    others = [member for member in scope.readers if member != "DNK"]
    narrowed = replace(resumed, terms=replace(resumed.terms, scopes=(replace(scope, readers=tuple(others)),)))
    spans = ((agreement, start, off), (suspended, off, on), (resumed, on, on + DAY), (narrowed, on + DAY, None))
    versions = [InForce(*span) for span in spans]
    now = on + 2 * DAY

    owed = {
        to: owed_to(duty_spells(versions, "NOR", SCOPE, now), reading_spells(versions, to, SCOPE, now))
        for to in ("DNK", "GBR", "ESP")
    }
    assert owed == {
        "DNK": (Spell(start, off, Duty("P7D")), Spell(on, on + DAY, Duty("P7D"))),
        "GBR": (Spell(start, None, Duty("P7D")),),
        "ESP": (),
    }
    assert owed_to([Spell(start, off, Duty("P7D"))], [Spell(off, None, NOTHING_OWED)]) == ()


def test_another_text_begins_another_duty_only_where_it_changes_it():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("NOR", "P7D")))
    retitled = replace(agreement, version=9, terms=replace(agreement.terms, title="Another title"))
    slower = replace(agreement, version=10, terms=terms_with(reports("NOR", "P14D")))
    one, two = DURING + DAY, DURING + 2 * DAY
    versions = [InForce(agreement, DURING, one), InForce(retitled, one, two), InForce(slower, two, None)]

    assert duty_spells(versions, "NOR", SCOPE, two + DAY) == (
        Spell(DURING, two, Duty("P7D")),
        Spell(two, None, Duty("P14D")),
    )


def test_each_text_is_held_beside_the_one_before_it_and_no_older_one():
    owing = [replace(in_force_agreement(), terms=terms_with(reports("NOR", every))) for every in ("P7D", "P1D", "P1D")]
    first, second, third = DURING, DURING + DAY, DURING + 2 * DAY
    versions = [
        InForce(agreement, since, until)
        for agreement, since, until in zip(owing, (first, second, third), (second, third, None), strict=True)
    ]

    assert duty_spells(versions, "NOR", SCOPE, third + DAY) == (
        Spell(first, second, Duty("P7D")),
        Spell(second, None, Duty("P1D")),
    )


def test_version_that_comes_after_the_moment_bears_on_nothing():
    agreement = replace(in_force_agreement(), terms=terms_with(reports("NOR", "P7D")))
    later = replace(agreement, version=9, terms=terms_with(reports("NOR", "P1D")))
    versions = [InForce(agreement, DURING, DURING + DAY), InForce(later, DURING + DAY, None)]

    assert duty_spells(versions, "NOR", SCOPE, DURING) == (Spell(DURING, None, Duty("P7D")),)


def test_whom_the_text_names_no_more_owes_nothing_even_where_a_scope_still_does():
    terms = terms_with(acknowledges("all", FLASH="PT5M"), reports("NOR", "P7D"))
    left = replace(terms, parties=tuple(party for party in terms.parties if party != "NOR"))

    assert duty_of(terms, "NOR", SCOPE) != NOTHING_OWED
    assert duty_of(left, "NOR", SCOPE) == NOTHING_OWED
