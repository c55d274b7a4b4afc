import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from exchange.kernel import ConflictError, ForbiddenError, MalformedError
from exchange.members import (
    ACT_KINDS,
    ACTING_ROLES,
    ERASE_PERSONAL,
    PENDING_DAYS,
    Clearance,
    Client,
    ClientId,
    MemberCode,
    Role,
    Standing,
    act_kinds,
    ask_for_act,
    may_see_act,
    require_may_refuse,
    require_second_person,
    second_person,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ACROSS = act_kinds.ActKind(
    "across",
    asked_by=frozenset({Role.SIGNATORY}),
    confirmed_by=frozenset({Role.SIGNATORY}),
    waits=timedelta(hours=6),
    across_members=True,
)


@pytest.fixture(autouse=True)
def _another_kind(monkeypatch):
    monkeypatch.setattr(second_person, "ACT_KINDS", {**ACT_KINDS, "across": ACROSS})


def person(number=1, *roles, **fields):
    given = {
        "id": ClientId(f"client-{number}"),
        "version": 1,
        "name": f"person {number}",
        "member": MemberCode("GBR"),
        "agency": "OPS",
        "roles": frozenset(roles or {Role.OPERATOR}),
        "clearance": Clearance("SECRET", (), NOW, None),
        "nationality": "GBR",
        "purposes": (),
        "standing": Standing.ACTIVE,
        **fields,
    }
    return Client(**given)


def asked(kind=ERASE_PERSONAL, *, members=("GBR",), requester=None, **what):
    requester = requester or person(1)
    return ask_for_act("act-1", kind, what or {"subject": "s", "a": "é"}, members=members, requester=requester, now=NOW)


ACT = asked()
SAID = {
    "approved-already": "this was approved already",
    "request-ended": "this was refused or taken back: ask again",
    "request-expired": "this was asked for too long ago: ask again",
    "second-person-needed": "who asks cannot approve: a second person must",
    "other-member-needed": "a second person of another member is needed",
    "requester-gone": "who asked may no longer ask: ask again",
    "digest-differs": "the digest is another one: look at the request again",
    "request-altered": "what is kept is not what was asked for: ask again",
}


def code_of(refused, **said):
    code = refused.value.code
    assert refused.value.message == (SAID | said)[code]
    return code


def test_every_kind_is_found_by_its_name_and_its_roles_act():
    assert all(ACT_KINDS[kind.name] is kind and kind.roles <= ACTING_ROLES for kind in ACT_KINDS.values())
    assert frozenset().union(*(kind.asked_by | kind.confirmed_by for kind in ACT_KINDS.values())) == ACTING_ROLES


WATCHING, RELEASING, SIGNING = {Role.OPERATOR, Role.AUDITOR}, {Role.RELEASER}, {Role.SIGNATORY}


@pytest.mark.parametrize(
    ("name", "roles", "waits", "of_exchange", "across_members"),
    [
        ("erase-personal", WATCHING, timedelta(days=7), True, False),
        ("national-caveats", RELEASING, timedelta(days=7), False, False),
        ("onward-release", RELEASING, timedelta(days=7), False, False),
        ("derived-marking", RELEASING, timedelta(days=7), False, False),
        ("proxy-posting", RELEASING, timedelta(days=7), False, False),
        ("downgrade", RELEASING, timedelta(days=7), False, False),
        ("open-crisis", SIGNING, timedelta(hours=24), False, True),
    ],
)
def test_each_kind_has_its_persons_and_its_time(name, roles, waits, of_exchange, across_members):
    kind = ACT_KINDS[name]

    assert (kind.asked_by, kind.confirmed_by) == (roles, roles)
    assert (kind.waits, kind.of_exchange, kind.across_members) == (waits, of_exchange, across_members)
    assert len(ACT_KINDS) == 7


def test_kind_has_the_roles_of_both_its_persons():
    apart = dataclasses.replace(ACROSS, confirmed_by=frozenset({Role.AUDITOR}))

    assert apart.roles == {Role.SIGNATORY, Role.AUDITOR}


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
@pytest.mark.parametrize("at", [NOW, NOW + timedelta(days=PENDING_DAYS) - timedelta(microseconds=1)])
@pytest.mark.parametrize("digest", [None, ACT.digest])
def test_a_second_person_of_a_right_role_may_approve(role, at, digest):
    require_second_person(
        ACT, person(2, role, Role.SIGNATORY), first=person(1), now=at, shares_key=False, digest=digest
    )


def test_what_is_asked_for_is_kept_canonically():
    assert ACT.payload == '{"asked":{"a":"é","subject":"s"},"members":["GBR"]}'
    assert ACT.asked == {"subject": "s", "a": "é"}
    assert ACT.members == {"GBR"}
    assert ACT.digest == asked(a="é", subject="s").digest
    assert ACT.digest != asked(members=("NOR",)).digest
    many = ("SWE", "NOR", "GBR", "FRA", "ESP", "DNK", "BEL")
    assert asked(members=many).payload.endswith('"members":["BEL","DNK","ESP","FRA","GBR","NOR","SWE"]}')
    assert ACT.expires_at == NOW + timedelta(days=7)
    assert asked(ACROSS, requester=person(1, Role.SIGNATORY)).expires_at == NOW + timedelta(hours=6)
    made = asked(requester=person(7))
    assert (made.id, made.requester, made.requested_at) == ("act-1", "client-7", NOW)


def test_statement_is_of_all_that_was_asked_for_whatever_is_put_on_it():
    sealed = ACT.sealed("file/acts 1 s QQ==")

    assert (ACT.seal, sealed.seal) == (None, "file/acts 1 s QQ==")
    assert sealed.payload == '{"asked":{"a":"é","subject":"s"},"members":["GBR"],"seal":"file/acts 1 s QQ=="}'
    assert (sealed.asked, sealed.members, sealed.digest != ACT.digest) == (ACT.asked, ACT.members, True)
    assert len(ACT.statement) == 32
    assert sealed.sealed("another").statement == sealed.statement == ACT.statement
    others = [
        asked(a="other", subject="s"),
        asked(members=("NOR",)),
        *(
            dataclasses.replace(ACT, **changes)
            for changes in (
                {"id": "act-2"},
                {"kind": "across"},
                {"requester": ClientId("client-2")},
                {"requested_at": NOW + timedelta(microseconds=1)},
                {"expires_at": NOW},
            )
        ),
    ]
    assert len({ACT.statement, *(each.statement for each in others)}) == 1 + len(others)
    number = '{"asked":{},"members":[],"seal":7}'
    assert dataclasses.replace(ACT, payload=number, digest=hashlib.sha256(number.encode()).hexdigest()).seal is None


def test_request_of_an_older_version_is_read_and_is_of_no_member():
    payload = '{"subject":"s"}'
    old = dataclasses.replace(ACT, payload=payload, digest=hashlib.sha256(payload.encode()).hexdigest())

    assert old.asked == {"subject": "s"}
    assert old.members == frozenset()


@pytest.mark.parametrize("requester", [person(1, Role.READER), person(1, standing=Standing.SUSPENDED)])
def test_who_may_not_ask_is_forbidden(requester):
    with pytest.raises(ForbiddenError, match=r"^asking for this needs the role `auditor` or `operator`"):
        asked(requester=requester)


@pytest.mark.parametrize(
    ("changes", "second", "at", "code"),
    [
        ({}, person(1), NOW, "second-person-needed"),
        ({}, person(1, Role.AUDITOR), NOW, "second-person-needed"),
        # One client is one person, under whatever name and member it stands by now.
        ({}, person(1, name="another name", member=MemberCode("NOR")), NOW, "second-person-needed"),
        ({}, person(2, name="person 1"), NOW, "second-person-needed"),
        ({}, person(2, name="PERSON １"), NOW, "second-person-needed"),
        ({"approver": ClientId("client-3")}, person(2), NOW, "approved-already"),
        ({"approver": ClientId("client-2")}, person(2), NOW, "approved-already"),
        ({"refuser": ClientId("client-1")}, person(2), NOW, "request-ended"),
        ({}, person(2), NOW + timedelta(days=7), "request-expired"),
        ({}, person(2), NOW + timedelta(days=70), "request-expired"),
    ],
)
def test_approval_that_the_state_forbids_is_a_conflict(changes, second, at, code):
    with pytest.raises(ConflictError) as refused:
        require_second_person(dataclasses.replace(ACT, **changes), second, first=person(1), now=at, shares_key=False)

    assert code_of(refused) == code


def test_one_name_at_two_members_is_two_persons():
    require_second_person(
        ACT, person(2, name="person 1", member=MemberCode("NOR")), first=person(1), now=NOW, shares_key=False
    )


@pytest.mark.parametrize(
    "first",
    [
        person(1, standing=Standing.REVOKED),
        person(1, member_standing=Standing.SUSPENDED),
        person(1, Role.READER),
    ],
)
def test_request_ends_with_the_right_to_make_it(first):
    with pytest.raises(ConflictError) as refused:
        require_second_person(ACT, person(2), first=first, now=NOW, shares_key=False)

    assert code_of(refused) == "requester-gone"


def test_another_digest_than_the_act_s_confirms_nothing():
    with pytest.raises(ConflictError) as refused:
        require_second_person(ACT, person(2), first=person(1), now=NOW, shares_key=False, digest="00" * 32)

    assert code_of(refused) == "digest-differs"


def test_kind_across_members_needs_a_person_of_another_member():
    first = person(1, Role.SIGNATORY)
    act = asked(ACROSS, members=("GBR", "NOR"), requester=first)
    with pytest.raises(ConflictError) as refused:
        require_second_person(act, person(2, Role.SIGNATORY), first=first, now=NOW, shares_key=False)

    assert code_of(refused) == "other-member-needed"
    require_second_person(
        act, person(3, Role.SIGNATORY, member=MemberCode("NOR")), first=first, now=NOW, shares_key=False
    )


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
    with pytest.raises(ForbiddenError, match=r"^approving needs the role `auditor` or `operator`"):
        require_second_person(ACT, second, first=person(1), now=NOW, shares_key=False)


@pytest.mark.parametrize("changes", [{"payload": '{"subject":"other"}'}, {"payload": "no json"}, {"digest": "00" * 32}])
def test_what_was_altered_cannot_be_read(changes):
    altered = dataclasses.replace(ACT, **changes)
    for read in (lambda: altered.asked, lambda: altered.members):
        with pytest.raises(ConflictError) as refused:
            read()

        assert code_of(refused) == "request-altered"


def written(payload):
    """Return the act as somebody puts it there who writes the digest too."""
    return dataclasses.replace(ACT, payload=payload, digest=hashlib.sha256(payload.encode()).hexdigest())


def test_what_is_not_among_what_was_asked_for_is_altered():
    act = written('{"subject": "x"}')

    assert act.said("subject") == "x"
    with pytest.raises(ConflictError) as refused:
        act.said("period")
    assert code_of(refused) == "request-altered"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "[]",
        "1",
        '{"subject": 1}',
        '{"subject": null}',
        '{"asked": [], "members": []}',
        '{"members": []}',
        '{"asked": {}, "members": {}}',
        '{"asked": {}, "members": [1]}',
        '{"asked": {}, "members": ["nobody"]}',
        '{"asked": {"a": []}, "members": ["GBR"]}',
        '{"subject": "\\ud800"}',
        '{"subject": ' + 100_000 * "[" + 100_000 * "]" + "}",
    ],
)
def test_act_that_says_what_none_does_is_unreadable(payload):
    with pytest.raises(MalformedError):
        written(payload).require_readable()


@pytest.mark.parametrize("payload", ['{"subject": "x"}', '{"asked": {"a": "b"}, "members": ["GBR"]}', "{}"])
def test_act_that_can_be_shown_is_readable(payload):
    written(payload).require_readable()


def test_act_of_another_digest_is_told_by_who_asks_what_it_says():
    dataclasses.replace(ACT, payload="{").require_readable()


@pytest.mark.parametrize(
    ("client", "sees"),
    [
        (person(1), True),
        (person(2, Role.AUDITOR), True),
        (person(2, Role.READER), False),
        (person(2, member=MemberCode("NOR")), False),
        (person(2, member=MemberCode("EXCHANGE")), True),
        (person(2, Role.READER, member=MemberCode("EXCHANGE")), False),
    ],
)
def test_act_is_seen_by_role_and_member(client, sees):
    assert may_see_act(ACT, client) is sees


def test_people_of_the_exchange_see_no_act_of_a_kind_that_leaves_them_out():
    act = asked(ACROSS, members=("GBR", "NOR"), requester=person(1, Role.SIGNATORY))

    assert not may_see_act(act, person(2, Role.SIGNATORY, member=MemberCode("EXCHANGE")))


def test_act_of_an_unknown_kind_is_seen_by_nobody():
    assert may_see_act(dataclasses.replace(ACT, kind="of-a-later-version"), person(1)) is False


@pytest.mark.parametrize("client", [person(1), person(1, Role.READER), person(2, Role.AUDITOR)])
def test_who_asked_and_who_might_confirm_may_end_it(client):
    require_may_refuse(ACT, client, now=NOW)


@pytest.mark.parametrize(
    ("changes", "at", "code"),
    [
        ({"approver": ClientId("client-2")}, NOW, "approved-already"),
        ({"refuser": ClientId("client-2")}, NOW, "request-ended"),
        ({}, NOW + timedelta(days=7), "request-ended"),
    ],
)
def test_what_waits_no_longer_is_not_ended(changes, at, code):
    with pytest.raises(ConflictError) as refused:
        require_may_refuse(dataclasses.replace(ACT, **changes), person(1), now=at)

    assert code_of(refused, **{"request-ended": "this waits no longer"}) == code


@pytest.mark.parametrize("client", [person(2, Role.READER), person(2, standing=Standing.SUSPENDED)])
def test_who_could_not_confirm_it_may_not_refuse_it(client):
    with pytest.raises(ForbiddenError, match=r"^refusing needs the role"):
        require_may_refuse(ACT, client, now=NOW)


def test_whoever_shares_a_key_with_who_asked_is_nobody_else():
    with pytest.raises(ConflictError) as refused:
        require_second_person(ACT, person(2), first=person(1), now=NOW, shares_key=True)
    assert code_of(refused) == "second-person-needed"
