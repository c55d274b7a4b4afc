"""What of an entry an auditor sees: a truth table over whose act it was, on whose thing, how it ended, and the label."""

import itertools
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from exchange.audit import (
    OF_TEAR_LINE,
    TOLD_REASONS,
    Actor,
    Auditor,
    Criteria,
    EntryDraft,
    EntryView,
    EventName,
    Extent,
    Guard,
    Outcome,
    Subject,
    matches,
    parse_entry,
    reports_named,
    seal_entry,
    view_of,
    without_hidden,
)
from exchange.audit.slice import owns
from exchange.crypto import SearchTokens
from exchange.release import Reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LOW, HIGH = "CONFIDENTIAL", "TOP SECRET"
TOKENS = SearchTokens(bytes(32))
GUARD = Guard(TOKENS, None)
PERSONAL = {"pii": {"kid": "key-1", "ciphertext": "AAAA"}}


def entry(**fields: Any) -> Any:
    given: dict[str, Any] = {
        "event": EventName.REPORT_READ,
        "outcome": Outcome.PERMITTED,
        "at": NOW,
        "actor": client_of("NOR"),
        "request_id": "request-1",
        "source": "192.0.2.7",
        **fields,
    }
    sealed = seal_entry(EntryDraft(**given), entry_id="entry-1", node="node-1", boot="boot-1", node_seq=1, guard=GUARD)
    return parse_entry(sealed.content)


def client_of(member: str) -> Actor:
    return Actor(
        "client",
        id=f"{member} client",
        member=member,
        agency=f"{member} agency",
        thumbprint="ab" * 32,
        level=LOW,
        compartments=("KEPT",),
    )


def judged(actor: str, owner: str, outcome: Outcome, level: str, **fields: Any) -> Any:
    return entry(
        actor=client_of(actor),
        owner=owner,
        outcome=outcome,
        label={"policy": "NATO", "classification": level, "compartments": [], "releasable_to": [], "handling": []},
        subject=Subject("report", "report-1", 3),
        agreement="agreement-1",
        scope="scope-1",
        purpose="defence",
        policies=("crisis/crisis-1", "guards/abc"),
        reasons=() if outcome is Outcome.PERMITTED else ("not-releasable",),
        **fields,
    )


def auditor(member: str | None = "NOR") -> Auditor:
    return Auditor(member, lambda label: label["classification"] == LOW)


# Actor's member, owner, outcome, label -> what the auditor of NOR sees, what the exchange's sees.
TABLE = [
    ("NOR", "NOR", Outcome.PERMITTED, LOW, Extent.WHOLE, Extent.WHOLE),
    ("NOR", "NOR", Outcome.PERMITTED, HIGH, None, None),
    ("NOR", "NOR", Outcome.REFUSED, LOW, Extent.WHOLE, Extent.WHOLE),
    ("NOR", "NOR", Outcome.REFUSED, HIGH, Extent.REFUSAL, None),
    ("NOR", "NOR", Outcome.FAILED, LOW, Extent.WHOLE, Extent.WHOLE),
    ("NOR", "NOR", Outcome.FAILED, HIGH, Extent.REFUSAL, None),
    ("NOR", "GBR", Outcome.PERMITTED, LOW, Extent.WHOLE, Extent.WHOLE),
    ("NOR", "GBR", Outcome.PERMITTED, HIGH, None, None),
    ("NOR", "GBR", Outcome.REFUSED, LOW, Extent.REFUSAL, Extent.WHOLE),
    ("NOR", "GBR", Outcome.REFUSED, HIGH, Extent.REFUSAL, None),
    ("NOR", "GBR", Outcome.FAILED, LOW, Extent.REFUSAL, Extent.WHOLE),
    ("NOR", "GBR", Outcome.FAILED, HIGH, Extent.REFUSAL, None),
    ("GBR", "NOR", Outcome.PERMITTED, LOW, Extent.OTHERS, Extent.WHOLE),
    ("GBR", "NOR", Outcome.PERMITTED, HIGH, None, None),
    ("GBR", "NOR", Outcome.REFUSED, LOW, Extent.OTHERS, Extent.WHOLE),
    ("GBR", "NOR", Outcome.REFUSED, HIGH, None, None),
    ("GBR", "NOR", Outcome.FAILED, LOW, Extent.OTHERS, Extent.WHOLE),
    ("GBR", "NOR", Outcome.FAILED, HIGH, None, None),
    ("GBR", "GBR", Outcome.PERMITTED, LOW, None, Extent.WHOLE),
    ("GBR", "GBR", Outcome.PERMITTED, HIGH, None, None),
    ("GBR", "DNK", Outcome.REFUSED, LOW, None, Extent.WHOLE),
    ("GBR", "DNK", Outcome.REFUSED, HIGH, None, None),
    ("GBR", "DNK", Outcome.FAILED, LOW, None, Extent.WHOLE),
    ("GBR", "DNK", Outcome.FAILED, HIGH, None, None),
]


def extent_of(seen: Any) -> Extent | None:
    return None if seen is None else seen.extent


@pytest.mark.parametrize(("actor", "owner", "outcome", "level", "member_sees", "exchange_sees"), TABLE)
def test_slice(
    actor: str, owner: str, outcome: Outcome, level: str, member_sees: Extent | None, exchange_sees: Extent | None
) -> None:
    made = judged(actor, owner, outcome, level)

    assert extent_of(view_of(made, auditor("NOR"))) is member_sees
    assert extent_of(view_of(made, auditor(None))) is exchange_sees


def test_table_holds_every_case() -> None:
    parties = [("NOR", "NOR"), ("NOR", "GBR"), ("GBR", "NOR")]
    every = {(*who, outcome, level) for who, outcome, level in itertools.product(parties, Outcome, (LOW, HIGH))}

    assert every <= {row[:4] for row in TABLE}


def test_whole_is_all_of_it() -> None:
    made = judged("NOR", "NOR", Outcome.PERMITTED, LOW, detail={"part": 1}, size_bytes=7)
    seen = view_of(made, auditor())

    assert seen is not None
    assert seen.fields == made


def test_of_others_everything_but_where_they_came_from_and_what_they_hold() -> None:
    made = judged("GBR", "NOR", Outcome.REFUSED, LOW, detail={"part": 1}, size_bytes=7, result_ids=("other report",))
    made |= PERSONAL
    seen = view_of(made, auditor())

    assert seen is not None
    withheld = {"source", "request_id", "clearance", "node", "boot", "node_seq", "result_ids", "result_count", "pii"}
    assert made.keys() - seen.fields.keys() == withheld
    assert seen.fields["actor"] == {"kind": "client", "id": "GBR client"}
    assert {name: value for name, value in made.items() if name not in {*withheld, "actor"}}.items() <= (
        seen.fields.items()
    )


@pytest.mark.parametrize("level", [LOW, HIGH])
@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
def test_refusal_of_the_invisible_is_that_of_the_absent(level: str, outcome: Outcome) -> None:
    given: dict[str, Any] = {"size_bytes": 7, "result_ids": ("other report",)}
    invisible = judged("NOR", "GBR", outcome, level, detail={"part": 1, "finding": "withheld"}, **given) | PERSONAL
    absent = entry(outcome=outcome, subject=Subject("report", "report-1"), detail={"finding": "absent"})
    seen = view_of(invisible, auditor())

    assert seen == view_of(absent, auditor())
    assert seen is not None
    assert seen.fields["object"] == {"type": "report", "id": "report-1"}
    assert seen.fields["decision"] == outcome.value
    assert seen.fields["actor"] == invisible["actor"]
    hidden = {"owner", "label", "agreement", "scope", "purpose", "policies", "reasons", "detail", "bytes"}
    assert hidden.isdisjoint(seen.fields)


def test_refusal_shows_what_was_answered() -> None:
    judged_by = {"place": "report x", "told": "b", "parties": ["GBR"], "text": "c", "reason": "d", "level": HIGH}
    detail = {"codes": ["outside-scope-topic"], **judged_by}
    made = entry(outcome=Outcome.REFUSED, detail=detail, agreement="a")
    seen = view_of(made, auditor())

    assert seen is not None
    assert seen.fields["detail"] == {"codes": ["outside-scope-topic"]}
    assert made.keys() - seen.fields.keys() == {"agreement"}


def test_refused_flood_is_shown_with_how_many_requests_it_was() -> None:
    detail = {"method": "GET", "route": "unmatched", "code": "rate-limited", "count": 4, "inactive": "member"}
    seen = view_of(entry(outcome=Outcome.REFUSED, detail=detail), auditor())

    assert seen is not None
    assert seen.fields["detail"] == detail


def test_only_reasons_that_lie_in_the_caller_are_shown() -> None:
    views = {each.value: view_of(entry(outcome=Outcome.REFUSED, reasons=(each.value,)), auditor()) for each in Reason}

    shown = {reason for reason, view in views.items() if view is not None and "reasons" in view.fields}
    assert shown == {"not-authenticated", "role-missing", "client-suspended", "weak-assurance"}


@pytest.mark.parametrize("reason", sorted(TOLD_REASONS))
@pytest.mark.parametrize("owner", [None, "GBR"])
def test_reason_that_lies_in_the_caller_is_shown(reason: str, owner: str | None) -> None:
    seen = view_of(entry(outcome=Outcome.REFUSED, reasons=(reason,), owner=owner), auditor())

    assert seen is not None
    assert seen.fields["reasons"] == [reason]
    assert "owner" not in seen.fields


@pytest.mark.parametrize(
    "fields",
    [
        {"reasons": ("role-missing", "not-releasable")},
        {"reasons": ("not-a-party",)},
        {"reasons": ("role-missing",), "label": {"policy": "NATO", "classification": LOW}},
    ],
)
def test_reason_that_lies_in_what_was_judged_is_not_shown(fields: dict[str, Any]) -> None:
    seen = view_of(entry(outcome=Outcome.REFUSED, **fields), auditor())

    assert seen is not None
    assert "reasons" not in seen.fields


@pytest.mark.parametrize(
    ("fields", "is_owner"),
    [
        ({"owner": "NOR"}, True),
        ({"owner": "GBR"}, False),
        ({}, False),
        ({"subject": Subject("agreement", "a"), "detail": {"parties": ["GBR", "NOR"]}}, True),
        ({"subject": Subject("agreement", "a"), "detail": {"parties": ["GBR", "DNK"]}}, False),
        ({"subject": Subject("agreement", "a"), "detail": {"parties": "NOR"}}, False),
        ({"subject": Subject("agreement", "a")}, False),
        ({"subject": Subject("report", "a"), "detail": {"parties": ["NOR"]}}, False),
        ({"detail": {"parties": ["NOR"]}}, False),
    ],
)
def test_owner_is_the_originator_or_a_party(fields: dict[str, Any], is_owner: bool) -> None:
    assert owns(entry(actor=client_of("GBR"), **fields), "NOR") is is_owner


def test_agreement_s_entries_are_in_every_party_s_slice() -> None:
    made = entry(
        event=EventName.AGREEMENT_SIGNED,
        actor=client_of("GBR"),
        subject=Subject("agreement", "agreement-1", 2),
        detail={"parties": ["GBR", "NOR"]},
    )

    assert extent_of(view_of(made, auditor("NOR"))) is Extent.OTHERS
    assert extent_of(view_of(made, auditor("GBR"))) is Extent.WHOLE
    assert view_of(made, auditor("DNK")) is None


def test_whose_standing_stopped_a_client_is_not_for_other_members() -> None:
    detail = {"inactive": "member", "route": "r"}
    made = judged("NOR", "GBR", Outcome.REFUSED, LOW, detail=detail)
    by_others, by_own = view_of(made, auditor("GBR")), view_of(made, auditor("NOR"))
    assert by_others is not None
    assert by_own is not None

    assert by_others.extent is Extent.OTHERS
    assert (by_others.fields["detail"], by_own.fields["detail"]) == ({"route": "r"}, detail)


def test_service_s_own_entries_are_the_exchange_s_alone() -> None:
    made = entry(event=EventName.SERVICE_STARTED, actor=Actor("service"))

    assert extent_of(view_of(made, auditor(None))) is Extent.WHOLE
    assert view_of(made, auditor("NOR")) is None


# ── criteria ──────────────────────────────────────────────────────────────────────────────────────────────────────


FOUND = [
    ({}, True),
    ({"since": NOW}, True),
    ({"since": NOW.replace(hour=13)}, False),
    ({"until": NOW}, False),
    ({"until": NOW.replace(hour=13)}, True),
    ({"member": "NOR"}, True),
    ({"member": "GBR"}, False),
    ({"agency": "NOR agency"}, True),
    ({"agency": "NOR"}, False),
    ({"client": "NOR client"}, True),
    ({"client": "GBR client"}, False),
    ({"subject": "report-1"}, True),
    ({"subject": "report-2"}, False),
    ({"owner": "GBR"}, True),
    ({"owner": "NOR"}, False),
    ({"agreement": "agreement-1"}, True),
    ({"agreement": "agreement-2"}, False),
    ({"event": "report.read"}, True),
    ({"event": "report.posted"}, False),
    ({"outcome": "refused"}, True),
    ({"outcome": "permitted"}, False),
    ({"level": LOW}, True),
    ({"level": HIGH}, False),
    ({"reason": "not-releasable"}, True),
    ({"reason": "releasable"}, False),
    ({"text": "releasable"}, True),
    ({"text": "recalled"}, False),
    ({"source": TOKENS.of_address("192.0.2.7")}, True),
    ({"source": TOKENS.of_address("192.0.2.70")}, False),
    ({"source": "192.0.2.7"}, False),
    ({"thumbprint": TOKENS.of_thumbprint("ab" * 32)}, True),
    ({"thumbprint": TOKENS.of_thumbprint("cd" * 32)}, False),
    ({"crisis": "crisis-1"}, True),
    ({"crisis": "crisis-2"}, False),
    ({"crisis": "crisis-"}, False),
    ({"member": "NOR", "text": "releasable", "owner": "GBR"}, True),
    ({"member": "NOR", "text": "releasable", "owner": "DNK"}, False),
]
ASKED_OF_A_REFUSAL = {"owner", "agreement", "level", "reason", "text", "crisis"}


@pytest.mark.parametrize(("asked", "is_found"), FOUND)
def test_filter_finds_what_is_shown(asked: dict[str, Any], is_found: bool) -> None:
    seen = view_of(judged("NOR", "GBR", Outcome.REFUSED, LOW), auditor(None))

    assert seen is not None
    assert matches(seen, Criteria(**asked)) is is_found


@pytest.mark.parametrize(("asked", "is_found"), FOUND)
def test_filter_never_finds_what_is_withheld(asked: dict[str, Any], is_found: bool) -> None:
    seen = view_of(judged("NOR", "GBR", Outcome.REFUSED, LOW), auditor("NOR"))

    assert seen is not None
    assert matches(seen, Criteria(**asked)) is (is_found and ASKED_OF_A_REFUSAL.isdisjoint(asked))


@pytest.mark.parametrize("asked", [each for each, _ in FOUND if {"source", "thumbprint"} & each.keys()])
def test_nobody_finds_from_where_others_came(asked: dict[str, Any]) -> None:
    seen = view_of(judged("GBR", "NOR", Outcome.PERMITTED, LOW), auditor("NOR"))

    assert seen is not None
    assert not matches(seen, Criteria(**asked))


# The empty text too: it is a filter, and finds what has any reason at all.
ONE_FILTER: list[dict[str, Any]] = [
    {},
    {"text": ""},
    *({each.name: NOW if each.name in {"since", "until"} else "x"} for each in fields(Criteria)),
]


@pytest.mark.parametrize(
    ("asked", "is_about_judgement"),
    [(asked, bool({"owner", "agreement", "level", "crisis"} & asked.keys())) for asked in ONE_FILTER],
)
def test_what_a_refusal_withholds_is_known(asked: dict[str, Any], is_about_judgement: bool) -> None:
    assert Criteria(**asked).asks_for_judgement is is_about_judgement


@pytest.mark.parametrize(
    ("asked", "is_about_reasons"), [(asked, bool({"reason", "text"} & asked.keys())) for asked in ONE_FILTER]
)
def test_who_asks_for_a_reason_is_told_from_who_does_not(asked: dict[str, Any], is_about_reasons: bool) -> None:
    assert Criteria(**asked).asks_for_reasons is is_about_reasons


def test_criteria_as_the_entry_about_the_search_holds_them() -> None:
    assert Criteria().as_detail() == {}
    assert Criteria(since=NOW, member="NOR", text="x").as_detail() == {
        "since": "2026-06-01T12:00:00Z",
        "member": "NOR",
        "text": "x",
    }


# ── without a label ──────────────────────────────────────────────────────────────────────────────────────────


def cleared(made: Any, hidden: set[str], of: str | None = "NOR") -> Any:
    view = view_of(made, auditor(of))
    assert view is not None
    return without_hidden(made, view, hidden)


def listed(event: EventName, *ids: str, **detail: Any) -> Any:
    return entry(event=event, result_ids=ids, detail=detail)


@pytest.mark.parametrize("event", [EventName.REPORT_LISTED, EventName.NOTICE_LISTED, EventName.DESTRUCTION_LISTED])
@pytest.mark.parametrize("hidden", [set(), {"report-2"}, {"report-1", "report-2", "report-3"}])
def test_list_of_reports_holds_those_that_are_covered_and_tells_nothing_of_others(
    event: EventName, hidden: set[str]
) -> None:
    ids = ("report-1", "report-2", "report-3")
    made = {**listed(event, *ids), "pii": {"kid": "key-1", "data": "sealed"}}
    view = cleared(made, hidden)

    assert reports_named(view_of(made, auditor())) == set(ids)
    assert view.extent is Extent.CLEARED
    assert view.fields["result_ids"] == [each for each in ids if each not in hidden]
    assert view.fields["result_count"] == len(view.fields["result_ids"])
    assert view.fields.keys() == made.keys() - {"pii"}


@pytest.mark.parametrize(
    ("crises", "hidden", "shown"),
    [
        (("crisis/one",), set(), ["report-2", "report-3"]),
        (("crisis/one",), {"report-1", "report-2"}, ["report-3"]),
        (("crisis/one",), {"report-2", "report-3"}, None),
        # Which of two crises showed the one that is hidden is not told: neither of them is named, whatever is hidden.
        (("crisis/one", "crisis/two"), {"report-2"}, None),
        (("crisis/one", "crisis/two"), set(), None),
    ],
)
def test_list_names_no_crisis_for_what_is_not_shown(
    crises: tuple[str, ...], hidden: set[str], shown: list[str] | None
) -> None:
    made = entry(
        event=EventName.REPORT_LISTED,
        result_ids=("report-1", "report-2", "report-3"),
        policies=crises,
        detail={"in_crisis": ["report-2", "report-3"]},
    )
    fields = cleared(made, hidden).fields

    told = {} if shown is None else {"policies": list(crises), "detail": {"in_crisis": shown}}
    assert {name: fields[name] for name in ("policies", "detail") if name in fields} == told
    without = cleared(listed(EventName.REPORT_LISTED, "report-1", "report-2", "report-3"), hidden).fields
    assert fields.keys() == without.keys() | told.keys()


@pytest.mark.parametrize("event", [EventName.AUDIT_SEARCHED, EventName.REQUEST_LISTED, EventName.ACT_LISTED])
def test_list_of_anything_else_holds_no_ids(event: EventName) -> None:
    made = listed(event, "one", "two")

    assert reports_named(view_of(made, auditor())) == set()
    view = cleared(made, set())
    assert (view.fields["result_count"], view.fields["result_ids"]) == (0, [])


def test_list_that_was_too_long_to_be_written_down_is_not_counted_either() -> None:
    made = listed(EventName.REPORT_LISTED, *(f"report-{number:040}" for number in range(1_000)))
    view = cleared(made, set())

    assert {"result_count", "result_ids_sha256"} <= made.keys()
    assert "result_ids" not in made
    assert (view.fields["result_count"], view.fields["result_ids"]) == (0, [])
    assert "result_ids_sha256" not in view.fields


def test_which_entry_a_colleague_looked_at_is_not_told() -> None:
    made = entry(event=EventName.AUDIT_READ, subject=Subject("entry", "entry-9"))
    view = cleared({**made, "pii": {"kid": "key-1", "data": "sealed"}}, set())

    # Without the random bytes either that keep its leaf hash from being guessed.
    assert (view.extent, view.fields.keys()) == (Extent.CLEARED, made.keys() - {"object", "pii"})


@pytest.mark.parametrize("of", ["NOR", None])
@pytest.mark.parametrize(
    ("event", "detail", "rest"),
    [
        (EventName.UPLOAD_LISTED, {"open": 2}, {}),
        (EventName.CAVEATS_CHECKED, {"guards": 1, "changes": 3}, {"detail": {"guards": 1}}),
        # Which report a colleague looked for: it may be one above this auditor.
        (EventName.AUDIT_EXPORTED, {"end": "1/9", "subject": "report-1"}, {"detail": {"end": "1/9"}}),
        (EventName.AUDIT_SEARCHED, {"subject": "report-1"}, {"result_count": 0, "result_ids": []}),
    ],
)
def test_what_an_act_tells_of_reports_without_a_label_is_not_told(
    event: EventName, detail: dict[str, Any], rest: dict[str, Any], of: str | None
) -> None:
    made = entry(event=event, detail=detail, result_ids=("one",) if "result_ids" in rest else None)
    view = cleared({**made, "pii": {"kid": "key-1", "data": "sealed"}}, set(), of)

    # Without the random bytes either that keep its leaf hash from being guessed.
    assert view == EntryView(Extent.CLEARED, {name: made[name] for name in made.keys() - {"detail"}} | rest)


@pytest.mark.parametrize(
    "made",
    [
        # What was refused counted nothing.
        entry(event=EventName.CAVEATS_CHECKED, outcome=Outcome.REFUSED, owner="NOR", detail={"codes": ["unfit"]}),
        listed(EventName.CAVEATS_LISTED, "set-1"),
        listed(EventName.PROXY_LISTED, "consent-1"),
        entry(event=EventName.CLIENT_CHANGED, subject=Subject("client", "report-1")),
        entry(event=EventName.ALERT_RAISED, subject=Subject("entry", "entry-9")),
        # A look at no single entry names none.
        entry(event=EventName.AUDIT_READ),
        entry(event=EventName.DESTRUCTION_CERTIFIED, subject=Subject("report", "report-2")),
        judged("NOR", "NOR", Outcome.PERMITTED, LOW),
        entry(outcome=Outcome.REFUSED, subject=Subject("report", "report-1")),
    ],
)
def test_what_has_a_label_or_nothing_hidden_in_it_is_shown_as_it_is(made: Any) -> None:
    assert cleared(made, {"report-1"}) == view_of(made, auditor())


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("actor", ["NOR", "GBR"])
def test_entry_about_a_hidden_report_is_what_one_about_an_absent_one_would_be(actor: str, outcome: Outcome) -> None:
    given = {"actor": client_of(actor), "outcome": outcome, "reasons": ("role-missing",)}
    about = entry(**given, owner="NOR", subject=Subject("report", "report-1"))
    absent = entry(**given, subject=Subject("report", "report-1"))
    is_told = actor == "NOR" and outcome is not Outcome.PERMITTED

    assert reports_named(view_of(about, auditor())) == {"report-1"}
    assert cleared(about, {"report-1"}) == (view_of(absent, auditor()) if is_told else None)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
@pytest.mark.parametrize("of", [None, "NOR"])
def test_refusal_about_a_hidden_report_is_shown_as_one_about_an_absent_one(of: str | None, outcome: Outcome) -> None:
    given = {"event": EventName.AUDIT_READ, "outcome": outcome, "subject": Subject("report", "report-1")}
    hidden = cleared(entry(**given, owner="NOR", detail={"code": "not-found"}), {"report-1"}, of)
    absent = cleared(entry(**given, detail={"code": "not-found"}), set(), of)

    assert hidden == absent
    assert hidden.extent is Extent.REFUSAL
    assert hidden.fields["object"]["id"] == "report-1"


def test_refusal_about_a_report_that_is_covered_is_shown_whole() -> None:
    made = entry(outcome=Outcome.REFUSED, owner="NOR", subject=Subject("report", "report-1"))

    assert cleared(made, {"report-2"}, None) == view_of(made, auditor(None))


@pytest.mark.parametrize(
    ("owner", "outcome", "extent"),
    [("NOR", Outcome.PERMITTED, Extent.WHOLE), ("GBR", Outcome.REFUSED, Extent.REFUSAL)],
)
def test_of_an_entry_with_a_label_or_of_a_refusal_no_report_is_asked_about(
    owner: str, outcome: Outcome, extent: Extent
) -> None:
    view = view_of(judged("NOR", owner, outcome, LOW), auditor())

    assert view is not None
    assert view.extent is extent
    assert view.fields["object"]["id"] == "report-1"
    assert reports_named(view) == frozenset()


# ── of some parts alone ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("own", [1, 2])
@pytest.mark.parametrize("shown", [{}, OF_TEAR_LINE])
def test_own_number_of_a_part_is_not_told_where_it_was_read(own: int, shown: dict[str, str]) -> None:
    read = judged("NOR", "GBR", Outcome.PERMITTED, LOW, detail={**shown, "part": own, "asked": 1})
    view = view_of({**read, **PERSONAL}, auditor())

    # Without the random bytes either that keep its leaf hash from being guessed.
    assert view == EntryView(Extent.CLEARED, {**read, "detail": {**shown, "asked": 1}})


@pytest.mark.parametrize("detail", [{"part": 2}, {"asked": 2}])
def test_part_that_has_one_number_is_shown_by_it(detail: dict[str, int]) -> None:
    read = judged("NOR", "GBR", Outcome.PERMITTED, LOW, detail=detail)

    assert view_of(read, auditor()) == EntryView(Extent.WHOLE, read)


@pytest.mark.parametrize(("actor", "of"), [("NOR", "NOR"), ("GBR", "NOR"), ("GBR", None)])
def test_own_number_is_told_to_who_may_know_the_report(actor: str, of: str | None) -> None:
    read = judged(actor, "NOR", Outcome.PERMITTED, LOW, detail={"part": 2, "asked": 1})
    view = cleared(read, {"report-1"}, of)

    assert view == view_of(read, auditor(of))
    assert view.fields["detail"] == {"part": 2, "asked": 1}


@pytest.mark.parametrize(
    ("actor", "of", "extent"),
    [("NOR", "NOR", Extent.CLEARED), ("GBR", "NOR", Extent.OTHERS), ("GBR", None, Extent.CLEARED)],
)
def test_own_number_in_a_tear_line_is_told_to_who_is_cleared_for_the_report(
    actor: str, of: str | None, extent: Extent
) -> None:
    read = {**judged(actor, "NOR", Outcome.PERMITTED, LOW, detail={**OF_TEAR_LINE, "part": 2, "asked": 1}), **PERSONAL}
    whole = view_of(read, auditor(of))
    view = cleared(read, {"report-1"}, of)

    assert whole is not None
    assert reports_named(whole) == {"report-1"}
    assert cleared(read, {"report-2"}, of) == whole
    assert whole.fields["detail"] == {**OF_TEAR_LINE, "part": 2, "asked": 1}
    rest = {name: value for name, value in whole.fields.items() if name != "pii"}
    assert view == EntryView(extent, {**rest, "detail": {**OF_TEAR_LINE, "asked": 1}})


def test_tear_line_as_a_whole_has_nothing_to_hide() -> None:
    read = judged("GBR", "NOR", Outcome.PERMITTED, LOW, detail=OF_TEAR_LINE)

    assert cleared(read, {"report-1"}) == view_of(read, auditor())
