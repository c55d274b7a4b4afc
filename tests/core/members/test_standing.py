"""Members and clients change by next versions; revoked is final."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from exchange.kernel import ConflictError
from exchange.members import (
    STANDING_MOVES,
    Clearance,
    Client,
    ClientId,
    Member,
    MemberCode,
    Role,
    Standing,
    StandingMove,
    inactive_error,
    resumed,
    revoked,
    suspended,
    unmoved,
    why_inactive,
    with_clearance,
)

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CLEARANCE = Clearance("SECRET", (), SINCE, None)
CLIENT = Client(
    id=ClientId("c"),
    version=3,
    name="nor-reader",
    member=MemberCode("NOR"),
    agency="NSM",
    roles=frozenset({Role.READER}),
    clearance=CLEARANCE,
    nationality="NOR",
    purposes=("defence",),
    standing=Standing.ACTIVE,
)
MEMBER = Member(code=MemberCode("NOR"), version=3, name="Norway", standing=Standing.ACTIVE)
MOVES = {StandingMove.SUSPEND: suspended, StandingMove.RESUME: resumed, StandingMove.REVOKE: revoked}


@pytest.mark.parametrize("holder", [CLIENT, MEMBER], ids=["client", "member"])
@pytest.mark.parametrize(("standing", "move"), list(product(Standing, StandingMove)))
def test_standing_moves_as_the_table_says_and_no_other_way(holder, standing, move):
    before = replace(holder, standing=standing)
    after = STANDING_MOVES.get((standing, move))
    if after is None:
        with pytest.raises(ConflictError, match=f"is {standing.value}: cannot {move.value}"):
            MOVES[move](before)
        return

    assert MOVES[move](before) == replace(before, version=4, standing=after)


def test_the_table_is_the_one_that_was_meant():
    assert {(before.value, move.value, after.value) for (before, move), after in STANDING_MOVES.items()} == {
        ("active", "suspend", "suspended"),
        ("active", "revoke", "revoked"),
        ("suspended", "resume", "active"),
        ("suspended", "revoke", "revoked"),
    }


@pytest.mark.parametrize(
    ("standing", "act", "message"),
    [
        (Standing.ACTIVE, resumed, "`nor-reader` is active: cannot resume; possible now: suspend, revoke"),
        (Standing.SUSPENDED, suspended, "`nor-reader` is suspended: cannot suspend; possible now: resume, revoke"),
        (Standing.REVOKED, resumed, "`nor-reader` is revoked: cannot resume; possible now: nothing"),
    ],
)
def test_illegal_change_says_what_is_possible(standing, act, message):
    with pytest.raises(ConflictError) as refused:
        act(replace(CLIENT, standing=standing))

    assert refused.value.message == message


@pytest.mark.parametrize("standing", [Standing.ACTIVE, Standing.SUSPENDED])
def test_clearance_changes_in_the_next_version(standing):
    before = replace(CLIENT, standing=standing)
    lower = Clearance("RESTRICTED", ("ATOMAL",), SINCE, None)

    assert with_clearance(before, lower) == replace(before, version=4, clearance=lower)


@pytest.mark.parametrize("standing", Standing)
def test_next_version_of_whom_nothing_moved_stands_as_the_one_before(standing):
    client = replace(CLIENT, standing=standing)

    assert unmoved(client) == replace(client, version=client.version + 1)


def test_revoked_client_is_cleared_for_nothing_new():
    with pytest.raises(ConflictError) as refused:
        with_clearance(replace(CLIENT, standing=Standing.REVOKED), CLEARANCE)

    assert refused.value.message == "`nor-reader` is revoked: enrol a new client"


@pytest.mark.parametrize(
    ("client", "member", "expected"),
    [
        (Standing.ACTIVE, Standing.ACTIVE, True),
        (Standing.SUSPENDED, Standing.ACTIVE, False),
        (Standing.REVOKED, Standing.ACTIVE, False),
        (Standing.ACTIVE, Standing.SUSPENDED, False),
        (Standing.ACTIVE, Standing.REVOKED, False),
    ],
)
def test_client_is_active_only_with_its_member(client, member, expected):
    assert replace(CLIENT, standing=client, member_standing=member).is_active is expected


@pytest.mark.parametrize(
    ("client", "member", "told"),
    [
        (Standing.SUSPENDED, Standing.ACTIVE, "this client is suspended: ask its member's operator"),
        (
            Standing.REVOKED,
            Standing.ACTIVE,
            "this client is revoked for good: its member's operator enrols another one",
        ),
        (
            Standing.REVOKED,
            Standing.SUSPENDED,
            "this client is revoked for good: its member's operator enrols another one",
        ),
        (Standing.ACTIVE, Standing.SUSPENDED, "the member of this client is suspended: ask the exchange's operator"),
    ],
)
def test_who_may_not_act_is_told_why_and_whom_to_ask(client, member, told):
    holder = replace(CLIENT, standing=client, member_standing=member)
    error = inactive_error(holder)

    assert why_inactive(holder) == error.message == told
    assert error.holder.value == ("member" if client is Standing.ACTIVE else "client")
    assert (error.code, inactive_error(None).holder.value) == ("client-suspended", "client")


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (timedelta(0), None, True),
        (timedelta(days=-1), None, True),
        (timedelta(microseconds=1), None, False),
        (timedelta(days=-1), timedelta(microseconds=1), True),
        (timedelta(days=-1), timedelta(0), False),
        (timedelta(days=-2), timedelta(days=-1), False),
        (timedelta(days=1), timedelta(days=2), False),
        (timedelta(days=1), timedelta(days=-1), False),
    ],
)
def test_clearance_holds_from_since_until_before_its_end(since, until, expected):
    clearance = Clearance("SECRET", (), SINCE + since, None if until is None else SINCE + until)

    assert clearance.is_current(SINCE) is expected
