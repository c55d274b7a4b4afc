"""Markings in the XML of STANAG 4774 and back, on the command line of anybody: no instance, no connection."""

import json

import pytest

from exchange.cli import policy
from exchange.cli.acts import _in_words
from exchange.cli.consents import show_consent
from exchange.cli.posting import law_catalogue
from exchange.markings import Label
from exchange.wire import DerivationBody
from tests.support.house import command

ABSENT = "01a206dc-85dc-7553-b174-629c9b01e720"

MARKING = "NATO SECRET//ATOMAL//ORCON/REL TO GBR, NOR"


def test_marking_becomes_a_label_and_a_marking_again(tmp_path):
    written = command("policy", "label", MARKING, "--originator", "GBR")
    (tmp_path / "label.xml").write_text(written.out, encoding="utf-8")
    read = command("policy", "label", "--xml", tmp_path / "label.xml", "--originator", "NOR")

    assert (written.code, read.code) == (0, 0)
    assert "<slab:Classification>SECRET</slab:Classification>" in written.out
    assert read.out == "NATO SECRET//ATOMAL//ORCON/REL TO NOR, GBR\n"


def test_all_three_forms_come_in_json():
    ran = command("policy", "label", MARKING, "--json")

    assert ran.code == 0
    assert ran.json["id"] == MARKING
    assert ran.json["label"]["compartments"] == ["ATOMAL"]
    assert "<slab:GenericValue>ORCON</slab:GenericValue>" in ran.json["stanag4774"]


def test_national_level_is_read_with_its_policy():
    ran = command("policy", "label", "SECRET", "--policy", "FRA", "--originator", "FRA")

    assert ran.code == 0
    assert "<slab:PolicyIdentifier>FRA</slab:PolicyIdentifier>" in ran.out
    assert "<slab:GenericValue>FRA</slab:GenericValue>" in ran.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give one of the two"),
        ((MARKING, "--xml", "label.xml"), "give one of the two"),
        (("nato secret",), "`nato secret` is no level marking: write `NATO SECRET`"),
        (("NATO SECRET",), "say who the originator is"),
        (("--xml", "none.xml"), "none.xml"),
    ],
)
def test_fault_is_named(words, told):
    ran = command("policy", "label", *words)

    assert ran.code == (2 if "of the two" in told else 1)
    assert told in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ({"policy": "NATO", "classification": "SECRET"}, "NATO SECRET"),
        ({"policy": "NATO", "classification": "SECRET", "compartments": ["OWN"]}, "SECRET of NATO, for NOR; OWN"),
        ({"policy": "OWN", "classification": "HIGH"}, "HIGH of OWN, for NOR; no caveats"),
    ],
)
def test_label_in_words_that_are_not_known_here_is_told_as_it_stands(capsys, label, told):
    """A consent was granted, and ended as a failure: its label could not be written as a marking here."""
    common = {"compartments": [], "releasable_to": ["NOR"], "handling": []}
    given = {
        "id": ABSENT, "report": ABSENT, "version": 1, "originator": "GBR", "member": "NOR",
        "label": {**common, **label}, "until": "2030-01-01T00:00:00Z", "reason": "r", "state": "granted",
        "requester": ABSENT, "requested_at": "2029-01-01T00:00:00Z", "decided_at": None, "conditions": None,
        "grant": None,
    }  # fmt: skip
    made = DerivationBody.model_validate_json(json.dumps(given))

    for as_json in (False, True):
        show_consent(made, "granted", as_json=as_json)

    assert told in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("to", "part", "told"),
    [
        ("NATO RESTRICTED//REL TO NOR, GBR", "NATO RESTRICTED//REL TO GBR, NOR", None),
        ("NATO RESTRICTED//REL TO GBR, NOR", "NATO UNCLASSIFIED", "NATO RESTRICTED//REL TO GBR, NOR; "),
        ("low", "NATO RESTRICTED//REL TO GBR, NOR", "NATO RESTRICTED//REL TO GBR, NOR; "),
    ],
)
def test_labels_of_an_act_are_told_once_and_where_the_act_says_others_besides(to, part, told):
    label = Label("NATO", "RESTRICTED", (), ("GBR", "NOR"))
    labels = json.dumps([label.as_json()] * 2)

    found = _in_words({"to": to, "part 1": part, "labels": labels})["labels"]

    assert found == (None if told is None else told + "NATO RESTRICTED//REL TO GBR, NOR")


def test_rule_about_a_label_that_the_law_knows_no_more_is_told():
    """The decision was explained, and for the label of one of its rules nothing of it was printed."""
    catalogue = law_catalogue()
    label, unknown = (Label("NATO", "SECRET", compartments, ("NOR",)) for compartments in ((), ("GONE",)))

    assert policy._marking(label, catalogue) == "NATO SECRET//REL TO NOR"
    assert policy._marking(unknown, catalogue) == "SECRET of NATO, for NOR; GONE"


@pytest.mark.parametrize(
    "hostile",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 5000,
        b"\x00\xff",
        b"",
    ],
    ids=["entities", "external", "deep", "bytes", "empty"],
)
def test_hostile_xml_is_refused(tmp_path, hostile):
    (tmp_path / "label.xml").write_bytes(hostile)

    ran = command("policy", "label", "--xml", tmp_path / "label.xml")

    assert ran.code == 1
    assert "the marking cannot be read" in ran.err
    assert ran.out == ""
