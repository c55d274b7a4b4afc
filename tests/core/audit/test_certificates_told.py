"""What entries say of certificates: which rows they give, which they end, and what cannot be compared yet."""

import hashlib
from typing import Any

import pytest

from exchange.audit.certificates_told import CertificateKept, CertificateMark, CertificatesTold, detail_of, mark_of

BLIND = bytes(range(16))
MARK = mark_of("c1", "t1", "k1", BLIND)
KEYLESS = mark_of("c1", "t1", None, BLIND)


def entry(event: str, *marks: CertificateMark, kind: str = "client", outcome: str = "permitted", **detail: Any) -> Any:
    said = detail_of(marks) if marks else {}
    return {
        "id": f"e of {event}",
        "type": event,
        "decision": outcome,
        "object": {"type": kind, "id": "c1"},
        "owner": "NOR",
        "detail": {**said, **detail},
    }


def test_mark_of_a_certificate_whose_key_is_not_known_has_none_for_it() -> None:
    assert (KEYLESS.certificate, KEYLESS.key) == (MARK.certificate, "")


def row(**fields: Any) -> CertificateKept:
    known = {"client": "c1", "thumbprint": "t1", "public_key": "k1", "blind": BLIND, "added_at": 5}
    return CertificateKept(**(known | fields))


@pytest.mark.parametrize("blind", [None, b"", b"short", BLIND.decode(), BLIND + b"x"])
def test_row_that_nothing_blinds_has_no_mark(blind: object) -> None:
    assert row(blind=blind).mark is None


@pytest.mark.parametrize("key", [None, 7, b"k1"])
def test_mark_of_a_row_whose_key_cannot_be_read_has_none_for_it(key: object) -> None:
    assert row(public_key=key).mark == KEYLESS


def told_by(*entries: Any) -> CertificatesTold:
    told = CertificatesTold()
    for each in entries:
        told.take(each)
    return told


def why(told: CertificatesTold, *rows: CertificateKept) -> list[str]:
    return [each.why for each in told.untold(rows)]


ENROLLED = entry("client.enrolled", MARK)
OLDER = entry("client.enrolled")
UNTOLD = "a certificate is in use that no entry gave to it"


def test_mark_can_be_recomputed_with_nothing_but_the_row() -> None:
    said = f'["{BLIND.hex()}","c1","t1"]', f'["{BLIND.hex()}","c1","t1","k1"]'

    assert CertificateMark(*(hashlib.sha256(each.encode()).hexdigest() for each in said)) == MARK
    assert CertificateMark(MARK.certificate, "") == KEYLESS


def test_certificate_that_cannot_be_read_is_told_and_named_nowhere() -> None:
    (found,) = told_by(ENROLLED).untold([row(thumbprint=b"\xff")])

    assert (found.told.name.id, found.why) == ("c1", "a certificate of it cannot be read")
    assert found.certificate is None
    assert row(thumbprint=b"\xff").mark is None


def test_what_an_entry_gave_is_the_client_s() -> None:
    assert why(told_by(ENROLLED), row()) == []
    assert (
        why(told_by(ENROLLED, entry("certificate.added", mark_of("c1", "t2", "k1", BLIND))), row(thumbprint="t2")) == []
    )


@pytest.mark.parametrize(
    "changed",
    [{"thumbprint": "t2"}, {"blind": None}, {"blind": b"short"}, {"blind": BLIND.decode()}, {"blind": bytes(16)}],
)
def test_what_no_entry_gave_is_not(changed: dict[str, Any]) -> None:
    (found,) = told_by(ENROLLED).untold([row(**changed)])

    assert (found.why, found.told.by["id"], found.certificate) == (UNTOLD, ENROLLED["id"], row(**changed).thumbprint)


@pytest.mark.parametrize(
    ("given", "kept", "is_other"), [(MARK, "k2", True), (MARK, None, True), (MARK, 7, True), (KEYLESS, "k2", False)]
)
def test_key_is_compared_where_its_entry_knew_it(given: CertificateMark, kept: object, is_other: bool) -> None:
    found = why(told_by(entry("client.enrolled", given)), row(public_key=kept))

    assert found == (["a certificate has another key than its entry says"] if is_other else [])


@pytest.mark.parametrize("order", [1, -1])
def test_key_that_an_entry_knew_is_not_forgotten_by_another_one(order: int) -> None:
    entries = [ENROLLED, entry("certificate.recorded", KEYLESS, given=0)][::order]

    assert why(told_by(*entries), row(public_key="k2")) == ["a certificate has another key than its entry says"]


@pytest.mark.parametrize("order", [1, -1])
def test_what_was_removed_is_over_in_whatever_order_it_is_told(order: int) -> None:
    entries = [ENROLLED, entry("certificate.removed", MARK)][::order]

    assert why(told_by(*entries), row()) == ["a certificate is in use that `certificate.removed` ended"]


@pytest.mark.parametrize(
    "other",
    [
        entry("client.listed", MARK),
        entry("client.enrolled", MARK, outcome="refused"),
        entry("certificate.added", MARK, kind="authority"),
        {"type": "certificate.added", "decision": "permitted"},
    ],
)
def test_entries_of_something_else_give_nothing(other: Any) -> None:
    assert not told_by(other)
    assert why(told_by(other, entry("client.enrolled", mark_of("c1", "t2", "k1", BLIND))), row()) == [UNTOLD]


@pytest.mark.parametrize("told", [told_by(), told_by(entry("certificate.added", MARK))])
def test_client_whose_enrolment_is_not_there_is_told_of_and_loses_nothing(told: CertificatesTold) -> None:
    (found,) = told.untold([row()])

    assert (found.told.by["id"], found.certificate) == ("none", None)
    assert (found.told.name.id, found.why) == ("c1", "no entry tells how it was enrolled")
    assert list(told.waiting()) == []


def test_what_was_given_to_a_client_that_no_entry_enrolled_is_not_waited_for() -> None:
    told = told_by(entry("certificate.added"))

    assert (why(told, row()), list(told.waiting())) == (["no entry tells how it was enrolled"], [])


def test_what_older_entries_gave_waits_until_it_is_on_record() -> None:
    silent = {name: value for name, value in entry("certificate.added").items() if name != "detail"}
    told = told_by(OLDER, silent)

    assert (why(told, row(), row(thumbprint="t2")), list(told.waiting())) == ([], [("c1", 2, "NOR")])
    told.take(entry("certificate.recorded", MARK, given=1))
    assert (why(told, row(thumbprint="t2")), list(told.waiting())) == ([], [("c1", 2, "NOR")])
    told.take(entry("certificate.recorded", MARK, given=2))
    assert (why(told, row(), row(thumbprint="t2")), list(told.waiting())) == ([UNTOLD], [])


def test_removed_certificate_stays_over_while_others_wait() -> None:
    told = told_by(OLDER, entry("certificate.removed", MARK))

    assert why(told, row()) == ["a certificate is in use that `certificate.removed` ended"]


@pytest.mark.parametrize("given", [None, "two"])
def test_record_that_covers_nothing_readable_covers_nothing(given: Any) -> None:
    assert list(told_by(OLDER, entry("certificate.recorded", MARK, given=given)).waiting()) == [("c1", 1, "NOR")]


@pytest.mark.parametrize(
    ("added_at", "now", "is_settled"),
    [(9, 20, True), (10, 20, False), (20, 20, False), (21, 20, True), (21, None, False), ("9", None, True)],
)
def test_row_is_settled_once_its_entry_has_its_place(added_at: object, now: int | None, is_settled: bool) -> None:
    assert row(added_at=added_at).is_settled(10, now) is is_settled


def test_certificate_has_ended_where_an_entry_of_its_client_says_so() -> None:
    told = told_by(ENROLLED, entry("certificate.removed", MARK))

    assert told.has_ended("c1", MARK)
    assert not told.has_ended("c1", mark_of("c1", "t2", "k1", BLIND))
    assert not told.has_ended("c1", None)
    assert not told.has_ended("c2", MARK)
