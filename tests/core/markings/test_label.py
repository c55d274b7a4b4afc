import pytest

from exchange.kernel import MalformedError
from exchange.markings import Label, label_from_json


@pytest.mark.parametrize("kind", ["compartments", "releasable_to", "handling"])
@pytest.mark.parametrize("values", [("B", "A"), ("A", "A"), ["A", "B"]])
def test_label_sets_out_of_order_or_repeated_are_refused(kind, values):
    with pytest.raises(ValueError, match=r"^label sets are sorted tuples without repeats, got [(\[]'"):
        Label("NATO", "SECRET", **{kind: values})


def test_label_in_json_has_the_keys_of_the_contract():
    assert Label("NATO", "SECRET", ("ATOMAL",), ("GBR", "NOR"), ("ORCON",)).as_json() == {
        "policy": "NATO",
        "classification": "SECRET",
        "compartments": ["ATOMAL"],
        "releasable_to": ["GBR", "NOR"],
        "handling": ["ORCON"],
    }


def test_label_without_more_is_for_the_originator_alone():
    assert Label("NATO", "SECRET") == Label("NATO", "SECRET", (), (), ())


LABEL = Label("NATO", "SECRET", ("ATOMAL",), ("GBR", "NOR"), ("ORCON",))


def test_label_in_json_is_read_back():
    assert label_from_json(LABEL.as_json()) == LABEL
    assert label_from_json(Label("NATO", "SECRET").as_json()) == Label("NATO", "SECRET")


FIELDS = (
    "^a stored label does not have exactly the fields classification, compartments, handling, policy, releasable_to$"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, FIELDS),
        ([], FIELDS),
        ({}, FIELDS),
        ({**LABEL.as_json(), "extra": 1}, FIELDS),
        ({name: value for name, value in LABEL.as_json().items() if name != "handling"}, FIELDS),
        ({**LABEL.as_json(), "policy": None}, "^`policy` of a stored label is not text$"),
        ({**LABEL.as_json(), "classification": 1}, "^`classification` of a stored label is not text$"),
        ({**LABEL.as_json(), "handling": "ORCON"}, "^`handling` of a stored label is not a list$"),
        ({**LABEL.as_json(), "compartments": None}, "^`compartments` of a stored label is not a list$"),
        ({**LABEL.as_json(), "releasable_to": [1]}, "^`releasable_to` of a stored label is not text$"),
        ({**LABEL.as_json(), "releasable_to": ["NOR", "GBR"]}, "^a stored label is not in its canonical order: "),
        ({**LABEL.as_json(), "handling": ["ORCON", "ORCON"]}, "^a stored label is not in its canonical order: "),
    ],
)
def test_label_in_any_other_json_is_malformed(value, message):
    with pytest.raises(MalformedError, match=message):
        label_from_json(value)
