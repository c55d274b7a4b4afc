"""Each handling caveat: what it forbids, what it does not, and what the originator's consent lifts."""

from dataclasses import replace
from itertools import product

import pytest

from exchange.agreements import OnwardRelease
from exchange.release import CAVEATS, Assurance, Consent, Permit, Refusal, Use, decide
from exchange.release.rules import LABEL_RULES, Case, ask_label_rule
from tests.support.release_world import CLASS, LABEL, READER, ROW, SCOPE, reader, real_law, rules_only_law

PURPOSES = frozenset({"defence", "judicial", "law-enforcement", "counter-terrorism", "sanctions"})
WIDE = replace(SCOPE, purposes=PURPOSES)
CONTROLLED = ("ORCON", "H2", "TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER")


def marked(*handling, to=LABEL.releasable_to, **others):
    label = replace(LABEL, handling=tuple(sorted(handling)), releasable_to=to)
    return replace(CLASS, label=label, part_labels=(label,), **others)


def consented(cls, member="NOR", purposes=(), until=None):
    return replace(cls, consents=(Consent(member, cls.part_labels, tuple(purposes), until),))


def found(cls, who=READER, *, use=Use.READ, scope=WIDE):
    match decide(who, cls, scope, ROW, use, rules_only_law()):
        case Permit():
            return ()
        case Refusal(reasons, _):
            return tuple(reason.value for reason in reasons)


def test_every_caveat_of_the_law_has_a_meaning_and_every_meaning_a_caveat():
    assert set(CAVEATS) == set(real_law().catalogue.base.caveats)


@pytest.mark.parametrize("name", CAVEATS)
def test_meaning_names_rules_that_there_are_and_a_sentence(name):
    assert set(CAVEATS[name].rules) <= {rule.number for rule in LABEL_RULES}
    assert CAVEATS[name].enforced.endswith((".", "now."))


SWEEP = [
    (reader(member=member, nationality=nationality, purpose=purpose, assurance=assurance), use)
    for member, nationality in product(("GBR", "NOR"), ("GBR", "NOR", "ESP"))
    for purpose, assurance, use in product(("defence", "judicial", "sanctions"), Assurance, Use)
]


@pytest.mark.parametrize("name", CAVEATS)
def test_rules_whose_answer_a_caveat_changes_are_among_those_that_its_meaning_names(name):
    plain = replace(LABEL, classification="RESTRICTED", releasable_to=() if name == "NOFORN" else ("GBR", "NOR"))
    label = replace(plain, handling=(name,))
    changed = set()
    for who, use in SWEEP:
        case = Case(who, CLASS, WIDE, ROW, use, rules_only_law().catalogue)
        for rule in LABEL_RULES:
            if ask_label_rule(rule, case, label) is not ask_label_rule(rule, case, plain):
                changed.add(rule.number)

    # A label that names nobody is read by the originator alone: with NOFORN that is said twice.
    assert changed | ({20} if name == "NOFORN" else set()) <= set(CAVEATS[name].rules)
    assert changed or name in {"H3", "TLP:GREEN", "TLP:CLEAR", "PAP:AMBER", "PAP:GREEN", "PAP:CLEAR"}


@pytest.mark.parametrize("name", sorted(set(CAVEATS) - {"NOFORN", "H0"}))
def test_caveat_alone_keeps_no_ordinary_reader_out(name):
    assert found(marked(name)) == ()


@pytest.mark.parametrize("name", sorted(CAVEATS))
def test_passing_on_what_is_controlled_needs_the_originator(name):
    to = () if name == "NOFORN" else LABEL.releasable_to
    who = reader(member="GBR", nationality="GBR", purpose="law-enforcement")

    assert found(marked(name, to=to), who, use=Use.ONWARD) == (("originator-control",) if name in CONTROLLED else ())


# ── nationality ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("caveat", "member", "nationality", "reasons"),
    [
        ("EYES ONLY", "NOR", "NOR", ()),
        ("EYES ONLY", "NOR", "GBR", ()),
        ("EYES ONLY", "NOR", "ESP", ("nationality",)),
        ("NATIONALS ONLY", "NOR", "NOR", ()),
        ("NATIONALS ONLY", "NOR", "GBR", ("nationality",)),
        ("NATIONALS ONLY", "GBR", "NOR", ("nationality",)),
    ],
)
def test_nationality_limits(caveat, member, nationality, reasons):
    assert found(marked(caveat), reader(member=member, nationality=nationality)) == reasons


@pytest.mark.parametrize(
    ("member", "nationality", "reasons"),
    [
        ("GBR", "GBR", ()),
        ("GBR", "NOR", ("nationality",)),
        ("NOR", "GBR", ("not-releasable", "nationality")),
        ("NOR", "NOR", ("not-releasable", "nationality")),
    ],
)
def test_noforn_is_read_by_the_originators_nationals_at_the_originator(member, nationality, reasons):
    assert found(marked("NOFORN", to=()), reader(member=member, nationality=nationality)) == reasons


def test_no_consent_lifts_noforn():
    assert found(consented(marked("NOFORN", to=()))) == ("nationality",)


# ── purposes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
def test_h0_is_for_crime_alone(purpose):
    allowed = purpose in {"law-enforcement", "counter-terrorism", "judicial"}

    assert found(marked("H0"), reader(purpose=purpose)) == (() if allowed else ("handling-caveat",))


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
def test_h1_stays_out_of_court(purpose):
    assert found(marked("H1"), reader(purpose=purpose)) == (("handling-caveat",) if purpose == "judicial" else ())


@pytest.mark.parametrize("purpose", sorted(PURPOSES))
def test_pap_red_shows_itself_nowhere(purpose):
    reasons = ("handling-caveat",) if purpose in {"judicial", "sanctions"} else ()

    assert found(marked("PAP:RED"), reader(purpose=purpose)) == reasons


@pytest.mark.parametrize("name", ["H1", "PAP:RED"])
def test_consent_that_names_the_purpose_lifts_it_for_that_member(name):
    court = reader(purpose="judicial")

    assert found(consented(marked(name), purposes=["judicial"]), court) == ()
    assert found(consented(marked(name), purposes=["sanctions"]), court) == ("handling-caveat",)
    # A consent to pass it on says nothing of courts.
    assert found(consented(marked(name)), court) == ("handling-caveat",)
    assert found(consented(marked(name), member="DNK", purposes=["judicial"]), court) == ("handling-caveat",)


def test_consent_for_the_court_does_not_make_a_caveat_known():
    law_knows_not = replace(CLASS, label=replace(LABEL, handling=("SEALED",)), part_labels=())

    assert found(consented(replace(law_knows_not, part_labels=(law_knows_not.label,)), purposes=["judicial"]))


# ── TLP ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER", "TLP:GREEN", "TLP:CLEAR"])
def test_red_goes_to_no_token(name):
    low = replace(LABEL, classification="RESTRICTED", handling=(name,))
    cls = replace(CLASS, label=low, part_labels=(low,))

    assert found(cls, reader(assurance=Assurance.TOKEN)) == (("weak-assurance",) if name == "TLP:RED" else ())


# ── consent to pass on ─────────────────────────────────────────────────────────────────────────────────────────────────

OUTSIDER = reader(member="ESP", nationality="ESP")


def test_outsider_reads_what_the_originator_released_to_it():
    assert found(marked("ORCON"), OUTSIDER) == ("not-a-party", "not-releasable")
    assert found(consented(marked("ORCON"), member="ESP"), OUTSIDER) == ()


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"level": "RESTRICTED"}, ("above-clearance",)),
        ({"compartments": frozenset()}, ("missing-compartment",)),
        ({"clearance_current": False}, ("clearance-expired",)),
        ({"is_active": False}, ("client-suspended",)),
        ({"purpose": "exercise"}, ("purpose-not-allowed",)),
        ({"roles": frozenset()}, ("role-missing",)),
    ],
)
def test_consent_lifts_nothing_else(changes, reasons):
    assert found(consented(marked(), member="ESP"), replace(OUTSIDER, **changes)) == reasons


def test_consent_holds_for_its_member_purpose_and_time():
    cls = consented(marked(), member="ESP", purposes=["defence"], until=10)
    out = ("not-a-party", "not-releasable")

    assert found(cls, replace(OUTSIDER, at_micros=9)) == ()
    assert found(cls, replace(OUTSIDER, at_micros=10)) == out
    assert found(cls, replace(OUTSIDER, purpose="judicial")) == out
    assert found(cls, reader(member="DNK", nationality="DNK")) == ("not-releasable",)


def test_consent_is_nothing_under_an_agreement_that_lets_nothing_go_on():
    never = replace(WIDE, onward_release=OnwardRelease.NEVER)

    assert found(consented(marked(), member="ESP"), OUTSIDER, scope=never) == ("not-a-party", "not-releasable")
    # Who reads anyway may still be given a purpose.
    assert found(consented(marked("H1"), purposes=["judicial"]), reader(purpose="judicial"), scope=never) == ()


def test_reader_of_the_scope_is_given_a_label_where_nothing_goes_on_to_others():
    never = replace(WIDE, onward_release=OnwardRelease.NEVER)
    dnk, own = reader(member="DNK", nationality="DNK"), reader(member="GBR", nationality="GBR")
    given = consented(marked(), member="DNK")

    assert found(marked(), dnk, scope=never) == ("not-releasable",)
    assert found(given, dnk, scope=never) == ()
    # A party that the scope does not name as a reader is one of the others.
    assert found(given, dnk, scope=replace(never, readers=frozenset({"NOR"}))) == ("not-a-party", "not-releasable")
    assert found(consented(marked(to=("NOR",)), member="GBR"), own, scope=never) == ()


def test_consent_for_one_label_takes_nothing_from_a_reader_of_the_scope():
    lower = replace(LABEL, classification="RESTRICTED", compartments=())
    two = replace(CLASS, part_labels=(LABEL, lower), consents=(Consent("NOR", (lower,)),))
    match decide(READER, two, WIDE, ROW, Use.READ, rules_only_law()):
        case Permit(labels, _, _):
            assert labels == {LABEL, lower}
        case Refusal():
            pytest.fail("the consent took what the scope gives")


def test_consent_does_not_outlive_the_agreement_or_the_originators_part():
    assert found(consented(marked(), member="ESP"), OUTSIDER, scope=replace(WIDE, in_force=False)) == (
        "agreement-not-in-force",
    )
    left = replace(WIDE, active_parties=frozenset({"NOR", "DNK"}))
    assert found(consented(marked(), member="ESP"), OUTSIDER, scope=left) == ("agreement-not-in-force",)


def test_consent_for_one_label_opens_no_other():
    open_to_all = replace(LABEL, classification="RESTRICTED", releasable_to=("ESP", "GBR", "NOR"), compartments=())
    two = replace(CLASS, part_labels=(open_to_all, LABEL))
    cls = replace(two, consents=(Consent("ESP", (LABEL,)),))
    match decide(OUTSIDER, cls, WIDE, ROW, Use.READ, rules_only_law()):
        case Permit(labels, _, _):
            assert labels == {LABEL}
        case Refusal():
            pytest.fail("the consent was passed over")


def test_eyes_only_is_for_the_nationals_of_whom_it_was_released_to():
    cls = consented(marked("EYES ONLY"), member="ESP")

    assert found(cls, OUTSIDER) == ()
    assert found(cls, replace(OUTSIDER, nationality="DNK")) == ("nationality",)
