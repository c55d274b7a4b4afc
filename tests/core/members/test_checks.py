"""Identities have one spelling; roles that watch stay apart from roles that handle reports."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.kernel import Fault, InvalidError
from exchange.members import (
    ASSIGNED_ALPHA3,
    ORGANISATIONS,
    REPORT_ROLES,
    WATCHING_ROLES,
    Clearance,
    ClearanceWords,
    Role,
    check_agency,
    check_member_code,
    check_name,
    check_nationality,
    check_purposes,
    check_roles,
    grant_clearance,
    identity_key,
)

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ClearanceWords(levels=("RESTRICTED", "SECRET"), compartments=frozenset({"ATOMAL", "BOHEMIA"}))


# What is said of the whole, where a check looks at several things.
WHOLE = {
    check_roles: "the roles are not valid",
    check_purposes: "the purposes are not valid",
    grant_clearance: "the clearance is not valid",
}


def faults_of(check, *arguments, **named) -> list[Fault]:
    with pytest.raises(InvalidError) as refused:
        check(*arguments, **named)
    found = list(refused.value.faults)
    assert refused.value.message == WHOLE.get(check, found[0].message)
    return found


def codes_of(check, *arguments, **named) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults_of(check, *arguments, **named)]


@pytest.mark.parametrize("code", ["GBR", "NOR", "DNK", "ESP", "EXCHANGE", "EUROPOL", "EU", "NATO", "INTERPOL"])
def test_assigned_and_registered_codes_are_members(code):
    assert check_member_code(code) == code


def test_the_codes_are_those_of_iso_3166_and_no_organisation_takes_one():
    assert len(ASSIGNED_ALPHA3) == 249
    assert all(len(code) == 3 and code.isascii() and code.isalpha() and code.isupper() for code in ASSIGNED_ALPHA3)
    assert not ASSIGNED_ALPHA3 & ORGANISATIONS.keys()


@pytest.mark.parametrize("code", ["XXX", "EUX", "UKX", "XKX", "SUN", "YUG", "GB", "UK", "ACME", "EUROPOL2"])
def test_unassigned_and_unregistered_codes_are_refused(code):
    faults = faults_of(check_member_code, code)

    assert [(fault.pointer, fault.code) for fault in faults] == [("/code", "unknown-code")]
    assert faults[0].message == (
        f"`{code}` is neither an assigned ISO 3166-1 alpha-3 code nor a registered organisation: use a state's code or "
        f"one of EXCHANGE, EU, EUROJUST, EUROPOL, ENISA, FRONTEX, IAEA, INTERPOL, NATO, OPCW, OSCE"
    )


@pytest.mark.parametrize(
    "code",
    [
        "",
        "gbr",
        "Gbr",
        " GBR",
        "GBR ",
        "GBR\n",
        "G BR",
        "ＧＢＲ",
        "GВR",
        "GB\u200bR",
        "G",
        "GBR/NCSC",
        "1GBR",
        "A" * 17,
        "G\u0000BR",
        "europol",
    ],
)
def test_other_spellings_are_no_member(code):
    assert codes_of(check_member_code, code, pointer="/member") == [("/member", "bad-code")]


def test_refused_text_is_shown_without_what_a_terminal_would_hide():
    assert faults_of(check_member_code, "G`B\u202eR" + "x" * 99)[0].message.startswith(
        "`G'B\\u202eR" + "x" * 35 + "` is no"
    )


def test_nationality_is_a_state_or_stands_for_an_organisations_staff():
    assert check_nationality("NOR") == "NOR"
    assert check_nationality("EUROPOL") == "EUROPOL"


@pytest.mark.parametrize("text", ["", "nor", "NO", "XXX", "NOR ", "Norway"])
def test_other_nationalities_are_refused(text):
    message = f"`{text}` is no assigned ISO 3166-1 alpha-3 code, such as NOR"

    assert faults_of(check_nationality, text) == [Fault("/nationality", "unknown-code", message)]


@pytest.mark.parametrize(
    "name",
    [
        "nor-reader-1",
        "Ministry of Defence",
        "Forsvarets etterretningstjeneste (E-tjenesten)",
        "Großes Amt",
        "Υπουργείο",
        "x" * 120,
        "UKMOD 2",
    ],
)
def test_plain_names_are_taken(name):
    assert check_name(name) == name


ODD_TEXT = [
    ("", "is empty"),
    (" a", "has blanks around it: leave them out"),
    ("a ", "has blanks around it: leave them out"),
    ("a  b", "has two spaces in a row: write one"),
    ("a\tb", "has the character U+0009 at position 2: leave it out"),
    ("a\nb", "has the character U+000A at position 2: leave it out"),
    ("a\x00", "has the character U+0000 at position 2: leave it out"),
    ("a\x7f", "has the character U+007F at position 2: leave it out"),
    ("a\u00a0b", "has the character U+00A0 at position 2: leave it out"),
    ("a\u200bb", "has the character U+200B at position 2: leave it out"),
    ("a\u202eb", "has the character U+202E at position 2: leave it out"),
    ("a\u2066b", "has the character U+2066 at position 2: leave it out"),
    ("a\u2028b", "has the character U+2028 at position 2: leave it out"),
    ("a\u2029b", "has the character U+2029 at position 2: leave it out"),
    ("\ufeffa", "has the character U+FEFF at position 1: leave it out"),
    ("a\ue000", "has the character U+E000 at position 2: leave it out"),
    ("a\ud800", "has the character U+D800 at position 2: leave it out"),
    ("a\u0378", "has the character U+0378 at position 2: leave it out"),
    ("A\u030a", "is not in Unicode normal form C: normalise it"),
    ("ＧＢＲ", "has compatibility characters: write the plain ones"),
    ("oﬃce", "has compatibility characters: write the plain ones"),
    ("Ada\u034f Byron", "has the character U+034F at position 4: leave it out"),
    ("Ada Byron\ufe0f", "has the character U+FE0F at position 10: leave it out"),
    ("\U000e0100", "has the character U+E0100 at position 1: leave it out"),
    ("\u3164", "has the character U+3164 at position 1: leave it out"),
    ("a\u2800b", "has the character U+2800 at position 2: leave it out"),
    ("NСSC", "mixes letters of CYRILLIC and LATIN: use one script"),
    ("Αlpha", "mixes letters of GREEK and LATIN: use one script"),
    ("Section \u09ea", "has the digit U+09EA at position 9: write 0 to 9"),
    ("Section \u0661", "has the digit U+0661 at position 9: write 0 to 9"),
]


@pytest.mark.parametrize(("text", "problem"), [*ODD_TEXT, ("x" * 121, "has 121 characters: at most 120")])
def test_names_that_could_be_taken_for_others_are_refused(text, problem):
    assert faults_of(check_name, text) == [Fault("/name", "bad-name", f"the name {problem}")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *ODD_TEXT,
        ("x" * 65, "has 65 characters: at most 64"),
        ("GBR/NCSC", "contains `/`: give the agency alone, without its member"),
        ("GBR/NCSC ", "has blanks around it: leave them out"),
    ],
)
def test_agencies_that_could_be_taken_for_others_are_refused(text, problem):
    assert faults_of(check_agency, text) == [Fault("/agency", "bad-agency", f"the agency {problem}")]


@pytest.mark.parametrize("text", ["NCSC", "E-tjenesten", "x" * 64, "Agence n° 1"[:6]])
def test_plain_agencies_are_taken(text):
    assert check_agency(text) == text


def test_names_that_differ_in_case_only_have_one_key():
    assert identity_key("Straße") == identity_key("STRASSE") == identity_key("ＳＴＲＡＳＳＥ")
    assert identity_key("NCSC") != identity_key("NCSS")


def test_names_that_look_the_same_have_one_key():
    unseen = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180d\u180f\u2800\u3164\ufe00\ufe0f\uffa0\U000e0100\U000e01ef"

    assert {identity_key(f"Ada{each} Byron") for each in unseen} == {identity_key("Ada Byron")}
    assert identity_key("A\u034f\u030asa") == identity_key("\u00c5sa")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Anne-Marie O'Neil", "Anne\u2010Marie O\u2019Neil"),
        ("Anne-Marie O'Neil", "ANNE\u2013MARIE O\u02bcNEIL"),
        ("Ay\u015fe Y\u0131ld\u0131r\u0131m", "Ay\u015fe YILDIRIM"),
        ("\u0130smail Ate\u015f", "\u0130SMA\u0130L ATE\u015e"),
        ("\u0130smail Ate\u015f", "ismail ate\u015f"),
        ("Kari Nordmann", "Kari  Nordmann"),
    ],
)
def test_names_that_another_keyboard_writes_otherwise_have_one_key(name, other):
    assert identity_key(name) == identity_key(other)


@given(st.text(max_size=20))
def test_a_taken_name_is_its_own_only_spelling(text):
    try:
        taken = check_name(text)
    except InvalidError:
        return

    assert taken == text == text.strip()
    assert text.isprintable()
    assert codes_of(check_name, f" {text}") == [("/name", "bad-name")]


@pytest.mark.parametrize(
    "roles",
    [
        ["reader"],
        ["reader", "contributor", "releaser", "signatory"],
        ["operator"],
        ["auditor"],
        ["operator", "auditor"],
        ["signatory", "operator"],
    ],
)
def test_roles_that_go_together_are_taken(roles):
    assert check_roles(roles) == {Role(role) for role in roles}


def test_a_role_given_twice_is_held_once():
    assert check_roles(["reader", "reader"]) == {Role.READER}


@pytest.mark.parametrize("watching", ["operator", "auditor"])
@pytest.mark.parametrize("handling", ["reader", "contributor", "releaser"])
def test_who_watches_never_handles_reports(watching, handling):
    assert faults_of(check_roles, [handling, watching, "signatory"]) == [
        Fault("/roles", "roles-apart", f"{watching} beside {handling}: enrol a second client")
    ]


def test_organisations_are_these():
    assert set(ORGANISATIONS) == {
        *("EXCHANGE", "EU", "EUROJUST", "EUROPOL", "ENISA", "FRONTEX", "IAEA", "INTERPOL", "NATO", "OPCW", "OSCE"),
    }


def test_every_role_on_either_side_is_named():
    assert faults_of(check_roles, [role.value for role in Role]) == [
        Fault(
            "/roles",
            "roles-apart",
            "auditor and operator beside contributor and reader and releaser: enrol a second client",
        )
    ]


def test_every_role_is_on_one_side_or_signs():
    assert REPORT_ROLES | WATCHING_ROLES | {Role.SIGNATORY} == set(Role)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([], [("/roles", "empty")]),
        (["admin"], [("/roles/0", "unknown-role")]),
        (["Reader"], [("/roles/0", "unknown-role")]),
        (["reader", "", "READER"], [("/roles/1", "unknown-role"), ("/roles/2", "unknown-role")]),
        (["reader", "root", "operator"], [("/roles/1", "unknown-role"), ("/roles", "roles-apart")]),
    ],
)
def test_faulty_roles_are_refused_with_every_fault(roles, expected):
    known = "contributor, reader, releaser, signatory, auditor, operator"
    faults = faults_of(check_roles, roles)

    assert [(fault.pointer, fault.code) for fault in faults] == expected
    for fault in faults:
        if fault.code == "unknown-role":
            given = roles[int(fault.pointer.removeprefix("/roles/"))]
            assert fault.message == f"`{given}` is no role: use one of {known}"


def test_empty_roles_are_told_which_there_are():
    assert faults_of(check_roles, [])[0].message == (
        "no role: give at least one of contributor, reader, releaser, signatory, auditor, operator"
    )


def test_several_roles_apart_are_all_named():
    message = faults_of(check_roles, ["reader", "releaser", "operator", "auditor"])[0].message

    assert message == "auditor and operator beside reader and releaser: enrol a second client"


def test_purposes_keep_their_order_and_default_to_the_first_known():
    known = ["defence", "judicial", "law-enforcement"]

    assert check_purposes(["law-enforcement", "defence"], known) == ("law-enforcement", "defence")
    assert check_purposes([], iter(known)) == ("defence",)


@pytest.mark.parametrize(
    ("purposes", "expected"),
    [
        (["profit"], [("/purposes/0", "unknown-purpose")]),
        (["defence", "Defence"], [("/purposes/1", "unknown-purpose")]),
        (["defence", "defence"], [("/purposes/1", "repeated")]),
        (
            ["x", "defence", "x"],
            [("/purposes/0", "unknown-purpose"), ("/purposes/2", "unknown-purpose"), ("/purposes/2", "repeated")],
        ),
    ],
)
def test_faulty_purposes_are_refused_with_every_fault(purposes, expected):
    said = {
        "unknown-purpose": "`{}` is no purpose: use one of defence, judicial",
        "repeated": "`{}` stands twice: keep one",
    }
    faults = faults_of(check_purposes, purposes, ["defence", "judicial"])

    assert [(fault.pointer, fault.code) for fault in faults] == expected
    for fault in faults:
        given = purposes[int(fault.pointer.removeprefix("/purposes/"))]
        assert fault.message == said[fault.code].format(given)


def test_clearance_holds_compartments_once_and_sorted():
    clearance = grant_clearance("SECRET", ["BOHEMIA", "ATOMAL", "BOHEMIA"], since=SINCE, until=None, words=WORDS)

    assert clearance == Clearance("SECRET", ("ATOMAL", "BOHEMIA"), SINCE, None)

    words = ClearanceWords(WORDS.levels, frozenset("ABCDEFG"))
    many = grant_clearance("SECRET", "GFEDCBA", since=SINCE, until=None, words=words)
    assert many.compartments == tuple("ABCDEFG")


def test_clearance_that_is_over_may_be_recorded():
    past = datetime(2020, 1, 1, tzinfo=UTC)

    clearance = grant_clearance("SECRET", [], since=SINCE, until=past, words=WORDS)

    assert clearance.until == past
    assert not clearance.is_current(SINCE)


@pytest.mark.parametrize(
    ("level", "compartments", "expected"),
    [
        ("secret", [], [("/clearance/level", "unknown-level")]),
        ("", [], [("/clearance/level", "unknown-level")]),
        ("NATO SECRET", [], [("/clearance/level", "unknown-level")]),
        ("SECRET", ["atomal"], [("/clearance/compartments", "unknown-compartment")]),
        (
            "X",
            ["A", "ATOMAL", "B"],
            [("/clearance/compartments", "unknown-compartment")] * 2 + [("/clearance/level", "unknown-level")],
        ),
    ],
)
def test_clearance_in_unknown_words_is_refused_with_every_fault(level, compartments, expected):
    faults = faults_of(grant_clearance, level, compartments, since=SINCE, until=None, words=WORDS)

    assert [(fault.pointer, fault.code) for fault in faults] == expected
    unknown = [name for name in compartments if name not in WORDS.compartments]
    told = [fault.message for fault in faults if fault.code == "unknown-compartment"]
    assert told == [f"`{name}` is no compartment known here" for name in unknown]


def test_unknown_level_is_told_which_there_are():
    fault = faults_of(grant_clearance, "se`cret", [], since=SINCE, until=None, words=WORDS)[0]

    assert fault.message == "`se'cret` is no level: use one of RESTRICTED, SECRET"
