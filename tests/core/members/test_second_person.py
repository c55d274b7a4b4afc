import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from exchange.kernel import ConflictError, ForbiddenError
from exchange.members import (
    PENDING_DAYS,
    Clearance,
    Client,
    ClientId,
    MemberCode,
    Role,
    Standing,
    ask_for_act,
    require_second_person,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROLES = frozenset({Role.OPERATOR, Role.AUDITOR})


def person(number=1, *roles, **fields):
    given = {
        "id": ClientId(f"client-{number}"),
        "version": 1,
        "name": "somebody",
        "member": MemberCode("EXCHANGE"),
        "agency": "OPS",
        "roles": frozenset(roles or {Role.OPERATOR}),
        "clearance": Clearance("SECRET", (), NOW, None),
        "nationality": "GBR",
        "purposes": (),
        "standing": Standing.ACTIVE,
        **fields,
    }
    return Client(**given)


ACT = ask_for_act("act-1", "kind", {"subject": "s", "a": "é"}, requester=person(1), now=NOW)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("at", [NOW, NOW + timedelta(days=PENDING_DAYS) - timedelta(microseconds=1)])
def test_a_second_person_of_a_right_role_may_approve(role, at):
    require_second_person(ACT, person(2, role, Role.SIGNATORY), roles=ROLES, now=at)


def test_what_is_asked_for_is_kept_canonically():
    assert ACT.payload == '{"a":"é","subject":"s"}'
    assert ACT.asked == {"subject": "s", "a": "é"}
    assert ACT.digest == ask_for_act("x", "y", {"a": "é", "subject": "s"}, requester=person(3), now=NOW).digest
    assert ACT.expires_at == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    ("changes", "second", "at", "code"),
    [
        ({}, person(1), NOW, "second-person-needed"),
        ({}, person(1, Role.AUDITOR), NOW, "second-person-needed"),
        ({"approver": ClientId("client-3")}, person(2), NOW, "approved-already"),
        ({"approver": ClientId("client-2")}, person(2), NOW, "approved-already"),
        ({}, person(2), NOW + timedelta(days=7), "request-expired"),
        ({}, person(2), NOW + timedelta(days=70), "request-expired"),
    ],
)
def test_approval_that_the_state_forbids_is_a_conflict(changes, second, at, code):
    with pytest.raises(ConflictError) as refused:
        require_second_person(dataclasses.replace(ACT, **changes), second, roles=ROLES, now=at)

    assert refused.value.code == code


@pytest.mark.parametrize(
    "second",
    [
        person(2, Role.READER, Role.CONTRIBUTOR),
        person(2, standing=Standing.SUSPENDED),
        person(2, standing=Standing.REVOKED),
        person(2, member_standing=Standing.SUSPENDED),
    ],
)
def test_person_without_the_role_is_forbidden(second):
    with pytest.raises(ForbiddenError, match="`auditor` or `operator`"):
        require_second_person(ACT, second, roles=ROLES, now=NOW)


@pytest.mark.parametrize("changes", [{"payload": '{"subject":"other"}'}, {"payload": "no json"}, {"digest": "00" * 32}])
def test_what_was_altered_cannot_be_read(changes):
    with pytest.raises(ConflictError) as refused:
        _ = dataclasses.replace(ACT, **changes).asked

    assert refused.value.code == "request-altered"
