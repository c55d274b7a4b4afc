"""`make test` tries the cases of a test on the databases in turn: no test and no case is left out, and each worker agrees."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.in_turn import share_of, surplus, turn_of

DATABASES = ("sqlite", "postgresql")


def item(test: str, case: str, database: str, *marks: str) -> Any:
    """Return what `surplus` reads of a collected test."""
    return SimpleNamespace(
        nodeid=f"tests/test_a.py::{test}[{database}-{case}]",
        callspec=SimpleNamespace(params={"backend": database, "case": case}),
        get_closest_marker=lambda name: name if name in marks else None,
    )


@given(st.integers(2, 9), st.sampled_from(["test_a", "test_b"]), st.randoms(use_true_random=False))
def test_each_test_is_on_both_and_each_case_on_one_in_whatever_order_they_come(
    cases: int, test: str, chance: Any
) -> None:
    items = [item(test, str(case), database) for case in range(cases) for database in DATABASES]
    shuffled = chance.sample(items, len(items))
    left_out = {each.nodeid for each in surplus(shuffled)}
    kept = [each.callspec.params for each in items if each.nodeid not in left_out]

    assert sorted(each["case"] for each in kept) == sorted(str(case) for case in range(cases))
    assert {each["backend"] for each in kept} == set(DATABASES)
    assert left_out == {each.nodeid for each in surplus(items)}


def test_nothing_is_left_out_of_a_test_without_cases_or_databases() -> None:
    alone = [item("test_alone", "", database) for database in DATABASES]
    of_one = [item("test_of_one", str(case), "sqlite") for case in range(3)]
    of_neither = [SimpleNamespace(nodeid="tests/test_a.py::test_plain", get_closest_marker=lambda _: None)]

    assert surplus([*alone, *of_one, *of_neither]) == []  # type: ignore[list-item]  # stand-ins


def test_nothing_is_left_out_where_some_cases_are_of_one_database() -> None:
    items = [item("test_typed", str(case), database, "each_on_both") for case in range(3) for database in DATABASES]

    assert surplus(items) == []


def test_cases_in_one_world_are_tried_by_one_database_each_where_nothing_else_is_in_turn() -> None:
    of_one_world = [item("test_a", "", database) for database in DATABASES]
    for each in of_one_world:
        del each.callspec.params["case"]

    assert {turn_of(each) for each in of_one_world} == {0, 1}
    assert [turn_of(item("test_a", "1", database)) for database in DATABASES] == [None, None]


@given(st.lists(st.integers()), st.integers(0, 9))
def test_each_case_in_one_world_is_tried_once_and_in_order_or_by_whoever_has_no_turn(
    cases: list[int], shift: int
) -> None:
    one, other = (share_of(cases, turn, shift) for turn in (0, 1))

    assert [share_of(cases, turn, shift + 1) for turn in (0, 1)] == [other, one]
    assert sorted([*one, *other]) == sorted(cases)
    assert {tuple(one), tuple(other)} == {tuple(cases[::2]), tuple(cases[1::2])}
    assert share_of(cases, None, shift) == cases
