import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.crypto import (
    CONTEXT_BYTES,
    OpeningError,
    digest_context,
    header_context,
    part_context,
    personal_context,
    request_context,
    upload_context,
    webhook_context,
)
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
    request_context(REPORT, DIGEST),
    request_context(OTHER, DIGEST),
    request_context(REPORT, "ac" * 32),
    upload_context(REPORT, OTHER),
    upload_context(OTHER, REPORT),
    digest_context(REPORT, 1, b"key"),
    digest_context(REPORT, 11, b"key"),
    digest_context(REPORT, 1, b"other key"),
    digest_context(OTHER, 1, b"key"),
    personal_context("kid", "NOR", "2026-06", "boot"),
    personal_context("other", "NOR", "2026-06", "boot"),
    personal_context("kid", "GBR", "2026-06", "boot"),
    personal_context("kid", "NOR", "2026-07", "boot"),
    personal_context("kid", "NOR", "2026-06", "other"),
    # The same letters, cut elsewhere.
    personal_context("kidN", "OR", "2026-06", "boot"),
    webhook_context("kid", "NOR", "boot"),
    webhook_context("NOR", "kid", "boot"),
]


def test_two_places_never_share_a_context():
    pairs = itertools.combinations(range(len(PLACES)), 2)

    assert [(one, other) for one, other in pairs if PLACES[one] == PLACES[other]] == []


@pytest.mark.parametrize("context", PLACES[:10] + PLACES[24:])
def test_context_of_a_key_is_a_digest(context):
    assert (type(context), len(context)) == (bytes, CONTEXT_BYTES)


def test_part_context_is_the_digest_of_canonical_bytes():
    place = {"is": "part", "label": LABEL, "part": 3, "report": REPORT, "version": 2}

    assert part_context(LABEL, REPORT, 3, 2) == hashlib.sha256(canonical_bytes(place)).digest()


places = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=40), st.integers(0, 2**31), st.binary(min_size=32, max_size=32)
)


@given(places, places)
def test_headers_share_a_context_only_where_they_share_a_place(one, other):
    contexts = {header_context(report, version, digest.hex()) for report, version, digest in (one, other)}

    assert len(contexts) == len({one, other})


def test_header_context_says_class_version_and_report():
    assert header_context(REPORT, 7, DIGEST) == f"exchange header/{DIGEST}/7/{REPORT}".encode()


def test_header_of_a_version_that_is_no_number_opens_nowhere():
    # SQLite keeps anything where a number belongs.
    for version in ("7", b"\x07"):
        with pytest.raises(OpeningError, match=r"^the version of a report is no number$"):
            header_context(REPORT, version, DIGEST)


def test_part_of_a_number_that_none_can_have_opens_nowhere():
    for number in (2**53, 2.5, b"\x03"):
        with pytest.raises(OpeningError, match=r"^the place of a part is none that one was ever sealed for$"):
            part_context(LABEL, REPORT, number, 2)


def test_key_of_what_is_no_text_opens_nowhere():
    for place in (("kid", b"NOR", "2026-06", "boot"), ("kid", "NOR", b"\xff", "boot")):
        with pytest.raises(OpeningError, match=r"^the place of a key is none that one was ever sealed for$"):
            personal_context(*place)
    with pytest.raises(OpeningError, match=r"^the place of a secret is none that one was ever sealed for$"):
        webhook_context("kid", "NOR", b"boot")


def test_context_of_what_is_sealed_beside_a_report_stays_what_it_is():
    # What was sealed under it must open for ever.
    key = hashlib.sha256(b"key").hexdigest()

    assert request_context(REPORT, DIGEST) == f"exchange request/{DIGEST}/{REPORT}".encode()
    assert upload_context(REPORT, OTHER) == f"exchange upload/{OTHER}/{REPORT}".encode()
    assert digest_context(REPORT, 7, b"key") == f"exchange upload-digest/{key}/7/{REPORT}".encode()


def test_context_of_a_stored_part_stays_what_it_is():
    # What was encrypted under it must open for ever.
    assert PLACES[0].hex() == "5e1e277039855b8b84e485a2e070c72324bfa9d51bdec1b0e7b07d0f6d7f4ce1"


def test_context_of_a_kept_key_is_the_digest_of_its_place():
    # Keys that were wrapped under it must open for ever.
    personal = {"is": "personal", "kid": "kid", "subject": "NOR", "period": "2026-06", "boot": "boot"}
    webhook = {"is": "webhook", "subscription": "kid", "client": "NOR", "url": "boot"}

    assert personal_context("kid", "NOR", "2026-06", "boot") == PLACES[24]
    assert webhook_context("kid", "NOR", "boot") == PLACES[30]
    assert PLACES[24] == hashlib.sha256(canonical_bytes(personal)).digest()
    assert PLACES[30] == hashlib.sha256(canonical_bytes(webhook)).digest()
