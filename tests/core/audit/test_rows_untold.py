"""Rows that no entry tells of: what is new waits, what lies about its time does not."""

from typing import Any

import pytest

from exchange.audit.rows_told import RowKind, RowName, RowTold
from exchange.audit.rows_untold import ConsentsTold, NewestTold, PartyKept, RowCurrent

CLIENT = RowName(RowKind.CLIENT, "c1")
KEY = RowName(RowKind.SIGNATORY_KEY, "k1")
CRISIS = RowName(RowKind.CRISIS, "k1")
REQUEST = RowName(RowKind.REQUEST, "r1")
CAVEATS = RowName(RowKind.CAVEATS, "GBR")


def found(current: RowCurrent, *told: RowTold, now: int | None = 20) -> list[tuple[str, str]]:
    newest = NewestTold()
    for each in told:
        newest.take(each)
    return [(each.told.by["id"], each.why) for each in newest.untold([current], before=10, now=now)]


def said(name: RowName = CLIENT, version: int = 2, **fields: Any) -> RowTold:
    by: Any = {"id": f"e{version}", "type": "client.changed"}
    return RowTold(name, by, version, **fields)


@pytest.mark.parametrize("order", [1, -1])
def test_version_that_the_newest_entry_made_is_told(order: int) -> None:
    entries = [said(version=1), said(version=2)][::order]

    assert found(RowCurrent(CLIENT, 2, 5), *entries) == []
    assert found(RowCurrent(CLIENT, 3, 5), *entries) == [("e2", "no entry tells of its version 3")]


def test_older_version_is_for_the_entry_behind_it_to_contradict() -> None:
    assert found(RowCurrent(CLIENT, 1, 5), said()) == []


def test_number_that_is_none_is_told_by_no_entry() -> None:
    assert found(RowCurrent(CLIENT, "2", 5), said()) == [("e2", "no entry tells of its version 2")]


def test_what_nobody_ever_told_of_has_no_entry() -> None:
    other = said(RowName(RowKind.CLIENT, "c2"))

    assert found(RowCurrent(CLIENT, 1, 5), other) == [("none", "no entry tells of its version 1")]
    assert found(RowCurrent(KEY, 0, 5), other) == [("none", "no entry enrolled it")]
    assert found(RowCurrent(KEY, 0, 5), said(KEY, 0)) == []
    assert found(RowCurrent(CRISIS, 0, 5), said(KEY, 0)) == [("none", "no entry declared it")]
    assert found(RowCurrent(CRISIS, 0, 5), said(CRISIS, 0)) == []


def test_rows_of_which_not_every_version_is_told_are_not_counted() -> None:
    report = RowName(RowKind.REPORT, "c1")

    assert found(RowCurrent(report, 2, 5), said(report)) == [("none", "no entry tells of its version 2")]


def test_each_of_several_rows_is_looked_at() -> None:
    rows = [RowCurrent(CLIENT, 2, 15), RowCurrent(CLIENT, 2, 5), RowCurrent(KEY, 0, 5), RowCurrent(CLIENT, 3, 5)]
    newest = NewestTold()
    newest.take(said())

    untold = list(newest.untold(rows, before=10, now=20))

    assert [each.told.name for each in untold] == [KEY, CLIENT]
    assert not any(each.told.is_over for each in untold)
    assert all(each.told.version == version for each, version in zip(untold, (0, 2), strict=True))


@pytest.mark.parametrize(
    ("recorded_at", "now", "is_found"), [(9, 20, 1), (10, 20, 0), (20, 20, 0), (21, 20, 1), (21, None, 0), ("9", 20, 1)]
)
def test_row_is_looked_at_once_its_entry_has_its_place(recorded_at: object, now: int | None, is_found: int) -> None:
    assert len(found(RowCurrent(CLIENT, 3, recorded_at), said(), now=now)) == is_found


@pytest.mark.parametrize("order", [1, -1])
def test_caveats_in_force_are_those_of_the_highest_number_and_of_two_the_later(order: int) -> None:
    def told(entry: str, version: int, name: RowName = CAVEATS) -> RowTold:
        by: Any = {"id": entry, "type": "caveats.activated"}
        return RowTold(name, by, version)

    newest = NewestTold()
    for each in [told("e9", 1), told("e2", 2), told("e3", 2), told("e4", 7, CLIENT)][::order]:
        newest.take(each)

    assert [each.by["id"] for each in newest.of(RowKind.CAVEATS)] == ["e3"]


def test_caveats_that_no_entry_put_in_force_are_found() -> None:
    assert found(RowCurrent(CAVEATS, 1, 5)) == [("none", "no entry tells of its version 1")]
    assert found(RowCurrent(CAVEATS, 3, 5), said(CAVEATS)) == [("e2", "no entry tells of its version 3")]
    assert found(RowCurrent(CAVEATS, 2, 5), said(CAVEATS)) == []


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("ended", "by", "why"),
    [
        ("withdrawn", [], "was withdrawn"),
        ("closed", [], "was closed"),
        ("<b>", [], "ended so"),
        ("withdrawn", ["closed"], "was withdrawn"),
        ("closed", ["closed"], None),
        # Closed once more where nobody could look whether it was withdrawn.
        ("withdrawn", ["withdrawn", "closed"], None),
        ("closed", ["closed", "withdrawn"], None),
    ],
)
def test_request_has_ended_as_far_as_entries_tell(ended: str, by: list[str], why: str | None, order: int) -> None:
    told = [
        RowTold(REQUEST, {"id": f"e{number}"}, is_over=True, says={} if each == "closed" else {"ended": each})  # type: ignore[typeddict-item]
        for number, each in enumerate(by)
    ]

    assert found(RowCurrent(REQUEST, ended, 5), *told[::order]) == (
        [] if why is None else [("e0" if by else "none", f"no entry tells that it {why}")]
    )
    assert found(RowCurrent(REQUEST, ended, 15)) == []


@pytest.mark.parametrize(
    ("event", "detail", "is_found"),
    [
        ("agreement.signed", {"text": "t"}, False),
        ("agreement.resumed", {"text": "t"}, False),
        ("agreement.resumed", {"text": "t", "on_behalf_of": "NOR"}, True),
        ("agreement.signed", {"text": "u"}, True),
        ("agreement.amended", {"text": "t"}, True),
    ],
)
def test_party_is_bound_by_an_entry_of_its_own_under_the_very_text(
    event: str, detail: dict[str, str], *, is_found: bool
) -> None:
    agreement, consents = RowName(RowKind.AGREEMENT, "a1"), ConsentsTold()
    entry: Any = {"type": event, "object": {"id": "a1"}, "member": "GBR", "detail": detail}
    consents.take(entry)
    kept = PartyKept("a1", version=2, edition=1, text="t", member="GBR", recorded_at=5, signed_at=5)

    def untold(party: PartyKept, version: int = 2) -> list[str]:
        return [each.why for each in consents.untold([party], [said(agreement, version)], before=10, now=20)]

    assert untold(kept) == ["no entry tells that party GBR signed"] * is_found
    # Of a version that another entry made, or none, more is said; of one on its way nothing yet.
    assert untold(kept, 3) == untold(kept._replace(version="2")) == untold(kept._replace(recorded_at=15)) == []
