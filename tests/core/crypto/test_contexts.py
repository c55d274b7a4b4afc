import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import CONTEXT_BYTES, CryptoError, header_context, part_context
from exchange.kernel import canonical_bytes

REPORT = "0198c1f0-0000-7000-8000-000000000001"
OTHER = "0198c1f0-0000-7000-8000-000000000002"
LABEL = {
    "policy": "NATO",
    "classification": "SECRET",
    "compartments": [],
    "releasable_to": ["GBR", "NOR"],
    "handling": [],
}
DIGEST = "ab" * 32

PLACES = [
    part_context(LABEL, REPORT, 1, 1),
    part_context(LABEL | {"classification": "RESTRICTED"}, REPORT, 1, 1),
    part_context(LABEL | {"policy": "EU"}, REPORT, 1, 1),
    part_context(LABEL | {"compartments": ["ATOMAL"]}, REPORT, 1, 1),
    part_context(LABEL | {"releasable_to": ["GBR"]}, REPORT, 1, 1),
    part_context(LABEL | {"releasable_to": ["GBR, NOR"]}, REPORT, 1, 1),
    part_context(LABEL | {"handling": ["ORCON"]}, REPORT, 1, 1),
    part_context(LABEL, OTHER, 1, 1),
    part_context(LABEL, REPORT, 2, 1),
    part_context(LABEL, REPORT, 1, 2),
    header_context(REPORT, 1, DIGEST),
    header_context(OTHER, 1, DIGEST),
    header_context(REPORT, 2, DIGEST),
    header_context(REPORT, 11, DIGEST),
    header_context(REPORT, 1, "ac" * 32),
]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(PLACES, 2)))
def test_two_places_never_share_a_context(one, other):
    assert one != other


@pytest.mark.parametrize("context", PLACES)
def test_context_is_a_digest(context):
    assert (type(context), len(context)) == (bytes, CONTEXT_BYTES)


def test_part_context_is_the_digest_of_canonical_bytes():
    place = {"is": "part", "label": LABEL, "part": 3, "report": REPORT, "version": 2}

    assert part_context(LABEL, REPORT, 3, 2) == hashlib.sha256(canonical_bytes(place)).digest()


@given(st.uuids(), st.integers(0, 2**31), st.binary(min_size=32, max_size=32))
def test_header_context_is_the_digest_of_canonical_bytes(report, version, digest):
    place = {"class": digest.hex(), "is": "header", "report": str(report), "version": version}

    assert header_context(str(report), version, digest.hex()) == hashlib.sha256(canonical_bytes(place)).digest()


def test_contexts_of_stored_reports_stay_what_they_are():
    # What was encrypted under them must open for ever.
    assert PLACES[0].hex() == "5e1e277039855b8b84e485a2e070c72324bfa9d51bdec1b0e7b07d0f6d7f4ce1"
    assert PLACES[10].hex() == "f2a21bf86a559ead25e759cec98c68adc721bc724adfe7663ac71d1ba8b9396b"


@pytest.mark.parametrize("text", ["", "-", 'a","is":"part', "a\\", "é", "a b", "a\n", "²", "ａ"])
def test_header_context_of_a_strange_id_refuses(text):
    with pytest.raises(
        CryptoError, match=r"^a report id or class digest holds more than ASCII letters, digits and hyphens$"
    ):
        header_context(text, 1, DIGEST)
    with pytest.raises(
        CryptoError, match=r"^a report id or class digest holds more than ASCII letters, digits and hyphens$"
    ):
        header_context(REPORT, 1, text)
