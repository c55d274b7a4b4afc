"""What caveats would change: told by member and class, and of nobody's clients."""

from dataclasses import replace
from typing import get_args

import pytest

from exchange.release import Change, ClassChange, Consent, CrisisFacts, Spoken, national_changes
from exchange.release.national_text import read_national
from exchange.wire.caveats import ChangeName
from tests.support.national import guard
from tests.support.release_world import CLASS, LABEL, LOWER, SCOPE, law_files, real_law

SCHEMA = law_files()["exchange.cedarschema"]
OPEN = replace(SCOPE, readers=frozenset({"GBR", "NOR"}), purposes=frozenset({"defence", "judicial"}))


def law_of(*conditions):
    law = real_law()
    if not conditions:
        return law, ()
    text = "".join(guard(f"gbr.{place}", condition) for place, condition in enumerate(conditions))
    guards = read_national("GBR", text, SCHEMA)
    return law.with_national([law.guards.prepared("GBR", guards)]), guards


def changes(before, after, cls=CLASS, scope=OPEN, now=0):
    (was, guards), (will, more) = law_of(*before), law_of(*after)
    spoken = Spoken.of((*guards, *more))
    told = national_changes({7: cls}, lambda _: scope, before=was, after=will, spoken=spoken, at_micros=now)
    return {(each.member, each.change) for found in told for each in found}


STOPPED, NARROWED, OPENED = Change.STOPPED, Change.NARROWED, Change.OPENED


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("false", set()),
        ("true", {("GBR", STOPPED), ("NOR", STOPPED)}),
        ('principal.member == "NOR"', {("NOR", STOPPED)}),
        ('principal.nationality == "NOR"', {("NOR", STOPPED), ("GBR", NARROWED)}),
        ('principal.member == "NOR" && principal.nationality == "ESP"', {("NOR", NARROWED)}),
        ('principal.agency == "NOR/NIS"', {("NOR", NARROWED)}),
        # To courts nothing with a compartment goes anyway.
        ('context.purpose == "defence" && principal.member == "NOR"', {("NOR", STOPPED)}),
        ('principal.member == "NOR" && principal.level_rank < 4', {("NOR", NARROWED)}),
        ('principal.member == "NOR" && principal.level != "TOP SECRET"', {("NOR", NARROWED)}),
        ('resource.kind == "other"', set()),
        ('action == Action::"onward"', set()),
        # Some of a member's clients hold a role beside that of reader, or what no scope asks for, and some do not.
        ('principal.roles.contains("releaser")', {("GBR", NARROWED), ("NOR", NARROWED)}),
        ('!principal.roles.contains("contributor")', {("GBR", NARROWED), ("NOR", NARROWED)}),
        ('!(principal.roles.containsAll(["contributor", "releaser"]))', {("GBR", NARROWED), ("NOR", NARROWED)}),
        (
            'principal.roles.contains("signatory") && !principal.roles.contains("releaser")',
            {("GBR", NARROWED), ("NOR", NARROWED)},
        ),
        ('principal.compartments.contains("ATOMAL")', {("GBR", NARROWED), ("NOR", NARROWED)}),
        ('principal.compartments.contains("EXERCISE-AURORA")', {("GBR", STOPPED), ("NOR", STOPPED)}),
        # No policy has it: nobody is cleared for it.
        ('principal.compartments.contains("NO-SUCH-WORD")', set()),
        # An agency's clients are told as `NOR/NIS`, and by a pattern as well.
        ('principal.agency like "NOR/*"', {("NOR", STOPPED)}),
        ('principal.agency like "NOR/N*"', {("NOR", NARROWED)}),
        ('!(principal.agency like "NOR/N*")', {("GBR", STOPPED), ("NOR", NARROWED)}),
        ('principal.agency like "*/NIS"', {("GBR", NARROWED), ("NOR", NARROWED)}),
        ('principal.agency like "*NIS*"', {("GBR", NARROWED), ("NOR", NARROWED)}),
        # A single client is nobody's to be asked about.
        ('principal == Client::"client-1"', set()),
    ],
)
def test_what_a_caveat_would_stop_is_what_it_undoes_when_it_goes(condition, expected):
    assert changes([], [condition]) == expected
    opened = {(member, OPENED) for member, _ in expected}
    assert changes([condition], []) == opened


def test_a_caveat_in_place_of_another_one_may_stop_here_and_open_there():
    assert changes(['principal.member == "NOR"'], ['principal.member == "GBR"']) == {("NOR", OPENED), ("GBR", STOPPED)}
    swapped = changes(
        ['context.purpose == "defence"'],
        ['context.purpose == "judicial"'],
        replace(CLASS, label=LOWER, part_labels=(LOWER,)),
    )
    assert {change for member, change in swapped if member == "NOR"} == {NARROWED, OPENED}


def test_a_report_of_which_a_part_is_left_is_narrowed():
    parts = replace(CLASS, part_labels=(LOWER, LABEL))

    assert changes([], ["resource.level_rank >= 3"], parts) == {("GBR", NARROWED), ("NOR", NARROWED)}
    assert changes([], ["resource.level_rank < 3"], parts) == {("GBR", NARROWED), ("NOR", NARROWED)}


def test_losing_the_header_alone_or_a_part_alone_is_less():
    # One purpose and no word of levels: no variant of a reader says it in place of the usual one.
    narrow = replace(OPEN, purposes=frozenset({"defence"}))
    header, parts = replace(CLASS, part_labels=(LOWER,)), replace(CLASS, part_labels=(LOWER, LABEL))
    narrowed = {("GBR", NARROWED), ("NOR", NARROWED)}

    assert changes([], ["!resource.compartments.isEmpty()"], header, narrow) == narrowed
    assert changes([], ["resource.compartments.isEmpty()"], parts, narrow) == narrowed
    # Of handling no variant of a reader says anything either.
    handled = replace(parts, part_labels=(replace(LOWER, handling=("PAP:CLEAR",)), LABEL))
    assert changes([], ['resource.handling.contains("PAP:CLEAR")'], handled, narrow) == narrowed
    assert changes(["!resource.compartments.isEmpty()"], [], header, narrow) == {("GBR", OPENED), ("NOR", OPENED)}


@pytest.mark.parametrize(
    "condition",
    [
        'principal.compartments.contains("EXERCISE-AURORA")',
        '!principal.compartments.contains("EXERCISE-AURORA")',
        "!principal.compartments.isEmpty()",
        "principal.compartments.isEmpty()",
        '!principal.compartments.contains("ATOMAL")',
    ],
)
def test_nothing_is_stopped_for_whom_holds_other_compartments(condition):
    low = replace(CLASS, label=LOWER, part_labels=(LOWER,))

    assert changes([], [condition], low) == {("GBR", NARROWED), ("NOR", NARROWED)}


def test_who_lacks_one_compartment_alone_is_asked_too():
    scope = replace(OPEN, compartments=frozenset({"ONE", "TWO", *(f"C{number}" for number in range(20))}))
    cls = replace(CLASS, label=LOWER, part_labels=(LOWER,))
    condition = 'principal.compartments.contains("TWO") && !principal.compartments.contains("ONE")'

    assert changes([], [condition], cls, scope) == {("GBR", NARROWED), ("NOR", NARROWED)}


def test_weak_assurance_is_asked_where_the_caveat_speaks_of_it():
    low = replace(CLASS, label=LOWER, part_labels=(LOWER,))

    assert ("NOR", NARROWED) in changes([], ['context.assurance == "token"'], low)
    assert changes([], ['context.assurance == "token"']) == set()


def test_whom_the_originator_consented_to_is_asked_too():
    consented = replace(CLASS, consents=(Consent.over((LABEL,), member="DNK"),))
    (was, _), (will, guards) = law_of(), law_of('principal.member == "DNK"')
    # In each of the classes, whichever is the first or the last.
    classes = {6: CLASS, 7: consented, 8: CLASS}
    told = national_changes(classes, lambda _: OPEN, before=was, after=will, spoken=Spoken.of(guards), at_micros=0)

    assert [each for found in told for each in found] == [ClassChange(7, "DNK", STOPPED)]


def test_readers_of_each_scope_are_asked_about_its_own_reports():
    (was, _), (will, guards) = law_of(), law_of("true")
    low = replace(CLASS, label=LOWER, part_labels=(LOWER,))
    classes = {6: low, 7: replace(low, scope="danish"), 8: low}
    danish = replace(OPEN, scope="danish", readers=frozenset({"DNK"}))
    told = national_changes(
        classes,
        lambda cls: danish if cls.scope == "danish" else OPEN,
        before=was,
        after=will,
        spoken=Spoken.of(guards),
        at_micros=0,
    )

    assert [(each.member, each.class_id) for found in told for each in found] == [
        ("DNK", 7),
        ("GBR", 6),
        ("GBR", 7),
        ("GBR", 8),
        ("NOR", 6),
        ("NOR", 8),
    ]


def test_without_a_scope_nothing_was_readable_and_nothing_changes():
    assert changes([], ["true"], scope=None) == set()


def test_changes_are_called_what_the_interface_calls_them():
    assert {each.value for each in Change} == set(get_args(ChangeName)) == {"stopped", "narrowed", "opened"}


def test_changes_name_the_class_by_member_in_order():
    (will, guards), (was, _) = law_of("true"), law_of()
    told = national_changes(
        {9: CLASS, 3: CLASS}, lambda _: OPEN, before=was, after=will, spoken=Spoken.of(guards), at_micros=0
    )

    assert [each for found in told for each in found] == [
        ClassChange(each, member, STOPPED) for member in ("GBR", "NOR") for each in (3, 9)
    ]


def test_only_some_of_the_words_that_a_caveat_names_are_tried():
    codes = [f"A{number:02}" for number in range(20)]
    _, guards = law_of(
        " || ".join(f'principal.nationality == "{code}"' for code in codes), 'principal.agency == "NOR/X"'
    )
    spoken = Spoken.of(guards)

    assert spoken.nationalities == tuple(codes[:8])
    assert spoken.agencies == ("NOR/X",)
    assert not spoken.levels
    assert not spoken.assurance


def test_words_that_only_begin_like_a_code_or_an_agency_and_numbers_are_none():
    agencies = [f"NOR/{number:02}" for number in reversed(range(20))]
    _, guards = law_of(
        " || ".join(f'principal.agency == "{agency}"' for agency in agencies),
        f'principal.agency == "NOR/{"0" * 65}" || principal.nationality == "NOR-2"',
        'principal.nationality == "ESP" && principal.level_rank < 4',
    )
    spoken = Spoken.of(guards)
    _, patterns = law_of(" || ".join(f'principal.agency like "*{agency}*"' for agency in agencies))

    assert spoken.agencies == Spoken.of(patterns).agencies == tuple(sorted(agencies)[:8])
    assert (spoken.nationalities, spoken.levels) == (("ESP",), True)


def test_words_are_nationalities_and_agencies_only_where_the_caveat_asks_for_those():
    _, guards = law_of('principal.member == "NOR" && resource.scope == "NOR/X"')
    spoken = Spoken.of(guards)

    assert (spoken.nationalities, spoken.agencies) == ((), ())


def test_whom_an_open_crisis_lets_read_is_asked_too():
    crisis = CrisisFacts("c1", frozenset({"DNK"}), None)
    cls = replace(CLASS, label=LOWER, part_labels=(LOWER,), crises=("c1",))

    assert changes([], ['principal.member == "DNK"'], cls, replace(OPEN, crises=(crisis,))) == {("DNK", STOPPED)}
    assert changes([], ['principal.member == "DNK"'], cls) == set()


def test_own_readers_are_asked_though_no_scope_names_them():
    scope = replace(OPEN, readers=frozenset({"NOR"}))

    assert changes([], ["true"], scope=scope) == {("GBR", STOPPED), ("NOR", STOPPED)}


def test_consent_that_has_ended_gives_a_caveat_nothing_to_stop():
    released = replace(CLASS, consents=(Consent.over([LABEL], member="ESP", until_micros=1_000),))

    assert changes([], ['principal.member == "ESP"'], released, now=999) == {("ESP", STOPPED)}
    assert changes([], ['principal.member == "ESP"'], released, now=1_000) == set()
