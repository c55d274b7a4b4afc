"""What a count is kept by and how it is cut, each condition by itself: no database, and nothing decided."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from exchange.kernel import to_micros
from exchange.usecases.steps import in_between, slices
from exchange.usecases.steps.in_between import LABELS_AT_ONCE, Pause, batches_of, deciding, readable_among
from exchange.usecases.steps.slices import Slices, readable_in_slices
from exchange.usecases.steps.tallies import KEPT, Tallies, Tally, TallyKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SOON = NOW + timedelta(minutes=1)
CLIENT = SimpleNamespace(
    member="NOR", id="one", version=1, clearance=SimpleNamespace(since=NOW - timedelta(days=1), until=None)
)


def facts_of(labels: int, *consents: Any) -> Any:
    return SimpleNamespace(part_labels=(None,) * labels, consents=consents)


class Counted:
    """Whose tallies of one process are asked for."""

    def __init__(self) -> None:
        self.services = Mock()
        self.services.knowledge.tallies = Tallies()

    def slices(
        self, *, assurance: str = "certificate", policy_version: int = 7, about: str = "a", **changed: Any
    ) -> Slices:
        client = SimpleNamespace(**{**vars(CLIENT), **changed})
        call, state = SimpleNamespace(now=NOW, assurance=SimpleNamespace(value=assurance)), Mock()
        state.policy_version = policy_version
        return Slices.of(self.services, call, client, state, about=about, until=1e9)


@pytest.mark.parametrize(
    "other",
    [
        {"member": "GBR"},
        {"id": "its colleague"},
        {"version": 2},
        {"assurance": "token"},
        {"about": "b"},
        {"policy_version": 8},
    ],
)
def test_what_one_may_count_is_told_to_nobody_else_and_in_no_other_state(other: dict[str, Any]) -> None:
    counted = Counted()
    own = counted.slices().tally

    assert counted.slices().tally is own
    assert counted.slices(**other).tally is not own


@pytest.mark.parametrize("bound", ["since", "until"])
def test_count_holds_no_longer_than_the_clearance_it_was_made_under(bound: str) -> None:
    clearance = SimpleNamespace(**{**vars(CLIENT.clearance), bound: SOON})

    assert Counted().slices(clearance=clearance).tally.not_after == SOON


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], int]]:
    """Permit everything; note of which classes it was asked, under which version of the policy."""
    asked: list[tuple[list[int], int]] = []

    def permitted(_reader: Any, batch: Any, _scope: Any, *, policy_version: int, **_rest: Any) -> dict[int, str]:
        asked.append((list(batch), policy_version))
        return dict.fromkeys(batch, "permit")

    @asynccontextmanager
    async def at_once(*_given: Any) -> AsyncIterator[None]:
        yield

    for module in (slices, in_between):
        monkeypatch.setattr(module, "readable_classes", permitted)
        monkeypatch.setattr(module, "deciding", at_once)
    return asked


async def test_count_goes_by_its_policy_and_ends_with_a_consent_and_tells_of_what_was_asked_for(decided) -> None:
    counted, consent = Counted(), SimpleNamespace(until_micros=to_micros(SOON))
    own = counted.slices()
    own.tally.of("reader", "text").permitted.extend([3])
    classes = {1: facts_of(1, consent, SimpleNamespace(until_micros=None)), 2: facts_of(1)}
    reader = SimpleNamespace(at_micros=to_micros(NOW))
    rest: Any = {"law": None, "place": ("reader", "text"), "what": "it is"}

    found = [await readable_in_slices(counted.services, own, reader, classes, lambda _: None, **rest) for _ in range(2)]

    # What was permitted then and is no class any more is told to nobody.
    assert found == [{1, 2}] * 2
    assert decided == [([1, 2], 7)]
    assert own.tally.not_after == SOON


async def test_what_may_be_read_is_that_of_all_batches(decided) -> None:
    classes = {number: facts_of(LABELS_AT_ONCE) for number in (1, 2)}
    found = await readable_among(Mock(), None, Mock(), classes, lambda _: None, policy_version=7, law=Mock())

    assert list(found) == [1, 2]
    assert [each for each, _ in decided] == [[1], [2]]


@pytest.mark.parametrize(
    ("labels", "batches"),
    [
        ([2, 2, 1], [[0, 1], [2]]),
        ([9, 1, 3, 1], [[0], [1, 2], [3]]),
        ([0, 0, 0, 0, 0], [[0, 1, 2, 3], [4]]),
        ([], []),
    ],
)
def test_batches_hold_so_many_labels_and_a_class_that_has_more_alone(
    labels: list[int], batches: list[list[int]]
) -> None:
    classes = [(number, facts_of(each)) for number, each in enumerate(labels)]

    assert [list(each) for each in batches_of(classes, 4)] == batches


async def test_pause_comes_whenever_so_many_labels_were_asked_about() -> None:
    begun: list[int] = []

    def begin() -> Any:
        begun.append(1)
        return nullcontext()

    async with AsyncExitStack() as turn:
        pause = Pause(begin, turn)
        paused = []
        for _ in range(4):
            await pause.after(facts_of(LABELS_AT_ONCE // 2))
            paused.append(len(begun))

    assert paused == [0, 1, 1, 2]


@pytest.mark.parametrize(("asker", "turn"), [(None, ("host", None)), (CLIENT, ("one", "NOR"))])
async def test_turn_to_decide_is_that_of_who_asks_and_its_member(asker: Any, turn: tuple[str, str | None]) -> None:
    services = Mock()
    services.deciding.turn.return_value = nullcontext()
    async with deciding(services, asker):
        pass

    services.deciding.turn.assert_called_once_with(*turn)


INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "not_after", "holds"),
    [
        (NOW - INSTANT, SOON, False),
        (NOW, SOON, True),
        (SOON - INSTANT, SOON, True),
        (SOON, SOON, False),
        (NOW + KEPT - INSTANT, NOW + 2 * KEPT, True),
        (NOW + KEPT, NOW + 2 * KEPT, False),
    ],
)
def test_tally_holds_from_its_moment_to_its_end_and_while_it_is_asked_for(at, not_after, holds: bool) -> None:
    assert Tally(NOW, not_after, NOW).holds(at) is holds


def test_tally_is_kept_by_being_asked_for_and_begun_anew_where_it_holds_no_longer() -> None:
    tallies, key = Tallies(), tally_key("NOR", "one")
    first = tallies.of(key, NOW)
    again = tallies.of(key, NOW + KEPT * 2 / 3)
    later = tallies.of(key, NOW + KEPT * 4 / 3)

    assert first is again is later
    assert tallies.of(key, NOW + KEPT * 7 / 3) is not first


def tally_key(member: str, client: str) -> TallyKey:
    return TallyKey(member, client, 1, "certificate", "a", 7)


def test_member_that_counts_most_loses_what_it_asked_for_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.usecases.steps.tallies._MOST_TALLIES", 3)
    tallies = Tallies()
    other, one, two, three = (tally_key(*each) for each in (("GBR", "a"), ("NOR", "b"), ("NOR", "c"), ("NOR", "d")))
    kept = [tallies.of(key, NOW) for key in (other, one, two)]
    tallies.of(one, NOW)
    tallies.of(three, NOW)

    assert [key in tallies._kept for key in (other, one, two, three)] == [True, True, False, True]
    assert tallies.of(other, NOW) is kept[0]


def test_progress_is_one_reader_s_under_one_text() -> None:
    tally = Tally(NOW, SOON, NOW)
    one = tally.of("reader", "text")

    assert tally.of("reader", "text") is one
    assert all(tally.of(*other) is not one for other in (("reader", "other"), ("other", "text")))
