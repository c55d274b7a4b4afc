"""The shipped equivalences, row by row. A wrong row is a leak: nothing here follows from how a word looks."""

import pytest

from exchange.markings import Label, UnknownMarkingError
from tests.core.markings.worlds import ROUGH, SHIPPED

RANKS = {"TOP SECRET": 4, "SECRET": 3, "CONFIDENTIAL": 2, "RESTRICTED": 1, "UNCLASSIFIED": 0}
# policy, then its markings that equal COSMIC TOP SECRET, NATO SECRET, NATO CONFIDENTIAL, NATO RESTRICTED.
TABLE = [
    (
        "EU",
        "TRÈS SECRET UE/EU TOP SECRET",
        "SECRET UE/EU SECRET",
        "CONFIDENTIEL UE/EU CONFIDENTIAL",
        "RESTREINT UE/EU RESTRICTED",
    ),
    ("BEL", "Très Secret / Zeer Geheim", "Secret / Geheim", "Confidentiel / Vertrouwelijk", None),
    ("BGR", "Строго секретно", "Секретно", "Поверително", "За служебно ползване"),
    ("CZE", "Přísně tajné", "Tajné", "Důvěrné", "Vyhrazené"),
    ("DEU", "STRENG GEHEIM", "GEHEIM", "VS-VERTRAULICH", "VS-NUR FÜR DEN DIENSTGEBRAUCH"),
    ("DNK", "YDERST HEMMELIGT", "HEMMELIGT", "FORTROLIGT", "TIL TJENESTEBRUG"),
    ("ESP", "SECRETO", "RESERVADO", "CONFIDENCIAL", "DIFUSIÓN LIMITADA"),
    ("EST", "Täiesti salajane", "Salajane", "Konfidentsiaalne", "Piiratud"),
    ("FRA", "TRÈS SECRET", "SECRET", None, None),
    ("GRC", "Άκρως Απόρρητο", "Απόρρητο", "Εμπιστευτικό", "Περιορισμένης Χρήσης"),
    ("HRV", "VRLO TAJNO", "TAJNO", "POVJERLJIVO", "OGRANIČENO"),
    ("IRL", "Top Secret", "Secret", "Confidential", "Restricted"),
    ("ITA", "Segretissimo", "Segreto", "Riservatissimo", "Riservato"),
    ("NOR", "STRENGT HEMMELIG", "HEMMELIG", "KONFIDENSIELT", "BEGRENSET"),
    ("SWE", "Kvalificerat hemlig", "Hemlig", "Konfidentiell", "Begränsat hemlig"),
]
CELLS = [
    (policy, marking, base) for policy, *row in TABLE for marking, base in zip(row, RANKS, strict=False) if marking
]


def named(policy: str, marking: str) -> Label:
    return Label(policy, next(level.name for level in SHIPPED.policies[policy].levels if level.marking == marking))


@pytest.mark.parametrize(("policy", "marking", "base"), CELLS)
def test_marking_protects_and_clears_like_its_base_level(policy, marking, base):
    label = named(policy, marking)

    assert SHIPPED.protection_rank(label) == RANKS[base]
    assert SHIPPED.clearance_rank(label.classification, policy) == RANKS[base]
    assert SHIPPED.equivalents(label) == {policy: label.classification, "NATO": base}


@pytest.mark.parametrize(("policy", "row"), [(policy, row) for policy, *row in TABLE])
def test_policy_has_the_levels_of_its_row_and_no_other(policy, row):
    levels = SHIPPED.policies[policy].levels

    assert [level.marking for level in levels] == [marking for marking in reversed(row) if marking]
    assert [level.rank for level in levels] == list(range(len(levels)))
    assert all(level.policy == policy for level in levels)


def test_table_covers_every_shipped_policy():
    assert set(SHIPPED.policies) == {policy for policy, *_ in TABLE} | {"NATO"}
    assert SHIPPED.base.id == "NATO"


def test_national_names_are_the_national_markings():
    national = [
        level for policy in SHIPPED.policies.values() if policy.id not in {"NATO", "EU"} for level in policy.levels
    ]

    assert all(level.name == level.marking for level in national)


@pytest.mark.parametrize(
    ("name", "marking"),
    [
        ("TOP SECRET", "COSMIC TOP SECRET"),
        ("SECRET", "NATO SECRET"),
        ("CONFIDENTIAL", "NATO CONFIDENTIAL"),
        ("RESTRICTED", "NATO RESTRICTED"),
        ("UNCLASSIFIED", "NATO UNCLASSIFIED"),
    ],
)
def test_base_levels_rank_as_they_stand(name, marking):
    level = SHIPPED.base.level(name)

    assert level is not None
    assert (level.marking, level.rank) == (marking, RANKS[name])
    assert SHIPPED.protection_rank(Label("NATO", name)) == SHIPPED.clearance_rank(name) == RANKS[name]


@pytest.mark.parametrize(
    ("policy", "looks_like"), [("ESP", "SECRETO"), ("ITA", "Riservatissimo"), ("BEL", "Très Secret / Zeer Geheim")]
)
def test_every_row_names_its_source_and_first_day(policy, looks_like):
    row = SHIPPED.policies[policy].equivalents[looks_like]

    assert row.source == "2013/488/EU, Appendix B"
    assert row.valid_from.isoformat() == "2021-07-01"


@pytest.mark.parametrize(
    ("base", "having", "without"),
    [
        ("UNCLASSIFIED", {"NATO"}, {"EU", "FRA", "DEU"}),
        ("RESTRICTED", {"NATO", "EU", "DEU", "ITA"}, {"BEL", "FRA"}),
        ("CONFIDENTIAL", {"NATO", "BEL", "ITA"}, {"FRA"}),
        ("SECRET", set(SHIPPED.policies), set()),
    ],
)
def test_base_level_is_equal_only_where_a_row_says_so(base, having, without):
    equal = SHIPPED.equivalents(Label("NATO", base))

    assert having <= set(equal)
    assert not without & set(equal)


def test_equivalents_name_the_level_of_each_policy():
    equal = SHIPPED.equivalents(Label("NATO", "SECRET"))

    assert (equal["NATO"], equal["ESP"], equal["ITA"], equal["FRA"]) == ("SECRET", "RESERVADO", "Segreto", "SECRET")


def test_level_without_a_row_is_equal_to_itself_alone():
    assert ROUGH.equivalents(Label("RND", "D")) == {"RND": "D"}
    assert ROUGH.equivalents(Label("BASE", "THREE")) == {"BASE": "THREE"}


@pytest.mark.parametrize(
    ("name", "protection", "clearance"), [("E", 4, 4), ("D", 4, 2), ("C", 4, 2), ("B", 2, 2), ("A", 2, 0)]
)
def test_level_without_a_row_rounds_protection_up_and_clearance_down(name, protection, clearance):
    assert ROUGH.protection_rank(Label("RND", name)) == protection
    assert ROUGH.clearance_rank(name, "RND") == clearance


@pytest.mark.parametrize(
    ("level", "policy", "code"),
    [
        ("SECRET", "XXX", "unknown-policy"),
        ("Secret", "NATO", "unknown-level"),
        ("", None, "unknown-level"),
        ("SECRETO", None, "unknown-level"),
    ],
)
def test_clearance_to_an_unknown_level_is_refused(level, policy, code):
    with pytest.raises(UnknownMarkingError) as caught:
        SHIPPED.clearance_rank(level, policy)

    assert [fault.code for fault in caught.value.faults] == [code]


def test_policies_are_the_ones_that_were_reviewed():
    # Pinned: changing any row, name or date of the policies must be meant. `Catalogue.digest` says what to write here.
    assert SHIPPED.digest == "2a6aa17d67bec8efe7bad505325562bf538171cff756b41ca826b2b358afb107"
