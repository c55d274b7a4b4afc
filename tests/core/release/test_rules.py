import inspect
from dataclasses import replace

import pytest

from exchange.agreements import OnwardRelease
from exchange.members import Role
from exchange.release import Assurance, Permit, Reason, Refusal, RowFacts, Use, View, decide, rules
from exchange.release.rules import LABEL_RULES, REPORT_RULES, Case, ask_label_rule, ask_report_rule
from tests.support.release_world import CLASS, LABEL, READER, ROW, SCOPE, label, marked, reader, rules_only_law, scope

TOKEN = Assurance.TOKEN


def reasons_of(*, who=READER, cls=CLASS, clause=SCOPE, row=ROW, use=Use.READ):
    match decide(who, cls, clause, row, use, rules_only_law()):
        case Permit():
            return ()
        case Refusal(reasons, policies):
            assert policies == ()
            return tuple(reason.value for reason in reasons)


def test_the_world_of_these_tests_permits():
    assert reasons_of() == ()


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        # (1) role
        ({"who": reader(roles=frozenset())}, ("role-missing",)),
        ({"who": reader(roles=frozenset({Role.CONTRIBUTOR, Role.RELEASER, Role.SIGNATORY}))}, ("role-missing",)),
        ({"who": reader(roles=frozenset({Role.OPERATOR}))}, ("role-missing",)),
        ({"who": reader(roles=frozenset({Role.READER, Role.OPERATOR}))}, ("role-missing",)),
        ({"who": reader(roles=frozenset({Role.READER, Role.AUDITOR}))}, ("role-missing",)),
        # (2) client
        ({"who": reader(is_active=False)}, ("client-suspended",)),
        # (3) agreement
        ({"clause": None}, ("no-agreement",)),
        ({"clause": scope(agreement="agreement-2")}, ("no-agreement",)),
        ({"clause": scope(scope="other")}, ("no-agreement",)),
        # (4) the agreement in force
        ({"clause": scope(in_force=False)}, ("agreement-not-in-force",)),
        # (5), (6) reader's member
        ({"clause": scope(active_parties=frozenset({"GBR", "DNK"}))}, ("not-a-party",)),
        ({"clause": scope(readers=frozenset({"DNK"}))}, ("not-a-party",)),
        ({"clause": scope(readers=frozenset())}, ("not-a-party",)),
        # (7) originator
        ({"clause": scope(active_parties=frozenset({"NOR", "DNK"}))}, ("agreement-not-in-force",)),
        ({"clause": scope(came_back=frozenset({"GBR", "ESP"}))}, ("agreement-not-in-force",)),
        # (8) topic
        ({"clause": scope(topics=("maritime",))}, ("outside-scope-topic",)),
        ({"clause": scope(topics=())}, ("outside-scope-topic",)),
        ({"clause": scope(topics=("cyber.malware",))}, ("outside-scope-topic",)),
        ({"cls": marked(LABEL, topic="cyberwar")}, ("outside-scope-topic",)),
        # (9) regions
        ({"cls": marked(LABEL, regions=("AFR",))}, ("outside-scope-region",)),
        ({"cls": marked(LABEL, regions=("AFR", "EUR"))}, ("outside-scope-region",)),
        ({"cls": marked(LABEL, regions=())}, ("outside-scope-region",)),
        # (10) kind
        ({"cls": marked(LABEL, kind="imagery")}, ("outside-scope-kind",)),
        # (11) purpose
        ({"who": reader(purpose="sanctions")}, ("purpose-not-allowed",)),
        ({"who": reader(purpose="")}, ("purpose-not-allowed",)),
        # (12) clearance current
        ({"who": reader(clearance_current=False)}, ("clearance-expired",)),
        # (13), (14) row
        ({"row": RowFacts(is_recalled=True, is_expired=False)}, ("recalled",)),
        ({"row": RowFacts(is_recalled=False, is_expired=True)}, ("expired",)),
        ({"row": RowFacts(is_recalled=True, is_expired=True)}, ("recalled", "expired")),
        # (15) label known
        ({"cls": marked(label(classification="secret"))}, ("rule-failed",)),
        ({"cls": marked(label(classification=""))}, ("rule-failed",)),
        ({"cls": marked(label(policy="MARS"))}, ("rule-failed",)),
        ({"cls": marked(label(compartments=("NO-SUCH",)))}, ("missing-compartment", "rule-failed")),
        # (16) assurance
        ({"who": reader(assurance=TOKEN)}, ("weak-assurance",)),
        ({"who": reader(assurance=TOKEN), "cls": marked(label(classification="CONFIDENTIAL"))}, ("weak-assurance",)),
        # (17) ceiling
        ({"clause": scope(ceiling="CONFIDENTIAL")}, ("above-ceiling",)),
        ({"clause": scope(ceiling="CONFIDENCIAL", policy="ESP")}, ("above-ceiling",)),
        ({"clause": scope(ceiling="NO SUCH LEVEL")}, ("rule-failed",)),
        # (18) clearance level
        ({"who": reader(level="CONFIDENTIAL")}, ("above-clearance",)),
        ({"who": reader(level="UNCLASSIFIED")}, ("above-clearance",)),
        ({"who": reader(level="COSMIC")}, ("rule-failed",)),
        ({"who": reader(level="")}, ("rule-failed",)),
        # (19) compartments
        ({"who": reader(compartments=frozenset())}, ("missing-compartment",)),
        ({"clause": scope(compartments=frozenset())}, ("missing-compartment",)),
        ({"cls": marked(label(compartments=("ATOMAL", "EXERCISE-AURORA")))}, ("missing-compartment",)),
        # (20) releasable to
        ({"cls": marked(label(releasable_to=("DNK", "GBR")))}, ("not-releasable",)),
        ({"cls": marked(label(releasable_to=()))}, ("not-releasable",)),
        # (21) nationality
        ({"who": reader(nationality="ESP"), "cls": marked(label(handling=("EYES ONLY",)))}, ("nationality",)),
        # (22) onward
        ({"use": Use.ONWARD, "cls": marked(label(handling=("ORCON",)))}, ("originator-control",)),
        ({"use": Use.ONWARD, "cls": marked(label(handling=("H2",)))}, ("originator-control",)),
        ({"use": Use.ONWARD, "clause": scope(onward_release=OnwardRelease.NEVER)}, ("originator-control",)),
        (
            {"use": Use.ONWARD, "clause": scope(onward_release=OnwardRelease.ORIGINATOR_CONSENT)},
            ("originator-control",),
        ),
        ({"use": Use.ONWARD, "clause": None}, ("no-agreement", "originator-control")),
        # (23) handling
        ({"cls": marked(label(handling=("SEALED",)))}, ("handling-caveat",)),
        ({"cls": marked(label(handling=("ORCON", "SEALED")))}, ("handling-caveat",)),
        ({"cls": marked(label(handling=("H1",))), "who": reader(purpose="judicial")}, ("handling-caveat",)),
        ({"cls": marked(label(handling=("NO SUCH CAVEAT",)))}, ("handling-caveat", "rule-failed")),
    ],
)
def test_one_thing_wrong_refuses_for_exactly_its_reason(changes, reasons):
    assert reasons_of(**changes) == reasons


@pytest.mark.parametrize(
    "changes",
    [
        {"who": reader(roles=frozenset({Role.READER, Role.CONTRIBUTOR, Role.RELEASER, Role.SIGNATORY}))},
        {"clause": scope(topics=("maritime", "cyber.apt"))},
        {"cls": marked(LABEL, regions=("EUR", "NAM"))},
        {"who": reader(purpose="judicial")},
        {"who": reader(assurance=TOKEN), "cls": marked(label(classification="RESTRICTED"))},
        {"who": reader(assurance=TOKEN), "cls": marked(label(classification="UNCLASSIFIED"))},
        {"who": reader(level="TOP SECRET")},
        {"clause": scope(came_back=frozenset({"NOR", "DNK"}))},
        {"clause": scope(ceiling="TOP SECRET")},
        {"cls": marked(label(policy="ESP", classification="RESERVADO"))},
        {"cls": marked(label(policy="FRA", classification="SECRET"))},
        {"who": reader(compartments=frozenset({"ATOMAL", "EXERCISE-AURORA"}))},
        {"who": reader(nationality="ESP")},
        {"cls": marked(label(handling=("EYES ONLY",)))},
        {"who": reader(nationality="GBR"), "cls": marked(label(handling=("EYES ONLY",)))},
        {
            "who": reader(nationality="GBR"),
            "cls": marked(label(handling=("EYES ONLY",), releasable_to=("NOR",))),
        },
        {"cls": marked(label(handling=("EYES ONLY", "H1", "H2", "ORCON")))},
        {"use": Use.ONWARD},
        {"use": Use.ONWARD, "cls": marked(label(handling=("EYES ONLY",)))},
        {"use": Use.ONWARD, "cls": marked(label(handling=("H1",)))},
    ],
)
def test_what_the_rules_allow_is_permitted(changes):
    assert reasons_of(**changes) == ()


OWN_READER = reader(member="GBR", nationality="GBR", agency="GBR/NCSC")


def test_the_originators_own_reader_need_not_be_a_reader_of_the_scope():
    assert reasons_of(who=OWN_READER) == ()
    assert reasons_of(who=OWN_READER, cls=marked(label(releasable_to=()))) == ()


def test_an_originator_that_came_back_reads_its_own_and_one_that_is_away_does_not():
    back, away = frozenset({"GBR"}), frozenset({"NOR", "DNK"})

    assert reasons_of(who=OWN_READER, clause=scope(came_back=back)) == ()
    assert reasons_of(who=OWN_READER, clause=scope(came_back=back, active_parties=away)) == (
        "agreement-not-in-force",
        "not-a-party",
    )


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (replace(OWN_READER, roles=frozenset({Role.CONTRIBUTOR})), "role-missing"),
        (replace(OWN_READER, is_active=False), "client-suspended"),
        (replace(OWN_READER, level="RESTRICTED"), "above-clearance"),
        (replace(OWN_READER, clearance_current=False), "clearance-expired"),
        (replace(OWN_READER, compartments=frozenset()), "missing-compartment"),
        (replace(OWN_READER, purpose="sanctions"), "purpose-not-allowed"),
    ],
)
def test_the_originators_own_reader_bypasses_nothing_else(who, reason):
    assert reasons_of(who=who) == (reason,)


def test_every_reason_is_given_in_the_order_of_the_contract():
    everything_wrong = reasons_of(
        who=reader(
            roles=frozenset(),
            is_active=False,
            assurance=TOKEN,
            purpose="",
            clearance_current=False,
            level="RESTRICTED",
            compartments=frozenset(),
            member="ESP",
            nationality="ESP",
        ),
        cls=marked(label(handling=("EYES ONLY", "ORCON", "SEALED")), topic="x", regions=(), kind="x"),
        clause=scope(in_force=False, ceiling="RESTRICTED"),
        row=RowFacts(is_recalled=True, is_expired=True),
        use=Use.ONWARD,
    )

    left_out = {"not-authenticated", "no-agreement", "national-caveat", "rule-failed"}
    assert everything_wrong == tuple(reason.value for reason in Reason if reason.value not in left_out)


@pytest.mark.parametrize("rule", REPORT_RULES, ids=lambda rule: rule.name)
def test_a_report_rule_that_breaks_refuses(rule):
    broken = replace(rule, judge=lambda _case: 1 // 0)

    assert ask_report_rule(broken, Case(READER, CLASS, SCOPE, ROW, Use.READ, rules_only_law().catalogue)) is (
        Reason.RULE_FAILED
    )


@pytest.mark.parametrize("rule", LABEL_RULES, ids=lambda rule: rule.name)
def test_a_label_rule_that_breaks_refuses(rule):
    broken = replace(rule, judge=lambda _case, _label: 1 // 0)

    assert ask_label_rule(broken, Case(READER, CLASS, SCOPE, ROW, Use.READ, rules_only_law().catalogue), LABEL) is (
        Reason.RULE_FAILED
    )


def test_an_unknown_kind_of_assurance_refuses():
    assert reasons_of(who=reader(assurance="carrier-pigeon")) == ("rule-failed",)


def test_rules_are_numbered_in_order_without_repeats_and_all_functions_are_in_the_tables():
    table = (*REPORT_RULES, *LABEL_RULES)
    functions = inspect.getmembers(rules, inspect.isfunction)
    written = {name for name, found in functions if name[0] == "_" and "case" in inspect.signature(found).parameters}

    assert [rule.number for rule in table] == list(range(1, len(table) + 1))
    assert len({rule.name for rule in table}) == len(table)
    assert {rule.judge.__name__ for rule in table} == written


def test_a_permit_names_what_permitted():
    permit = decide(READER, CLASS, SCOPE, ROW, Use.READ, rules_only_law())

    digest = rules_only_law().guards.digest[:16]
    assert permit == Permit(
        frozenset({LABEL}), View.FULL, ("agreement/agreement-1/3", "scope/cyber-threats", f"guards/{digest}")
    )
