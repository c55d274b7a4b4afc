"""Reading the terms of an agreement."""

import copy
import json
from datetime import date

import pytest

from exchange.agreements import (
    OnwardRelease,
    SharedReports,
    Surroundings,
    agreement_as_json,
    parse_agreement,
    propose,
    terms_as_json,
    terms_from_stored,
    text_of,
)
from exchange.agreements.strict_yaml import read_yaml
from exchange.kernel import Fault, InvalidError, canonical_bytes
from exchange.markings import load_catalogue
from exchange.members import check_member_code
from tests.core.agreements.worlds import (
    BEFORE,
    EXAMPLE,
    REMOVE,
    ROOT,
    SCOPE,
    VOCABULARY,
    changed,
    example_json,
    from_json,
    parse,
    sign,
)


def faults_of(value) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as refused:
        from_json(value)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def test_the_example_of_the_contract_is_read_whole():
    terms = parse(EXAMPLE)

    assert (terms.title, terms.parties, terms.policy) == (
        "North Sea cyber warning arrangement",
        ("GBR", "NOR", "DNK"),
        "NATO",
    )
    assert (terms.validity.first_day, terms.validity.last_day) == (date(2026, 1, 1), date(2030, 12, 31))
    assert terms.validity.review_every == "P2Y"
    scope = terms.scope("cyber-threats")
    assert scope is terms.scopes[0]
    assert (scope.topics, scope.regions, scope.purposes) == (("cyber",), ("EUR",), ("defence", "law-enforcement"))
    assert (scope.kinds, scope.ceiling, scope.compartments) == (
        ("intrep", "indicator-set", "threat-warning"),
        "SECRET",
        (),
    )
    assert (scope.contributors, scope.readers) == (("GBR", "NOR"), ("GBR", "NOR", "DNK"))
    assert (scope.onward_release, scope.retention) == (OnwardRelease.ORIGINATOR_CONSENT, "P5Y")
    assert (terms.obligations[0].party, terms.obligations[0].report_every, terms.obligations[0].acknowledge) == (
        "NOR",
        "P7D",
        (),
    )
    assert terms.obligations[1].acknowledge == (("FLASH", "PT10M"), ("IMMEDIATE", "PT30M"), ("PRIORITY", "PT3H"))
    assert (terms.obligations[1].party, terms.obligations[1].scope, terms.obligations[1].report_every) == (
        "all",
        "cyber-threats",
        None,
    )
    assert (terms.termination.notice, terms.termination.shared_reports) == ("P90D", SharedReports.RECALLED)
    assert terms.scope("cyber") is None


def test_file_and_json_say_the_same():
    assert parse(EXAMPLE) == from_json(example_json())
    assert terms_as_json(parse(EXAMPLE)) == example_json()
    assert parse(read_yaml(EXAMPLE)) == parse(EXAMPLE)


@pytest.mark.parametrize("path", sorted((ROOT / "policies/agreements").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_agrees_with_the_policies_of_the_exchange(path):
    files = {each.name: each.read_text("utf-8") for each in (ROOT / "policies/classification").glob("*.yaml")}
    catalogue = load_catalogue(files)

    def levels(policy: str):
        return (
            tuple(level.name for level in catalogue.policies[policy].levels) if policy in catalogue.policies else None
        )

    around = Surroundings(
        VOCABULARY,
        levels,
        compartments=lambda policy: frozenset(catalogue.policies[policy].compartments),
        is_member=lambda code: check_member_code(code) == code,
    )
    terms = parse_agreement(path.read_text("utf-8"), around)

    assert terms_from_stored(json.loads(canonical_bytes(terms_as_json(terms)))) == terms


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # title
        (("title",), REMOVE, [("", "missing-field")]),
        (("title",), "x" * 201, [("/title", "bad-text")]),
        (("title",), "a\u202eb", [("/title", "bad-text")]),
        (("title",), 7, [("/title", "wrong-type")]),
        (("title",), None, [("/title", "wrong-type")]),
        # parties
        (("parties",), REMOVE, [("", "missing-field")]),
        (("parties",), ["GBR", "NOR", "DNK", "XXX"], [("/parties/3", "unknown-member")]),
        (("parties",), ["GBR", "NOR", "DNK", "nor"], [("/parties/3", "unknown-member")]),
        (("parties",), ["GBR", "NOR", "DNK", "NOR"], [("/parties/3", "repeated")]),
        (("parties",), ["GBR", "NOR", "DNK", True], [("/parties/3", "wrong-type")]),
        (("parties",), "GBR", [("/parties", "wrong-type")]),
        # policy and ceiling
        (("policy",), "OTAN", [("/policy", "unknown-policy")]),
        (("policy",), {}, [("/policy", "wrong-type")]),
        ((*SCOPE, "ceiling"), "Secret", [("/scopes/0/ceiling", "unknown-level")]),
        ((*SCOPE, "ceiling"), "NATO SECRET", [("/scopes/0/ceiling", "unknown-level")]),
        ((*SCOPE, "ceiling"), None, [("/scopes/0/ceiling", "wrong-type")]),
        ((*SCOPE, "ceiling"), REMOVE, [("/scopes/0", "missing-field")]),
        # validity
        (("validity", "from"), "2026-02-30", [("/validity/from", "bad-date")]),
        (("validity", "from"), "20260101", [("/validity/from", "bad-date")]),
        (("validity", "from"), "2026-W01-1", [("/validity/from", "bad-date")]),
        (("validity", "from"), "2026-01-01T00:00:00Z", [("/validity/from", "bad-date")]),
        (("validity", "from"), "２026-01-01", [("/validity/from", "bad-date")]),
        (("validity", "from"), 20260101, [("/validity/from", "wrong-type")]),
        (("validity", "until"), "2025-12-31", [("/validity/until", "bad-validity")]),
        (("validity", "until"), REMOVE, [("/validity", "missing-field")]),
        (("validity", "until"), None, [("/validity/until", "wrong-type")]),
        (("validity", "review_every"), "2 years", [("/validity/review_every", "bad-duration")]),
        (("validity", "review_every"), "PT23H59M", [("/validity/review_every", "bad-duration")]),
        (("validity", "review_every"), "PT0S", [("/validity/review_every", "bad-duration")]),
        (("validity", "extra"), "x", [("/validity/extra", "unknown-field")]),
        (("validity",), "2026", [("/validity", "wrong-type")]),
        # scopes
        (("scopes",), {}, [("/scopes", "wrong-type")]),
        ((*SCOPE, "topics"), [], [("/scopes/0/topics", "empty")]),
        ((*SCOPE, "topics"), ["cyber", "cyber.apt"], [("/scopes/0/topics/1", "repeated")]),
        ((*SCOPE, "topics"), ["cyberwar"], [("/scopes/0/topics/0", "unknown-topic")]),
        ((*SCOPE, "topics"), ["cyber", "cyber"], [("/scopes/0/topics/1", "repeated")]),
        ((*SCOPE, "regions"), ["EUR", "EU"], [("/scopes/0/regions/1", "unknown-region")]),
        ((*SCOPE, "regions"), "EUR", [("/scopes/0/regions", "wrong-type")]),
        ((*SCOPE, "kinds"), ["report"], [("/scopes/0/kinds/0", "unknown-kind")]),
        ((*SCOPE, "purposes"), ["profit"], [("/scopes/0/purposes/0", "unknown-purpose")]),
        ((*SCOPE, "purposes"), [], [("/scopes/0/purposes", "empty")]),
        ((*SCOPE, "compartments"), ["COSMIC"], [("/scopes/0/compartments/0", "unknown-compartment")]),
        ((*SCOPE, "compartments"), None, [("/scopes/0/compartments", "wrong-type")]),
        ((*SCOPE, "contributors"), ["GBR", "ESP"], [("/scopes/0/contributors/1", "not-a-party")]),
        ((*SCOPE, "contributors"), [], [("/scopes/0/contributors", "empty")]),
        ((*SCOPE, "readers"), ["GBR", "all"], [("/scopes/0/readers/1", "not-a-party")]),
        ((*SCOPE, "onward_release"), "always", [("/scopes/0/onward_release", "unknown-word")]),
        ((*SCOPE, "onward_release"), False, [("/scopes/0/onward_release", "wrong-type")]),
        ((*SCOPE, "onward_release"), REMOVE, [("/scopes/0", "missing-field")]),
        ((*SCOPE, "answers"), "everybody", [("/scopes/0/answers", "unknown-word")]),
        ((*SCOPE, "answers"), 1, [("/scopes/0/answers", "wrong-type")]),
        ((*SCOPE, "retention"), "P", [("/scopes/0/retention", "bad-duration")]),
        ((*SCOPE, "retention"), "P0D", [("/scopes/0/retention", "bad-duration")]),
        ((*SCOPE, "retention"), None, [("/scopes/0/retention", "wrong-type")]),
        ((*SCOPE, "owner"), "x", [("/scopes/0/owner", "unknown-field")]),
        ((*SCOPE, "a/b~c"), "x", [("/scopes/0/a~1b~0c", "unknown-field")]),
        # obligations
        (("obligations", 0, "party"), "ESP", [("/obligations/0/party", "unknown-party")]),
        (("obligations", 0, "party"), "ALL", [("/obligations/0/party", "unknown-party")]),
        (("obligations", 0, "scope"), "other", [("/obligations/0/scope", "unknown-scope")]),
        (("obligations", 0, "scope"), REMOVE, [("/obligations/0", "missing-field")]),
        (("obligations", 0, "report_every"), "PT0S", [("/obligations/0/report_every", "bad-duration")]),
        (("obligations", 0, "report_every"), REMOVE, [("/obligations/0", "missing-field")]),
        (("obligations", 0, "report_every"), None, [("/obligations/0", "missing-field")]),
        (("obligations", 1, "acknowledge"), {}, [("/obligations/1", "missing-field")]),
        (("obligations", 1, "acknowledge", "flash"), "PT1M", [("/obligations/1/acknowledge/flash", "unknown-field")]),
        (("obligations", 1, "acknowledge", "FLASH"), "10", [("/obligations/1/acknowledge/FLASH", "bad-duration")]),
        (("obligations", 1, "acknowledge"), ["FLASH"], [("/obligations/1/acknowledge", "wrong-type")]),
        (("obligations", 1), "all", [("/obligations/1", "wrong-type")]),
        (("obligations",), None, [("/obligations", "wrong-type")]),
        (("obligations", 0, "party"), "DNK", [("/obligations/0/report_every", "not-owed")]),
        ((*SCOPE, "contributors"), ["GBR"], [("/obligations/0/report_every", "not-owed")]),
        # termination
        (("termination",), REMOVE, [("", "missing-field")]),
        (("termination", "notice"), "90 days", [("/termination/notice", "bad-duration")]),
        (("termination", "shared_reports"), "burned", [("/termination/shared_reports", "unknown-word")]),
        (("termination", "shared_reports"), REMOVE, [("/termination", "missing-field")]),
        # reports from before, and crises
        (("older_reports",), "some", [("/older_reports", "unknown-word")]),
        (("crisis",), {}, [("/crisis", "wrong-type")]),
        # anything else
        (("state",), "in_force", [("/state", "unknown-field")]),
    ],
)
def test_each_fault_is_named_once_at_its_place(path, value, expected):
    assert faults_of(changed(path, value)) == expected


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("title",), "a ", "the title has blanks around it: leave them out"),
        (("policy",), "OTAN", "`OTAN` is no security policy known here"),
        ((*SCOPE, "topics"), [], "has 0 items: at least 1"),
        ((*SCOPE, "topics"), "cyber", "is text: write a list"),
        (
            (*SCOPE, "topics"),
            ["cyber", "cyber.apt"],
            "`cyber.apt` is covered by a wider topic of this scope: leave it out",
        ),
        ((*SCOPE, "topics"), ["Ærø\u00ad"], "`\\xc6r\\xf8\\xad` is not in the vocabulary"),
        ((*SCOPE, "topics"), ["Ærø"], "`Ærø` is not in the vocabulary"),
        ((*SCOPE, "ceiling"), {}, "is named fields: write text (in quotes where YAML reads something else)"),
        ((*SCOPE, "onward_release"), "always", "`always` is not one of never, originator-consent, parties"),
        ((*SCOPE, "retention"), "PT0S", "`PT0S` is no time at all: write a longer one"),
        (("obligations", 0, "report_every"), REMOVE, "nothing is owed: add report_every or acknowledge"),
        (("validity", "from"), "soon", "`soon` is no date: write 2026-01-31"),
        (("validity",), [], "is a list: write named fields"),
    ],
)
def test_messages_name_the_fault_and_the_mend(path, value, message):
    with pytest.raises(InvalidError) as refused:
        from_json(changed(path, value))

    assert [fault.message for fault in refused.value.faults] == [message]


@pytest.mark.parametrize(
    "path",
    [
        ("title",),
        ("parties", 2),
        ("policy",),
        ("validity", "from"),
        ("validity", "review_every"),
        *((*SCOPE, field) for field in ("name", "ceiling", "onward_release", "retention")),
        *((*SCOPE, field, 0) for field in ("topics", "regions", "kinds", "purposes")),
        ("obligations", 0, "party"),
        ("obligations", 0, "scope"),
        ("obligations", 1, "acknowledge", "FLASH"),
        ("termination", "notice"),
        ("termination", "shared_reports"),
    ],
    ids=lambda path: "/".join(map(str, path)),
)
def test_empty_text_is_refused_everywhere(path):
    body = changed(path, "")
    body["scopes"][0]["readers"] = body["scopes"][0]["contributors"]

    assert faults_of(body) == [("/" + "/".join(map(str, path)), "empty")]


def test_empty_names_in_lists_are_refused():
    for field in ("compartments", "contributors", "readers"):
        assert faults_of(changed((*SCOPE, field), [""])) == [(f"/scopes/0/{field}/0", "empty")]
    assert faults_of(changed((*SCOPE, "kinds"), ["", ""])) == [(f"/scopes/0/kinds/{at}", "empty") for at in (0, 1)]


def test_longest_title_is_taken():
    assert from_json(changed(("title",), "x" * 200)).title == "x" * 200


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_what_is_no_object_is_one_fault(value):
    assert faults_of(value) == [("", "wrong-type")]


def test_field_names_are_text():
    with pytest.raises(InvalidError) as refused:
        from_json({**example_json(), 1: "x"})

    assert refused.value.faults == (Fault("", "wrong-type", "a field name is not text"),)


def test_one_party_alone_is_no_agreement():
    body = changed(("parties",), ["GBR"])
    body["scopes"][0].update(contributors=["GBR"], readers=["GBR"])
    body["obligations"] = []

    assert faults_of(body) == [("/parties", "empty")]


@pytest.mark.parametrize("extra", [0, 1])
def test_lists_are_bounded(extra):
    kinds = [f"k{index}" for index in range(400 + extra)]

    with pytest.raises(InvalidError) as refused:
        from_json(changed((*SCOPE, "kinds"), kinds))

    if extra:
        assert refused.value.faults == (Fault("/scopes/0/kinds", "too-large", "has 401 items: at most 400"),)
    else:
        assert {fault.code for fault in refused.value.faults} == {"unknown-kind"}
        assert len(refused.value.faults) == 400


def test_who_is_no_reader_owes_no_acknowledgement():
    body = changed((*SCOPE, "readers"), ["NOR", "DNK"])
    body["obligations"][1]["party"] = "GBR"

    assert faults_of(body) == [("/obligations/1/acknowledge", "not-owed")]
    with pytest.raises(InvalidError, match="`GBR` is no reader of the scope and cannot owe it: make it one"):
        from_json(body)


def test_duty_of_everybody_is_each_ones_who_can_owe_it():
    body = changed(("obligations", 0, "party"), "all")

    assert from_json(body).obligations[0].party == "all"


def test_what_was_signed_with_a_duty_that_nobody_owes_is_read():
    body = changed(("obligations", 0, "party"), "DNK")

    assert terms_from_stored(body).obligations[0].party == "DNK"


@pytest.mark.parametrize("every", ["P1D", "PT24H", "P1W"])
def test_reviews_fall_due_daily_at_most(every):
    assert from_json(changed(("validity", "review_every"), every)).validity.review_every == every
    assert terms_from_stored(changed(("validity", "review_every"), "PT1H")).validity.review_every == "PT1H"


def test_agreement_has_a_scope():
    assert faults_of({**example_json(), "scopes": [], "obligations": []}) == [("/scopes", "empty")]


def test_two_scopes_never_share_a_name():
    body = example_json()
    body["scopes"].append(copy.deepcopy(body["scopes"][0]))

    assert faults_of(body) == [("/scopes/1/name", "repeated")]
    with pytest.raises(InvalidError, match="`cyber-threats` names another scope already: choose another name"):
        from_json(body)


def test_scopes_without_a_name_do_not_share_one():
    body = changed((*SCOPE, "name"), 7)
    body["scopes"].append(copy.deepcopy(body["scopes"][0]))
    body["obligations"] = []

    assert faults_of(body) == [("/scopes/0/name", "wrong-type"), ("/scopes/1/name", "wrong-type")]


def test_scopes_to_choose_from_are_told_in_one_order():
    body = changed(("obligations", 0, "scope"), "other")
    body["scopes"] += [{**copy.deepcopy(body["scopes"][0]), "name": name} for name in "hgfedcba"]

    with pytest.raises(InvalidError, match="`other` is not one of a, b, c, cyber-threats, d, e, f, g, h"):
        from_json(body)


def test_of_many_names_to_choose_from_some_are_told():
    body = example_json()
    body["scopes"] = [{**copy.deepcopy(body["scopes"][0]), "name": f"s{number}"} for number in range(100, 131)]
    body["obligations"] = [{**body["obligations"][0], "scope": "other"}] * 2

    with pytest.raises(InvalidError) as refused:
        from_json(body)

    names = ", ".join(f"s{number}" for number in range(100, 130))
    assert [fault.message for fault in refused.value.faults] == [f"`other` is not one of {names} and 1 more"] * 2
    body["scopes"].pop()
    with pytest.raises(InvalidError, match=r"s128, s129$"):
        from_json(body)


@pytest.mark.parametrize(
    "name", ["Cyber", "cyber threats", "-cyber", "cyber-", "cyber--x", "1cyber", "cybér", "a" * 65, "a/b", "a\n"]
)
def test_scope_name_has_one_plain_form(name):
    body = changed((*SCOPE, "name"), name)
    body["obligations"] = []

    assert faults_of(body) == [("/scopes/0/name", "bad-name")]
    with pytest.raises(
        InvalidError, match="is no scope name: use lower-case letters, digits and single hyphens, at most 64"
    ):
        from_json(body)


@pytest.mark.parametrize("name", ["a", "a1", "cyber-threats-2", "a" * 64])
def test_plain_scope_names_are_taken(name):
    body = changed((*SCOPE, "name"), name)
    body["obligations"] = []

    assert from_json(body).scopes[0].name == name


@pytest.mark.parametrize(
    "duration",
    [
        "P1Y",
        "P1M",
        "P1D",
        "P1W",
        "PT1H",
        "PT1M",
        "PT1S",
        "P1Y2M3D",
        "P1Y2M3DT4H5M6S",
        "P3Y6M",
        "P1DT12H",
        "P0Y1M",
        "P9999D",
    ],
)
def test_durations_of_iso_8601_are_taken(duration):
    assert from_json(changed((*SCOPE, "retention"), duration)).scopes[0].retention == duration


@pytest.mark.parametrize(
    "duration",
    [
        "P",
        "PT",
        "P1",
        "1D",
        "P1DT",
        "PT1D",
        "P1H",
        "P1D2M",
        "P1W1D",
        "P-1D",
        "-P1D",
        "P1.5D",
        "p1d",
        "P1D ",
        "P10000D",
        "P१D",
        "P1Y\n",
    ],
)
def test_other_durations_are_refused(duration):
    assert faults_of(changed((*SCOPE, "retention"), duration)) == [("/scopes/0/retention", "bad-duration")]


@pytest.mark.parametrize("duration", ["P0D", "PT0S", "P0Y0M0DT0H0M0S", "P0W"])
def test_only_notice_may_be_no_time_at_all(duration):
    assert from_json(changed(("termination", "notice"), duration)).termination.notice == duration
    assert faults_of(changed((*SCOPE, "retention"), duration)) == [("/scopes/0/retention", "bad-duration")]


@pytest.mark.parametrize(("path", "default"), [(("obligations",), ()), ((*SCOPE, "compartments"), ())])
def test_few_fields_may_be_left_out_and_then_give_nothing(path, default):
    terms = from_json(changed(path, REMOVE))

    assert (terms.obligations if path == ("obligations",) else terms.scopes[0].compartments) == default


def test_review_may_be_left_out():
    for value in (REMOVE, None):
        terms = from_json(changed(("validity", "review_every"), value))
        assert terms.validity.review_every is None
        assert "review_every" not in terms_as_json(terms)["validity"]


def test_known_compartments_are_taken():
    assert from_json(changed((*SCOPE, "compartments"), ["ATOMAL"])).scopes[0].compartments == ("ATOMAL",)


def test_unknown_policy_hides_no_other_fault_and_makes_none():
    body = changed(("policy",), "OTAN")
    body["scopes"][0]["compartments"] = ["ATOMAL"]
    body["scopes"][0]["retention"] = "long"

    assert faults_of(body) == [("/policy", "unknown-policy"), ("/scopes/0/retention", "bad-duration")]


def test_unreadable_parties_make_no_strangers():
    assert faults_of(changed(("parties",), 5)) == [("/parties", "wrong-type")]


def test_agreement_of_one_day_is_taken():
    assert from_json(changed(("validity", "until"), "2026-01-01")).validity.last_day == date(2026, 1, 1)


def test_acknowledgement_times_have_one_order():
    shuffled = changed(("obligations", 1, "acknowledge"), {"ROUTINE": "P1D", "PRIORITY": "PT3H", "FLASH": "PT10M"})

    assert from_json(shuffled).obligations[1].acknowledge == (
        ("FLASH", "PT10M"),
        ("PRIORITY", "PT3H"),
        ("ROUTINE", "P1D"),
    )


def test_every_fault_of_a_file_is_reported_with_its_line():
    text = (
        EXAMPLE.replace("[GBR, NOR, DNK]\npolicy", "[GBR, NO, DNK, DNK]\npolicy")
        .replace("2030-12-31", "2025-12-31")
        .replace("ceiling: SECRET", "ceiling: secret")
        .replace("P5Y", "&long 5Y")
        .replace("report_every: P7D", "report_every: true")
        .replace("shared_reports: recalled", "shared_reports: recalled, shared_reports: kept")
    )

    with pytest.raises(InvalidError) as refused:
        parse(text)

    assert str(refused.value).splitlines() == [
        "the agreement has 11 faults",
        "line 3: /parties/3: `DNK` stands twice: keep one",
        "line 3: /parties/1: `NO` is no member of the exchange",
        "line 5: /validity/until: the last day 2025-12-31 lies before the first day 2026-01-01",
        "line 12: /scopes/0/ceiling: `secret` is no level of `NATO`: use one of UNCLASSIFIED, RESTRICTED, CONFIDENTIAL, SECRET, TOP SECRET",
        "line 14: /scopes/0/contributors/1: `NOR` is not among the parties",
        "line 15: /scopes/0/readers/1: `NOR` is not among the parties",
        "line 17: /scopes/0/retention: an anchor: leave it out",
        "line 17: /scopes/0/retention: `5Y` is no ISO 8601 duration: write P5Y or PT30M",
        "line 19: /obligations/0/party: `NOR` is not one of all, GBR, NO, DNK, DNK",
        "line 19: /obligations/0/report_every: is a truth value: write text (in quotes where YAML reads something else)",
        "line 21: /termination/shared_reports: `shared_reports` stands twice: keep one",
    ]


def test_norway_is_no_truth_value():
    terms = parse(EXAMPLE.replace("title: North Sea cyber warning arrangement", "title: NO"))

    assert terms.title == "NO"


@pytest.mark.parametrize("text", ["", "a: [", "- a\n---\n- b"])
def test_unreadable_file_is_one_fault(text):
    with pytest.raises(InvalidError) as refused:
        parse(text)

    assert refused.value.message == "the agreement has 1 fault"
    assert refused.value.faults[0].line is not None


def test_file_that_says_null_is_no_agreement():
    with pytest.raises(InvalidError) as refused:
        parse("null\n")

    assert [(fault.pointer, fault.code, fault.line) for fault in refused.value.faults] == [("", "wrong-type", 1)]


def test_quotes_in_messages_are_short_and_visible():
    with pytest.raises(InvalidError) as refused:
        from_json(changed((*SCOPE, "kinds"), ["a\u202eb`c" + "x" * 200]))

    message = refused.value.faults[0].message
    assert message == "`a\\u202eb'c" + "x" * 75 + "` is not in the vocabulary"


def test_stored_terms_are_read_though_words_and_members_have_gone():
    body = example_json()
    body["parties"] += ["OLD"]
    body["policy"] = "GONE"
    body["scopes"][0].update(topics=["gone"], ceiling="GONE", compartments=["GONE"])

    assert terms_as_json(terms_from_stored(body)) == body


def test_stored_terms_of_wrong_form_are_refused():
    with pytest.raises(InvalidError):
        terms_from_stored(changed((*SCOPE, "readers"), ["ESP"]))


def test_answer_about_an_agreement_has_the_fields_of_the_contract():
    agreement = sign(propose("0198", parse(EXAMPLE)), "NOR", BEFORE)

    answer = agreement_as_json(agreement, BEFORE)

    assert answer == {
        **example_json(),
        "id": "0198",
        "version": 2,
        "edition": 1,
        "previous": None,
        "text": text_of(agreement).digest,
        "state": "draft",
        "parties": [
            {"member": "GBR", "state": "pending"},
            {"member": "NOR", "state": "signed"},
            {"member": "DNK", "state": "pending"},
        ],
    }
