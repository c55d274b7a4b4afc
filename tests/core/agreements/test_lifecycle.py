"""How agreements move."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import (
    AGREEMENT_MOVES,
    PARTY_MOVES,
    Agreement,
    AgreementId,
    AgreementState,
    Move,
    Party,
    PartyState,
    active_parties,
    in_force,
    is_party,
    leave_anyway,
    leave_draft,
    next_change,
    propose,
    proven,
    resume_party,
    state_of,
    suspend_anyway,
    suspend_party,
    withdraw_party,
)
from exchange.kernel import ConflictError, NotFoundError, rfc3339
from exchange.members import MemberCode
from tests.core.agreements.worlds import AFTER, BEFORE, DURING, EXAMPLE, SIGNED_AT, agreement, parse, sign

P, S, U, W = PartyState.PENDING, PartyState.SIGNED, PartyState.SUSPENDED, PartyState.WITHDRAWN
FIRST_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2031, 1, 1, tzinfo=UTC)
ACTS: dict[Move, Callable[[Agreement, str, datetime], Agreement]] = {
    Move.SIGN: sign,
    Move.SUSPEND: suspend_party,
    Move.RESUME: resume_party,
    Move.WITHDRAW: withdraw_party,
}


@pytest.mark.parametrize(
    ("parties", "now", "expected"),
    [
        # unsigned
        ((P, P, P), BEFORE, AgreementState.DRAFT),
        ((S, S, P), BEFORE, AgreementState.DRAFT),
        ((S, S, P), DURING, AgreementState.DRAFT),
        ((U, S, P), DURING, AgreementState.DRAFT),
        ((P, P, P), AFTER, AgreementState.EXPIRED),
        # signed by all
        ((S, S, S), BEFORE, AgreementState.SIGNED),
        ((U, U, S), BEFORE, AgreementState.SIGNED),
        ((S, S, S), FIRST_INSTANT - timedelta(microseconds=1), AgreementState.SIGNED),
        ((S, S, S), FIRST_INSTANT, AgreementState.IN_FORCE),
        ((S, S, S), DURING, AgreementState.IN_FORCE),
        ((S, S), DURING, AgreementState.IN_FORCE),
        ((S, S, S), END - timedelta(microseconds=1), AgreementState.IN_FORCE),
        ((S, S, S), END, AgreementState.EXPIRED),
        ((U, U, U), END, AgreementState.EXPIRED),
        # one suspends for its own part, all but one suspend the whole
        ((S, S, U), DURING, AgreementState.IN_FORCE),
        ((S, U, U), DURING, AgreementState.SUSPENDED),
        ((U, U, U), DURING, AgreementState.SUSPENDED),
        ((S, U), DURING, AgreementState.SUSPENDED),
        # leaving
        ((S, S, W), DURING, AgreementState.IN_FORCE),
        ((S, U, W), DURING, AgreementState.SUSPENDED),
        ((S, W, W), DURING, AgreementState.WITHDRAWN),
        ((W, W, W), DURING, AgreementState.WITHDRAWN),
        ((S, W), BEFORE, AgreementState.WITHDRAWN),
        ((S, W), AFTER, AgreementState.WITHDRAWN),
    ],
)
def test_state_follows_from_parties_and_moment(parties, now, expected):
    assert state_of(agreement(parties), now) is expected
    assert in_force(agreement(parties), now) is (expected is AgreementState.IN_FORCE)


def test_day_is_counted_in_utc_whatever_the_offset_of_the_clock():
    east = timezone(timedelta(hours=5))

    assert state_of(agreement((S, S)), datetime(2026, 1, 1, 4, 59, tzinfo=east)) is AgreementState.SIGNED
    assert state_of(agreement((S, S)), datetime(2026, 1, 1, 5, 0, tzinfo=east)) is AgreementState.IN_FORCE


def test_day_is_counted_in_utc_wherever_the_machine_stands(monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        state = state_of(agreement((S, S)), FIRST_INSTANT - timedelta(hours=1))
    time.tzset()

    assert state is AgreementState.SIGNED


def test_agreement_of_one_day_is_in_force_on_that_day_only():
    one_day = agreement((S, S))
    validity = replace(one_day.terms.validity, first_day=date(2026, 3, 1), last_day=date(2026, 3, 1))
    one_day = replace(one_day, terms=replace(one_day.terms, validity=validity))

    days = [
        datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    ]
    assert [in_force(one_day, day) for day in days] == [False, True, False]


def test_signature_without_its_moment_does_not_count():
    forged = agreement((S, S, S))
    forged = replace(forged, parties=(*forged.parties[:2], Party(MemberCode("DNK"), S, None)))

    assert state_of(forged, DURING) is AgreementState.DRAFT
    assert active_parties(forged, DURING) == {"GBR", "NOR"}


def test_signature_counts_from_its_moment_on():
    later = agreement((S, S), signed_at=DURING)

    just_before = DURING - timedelta(microseconds=1)
    assert state_of(later, just_before) is AgreementState.DRAFT
    assert active_parties(later, just_before) == frozenset()
    assert next_change(later, just_before) == DURING
    assert state_of(later, DURING) is AgreementState.IN_FORCE
    assert active_parties(later, DURING) == {"GBR", "NOR"}


@pytest.mark.parametrize("state", [P, U, W])
def test_only_signed_parties_are_active(state):
    assert active_parties(agreement((S, S, state)), DURING) == {"GBR", "NOR"}


def test_active_parties_do_not_depend_on_the_days():
    assert active_parties(agreement((S, S)), BEFORE) == active_parties(agreement((S, S)), AFTER) == {"GBR", "NOR"}


@pytest.mark.parametrize(
    ("parties", "now", "expected"),
    [
        ((S, S), BEFORE, FIRST_INSTANT),
        ((S, S), FIRST_INSTANT, END),
        ((S, S), DURING, END),
        ((U, U), BEFORE, FIRST_INSTANT),
        ((U, U), DURING, END),
        ((S, P), BEFORE, END),
        ((S, S), END, None),
        ((S, W), BEFORE, None),
        ((S, W), DURING, None),
    ],
)
def test_next_change_is_the_next_day_that_matters(parties, now, expected):
    assert next_change(agreement(parties), now) == expected


def test_agreement_without_end_changes_no_more_once_in_force():
    endless = agreement((S, S))
    validity = replace(endless.terms.validity, last_day=date.max)
    endless = replace(endless, terms=replace(endless.terms, validity=validity))

    assert next_change(endless, BEFORE) == FIRST_INSTANT
    assert next_change(endless, DURING) is None
    assert in_force(endless, datetime.max.replace(tzinfo=UTC))


def test_proposal_is_an_unsigned_draft_of_all_parties():
    draft = propose(AgreementId("x"), parse(EXAMPLE))

    assert (draft.id, draft.version, draft.terms) == ("x", 1, parse(EXAMPLE))
    assert draft.parties == tuple(Party(MemberCode(code), P, None) for code in ("GBR", "NOR", "DNK"))
    assert state_of(draft, DURING) is AgreementState.DRAFT


def test_agreement_comes_into_force_by_itself_when_all_have_signed():
    draft = propose(AgreementId("x"), parse(EXAMPLE))
    signed = sign(sign(sign(draft, "GBR", BEFORE), "NOR", BEFORE), "DNK", BEFORE)

    assert signed.version == 4
    assert {party.signed_at for party in signed.parties} == {BEFORE}
    assert [state_of(signed, now) for now in (BEFORE, DURING, AFTER)] == [
        AgreementState.SIGNED,
        AgreementState.IN_FORCE,
        AgreementState.EXPIRED,
    ]


def test_a_party_moves_only_itself():
    before = agreement((S, S, S))
    after = suspend_party(before, "NOR", DURING)

    assert [party.state for party in after.parties] == [S, U, S]
    assert (after.parties[0], after.parties[2]) == (before.parties[0], before.parties[2])
    assert after.party("NOR") == Party(MemberCode("NOR"), U, SIGNED_AT)
    assert (after.version, after.id, after.terms) == (8, before.id, before.terms)


def test_resuming_restores_the_party_and_keeps_its_signature():
    suspended = suspend_party(agreement((S, S)), "GBR", DURING)

    assert state_of(suspended, DURING) is AgreementState.SUSPENDED
    assert resume_party(suspended, "GBR", DURING).parties == agreement((S, S)).parties


@pytest.mark.parametrize(
    ("parties", "now", "state"),
    [
        ((S, S, S), BEFORE, AgreementState.SIGNED),
        ((S, S, S), DURING, AgreementState.IN_FORCE),
        ((U, S, U), DURING, AgreementState.SUSPENDED),
    ],
)
def test_party_suspends_and_resumes_wherever_the_agreement_stands_once_signed(parties, now, state):
    suspended = suspend_party(agreement(parties), "NOR", now)
    resumed = resume_party(suspended, "NOR", now)

    assert state_of(suspended, now) is state
    assert [each.party("NOR").state for each in (suspended, resumed)] == [U, S]


def test_withdrawal_before_all_have_signed_ends_the_draft():
    for signer in ("GBR", "DNK"):
        left = withdraw_party(agreement((S, S, P)), signer, BEFORE)

        assert left.party(signer) == Party(MemberCode(signer), W, None)
        assert state_of(left, BEFORE) is AgreementState.WITHDRAWN
        with pytest.raises(ConflictError, match="the agreement is withdrawn"):
            sign(left, "DNK", BEFORE)


def test_withdrawal_after_signing_leaves_the_rest_bound():
    left = withdraw_party(agreement((S, S, S)), "DNK", DURING)

    leaves_at = DURING + timedelta(days=90)
    assert left.party("DNK") == Party(MemberCode("DNK"), S, SIGNED_AT, leaves_at=leaves_at)
    just_before = leaves_at - timedelta(microseconds=1)
    assert active_parties(left, just_before) == {"GBR", "NOR", "DNK"}
    assert next_change(left, DURING) == leaves_at
    # It leaves by itself, and is then what a party that has left is.
    assert state_of(left, leaves_at) is AgreementState.IN_FORCE
    assert active_parties(left, leaves_at) == {"GBR", "NOR"}
    assert [is_party(left, "DNK", moment) for moment in (just_before, leaves_at)] == [True, False]
    assert not is_party(left, "ESP", leaves_at)
    assert state_of(withdraw_party(left, "NOR", DURING), just_before) is AgreementState.IN_FORCE
    assert state_of(withdraw_party(left, "NOR", DURING), leaves_at) is AgreementState.WITHDRAWN


@pytest.mark.parametrize(("move", "moment"), [(Move.WITHDRAW, 0), (Move.RESUME, 90), (Move.SUSPEND, 90)])
def test_notice_is_given_once_and_ends_every_act_when_it_has_passed(move, moment):
    leaving = withdraw_party(agreement((S, S, S)), "DNK", DURING)

    with pytest.raises(ConflictError) as refused:
        ACTS[move](leaving, "DNK", DURING + timedelta(days=moment))
    assert "withdraw" not in refused.value.message.partition("possible now: ")[2]


def test_who_has_left_is_not_told_where_the_others_stand():
    left = withdraw_party(agreement((S, U, S)), "DNK", DURING)

    with pytest.raises(ConflictError) as refused:
        suspend_party(left, "DNK", AFTER)
    assert refused.value.message == "`DNK` cannot suspend: it has left the agreement; possible now: nothing"


def test_leaving_party_suspends_and_resumes_until_it_has_left():
    leaving = withdraw_party(agreement((S, S)), "NOR", DURING)
    suspended = suspend_party(leaving, "NOR", DURING)

    assert state_of(suspended, DURING) is AgreementState.SUSPENDED
    assert resume_party(suspended, "NOR", DURING).parties == leaving.parties


def test_agreement_without_notice_is_left_at_once():
    at_once = agreement((S, S))
    termination = replace(at_once.terms.termination, notice="P0D")
    at_once = replace(at_once, terms=replace(at_once.terms, termination=termination))

    left = withdraw_party(at_once, "NOR", DURING)

    assert state_of(left, DURING) is AgreementState.WITHDRAWN
    # For every node, also one whose clock lags.
    assert left.parties[1].standing(BEFORE) is PartyState.WITHDRAWN


@pytest.mark.parametrize("act", ACTS.values())
def test_stranger_finds_no_agreement(act):
    with pytest.raises(NotFoundError, match="`ESP` is no party of the agreement"):
        act(agreement((S, S)), "ESP", DURING)


@pytest.mark.parametrize(
    ("parties", "member", "move", "now", "message"),
    [
        (
            (S, S, P),
            "GBR",
            Move.SIGN,
            BEFORE,
            "`GBR` cannot sign: the agreement is draft, the party signed; possible now: withdraw",
        ),
        (
            (S, S, P),
            "GBR",
            Move.SUSPEND,
            BEFORE,
            "`GBR` cannot suspend: the agreement is draft, the party signed; possible now: withdraw",
        ),
        (
            (S, S, P),
            "DNK",
            Move.RESUME,
            BEFORE,
            "`DNK` cannot resume: the agreement is draft, the party pending; possible now: sign, withdraw",
        ),
        (
            (S, S),
            "GBR",
            Move.SIGN,
            DURING,
            (
                "`GBR` cannot sign: the agreement is in_force, the party signed; possible now: suspend, withdraw; "
                "to sign an amendment, name it"
            ),
        ),
        (
            (S, S),
            "GBR",
            Move.RESUME,
            DURING,
            "`GBR` cannot resume: the agreement is in_force, the party signed; possible now: suspend, withdraw",
        ),
        (
            (S, U),
            "NOR",
            Move.SUSPEND,
            DURING,
            "`NOR` cannot suspend: the agreement is suspended, the party suspended; possible now: resume, withdraw",
        ),
        (
            (S, S, W),
            "DNK",
            Move.RESUME,
            DURING,
            "`DNK` cannot resume: the agreement is in_force, the party withdrawn; possible now: nothing",
        ),
        (
            (S, S),
            "GBR",
            Move.WITHDRAW,
            AFTER,
            "`GBR` cannot withdraw: the agreement is expired, the party signed; possible now: nothing",
        ),
        (
            (P, P),
            "GBR",
            Move.SIGN,
            AFTER,
            "`GBR` cannot sign: the agreement is expired, the party pending; possible now: nothing",
        ),
        (
            (S, W),
            "GBR",
            Move.SUSPEND,
            DURING,
            "`GBR` cannot suspend: the agreement is withdrawn, the party signed; possible now: nothing",
        ),
    ],
)
def test_illegal_move_names_the_state_and_what_is_possible(parties, member, move, now, message):
    with pytest.raises(ConflictError) as refused:
        ACTS[move](agreement(parties), member, now)

    assert refused.value.message == message


def test_second_notice_is_told_that_there_is_one():
    given = withdraw_party(agreement((S, S, S)), "DNK", DURING)

    with pytest.raises(ConflictError) as refused:
        withdraw_party(given, "DNK", DURING)

    leaves_at = rfc3339(given.party("DNK").leaves_at)
    assert f"the party signed, and by its notice leaves at {leaves_at}; possible now: suspend" in refused.value.message


def every_agreement() -> Iterator[Agreement]:
    for size in (2, 3, 4):
        for states in product((P, S, U, W), repeat=size):
            yield agreement(states)


def reachable() -> Iterator[tuple[Agreement, datetime]]:
    """Every agreement of three parties that acts and days can lead to, each with a moment."""
    moments = (BEFORE, DURING, AFTER)
    start = propose(AgreementId("x"), parse(EXAMPLE))
    waiting, seen = [(start, 0)], set()
    while waiting:
        current, day = waiting.pop()
        # Times of signing make no new situation beyond before/after the first day.
        key = (tuple((each.state, each.signed_at is None, each.leaves_at) for each in current.parties), day)
        if key in seen:
            continue
        seen.add(key)
        yield current, moments[day]
        if day < 2:
            waiting.append((current, day + 1))
        for act, member in product(ACTS.values(), ("GBR", "NOR", "DNK")):
            try:
                waiting.append((act(current, member, moments[day]), day))
            except ConflictError:
                continue


def test_the_table_of_moves_is_what_happens_and_all_of_it_happens():
    happened: dict[tuple[AgreementState, Move], set[AgreementState]] = {}
    days = {BEFORE: (Move.FIRST_DAY, FIRST_INSTANT), DURING: (Move.LAST_DAY, END)}
    for current, now in reachable():
        before = state_of(current, now)
        for (move, act), member in product(ACTS.items(), ("GBR", "NOR", "DNK")):
            try:
                after = state_of(act(current, member, now), now)
            except ConflictError:
                continue
            happened.setdefault((before, move), set()).update({after} - {before})
        for leaves_at in {party.leaves_at for party in current.parties} - {None}:
            states = [state_of(current, leaves_at - timedelta(microseconds=1)), state_of(current, leaves_at)]
            if states[0] is not states[1]:
                happened.setdefault((states[0], Move.NOTICE), set()).add(states[1])
        if now in days:
            move, moment = days[now]
            states = [state_of(current, moment - timedelta(microseconds=1)), state_of(current, moment)]
            if states[0] is not states[1]:
                happened.setdefault((states[0], move), set()).add(states[1])

    assert happened == {place: set(afters) for place, afters in AGREEMENT_MOVES.items()}


def test_final_states_have_no_way_out():
    for final in (AgreementState.EXPIRED, AgreementState.WITHDRAWN):
        assert not [move for state, move in AGREEMENT_MOVES if state is final]
    assert not [move for state, move in PARTY_MOVES if state is W]


moments_of_test = st.datetimes(datetime(2025, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.lists(st.sampled_from([P, S, U, W]), min_size=2, max_size=5),
    moments_of_test,
    moments_of_test,
    st.floats(0, 1, exclude_max=True),
)
def test_nothing_changes_before_next_change_and_something_does_then(states, signed_at, now, fraction):
    subject = agreement(states, signed_at=signed_at)
    change = next_change(subject, now)

    def answers(at):
        return (state_of(subject, at), active_parties(subject, at), in_force(subject, at))

    if change is None:
        assert answers(now) == answers(datetime(2200, 1, 1, tzinfo=UTC))
    else:
        assert change > now
        between = min(now + (change - now) * fraction, change - timedelta(microseconds=1))
        assert answers(between) == answers(now)
        assert answers(change) != answers(now)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Move)[:4]), st.sampled_from(["GBR", "NOR", "DNK"]), moments_of_test), max_size=12
    )
)
def test_no_history_brings_an_agreement_into_force_without_every_signature(history):
    current = propose(AgreementId("x"), parse(EXAMPLE))
    signers = set()
    for move, member, now in sorted(history, key=lambda step: step[2]):
        try:
            current = ACTS[move](current, member, now)
        except ConflictError:
            continue
        signers |= {member} if move is Move.SIGN else set()
        if in_force(current, now):
            assert signers == {"GBR", "NOR", "DNK"}


def test_every_situation_has_exactly_one_state():
    for subject, now in product(every_agreement(), (BEFORE, DURING, AFTER)):
        assert state_of(subject, now) in AgreementState


@pytest.mark.parametrize("others", [S, P, U, W])
@pytest.mark.parametrize(
    ("state", "leaves_at", "leaves_then"),
    [
        (P, None, None),
        (S, None, None),
        (S, AFTER, AFTER),
        (U, None, None),
        (U, AFTER, AFTER),
        (S, BEFORE, None),
        (U, DURING, None),
        (W, None, None),
    ],
)
def test_party_suspends_its_part_wherever_rows_say_that_parties_stand(others, state, leaves_at, leaves_then):
    before = moved_party(state, leaves_at, others)
    after = suspend_anyway(before, "GBR", DURING)

    assert (after.parties[0].state, after.parties[0].leaves_at) == (U, leaves_then)
    assert (after.version, after.parties[1:]) == (before.version + 1, before.parties[1:])


@pytest.mark.parametrize("others", [S, P, U, W])
@pytest.mark.parametrize(
    ("state", "leaves_at", "expected"),
    [
        (P, None, S),
        (S, None, S),
        (U, None, U),
        (S, AFTER, S),
        (U, AFTER, U),
        (S, DURING, U),
        (W, None, U),
        (W, BEFORE, U),
    ],
)
def test_party_leaves_by_its_notice_wherever_rows_say_that_parties_stand(others, state, leaves_at, expected):
    before = moved_party(state, leaves_at, others)
    after = leave_anyway(before, "GBR", DURING)

    notice = withdraw_party(agreement((S, S, S)), "GBR", DURING).parties[0].leaves_at
    assert (after.parties[0].state, after.parties[0].leaves_at) == (expected, notice)
    assert after.parties[0].signed_at == before.parties[0].signed_at
    assert (after.version, after.parties[1:]) == (before.version + 1, before.parties[1:])


@pytest.mark.parametrize("state", [P, S, U, W])
def test_draft_is_taken_back_for_everybody_at_once_wherever_its_row_says_that_a_party_stands(state):
    before = moved_party(state, DURING, (P, S))
    after = leave_draft(before, "GBR")

    assert after.parties == (Party(MemberCode("GBR"), W), *before.parties[1:])
    assert (after.version, state_of(after, DURING)) == (before.version + 1, AgreementState.WITHDRAWN)
    with pytest.raises(NotFoundError):
        leave_draft(before, "FRA")


@pytest.mark.parametrize("step", [leave_anyway, suspend_anyway])
def test_who_has_no_signature_takes_no_part_once_it_is_put_back(step):
    gone = tuple(Party(MemberCode(member), P) for member in ("GBR", "NOR"))
    after = step(replace(agreement((S, S)), parties=gone), "GBR", DURING)

    assert [(each.state, each.signed_at, each.signature) for each in after.parties] == [(U, DURING, None)] * 2
    assert state_of(proven(after), DURING) is AgreementState.DRAFT
    # Whoever has left has left, also without one.
    left = (gone[0], Party(MemberCode("NOR"), W))
    assert step(replace(agreement((S, S)), parties=left), "GBR", DURING).parties[1] == left[1]


@pytest.mark.parametrize("step", [leave_anyway, suspend_anyway])
def test_who_is_no_party_suspends_and_leaves_nothing_and_nobody_does_what_is_over(step):
    with pytest.raises(NotFoundError):
        step(agreement((S, S)), "FRA", DURING)
    with pytest.raises(ConflictError):
        step(agreement((S, S)), "GBR", AFTER)


def moved_party(state, leaves_at, others):
    own, *rest = agreement((S, S, S)).parties
    moved = (replace(own, state=state, leaves_at=leaves_at), *(replace(each, state=others) for each in rest))
    return replace(agreement((S, S, S)), parties=moved)
