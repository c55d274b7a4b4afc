import pytest

from exchange.markings.families import FAMILIES
from exchange.reports.stix_markings import STIX_MARKINGS, strictest_marking

RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
CLEAR = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"


# TLP 2.0: OASIS, extension definition of STIX 2.1. TLP 1, whose WHITE is CLEAR today: STIX 2.1, 7.2.1.4.
SECOND_TLP = {
    CLEAR: None,
    GREEN: "TLP:GREEN",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "TLP:AMBER",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "TLP:AMBER+STRICT",
    RED: "TLP:RED",
}
FIRST_TLP = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": None,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "TLP:GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "TLP:AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "TLP:RED",
}
OF_OPENCTI = {"marking-definition--826578e1-40ad-459f-bc73-ede076f81f37": "TLP:AMBER+STRICT"}


def bundle(*objects):
    return {"type": "bundle", "objects": list(objects)}


def test_ids_stand_for_caveats_of_the_family():
    assert set(STIX_MARKINGS) == {*FIRST_TLP, *SECOND_TLP, *OF_OPENCTI}
    assert set(STIX_MARKINGS.values()) == set(FAMILIES["TLP"])


@pytest.mark.parametrize(("an_id", "expected"), (SECOND_TLP | FIRST_TLP | OF_OPENCTI).items())
def test_marking_of_an_object_is_found(an_id, expected):
    assert strictest_marking(bundle({"object_marking_refs": [an_id]})) == expected
    assert strictest_marking(bundle({"granular_markings": [{"marking_ref": an_id}]})) == expected


def test_strictest_of_several_counts():
    objects = [{"object_marking_refs": [GREEN, CLEAR]}, {"granular_markings": [{"marking_ref": RED}]}]

    assert strictest_marking(bundle(*objects)) == "TLP:RED"


def test_markings_of_others_beside_ours_hide_nothing():
    other = "marking-definition--00000000-0000-4000-8000-000000000000"

    # Nor does what is no object at all.
    assert strictest_marking(bundle(7, {"object_marking_refs": [RED]})) == "TLP:RED"
    assert strictest_marking(bundle({"object_marking_refs": [other, GREEN]}, {"object_marking_refs": [other]})) == (
        "TLP:GREEN"
    )


@pytest.mark.parametrize(
    "objects",
    [
        [],
        [{"type": "marking-definition", "id": RED}],
        [RED, {"object_marking_refs": RED, "granular_markings": RED}, {"object_marking_refs": [1]}],
        [{"granular_markings": [RED, {"marking_ref": 1}]}],
        [{"object_marking_refs": [{"id": RED}, [RED]], "granular_markings": [{"marking_ref": [RED]}]}],
        [{"object_marking_refs": ["marking-definition--00000000-0000-4000-8000-000000000000"]}],
    ],
)
def test_what_marks_nothing_is_no_marking(objects):
    assert strictest_marking(bundle(*objects)) is None


def test_bundle_without_objects_has_none():
    assert strictest_marking({"type": "bundle", "objects": 1, "id": RED}) is None
