"""Who is stirred by what, and how many may wait: said of the watches alone, without a store and without waiting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exchange.kernel import LimitExceededError, UnavailableError
from exchange.store import PolicyState
from exchange.usecases.steps.watching import Watch, Watching, WatchLimits

NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = NOW + timedelta(hours=1)
STATE = PolicyState(policy_version=3, class_version=7, policy_digest="law")


def resting(watching: Watching, *classes: int) -> Watch:
    """Return a watch of NOR's that may read `classes` until UNTIL and has seen everything."""
    watch = watching.enter("thumbprint", "NOR")
    watch.begin_to_look()
    watch.may_read(classes, UNTIL)
    watch.take_news()
    return watch


def beating() -> Watching:
    watching = Watching()
    watching.stir(STATE, 1, frozenset(), NOW)
    return watching


@pytest.mark.parametrize(
    ("beat", "left"),
    [
        ({}, (False, False, set())),
        ({"fresh": {2}}, (False, False, set())),  # of a class that it may not read: nothing wakes it
        ({"fresh": {1, 2}}, (False, False, {1, 2})),
        ({"members": ("DNK",)}, (False, False, set())),
        ({"members": ("DNK", "NOR")}, (False, True, set())),
        ({"now": UNTIL - timedelta(microseconds=1)}, (False, False, set())),
        ({"now": UNTIL}, (True, False, set())),
        # What comes while its rights move is kept, whatever its class: it may be able to read that now.
        ({"state": replace(STATE, policy_version=4), "fresh": {2}}, (True, False, {2})),
        ({"state": replace(STATE, class_version=8), "fresh": {2}}, (True, False, {2})),
        ({"now": UNTIL, "fresh": {2}}, (True, False, {2})),
    ],
)
async def test_beat_stirs_whom_it_concerns(beat, left):
    watching = beating()
    watch = resting(watching, 1)
    told = {"state": STATE, "now": NOW, "members": (), **beat}
    watching.stir(told["state"], 2, frozenset(beat.get("fresh", ())), told["now"], members=told["members"])

    assert (watch.must_look, watch.must_list, watch.fresh) == left
    assert await watch.wait(0) == watch.is_stirred == any(left)
    # It was told once.
    assert not await watch.wait(0)


def test_first_beat_and_the_first_after_a_pause_let_everybody_look_and_list():
    watching = Watching()
    for _ in range(2):
        watch = resting(watching, 1)
        watching.stir(STATE, 1, frozenset(), NOW)

        assert (watch.must_look, watch.must_list, watch.take_news(), watch.take_news()) == (True, True, True, False)
        watching.forget()


def test_news_of_several_beats_are_kept_until_they_are_taken():
    watching = beating()
    watch = resting(watching, 1, 2)
    for seq, fresh in ((2, {1}), (3, {2}), (4, {9})):
        watching.stir(STATE, seq, frozenset(fresh), NOW)

    assert watch.fresh == {1, 2}
    assert [watch.take_news(), watch.take_news()] == [True, False]


@pytest.mark.parametrize(("may_read", "is_news"), [((1, 9), True), ((1,), False)])
def test_what_comes_while_it_learns_its_rights_is_judged_by_the_new_ones(may_read, is_news):
    watching = beating()
    watch = resting(watching, 1)
    watch.begin_to_look()
    watching.stir(STATE, 2, frozenset({9}), NOW)
    watch.may_read(may_read, None)
    watching.stir(STATE, 3, frozenset({8}), UNTIL)

    assert watch.fresh == {9}
    assert watch.take_news() is is_news
    assert not watch.is_stirred


def test_so_many_wait_of_one_client_and_in_all():
    watching = Watching(WatchLimits(per_client=2, in_all=4))
    first, _ = watching.enter("one", "NOR"), watching.enter("one", "NOR")
    with pytest.raises(LimitExceededError, match="this client has 2 streams"):
        watching.enter("one", "NOR")
    for client in ("other", "third"):
        watching.enter(client, "GBR")
    with pytest.raises(UnavailableError):
        watching.enter("fourth", "DNK")
    for _ in range(2):
        watching.exit(first)

    assert (len(watching), watching.streams_of("one"), watching.streams_of("other")) == (3, 1, 1)
    watching.enter("one", "NOR")
    assert watching.streams_of("one") == 2


async def test_process_about_to_stop_ends_all_and_takes_none():
    watching = beating()
    watch = resting(watching, 1)
    assert (watching.is_needed, watching.is_ending, watch.has_ended) == (True, False, False)
    watching.end_all()

    assert (watching.is_ending, watch.has_ended, await watch.wait(0)) == (True, True, True)
    with pytest.raises(UnavailableError):
        watching.enter("another", "NOR")
    watching.exit(watch)
    assert not watching.is_needed


async def test_reader_that_goes_wakes_its_stream():
    watch = resting(beating(), 1)
    watch.leave()

    assert (watch.is_gone, await watch.wait(0)) == (True, True)
