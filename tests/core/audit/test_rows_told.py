"""What entries say of rows, and when a row contradicts them: it has not come as far, or says something else."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from exchange.audit import EventName, Outcome
from exchange.audit.rows_told import (
    ALTERED_CLASS,
    TELLING_EVENTS,
    LastWords,
    RowKept,
    RowKind,
    RowName,
    RowTold,
    TextTold,
    contradiction,
    outcome_telling,
    rows_told,
)

REPORT = RowName(RowKind.REPORT, "r1")
CLIENT = RowName(RowKind.CLIENT, "c1")
AGREEMENT = RowName(RowKind.AGREEMENT, "a1")


def entry(event: EventName, *, outcome: str = "permitted", version: int | None = 3, **fields: Any) -> Any:
    subject = {"type": "thing", "id": "x1"} | ({} if version is None else {"version": version})
    return {"id": "e1", "type": event.value, "decision": outcome, "object": subject, **fields}


def said(event: EventName, **fields: Any) -> RowTold:
    given = entry(event, **fields)
    (told,) = rows_told(given)
    assert told.by is given
    return told


def told(name: RowName, **fields: Any) -> RowTold:
    return RowTold(name, entry(EventName.CLIENT_CHANGED), **fields)


def why(what: RowTold, kept: RowKept | None) -> str | None:
    found = contradiction(what, kept)
    return None if found is None else found.why


def test_names_are_told_in_words() -> None:
    assert str(REPORT) == "report r1"
    assert str(RowName(RowKind.SIGNATORY_KEY, "k")) == "signatory-key k"


def test_breach_and_contradiction_are_told_as_what_failed_and_all_else_as_what_came_to_pass() -> None:
    failed = {event for event in EventName if outcome_telling(event.value) is Outcome.FAILED}
    assert failed == {EventName.DUTY_BREACHED, EventName.ROW_CONTRADICTED}


def test_what_did_not_come_to_pass_says_nothing() -> None:
    for event, outcome in itertools.product(TELLING_EVENTS, ["permitted", "refused", "failed"]):
        if outcome != outcome_telling(event.value).value:
            told = rows_told(entry(event, outcome=outcome, detail={"put": 4, "done": "revoked"}))
            assert told == (), (event, outcome)


def test_what_is_about_something_else_says_nothing() -> None:
    assert rows_told(entry(EventName.REPORT_LISTED)) == ()


def test_every_telling_event_can_be_read_without_anything_beside_it() -> None:
    for event in TELLING_EVENTS:
        bare = {"id": "e1", "type": event.value, "decision": outcome_telling(event.value).value}
        found = rows_told(bare)  # type: ignore[arg-type]  # as little as an entry has
        # A row of no id is nowhere: what names nothing is held against it, and not passed over.
        assert all(each.by is bare and (type(each.name), each.name.id) == (RowName, "") for each in found)


def test_post_says_where_a_report_stands() -> None:
    told = said(
        EventName.REPORT_POSTED,
        agreement="a1",
        scope="s1",
        owner="GBR",
        label={"policy": "NATO", "classification": "SECRET"},
    )

    assert (told.name, told.version, told.is_over) == (RowName(RowKind.REPORT, "x1"), 3, False)
    assert told.says == {"agreement": "a1", "scope": "s1", "originator": "GBR", "level": "SECRET", "policy": "NATO"}
    assert told.event == "report.posted"


def test_a_new_version_says_its_own_label_and_not_the_one_before() -> None:
    told = said(
        EventName.REPORT_DOWNGRADED,
        label={"policy": "NATO", "classification": "SECRET"},
        detail={"to_level": "RESTRICTED", "to_policy": "EU"},
    )

    assert told.says == {"level": "RESTRICTED", "policy": "EU"}


@pytest.mark.parametrize("event", [EventName.REPORT_RECALLED, EventName.REPORT_ENDED])
def test_report_that_ended_is_over(event: EventName) -> None:
    told = said(event)

    assert (told.name.kind, told.is_over, told.says) == (RowKind.REPORT, True, {})


def test_client_is_said_with_what_the_entry_holds_of_it_lists_as_sets() -> None:
    told = said(EventName.CLIENT_CHANGED, detail={"standing": "active", "roles": ["reader", "contributor"], "other": 1})

    assert told.name.kind is RowKind.CLIENT
    assert told.says == {"standing": "active", "roles": ("contributor", "reader")}


def test_client_is_said_with_all_that_decides_what_it_may_read() -> None:
    words = ("member", "standing", "level", "agency", "nationality", "until")
    lists = ("roles", "compartments", "purposes")
    detail = {**dict.fromkeys(words, "w"), **{name: ["y", "x"] for name in lists}}

    told = said(EventName.CLIENT_ENROLLED, detail=detail)
    assert told.says == {**dict.fromkeys(words, "w"), **dict.fromkeys(lists, ("x", "y"))}


def test_member_is_said_with_its_standing() -> None:
    told = said(EventName.MEMBER_SUSPENDED, detail={"standing": "suspended", "level": "x"})

    assert (told.name.kind, told.says) == (RowKind.MEMBER, {"standing": "suspended"})


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (EventName.AGREEMENT_SUSPENDED, "suspended"),
        (EventName.AGREEMENT_RESUMED, "signed"),
        (EventName.AGREEMENT_WITHDRAWN, "withdrawn"),
    ],
)
def test_party_says_where_it_stands(event: EventName, state: str) -> None:
    assert said(event, member="GBR").says == {"party GBR": state}
    # As a restore does it again.
    assert said(event, member="NOR", detail={"on_behalf_of": "GBR"}).says == {"party GBR": state}


def test_party_that_gave_notice_says_when_it_leaves() -> None:
    told = said(EventName.AGREEMENT_WITHDRAWN, member="GBR", detail={"leaves_at": "2026-12-01T00:00:00Z"})

    assert told.says == {"leaving GBR": "2026-12-01T00:00:00Z"}


@pytest.mark.parametrize(
    "event", [EventName.AGREEMENT_PROPOSED, EventName.AGREEMENT_SIGNED, EventName.AGREEMENT_AMENDED]
)
def test_agreement_has_come_to_its_version(event: EventName) -> None:
    told = said(event)

    assert (told.name.kind, told.version, told.says) == (RowKind.AGREEMENT, 3, {})


@pytest.mark.parametrize(
    ("event", "place", "kind"),
    [
        (EventName.SIGNATORY_KEY_RETIRED, "key", RowKind.SIGNATORY_KEY),
        (EventName.PROXY_REFUSED, "consent", RowKind.PROXY),
        (EventName.PROXY_REVOKED, "consent", RowKind.PROXY),
        (EventName.ONWARD_REFUSED, "request", RowKind.ONWARD),
        (EventName.ONWARD_WITHDRAWN, "request", RowKind.ONWARD),
        (EventName.DERIVATION_REFUSED, "request", RowKind.DERIVATION),
        (EventName.DERIVATION_WITHDRAWN, "request", RowKind.DERIVATION),
        (EventName.DERIVATION_REVOKED, "request", RowKind.DERIVATION),
        (EventName.CRISIS_ENDED, "crisis", RowKind.CRISIS),
    ],
)
def test_what_ended_is_named_in_the_detail(event: EventName, place: str, kind: RowKind) -> None:
    told = said(event, detail={place: "y2"})

    assert (told.name, told.is_over) == (RowName(kind, "y2"), True)
    assert rows_told(entry(event, detail={place: 2})) == ()


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (EventName.REQUEST_CLOSED, RowKind.REQUEST),
        (EventName.REQUEST_WITHDRAWN, RowKind.REQUEST),
        (EventName.SUBSCRIPTION_REMOVED, RowKind.SUBSCRIPTION),
    ],
)
def test_what_ended_is_what_the_entry_is_about(event: EventName, kind: RowKind) -> None:
    told = said(event)

    assert (told.name, told.is_over, told.version) == (RowName(kind, "x1"), True, 3)
    assert said(event, version=None).version == 0


def test_request_that_was_withdrawn_is_that_for_good_and_a_closed_one_may_still_be() -> None:
    closed, withdrawn = (RowKept(0, is_over=True, says={0: {"ended": state}}) for state in ("closed", "withdrawn"))
    closing, withdrawal = (
        said(event, version=None) for event in (EventName.REQUEST_CLOSED, EventName.REQUEST_WITHDRAWN)
    )

    assert [contradiction(closing, kept) for kept in (closed, withdrawn)] == [None, None]
    assert contradiction(withdrawal, withdrawn) is None
    found = contradiction(withdrawal, closed)
    assert found is not None
    assert (found.why, found.is_current) == (
        "`ended` in version 0 is another than `request.withdrawn` put there",
        True,
    )


@pytest.mark.parametrize(
    ("event", "kind"),
    [(EventName.ONWARD_GRANTED, RowKind.ONWARD), (EventName.DERIVATION_GRANTED, RowKind.DERIVATION)],
)
def test_grant_says_what_was_signed_where_its_entry_does(event: EventName, kind: RowKind) -> None:
    granted = said(event, detail={"request": "q1", "deed": "d1"})

    assert (granted.name, granted.is_over, granted.says) == (RowName(kind, "q1"), False, {"deed": "d1"})
    assert rows_told(entry(event, detail={"request": "q1"})) == ()


def test_consent_taken_back_says_it_of_itself_and_of_the_report() -> None:
    consent, report = rows_told(entry(EventName.ONWARD_REVOKED, detail={"request": "q1", "recipient": "DNK"}))

    assert (consent.name, consent.is_over) == (RowName(RowKind.ONWARD, "q1"), True)
    assert (report.name, report.version, report.not_for) == (RowName(RowKind.REPORT, "x1"), 3, "DNK")
    (_, unnamed) = rows_told(entry(EventName.ONWARD_REVOKED, detail={"request": "q1", "recipient": ["DNK"]}))
    assert unnamed.not_for is None


def test_alert_says_what_it_is_and_to_whom_it_is_shown() -> None:
    given = entry(
        EventName.ALERT_RAISED,
        member="NOR",
        owner="GBR",
        detail={"alert": "a1", "rule": "hours", "kind": "out-of-hours", "severity": "low"},
    )
    (told,) = rows_told(given)

    assert told.name == RowName(RowKind.ALERT, "a1")
    assert told.says == {
        "rule": "hours",
        "kind": "out-of-hours",
        "severity": "low",
        "member": "NOR",
        "owner": "GBR",
        "entry": given["id"],
    }
    assert rows_told(entry(EventName.ALERT_RAISED, detail={"alert": 7})) == ()


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"period": "2026-10", "keys": 2}, [("x1 2026-10", 2)]),
        ({"period": "2026-10", "keys": 0}, []),
        ({"period": 10, "keys": 2}, []),
        ({"period": "2026-10", "keys": "2"}, []),
    ],
)
def test_erasure_says_how_many_keys_are_gone(detail: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    given = entry(EventName.PERSONAL_ERASED, detail=detail)
    found = rows_told(given)

    assert [(each.name.id, each.version) for each in found] == expected
    assert all((each.name.kind, each.by) == (RowKind.ERASED, given) for each in found)


@pytest.mark.parametrize(
    ("kind", "detail", "expected"),
    [
        ("client", {"put": 4, "done": "revoked"}, [("client x1", 4, {"standing": "revoked"})]),
        ("member", {"put": 2, "done": "suspended"}, [("member x1", 2, {"standing": "suspended"})]),
        ("client", {"done": "nothing"}, []),
        ("client", {"put": "4", "done": "revoked"}, []),
        ("report", {"put": 4, "done": "revoked"}, []),
        ("thing", {"put": 4, "done": "revoked"}, []),
        (
            "caveats",
            {"put": 4, "done": "revoked", "set": "s4", "digest": "d"},
            [("caveats x1", 4, {"set": "s4", "digest": "d", "in_force_beside": ()})],
        ),
        ("caveats", {"done": "nothing"}, []),
    ],
)
def test_what_the_jobs_put_in_a_row_s_place_is_told_of_it(
    kind: str, detail: dict[str, Any], expected: list[tuple[str, int, dict[str, str]]]
) -> None:
    subject = {"type": kind, "id": "x1", "version": 3}
    given = entry(EventName.ROW_CONTRADICTED, outcome="failed", detail=detail) | {"object": subject}
    found = rows_told(given)

    assert [(str(each.name), each.version, each.says) for each in found] == expected
    assert all(each.by is given for each in found)


@pytest.mark.parametrize(
    ("what", "kept", "fault"),
    [
        # as far as the log says, or further
        (told(CLIENT, version=3), RowKept(3), None),
        (told(CLIENT, version=3), RowKept(4), None),
        (told(CLIENT, version=3), RowKept(2), "its row is of version 2: `client.changed` made version 3"),
        (told(CLIENT, version=3), RowKept(2, is_over=True), None),
        (told(CLIENT), None, "its row is gone, and `client.changed` is in the log"),
        # what ended stays ended
        (told(REPORT, is_over=True), RowKept(0, is_over=True), None),
        (told(REPORT, is_over=True), RowKept(9), "`client.changed` ended it, and its row says that it goes on"),
        # erased keys are counted
        (told(RowName(RowKind.ERASED, "s 2026-10"), version=2), RowKept(2), None),
        (
            told(RowName(RowKind.ERASED, "s 2026-10"), version=2),
            RowKept(1),
            "2 keys were erased by two persons, and 1 are gone",
        ),
        # what was taken back from a member
        (told(REPORT, version=3, not_for="DNK"), RowKept(3, lets=frozenset({"NOR"})), None),
        (
            told(REPORT, version=3, not_for="DNK"),
            RowKept(3, lets=frozenset({"DNK"})),
            "it goes to DNK: `client.changed` took that back",
        ),
        (told(REPORT, version=3, not_for="DNK"), RowKept(4, lets=frozenset({"DNK"})), None),
        (
            told(REPORT, version=3, not_for="DNK"),
            RowKept(3, unread={3: ALTERED_CLASS}),
            "nothing in its row says that it goes to DNK no more: `client.changed` took that back",
        ),
        (
            told(REPORT, is_over=True, version=3, not_for="DNK"),
            RowKept(3, is_over=True, unread={2: ALTERED_CLASS}),
            None,
        ),
        # what stands in a version
        (told(CLIENT, version=3, says={"level": "S"}), RowKept(3, says={3: {"level": "S"}}), None),
        (
            told(CLIENT, version=3, says={"level": "S"}),
            RowKept(3, says={3: {"level": "TS"}}),
            "`level` in version 3 is another than `client.changed` put there",
        ),
        (
            told(CLIENT, version=3, says={"level": "S"}),
            RowKept(3, says={}),
            "version 3, of `client.changed`, is gone",
        ),
        # of a report only the version of now is there
        (told(REPORT, version=3, says={"level": "S"}), RowKept(4, says={4: {"level": "R"}}), None),
        (
            told(REPORT, version=3, says={"level": "S"}),
            RowKept(3, says={3: {"level": "R"}}),
            "`level` in version 3 is another than `client.changed` put there",
        ),
        # a last word holds in the version of now, and where it was said; of a version that says nothing, there alone
        (told(AGREEMENT, version=3, says={"p": "s"}, holds_to=4), RowKept(4, says={3: {"p": "s"}}), None),
        (told(AGREEMENT, version=3, says={"p": "s"}, holds_to=4), RowKept(4, says={3: {"p": "s"}, 4: {}}), None),
        (
            told(AGREEMENT, version=3, says={"p": "s"}, holds_to=4),
            RowKept(4, says={3: {"p": "s"}, 4: {"p": "x"}}),
            "`p` is another than its last word, `client.changed`",
        ),
        (
            told(AGREEMENT, version=3, says={"p": "s"}, holds_to=4),
            RowKept(4, says={3: {"p": "x"}, 4: {"p": "s"}}),
            "`p` in version 3 is another than `client.changed` put there",
        ),
    ],
)
def test_row_contradicts_an_entry(what: RowTold, kept: RowKept | None, fault: str | None) -> None:
    assert why(what, kept) == fault


@pytest.mark.parametrize(("says", "version"), [({3: {"level": "TS"}}, 3), ({}, 3)])
def test_it_counts_now_where_the_version_is_the_one_that_is_decided_on(says: dict[int, Any], version: int) -> None:
    what = told(CLIENT, version=version, says={"level": "S"})

    assert [contradiction(what, RowKept(now, says=says)).is_current for now in (3, 4)] == [True, False]  # type: ignore[union-attr]


def test_what_cannot_be_read_is_told_where_all_that_an_entry_says_stands_there() -> None:
    what = told(CLIENT, version=3, says={"level": "S"})
    unread = {3: "name"}
    kept = RowKept(3, says={3: {"level": "S"}}, unread=unread)

    assert why(what, RowKept(3, says={3: {"level": "TS"}}, unread=unread)) != why(what, kept)
    assert why(what, kept) == "`name` in version 3 cannot be read"
    found = [contradiction(what, RowKept(now, says=kept.says, unread=unread)) for now in (3, 4)]
    assert [(each.is_current, each.is_unread) for each in found if each] == [(True, True), (False, True)]


def test_report_in_a_class_that_was_altered_is_accused_of_nothing_that_the_class_says() -> None:
    what = told(REPORT, version=3, says={"level": "S"})
    kept = RowKept(3, unread={3: ALTERED_CLASS})

    assert (kept.is_of_altered_class, RowKept(3, unread={3: "name"}).is_of_altered_class) == (True, False)
    assert why(what, kept) == "`facts of the release class` in version 3 cannot be read"
    found = [contradiction(what, each) for each in (kept, RowKept(3, says={3: {"level": "S"}}, unread={3: "subject"}))]
    assert [each and (each.is_unread, each.is_of_altered_class) for each in found] == [(True, True), (True, False)]
    assert why(what, RowKept(2, unread={2: ALTERED_CLASS})) == why(what, RowKept(2))


def test_last_word_is_of_the_highest_version_whatever_the_order() -> None:
    suspended = said(EventName.AGREEMENT_SUSPENDED, member="GBR", version=5)
    resumed = said(EventName.AGREEMENT_RESUMED, member="GBR", version=6)
    other = said(EventName.AGREEMENT_SUSPENDED, member="NOR", version=4)
    for order in ([suspended, resumed, other], [other, resumed, suspended]):
        words = LastWords()
        for each in order:
            words.take(each)
        assert [(each.says, each.version, each.holds_to) for each in words.found()] == [
            ({"party NOR": "suspended"}, 4, 6)
        ]


NOTICE = {"leaves_at": "2026-12-01T00:00:00Z"}


def last_words(*taken: RowTold) -> list[tuple[dict[str, object], int]]:
    """Return what is said last, the same in whatever order it is taken."""
    found = []
    for order in (taken, reversed(taken)):
        words = LastWords()
        for each in order:
            words.take(each)
        found.append(sorted(((each.version, dict(each.says)) for each in words.found()), key=str))
    assert found[0] == found[1]
    return [(says, version) for version, says in found[0]]


def acted(event: EventName, version: int, at: str = "2026-06-01T00:00:00Z", **detail: object) -> RowTold:
    return said(event, member="NOR", version=version, ts=at, detail=detail)


def amended(version: int, *parties: str, at: str = "2026-06-02T00:00:00Z") -> RowTold:
    (told,) = rows_told(entry(EventName.AGREEMENT_AMENDED, version=version, ts=at, detail={"parties": list(parties)}))
    return told


def test_who_gave_notice_stands_as_its_last_act_says_and_leaves_all_the_same() -> None:
    suspended, notice = acted(EventName.AGREEMENT_SUSPENDED, 2), acted(EventName.AGREEMENT_WITHDRAWN, 3, **NOTICE)
    resumed = acted(EventName.AGREEMENT_RESUMED, 4, **NOTICE)
    leaving = ({"leaving NOR": NOTICE["leaves_at"]}, 3)

    assert last_words(suspended, notice) == [({"party NOR": "suspended"}, 2), leaving]
    assert last_words(suspended, notice, resumed) == [leaving]
    again = acted(EventName.AGREEMENT_SUSPENDED, 5, **NOTICE)
    assert last_words(suspended, notice, resumed, again) == [leaving, ({"party NOR": "suspended"}, 5)]


def test_who_left_and_accedes_again_begins_anew() -> None:
    suspended, notice = acted(EventName.AGREEMENT_SUSPENDED, 2), acted(EventName.AGREEMENT_WITHDRAWN, 3, **NOTICE)
    before, after = amended(4, "GBR", "NOR"), amended(4, "GBR", "NOR", at="2026-12-01T00:00:00Z")

    assert len(last_words(suspended, notice, before)) == 2
    assert last_words(suspended, notice, after) == []
    # By a text that left it out, and one that names it again.
    assert last_words(suspended, amended(3, "GBR", "DNK")) == [({"party NOR": "suspended"}, 2)]
    assert last_words(suspended, amended(3, "GBR", "DNK"), amended(4, "GBR")) == [({"party NOR": "suspended"}, 2)]
    assert last_words(suspended, amended(3, "GBR", "DNK"), amended(4, "GBR", "NOR")) == []
    # Beside a text stands an entry of the service for those whom it names no more.
    leavers = entry(EventName.AGREEMENT_AMENDED, version=3, detail={"parties": ["DNK"]}, actor={"kind": "service"})
    stays = (suspended, amended(3, "GBR", "NOR"), *rows_told(leavers), amended(4, "GBR", "NOR"))
    assert last_words(*stays) == [({"party NOR": "suspended"}, 2)]
    # What was before it acted again frees it of nothing that it did since.
    later = acted(EventName.AGREEMENT_SUSPENDED, 5, at="2026-12-02T00:00:00Z")
    assert last_words(notice, after, later, amended(6, "GBR", "NOR", at="2026-12-03T00:00:00Z")) == [
        ({"party NOR": "suspended"}, 5)
    ]


def test_notice_that_names_no_moment_never_comes() -> None:
    notice = acted(EventName.AGREEMENT_WITHDRAWN, 3, leaves_at="soon")

    assert last_words(notice, amended(4, "GBR", "NOR", at="2026-12-01T00:00:00Z")) == [({"leaving NOR": "soon"}, 3)]


def test_text_from_before_a_party_acceded_begins_nothing_anew() -> None:
    suspended = acted(EventName.AGREEMENT_SUSPENDED, 5)
    says = [({"party NOR": "suspended"}, 5)]

    assert last_words(amended(2, "GBR"), amended(3, "GBR", "NOR"), suspended) == says
    # Older entries of amendments do not name the parties.
    (unnamed,) = rows_told(entry(EventName.AGREEMENT_AMENDED, version=6, ts="2026-06-02T00:00:00Z"))
    assert last_words(suspended, unnamed) == says


def text(event: EventName, version: int, digest: str, edition: int | None = None) -> RowTold:
    detail = {"text": digest} if edition is None else {"text": digest, "edition": edition}
    *_, told = rows_told(entry(event, version=version, member="NOR", detail=detail))
    return told


def test_last_text_is_of_the_highest_edition_whoever_acted_under_another_one_since() -> None:
    first, second = text(EventName.AGREEMENT_PROPOSED, 1, "t1"), text(EventName.AGREEMENT_AMENDED, 4, "t2", 2)
    resumed, signed = text(EventName.AGREEMENT_RESUMED, 7, "t1", 1), text(EventName.AGREEMENT_SIGNED, 5, "t3", 3)
    again = text(EventName.AGREEMENT_SUSPENDED, 6, "t4", 2)

    # Older entries are of the first one, and who signs names a text that only lies before the parties.
    assert first.says == {"text": TextTold(1, "t1")}
    assert signed.says == {}
    assert text(EventName.AGREEMENT_AMENDED, 4, "t2", "two").says == {}  # type: ignore[arg-type]  # as an entry may
    assert last_words(first) == [({"text": TextTold(1, "t1")}, 1)]
    assert last_words(first, second, resumed, signed) == [({"text": TextTold(2, "t2")}, 4)]
    assert ({"text": TextTold(2, "t4")}, 6) in last_words(first, second, again)


def test_row_stands_under_the_last_text_or_under_a_later_one() -> None:
    said = text(EventName.AGREEMENT_AMENDED, 4, "t2", 2)
    last, then = replace(said, holds_to=7), {4: {"text": TextTold(2, "t2")}}
    another = "`text` is another than its last word, `agreement.amended`"

    for now, fault in ((TextTold(1, "t1"), another), (TextTold(2, "t9"), another), (TextTold(2, "t2"), None)):
        assert why(last, RowKept(7, says={**then, 7: {"text": now}})) == fault
    # Of a later one the entries may be damaged, and it is there by what its parties signed.
    assert why(last, RowKept(7, says={**then, 7: {"text": TextTold(3, "t3")}})) is None
    assert why(last, RowKept(7, says={**then, 7: {"text": "nothing of its kind"}})) == another
    # What has gone on meanwhile is looked at once entries tell of it.
    assert why(last, RowKept(8, says={**then, 8: {"text": TextTold(1, "t1")}})) is None
    assert why(said, RowKept(4, says={4: {"text": TextTold(1, "t1")}})) == (
        "`text` in version 4 is another than `agreement.amended` put there"
    )


@pytest.mark.parametrize(("state", "tells"), [("in-force", True), ("draft", False), ("withdrawn", False)])
def test_party_s_act_tells_of_the_text_that_it_was_done_under_where_that_binds(state: str, tells: bool) -> None:
    acted_under = acted(EventName.AGREEMENT_WITHDRAWN, 3, text="t9", edition=9, state=state, **NOTICE)
    proposed = text(EventName.AGREEMENT_PROPOSED, 1, "t1")

    assert acted_under.says == {"leaving NOR": NOTICE["leaves_at"]}
    found = [says for says, _ in last_words(proposed, acted_under)]
    assert found == [
        *([] if tells else [{"text": TextTold(1, "t1")}]),
        {"leaving NOR": NOTICE["leaves_at"]},
        *([{"text": TextTold(9, "t9")}] if tells else []),
    ]


def test_party_that_the_jobs_suspended_stays_so_until_it_resumes() -> None:
    detail = {"put": 6, "done": "suspended", "parties": ["GBR", "NOR"]}
    about = {"type": "agreement", "id": "x1", "version": 5}
    (made,) = rows_told(entry(EventName.ROW_CONTRADICTED, outcome="failed", object=about, detail=detail))
    resumed = acted(EventName.AGREEMENT_RESUMED, 7)

    assert (made.name, made.version) == (resumed.name, 6)
    assert made.says == {"party GBR": "suspended", "party NOR": "suspended"}
    assert [says for says, _ in last_words(made)] == [{"party GBR": "suspended"}, {"party NOR": "suspended"}]
    assert [says for says, _ in last_words(made, resumed)] == [{"party GBR": "suspended"}]


@pytest.mark.parametrize(
    ("says", "tells"), [({"text": "t1"}, True), ({"party GBR": "x"}, True), ({"leaving GBR": "x"}, True)]
)
def test_text_is_of_every_party_and_what_a_party_did_its_own(says: dict[str, object], tells: bool) -> None:
    assert told(AGREEMENT, says=says).tells_of_party("GBR") is tells
    assert told(AGREEMENT, says=says).tells_of_party("NOR") is ("text" in says)


def test_last_words_are_of_agreements_alone() -> None:
    words = LastWords()
    words.take(told(CLIENT, version=3, says={"party GBR": "suspended"}))

    assert words.found() == []


def test_client_is_of_the_member_that_owns_its_entries() -> None:
    assert said(EventName.CLIENT_CHANGED, owner="NOR").says == {"member": "NOR"}


def test_key_of_a_signatory_is_whose_and_what_its_enrolment_says() -> None:
    detail = {"key": "k1", "ed25519": "AA==", "ml_dsa_65": ["BB", "CC"]}
    told = said(EventName.SIGNATORY_KEY_ENROLLED, owner="NOR", detail=detail)

    assert (told.name, told.version) == (RowName(RowKind.SIGNATORY_KEY, "k1"), 0)
    assert told.says == {"client": "x1", "member": "NOR", "ed25519": "AA==", "ml_dsa_65": "BBCC"}
    assert said(EventName.SIGNATORY_KEY_ENROLLED, detail={"key": "k1"}).says == {"client": "x1"}
    assert rows_told(entry(EventName.SIGNATORY_KEY_ENROLLED, detail={"key": 7})) == ()
    assert rows_told(entry(EventName.SIGNATORY_KEY_ENROLLED, detail=detail) | {"object": None}) == ()


def test_caveats_are_their_members_by_the_number_of_the_set_in_force() -> None:
    told = said(EventName.CAVEATS_ACTIVATED, owner="GBR", detail={"number": 2, "digest": "d", "act": "a"})

    assert (told.name, told.version, told.is_over) == (RowName(RowKind.CAVEATS, "GBR"), 2, False)
    assert told.says == {"set": "x1", "digest": "d", "in_force_beside": ()}


def test_caveats_of_nobody_or_of_no_number_say_nothing() -> None:
    assert rows_told(entry(EventName.CAVEATS_ACTIVATED, detail={"number": 2, "digest": "d"})) == ()
    assert rows_told(entry(EventName.CAVEATS_ACTIVATED, owner="GBR", detail={"number": "2"})) == ()
    assert rows_told(entry(EventName.CAVEATS_ACTIVATED, owner="GBR") | {"object": None}) == ()


def test_version_behind_the_newest_is_no_entry_s() -> None:
    newest = told(CLIENT, version=2, is_newest=True)

    assert why(newest, RowKept(2)) is None
    assert why(newest, RowKept(3)) == "no entry tells of its version 3"
