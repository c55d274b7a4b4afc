import re
from dataclasses import replace

import pytest

from exchange.kernel import InvalidError
from exchange.markings import Label
from exchange.release import GuardQuestion, check_law, load_law
from exchange.release.guard_examples import read_examples, untested
from tests.support.release_world import CLASS, READER, files_with, law_files, law_with


def with_file(path, text):
    return {**law_files(), path: text}


def without(*paths):
    return {path: text for path, text in law_files().items() if path not in paths}


SAID = {
    "missing-file": r"`(exchange\.cedarschema|vocabulary\.yaml|alerts\.yaml|classification/\*\.yaml)` is missing: "
    r"put it into the policies folder",
    "unknown-file": r"no place for this file: "
    r"classification/\*\.yaml, guards/\*\.cedar, guards/\*\.examples\.yaml, agreements/\*\.yaml",
}


def faults_of(load, files):
    with pytest.raises(InvalidError) as caught:
        load(files)
    for fault in caught.value.faults:
        assert fault.message
        assert fault.code not in SAID or re.fullmatch(SAID[fault.code], fault.message)
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


def test_the_repositorys_law_loads_and_its_examples_hold():
    report = check_law(law_files())

    assert report.is_sound
    assert report.faults == ()
    assert {example.guard for example in report.examples} == set(report.law.guards.guards)
    assert "NATO" in report.law.catalogue.policies
    assert "cyber.apt" in report.law.vocabulary.topics


@pytest.mark.parametrize("path", ["exchange.cedarschema", "vocabulary.yaml", "alerts.yaml"])
def test_a_missing_file_is_refused(path):
    with pytest.raises(InvalidError, match=r"^the policies are not complete\n") as caught:
        load_law(without(path))

    assert [(fault.pointer, fault.code, fault.message) for fault in caught.value.faults] == [
        ("", "missing-file", f"`{path}` is missing: put it into the policies folder")
    ]


def test_no_security_policy_at_all_is_refused():
    files = {path: text for path, text in law_files().items() if not path.startswith("classification/")}
    put_aside = {**files, "classification/NATO.yaml.bak": law_files()["classification/NATO.yaml"]}

    assert faults_of(load_law, files) == [("", "missing-file")]
    assert faults_of(load_law, put_aside) == [("", "missing-file"), ("/classification~1NATO.yaml.bak", "unknown-file")]


def test_an_examples_file_is_read_as_no_guards_whatever_it_is_named():
    files = files_with(guards={"exchange.cedar": GUARD, "exchange.cedar.examples.yaml": HOLDS})

    assert check_law(files).is_sound


@pytest.mark.parametrize(
    "path",
    [
        "guard/NOR.cedar",
        "NOR.cedar",
        "guards/deep/NOR.cedar",
        "guards/NOR.yaml",
        "classification/NOR.yml",
        "notes.yaml",
        # What an editor or an operator leaves behind is no law, and is told.
        "guards/NOR.cedar.bak",
        "guards/NOR.examples.yaml.swp",
        "classification/NOR.yaml.old",
        "agreements/north-sea.yaml.orig",
    ],
)
def test_a_file_in_no_known_place_is_refused(path):
    assert faults_of(load_law, with_file(path, "")) == [("/" + path.replace("/", "~1"), "unknown-file")]


def test_every_file_in_no_known_place_is_told_in_order():
    files = {"z~y.yaml": "", **law_files(), "guards/b/c~d.cedar": "", "a.yaml": ""}

    assert faults_of(load_law, files) == [
        (pointer, "unknown-file") for pointer in ("/a.yaml", "/guards~1b~1c~0d.cedar", "/z~0y.yaml")
    ]
    assert [code for _, code in faults_of(load_law, {"a.yaml": ""})] == ["missing-file"] * 4 + ["unknown-file"]


def test_rules_for_alerts_have_a_digest_of_their_own():
    files = law_files()
    law, other = load_law(files), load_law(with_file("alerts.yaml", files["alerts.yaml"].replace("low", "high")))

    assert other.digest == law.digest
    assert other.alerts.digest != law.alerts.digest


def test_example_agreements_are_no_part_of_the_law():
    law = load_law(law_files())

    assert load_law(with_file("agreements/other.yaml", "anything")).digest == law.digest


def small_law():
    # As little as a law can be, so that its digest hangs on nothing that members may want to change.
    return {
        "exchange.cedarschema": "entity Client; entity Report;",
        "classification/BASE.yaml": """policy: BASE
title: Base
authority: Nobody
base: true
source: {citation: "made up", in_force: 2021-07-01}
levels:
  - {name: HIGH, marking: HIGH, rank: 1}
  - {name: LOW, marking: LOW, rank: 0}
categories:
  compartments: [{name: C, kind: exercise, meaning: "made up"}]
  caveats: [{name: K, kind: exercise, meaning: "made up"}]
""",
        "vocabulary.yaml": "topics: {cyber: C}\nregions: {EUR: E}\nkinds: {intrep: I}\npurposes: {defence: D}\n",
        "alerts.yaml": 'hours: {default: {zone: UTC, days: [], from: "06:00", until: "20:00"}, members: {}}\nrules: []\n',
    }


def test_the_digest_is_made_the_same_way_in_every_version():
    # Nodes compare it and the log keeps it: made another way it would tell laws apart that are one.
    assert load_law(small_law()).digest == "ce74f7b87df1cb5ed1ee528f3f62babe2b76fd32323d1c52921e01789cf634fa"


def test_a_fault_in_a_security_policy_is_told_with_the_name_of_its_file():
    files = small_law()
    broken = {**files, "classification/BASE.yaml": files["classification/BASE.yaml"].replace("rank: 1", "rank: 7")}

    assert faults_of(load_law, broken) == [("/BASE.yaml/levels/0", "wrong-order")]


def test_the_digest_changes_with_everything_that_can_alter_a_decision():
    files = law_files()
    guards = files["guards/exchange.cedar"]
    original = load_law(files).digest

    changed = [
        with_file("guards/exchange.cedar", guards.replace('"EXCHANGE"', '"EUROPOL"')),
        with_file("guards/GBR.cedar", '@id("gbr.x") @reason("x") forbid (principal, action, resource);'),
        with_file("vocabulary.yaml", files["vocabulary.yaml"].replace("  cyber.crime:", "  cyber.theft:")),
        files_with(),
    ]

    assert len({original, *(load_law(each).digest for each in changed)}) == 5
    assert load_law(with_file("guards/exchange.cedar", "// note\n" + guards)).digest == original


GUARD = '@id("x.y") @reason("x") forbid (principal, action, resource) when { principal.member == "ESP" };'
HOLDS = """examples:
  - {name: Spain, guard: x.y, forbids: true, reader: {member: ESP}}
  - {name: Norway, guard: x.y, forbids: false}
"""


def checked(examples, guard=GUARD):
    return files_with(guards={"exchange.cedar": guard, "exchange.examples.yaml": examples})


def codes(report):
    return [(fault.pointer, fault.code, fault.line) for fault in report.faults]


def test_examples_that_hold_are_sound():
    report = check_law(checked(HOLDS))

    assert report.is_sound
    assert [(example.name, example.forbids) for example in report.examples] == [("Spain", True), ("Norway", False)]


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("member: ESP", "member: DNK", 2, "`Spain`: `x.y` should forbid this, and does not"),
        (
            "forbids: false}",
            "forbids: false, reader: {member: ESP}}",
            3,
            "`Norway`: `x.y` should not forbid this, and does",
        ),
    ],
)
def test_an_example_that_comes_out_otherwise_is_a_fault_with_its_line(before, after, line, message):
    report = check_law(checked(HOLDS.replace(before, after)))

    assert not report.is_sound
    assert codes(report) == [("/guards/exchange.examples.yaml", "example-failed", line)]
    assert report.faults[0].message == message


def test_what_another_guard_forbids_shows_nothing_of_this_one():
    both = GUARD.replace("ESP", "FRA") + GUARD.replace("x.y", "x.z")
    shown = HOLDS + "  - {name: other, guard: x.z, forbids: true, reader: {member: ESP}}\n"

    found = [fault.message for fault in check_law(checked(shown, both)).faults]
    assert found[0] == "`Spain`: `x.y` should forbid this, and does not"


def test_a_guard_without_both_kinds_of_example_is_a_fault():
    only_one = "\n".join(HOLDS.splitlines()[:2])

    assert codes(check_law(checked(only_one))) == [("", "untested-guard", None)]
    report = check_law(files_with(guards={"exchange.cedar": GUARD}))
    assert [(fault.code, fault.message) for fault in report.faults] == [
        ("untested-guard", "`x.y` has no example that it forbids: add one"),
        ("untested-guard", "`x.y` has no example that it does not forbid: add one"),
    ]


def test_an_example_in_which_a_guard_fails_is_a_fault():
    failing = GUARD.replace('principal.member == "ESP"', "principal.level_rank + 9223372036854775807 > 0")
    one = "examples:\n  - {name: n, guard: x.y, forbids: false, report: {classification: UNKNOWN}}"

    report = check_law(checked(one))
    assert codes(report)[0] == ("/guards/exchange.examples.yaml", "rule-failed", 2)
    assert report.faults[0].message == "`n`: a guard failed to answer, so the exchange would refuse"
    assert ("/guards/exchange.examples.yaml", "rule-failed", 2) in codes(check_law(checked(HOLDS, failing)))


@pytest.mark.parametrize(
    "condition",
    [
        'principal.agency == "DNK/X" && principal.nationality == "DNK"',
        'principal.roles.contains("releaser") && principal.level == "RESTRICTED"',
        'principal.compartments.contains("ATOMAL") && context.purpose == "judicial"',
        'context.assurance == "token" && action == Action::"onward"',
        'resource.originator == "FRA" && resource.topic == "air.drones" && resource.kind == "imagery"',
        'resource.regions == ["AFR", "EUR"] && resource.releasable_to == ["DNK", "ESP"]',
        'resource.compartments == ["ATOMAL", "BOHEMIA"] && resource.handling == ["ORCON"]',
        'resource.agreement == "a" && resource.scope == "s" && resource.classification == "TOP SECRET"',
    ],
)
def test_an_example_can_state_everything_a_guard_can_see(condition):
    everything = """examples:
  - name: all fields
    guard: x.y
    forbids: true
    use: onward
    reader: {member: DNK, client: c, agency: DNK/X, nationality: DNK, roles: [releaser], level: RESTRICTED, compartments: [ATOMAL], purpose: judicial, assurance: token}
    report: {agreement: a, scope: s, originator: FRA, topic: air.drones, regions: [EUR, AFR], kind: imagery, policy: NATO, classification: TOP SECRET, compartments: [BOHEMIA, ATOMAL], releasable_to: [ESP, DNK], handling: [ORCON]}
  - {name: nothing stated, guard: x.y, forbids: false}
"""
    guard = GUARD.replace('principal.member == "ESP"', condition)

    assert check_law(checked(everything, guard)).is_sound


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("examples: []", "empty"),
        ("{}", "missing-field"),
        ("examples: [", "not-yaml"),
        ("examples: [{name: n, guard: x.y, forbids: true}]\nmore: 1", "unknown-field"),
        ("examples: [{name: n, guard: no.such, forbids: true}]", "unknown-guard"),
        ("examples: [{name: n, guard: x.y, forbids: 'yes'}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: 1}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y}]", "missing-field"),
        ("examples: [{guard: x.y, forbids: true}]", "missing-field"),
        ("examples: [{name: 1, guard: x.y, forbids: true}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {colour: red}}]", "unknown-field"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {member: 1}}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {roles: [king]}}]", "unknown-word"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {roles: king}}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {compartments: ATOMAL}}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: true, reader: {assurance: none}}]", "unknown-word"),
        ("examples: [{name: n, guard: x.y, forbids: true, report: {colour: red}}]", "unknown-field"),
        ("examples: [{name: n, guard: x.y, forbids: true, report: {regions: [EUR, EUR]}}]", "repeated"),
        ("examples: [{name: n, guard: x.y, forbids: true, report: {policy: [NATO]}}]", "wrong-type"),
        ("examples: [{name: n, guard: x.y, forbids: true, use: write}]", "unknown-word"),
        ("examples: [7]", "wrong-type"),
    ],
)
def test_a_faulty_examples_file_is_refused_with_its_place(text, code):
    with pytest.raises(InvalidError) as caught:
        check_law(checked(text))

    assert code in [fault.code for fault in caught.value.faults]
    assert all(fault.pointer.startswith("/guards/exchange.examples.yaml") for fault in caught.value.faults)
    assert all(fault.line for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("example", "pointer"),
    [
        ("{name: [n], guard: x.y, forbids: true}", "name"),
        ("{name: n, guard: [x.y], forbids: true}", "guard"),
        ("{name: n, guard: x.y, forbids: true, use: write}", "use"),
        ("{name: n, guard: x.y, forbids: true, reader: 1}", "reader"),
        ("{name: n, guard: x.y, forbids: true, reader: {level: 1}}", "reader/level"),
        ("{name: n, guard: x.y, forbids: true, reader: {roles: x}}", "reader/roles"),
        ("{name: n, guard: x.y, forbids: true, reader: {roles: [x]}}", "reader/roles"),
        ("{name: n, guard: x.y, forbids: true, reader: {compartments: x}}", "reader/compartments"),
        ("{name: n, guard: x.y, forbids: true, reader: {assurance: x}}", "reader/assurance"),
        ("{name: n, guard: x.y, forbids: true, report: 1}", "report"),
        ("{name: n, guard: x.y, forbids: true, report: {topic: 1}}", "report/topic"),
        ("{name: n, guard: x.y, forbids: true, report: {handling: x}}", "report/handling"),
    ],
)
def test_a_fault_in_an_example_says_where_it_is(example, pointer):
    with pytest.raises(InvalidError, match=r"^the examples cannot be read\n") as caught:
        check_law(checked(f"examples:\n  - {example}"))

    (fault,) = caught.value.faults
    assert fault.pointer == f"/guards/exchange.examples.yaml/examples/0/{pointer}"


@pytest.mark.parametrize(
    ("example", "place", "code"),
    [
        ("{guard: x.y, forbids: true}", "", "missing-field"),
        ("{name: n, forbids: true}", "", "missing-field"),
        ("{name: n, guard: x.y}", "", "missing-field"),
        ('{name: "", guard: x.y, forbids: true}', "/name", "empty"),
        ('{name: n, guard: "", forbids: true}', "/guard", "empty"),
        ("{name: n, guard: x.y, forbids: null}", "/forbids", "wrong-type"),
        ("{name: n, guard: x.y, forbids: true, note: x}", "/note", "unknown-field"),
        ('{name: n, guard: x.y, forbids: true, reader: {member: ""}}', "/reader/member", "empty"),
        ("{name: n, guard: x.y, forbids: true, reader: {topic: x}}", "/reader/topic", "unknown-field"),
        ("{name: n, guard: x.y, forbids: true, report: {member: x}}", "/report/member", "unknown-field"),
        ("{name: n, guard: x.y, forbids: true, reader: {roles: [reader, 1]}}", "/reader/roles", "wrong-type"),
        ("{name: n, guard: x.y, forbids: true, report: {regions: [EUR, EUR]}}", "/report/regions/1", "repeated"),
    ],
)
def test_a_fault_in_an_example_is_told_once(example, place, code):
    expected = [(f"/guards/exchange.examples.yaml/examples/0{place}", code)]

    assert faults_of(check_law, checked(f"examples:\n  - {example}")) == expected


@pytest.mark.parametrize(
    "usual",
    [
        'principal.member == "NOR" && principal.agency == "NOR/NIS" && principal.nationality == "NOR"',
        'principal.roles == ["reader"] && principal.level == "TOP SECRET" && principal.compartments.isEmpty()',
        'context.purpose == "defence" && context.assurance == "mutual-tls" && action == Action::"read"',
        'resource.agreement == "example" && resource.scope == "example" && resource.originator == "GBR"',
        'resource.topic == "cyber.apt" && resource.regions == ["EUR"] && resource.kind == "intrep"',
        'resource.policy == "NATO" && resource.classification == "SECRET" && resource.compartments.isEmpty()',
        'resource.releasable_to == ["NOR"] && resource.handling.isEmpty()',
    ],
)
def test_what_an_example_leaves_out_is_what_its_file_says(usual):
    bare = """examples:
  - {name: nothing stated, guard: x.y, forbids: true}
  - {name: all else, guard: x.y, forbids: false, use: onward, reader: {member: DNK, roles: [], assurance: token},
     report: {originator: NOR, topic: air.drones, policy: EU, handling: [ORCON], releasable_to: []}}
"""

    assert check_law(checked(bare, GUARD.replace('principal.member == "ESP"', usual))).is_sound


def test_example_that_says_nothing_is_about_these_facts():
    faults = []
    (example,) = read_examples(
        "a", "examples: [{name: n, guard: x.y, forbids: true}]", law_with(exchange=GUARD), faults
    )
    label = Label("NATO", "SECRET", (), ("NOR",), ())

    assert faults == []
    assert example.reader == replace(READER, client="example", level="TOP SECRET", compartments=frozenset())
    assert example.question == GuardQuestion(
        replace(CLASS, agreement="example", scope="example", label=label, part_labels=(label,)), label
    )


def test_example_with_a_fault_is_not_run():
    faults = []
    mixed = HOLDS.replace("forbids: true", "forbids: 1")

    examples = read_examples("a", mixed, law_with(exchange=GUARD), faults)

    assert [example.name for example in examples] == ["Norway"]
    assert [(fault.pointer, fault.code) for fault in faults] == [("/a/examples/0/forbids", "wrong-type")]


@pytest.mark.parametrize(("text", "code"), [("examples: []", "empty"), ("examples: 7", "wrong-type")])
def test_examples_that_are_no_list_of_some_are_pointed_at(text, code):
    assert faults_of(check_law, checked(text)) == [("/guards/exchange.examples.yaml/examples", code)]


def test_guards_that_nothing_tests_are_told_in_order_whatever_theirs():
    assert [fault.message.partition("`")[2].partition("`")[0] for fault in untested([], ["x.b", "x.a"])] == [
        "x.a",
        "x.a",
        "x.b",
        "x.b",
    ]


def test_faults_of_all_examples_are_told_at_once_in_the_order_of_their_files():
    two = "examples:\n  - {name: n, guard: x.y, forbids: 1}\n  - {name: n, guard: no.such, forbids: true}"
    files = files_with(
        guards={"exchange.cedar": GUARD, "b.examples.yaml": two, "c.examples.yaml": HOLDS, "a.examples.yaml": two}
    )

    assert faults_of(check_law, files) == [
        (f"/guards/{name}.examples.yaml/examples/{place}", code)
        for name in ("a", "b")
        for place, code in (("0/forbids", "wrong-type"), ("1/guard", "unknown-guard"))
    ]


def test_examples_that_ran_are_told_with_where_they_stand():
    later = HOLDS.replace("Spain", "Iberia").replace("Norway", "Fjords")
    report = check_law(files_with(guards={"exchange.cedar": GUARD, "b.examples.yaml": later, "a.examples.yaml": HOLDS}))

    assert [(example.name, example.file, example.line) for example in report.examples] == [
        ("Spain", "guards/a.examples.yaml", 2),
        ("Norway", "guards/a.examples.yaml", 3),
        ("Iberia", "guards/b.examples.yaml", 2),
        ("Fjords", "guards/b.examples.yaml", 3),
    ]


def test_guards_without_examples_are_told_in_order():
    guards = GUARD.replace("x.y", "x.z") + GUARD

    report = check_law(files_with(guards={"exchange.cedar": guards, "exchange.examples.yaml": HOLDS}))
    assert [(fault.code, fault.message) for fault in report.faults] == [
        ("untested-guard", "`x.z` has no example that it forbids: add one"),
        ("untested-guard", "`x.z` has no example that it does not forbid: add one"),
    ]
    neither = check_law(files_with(guards={"exchange.cedar": guards})).faults
    assert [fault.message[:5] for fault in neither] == ["`x.y`", "`x.y`", "`x.z`", "`x.z`"]


def test_an_example_may_state_that_there_is_nothing():
    bare = HOLDS.replace("reader: {member: ESP}", "reader: {member: ESP, roles: [], compartments: []}")

    assert check_law(checked(bare)).is_sound


def test_an_examples_file_beside_no_guard_file_is_read_too():
    files = files_with(guards={"exchange.cedar": GUARD, "other.examples.yaml": HOLDS})

    assert check_law(files).is_sound
