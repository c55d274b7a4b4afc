"""Whoever is to sign a text is shown all of it: what is left out was agreed to unread."""

from collections.abc import Iterator

import pytest

from exchange.agreements import TreatyText, terms_as_json, terms_from_stored
from exchange.cli.agreement_group import agreement_fields, text_fields
from exchange.wire import AgreementBody

TERMS = {
    "title": "Arrangement of words that stand nowhere twice",
    "parties": ["AAA", "BBB", "CCC"],
    "policy": "NATO",
    "validity": {"from": "2026-02-03", "until": "2031-04-05", "review_every": "P7M"},
    "scopes": [
        {
            "name": "warnings",
            "topics": ["cyber.apt"],
            "regions": ["EUR"],
            "kinds": ["intrep"],
            "purposes": ["law-enforcement"],
            "ceiling": "CONFIDENTIAL",
            "compartments": ["AURORA"],
            "contributors": ["AAA"],
            "readers": ["BBB"],
            "onward_release": "originator-consent",
            "retention": "P17Y",
            "answers": "asked",
        }
    ],
    "obligations": [
        {"party": "CCC", "scope": "warnings", "report_every": "P11D", "acknowledge": {"FLASH": "PT13M"}},
    ],
    "termination": {"notice": "P97D", "shared_reports": "kept"},
    "older_reports": "included",
    "crisis": [
        {
            "name": "storm",
            "scope": "warnings",
            "ceiling": "TOP SECRET",
            "readers": ["CCC"],
            "at_most": "PT71H",
            "signatories": [{"member": "AAA", "name": "ada"}, {"member": "BBB", "name": "kari"}],
            "older_reports": "included",
        }
    ],
}


def words_of(value: object) -> Iterator[str]:
    """Yield every value that stands in a text."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from [name] if name == "FLASH" else []
            yield from words_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from words_of(each)
    else:
        yield str(value)


@pytest.fixture
def text() -> TreatyText:
    return TreatyText("x", 2, "e" * 64, terms_as_json(terms_from_stored(TERMS)))


def test_whoever_signs_is_shown_every_word_of_the_text(text: TreatyText) -> None:
    assert text.terms == TERMS

    shown = text_fields(text)

    told = " ".join(f"{name} {each}" for name, each in shown.items())
    assert [word for word in words_of(TERMS) if word not in told] == []
    assert (shown["text"], shown["replaces"]) == (text.digest, "e" * 64)


def test_agreement_is_shown_with_every_word_of_its_text(text: TreatyText) -> None:
    parties = [{"member": code, "state": "pending"} for code in TERMS["parties"]]
    body = AgreementBody.model_validate(
        {
            **TERMS,
            "id": "01a20000-0000-7000-8000-000000000001",
            "version": 1,
            "edition": 2,
            "previous": "e" * 64,
            "text": "f" * 64,
            "state": "draft",
            "parties": parties,
        }
    )

    told = " ".join(f"{name} {each}" for name, each in agreement_fields(body).items())

    assert [word for word in words_of(TERMS) if word not in told] == []


@pytest.mark.parametrize("place", ["onward_release", "retention", "purposes", "regions", "kinds", "compartments"])
def test_two_texts_that_differ_in_one_thing_are_not_shown_alike(text: TreatyText, place: str) -> None:
    other = {"onward_release": "parties", "retention": "P99Y"}.get(place, ["other"])
    scope = {**TERMS["scopes"][0], place: other}
    changed = TreatyText("x", 2, "e" * 64, terms_as_json(terms_from_stored({**TERMS, "scopes": [scope]})))

    before, after = text_fields(text), text_fields(changed)

    assert {name for name in before if before[name] != after[name]} > {"text"}
