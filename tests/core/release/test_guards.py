import json
import re
from dataclasses import replace
from types import SimpleNamespace

import cedarpy
import pytest

from exchange.kernel import InvalidError
from exchange.members import Role
from exchange.release import (
    Assurance,
    GuardQuestion,
    GuardVerdict,
    Permit,
    Reason,
    Refusal,
    Use,
    decide,
    guards,
    load_guards,
    load_law,
)
from exchange.release.guard_files import MAX_GUARD_FILE_BYTES
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    READER,
    ROW,
    SCOPE,
    label,
    law_files,
    law_with,
    marked,
    reader,
    rules_only_law,
    scope,
)

SCHEMA = law_files()["exchange.cedarschema"]
CATALOGUE = rules_only_law().catalogue
FAILED = GuardVerdict(has_failed=True)

# Valid against the schema, and fails when it is evaluated: the sum leaves 64 bits.
ERRING = '@id("err") @reason("x") forbid (principal, action, resource) when { resource.level_rank + 9223372036854775807 > 0 };'


def forbid(guard_id, condition="true", reason="because"):
    return f'@id("{guard_id}") @reason("{reason}") forbid (principal, action, resource) when {{ {condition} }};'


def ask(files, who=READER, cls=CLASS, *, marking=None, use=Use.READ):
    (verdict,) = load_guards(files, SCHEMA).forbidding(who, [GuardQuestion(cls, marking or cls.label)], use, CATALOGUE)
    return verdict


# ── what a guard sees ──


def test_of_two_answers_all_is_said():
    one, other = GuardVerdict(("b",)), GuardVerdict(("a", "b"), has_failed=True)

    assert one.joined(other) == other.joined(one) == other


@pytest.mark.parametrize(
    ("condition", "forbids"),
    [
        ('principal == Client::"reader-1"', True),
        ('principal == Client::"reader-2"', False),
        ('principal.member == "NOR"', True),
        ('principal.agency == "NOR/NIS"', True),
        ('principal.nationality == "NOR"', True),
        ('principal.roles.contains("reader")', True),
        ('principal.roles.contains("operator")', False),
        ('principal.level == "SECRET" && principal.level_rank == 3', True),
        ('principal.compartments == ["EXERCISE-AURORA"]', True),
        ('resource.agreement == "agreement-1" && resource.scope == "cyber-threats"', True),
        ('resource.originator == "GBR"', True),
        ('resource.topic == "cyber.apt"', True),
        ('resource.topics == ["cyber", "cyber.apt"]', True),
        ('resource.regions == ["EUR"]', True),
        ('resource.kind == "intrep"', True),
        ('resource.policy == "NATO" && resource.classification == "SECRET" && resource.level_rank == 3', True),
        ('resource.compartments == ["EXERCISE-AURORA"]', True),
        ('resource.releasable_to == ["GBR", "NOR"]', True),
        ("resource.handling.isEmpty()", True),
        ('context.purpose == "defence"', True),
        ('context.assurance == "mutual-tls"', True),
        ('context.assurance == "token"', False),
        ('action == Action::"read"', True),
        ('action == Action::"onward"', False),
    ],
)
def test_a_guard_sees_the_case_as_it_is(condition, forbids):
    assert ask({"exchange.cedar": forbid("x.y", condition)}) == GuardVerdict(("x.y",) if forbids else ())


def test_a_guard_sees_a_level_as_high_as_it_is_protected():
    files = law_files()
    norwegian = files["classification/NOR.yaml"].splitlines(keepends=True)
    # HEMMELIG has no equal now: it is protected as STRENGT HEMMELIG is, and clears for KONFIDENSIELT.
    unmapped = "".join(line for line in norwegian if "level: SECRET" not in line)
    rounding = load_law({**files, "classification/NOR.yaml": unmapped}).catalogue
    secret = label(policy="NOR", classification="HEMMELIG", releasable_to=(), handling=())
    loaded = load_guards({"exchange.cedar": forbid("x.y", "resource.level_rank == 4")}, SCHEMA)

    assert loaded.forbidding(READER, [GuardQuestion(CLASS, secret)], Use.READ, rounding) == (GuardVerdict(("x.y",)),)


def test_a_guard_sees_token_and_onward_use():
    both = 'context.assurance == "token" && action == Action::"onward"'

    verdict = ask({"exchange.cedar": forbid("x.y", both)}, reader(assurance=Assurance.TOKEN), use=Use.ONWARD)

    assert verdict.forbade == ("x.y",)


def test_every_guard_that_forbids_is_named():
    files = {"exchange.cedar": forbid("z.z") + forbid("a.a") + forbid("m.m", "false"), "more.cedar": forbid("b.b")}

    assert ask(files) == GuardVerdict(("a.a", "b.b", "z.z"))


def test_each_question_gets_its_own_answer_in_order():
    loaded = load_guards({"exchange.cedar": forbid("x.low", "resource.level_rank < 2")}, SCHEMA)
    french = replace(CLASS, originator="FRA")
    questions = [
        GuardQuestion(CLASS, LOWER),
        GuardQuestion(french, LABEL),
        GuardQuestion(french, LOWER),
        GuardQuestion(CLASS, LABEL),
    ]

    verdicts = loaded.forbidding(READER, questions, Use.READ, CATALOGUE)

    assert [verdict.forbade for verdict in verdicts] == [("x.low",), (), ("x.low",), ()]


def test_no_question_no_answer():
    assert load_guards({"exchange.cedar": forbid("x.y")}, SCHEMA).forbidding(READER, [], Use.READ, CATALOGUE) == ()


# ── national caveats ──


def test_a_national_caveat_holds_for_its_members_own_reports():
    verdict = ask({"GBR.cedar": forbid("gbr.x")})

    assert verdict == GuardVerdict(("gbr.x",))


def test_a_national_caveat_neither_restricts_nor_breaks_the_reports_of_others():
    assert ask({"DNK.cedar": forbid("dnk.x") + ERRING}) == GuardVerdict()


def test_the_exchanges_guards_hold_beside_national_ones():
    files = {"exchange.cedar": forbid("x.y"), "GBR.cedar": forbid("gbr.x"), "DNK.cedar": forbid("dnk.x")}

    assert ask(files).forbade == ("gbr.x", "x.y")
    assert ask(files, cls=replace(CLASS, originator="FRA")).forbade == ("x.y",)


def test_guards_to_which_no_member_added_any_are_told_from_those_by_nothing():
    loaded = load_guards({"exchange.cedar": forbid("x.y")}, SCHEMA)

    assert (loaded.national, loaded.with_national([]).national) == ("", "")


def test_what_one_member_puts_in_force_leaves_the_files_of_the_others_in_force():
    of_files = load_guards({"exchange.cedar": forbid("x.y", "false"), "GBR.cedar": forbid("gbr.x")}, SCHEMA)
    added = tuple(load_guards({"DNK.cedar": forbid("dnk.x")}, SCHEMA).guards.values())
    together = of_files.with_national([of_files.prepared("DNK", added)])
    questions = [GuardQuestion(replace(CLASS, originator=member), LABEL) for member in ("GBR", "DNK", "FRA")]

    verdicts = together.forbidding(READER, questions, Use.READ, CATALOGUE)

    assert verdicts == (GuardVerdict(("gbr.x",)), GuardVerdict(("dnk.x",)), GuardVerdict())
    assert together.guards.keys() == {"x.y", "gbr.x", "dnk.x"}


# ── fail closed ──


def test_cedar_itself_skips_a_forbid_that_fails_and_allows():
    text = "permit (principal, action, resource);" + ERRING
    entities = guards._entities(READER, [GuardQuestion(CLASS, LABEL)], CATALOGUE)
    request = {
        "principal": 'Client::"reader-1"',
        "action": 'Action::"read"',
        "resource": 'Report::"0"',
        "context": {"purpose": "x", "assurance": "y"},
    }

    assert cedarpy.validate_policies(text, SCHEMA).validation_passed
    assert cedarpy.is_authorized(request, text, entities, SCHEMA).decision is cedarpy.Decision.Allow


def test_a_guard_that_fails_to_evaluate_refuses_here():
    law = law_with(exchange=ERRING)

    assert decide(READER, CLASS, SCOPE, ROW, Use.READ, law) == Refusal((Reason.RULE_FAILED,))


def test_a_guard_that_fails_beside_one_that_forbids_gives_both_reasons():
    law = law_with(exchange=ERRING + forbid("x.y"))

    assert decide(READER, CLASS, SCOPE, ROW, Use.READ, law) == Refusal(
        (Reason.NATIONAL_CAVEAT, Reason.RULE_FAILED), ("x.y",)
    )


@pytest.mark.parametrize(
    "who",
    [
        reader(level="NO SUCH LEVEL"),
        reader(client=7),
        reader(purpose=None),
        reader(purpose=7),
        reader(nationality=None),
        reader(agency=["NOR/NIS"]),
        reader(compartments=frozenset({1})),
        reader(roles=frozenset({Role.READER, "reader"})),
    ],
)
def test_facts_that_do_not_fit_the_schema_fail(who):
    assert ask({"exchange.cedar": forbid("x.y", "false")}, who) == FAILED


@pytest.mark.parametrize(
    "cls",
    [
        marked(label(classification="secret")),
        marked(LABEL, topic=3),
        marked(LABEL, kind=None),
        marked(LABEL, regions=(1,)),
    ],
)
def test_a_class_that_does_not_fit_the_schema_fails(cls):
    assert ask({"exchange.cedar": forbid("x.y", "false")}, cls=cls) == FAILED


def engine_answering(decision, *, reasons=(), errors=(), times=1):
    result = SimpleNamespace(decision=decision, diagnostics=SimpleNamespace(reasons=list(reasons), errors=list(errors)))
    return lambda *_arguments, **_named: [result] * times


@pytest.mark.parametrize(
    "engine",
    [
        engine_answering(cedarpy.Decision.NoDecision),
        engine_answering(cedarpy.Decision.NoDecision, reasons=["permit-all"]),
        engine_answering(cedarpy.Decision.Deny),
        engine_answering(cedarpy.Decision.Allow),
        engine_answering(cedarpy.Decision.Allow, reasons=["x.y"]),
        engine_answering(cedarpy.Decision.Allow, reasons=["permit-all", "x.y"]),
        engine_answering(cedarpy.Decision.Allow, reasons=["permit-all"], errors=["boom"]),
        engine_answering(cedarpy.Decision.Allow, reasons=["permit-all"], times=0),
        engine_answering(cedarpy.Decision.Allow, reasons=["permit-all"], times=2),
        lambda *_arguments, **_named: 1 // 0,
    ],
)
def test_an_engine_that_answers_anything_but_a_clean_allow_fails(engine, monkeypatch):
    loaded = load_guards({"exchange.cedar": forbid("x.y", "false")}, SCHEMA)
    monkeypatch.setattr(guards.cedarpy, "is_authorized_batch", engine)

    assert loaded.forbidding(READER, [GuardQuestion(CLASS, LABEL)], Use.READ, CATALOGUE) == (FAILED,)


def test_a_clean_allow_is_clear(monkeypatch):
    loaded = load_guards({"exchange.cedar": forbid("x.y")}, SCHEMA)
    monkeypatch.setattr(
        guards.cedarpy, "is_authorized_batch", engine_answering(cedarpy.Decision.Allow, reasons=["permit-all"])
    )

    (verdict,) = loaded.forbidding(READER, [GuardQuestion(CLASS, LABEL)], Use.READ, CATALOGUE)

    assert verdict.is_clear


@pytest.mark.parametrize("verdict", [FAILED, GuardVerdict(("x.y",)), GuardVerdict(("x.y",), has_failed=True)])
def test_neither_a_failure_nor_a_forbid_is_clear(verdict):
    assert not verdict.is_clear


def test_guards_never_widen_what_the_rules_refuse():
    law = law_with(exchange=forbid("x.y", "false"))

    for clause in (None, scope(in_force=False), scope(readers=frozenset())):
        assert isinstance(decide(READER, CLASS, clause, ROW, Use.READ, law), Refusal)
    assert isinstance(decide(READER, CLASS, SCOPE, ROW, Use.READ, law), Permit)


def test_a_question_that_cannot_be_put_fails_alone():
    loaded = load_guards({"exchange.cedar": forbid("x.low", "resource.level_rank < 2")}, SCHEMA)
    questions = [GuardQuestion(CLASS, each) for each in (LOWER, label(classification="UNKNOWN"), LABEL)]

    verdicts = loaded.forbidding(READER, questions, Use.READ, CATALOGUE)

    assert verdicts == (GuardVerdict(("x.low",)), FAILED, GuardVerdict())


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_question_that_cannot_be_put_leaves_every_other_its_own_answer(others):
    loaded = load_guards({"exchange.cedar": forbid("x.low", "resource.level_rank < 2")}, SCHEMA)
    questions = [GuardQuestion(CLASS, each) for each in (label(classification="UNKNOWN"), *[LOWER] * others)]

    verdicts = loaded.forbidding(READER, questions, Use.READ, CATALOGUE)

    assert verdicts == (FAILED, *[GuardVerdict(("x.low",))] * others)


# ── files ──


# What is said of a fault, or how that begins, by its code; which policy of a file it is stands before it.
SAID = {
    "bad-schema": "the schema cannot be read: ",
    "bad-name": "a guard file is named after a member (`NOR.cedar`) or in lower case (`exchange.cedar`)",
    "too-large": "more than 65536 bytes: split the file",
    "malformed": "not Cedar: ",
    "against-schema": "[policy",
    "template": "a guard has no slots (`?principal`): write out what it is about",
    "empty": "no guard in this file: remove it, or mend it",
    "permit": "a guard forbids: `permit` would be a way around the base rules",
    "bad-id": 'give it `@id("...")`: lower-case letters, digits, `.` and `-`, 2 to 64 characters',
    "bad-reason": 'give it `@reason("...")`: one line, at most 200 characters',
    "unknown-annotation": "a guard carries `@id` and `@reason` and no other annotation",
    "names-a-report": "a guard cannot name one report: say which attributes it is about",
    "bare-agency": "`",
    "agency-use": 'ask about an agency by `==`, `!=`, `like` or `["NOR/NIS"].contains(...)`, with texts alone',
    "repeated-id": '`@id("',
}


def faults_of(files, schema=SCHEMA):
    with pytest.raises(InvalidError) as caught:
        load_guards(files, schema)
    for fault in caught.value.faults:
        assert re.sub(r"^policy\d+: ", "", fault.message).startswith(SAID[fault.code])
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('@id("a.b") @reason("x") permit (principal, action, resource);', ["permit"]),
        ('@reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id("") @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id("A.B") @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id("a") @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        (f'@id("{"a" * 65}") @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id("permit-all") @reason("x") forbid (principal, action, resource);', ["bad-id"]),
        ('@id("a.b") forbid (principal, action, resource);', ["bad-reason"]),
        ('@id("a.b") @reason(" ") forbid (principal, action, resource);', ["bad-reason"]),
        ('@id("a.b") @reason forbid (principal, action, resource);', ["bad-reason"]),
        ('@id("a.b") @reason("x\\ny") forbid (principal, action, resource);', ["bad-reason"]),
        (f'@id("a.b") @reason("{"x" * 201}") forbid (principal, action, resource);', ["bad-reason"]),
        ('@id("a.b") @reason("x") @note("x") forbid (principal, action, resource);', ["unknown-annotation"]),
        ('@id("a.b") @reason("x") forbid (principal == ?principal, action, resource);', ["template", "empty"]),
        (forbid("a.b", 'resource == Report::"0"'), ["names-a-report"]),
        (forbid("a.b", 'principal.member == "X" || [Report::"0"].contains(resource)'), ["names-a-report"]),
        ('@id("a.b") @reason("x") forbid (principal, action, resource == Report::"0");', ["names-a-report"]),
        # An agency is `NOR/NIS` here, and what it can never be would stop nobody.
        (forbid("a.b", 'principal.agency == "NIS"'), ["bare-agency"]),
        (forbid("a.b", '"NIS" != principal["agency"]'), ["bare-agency"]),
        (forbid("a.b", '!["NIS", "GBR/NCSC", "NIS.2"].contains(principal.agency)'), ["bare-agency", "bare-agency"]),
        (forbid("a.b", 'principal.agency like "NIS*"'), ["bare-agency"]),
        *(
            (forbid("a.b", f'principal.agency == "{text}"'), ["bare-agency"])
            for text in ("", "/NIS", "nor/NIS", "NOR/")
        ),
        *((forbid("a.b", f'principal.agency like "{text}"'), ["bare-agency"]) for text in ("", "/NIS*", "NOR*", "N*S")),
        *(
            (forbid("a.b", text), ["agency-use"])
            for text in (
                '["NIS"].containsAny([principal.agency])',
                '[principal.agency].containsAny(["NOR/NIS"])',
                '[principal.agency] == ["NOR/NIS"]',
                '["NOR/NIS", principal.agency].contains("NIS")',
                'principal.agency == (if principal.member == "NOR" then "NOR/NIS" else "GBR/X")',
                '(if principal.member == "NOR" then principal.agency else "x") == "NOR/NIS"',
                '{a: principal.agency}.a == "NOR/NIS"',
                '{a: principal}.a.agency == "NOR/NIS"',
                "principal.agency == principal.member",
                "resource.regions.contains(principal.agency)",
                '["NOR/NIS", principal.member].contains(principal.agency)',
                "principal.agency == principal.agency",
                'principal.agency == "NOR/NIS" || principal.agency != principal.member',
            )
        ),
        (forbid("a.b", "principal.colour == 3"), ["against-schema"]),
        (forbid("a.b", "resource.level_rank == 1 && context.weather"), ["against-schema", "against-schema"]),
        ("", ["empty"]),
        ("// nothing", ["empty"]),
        ("forbid (", ["malformed"]),
        ("permit (principal, action, resource);", ["permit", "bad-id", "bad-reason"]),
    ],
)
def test_a_guard_file_with_a_fault_is_refused(text, codes):
    assert faults_of({"guards/exchange.cedar": text}) == [("/guards~1exchange.cedar", code) for code in codes]


@pytest.mark.parametrize(
    "text",
    [
        f'@id("{"a" * 64}") @reason("x") forbid (principal, action, resource);',
        '@id("a1") @reason("x") forbid (principal, action, resource);',
        '@id("0.b-c.9") @reason("x") forbid (principal, action, resource);',
        f'@id("a.b") @reason("{"x" * 200}") forbid (principal, action, resource);',
        '@id("a.b") @reason(" x ") forbid (principal, action, resource);',
        # What is asked about is a client and an action: only a report has no identity.
        '@id("a.b") @reason("x") forbid (principal == Client::"c", action == Action::"read", resource);',
        '@id("a.b") @reason("x") forbid (principal, action, resource is Report);',
        forbid("a.b", 'resource.kind == "Report" && principal == Client::"id"'),
        forbid("a.b", 'principal.agency == "NOR/NIS" || ["GBR/NCSC"].contains(principal.agency)'),
        forbid("a.b", 'principal.agency like "NOR/*" || principal.agency like "*NIS" || resource.kind like "a*"'),
        forbid("a.b", 'principal.agency like "N*/NIS" || principal.agency != "EXCHANGE/OPS"'),
    ],
)
def test_a_guard_may_say_all_that_is_about_no_single_report(text):
    assert len(load_guards({"a.cedar": text}, SCHEMA).guards) == 1


@pytest.mark.parametrize("guard_id", ["-a", "a-", ".a", "a.", "a b", "å.b", "a_b", "a.b\\n"])
def test_an_id_begins_and_ends_with_a_letter_or_digit(guard_id):
    assert faults_of({"a.cedar": forbid(guard_id)}) == [("/a.cedar", "bad-id")]


def test_all_faults_of_all_files_are_reported():
    wrong = {"a.cedar": "forbid (", "b.cedar": "", "c.cedar": forbid("same.id"), "d.cedar": forbid("same.id")}

    assert faults_of(wrong) == [("/a.cedar", "malformed"), ("/b.cedar", "empty"), ("", "repeated-id")]


def test_faults_are_told_in_the_order_of_the_files_whatever_order_they_come_in():
    wrong = {"d.cedar": "forbid (", "c.cedar": forbid("a.id") * 3, "b~c/d.cedar": "", "a.cedar": forbid("z.id") * 2}

    with pytest.raises(InvalidError, match=r"^the guards cannot be used\n") as caught:
        load_guards(wrong, SCHEMA)
    assert [(fault.pointer, fault.code, fault.message.partition(":")[0]) for fault in caught.value.faults] == [
        ("/b~0c~1d.cedar", "empty", "no guard in this file"),
        ("/d.cedar", "malformed", "not Cedar"),
        ("", "repeated-id", '`@id("a.id")` stands on 3 guards'),
        ("", "repeated-id", '`@id("z.id")` stands on 2 guards'),
    ]


def test_size_of_a_file_is_told_in_bytes():
    text = forbid("a.b") + "//" + "é" * (MAX_GUARD_FILE_BYTES // 2)

    assert faults_of({"a.cedar": text}) == [("/a.cedar", "too-large")]
    assert MAX_GUARD_FILE_BYTES == 64 * 1024


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("NO.cedar", "NO"),
        ("A2.cedar", "A2"),
        (f"{'N' * 16}.cedar", "N" * 16),
        (f"{'n' * 63}.cedar", None),
        ("n-0.cedar", None),
        ("n.cedar", None),
    ],
)
def test_a_file_is_named_after_a_member_or_is_the_exchanges(name, member):
    (loaded,) = load_guards({name: forbid("a.b")}, SCHEMA).guards.values()

    assert loaded.member == member


@pytest.mark.parametrize(
    "name", [f"{'N' * 17}.cedar", f"{'n' * 64}.cedar", "N.cedar", "0N.cedar", "0n.cedar", "n_0.cedar", "nO.cedar"]
)
def test_no_other_name_says_whose_guards_they_are(name):
    assert faults_of({name: forbid("a.b")}) == [(f"/{name}", "bad-name")]


def test_an_id_stands_once_within_a_file_too():
    assert faults_of({"a.cedar": forbid("same.id") + forbid("same.id")}) == [("", "repeated-id")]


@pytest.mark.parametrize("name", ["Mixed.cedar", "NO.cedar.bak", "-x.cedar", "NOR-2.cedar", ".cedar", "Å.cedar"])
def test_a_file_name_must_say_whose_guards_it_holds(name):
    assert faults_of({name: forbid("a.b")}) == [(f"/{name}", "bad-name")]


def test_the_largest_file_is_read_and_a_larger_one_refused():
    text = forbid("a.b")
    padding = " " * (MAX_GUARD_FILE_BYTES - len(text))

    assert load_guards({"a.cedar": text + padding}, SCHEMA).guards.keys() == {"a.b"}
    assert faults_of({"a.cedar": text + padding + " "}) == [("/a.cedar", "too-large")]


def test_a_broken_schema_is_one_fault_and_the_files_are_still_read():
    assert faults_of({"a.cedar": "forbid ("}, "entity {") == [
        ("/exchange.cedarschema", "bad-schema"),
        ("/a.cedar", "malformed"),
    ]
    assert faults_of({"a.cedar": forbid("a.b")}, "entity {") == [("/exchange.cedarschema", "bad-schema")]


def test_a_fault_in_one_file_hides_none_in_the_next():
    wrong = {"a.cedar": "", "b.cedar": forbid("a.b", "principal.colour == 3")}

    assert faults_of(wrong) == [("/a.cedar", "empty"), ("/b.cedar", "against-schema")]


def test_loaded_guards_carry_reason_and_owner():
    loaded = load_guards({"x.cedar": forbid("x.y", reason="so"), "GBR.cedar": forbid("gbr.y", reason="sic")}, SCHEMA)

    assert [(guard.id, guard.reason, guard.member) for guard in loaded.guards.values()] == [
        ("gbr.y", "sic", "GBR"),
        ("x.y", "so", None),
    ]


def test_the_digest_follows_what_decides_and_not_how_it_is_laid_out():
    def digest(text, schema=SCHEMA, name="x.cedar"):
        return load_guards({name: text}, schema).digest

    original = digest(forbid("x.y"))

    assert digest("// why\n" + forbid("x.y").replace(" when", "\n  when")) == original
    assert digest(forbid("x.y", "false")) != original
    assert digest(forbid("x.z")) != original
    assert digest(forbid("x.y"), name="GBR.cedar") != original
    assert digest(forbid("x.y"), SCHEMA + "\nentity Other;") != original
    assert len(original) == 64


def test_the_digest_does_not_follow_the_order_in_which_the_engine_writes(monkeypatch):
    written = cedarpy.policies_to_json_str
    original = load_guards({"x.cedar": forbid("x.y")}, SCHEMA)

    def backwards(value):
        if isinstance(value, dict):
            return {key: backwards(item) for key, item in reversed(value.items())}
        return [backwards(item) for item in value] if isinstance(value, list) else value

    monkeypatch.setattr(cedarpy, "policies_to_json_str", lambda text: json.dumps(backwards(json.loads(written(text)))))
    assert load_guards({"x.cedar": forbid("x.y")}, SCHEMA).digest == original.digest
