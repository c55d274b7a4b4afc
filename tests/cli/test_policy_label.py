"""Markings in the XML of STANAG 4774 and back, on the command line of anybody: no instance, no connection."""

import pytest

from tests.support.house import command

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
        (("nato secret",), "write `NATO SECRET` of NATO"),
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
