"""Policies that are wrong are refused, with every fault, its file and its line."""

import itertools
from typing import Any

import pytest
import yaml

from exchange.kernel.errors import Fault, InvalidError
from exchange.markings import Catalogue, load_catalogue, page
from tests.core.markings.worlds import BASE, FILES, ROUGH, ROUNDED, SHIPPED


def faults_of(**files: str) -> list[tuple[str, str, int | None]]:
    with pytest.raises(InvalidError) as caught:
        load_catalogue({f"{name}.yaml": text for name, text in files.items()})
    assert caught.value.message == "the security policies cannot be loaded"
    return [(fault.pointer, fault.code, fault.line) for fault in caught.value.faults]


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    return text.replace(old, new)


def test_ranks_are_rounded_up_for_protection_and_down_for_clearance():
    catalogue = load_catalogue({"BASE.yaml": BASE, "RND.yaml": ROUNDED})
    own = {("BASE", name): rank for rank, name in enumerate(("NONE", "ONE", "TWO", "THREE", "FOUR"))}

    assert catalogue.protection == own | {
        ("RND", name): rank for name, rank in zip("ABCDE", (2, 2, 4, 4, 4), strict=True)
    }
    assert catalogue.clearance == own | {
        ("RND", name): rank for name, rank in zip("ABCDE", (0, 2, 2, 2, 4), strict=True)
    }
    assert list(catalogue.policies) == ["BASE", "RND"]
    assert [(level.policy, level.rank) for level in catalogue.policies["RND"].levels] == [
        ("RND", rank) for rank in range(5)
    ]


@pytest.mark.parametrize("name", [*FILES, "other"])
def test_both_readers_of_the_library_find_the_same(name: str) -> None:
    """What they agree on is what stands in these files, and what such a file could hold else."""
    other = "a: NO # text\nb:\n- 'x''y'\n- \"\\u00e9\"\n- |\n  two\n  lines\n- >-\n  folded\n  line\nc: {d: [e, ~], f: 010}\n"
    text = FILES.get(name, other)

    assert yaml.serialize(yaml.compose(text, Loader=page._FAST)) == yaml.serialize(
        yaml.compose(text, Loader=yaml.SafeLoader)
    )
    assert lines_of(yaml.compose(text, Loader=page._FAST)) == lines_of(yaml.compose(text, Loader=yaml.SafeLoader))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # The fast one takes what the other does not: a tab parts words as a space does.
        ("a:\t1", "a: 1"),
        ("a: 1\t\nb: 2", "a: 1\nb: 2"),
        # The other way round: what the slow one finds.
        ("%YAML 1.3\n---\na: 1", "a: 1"),
        # Neither.
        ("a:\n\tb: 1", None),
        ("a: \x01", None),
        ("a: [b", None),
    ],
)
def test_text_that_one_reader_alone_takes_means_what_it_seems_to(text: str, found: str | None) -> None:
    faults: list[Fault] = []
    opened = page.open_page("x.yaml", text, faults)

    assert [fault.code for fault in faults] == ([] if found else ["not-yaml"])
    node = opened and opened._node
    assert (node and yaml.serialize(node)) == (found and yaml.serialize(yaml.compose(found, Loader=yaml.SafeLoader)))


@pytest.mark.parametrize("opening", ["[", "{", "- ", "-\t", "? "])
def test_what_is_nested_without_end_is_a_fault_and_ends_no_process(opening: str) -> None:
    faults: list[Fault] = []

    assert page.open_page("x.yaml", opening * 100_000, faults) is None
    assert [fault.code for fault in faults] == ["not-yaml"]


def test_long_file_that_is_not_deep_is_read() -> None:
    faults: list[Fault] = []

    assert page.open_page("x.yaml", "- x\n" * 10_001, faults) is not None
    assert faults == []


def test_without_the_fast_reader_what_it_alone_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_FAST", yaml.SafeLoader)
    faults: list[Fault] = []

    assert page.open_page("x.yaml", "a:\t1", faults) is None
    assert [fault.code for fault in faults] == ["not-yaml"]


def lines_of(node: Any) -> list[tuple[str, int]]:
    """Give each scalar and the line it begins on."""
    if isinstance(node, yaml.ScalarNode):
        return [(node.value, node.start_mark.line)]
    inner = itertools.chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
    return [found for each in inner for found in lines_of(each)]


def test_policies_are_read_as_written():
    policy = ROUGH.policies["RND"]
    base = ROUGH.policies["BASE"]

    assert (policy.id, policy.title, policy.authority) == ("RND", "Made up, with levels that have no equal", "nobody")
    assert (policy.source.citation, policy.source.in_force.isoformat()) == ("made up", "2026-01-01")
    assert [(level.policy, level.name, level.marking, level.rank) for level in policy.levels[:2]] == [
        ("RND", "A", "A", 0),
        ("RND", "B", "B", 1),
    ]
    assert [(level.name, level.marking) for level in base.levels[:2]] == [("NONE", "BASE NONE"), ("ONE", "BASE ONE")]
    assert set(policy.equivalents) == {"B", "E"}
    assert (policy.equivalents["B"].level, policy.equivalents["B"].source) == ("TWO", "made up")
    assert (policy.compartments, policy.caveats) == ({"ALPHA"}, frozenset())
    assert (base.compartments, base.caveats) == ({"ALPHA", "BETA TWO"}, {"KEEP"})
    assert ROUGH.base is base
    assert base.equivalents == {}


def test_loaded_policies_cannot_be_changed():
    with pytest.raises(TypeError):
        ROUGH.policies["NEW"] = ROUGH.base  # type: ignore[index]
    with pytest.raises(TypeError):
        ROUGH.protection["BASE", "ONE"] = 0  # type: ignore[index]
    with pytest.raises(TypeError):
        ROUGH.clearance["BASE", "ONE"] = 4  # type: ignore[index]
    with pytest.raises(TypeError):
        del ROUGH.policies["RND"].equivalents["E"]  # type: ignore[attr-defined]


def test_base_alone_is_a_catalogue():
    assert isinstance(load_catalogue({"BASE.yaml": BASE}), Catalogue)


def test_note_and_an_explicit_false_are_taken():
    text = changed(ROUNDED, "authority: nobody\n", "authority: nobody\nbase: false\nnote: a word of caution\n")

    assert load_catalogue({"BASE.yaml": BASE, "RND.yaml": text}).base.id == "BASE"


def test_digest_does_not_depend_on_where_the_files_lie_or_their_order():
    moved = {f"classification/{name}": FILES[name] for name in reversed(FILES)}

    assert load_catalogue(moved).digest == SHIPPED.digest
    assert load_catalogue({"a/RND.yaml": ROUNDED, "b/BASE.yaml": BASE}).digest == ROUGH.digest
    assert len(SHIPPED.digest) == 64


def test_faults_are_told_in_the_order_of_the_names_of_the_files():
    assert [pointer for pointer, _, _ in faults_of(C="[", A="[", B="[")] == ["/A.yaml", "/B.yaml", "/C.yaml"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Made up, ", "title: Invented, "),
        ("authority: nobody", "authority: somebody"),
        ("citation: made up", "citation: found"),
        ("in_force: 2026-01-01}\nlevels", "in_force: 2026-01-02}\nlevels"),
        ("name: D, marking: D", "name: DD, marking: D"),
        ("name: D, marking: D", "name: D, marking: DD"),
        ("level: TWO, source: made up, valid_from: 2026-01-01", "level: ONE, source: made up, valid_from: 2026-01-01"),
        ("level: TWO, source: made up, valid_from: 2026-01-01", "level: TWO, source: found, valid_from: 2026-01-01"),
        ("level: TWO, source: made up, valid_from: 2026-01-01", "level: TWO, source: made up, valid_from: 2026-01-02"),
        ("name: ALPHA", "name: BETA TWO"),
    ],
)
def test_digest_changes_with_every_row(old, new):
    assert load_catalogue({"BASE.yaml": BASE, "RND.yaml": changed(ROUNDED, old, new)}).digest != ROUGH.digest


def test_digest_covers_the_caveats_and_every_policy():
    more = changed(
        ROUNDED, "categories:\n", "categories:\n  caveats:\n    - {name: KEEP, kind: exercise, meaning: made up}\n"
    )

    assert load_catalogue({"BASE.yaml": BASE, "RND.yaml": more}).digest != ROUGH.digest
    assert load_catalogue({"BASE.yaml": BASE}).digest != ROUGH.digest


PLACE = "/RND.yaml"
LEVEL_E = (
    "{name: E, marking: E, rank: 4, equivalent: {policy: BASE, level: FOUR, source: made up, valid_from: 2026-01-01}}"
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # the page
        ("policy: RND\n", "policy: RND\ncolour: red\n", [(f"{PLACE}/colour", "unknown-key", 2)]),
        ("policy: RND\n", "policy: RND\n? [a]\n: b\n", [(f"{PLACE}/?", "unknown-key", 2)]),
        ("policy: RND\n", "policy: RND\na/b~c: d\n", [(f"{PLACE}/a~1b~0c", "unknown-key", 2)]),
        ("policy: RND\n", "policy: RND\n<<: {title: x}\n", [(f"{PLACE}/<<", "unknown-key", 2)]),
        ("policy: RND\n", "policy: RND\ntitle: once\n", [(f"{PLACE}/title", "duplicate-key", 3)]),
        ("authority: nobody\n", "", [(PLACE, "missing-key", 1)]),
        ("source: {citation: made up, in_force: 2026-01-01}\n", "", [(PLACE, "missing-key", 1)]),
        ("source: {citation: made up, in_force: 2026-01-01}\n", "source: read it somewhere\n", [(f"{PLACE}/source", "not-a-mapping", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: made up}", [(f"{PLACE}/source", "missing-key", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: '', in_force: 2026-01-01}", [(f"{PLACE}/source/citation", "bad-text", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: [made up], in_force: 2026-01-01}", [(f"{PLACE}/source/citation", "bad-text", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: made up, in_force: 1.1.2026}", [(f"{PLACE}/source/in_force", "bad-date", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: made up, in_force: 20260101}", [(f"{PLACE}/source/in_force", "bad-date", 4)]),
        ("{citation: made up, in_force: 2026-01-01}", "{citation: made up, in_force: [2026-01-01]}", [(f"{PLACE}/source/in_force", "bad-date", 4)]),
        ("title: Made up, with", "title: Made up,  with", [(f"{PLACE}/title", "bad-text", 2)]),
        ("authority: nobody\n", 'authority: "no\\tbody"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "nobody "\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "nobody\\u200b"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "nobody\\u3164"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "nobody\\ufe0f"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "no\\u00a0body"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", 'authority: "nobode\\u0301"\n', [(f"{PLACE}/authority", "bad-text", 3)]),
        ("authority: nobody\n", "authority: nobody\nbase: yes\n", [(f"{PLACE}/base", "bad-choice", 4)]),
        ("authority: nobody\n", "authority: nobody\nnote: []\n", [(f"{PLACE}/note", "bad-text", 4)]),
        # levels
        ("{name: D, marking: D, rank: 3}", "D", [(f"{PLACE}/levels/1", "not-a-mapping", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D}", [(f"{PLACE}/levels/1", "missing-key", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D, rank: three}", [(f"{PLACE}/levels/1/rank", "bad-number", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D, rank: -3}", [(f"{PLACE}/levels/1/rank", "bad-number", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D, rank: ３}", [(f"{PLACE}/levels/1/rank", "bad-number", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D, rank: {}}", [(f"{PLACE}/levels/1/rank", "bad-number", 7)]),
        ("{name: D, marking: D, rank: 3}", f"{{name: D, marking: D, rank: {'3' * 5000}}}", [(f"{PLACE}/levels/1/rank", "bad-number", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D, rank: 4}", [(f"{PLACE}/levels/1", "wrong-order", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: C, marking: D, rank: 3}", [(f"{PLACE}/levels/2", "duplicate-level", 8)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: C, rank: 3}", [(f"{PLACE}/levels/2", "duplicate-marking", 8)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D//D, rank: 3}", [(f"{PLACE}/levels/1", "bad-marking", 7)]),
        ("{name: D, marking: D, rank: 3}", "{name: D, marking: D/, rank: 3}", [(f"{PLACE}/levels/1", "bad-marking", 7)]),
        ("  - {name: D, marking: D, rank: 3}\n", "", [(f"{PLACE}/levels/0", "wrong-order", 6)]),
        # equivalence
        ("level: TWO, ", "level: SIX, ", [(f"{PLACE}/levels/3/equivalent", "unknown-level", 9)]),
        ("level: TWO, ", "level: two, ", [(f"{PLACE}/levels/3/equivalent", "unknown-level", 9)]),
        ("level: TWO, source: made up, ", "level: TWO, ", [(f"{PLACE}/levels/3/equivalent", "missing-key", 9)]),
        ("level: TWO, source: made up, valid_from: 2026-01-01", "level: TWO, source: made up", [(f"{PLACE}/levels/3/equivalent", "missing-key", 9)]),
        ("level: TWO, source: made up, valid_from: 2026-01-01", "level: TWO, source: made up, valid_from: soon", [(f"{PLACE}/levels/3/equivalent/valid_from", "bad-date", 9)]),
        ("{policy: BASE, level: TWO, source: made up, valid_from: 2026-01-01}", "TWO", [(f"{PLACE}/levels/3/equivalent", "not-a-mapping", 9)]),
        ("{policy: BASE, level: TWO", "{policy: RND, level: TWO", [(f"{PLACE}/levels/3/equivalent", "chained-map", 9)]),
        ("level: TWO, ", "level: FOUR, ", [(f"{PLACE}/levels/3", "not-monotone", 9)]),
        ("level: FOUR, ", "level: ONE, ", [(f"{PLACE}/levels/3", "not-monotone", 9)]),
        (LEVEL_E, "{name: E, marking: E, rank: 4}", [(f"{PLACE}/levels/0", "missing-equivalent", 6)]),
        # names
        ("policy: RND\n", "policy: RnD\n", [(PLACE, "bad-policy-id", 1), (PLACE, "wrong-file", 1)]),
        ("policy: RND\n", "policy: ROUND\n", [(PLACE, "wrong-file", 1)]),
        ("name: ALPHA, kind", "name: alpha, kind", [(f"{PLACE}/categories/compartments/0", "bad-category", 13), (f"{PLACE}/categories/compartments/0", "unmapped-category", 13)]),
        ("name: ALPHA, kind", "name: GAMMA, kind", [(f"{PLACE}/categories/compartments/0", "unmapped-category", 13)]),
        ("name: ALPHA, kind", "name: KEEP, kind", [(f"{PLACE}/categories/compartments/0", "unmapped-category", 13)]),
        ("kind: exercise", "kind: imagined", [(f"{PLACE}/categories/compartments/0/kind", "bad-choice", 13)]),
        ("kind: exercise, meaning: made up", "kind: exercise", [(f"{PLACE}/categories/compartments/0", "missing-key", 13)]),
        ("meaning: made up}", "meaning: []}", [(f"{PLACE}/categories/compartments/0/meaning", "bad-text", 13)]),
        ("  compartments:\n", "  caveats: []\n  compartments:\n", [(f"{PLACE}/categories/caveats", "not-a-list", 12)]),
        ("  compartments:\n", "  caveats:\n    - {name: ALPHA, kind: real, meaning: x}\n  compartments:\n", [(f"{PLACE}/categories/caveats/0", "duplicate-category", 13), (f"{PLACE}/categories/caveats/0", "unmapped-category", 13)]),
        ("  compartments:\n", "  secrets: []\n  compartments:\n", [(f"{PLACE}/categories/secrets", "unknown-key", 12)]),
    ],
)  # fmt: skip
def test_faulty_policy_is_refused_with_place_and_line(old, new, expected):
    text = changed(ROUNDED, old, new)

    assert faults_of(BASE=BASE, RND=text) == expected


def test_levels_and_categories_must_be_there():
    head = ROUNDED.partition("levels:")[0]

    assert faults_of(BASE=BASE, RND=f"{head}levels: []\ncategories: [x]\n") == [
        (f"{PLACE}/categories", "not-a-mapping", 6),
        (f"{PLACE}/levels", "not-a-list", 5),
    ]
    assert faults_of(BASE=BASE, RND=f"{head}levels: {{a: b}}\ncategories: {{}}\n") == [
        (f"{PLACE}/levels", "not-a-list", 5)
    ]


@pytest.mark.parametrize("name", ["REL TO", "REL TO GBR", "", "A/B", "A  B", " A", "A,B", "-A", "ÄB", "a"])
def test_category_name_that_the_marking_text_cannot_hold_is_refused(name):
    codes = [code for _, code, _ in faults_of(BASE=changed(BASE, "name: KEEP", f"name: '{name}'"))]

    assert codes in (["bad-category"], ["bad-text"])


@pytest.mark.parametrize("name", ["RELAY", "REL TOP", "REL", "A1-B2 C3", "9"])
def test_category_name_of_words_digits_and_hyphens_is_taken(name):
    assert load_catalogue({"BASE.yaml": changed(BASE, "name: KEEP", f"name: '{name}'")}).base.caveats == {name}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty-file", 1),
        ("# nothing\n", "empty-file", 1),
        ("a: [", "not-yaml", 1),
        ("a: b\n---\nc: d\n", "not-yaml", 2),
        ("a: b\x07", "not-yaml", None),
        ("- a\n", "not-a-mapping", 1),
        ("just words", "not-a-mapping", 1),
        ("a: *b\n", "not-yaml", 1),
    ],
)
def test_file_that_is_no_mapping_is_refused(text, code, line):
    assert faults_of(BASE=BASE, RND=text) == [(PLACE, code, line)]


def test_messages_name_the_fault_and_the_mend():
    text = changed(ROUNDED, "rank: 3}", "rank: x}")
    with pytest.raises(InvalidError) as caught:
        load_catalogue(
            {"BASE.yaml": changed(BASE, "authority: nobody\n", "color: red\n"), "RND.yaml": text, "X.yaml": "a: ["}
        )

    assert str(caught.value).splitlines() == [
        "the security policies cannot be loaded",
        "line 3: /BASE.yaml/color: `color` means nothing here: use `policy`, `title`, `authority`, `source`, `levels`, `categories`, `base`, `note`",
        "line 1: /BASE.yaml: `authority` is missing: write it",
        "line 7: /RND.yaml/levels/1/rank: `x` is not a number: write decimal digits, 9 at most",
        "line 1: /X.yaml: cannot be read as YAML: expected the node content, but found '<stream end>'",
    ]


MENDS = [
    ("name: D, marking: D, rank: 3", "name: D, marking: D, rank: 0", "`D` must have rank 3: highest first, down to 0"),
    ("name: D, marking: D, rank: 3", "name: C, marking: D, rank: 3", "the level `C` is written twice: keep one"),
    ("name: D, marking: D, rank: 3", "name: D, marking: C, rank: 3", "the marking `C` is written twice: keep one"),
    (
        "name: D, marking: D, rank: 3",
        "name: D, marking: D//, rank: 3",
        "`D//` holds `//`, which ends a level in the marking text, or ends in `/`",
    ),
    ("level: TWO, ", "level: SIX, ", "`BASE` has no level `SIX`: use its level names"),
    (
        "{policy: BASE, level: TWO",
        "{policy: EU, level: TWO",
        "maps to `EU`: map to the base policy `BASE`, maps are never chained",
    ),
    (
        "level: TWO, ",
        "level: FOUR, ",
        "`B` maps as high as a level above it or higher: leave `equivalent` out, it is rounded",
    ),
    (
        LEVEL_E,
        "{name: E, marking: E, rank: 4}",
        "`E` is the highest and needs an `equivalent`: nothing above could protect it",
    ),
    ("policy: RND\n", "policy: ROUND\n", "the policy `ROUND` stands in `RND.yaml`: call it `ROUND.yaml`"),
    ("name: ALPHA, kind", "name: GAMMA, kind", "`BASE` has no compartment `GAMMA`: add it there first"),
    (
        "  compartments:\n",
        "  caveats:\n    - {name: LOSE, kind: real, meaning: x}\n  compartments:\n",
        "`BASE` has no caveat `LOSE`: add it there first",
    ),
    (
        "  compartments:\n",
        "  compartments:\n    - {name: ALPHA, kind: real, meaning: x}\n",
        "the category `ALPHA` is written twice: keep one",
    ),
    ("policy: RND\n", "policy: RND\ntitle: once\n", "`title` is written twice: keep one"),
    (
        "title: Made up, with",
        "title: Made up,  with",
        "write one line of printable text in normal form C, without stray spaces",
    ),
    ("in_force: 2026-01-01}\nlevels", "in_force: soon}\nlevels", "`soon` is not a day: write it like 2021-07-01"),
    ("kind: exercise", "kind: imagined", "`imagined` is none of `real`, `exercise`"),
    (
        "source: {citation: made up, in_force: 2026-01-01}\n",
        "source: x\n",
        "write the keys `citation`, `in_force` here",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), MENDS)
def test_message_says_what_is_wrong_and_how_to_mend_it(old, new, message):
    with pytest.raises(InvalidError) as caught:
        load_catalogue({"BASE.yaml": BASE, "RND.yaml": changed(ROUNDED, old, new)})

    assert [fault.message for fault in caught.value.faults] == [message]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("policy: BASE\n", "policy: base\n", "`base` is no policy id: write it like `NATO` or `GBR`"),
        ("name: KEEP", "name: REL TO", "`REL TO` is no category: use upper case, and not `REL TO`"),
        (
            "meaning: made up}\n  caveats:\n    - {name: KEEP, kind: exercise, meaning: made up}\n",
            "meaning: made up}\n  caveats: []\n",
            "write a list with at least one entry",
        ),
        (
            "rank: 0}",
            "rank: 0, equivalent: {policy: BASE, level: FOUR, source: x, valid_from: 2026-01-01}}",
            "the base policy maps to nothing: remove `equivalent`",
        ),
    ],
)
def test_message_about_the_base_says_how_to_mend_it(old, new, message):
    with pytest.raises(InvalidError) as caught:
        load_catalogue({"BASE.yaml": changed(BASE, old, new)})

    assert caught.value.faults[0].message == message


def test_empty_file_says_what_to_write():
    with pytest.raises(InvalidError) as caught:
        load_catalogue({"BASE.yaml": BASE, "RND.yaml": "", "X.yaml": "\x07"})

    assert [fault.message for fault in caught.value.faults] == [
        "holds nothing: write a security policy",
        "cannot be read as YAML: a character that YAML does not allow",
    ]


def test_no_files_are_no_catalogue():
    assert faults_of() == [("", "no-base", None)]
    with pytest.raises(InvalidError) as caught:
        load_catalogue({"RND.yaml": ROUNDED})
    assert caught.value.faults[0].message == "no security policy is the base: write `base: true` in one file"


def test_row_that_maps_elsewhere_is_not_measured():
    text = changed(ROUNDED, "{policy: BASE, level: TWO", "{policy: EU, level: FOUR")

    assert [code for _, code, _ in faults_of(BASE=BASE, RND=text)] == ["chained-map"]


def test_second_base_is_refused():
    second = ROUNDED.replace("authority: nobody\n", "authority: nobody\nbase: true\n")
    third = second.replace("policy: RND", "policy: THIRD")

    assert faults_of(BASE=BASE, RND=second, THIRD=third) == [
        ("/RND.yaml", "second-base", 1),
        ("/THIRD.yaml", "second-base", 1),
    ]
    with pytest.raises(InvalidError, match="`BASE` is the base policy already: keep one `base: true`"):
        load_catalogue({"BASE.yaml": BASE, "RND.yaml": second})


def test_same_policy_in_two_folders_is_refused():
    with pytest.raises(InvalidError) as caught:
        load_catalogue({"BASE.yaml": BASE, "a/RND.yaml": ROUNDED, "b/RND.yaml": ROUNDED})

    assert [(fault.pointer, fault.code, fault.message) for fault in caught.value.faults] == [
        ("/b~1RND.yaml", "duplicate-policy", "the security policy `RND` is written twice: keep one")
    ]


def test_base_that_maps_elsewhere_is_refused():
    text = changed(BASE, "rank: 0}", "rank: 0, equivalent: {policy: RND, level: A, source: x, valid_from: 2026-01-01}}")

    assert faults_of(BASE=text, RND=ROUNDED) == [("/BASE.yaml/levels/4/equivalent", "chained-map", 11)]


def test_faults_of_every_file_are_listed_together():
    found = faults_of(
        BASE=BASE,
        RND=changed(ROUNDED, "rank: 3", "rank: 2"),
        XX=ROUNDED.replace("policy: RND", "policy: XX").replace("name: E, marking: E", "name: D, marking: E"),
        Y=ROUNDED.replace("policy: RND\n", ""),
    )

    assert found == [
        ("/Y.yaml", "missing-key", 1),
        ("/RND.yaml/levels/1", "wrong-order", 7),
        ("/XX.yaml/levels/1", "duplicate-level", 7),
    ]


def test_two_levels_on_one_base_level_are_refused_and_the_next_is_still_measured():
    text = ROUNDED.replace(
        "rank: 3}", "rank: 3, equivalent: {policy: BASE, level: ONE, source: x, valid_from: 2026-01-01}}"
    )

    assert faults_of(BASE=BASE, RND=text) == [("/RND.yaml/levels/3", "not-monotone", 9)]
    lowest = text.replace("level: TWO", "level: ONE")
    assert faults_of(BASE=BASE, RND=lowest) == [("/RND.yaml/levels/3", "not-monotone", 9)]


def test_level_that_maps_higher_than_the_one_above_hides_no_later_fault():
    text = ROUNDED.replace("level: FOUR", "level: TWO").replace(
        "level: TWO, source: made up, valid_from: 2026-01-01}}\n  - {name: A, marking: A, rank: 0}",
        "level: FOUR, source: made up, valid_from: 2026-01-01}}\n  - {name: A, marking: A, rank: 0, equivalent: {policy: BASE, level: THREE, source: x, valid_from: 2026-01-01}}",
    )

    assert faults_of(BASE=BASE, RND=text) == [
        ("/RND.yaml/levels/3", "not-monotone", 9),
        ("/RND.yaml/levels/4", "not-monotone", 10),
    ]
