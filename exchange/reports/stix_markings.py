"""TLP markings inside a STIX bundle: which the objects bear, by the fixed ids of their marking definitions.

TLP 2.0: OASIS, cti-stix-common-objects, extension definition "tlp-2.0"; TLP 1: STIX 2.1 §7.2.1.4. WHITE is CLEAR. The
last one is no standard's: OpenCTI and what feeds it mark so what TLP 1 has no word for.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from exchange.markings.families import strictest

STIX_MARKINGS: Final[Mapping[str, str]] = {
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "TLP:CLEAR",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "TLP:GREEN",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "TLP:AMBER",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "TLP:AMBER+STRICT",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "TLP:RED",
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "TLP:CLEAR",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "TLP:GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "TLP:AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "TLP:RED",
    "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37": "TLP:AMBER+STRICT",
}
NO_LIMIT: Final = "TLP:CLEAR"


def strictest_marking(bundle: Mapping[str, object]) -> str | None:
    """Return the strictest TLP caveat that an object of a STIX bundle bears; None for none and for CLEAR."""
    borne = {STIX_MARKINGS[ref] for ref in _references(bundle.get("objects")) if ref in STIX_MARKINGS} - {NO_LIMIT}
    found = strictest((name,) for name in borne)
    return found[0] if found else None


def _references(objects: object) -> Iterator[str]:
    for each in objects if isinstance(objects, list) else ():
        if not isinstance(each, dict):
            continue
        granular = each.get("granular_markings")
        refs = [each.get("object_marking_refs")]
        refs += (
            [[one.get("marking_ref")] for one in granular if isinstance(one, dict)]
            if isinstance(granular, list)
            else []
        )
        for listed in refs:
            yield from (ref for ref in listed if isinstance(ref, str)) if isinstance(listed, list) else ()
