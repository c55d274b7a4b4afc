import pytest

from exchange.markings import Label


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
