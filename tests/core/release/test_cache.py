import functools
from dataclasses import replace

import pytest

from exchange.members import Role
from exchange.release import (
    Assurance,
    Consent,
    DecisionCache,
    GuardSet,
    Permit,
    Reason,
    Refusal,
    Use,
    View,
    cache,
    decide,
    decide_cached,
    readable,
    readable_classes,
)
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    READER,
    ROW,
    SCOPE,
    label,
    law_with,
    marked,
    reader,
    real_law,
    rules_only_law,
    scope,
)

ERRING = '@id("err") @reason("x") forbid (principal, action, resource) when { resource.level_rank + 9223372036854775807 > 0 };'


@pytest.fixture
def judged(monkeypatch):
    """Count how often a decision was really made."""
    calls = []
    real = cache.judge
    monkeypatch.setattr(cache, "judge", lambda case, law: calls.append(case) or real(case, law))
    return calls


def ask(kept, *, who=READER, clause=SCOPE, class_id=1, facts=CLASS, policy_version=1, use=Use.READ, law=None):
    return decide_cached(
        kept,
        who,
        class_id=class_id,
        facts=facts,
        scope=clause,
        policy_version=policy_version,
        use=use,
        law=law or rules_only_law(),
    )


@pytest.mark.parametrize("clause", [SCOPE, None, scope(in_force=False)])
def test_the_same_question_is_decided_once_and_answered_alike(judged, clause):
    kept = DecisionCache()

    answers = [ask(kept, clause=clause) for _ in range(3)]

    assert answers == [decide(READER, CLASS, clause, ROW, Use.READ, rules_only_law())] * 3
    assert (len(judged), len(kept)) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"who": reader(client="reader-2")}, None),
        ({"who": reader(version=2, roles=frozenset({Role.CONTRIBUTOR}))}, (Reason.ROLE_MISSING,)),
        ({"who": reader(is_active=False)}, (Reason.CLIENT_SUSPENDED,)),
        ({"who": reader(clearance_current=False)}, (Reason.CLEARANCE_EXPIRED,)),
        ({"who": reader(purpose="sanctions")}, (Reason.PURPOSE_NOT_ALLOWED,)),
        ({"who": reader(assurance=Assurance.TOKEN)}, (Reason.WEAK_ASSURANCE,)),
        ({"clause": None}, (Reason.NO_AGREEMENT,)),
        ({"clause": scope(in_force=False)}, (Reason.AGREEMENT_NOT_IN_FORCE,)),
        ({"clause": scope(active_parties=frozenset({"GBR"}))}, (Reason.NOT_A_PARTY,)),
        ({"clause": scope(agreement_version=4, ceiling="RESTRICTED")}, (Reason.ABOVE_CEILING,)),
        ({"class_id": 2, "facts": marked(label(releasable_to=()))}, (Reason.NOT_RELEASABLE,)),
        ({"policy_version": 2}, None),
        ({"use": Use.ONWARD, "clause": SCOPE}, None),
        (
            {"law": law_with(exchange='@id("x.y") @reason("x") forbid (principal, action, resource);')},
            (Reason.NATIONAL_CAVEAT,),
        ),
    ],
)
def test_whatever_can_change_an_answer_makes_it_be_decided_anew(judged, changes, reasons):
    kept = DecisionCache()
    assert isinstance(ask(kept), Permit)

    changed = ask(kept, **changes)

    assert len(judged) == 2
    match changed:
        case Permit():
            assert reasons is None
        case Refusal(found):
            assert found == reasons


def test_a_failure_is_never_remembered(judged):
    kept = DecisionCache()
    law = erring_law()

    answers = [ask(kept, law=law) for _ in range(2)]

    assert answers == [Refusal((Reason.RULE_FAILED,))] * 2
    assert (len(judged), len(kept)) == (2, 0)


def test_a_permit_beside_which_a_part_failed_is_not_remembered_either():
    kept = DecisionCache()

    permit = ask(kept, facts=marked(LABEL, LABEL, label(classification="UNKNOWN")))

    assert isinstance(permit, Permit)
    assert len(kept) == 0


def test_a_refusal_of_the_whole_beside_which_a_part_failed_is_not_remembered_either():
    kept = DecisionCache()
    facts = marked(LABEL, LABEL, label(classification="UNKNOWN"))

    assert ask(kept, facts=facts, clause=scope(in_force=False)) == Refusal((Reason.AGREEMENT_NOT_IN_FORCE,))
    assert len(kept) == 0


def test_a_refusal_in_which_a_rule_about_the_whole_failed_is_not_remembered_either():
    kept = DecisionCache()

    assert ask(kept, clause=scope(kinds=None)) == Refusal((Reason.RULE_FAILED,))
    assert len(kept) == 0


def test_the_decision_unused_for_longest_is_forgotten_first():
    kept = DecisionCache(capacity=2)
    first, second, third = (Refusal((reason,)) for reason in (Reason.RECALLED, Reason.EXPIRED, Reason.NATIONALITY))
    kept.put("first", first)
    kept.put("second", second)

    assert kept.get("first") == first
    kept.put("third", third)

    assert (kept.get("first"), kept.get("second"), kept.get("third")) == (first, None, third)
    assert len(kept) == 2


def test_putting_again_refreshes():
    kept = DecisionCache(capacity=2)
    refusal = Refusal(())
    for key in ("first", "second", "first", "third"):
        kept.put(key, refusal)

    assert kept.get("second") is None
    assert kept.get("first") is refusal


# ── readable classes ──

DANE = reader(member="DNK", nationality="DNK", client="dane")
CLASSES = {
    5: marked(LABEL),
    3: marked(LABEL, LOWER, LABEL),
    9: marked(label(releasable_to=())),
    1: marked(LABEL, kind="imagery"),
    7: marked(LOWER),
    4: marked(label(classification="UNKNOWN")),
    2: marked(LABEL, originator="FRA"),
    6: marked(LABEL, LABEL, label(classification="UNKNOWN")),
    8: marked(LABEL, scope="other"),
}
GUARDS = {
    "exchange": '@id("x.y") @reason("x") forbid (principal, action, resource) when { resource.topic == "cyber.malware" };',
    "GBR": '@id("gbr.y") @reason("x") forbid (principal, action, resource) when { principal.member == "DNK" && resource.level_rank > 1 };',
}


@functools.cache
def guarded_law():
    return law_with(**GUARDS)


@functools.cache
def erring_law():
    return law_with(exchange=ERRING)


def scope_of(facts):
    return SCOPE if facts.scope == SCOPE.scope else None


def readable_to(who, kept, *, classes=CLASSES, law=None, policy_version=1, clause_of=scope_of):
    in_force = law or guarded_law()
    return readable_classes(who, classes, clause_of, policy_version=policy_version, law=in_force, cache=kept)


def decided(who, *, classes=CLASSES, law=None, clause_of=scope_of):
    in_force = law or guarded_law()
    answers = {
        number: decide(who, facts, clause_of(facts), ROW, Use.READ, in_force) for number, facts in classes.items()
    }
    return {number: answer for number, answer in answers.items() if isinstance(answer, Permit)}


@pytest.mark.parametrize(
    "who", [READER, DANE, reader(client="low", level="RESTRICTED"), reader(client="no", roles=frozenset())]
)
@pytest.mark.parametrize("law_of", [guarded_law, rules_only_law, real_law, erring_law])
def test_a_listing_says_of_each_class_what_decide_says(who, law_of):
    kept, law = DecisionCache(), law_of()

    first = readable_to(who, kept, law=law)
    again = readable_to(who, kept, law=law)

    assert first == decided(who, law=law)
    assert again == first
    assert list(first) == [number for number in CLASSES if number in first]


def test_a_listing_tells_whole_reports_from_tear_lines():
    views = {number: permit.view for number, permit in readable_to(DANE, DecisionCache()).items()}

    assert views == {3: View.TEAR_LINE, 7: View.FULL}


def test_a_listing_remembers_what_it_found_and_asks_nothing_twice(monkeypatch):
    kept = DecisionCache()
    first = readable_to(READER, kept)
    asked = []
    monkeypatch.setattr(readable, "ask_report_rule", lambda rule, case: asked.append(case.cls) or Reason.RULE_FAILED)

    again = readable_to(READER, kept)

    # Only the classes in which a rule failed are asked about again.
    assert set(map(id, asked)) == {id(CLASSES[4]), id(CLASSES[6])}
    assert again == {number: permit for number, permit in first.items() if number != 6}


def test_a_failure_in_a_listing_is_not_remembered(monkeypatch):
    kept = DecisionCache()
    with monkeypatch.context() as broken:
        broken.setattr(readable, "ask_report_rule", lambda _rule, _case: Reason.RULE_FAILED)
        assert readable_to(READER, kept) == {}
        assert len(kept) == 0

    assert readable_to(READER, kept) == decided(READER)


def test_a_failing_guard_in_a_listing_is_not_remembered():
    kept = DecisionCache()

    assert readable_to(READER, kept, classes={5: CLASSES[5]}, law=erring_law()) == {}
    assert len(kept) == 0


def test_a_listing_and_a_pull_share_their_permits(judged):
    kept = DecisionCache()
    permits = readable_to(READER, kept)

    assert ask(kept, class_id=5, facts=CLASSES[5], law=guarded_law()) == permits[5]
    assert judged == []


def test_a_class_found_unreadable_still_gives_a_pull_every_reason():
    kept = DecisionCache()
    readable_to(READER, kept)

    assert ask(kept, class_id=9, facts=CLASSES[9], law=guarded_law()) == Refusal((Reason.NOT_RELEASABLE,))
    assert ask(kept, class_id=1, facts=CLASSES[1], law=guarded_law()) == Refusal((Reason.OUTSIDE_SCOPE_KIND,))


def test_a_refused_pull_keeps_the_class_out_of_the_listing():
    kept = DecisionCache()
    ask(kept, class_id=9, facts=CLASSES[9], law=guarded_law())

    assert readable_to(READER, kept) == decided(READER)


def test_a_change_of_version_is_seen_by_the_next_listing():
    kept = DecisionCache()
    assert 5 in readable_to(READER, kept)

    assert readable_to(READER, kept, clause_of=lambda _facts: scope(in_force=False, agreement_version=4)) == {}
    assert readable_to(reader(version=2, level="UNCLASSIFIED"), kept) == {}


@pytest.mark.parametrize("batch", [1, 2, 3, 9, 10])
def test_the_size_of_a_batch_changes_nothing(monkeypatch, batch):
    monkeypatch.setattr(readable, "GUARD_BATCH", batch)

    assert readable_to(DANE, DecisionCache()) == decided(DANE)
    assert readable_to(READER, DecisionCache()) == decided(READER)


def test_no_batch_is_larger_than_it_may_be_and_no_class_is_asked_about_twice(monkeypatch):
    asked = []
    real = GuardSet.forbidding

    def counted(guards, reader, questions, use, catalogue):
        asked.append([id(question.cls) for question in questions])
        return real(guards, reader, questions, use, catalogue)

    monkeypatch.setattr(readable, "GUARD_BATCH", 2)
    monkeypatch.setattr(GuardSet, "forbidding", counted)
    alike = {number: marked(LABEL, topic=f"cyber.t{number}") for number in range(5)}

    assert list(readable_to(READER, DecisionCache(), classes=alike)) == list(alike)
    assert [len(each) for each in asked] == [2, 2, 1]
    assert sorted(place for each in asked for place in each) == sorted(map(id, alike.values()))


def test_no_classes_nothing_readable():
    assert readable_to(READER, DecisionCache(), classes={}) == {}


def test_classes_of_several_originators_meet_their_own_guards():
    theirs = {
        number: replace(facts, originator=who) for number, (facts, who) in enumerate([(CLASS, "GBR"), (CLASS, "DNK")])
    }
    law = law_with(DNK='@id("dnk.y") @reason("x") forbid (principal, action, resource);')

    assert list(readable_to(READER, DecisionCache(), classes=theirs, law=law)) == [0]


def test_consent_that_ends_is_not_remembered_beyond_its_end():
    kept, label_alone = DecisionCache(), label(releasable_to=("GBR",))
    cls = marked(label_alone, consents=(Consent("NOR", (label_alone,), (), 10),))

    assert isinstance(ask(kept, facts=cls, who=reader(at_micros=9)), Permit)
    assert ask(kept, facts=cls, who=reader(at_micros=10)) == Refusal((Reason.NOT_RELEASABLE,))
    assert isinstance(ask(kept, facts=cls, who=reader(at_micros=9)), Permit)


def test_consent_that_ends_opens_no_list_beyond_its_end():
    kept, label_alone = DecisionCache(), label(releasable_to=("GBR",))
    classes = {1: marked(label_alone, consents=(Consent("NOR", (label_alone,), (), 10),))}
    told = [list(readable_to(reader(at_micros=at), kept, classes=classes)) for at in (9, 10, 9)]

    assert told == [[1], [], [1]]
