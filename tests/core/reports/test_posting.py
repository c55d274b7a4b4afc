"""From a post to a header."""

import hashlib
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from exchange.kernel import InvalidError
from exchange.markings import Label
from exchange.reports import Awaited, PostedPart, Precedence, Protection, ReportId, check_report
from tests.core.reports.worlds import (
    BUNDLE,
    ID,
    LATER,
    NOW,
    OTHER_ID,
    POSTED,
    RESTRICTED,
    RULES,
    SECRET,
    STIX_PART,
    TEXT_PART,
    THIRD_ID,
    TOP_SECRET,
    UNCLASSIFIED,
    compose,
)

# What is said of a fault, or how that begins, by its place and its code.
SAID = {
    ("/scope", "unknown-scope"): "the agreement has no such scope",
    ("/kind", "unknown-kind"): (
        "is not in the vocabulary: see /v1/vocabulary",
        "is not in the vocabulary: is `intrep` meant? see /v1/vocabulary",
    ),
    ("/kind", "outside-scope-kind"): "is outside the scope: use one of intrep, indicator-set",
    ("/topic", "unknown-topic"): (
        "is not in the vocabulary: see /v1/vocabulary",
        "is not in the vocabulary: is `cyber",
    ),
    ("/topic", "outside-scope-topic"): "is outside the scope: use one below cyber",
    ("/regions", "empty"): "no region: name at least one",
    ("/regions", "unknown-region"): (
        "is not in the vocabulary: see /v1/vocabulary",
        "is not in the vocabulary: is `EUR` meant? see /v1/vocabulary",
    ),
    ("/regions", "outside-scope-region"): "is outside the scope: use one of EUR, NSE",
    ("/regions", "repeated"): "stands twice: keep one",
    ("/label/classification", "above-ceiling"): "is above the ceiling of the scope, `SECRET`",
    ("/label/classification", "unknown-level"): "no such level",
    ("/label/policy", "unknown-policy"): "no such policy",
    ("/label/compartments", "missing-compartment"): "is no compartment of the scope",
    ("/label/releasable_to", "unknown-member"): "is no member of the exchange",
    ("/subject", "bad-text"): "the subject ",
    ("/valid_until", "expired"): "lies in the past: name a later moment or leave it out",
    ("/declassify_on", "in-the-past"): "is not after today: name a later day or leave it out",
    ("/supersedes", "not-an-id"): "is no report id",
    ("/references", "not-an-id"): "is no report id",
    ("/references", "repeated"): "stands twice: keep one",
    ("/conditions", "missing-conditions"): "`H3` says that there are conditions: write them here",
    ("/conditions", "unasked-conditions"): "no label has `H3`: mark the report with it",
    ("/conditions", "bad-text"): "the text ",
    ("/parts", "empty"): "no part: a report has at least one",
    ("/parts/name", "repeated"): "names another part already: choose another name",
    ("/parts/name", "bad-name"): "the name contains /: give a plain file name",
    ("/parts/media_type", "bad-media-type"): "the media type is no media type: write it in lower case",
    ("/parts/content", "wrong-content"): "the content ",
    ("/parts/label", "above-report"): "exceeds the report's label: raise the report's or lower the part's",
    ("/parts/label", "below-content"): "the bundle is marked `TLP:AMBER`: the label must say so too",
    ("/parts/label/policy", "unknown-policy"): "no such policy",
    ("/parts/label/releasable_to", "unknown-member"): "is no member of the exchange",
}


def told(found) -> list[tuple[str, str]]:
    for fault in found:
        assert fault.message.startswith(SAID[re.sub(r"/\d+", "", fault.pointer), fault.code])
    return [(fault.pointer, fault.code) for fault in found]


def faults_of(**changes) -> list[tuple[str, str]]:
    posted = replace(POSTED, **changes)
    found = check_report(posted, now=NOW, rules=RULES)
    if found:
        with pytest.raises(InvalidError) as refused:
            compose(posted)
        assert refused.value.faults == found
    return told(found)


def test_a_post_without_fault_becomes_a_header():
    header = compose()

    assert (header.id, header.agreement, header.scope, header.originator) == (ID, "0198", "cyber-threats", "GBR")
    assert (header.kind, header.topic, header.regions) == ("intrep", "cyber.apt", ("EUR",))
    assert (header.precedence, header.subject, header.label) == (Precedence.PRIORITY, "APT1 infrastructure", SECRET)
    assert (header.posted_at, header.valid_until, header.declassify_on) == (NOW, LATER, LATER.date())
    assert (header.supersedes, header.references, header.version) == (OTHER_ID, (THIRD_ID,), 1)


def test_parts_are_numbered_measured_and_labelled():
    first, second = compose().parts

    assert (first.number, first.label, first.media_type, first.name) == (
        1,
        SECRET,
        "application/stix+json;version=2.1",
        "apt1.json",
    )
    assert (first.size_bytes, first.sha256, first.protection) == (
        len(BUNDLE),
        hashlib.sha256(BUNDLE).hexdigest(),
        Protection.EXCHANGE,
    )
    assert (second.number, second.label, second.size_bytes) == (2, RESTRICTED, 15)


@pytest.mark.parametrize(("sha256", "written"), [("ab" * 32, "ab" * 32), (None, "")])
def test_content_that_comes_later_is_measured_as_it_is_declared(sha256, written):
    (part,) = compose(parts=(replace(POSTED.parts[0], content=Awaited(7, sha256)),)).parts

    assert (part.size_bytes, part.sha256) == (7, written)


def test_what_may_be_left_out_may_be_left_out():
    header = compose(subject=None, valid_until=None, declassify_on=None, supersedes=None, references=())

    assert (header.subject, header.valid_until, header.declassify_on, header.supersedes, header.references) == (
        None,
        None,
        None,
        None,
        (),
    )


SWAPPED = Label("ATLANTIS", "SECRET")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # outside the scope, each with its reason
        ({"scope": "other"}, [("/scope", "unknown-scope")]),
        ({"kind": "imagery"}, [("/kind", "outside-scope-kind")]),
        ({"kind": "Intrep"}, [("/kind", "unknown-kind")]),
        ({"topic": "maritime"}, [("/topic", "outside-scope-topic")]),
        ({"topic": "cyberwar"}, [("/topic", "unknown-topic")]),
        ({"topic": "cyber.invented"}, [("/topic", "unknown-topic")]),
        ({"regions": ()}, [("/regions", "empty")]),
        ({"regions": ("EUR", "AFR")}, [("/regions/1", "outside-scope-region")]),
        ({"regions": ("eur", "EUR")}, [("/regions/0", "unknown-region")]),
        ({"regions": ("EUR", "NSE", "EUR")}, [("/regions/2", "repeated")]),
        # label
        ({"label": TOP_SECRET}, [("/label/classification", "above-ceiling")]),
        ({"label": replace(SECRET, classification="Secret")}, [("/label/classification", "unknown-level")]),
        ({"label": SWAPPED}, [("/label/policy", "unknown-policy")]),
        (
            {"label": replace(SECRET, compartments=("ATOMAL", "BOHEMIA"))},
            [("/label/compartments/1", "missing-compartment")],
        ),
        ({"label": replace(SECRET, releasable_to=("GBR", "XXX"))}, [("/label/releasable_to/1", "unknown-member")]),
        ({"label": replace(TOP_SECRET, releasable_to=("XXX",))}, [("/label/releasable_to/0", "unknown-member")]),
        # subject
        ({"subject": ""}, [("/subject", "bad-text")]),
        ({"subject": "a\u202eb"}, [("/subject", "bad-text")]),
        ({"subject": "a\nb"}, [("/subject", "bad-text")]),
        ({"subject": "x" * 301}, [("/subject", "bad-text")]),
        # time
        ({"valid_until": NOW}, [("/valid_until", "expired")]),
        ({"valid_until": NOW - timedelta(days=1)}, [("/valid_until", "expired")]),
        ({"declassify_on": NOW.date()}, [("/declassify_on", "in-the-past")]),
        ({"declassify_on": date(2020, 1, 1)}, [("/declassify_on", "in-the-past")]),
        # links
        ({"supersedes": ReportId("7")}, [("/supersedes", "not-an-id")]),
        (
            {"references": (THIRD_ID, ReportId("01980000-0000-7000-8000-00000000000A"))},
            [("/references/1", "not-an-id")],
        ),
        ({"references": (THIRD_ID, OTHER_ID, THIRD_ID)}, [("/references/2", "repeated")]),
        # parts
        ({"parts": ()}, [("/parts", "empty")]),
        ({"parts": (STIX_PART, STIX_PART)}, [("/parts/1/name", "repeated")]),
        ({"parts": (STIX_PART, replace(TEXT_PART, name="APT1.JSON"))}, [("/parts/1/name", "repeated")]),
        (
            {"parts": (replace(TEXT_PART, name="A.txt"), replace(TEXT_PART, name="A.txt"))},
            [("/parts/1/name", "repeated")],
        ),
        ({"parts": (replace(STIX_PART, name="../apt1.json"),)}, [("/parts/0/name", "bad-name")]),
        ({"parts": (replace(STIX_PART, media_type="stix"),)}, [("/parts/0/media_type", "bad-media-type")]),
        ({"parts": (STIX_PART, replace(TEXT_PART, content=b"\xff"))}, [("/parts/1/content", "wrong-content")]),
        # portions
        ({"label": UNCLASSIFIED}, [("/parts/1/label", "above-report")]),
        ({"parts": (replace(STIX_PART, label=TOP_SECRET),)}, [("/parts/0/label", "above-report")]),
        ({"parts": (STIX_PART, replace(TEXT_PART, label=SWAPPED))}, [("/parts/1/label/policy", "unknown-policy")]),
        (
            {"parts": (replace(TEXT_PART, label=replace(RESTRICTED, releasable_to=("ESP",))),)},
            [("/parts/0/label/releasable_to/0", "unknown-member")],
        ),
        # What cannot be compared is not compared.
        (
            {"parts": (replace(TEXT_PART, label=replace(TOP_SECRET, releasable_to=("ESP",))),)},
            [("/parts/0/label/releasable_to/0", "unknown-member")],
        ),
        ({"label": SWAPPED, "parts": (replace(STIX_PART, label=TOP_SECRET),)}, [("/label/policy", "unknown-policy")]),
    ],
)
def test_each_fault_is_named_once_at_its_place(changes, expected):
    assert faults_of(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "cyber"},
        {"regions": ("NSE", "EUR")},
        {"kind": "indicator-set"},
        {"subject": "x" * 300},
        {"valid_until": NOW + timedelta(microseconds=1)},
        {"declassify_on": NOW.date() + timedelta(days=1)},
        {"label": replace(SECRET, compartments=("ATOMAL",))},
        {"label": replace(SECRET, releasable_to=())},
        {"parts": (replace(STIX_PART, label=SECRET),)},
        {"parts": (PostedPart(None, "application/octet-stream", "empty.bin", b""),)},
    ],
)
def test_what_lies_just_inside_is_taken(changes):
    assert faults_of(**changes) == []


def test_every_fault_is_reported_at_once():
    faults = faults_of(
        kind="gossip",
        topic="maritime",
        label=TOP_SECRET,
        subject=" ",
        valid_until=NOW,
        supersedes=ReportId("x"),
        parts=(),
    )

    assert [pointer for pointer, _ in faults] == [
        "/kind",
        "/topic",
        "/subject",
        "/label/classification",
        "/valid_until",
        "/supersedes",
        "/parts",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"parts": ()}, "the report has 1 fault"), ({"parts": (), "subject": ""}, "the report has 2 faults")],
)
def test_refusal_counts_its_faults(changes, message):
    with pytest.raises(InvalidError) as refused:
        compose(**changes)

    assert refused.value.message == message


# ── conditions, and markings inside a bundle ───────────────────────────────────────────────────────────────────────────

H3 = replace(SECRET, handling=("H3",))


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"label": H3}, [("/conditions", "missing-conditions")]),
        ({"label": H3, "conditions": "Ask before you act."}, []),
        ({"conditions": "Ask before you act."}, [("/conditions", "unasked-conditions")]),
        ({"label": H3, "conditions": "x" * 1000}, []),
        ({"label": H3, "conditions": "x" * 1001}, [("/conditions", "bad-text")]),
        ({"label": H3, "conditions": ""}, [("/conditions", "bad-text")]),
    ],
)
def test_h3_demands_its_text_and_nothing_else_takes_one(changes, codes):
    found = check_report(replace(POSTED, **changes), now=NOW, rules=RULES)

    assert told(found) == codes
    if not codes:
        assert compose(**changes).conditions == changes["conditions"]


def test_h3_of_a_part_demands_the_text_too():
    part = replace(POSTED.parts[0], label=replace(UNCLASSIFIED, handling=("H3",)))
    found = check_report(replace(POSTED, parts=(part,)), now=NOW, rules=RULES)

    assert [fault.code for fault in found] == ["missing-conditions"]


def test_what_is_read_whole_of_a_report_has_no_more_values_in_many_parts_than_in_one():
    content = b"[%b]" % b",".join([b"0"] * 200_000)
    parts = tuple(PostedPart(None, "application/json", f"{number}.json", content) for number in range(4))

    assert faults_of(parts=parts) == [("/parts/2/content", "wrong-content"), ("/parts/3/content", "wrong-content")]


@pytest.mark.parametrize("media_type", ["application/stix+jsonx", "application/stix+json.notes"])
def test_type_whose_name_begins_like_that_of_a_bundle_is_no_bundle(media_type):
    part = PostedPart(None, media_type, "a", b"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487")

    assert faults_of(parts=(part,)) == []


@pytest.mark.parametrize(
    ("handling", "part_handling", "codes"),
    [
        ((), None, ["below-content"]),
        (("TLP:GREEN",), None, ["below-content"]),
        (("TLP:AMBER",), None, []),
        (("TLP:RED",), None, []),
        (("TLP:RED",), ("TLP:GREEN",), ["below-content"]),
    ],
)
def test_label_is_as_strict_as_what_the_bundle_bears(handling, part_handling, codes):
    amber = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    content = b'{"type":"bundle","objects":[{"object_marking_refs":["' + amber.encode() + b'"]}]}'
    own = None if part_handling is None else replace(UNCLASSIFIED, handling=part_handling)
    part = PostedPart(own, "application/stix+json;version=2.1", "b.json", content)
    posted = replace(POSTED, label=replace(SECRET, handling=handling), parts=(part,))

    faults = check_report(posted, now=NOW, rules=RULES)
    assert told(faults) == [("/parts/0/label", code) for code in codes]
    # What other contents say of themselves binds nobody.
    assert (
        check_report(replace(posted, parts=(replace(part, media_type="application/json"),)), now=NOW, rules=RULES) == ()
    )


@pytest.mark.parametrize("content", [b"[", b'["%s"]', b'{"type":"bundle","objects":[{"object_marking_refs":["%s"]}'])
def test_bundle_that_is_none_has_one_fault_only(content):
    amber = b"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    part = PostedPart(None, "application/stix+json;version=2.1", "b.json", content.replace(b"%s", amber))

    assert [fault.code for fault in check_report(replace(POSTED, parts=(part,)), now=NOW, rules=RULES)] == [
        "wrong-content"
    ]
