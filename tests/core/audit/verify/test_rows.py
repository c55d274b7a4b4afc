"""Entries held against rows by a verification: each page once, and where there are none to see, not at all."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest

from exchange.audit import EventName, Subject
from exchange.audit.certificates_told import CertificateKept, detail_of, mark_of
from exchange.audit.rows_told import RowKept, RowKind, RowName
from exchange.audit.rows_untold import RowCurrent
from exchange.audit.verify.findings import Findings, Step
from exchange.audit.verify.rows import RowChecks
from exchange.audit.verify.source import PendingEntry
from exchange.kernel import MalformedError, to_micros
from tests.core.audit.verify.worlds import START, World, content


def entry(number: int, kind: str = "report.recalled", **fields: Any) -> Any:
    subject = {"type": "report", "id": f"r{number}"}
    return {"id": f"e{number}", "type": kind, "decision": "permitted", "object": subject, **fields}


class Rows:
    """A source of rows that counts how often it is asked."""

    def __init__(self, kept: dict[str, RowKept] | None, fault: str | None = None) -> None:
        self._kept, self._fault = kept, fault
        self.asked: list[int] = []
        self.certificates: list[CertificateKept] | None = None
        self.waiting: list[PendingEntry] = []
        self.current: list[RowCurrent] | None = None

    def pending(self) -> list[PendingEntry]:
        return self.waiting

    def current_rows(self) -> list[RowCurrent] | None:
        return self.current

    def kept_certificates(self) -> list[CertificateKept] | None:
        return self.certificates

    def kept_rows(self, names: Collection[RowName]) -> dict[RowName, RowKept] | None:
        self.asked.append(len(names))
        if self._fault is not None:
            raise MalformedError(self._fault)
        if self._kept is None:
            return None
        return {name: self._kept[name.id] for name in names if name.id in self._kept}


def checked(rows: Any, entries: list[Any], **times: int) -> Findings:
    findings = Findings()
    checks = RowChecks(rows, findings, **times)
    for position, each in enumerate(entries):
        checks.observe(position, each, b"")
    checks.conclude()
    return findings


def test_row_that_goes_on_after_its_end_is_found_with_its_entry() -> None:
    rows = Rows({"r0": RowKept(1, is_over=True), "r1": RowKept(1)})
    (found,) = checked(rows, [entry(0), entry(1)]).found()

    assert (found.step, found.place, found.position, found.entry) == (Step.ROWS, "report r1", 1, "e1")
    assert found.why == "`report.recalled` ended it, and its row says that it goes on"
    assert rows.asked == [2]


def test_rows_are_asked_for_page_by_page() -> None:
    kept = {f"r{number}": RowKept(1, is_over=True) for number in range(1101)}
    rows = Rows(kept)

    assert checked(rows, [entry(number) for number in range(1101)]).found() == ()
    assert rows.asked == [500, 500, 101]


def test_last_words_are_compared_at_the_end() -> None:
    name = RowName(RowKind.AGREEMENT, "r0")
    suspended = entry(0, "agreement.suspended", member="GBR")
    suspended["object"]["version"] = 2
    kept = RowKept(3, says={2: {"party GBR": "suspended"}, 3: {"party GBR": "signed"}})
    other = entry(1, "agreement.resumed", member="NOR")
    other["object"] |= {"id": "r0", "version": 3}
    kept.says[3]["party NOR"] = "signed"
    (found,) = checked(Rows({name.id: kept}), [suspended, other]).found()

    assert (found.place, found.position) == ("agreement r0", None)
    assert found.why == "`party GBR` is another than its last word, `agreement.suspended`"


def test_source_without_rows_is_asked_once() -> None:
    rows = Rows(None)

    assert checked(rows, [entry(number) for number in range(1500)]).found() == ()
    assert rows.asked == [500]


def test_rows_that_cannot_be_read_are_one_finding() -> None:
    rows = Rows({}, "the rows are of another version")
    findings = checked(rows, [entry(number) for number in range(1500)])

    assert [(each.place, each.why) for each in findings.found()] == [("rows", "the rows are of another version")]
    assert findings.counts() == {Step.ROWS: 1}
    assert rows.asked == [500]


@pytest.mark.parametrize("entries", [[], [entry(0, "report.listed")]])
def test_nothing_is_asked_for_where_nothing_tells_of_rows(entries: list[Any]) -> None:
    rows = Rows({})

    assert checked(rows, entries).found() == ()
    assert rows.asked == []


SIGNED_AT = 100_000_000
BEFORE = SIGNED_AT - 60_000_000


def enrolled(client: str = "r0") -> Any:
    detail = detail_of([mark_of(client, "own", "k", bytes(16))])
    return {**entry(0, "client.enrolled", detail=detail), "object": {"type": "client", "id": client, "version": 1}}


def certificate(thumbprint: str = "other", added_at: int = BEFORE - 1) -> CertificateKept:
    return CertificateKept("r0", thumbprint, "k", bytes(16), added_at)


@pytest.mark.parametrize(
    ("kept", "times", "count"),
    [
        ([certificate()], {"signed_at": SIGNED_AT}, 1),
        ([certificate("own")], {"signed_at": SIGNED_AT}, 0),
        ([certificate(added_at=BEFORE)], {"signed_at": SIGNED_AT}, 0),
        ([certificate(added_at=BEFORE + 99)], {"signed_at": SIGNED_AT, "now": SIGNED_AT}, 0),
        ([certificate(added_at=SIGNED_AT + 60_000_001)], {"signed_at": SIGNED_AT, "now": SIGNED_AT}, 1),
        ([certificate()], {}, 0),
        (None, {"signed_at": SIGNED_AT}, 0),
    ],
)
def test_certificate_is_found_once_its_entry_would_have_its_place(
    kept: list[CertificateKept] | None, times: dict[str, int], count: int
) -> None:
    rows = Rows({"r0": RowKept(1, says={1: {}})})
    rows.certificates = kept
    found = checked(rows, [enrolled()], **times).found()

    assert [(each.place, each.entry) for each in found] == [("client r0", "e0")] * count


@pytest.mark.parametrize(("waits_since", "count"), [(BEFORE - 1, 0), (BEFORE, 1), (SIGNED_AT, 1)])
def test_certificate_whose_entry_may_wait_for_its_place_is_no_fault(waits_since: int, count: int) -> None:
    rows = Rows({"r0": RowKept(1, says={1: {}})})
    rows.certificates, rows.waiting = [certificate()], [PendingEntry("e1", waits_since)]

    assert len(checked(rows, [enrolled()], signed_at=SIGNED_AT).found()) == count


@pytest.mark.parametrize(("version", "recorded_at", "count"), [(1, 0, 0), (2, 0, 1), (2, BEFORE, 0)])
def test_version_that_no_entry_made_is_found(version: int, recorded_at: int, count: int) -> None:
    rows = Rows({"r0": RowKept(1, says={1: {}})})
    rows.current = [RowCurrent(RowName(RowKind.CLIENT, "r0"), version, recorded_at)]
    found = checked(rows, [enrolled()], signed_at=SIGNED_AT).found()

    assert [(each.place, each.why, each.entry) for each in found] == [
        ("client r0", "no entry tells of its version 2", "e0")
    ] * count


def test_every_version_and_every_certificate_that_no_entry_made_is_counted() -> None:
    rows = Rows({name: RowKept(1, says={1: {}}) for name in ("r0", "r1")})
    rows.current = [RowCurrent(RowName(RowKind.CLIENT, name), 2, 0) for name in ("r0", "r1")]
    rows.certificates = [certificate("one"), certificate("other")]

    assert checked(rows, [enrolled(), enrolled("r1")], signed_at=SIGNED_AT).counts() == {Step.ROWS: 4}


def test_where_rows_cannot_be_seen_none_is_missed() -> None:
    rows = Rows({}, fault="the rows cannot be read")
    rows.current = [RowCurrent(RowName(RowKind.CLIENT, "r0"), 2, 0)]

    findings = checked(rows, [enrolled()], signed_at=SIGNED_AT)

    assert ([each.why for each in findings.found()], findings.counts()) == (["the rows cannot be read"], {Step.ROWS: 1})


def test_log_that_tells_of_no_certificate_misses_no_entry() -> None:
    rows = Rows({"r1": RowKept(1, is_over=True)})
    rows.current = [RowCurrent(RowName(RowKind.CLIENT, "r0"), 2, 0)]

    assert checked(rows, [entry(1)], signed_at=SIGNED_AT).found() == ()


@pytest.mark.parametrize(("days", "told"), [(1, []), (3, ["no entry tells of its version 2"])])
def test_row_of_a_time_that_has_not_come_waits_for_no_entry(days: int, told: list[str]) -> None:
    enrolment = content(
        0,
        event=EventName.CLIENT_ENROLLED,
        subject=Subject("client", "r0", version=1),
        detail=detail_of([mark_of("r0", "own", "k", bytes(16))]),
    )
    world = World()
    world.append(enrolment)
    name, moment = RowName(RowKind.CLIENT, "r0"), START + timedelta(days=days)
    world.kept, world.current = {name: RowKept(1, says={1: {}})}, [RowCurrent(name, 2, to_micros(moment))]

    assert [
        each.why for each in world.verify(now=START + timedelta(days=2)).findings if each.place == str(name)
    ] == told
