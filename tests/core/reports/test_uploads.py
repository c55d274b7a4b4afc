"""Contents that arrive in pieces: believed only when they are what was declared."""

import hashlib
import itertools
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import AgreementId
from exchange.kernel import Fault, InvalidError
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.reports import (
    ArrivingContent,
    Awaited,
    Header,
    PartHeader,
    PostedPart,
    PostedReport,
    Precedence,
    Protection,
    ReportId,
    as_posted,
    content_fault,
    whole_contents,
    with_received,
)
from exchange.reports.contents import ContentCheck

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOWER = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"))
MARKED = json.dumps(
    {
        "type": "bundle",
        "id": "bundle--01980000-0000-4000-8000-000000000001",
        "objects": [{"type": "x", "object_marking_refs": ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]}],
    }
).encode()
STIX = "application/stix+json;version=2.1"


def part(content: bytes, media_type: str = "application/octet-stream", sha256: str = "", number: int = 1) -> PartHeader:
    return PartHeader(number, SECRET, media_type, "a", len(content), Protection.EXCHANGE, sha256)


def arrived(declared: PartHeader, content: bytes, size: int = 3) -> ArrivingContent:
    content_ = ArrivingContent(declared)
    for start in range(0, len(content), size):
        content_.take(content[start : start + size])
    return content_


# What is said of a fault, or how that begins or ends, by its code.
SAID = {
    "wrong-size": " bytes came of 7 declared: send the whole part again",
    "wrong-digest": "has another SHA-256 than was declared: send the part again as it was declared",
    "wrong-content": "the content ",
    "below-content": "the bundle is marked `TLP:RED`: the label must say so too",
}


@pytest.mark.parametrize(
    ("media_type", "content", "sent", "code"),
    [
        ("application/octet-stream", b"abcdefg", b"abcdefg", None),
        ("application/octet-stream", b"abcdefg", b"abcdef", "wrong-size"),
        ("application/octet-stream", b"abcdefg", b"abcdefgh", "wrong-size"),
        ("application/octet-stream", b"abcdefg", b"", "wrong-size"),
        ("application/octet-stream", b"abcdefg", b"abcdefG", "wrong-digest"),
        ("text/plain", b"caf\xe9", b"caf\xe9", "wrong-content"),
        ("application/pdf", b"PDF", b"PDF", "wrong-content"),
        ("application/json", b"{}", b"{}", None),
        ("application/json", b"{]", b"{]", "wrong-content"),
        (STIX, MARKED, MARKED, "below-content"),
        ("application/stix+jsonx", MARKED[1:], MARKED[1:], None),
    ],
)
def test_content_is_what_was_declared_or_says_why_not(media_type, content, sent, code):
    for sha256 in {"", hashlib.sha256(content).hexdigest()}:
        if code == "wrong-digest" and not sha256:
            continue
        content_ = arrived(part(content, media_type, sha256), sent)
        # The part is the whole of the body: its faults point at nothing in it.
        faults = content_.faults()
        assert [(fault.pointer, fault.code) for fault in faults] == ([] if code is None else [("", code)])
        assert all(SAID[fault.code] in fault.message for fault in faults)
        assert content_.sha256 == hashlib.sha256(sent).hexdigest()


def test_longer_than_declared_is_noticed_before_the_end():
    content = ArrivingContent(part(b"abc"))
    content.take(b"abc")
    assert not content.is_too_long
    content.take(b"d")
    assert content.is_too_long


@pytest.mark.parametrize(
    ("media_type", "is_kept"),
    [("text/plain", False), ("application/zip", False), ("application/json", True), ("application/a+json", True)],
)
def test_only_what_is_read_whole_is_kept(media_type, is_kept):
    assert ArrivingContent(part(b"", media_type)).is_kept is is_kept


@given(
    content=st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode)),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    media_type=st.sampled_from(["text/plain", "text/csv", "application/pdf", "image/gif", "application/octet-stream"]),
)
def test_pieces_are_judged_as_the_whole_is(content, cuts, media_type):
    check, places = ContentCheck(media_type), sorted({0, *cuts, len(content)})
    for start, stop in itertools.pairwise(places):
        check.take(content[start:stop])

    assert check.fault() == content_fault(media_type, content)


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/pdf", b"%PDF-1.7 and what follows"),
        ("application/pdf", b"x%PDF-"),
        ("image/gif", b"GIF89a"),
        ("image/gif", b"GIF90a"),
        ("text/plain", "på vakt 🚨!".encode()),
        ("text/plain", b"p\xc3\xa5 \xff and \xff"),
        ("text/plain", b"ab\xf0\x9f\x9a"),
        ("text/plain", b"ab\xc3("),
        ("text/plain", b"a\x00b\x00"),
        ("text/plain", b"a\x00b\xff"),
        ("text/plain", b"a\xffb\x00"),
    ],
)
def test_no_cut_changes_how_a_content_is_judged(media_type, content):
    for first, second in itertools.combinations_with_replacement(range(len(content) + 1), 2):
        check = ContentCheck(media_type)
        for piece in (content[:first], content[first:second], content[second:]):
            check.take(piece)

        assert check.fault() == content_fault(media_type, content), (first, second)


HEADER = Header(
    ReportId("01980000-0000-7000-8000-000000000001"),
    AgreementId("01980000-0000-7000-8000-000000000002"),
    "cyber-threats",
    MemberCode("GBR"),
    "intrep",
    "cyber.apt",
    ("EUR",),
    Precedence.FLASH,
    "subject",
    SECRET,
    datetime(2026, 6, 1, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
    date(2030, 1, 1),
    ReportId("01980000-0000-7000-8000-000000000003"),
    (ReportId("01980000-0000-7000-8000-000000000004"),),
    (part(b"abc"), replace(part(b"de", sha256="11", number=2), label=LOWER)),
    conditions="on request",
)
RECEIVED = {1: Awaited(3, "aa"), 2: Awaited(2, "11")}


def test_declaration_becomes_the_post_that_it_was():
    posted = PostedReport(
        agreement=HEADER.agreement,
        scope="cyber-threats",
        kind="intrep",
        topic="cyber.apt",
        regions=("EUR",),
        precedence=Precedence.FLASH,
        subject="subject",
        label=SECRET,
        valid_until=HEADER.valid_until,
        declassify_on=HEADER.declassify_on,
        supersedes=HEADER.supersedes,
        references=HEADER.references,
        parts=(
            PostedPart(None, "application/octet-stream", "a", RECEIVED[1]),
            PostedPart(LOWER, "application/octet-stream", "a", RECEIVED[2]),
        ),
        conditions="on request",
    )

    assert as_posted(HEADER, RECEIVED, poster=MemberCode("GBR")) == posted
    assert as_posted(HEADER, RECEIVED, poster=MemberCode("NOR")) == replace(posted, on_behalf_of="GBR")


def test_what_has_come_gives_its_digest():
    assert [each.sha256 for each in with_received(HEADER, {}).parts] == ["", "11"]
    assert [each.sha256 for each in with_received(HEADER, RECEIVED).parts] == ["aa", "11"]
    assert [each.sha256 for each in with_received(HEADER, {1: Awaited(3, None)}).parts] == ["", "11"]


def test_whole_contents_are_there_or_named():
    posted = as_posted(HEADER, RECEIVED, poster=MemberCode("GBR"))
    whole = replace(posted, parts=tuple(replace(each, content=b"x") for each in posted.parts))
    assert whole_contents(whole) == [b"x", b"x"]
    with pytest.raises(InvalidError, match=r"^the report is not whole\n") as refused:
        whole_contents(replace(posted, parts=(whole.parts[0], posted.parts[1])))
    fault = Fault("/parts/1/content", "missing-content", "has no content: send it along")
    assert refused.value.faults == (fault,)
