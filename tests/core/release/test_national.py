"""What a member may put in force for its own reports, and what it costs and tells others: nothing."""

import re
import time
from dataclasses import replace

import pytest

from exchange.agreements.reading import MOST_ITEMS
from exchange.kernel import Fault, InvalidError
from exchange.release import (
    DecisionCache,
    GuardQuestion,
    GuardVerdict,
    NationalText,
    Permit,
    Reason,
    Refusal,
    Use,
    check_national,
    decide,
    decide_cached,
    stored_national,
)
from exchange.release.national_text import (
    MAX_GUARD_JOINTS,
    MAX_GUARD_WORDS,
    MAX_JOINTS,
    MAX_LITERAL_CHARACTERS,
    MAX_NATIONAL_BYTES,
    MAX_NATIONAL_GUARDS,
    MAX_NESTING,
    MAX_WILDCARDS,
    MAX_WORDS,
    read_national,
)
from tests.support.national import example, guard, no_court, not_to, shown
from tests.support.release_world import CLASS, READER, ROW, SCOPE, law_files, law_with, real_law

SCHEMA = law_files()["exchange.cedarschema"]
OVERFLOW = "resource.level_rank + 9223372036854775807 > 0"


# What is said of the faults that only a member's caveats can have, by code.
SAID = {
    "empty": r"no guard in this file: remove it, or mend it",
    "not-plain": r"the character U\+[0-9A-F]{4} does not show: leave it out"
    r"|the text is not in Unicode's composed form \(NFC\): what looks equal would differ"
    r"|`gbr\.x`: a text holds characters that do not show",
    "too-large": r"more than 65536 bytes|\d+ words and signs: at most 8000|\d+ operators: at most 800"
    r"|`gbr\.x`: a text of more than 256 characters|`gbr\.x`: more than 8 `\*` in one pattern",
    "too-deep": r"brackets stand \d+ deep: at most 16|\d+ operators in one guard: at most 40, so split it"
    r"|\d+ words and signs in one guard: at most 1000, so split it"
    r"|an expression is nested too deeply: split the guard",
    "too-many": r"201 guards: at most 200",
    "needless": r"every attribute is always there: leave `has` out",
    "names-an-originator": r"`gbr\.x`: it is asked about your reports alone; leave `originator` out",
}


def codes_of(act, *arguments):
    with pytest.raises(InvalidError) as refused:
        act(*arguments)
    return {fault.code for fault in refused.value.faults}


def codes(text):
    with pytest.raises(InvalidError) as refused:
        read_national("GBR", text, SCHEMA)
    for fault in refused.value.faults:
        assert fault.message
        assert fault.code not in SAID or re.fullmatch(SAID[fault.code], fault.message)
    return {fault.code for fault in refused.value.faults}


def in_force(*guards, member="GBR", law=None):
    law = law or real_law()
    return law.with_national([law.guards.prepared(member, read_national(member, "".join(guards), law.guards.schema))])


def ask(law, cls=CLASS, who=READER):
    return decide(who, cls, SCOPE, ROW, Use.READ, law)


def test_who_tries_something_out_tries_it_without_what_others_have_as_files():
    law = law_with(GBR=guard("gbr.nobody"), exchange=guard("exchange.no-court", 'context.purpose == "judicial"'))

    assert isinstance(ask(law), Refusal)
    assert isinstance(ask(law.known_to("NOR")), Permit)
    assert isinstance(ask(law.known_to("GBR")), Refusal)
    assert set(law.known_to("NOR").guards.guards) == {"exchange.no-court"}


# ── what may be written ──


def test_forbidding_guards_are_read_sorted_by_id():
    text = guard("gbr.b", 'context.purpose == "judicial"') + "// why\n" + guard("gbr.a", reason="très SECRET")

    assert [(each.id, each.reason, each.member) for each in read_national("GBR", text, SCHEMA)] == [
        ("gbr.a", "très SECRET", "GBR"),
        ("gbr.b", "because", "GBR"),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("// nothing here", "empty"),
        ("forbid", "malformed"),
        (guard("gbr.x").replace("forbid", "permit"), "permit"),
        (guard("gbr.x") + guard("gbr.y").replace("forbid", "permit"), "permit"),
        (guard("gbr.x").replace("(principal,", "(principal == ?principal,"), "template"),
        (guard("gbr.x").replace(", resource)", ", resource in ?resource)"), "template"),
        (guard("gbr.x") * 2, "repeated-id"),
        (guard("nor.x"), "bad-id"),
        (guard("x"), "bad-id"),
        (guard("gbrx"), "bad-id"),
        (guard("exchange.x"), "bad-id"),
        (guard("permit-all"), "bad-id"),
        (guard("gbr.x", reason=" "), "bad-reason"),
        (guard("gbr.x", 'resource.subject == "x"'), "against-schema"),
        (guard("gbr.x", "resource.level_rank == principal.member"), "against-schema"),
        (guard("gbr.x", 'resource == Report::"0"'), "names-a-report"),
        (guard("gbr.x", 'resource.originator == "NOR"'), "names-an-originator"),
        (guard("gbr.x", 'resource["originator"] == "GBR"'), "names-an-originator"),
        (guard("gbr.x", 'resource["\\u{6f}riginator"] == "NOR"'), "names-an-originator"),
        (guard("gbr.x", 'if resource.originator == "NOR" then true else false'), "names-an-originator"),
        (guard("gbr.x", "principal has nationality"), "needless"),
        (guard("gbr.x", 'resource.kind == "\u202e"'), "not-plain"),
        (guard("gbr.x", 'resource.kind == "\\u{202e}"'), "not-plain"),
        (guard("gbr.x", 'resource.kind == "\\0"'), "not-plain"),
        (guard("gbr.x", 'resource.kind == "e\u0301"'), "not-plain"),
        (guard("gbr.x", 'resource.kind == "e\\u{301}"'), "not-plain"),
        ("// \ud800\n" + guard("gbr.x"), "not-plain"),
        ("// e\u0301\n" + guard("gbr.x"), "not-plain"),
        ("// forbid\r" + guard("gbr.x"), "not-plain"),
        ("// \u2028" + guard("gbr.x"), "not-plain"),
        ("\x1b[2K" + guard("gbr.x"), "not-plain"),
    ],
)
def test_what_is_no_plain_forbid_is_refused(text, code):
    assert code in codes(text)


def test_windows_line_ends_and_tabs_are_plain():
    assert len(read_national("GBR", "// one\r\n\t" + guard("gbr.x").replace("\n", "\r\n"), SCHEMA)) == 1


def test_faults_are_all_told_and_no_more_than_a_hundred():
    assert codes(guard("nor.x") + guard("gbr.x", 'resource.originator == "NOR"')) == {"bad-id", "names-an-originator"}
    with pytest.raises(InvalidError) as refused:
        read_national("GBR", "".join(guard(f"nor.{number}") for number in range(150)), SCHEMA)
    assert len(refused.value.faults) == 100


# ── how large and deep it may be ──

PLAIN = 'resource.kind == "a"'


def bounded(joints):
    # `when` is one of them.
    return guard("gbr.x", " || ".join([PLAIN] * joints))


@pytest.mark.parametrize(
    ("most", "more"),
    [
        ("//" + "x" * (MAX_NATIONAL_BYTES - 2 - len(guard("gbr.x")) - 1) + "\n" + guard("gbr.x"), None),
        ("".join(guard(f"gbr.{number}") for number in range(MAX_NATIONAL_GUARDS)), guard("gbr.more")),
        (bounded(MAX_GUARD_JOINTS), None),
        (guard("gbr.x", "(" * (MAX_NESTING - 1) + "true" + ")" * (MAX_NESTING - 1)), None),
        (guard("gbr.x", f'principal.agency like "{"*a" * MAX_WILDCARDS}"'), None),
        (guard("gbr.x", f'resource.kind == "{"a" * MAX_LITERAL_CHARACTERS}"'), None),
    ],
)
def test_the_largest_that_fits_is_taken_by_the_engine(most, more):
    prepared = real_law().guards.prepared("GBR", read_national("GBR", most, SCHEMA))

    assert prepared.policies is not None
    if more is not None:
        assert codes(most + more) == {"too-many"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("//" + "x" * MAX_NATIONAL_BYTES + "\n" + guard("gbr.x"), "too-large"),
        ("//" + "é" * (MAX_NATIONAL_BYTES // 2) + "\n" + guard("gbr.x"), "too-large"),
        (bounded(MAX_GUARD_JOINTS + 1), "too-deep"),
        (guard("gbr.x", "(" * MAX_NESTING + "true" + ")" * MAX_NESTING), "too-deep"),
        # Each of these ends the process where it reaches the parser.
        (guard("gbr.x", "(" * 20_000 + "true" + ")" * 20_000), "too-deep"),
        (guard("gbr.x", "[" * 20_000 + "]" * 20_000), "too-deep"),
        (guard("gbr.x", "[" * 20_000), "too-deep"),
        (guard("gbr.x", "{a: " * 5_000 + "1" + "}" * 5_000), "too-deep"),
        (guard("gbr.x", "!" * 41 + "true"), "too-deep"),
        (guard("gbr.x", "if true then " * 100 + "true" + " else true" * 100), "too-deep"),
        (guard("gbr.x", "1" + "+1" * 10_000 + " == 2"), "too-deep"),
        (guard("gbr.x", "true } when { " * 50 + "true"), "too-deep"),
        (guard("gbr.x", "resource" + ".kind" * 400), "too-deep"),
        (guard("gbr.x", "[1]" + ".contains(1)" * 180), "too-deep"),
        (guard("gbr.x", "resource" + ".kind" * 5_000), "too-deep"),
        (guard("gbr.x", "resource has kind" + ".kind" * 5_000), "needless"),
        (guard("gbr.x", f'principal.agency like "{"*a" * (MAX_WILDCARDS + 1)}"'), "too-large"),
        (guard("gbr.x", f'resource.kind == "{"a" * (MAX_LITERAL_CHARACTERS + 1)}"'), "too-large"),
        (
            "".join(guard(f"gbr.{place}", " || ".join([PLAIN] * 30)) for place in range(MAX_JOINTS // 30 + 1)),
            "too-large",
        ),
        (
            "".join(guard(f"gbr.{n}", "[" + ",".join(["1"] * 40) + "] == [1]") for n in range(MAX_WORDS // 100)),
            "too-large",
        ),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)
def test_too_large_and_too_deep_is_refused_at_once(text, code):
    begin = time.process_time()

    assert code in codes(text)
    assert time.process_time() - begin < 1.0


def test_words_of_one_guard_are_bounded():
    text = guard("gbr.x", "[" + ",".join(["1"] * (MAX_GUARD_WORDS // 2)) + "] == [1]")

    assert codes(text) == {"too-deep"}


def of_words(number):
    # 22 words and signs stand around a condition; a list of n ones has 2 n + 1.
    ones, is_even = divmod(number - 27, 2)
    return guard("gbr.n", f"[{','.join('1' * ones)}]" + (".contains(1)" if is_even else " == [1]"))


def numbered(*guards):
    return "".join(each.replace('"gbr.', f'"gbr.{place}') for place, each in enumerate(guards))


@pytest.mark.parametrize(
    ("most", "more", "code"),
    [
        # What docs/caveats.md promises, in its words: whoever wrote so much must not be refused, nor more be taken.
        (of_words(1_000), of_words(1_001), "too-deep"),
        (guard("gbr.x") + of_words(1_000), guard("gbr.x") + of_words(1_001), "too-deep"),
        (numbered(*[of_words(1_000)] * 8), numbered(*[of_words(1_000)] * 7, of_words(500), of_words(501)), "too-large"),
        (bounded(40), bounded(41), "too-deep"),
        (bounded(40).replace("==", "!="), bounded(41), "too-deep"),
        (guard("gbr.y") + bounded(40), guard("gbr.y") + bounded(41), "too-deep"),
        (numbered(*[bounded(40)] * 20), numbered(*[bounded(40)] * 20, bounded(1)), "too-large"),
        (guard("gbr.x", "(" * 15 + "true" + ")" * 15), guard("gbr.x", "(" * 16 + "true" + ")" * 16), "too-deep"),
        (
            guard("gbr.x", f'principal.agency like "{"*a" * 8}"'),
            guard("gbr.x", f'principal.agency like "{"*a" * 9}"'),
            "too-large",
        ),
        (
            guard("gbr.x", f'resource.kind == "{"a" * 256}"'),
            guard("gbr.x", f'resource.kind == "{"a" * 257}"'),
            "too-large",
        ),
        (guard("gbr.x").ljust(65_536), guard("gbr.x").ljust(65_537), "too-large"),
        (numbered(*[guard("gbr.")] * 200), numbered(*[guard("gbr.")] * 201), "too-many"),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)
def test_bounds_are_those_that_members_are_told(most, more, code):
    assert read_national("GBR", most, SCHEMA)
    assert codes(more) == {code}


@pytest.mark.parametrize(
    "condition",
    [
        "true" + " && true" * 40,
        "true" + " || true" * 40,
        "1" + " + 1" * 40 + " == 1",
        "1" + " - 1" * 40 + " == 1",
        "1" + " * 1" * 40 + " == 1",
        "!" * 40 + "true",
        "[" + ", ".join(["if true then 1 else 2"] * 40) + "] == [1]",
        "true } when { " * 40 + "true",
        "true } unless { " * 40 + "true",
    ],
)
def test_every_operator_counts(condition):
    assert codes(guard("gbr.x", condition)) == {"too-deep"}


def test_what_hides_in_texts_and_comments_is_no_word():
    text = guard("gbr.x", 'resource.kind == "((((((((((((((((((((((((( has && \\" ((("') + "// " + "(" * 5_000

    assert len(read_national("GBR", text, SCHEMA)) == 1
    assert len(read_national("GBR", "// why\n" * 30 + of_words(1_000), SCHEMA)) == 1


def test_no_word_opens_or_closes_a_bracket():
    assert codes("X " * 30) == {"malformed"}
    assert codes("X " * 30 + "(" * 17) == {"too-deep"}


@pytest.mark.parametrize(
    "text",
    [
        "x" * 65_537,
        "\u202e",
        "e\u0301",
        "(" * 50,
        "has",
        "",
        guard("nor.x"),
        bounded(41),
        guard("gbr.x").replace("forbid", "permit"),
    ],
)
def test_every_fault_of_the_guards_points_at_them(text):
    with pytest.raises(InvalidError, match=r"^the caveats cannot be put in force\n") as refused:
        read_national("GBR", text, SCHEMA)

    assert {fault.pointer for fault in refused.value.faults} == {"/guards"}


# ── that its examples show it ──


def test_sound_caveats_are_told_with_how_many_examples_ran():
    checked = check_national("GBR", no_court(), real_law())

    assert [each.id for each in checked.national.guards] == ["gbr.no-court"]
    assert (checked.national.member, checked.examples) == ("GBR", 2)


@pytest.mark.parametrize("member", ["NOR", "GBR", "EUROPOL"])
def test_an_example_leaves_out_what_is_usual_for_the_member(member):
    name = f"{member.lower()}.x"
    other = "GBR" if member == "NOR" else "NOR"
    text = shown([(name, f'principal.member == "{other}" && resource.kind == "intrep"', "{}", f"{{member: {member}}}")])

    assert check_national(member, text, real_law()).examples == 2
    # The reader is of its own nationality, an agency of its member, and one that the label names.
    usual = (
        f'principal.nationality == "{other}" && principal.agency == "{other}/EXAMPLE"'
        f' && resource.releasable_to.contains("{other}")'
    )
    assert check_national(member, shown([(name, usual, "{}", "{agency: OTHER/ONE}")]), real_law()).examples == 2


BOTH = example("gbr.no-court", forbids=True, reader="{purpose: judicial}") + example("gbr.no-court", forbids=False)


@pytest.mark.parametrize(
    ("examples", "code"),
    [
        ("", "wrong-type"),
        ("examples: [", "not-yaml"),
        ("examples:\n" + example("gbr.no-court", forbids=False), "untested-guard"),
        ("examples:\n" + BOTH + example("gbr.no-court", forbids=True), "example-failed"),
        ("examples:\n" + example("gbr.no-court", forbids=True) + BOTH, "example-failed"),
        ("examples:\n" + BOTH + example("gbr.no-court", forbids=True, report="{originator: NOR}"), "foreign-report"),
        ("examples:\n" + BOTH + example("nor.no-court", forbids=True), "unknown-guard"),
        ("examples:\n" + BOTH + example("gbr.no-court", forbids=False, report="{originator: NOR}"), "foreign-report"),
        ("examples:\n" + BOTH + "  - {name: a, guard: gbr.no-court, forbids: false}\n" * MOST_ITEMS, "too-large"),
        *(
            (f"examples:\n{BOTH}{example('gbr.no-court', forbids=False, report=f'{{{name}: [NOR, NOR]}}')}", "repeated")
            for name in ("regions", "compartments", "releasable_to", "handling")
        ),
        ("examples:\n" + BOTH + "# \u202e", "not-plain"),
        ("#" + "x" * MAX_NATIONAL_BYTES, "too-large"),
        ("a: &a [1]\nexamples: *a", "not-yaml"),
        ("examples: !!python/object/apply:os.system ['true']", "not-yaml"),
    ],
)
def test_examples_that_do_not_show_it_are_refused(examples, code):
    found = codes_of(check_national, "GBR", NationalText(no_court().guards, examples), real_law())

    assert code in found or (code == "not-yaml" and found)


def faults_of(examples):
    with pytest.raises(InvalidError) as refused:
        check_national("GBR", NationalText(no_court().guards, examples), real_law())
    assert refused.value.message == "the caveats are not shown by their examples"
    return refused.value.faults


def test_what_the_examples_lack_is_told_with_its_line():
    foreign = example("gbr.no-court", forbids=False, report="{originator: NOR}")
    wrong = example("gbr.no-court", forbids=True)
    own = "`one`: the report is not yours; leave `originator` out"
    failed = Fault("/examples", "example-failed", "`one`: `gbr.no-court` should forbid this, and does not", 2)
    one_kind = "`gbr.no-court` has no example that it does not forbid: add one"
    hidden = "the character U+202E does not show: leave it out"

    assert faults_of("examples:\n" + BOTH + foreign) == (Fault("/examples", "foreign-report", own, 4),)
    assert faults_of("examples:\n" + wrong) == (failed, Fault("/examples", "untested-guard", one_kind))
    assert faults_of("examples:\n" + BOTH + "# \u202e") == (Fault("/examples", "not-plain", hidden),)
    # What is no plain text is not parsed: that it is no YAML either is not found.
    assert faults_of("examples: [\u202e") == (Fault("/examples", "not-plain", hidden),)


def test_place_in_the_examples_is_told_in_words_where_there_is_one():
    whole = faults_of("")
    inside = faults_of("examples:\n" + BOTH + "  - {name: 7, guard: gbr.no-court, forbids: false}\n")

    assert {each.pointer for each in whole} == {"/examples"}
    assert [each.message for each in whole] == ["the text is empty", "is nothing: write named fields"]
    assert {each.pointer for each in inside} == {"/examples"}
    assert [each.message.partition(": ")[0] for each in inside] == ["/examples/2/name"]


def test_every_guard_needs_examples_of_its_own():
    text = no_court()
    two = replace(text, guards=guard("gbr.a", "false") + text.guards + guard("gbr.z", "false"))

    with pytest.raises(InvalidError) as refused:
        check_national("GBR", two, real_law())
    assert [fault.message[:7] for fault in refused.value.faults] == ["`gbr.a`"] * 2 + ["`gbr.z`"] * 2


def test_an_example_in_which_a_guard_fails_is_refused():
    text = NationalText(
        guard("gbr.x", OVERFLOW), "examples:\n" + example("gbr.x", forbids=True) + example("gbr.x", forbids=False)
    )

    assert "rule-failed" in codes_of(check_national, "GBR", text, real_law())


def test_an_id_that_stands_in_the_files_is_refused():
    law = law_with(GBR=guard("gbr.no-court", "false"))

    with pytest.raises(InvalidError) as refused:
        check_national("GBR", no_court(), law)
    told = "the engine does not take these guards: one is too deep, or has an id that stands in the files"
    assert refused.value.message == "the caveats cannot be put in force"
    assert refused.value.faults == (Fault("/guards", "not-taken", told),)


def test_the_digest_names_whose_they_are_and_both_texts():
    text = no_court()

    digests = {
        text.digest("GBR"),
        text.digest("NOR"),
        replace(text, guards=text.guards + " ").digest("GBR"),
        replace(text, examples=text.examples + " ").digest("GBR"),
    }
    assert len(digests) == 4
    # Two persons, the log and every node name them by it: it stays what it is.
    assert NationalText("g", "e").digest("GBR") == "4cf329a4b88c8cd2a709de81cce8669007263f3b857d310514682e0fd207e877"


# ── whom it concerns ──


def test_caveats_stop_the_members_own_reports_and_say_so():
    law = in_force(guard("gbr.x", 'principal.member == "NOR"'))

    assert isinstance(ask(real_law()), Permit)
    assert ask(law) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.x",))


def test_caveats_change_nothing_about_others_reports_nor_permits():
    law = in_force(guard("nor.x"), member="NOR")
    other = in_force(guard("gbr.x", "false"))

    assert ask(law) == ask(real_law()) == ask(other)
    assert law.digest == real_law().digest
    assert law.guards.digest == real_law().guards.digest


def test_a_decision_remembered_under_other_caveats_is_not_taken_for_this_one():
    # Whoever asks the law of the files alone (and some do) must not leave its answers to those who ask the whole.
    cache, laws = DecisionCache(), [real_law(), in_force(guard("gbr.x")), in_force(guard("gbr.y", "false"))]
    laws.append(real_law().with_national([real_law().guards.prepared("GBR", None)]))
    # Of one id and one reason, and not the same.
    laws += [in_force(guard("gbr.x", "false")), in_force(guard("gbr.x"), guard("gbr.y", "false"))]

    asked = [
        decide_cached(cache, READER, class_id=1, facts=CLASS, scope=SCOPE, policy_version=1, use=Use.READ, law=law)
        for law in (*laws, *laws)
    ]
    assert [isinstance(each, Permit) for each in asked] == [True, False, True, False, True, False] * 2
    assert len({law.guards.national for law in laws}) == len(laws)


def test_caveats_of_a_member_stand_beside_its_file_and_the_exchanges():
    law = law_with(
        exchange=guard("x.y", 'context.purpose == "judicial"'), GBR=guard("gbr.file", 'resource.kind == "intrep"')
    )
    both = in_force(guard("gbr.own"), law=law)

    assert ask(law) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.file",))
    assert ask(both) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.file", "gbr.own"))
    assert ask(both, replace(CLASS, originator="DNK")) == ask(law, replace(CLASS, originator="DNK"))


def test_the_ones_put_in_force_last_take_the_place_of_those_before():
    first, second = in_force(guard("gbr.first")), in_force(guard("gbr.second"))
    again = first.with_national([second.guards.prepared("GBR", read_national("GBR", guard("gbr.second"), SCHEMA))])

    assert ask(again) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.second",))
    assert ask(first.with_national([])) == ask(real_law())
    assert set(first.with_national([]).guards.guards) == set(real_law().guards.guards)


def test_files_of_members_stay_in_force_however_often_others_put_theirs_in_force():
    law = law_with(GBR=guard("gbr.file"))
    others = law.guards.prepared("DNK", read_national("DNK", guard("dnk.x"), SCHEMA))
    again = law.with_national([others]).with_national([others]).with_national([])
    danish = replace(CLASS, originator="DNK")

    assert ask(again) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.file",))
    assert ask(again, danish) == ask(law, danish) != ask(law.with_national([others]), danish)


def test_a_caveat_that_fails_refuses_its_members_reports_alone():
    law = in_force(guard("gbr.x", OVERFLOW))

    assert ask(law) == Refusal((Reason.RULE_FAILED,))
    assert ask(law, replace(CLASS, originator="NOR")) == ask(real_law(), replace(CLASS, originator="NOR"))


@pytest.mark.parametrize(
    "stored", ["", "forbid", guard("gbr.x").replace("forbid", "permit"), guard("nor.x"), "(" * 50_000]
)
def test_stored_caveats_that_cannot_be_used_refuse_their_members_reports_alone(stored):
    law = real_law().with_national([stored_national("GBR", stored, real_law())])

    assert ask(law) == Refusal((Reason.RULE_FAILED,))
    assert ask(law, replace(CLASS, originator="NOR")) == ask(real_law(), replace(CLASS, originator="NOR"))


def test_stored_caveats_that_are_sound_are_used():
    law = real_law().with_national([stored_national("GBR", not_to("NOR").guards, real_law())])

    assert ask(law) == Refusal((Reason.NATIONAL_CAVEAT,), ("gbr.not-to-nor",))


@pytest.mark.parametrize("guards", [None, []])
def test_no_guard_at_all_is_not_read_as_nothing_forbidden(guards):
    law = real_law().with_national([real_law().guards.prepared("GBR", guards)])
    questions = [GuardQuestion(CLASS, CLASS.label)] * 3

    assert ask(law) == Refusal((Reason.RULE_FAILED,))
    assert law.guards.forbidding(READER, questions, Use.READ, law.catalogue) == (GuardVerdict(has_failed=True),) * 3


@pytest.mark.parametrize("depth", [200, 100_000])
def test_a_guard_the_engine_does_not_take_refuses(depth):
    made = read_national("GBR", guard("gbr.x"), SCHEMA)
    deep = '{"!": {"arg": ' * depth + '{"Value": true}' + "}}" * depth
    broken = replace(made[0], policy_json=re.sub(r'\{"Value": true\}', lambda _: deep, made[0].policy_json))

    refusing = real_law().guards.prepared("GBR", [broken])

    assert (refusing.member, refusing.guards, refusing.policies) == ("GBR", (), None)
    law = real_law().with_national([refusing])
    assert ask(law) == Refusal((Reason.RULE_FAILED,))
    assert ask(law, replace(CLASS, originator="NOR")) == ask(real_law(), replace(CLASS, originator="NOR"))


def test_law_to_which_nobody_adds_a_caveat_is_the_law_as_it_was():
    law = real_law()

    assert law.guards.national == law.with_national([]).guards.national == ""
    # What is remembered under it is found again by every node, in whatever order the members come.
    both = [
        law.guards.prepared(member, read_national(member, guard(f"{member.lower()}.x"), SCHEMA))
        for member in ("GBR", "NOR")
    ]
    assert law.with_national(both).guards.national == law.with_national(both[::-1]).guards.national != ""


def test_200_caveats_of_one_member_are_not_even_looked_at_for_another_one():
    law = in_force(*(guard(f"nor.{number}", OVERFLOW) for number in range(MAX_NATIONAL_GUARDS)), member="NOR")
    mine, theirs = GuardQuestion(CLASS, CLASS.label), GuardQuestion(replace(CLASS, originator="NOR"), CLASS.label)

    verdicts = law.guards.forbidding(READER, [mine, theirs, mine], Use.READ, law.catalogue)

    assert verdicts == (GuardVerdict(), GuardVerdict(has_failed=True), GuardVerdict())
