"""Which entries approve that personal data is gone: an erasure of two persons, and a restore that did it again."""

from typing import Any

import pytest

from exchange.audit import EventName
from exchange.audit.verify.erasures import ErasureChecks
from tests.core.audit.verify.worlds import world

ERASED = {"type": "personal.erased", "decision": "permitted", "object": {"type": "client", "id": "c1"}}
AGAIN = {"erased": ["c1 2026-01"]}


def approved(entry: Any) -> set[tuple[str, str]]:
    checks = ErasureChecks(world(1), {})
    checks.observe(0, {"id": "e1", **entry}, bytes(32))
    return set(checks.told)


def test_erasure_and_restore_approve_what_they_name() -> None:
    assert approved({**ERASED, "detail": {"period": "2026-01", "keys": 1}}) == {("c1", "2026-01")}
    assert approved({"type": "instance.restored", "decision": "permitted", "detail": AGAIN}) == {("c1", "2026-01")}


def test_what_is_no_restore_says_in_vain_what_was_erased_again() -> None:
    others = {event.value for event in EventName} - {"instance.restored"}

    assert [each for each in others if approved({"type": each, "decision": "permitted", "detail": AGAIN})] == []


@pytest.mark.parametrize("again", [None, "c1 2026-01", 7])
def test_restore_that_names_no_list_approves_nothing(again: object) -> None:
    assert approved({"type": "instance.restored", "decision": "permitted", "detail": {"erased": again}}) == set()


@pytest.mark.parametrize("lacking", ["object", "period", "keys"])
def test_erasure_that_does_not_say_of_what_approves_nothing(lacking: str) -> None:
    detail = {name: value for name, value in {"period": "2026-01", "keys": 1}.items() if name != lacking}
    entry = {name: value for name, value in {**ERASED, "detail": detail}.items() if name != lacking}

    assert approved(entry) == set()
