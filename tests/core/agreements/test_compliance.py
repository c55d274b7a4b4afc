"""What parties did, counted: on the edges of the clock, and against a naive model that goes through it second by second."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.agreements import (
    Duty,
    InForce,
    Obligation,
    PartyState,
    PostedFact,
    Rhythm,
    Spell,
    Timeliness,
    measure,
    rhythm_of,
    suspend_party,
    timeliness,
)
from tests.core.agreements import worlds
from tests.core.agreements.worlds import DURING, EXAMPLE, parse

SCOPE = "cyber-threats"
T = DURING
HOUR, DAY, INSTANT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
DAILY = Duty("P1D")
PROMPT = Duty(None, (("FLASH", "PT10M"), ("ROUTINE", "PT6H")))
OPEN = (Spell(T, None, DAILY),)


def counted(rhythm: Rhythm | None) -> tuple[int, int, int, bool]:
    assert rhythm is not None
    return rhythm.in_time, rhythm.late, rhythm.missed, rhythm.is_overdue


@pytest.mark.parametrize(
    ("posts", "now", "expected"),
    [
        ([], T, (0, 0, 0, False)),
        ([], T + DAY, (0, 0, 0, False)),
        ([], T + DAY + INSTANT, (0, 0, 0, True)),
        ([T + DAY], T + DAY, (1, 0, 0, False)),
        ([T + DAY + INSTANT], T + 2 * DAY, (0, 1, 0, False)),
        # The next one is due from the last one on, late or not.
        ([T + 3 * DAY], T + 4 * DAY, (0, 1, 0, False)),
        ([T + 3 * DAY], T + 4 * DAY + INSTANT, (0, 1, 0, True)),
        ([T, T, T + DAY], T + DAY, (3, 0, 0, False)),
        ([T - INSTANT], T + DAY + INSTANT, (0, 0, 0, True)),
    ],
)
def test_rhythm_on_the_edges_of_its_deadline(posts, now, expected):
    assert counted(rhythm_of(OPEN, posts, T, now)) == expected


def test_rhythm_says_what_is_promised_now_and_when_the_next_report_is_due():
    rhythm = rhythm_of(OPEN, [T + HOUR], T, T + 2 * HOUR)

    assert rhythm == Rhythm("P1D", 1, 0, 0, due=T + HOUR + DAY, is_overdue=False)


def test_no_rhythm_is_no_record():
    assert rhythm_of((Spell(T, None, PROMPT),), [T], T, T + DAY) is None
    assert rhythm_of((), [T], T, T + DAY) is None


@pytest.mark.parametrize(("end", "missed"), [(T + DAY, 0), (T + DAY + INSTANT, 1), (T + 9 * DAY, 1)])
def test_duty_that_ends_while_a_report_is_overdue_was_missed(end, missed):
    ended = rhythm_of((Spell(T, end, DAILY),), [], T, T + 10 * DAY)

    assert ended == Rhythm(None, 0, 0, missed, due=None, is_overdue=False)


def test_what_is_posted_while_nothing_is_owed_is_neither_late_nor_in_time():
    spells = (Spell(T, T + DAY, DAILY), Spell(T + 5 * DAY, None, DAILY))

    rhythm = rhythm_of(spells, [T + DAY, T + 3 * DAY, T + 6 * DAY], T, T + 6 * DAY)

    assert counted(rhythm) == (1, 0, 0, False)


def test_another_rhythm_begins_anew_and_another_duty_beside_it_does_not():
    both = Duty("P1D", PROMPT.acknowledge)
    beside = (Spell(T, T + HOUR, DAILY), Spell(T + HOUR, None, both))
    slower = (Spell(T, T + HOUR, DAILY), Spell(T + HOUR, None, Duty("P2D")))

    assert rhythm_of(beside, [], T, T + DAY + INSTANT) == Rhythm("P1D", 0, 0, 0, due=T + DAY, is_overdue=True)
    assert rhythm_of(slower, [], T, T + DAY + INSTANT).due == T + HOUR + 2 * DAY
    then_beside = (Spell(T, T + HOUR, Duty("P2D")), *(replace(each, since=each.since + HOUR) for each in beside))
    then_beside = (then_beside[0], replace(then_beside[1], until=T + 2 * HOUR), then_beside[2])
    assert rhythm_of(then_beside, [], T, T + 3 * HOUR).due == T + HOUR + DAY
    assert counted(rhythm_of(then_beside, [T + HOUR + INSTANT], T, T + 3 * HOUR)) == (1, 0, 0, False)
    # It ends when the last of its stretches does.
    ended = (beside[0], replace(beside[1], until=T + 3 * DAY))
    assert rhythm_of(ended, [], T, T + 9 * DAY) == Rhythm(None, 0, 0, 1, due=None, is_overdue=False)


def test_what_was_posted_while_a_duty_lasted_is_counted_when_it_has_ended():
    ended = (Spell(T, T + 2 * DAY, DAILY),)

    assert counted(rhythm_of(ended, [T + HOUR, T + DAY, T + 2 * DAY], T, T + 3 * DAY)) == (2, 0, 0, False)


@pytest.mark.parametrize(
    ("before", "first", "expected"),
    [
        (T + 9 * DAY + HOUR, T + 10 * DAY + HOUR, (1, 0, 0, False)),
        (T + 9 * DAY + HOUR, T + 10 * DAY + HOUR + INSTANT, (0, 1, 0, False)),
        # Long silent before the period began: whatever comes in it comes late.
        (T + 2 * DAY, T + 10 * DAY, (0, 1, 0, False)),
    ],
)
def test_what_was_posted_before_the_period_says_when_the_next_one_was_due(before, first, expected):
    assert counted(rhythm_of(OPEN, [before, first], T + 10 * DAY, first)) == expected


def test_duty_that_ended_before_the_period_is_not_looked_at():
    assert rhythm_of((Spell(T, T + DAY, DAILY),), [], T + DAY, T + 9 * DAY) is None


def fact(posted_at=T, precedence="FLASH", **others) -> PostedFact:
    return PostedFact(SCOPE, "GBR", precedence, posted_at, **{"owed_by": frozenset({"NOR"}), **others})


DUE = T + timedelta(minutes=10)
PROMISED = (Spell(T, None, PROMPT),)


@pytest.mark.parametrize(
    ("given_at", "now", "expected"),
    [
        (DUE, DUE, Timeliness.IN_TIME),
        (DUE + INSTANT, DUE + HOUR, Timeliness.LATE),
        (None, DUE, Timeliness.WAITING),
        (None, DUE + INSTANT, Timeliness.OVERDUE),
    ],
)
def test_acknowledgement_on_the_edges_of_its_deadline(given_at, now, expected):
    given_by = {} if given_at is None else {"NOR": given_at}

    assert timeliness(fact(acknowledged=given_by), "NOR", PROMISED, now) is expected


@pytest.mark.parametrize(
    "owes_nothing",
    [
        fact(owed_by=frozenset({"DNK"})),
        fact(precedence="PRIORITY"),
        fact(posted_at=T - INSTANT),
        fact(is_recalled=True),
        fact(ends_at=DUE),
        fact(acknowledged={"NOR": T}, owed_by=frozenset()),
    ],
)
def test_what_could_not_be_read_or_was_not_promised_is_not_owed(owes_nothing):
    assert timeliness(owes_nothing, "NOR", PROMISED, DUE + HOUR) is None


def test_what_expired_after_its_time_was_due_and_what_was_acknowledged_before_its_recall_was():
    assert timeliness(fact(ends_at=DUE + INSTANT), "NOR", PROMISED, DUE + HOUR) is Timeliness.OVERDUE
    assert timeliness(fact(ends_at=DUE), "NOR", PROMISED, DUE - INSTANT) is Timeliness.WAITING
    recalled = fact(is_recalled=True, acknowledged={"NOR": DUE})
    assert timeliness(recalled, "NOR", PROMISED, DUE + HOUR) is Timeliness.IN_TIME


@pytest.mark.parametrize(("until", "expected"), [(DUE, None), (DUE + INSTANT, Timeliness.OVERDUE)])
def test_who_was_not_bound_at_the_end_of_the_time_did_not_miss_it(until, expected):
    spells = (Spell(T, until, PROMPT), Spell(DUE + HOUR, None, PROMPT))

    assert timeliness(fact(), "NOR", spells, DUE + 2 * HOUR) is expected


def test_who_owed_something_else_at_the_end_of_the_time_did_not_miss_it():
    spells = (Spell(T, DUE, PROMPT), Spell(DUE, None, DAILY))

    assert timeliness(fact(), "NOR", spells, DUE + INSTANT) is None


def agreement_owing(*obligations: Obligation):
    signed = worlds.agreement([PartyState.SIGNED] * 3)
    return replace(signed, terms=replace(parse(EXAMPLE), obligations=obligations))


def test_parties_are_measured_scope_by_scope_from_the_newest_text():
    owed = (Obligation("GBR", SCOPE, "P7D", ()), Obligation("all", SCOPE, None, (("FLASH", "PT10M"),)))
    versions = [InForce(agreement_owing(*owed), T, None)]
    posts = [
        fact(T + HOUR, acknowledged={"NOR": T + HOUR}, owed_by=frozenset({"NOR", "DNK"})),
        fact(T + 2 * HOUR, "ROUTINE"),
        PostedFact(SCOPE, "NOR", "ROUTINE", T + 3 * HOUR),
        PostedFact("a scope that is gone", "NOR", "ROUTINE", T + 3 * HOUR),
        fact(T - HOUR),
    ]

    parties = {each.member: each.scopes for each in measure(versions, posts, T, T + 4 * HOUR)}

    (gbr,), (nor,), (dnk,) = (parties[member] for member in ("GBR", "NOR", "DNK"))
    assert (gbr.posts, gbr.last_posted_at, gbr.share_percent) == (2, T + 2 * HOUR, 67)
    assert (nor.posts, nor.share_percent, nor.rhythm) == (1, 33, None)
    assert (dnk.posts, dnk.last_posted_at, dnk.share_percent) == (0, None, 0)
    assert gbr.rhythm == Rhythm("P7D", 2, 0, 0, due=T + 2 * HOUR + 7 * DAY, is_overdue=False)
    by_precedence = {each.precedence: each for each in nor.acknowledgements}
    assert (by_precedence["FLASH"].within, by_precedence["FLASH"].in_time) == ("PT10M", 1)
    assert by_precedence["ROUTINE"].waiting == 1
    assert {each.precedence: each.overdue for each in dnk.acknowledgements} == {
        "FLASH": 1, "IMMEDIATE": 0, "PRIORITY": 0, "ROUTINE": 0,
    }  # fmt: skip


LOWERED = (("FLASH", DUE + INSTANT), ("PRIORITY", DUE + HOUR))


@pytest.mark.parametrize(
    ("was", "given_at", "expected"),
    [
        (LOWERED, None, ("FLASH", Timeliness.OVERDUE)),
        (LOWERED, DUE, ("FLASH", Timeliness.IN_TIME)),
        (LOWERED, DUE + HOUR, ("FLASH", Timeliness.LATE)),
        # Lowered while there was time, it has the time of what it is now.
        ((("FLASH", DUE),), None, ("ROUTINE", Timeliness.WAITING)),
        (LOWERED[1:], DUE + HOUR, ("ROUTINE", Timeliness.IN_TIME)),
        ((("a former word", DUE),), None, ("ROUTINE", Timeliness.WAITING)),
        # Lowered twice: the first time there was time, the second time there was none.
        ((("FLASH", DUE), ("IMMEDIATE", DUE + HOUR)), None, ("IMMEDIATE", Timeliness.OVERDUE)),
    ],
)
def test_less_urgent_report_excuses_nobody_whose_time_was_up(was, given_at, expected):
    versions = [InForce(agreement_owing(Obligation("NOR", SCOPE, None, (("FLASH", "PT10M"),))), T, None)]
    one = fact(precedence="ROUTINE", acknowledged={} if given_at is None else {"NOR": given_at}, was=was)

    (nor,) = next(each.scopes for each in measure(versions, [one], T, DUE + 2 * HOUR) if each.member == "NOR")

    counts = {(each.precedence, how): getattr(each, how.value) for each in nor.acknowledgements for how in Timeliness}
    assert {place for place, count in counts.items() if count} == {expected}


def test_nobody_has_a_share_of_nothing_and_what_is_promised_no_more_is_still_counted():
    before = agreement_owing(Obligation("NOR", SCOPE, None, (("FLASH", "PT10M"),)))
    after = replace(agreement_owing(), version=9)
    versions = [InForce(before, T, T + DAY), InForce(after, T + DAY, None)]

    silent = measure(versions, [], T, T + 2 * DAY)
    (nor,) = next(each.scopes for each in measure(versions, [fact()], T, T + 2 * DAY) if each.member == "NOR")

    assert {scope.share_percent for party in silent for scope in party.scopes} == {None}
    # What nobody ever owed is not counted at all.
    owed = measure([InForce(after, T, None)], [fact()], T, T + DAY)
    assert {scope.acknowledgements for party in owed for scope in party.scopes} == {()}
    assert [(each.precedence, each.within, each.overdue) for each in nor.acknowledgements] == [("FLASH", None, 1)]


def test_of_others_rhythms_is_told_what_was_owed_to_who_asks_and_of_its_own_all():
    owing = agreement_owing(Obligation("GBR", SCOPE, "P1D", ()))
    away = replace(suspend_party(owing, "NOR", T + DAY), version=9)
    versions = [InForce(owing, T, T + DAY), InForce(away, T + DAY, T + 9 * DAY), InForce(owing, T + 9 * DAY, None)]
    now = T + 9 * DAY + HOUR

    due = {
        to: next(each.scopes[0].rhythm.due for each in measure(versions, [], T, now, to=to) if each.member == "GBR")
        for to in (None, "DNK", "GBR", "NOR")
    }
    assert due == {None: T + DAY, "DNK": T + DAY, "GBR": T + DAY, "NOR": T + 10 * DAY}


def test_party_without_a_place_in_a_scope_has_no_record_of_it():
    agreement = agreement_owing()
    narrow = replace(agreement.terms.scopes[0], contributors=("GBR",), readers=("NOR",))
    agreement = replace(agreement, terms=replace(agreement.terms, scopes=(narrow,)))

    records = measure([InForce(agreement, T, None)], [], T, T)

    assert [(each.member, len(each.scopes)) for each in records] == [("GBR", 1), ("NOR", 1), ("DNK", 0)]

    versions = [InForce(agreement_owing(), T, T + HOUR), InForce(agreement, T + HOUR, None)]
    assert measure(versions, [], T, T + DAY) == records


# A naive model: time goes by in whole minutes, and whoever owes something keeps a note of when it is due.
START = datetime(2027, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LENGTH = 40
minutes = st.integers(0, LENGTH)


def spells_at(edges: list[int], every: int, within: int) -> tuple[Spell, ...]:
    duty = Duty(f"PT{every}M", (("FLASH", f"PT{within}M"),))
    marks = sorted(set(edges))
    if len(marks) % 2:
        marks.append(None)
    pairs = zip(marks[::2], marks[1::2], strict=True)
    return tuple(
        Spell(START + MINUTE * begin, None if end is None else START + MINUTE * end, duty) for begin, end in pairs
    )


def naive_rhythm(spells, every: int, posts: list[int], since: int, now: int) -> Counter:
    """Count minute by minute: what is due, what comes, and what never comes."""
    counts: Counter = Counter()
    deadline, was_bound = None, False
    for minute in range(now + 1):
        bound = any(spell.holds(START + MINUTE * minute) for spell in spells)
        if was_bound and not bound:
            counts["missed"] += deadline < minute and minute > since
            deadline = None
        if bound and not was_bound:
            deadline = minute + every
        for _ in range(posts.count(minute) if bound else 0):
            if minute >= since:
                counts["in_time" if minute <= deadline else "late"] += 1
            deadline = minute + every
        was_bound = bound
    counts["overdue"] = was_bound and now > deadline
    return counts


@settings(max_examples=400)
@given(st.lists(minutes, max_size=5), st.integers(1, 9), st.lists(minutes, max_size=9), minutes, minutes)
def test_the_naive_model_counts_the_same_rhythm(edges, every, posts, one, other):
    since, now = sorted((one, other))
    # What has not come is not known: a duty that will end is open.
    known = [edge for edge in sorted(set(edges)) if edge <= now]
    spells = spells_at(known, every, 5)
    came = sorted(post for post in posts if post <= now)
    moments = [START + MINUTE * post for post in came]

    found = rhythm_of(spells, moments, START + MINUTE * since, START + MINUTE * now)

    expected = naive_rhythm(spells, every, came, since, now)
    told = (
        Counter()
        if found is None
        else Counter(in_time=found.in_time, late=found.late, missed=found.missed, overdue=found.is_overdue)
    )
    assert {name: int(expected[name]) for name in ("in_time", "late", "missed", "overdue")} == {
        name: int(told[name]) for name in ("in_time", "late", "missed", "overdue")
    }


def naive_timeliness(spells, within: int, posted: int, given_at: int | None, ends: int | None, now: int) -> str | None:
    """Wait minute by minute for the acknowledgement of one report."""
    if not any(spell.holds(START + MINUTE * posted) for spell in spells):
        return None
    if given_at is not None:
        return "in_time" if given_at - posted <= within else "late"
    for minute in range(posted, now + 1):
        is_gone = ends is not None and minute >= ends
        if is_gone and minute - posted <= within:
            return None
        if minute - posted > within:
            end = START + MINUTE * (posted + within)
            return "overdue" if any(spell.holds(end) for spell in spells) else None
    return "waiting"


@settings(max_examples=400)
@given(
    st.lists(minutes, max_size=5),
    st.integers(1, 9),
    minutes,
    st.none() | minutes,
    st.none() | minutes,
    minutes,
)
def test_the_naive_model_waits_as_long_for_an_acknowledgement(edges, within, posted, given_at, ends, later):
    now = max(posted, later)
    given_at = given_at if given_at is not None and posted <= given_at <= now else None
    ends = ends if ends is not None and ends > posted else None
    known = [edge for edge in sorted(set(edges)) if edge <= now]
    spells = spells_at(known, 5, within)
    one = PostedFact(
        SCOPE,
        "GBR",
        "FLASH",
        START + MINUTE * posted,
        ends_at=None if ends is None else START + MINUTE * ends,
        acknowledged={} if given_at is None else {"NOR": START + MINUTE * given_at},
        owed_by=frozenset({"NOR"}),
    )

    found = timeliness(one, "NOR", spells, START + MINUTE * now)

    assert (None if found is None else found.value) == naive_timeliness(spells, within, posted, given_at, ends, now)


def test_period_begins_with_its_first_moment_and_acknowledgements_add_up():
    versions = [InForce(agreement_owing(Obligation("NOR", SCOPE, None, (("FLASH", "PT10M"),))), T - DAY, None)]
    posts = [fact(T - INSTANT), fact(T), fact(T + HOUR)]

    records = {each.member: each.scopes[0] for each in measure(versions, posts, T, T + 2 * HOUR)}

    assert {record.scope for record in records.values()} == {SCOPE}
    assert (records["GBR"].posts, records["GBR"].share_percent) == (2, 100)
    assert {each.precedence: each.overdue for each in records["NOR"].acknowledgements}["FLASH"] == 2
