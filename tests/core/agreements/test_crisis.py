"""Crisis clauses: their text, what they say in words, and which uses of them are open when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.agreements import (
    AgreementId,
    AgreementState,
    Crisis,
    OlderReports,
    Party,
    PartyState,
    amended,
    as_it_was,
    asked_length,
    crisis_end,
    crisis_turns,
    differences,
    next_change,
    open_crises,
    propose,
    require_named,
    require_openable,
    state_of,
    suspend_party,
    terms_as_json,
    terms_from_stored,
    unfinished_crises,
)
from exchange.kernel import ConflictError, Fault, ForbiddenError, InvalidError
from exchange.members import Clearance, Client, ClientId, MemberCode, Role, Standing
from tests.core.agreements.worlds import DURING, REMOVE, SIGNED_AT, example_json, from_json, parse

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
CLAUSE = {
    "name": "storm-watch",
    "scope": "cyber-threats",
    "ceiling": "TOP SECRET",
    "readers": ["DNK"],
    "at_most": "PT72H",
    "signatories": [{"member": "GBR", "name": "Ada Byron"}, {"member": "NOR", "name": "Kari Nordmann"}],
}


def body(**changes):
    value = example_json()
    value["scopes"][0]["readers"] = ["GBR", "NOR"]
    value["crisis"] = [{name: each for name, each in {**CLAUSE, **changes}.items() if each is not REMOVE}]
    return value


def faults_of(value):
    with pytest.raises(InvalidError) as refused:
        from_json(value)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def agreement(*crises, **changes):
    made = propose(AgreementId("a"), from_json(body(**changes)))
    parties = tuple(Party(each.member, PartyState.SIGNED, SIGNED_AT) for each in made.parties)
    return replace(made, parties=parties, crises=crises)


def client(*, member, name):
    return Client(
        id=ClientId("client-1"),
        version=1,
        name=name,
        member=MemberCode(member),
        agency="OPS",
        roles=frozenset({Role.SIGNATORY}),
        clearance=Clearance("SECRET", (), DURING, None),
        nationality=member,
        purposes=(),
        standing=Standing.ACTIVE,
    )


def crisis(**changes):
    made = Crisis("crisis-1", "storm-watch", 1, "a cable was cut", DURING, DURING + 24 * HOUR, ("GBR", "NOR"))
    return replace(made, **changes)


def test_clause_is_read_and_written_and_read_again():
    terms = from_json(body())
    (clause,) = terms.crisis

    assert (clause.ceiling, clause.readers, clause.at_most) == ("TOP SECRET", ("DNK",), "PT72H")
    assert (clause.older_reports, clause.reaches_older) == (OlderReports.EXCLUDED, False)
    assert terms.crisis_clause("storm-watch") is clause
    assert terms.crisis_clause("storm") is None
    assert terms_as_json(terms)["crisis"] == body()["crisis"]
    assert terms_from_stored(terms_as_json(terms)) == terms


@pytest.mark.parametrize(
    "changes", [{"ceiling": REMOVE}, {"readers": REMOVE}, {"older_reports": "included"}, {"at_most": "PT720H"}]
)
def test_each_form_of_a_clause_comes_back_as_it_was(changes):
    terms = from_json(body(**changes))

    assert terms_as_json(terms)["crisis"] == body(**changes)["crisis"]
    assert terms_from_stored(terms_as_json(terms)) == terms
    assert terms.crisis[0].reaches_older is ("older_reports" in changes)


def test_text_without_a_clause_is_the_text_it_was():
    assert "crisis" not in terms_as_json(from_json(example_json()))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ceiling": REMOVE, "readers": REMOVE}, [("/crisis/0", "missing-field")]),
        ({"scope": "flood"}, [("/crisis/0/scope", "unknown-scope")]),
        ({"ceiling": "SECRET"}, [("/crisis/0/ceiling", "not-above")]),
        ({"ceiling": "HIGH"}, [("/crisis/0/ceiling", "unknown-level")]),
        ({"readers": ["NOR"]}, [("/crisis/0/readers/0", "repeated")]),
        ({"readers": ["ESP"]}, [("/crisis/0/readers/0", "not-a-party")]),
        ({"readers": []}, [("/crisis/0/readers", "empty")]),
        ({"at_most": "P3D"}, [("/crisis/0/at_most", "bad-duration")]),
        ({"at_most": "PT0H"}, [("/crisis/0/at_most", "bad-duration")]),
        ({"at_most": "PT721H"}, [("/crisis/0/at_most", "bad-duration")]),
        ({"at_most": ""}, [("/crisis/0/at_most", "empty")]),
        (
            {"signatories": CLAUSE["signatories"][:1]},
            [("/crisis/0/signatories", "empty"), ("/crisis/0/signatories", "one-member")],
        ),
        (
            {"signatories": [{"member": "GBR", "name": name} for name in "ab"]},
            [("/crisis/0/signatories", "one-member")],
        ),
        ({"older_reports": "some"}, [("/crisis/0/older_reports", "unknown-word")]),
        ({"name": "Storm"}, [("/crisis/0/name", "bad-name")]),
        ({"hours": 3}, [("/crisis/0/hours", "unknown-field")]),
        ({"signatories": REMOVE}, [("/crisis/0", "missing-field")]),
    ],
)
def test_each_fault_of_a_clause_is_named_at_its_place(changes, found):
    assert faults_of(body(**changes)) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ceiling": REMOVE, "readers": REMOVE}, "nothing is widened: add `ceiling` or `readers`"),
        ({"ceiling": "SECRET"}, "`SECRET` is not above the ceiling of the scope: leave it out"),
        ({"readers": ["NOR"]}, "`NOR` reads the scope already: leave it out"),
        ({"at_most": "P3D"}, "`P3D` is no length of a crisis: write hours, PT1H to PT720H"),
        (
            {"signatories": [{"member": "GBR", "name": name} for name in "ab"]},
            "all are of one member: name people of at least two",
        ),
    ],
)
def test_fault_of_a_clause_says_what_to_do(changes, message):
    with pytest.raises(InvalidError) as refused:
        from_json(body(**changes))

    assert message in [fault.message for fault in refused.value.faults]


def test_shortest_crisis_is_an_hour_and_a_signatory_has_a_member_and_a_name():
    nameless = [{"member": "GBR"}, *CLAUSE["signatories"]]

    assert from_json(body(at_most="PT1H")).crisis[0].at_most == "PT1H"
    assert ("/crisis/0/signatories/0", "missing-field") in faults_of(body(signatories=nameless))


@pytest.mark.parametrize(
    ("name", "code"), [("", "empty"), ("a\u202eb", "bad-text"), ("x" * 256, "bad-text"), (3, "wrong-type")]
)
def test_name_of_a_signatory_is_plain_text(name, code):
    people = [{"member": "GBR", "name": name}, CLAUSE["signatories"][1]]

    assert faults_of(body(signatories=people)) == [("/crisis/0/signatories/0/name", code)]


def test_longest_name_of_a_signatory_is_taken():
    people = [{"member": "GBR", "name": "x" * 255}, CLAUSE["signatories"][1]]

    assert from_json(body(signatories=people)).crisis[0].signatories[0].name == "x" * 255


def test_signatory_is_of_a_party():
    people = [{"member": "ESP", "name": "Ana"}, *CLAUSE["signatories"]]

    assert ("/crisis/0/signatories/0/member", "unknown-member") in faults_of(body(signatories=people))


def test_two_clauses_have_two_names_and_a_clause_has_fields():
    twice = body()
    twice["crisis"] *= 2
    wrong = body()
    wrong["crisis"] = ["storm"]

    assert faults_of(twice) == [("/crisis/1/name", "repeated")]
    assert faults_of(wrong) == [("/crisis/0", "wrong-type")]


def test_what_cannot_be_read_is_told_alone():
    nameless = body(name=7)
    nameless["crisis"] *= 2
    unread = body(readers=["DNK", 7])
    unread["scopes"][0]["readers"].append(7)
    one, both = (
        [{**each, "member": 7} for each in people] for people in (CLAUSE["signatories"][:1], [*CLAUSE["signatories"]])
    )

    assert faults_of(nameless) == [("/crisis/0/name", "wrong-type"), ("/crisis/1/name", "wrong-type")]
    assert faults_of(unread) == [("/scopes/0/readers/2", "wrong-type"), ("/crisis/0/readers/1", "wrong-type")]
    # Whose member cannot be read may be of another one.
    assert faults_of(body(signatories=[*one, CLAUSE["signatories"][1]])) == [
        ("/crisis/0/signatories/0/member", "wrong-type")
    ]
    assert faults_of(body(signatories=both)) == [
        (f"/crisis/0/signatories/{number}/member", "wrong-type") for number in (0, 1)
    ]


def test_clause_widens_the_scope_that_it_names():
    value = body(scope="storms", readers=["GBR"], ceiling="SECRET")
    other = {**value["scopes"][0], "name": "storms", "readers": ["NOR", "DNK"], "ceiling": "RESTRICTED"}
    value["scopes"].append(other)

    assert from_json(value).crisis[0].scope == "storms"
    value["crisis"][0].update(readers=["DNK"], ceiling="RESTRICTED")
    assert faults_of(value) == [("/crisis/0/readers/0", "repeated"), ("/crisis/0/ceiling", "not-above")]


def test_scopes_to_choose_from_are_told_in_one_order():
    value = body(scope="flood")
    value["scopes"] += [{**value["scopes"][0], "name": name} for name in "hgfedcba"]

    with pytest.raises(InvalidError, match="`flood` is not one of a, b, c, cyber-threats, d, e, f, g, h"):
        from_json(value)


def test_change_of_a_clause_is_told_in_words():
    before, after = from_json(example_json()), from_json(body())
    lifted = from_json(body(readers=REMOVE, older_reports="included"))
    told = (
        "the crisis clause storm-watch lets DNK read and lifts the ceiling to TOP SECRET in cyber-threats for at most "
        "PT72H, by two of Ada Byron (GBR), Kari Nordmann (NOR)"
    )

    assert differences(before, after)[-1] == told
    assert differences(after, before)[-1] == "the crisis clause storm-watch ends as it was"
    ended, raised = differences(after, lifted)
    assert ended == "the crisis clause storm-watch ends as it was"
    assert raised == (
        "the crisis clause storm-watch lifts the ceiling to TOP SECRET in cyber-threats for at most PT72H, "
        "of older reports too, by two of Ada Byron (GBR), Kari Nordmann (NOR)"
    )
    assert differences(after, replace(after, title="Storm watch")) == (
        "title: North Sea cyber warning arrangement becomes Storm watch",
    )
    assert "lets DNK read in cyber" in differences(before, from_json(body(ceiling=REMOVE)))[-1]


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, DURING + 24 * HOUR),
        ({"until": DURING + 999 * HOUR}, DURING + 72 * HOUR),
    ],
)
def test_crisis_ends_by_itself_and_never_later_than_the_text_says(changes, end):
    use = crisis(**changes)
    made = agreement(use)
    clause = made.terms.crisis[0]

    assert crisis_end(use, clause) == end
    assert open_crises(made, DURING - INSTANT) == ()
    assert open_crises(made, DURING) == open_crises(made, end - INSTANT) == ((use, clause),)
    assert open_crises(made, end) == ()
    assert set(crisis_turns(made)) == {DURING, end}


@pytest.mark.parametrize(("ended_after", "end"), [(HOUR, HOUR), (30 * HOUR, 24 * HOUR)])
def test_crisis_that_somebody_ended_is_over_whatever_the_clock_says_and_was_open_until_then(ended_after, end):
    use = crisis(ended_at=DURING + ended_after)
    made = agreement(use)
    clause = made.terms.crisis[0]

    for now in (DURING - INSTANT, DURING, DURING + end - INSTANT, DURING + end):
        assert open_crises(made, now) == unfinished_crises(made, now) == ()
        assert next_change(made, now) == next_change(agreement(), now)
    assert crisis_end(use, clause) == DURING + end
    for then, was_open in ((-INSTANT, False), (0 * HOUR, True), (end - INSTANT, True), (end, False)):
        known = as_it_was(made, DURING + then)
        assert [each.id for each, _ in open_crises(known, DURING + then)] == ["crisis-1"] * was_open
    assert as_it_was(agreement(crisis()), DURING) == agreement(crisis())
    assert set(crisis_turns(made)) == {DURING, DURING + end}


def test_crisis_that_a_faster_clock_opened_is_not_open_yet_and_not_over():
    made = agreement(crisis())
    clause = made.terms.crisis[0]

    assert open_crises(made, DURING - INSTANT) == ()
    assert [each.id for each, _ in unfinished_crises(made, DURING - INSTANT)] == ["crisis-1"]
    with pytest.raises(ConflictError) as refused:
        require_openable(made, clause, "GBR", DURING - INSTANT)
    assert refused.value.code == "crisis-open"


def test_next_change_is_a_crisis_that_begins_or_ends():
    made = agreement(crisis())

    assert next_change(made, DURING - HOUR) == DURING
    assert next_change(made, DURING) == DURING + 24 * HOUR
    assert next_change(made, DURING + 24 * HOUR) == next_change(agreement(), DURING)


def test_crisis_of_another_text_or_clause_is_none():
    later = replace(agreement(crisis()), edition=2)
    unknown = agreement(crisis(clause="flood-watch"))

    assert open_crises(later, DURING) == open_crises(unknown, DURING) == ()
    assert crisis_turns(unknown) == (DURING,)
    kept = amended(agreement(crisis()), parse_later(), DURING)
    assert kept.crises == (crisis(),)
    assert open_crises(kept, DURING) == ()
    assert replace(kept, earlier=(from_json(body()),)).texts == (from_json(body()), parse_later())


def parse_later():
    return replace(from_json(body()), title="Another title")


def test_person_is_named_however_the_name_is_spelt_and_no_other_one():
    clause = agreement().terms.crisis[0]
    require_named(clause, client(member="GBR", name="ADA BYRON"))

    for stranger in (client(member="NOR", name="Ada Byron"), client(member="GBR", name="Ada")):
        with pytest.raises(ForbiddenError, match=r"^the agreement does not name you for this: a named signatory may$"):
            require_named(clause, stranger)


def test_one_crisis_of_a_clause_at_a_time_while_all_stands():
    clause = agreement().terms.crisis[0]
    require_openable(agreement(), clause, "GBR", DURING)
    require_openable(agreement(crisis(ended_at=DURING)), clause, "GBR", DURING)
    suspended = suspend_party(agreement(), "NOR", DURING)
    require_openable(suspended, clause, "GBR", DURING)

    # Who has left is told the same, wherever the others stand.
    gone = replace(suspended, parties=tuple(replace(each, leaves_at=DURING) for each in suspended.parties[2:]))
    gone = replace(gone, parties=(*suspended.parties[:2], *gone.parties))
    assert state_of(gone, DURING) is AgreementState.SUSPENDED

    draft = propose(AgreementId("a"), from_json(body()))
    assert state_of(draft, DURING) is AgreementState.DRAFT
    for made, member, code, told in (
        (
            draft,
            "GBR",
            "agreement-not-in-force",
            "the agreement is draft: a crisis is opened only while it is in force",
        ),
        (suspended, "NOR", "agreement-not-in-force", "your member has suspended its own part: resume it first"),
        (gone, "DNK", "agreement-not-in-force", "your member has left the agreement"),
        (agreement(crisis()), "GBR", "crisis-open", "a crisis under `storm-watch` is open already"),
    ):
        with pytest.raises(ConflictError) as refused:
            require_openable(made, clause, member, DURING)
        assert (refused.value.code, refused.value.message) == (code, told)


def test_length_is_what_is_asked_for_and_at_most_the_clauses():
    clause = agreement().terms.crisis[0]

    assert asked_length(clause, None) == "PT72H"
    assert asked_length(clause, 72) == "PT72H"
    assert asked_length(clause, 1) == "PT1H"
    with pytest.raises(InvalidError) as refused:
        asked_length(clause, 73)
    assert refused.value.message == "the crisis cannot be opened so"
    assert refused.value.faults == (Fault("/hours", "too-long", "the text allows PT72H at most"),)


def test_file_says_it_too():
    text = """\
title: Storm watch
parties: [GBR, NOR, DNK]
policy: NATO
validity: {from: 2026-01-01, until: 2030-12-31}
scopes:
  - {name: cyber-threats, topics: [cyber], regions: [EUR], kinds: [intrep], purposes: [defence], ceiling: SECRET,
     contributors: [GBR], readers: [GBR, NOR], onward_release: never, retention: P5Y}
crisis:
  - name: storm-watch
    scope: cyber-threats
    readers: [DNK]
    at_most: PT24H
    signatories: [{member: GBR, name: Ada Byron}, {member: NOR, name: Kari Nordmann}]
termination: {notice: P90D, shared_reports: recalled}
"""

    assert parse(text).crisis[0].readers == ("DNK",)
