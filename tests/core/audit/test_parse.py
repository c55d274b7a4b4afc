import json
from datetime import UTC, datetime

import pytest

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Subject, columns_of, parse_entry, seal_entry
from exchange.kernel import MalformedError

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DRAFT = EntryDraft(
    EventName.REPORT_READ,
    Outcome.PERMITTED,
    AT,
    Actor("client", "c", "NOR", "NOR/NSM", "ab", "SECRET", ("ATOMAL",)),
    "réquest",
    "10.0.0.9",
    subject=Subject("report", "r", 1),
    label={"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]},
    reasons=("expired",),
    policies=("p",),
    size_bytes=1,
    result_ids=("r",),
    detail={"n": 1},
)
CONTENT = seal_entry(DRAFT, entry_id="e", node="n", boot="b", node_seq=1).content


def canonical(entry):
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def changed(**changes):
    return canonical(json.loads(CONTENT) | changes)


def without(name):
    entry = json.loads(CONTENT)
    del entry[name]
    return canonical(entry)


def test_sealed_bytes_parse():
    assert parse_entry(CONTENT) == json.loads(CONTENT)


def test_event_of_a_newer_version_parses():
    assert columns_of(changed(type="moon.landed")).event == "moon.landed"


@pytest.mark.parametrize("label", [{}, {"policy": "NATO"}, {"classification": "SECRET"}, {"handling": ["ORCON"]}])
def test_label_without_policy_or_level_parses(label):
    assert parse_entry(changed(label=label))["label"] == label


def test_other_spelling_is_named():
    with pytest.raises(MalformedError, match=r"^entry is not in canonical form$"):
        parse_entry(CONTENT + b" ")


@pytest.mark.parametrize("parse", [parse_entry, columns_of])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CONTENT + b" ", id="space after"),
        pytest.param(b" " + CONTENT, id="space before"),
        pytest.param(b"\xef\xbb\xbf" + CONTENT, id="byte order mark"),
        pytest.param(CONTENT + b"\n", id="line feed"),
        pytest.param(CONTENT.replace(b'"v":1', b'"v": 1'), id="space inside"),
        pytest.param(CONTENT.replace(b'"v":1', b'"v":1,"v":1'), id="key repeated"),
        pytest.param(CONTENT.replace(b'"v":1', b'"v":2,"v":1'), id="key repeated with another value"),
        pytest.param(CONTENT.replace(b'"kind":"client"', b'"kind":"operator","kind":"client"'), id="nested repeat"),
        pytest.param(CONTENT.replace(b'"v":1', b'"v":1.0'), id="float"),
        pytest.param(CONTENT.replace(b'"v":1', b'"v":1e0'), id="exponent"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\\u006e"'), id="needless escape"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\\/"'), id="escaped slash"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\\ud800"'), id="lone surrogate"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\xed\xa0\x80"'), id="surrogate in UTF-8"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\x00"'), id="raw NUL"),
        pytest.param(CONTENT.replace(b'"node":"n"', b'"node":"\xff"'), id="not UTF-8"),
        pytest.param(CONTENT.replace("é".encode(), "e\u0301".encode()), id="not in normal form C"),
        pytest.param(json.dumps(dict(reversed(json.loads(CONTENT).items()))).encode(), id="other order"),
    ],
)
def test_bytes_that_nobody_sealed_refuse(parse, content):
    assert content != CONTENT
    with pytest.raises(MalformedError, match=r"entry is not|entry has a wrong `v`"):
        parse(content)


def test_not_json_says_why():
    with pytest.raises(MalformedError, match="entry is not canonical JSON: unexpected end") as caught:
        parse_entry(b"{")

    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null"])
def test_not_an_object_refuses(content):
    with pytest.raises(MalformedError, match="entry is not an object"):
        parse_entry(content)


def test_deep_nesting_refuses():
    with pytest.raises(MalformedError):
        parse_entry(b"[" * 60_000)


def test_deep_nesting_in_detail_refuses():
    with pytest.raises(MalformedError, match="entry has a wrong `detail`"):
        parse_entry(CONTENT.replace(b'"n":1}', b'"n":' + b"[" * 900 + b"]" * 900 + b"}"))


def test_longest_entry_is_looked_at():
    with pytest.raises(MalformedError, match="not canonical JSON"):
        parse_entry(b" " * 65_535)


def test_longer_entry_refuses_unread():
    with pytest.raises(MalformedError, match="entry has 65536 bytes: at most 65535 fit"):
        parse_entry(b" " * 65_536)


@pytest.mark.parametrize(
    "name", ["v", "id", "ts", "node", "boot", "node_seq", "type", "decision", "actor", "request_id", "source"]
)
def test_missing_field_refuses(name):
    with pytest.raises(MalformedError, match=f"entry has no `{name}`"):
        parse_entry(without(name))


def test_first_missing_field_is_named():
    with pytest.raises(MalformedError, match="entry has no `actor`"):
        parse_entry(b"{}")


def test_unknown_field_refuses():
    with pytest.raises(MalformedError, match="a field that version 1 does not know: `plaintext`"):
        parse_entry(changed(plaintext="x"))


TEXT = [1, None, True, [], {}]
TEXTS = ["x", 1, None, [1], [None], {}]
COUNT = ["1", -1, True, 1.5, None, 2**64]
WRONG = {
    "v": [0, 2, "1", True, None],
    "id": TEXT,
    "ts": [
        1,
        None,
        "yesterday",
        "2026-03-01",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00.000Z",
        "2026-03-01t12:00:00Z",
        "0001-01-01T00:00:00+01:00",
    ],
    "node": TEXT,
    "boot": TEXT,
    "node_seq": COUNT,
    "type": TEXT,
    "decision": ["allowed", "PERMITTED", "", 1, None, ["permitted"]],
    "request_id": TEXT,
    "source": TEXT,
    "member": TEXT,
    "agency": TEXT,
    "owner": TEXT,
    "label": [1, None, "SECRET", [], {"policy": 1}, {"policy": ["NATO"]}, {"classification": ["SECRET"]}, {"x": None}],
    "agreement": TEXT,
    "scope": TEXT,
    "policies": TEXTS,
    "reasons": TEXTS,
    "purpose": TEXT,
    "bytes": COUNT,
    "result_count": COUNT,
    "result_ids": TEXTS,
    "result_ids_sha256": TEXT,
    "detail": [1, None, "x", [], {"m": 1, "n": None}, {"n": None}, {"n": {}}, {"n": [1]}, {"n": 1.5}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_type_refuses(name, value):
    with pytest.raises(MalformedError, match=f"entry has a wrong `{name}`"):
        parse_entry(changed(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("actor", {}, "entry's `actor` has no `kind`"),
        ("actor", [], "entry's `actor` is not an object"),
        ("actor", {"kind": 1}, "entry's `actor` has a wrong `kind`"),
        ("actor", {"kind": "client", "id": None}, "entry's `actor` has a wrong `id`"),
        ("actor", {"kind": "client", "thumbprint": 1}, "entry's `actor` has a wrong `thumbprint`"),
        ("actor", {"kind": "client", "name": "x"}, "entry's `actor` has a field .*: `name`"),
        ("clearance", {"level": "SECRET", "compartments": []}, "entry's `clearance` has no `as_of`"),
        ("clearance", {}, "entry's `clearance` has no `as_of`"),
        (
            "clearance",
            {"level": 1, "compartments": [], "as_of": "2026-03-01T12:00:00Z"},
            "`clearance` has a wrong `level`",
        ),
        (
            "clearance",
            {"level": "", "compartments": "", "as_of": "2026-03-01T12:00:00Z"},
            "has a wrong `compartments`",
        ),
        ("clearance", {"level": "", "compartments": [], "as_of": "now"}, "`clearance` has a wrong `as_of`"),
        (
            "clearance",
            {"level": "", "compartments": [], "as_of": "2026-03-01T12:00:00Z", "by": "x"},
            "entry's `clearance` has a field .*: `by`",
        ),
        ("pii", {"kid": "k"}, "^entry's `pii` has no `ciphertext`$"),
        ("pii", {"kid": "k", "ciphertext": "", "name": "x"}, "^entry's `pii` has a field .*: `name`$"),
        ("object", {"id": "x"}, "entry's `object` has no `type`"),
        ("object", {"type": "x"}, "entry's `object` has no `id`"),
        ("object", {"type": 1, "id": "x"}, "entry's `object` has a wrong `type`"),
        ("object", {"type": "x", "id": 1}, "entry's `object` has a wrong `id`"),
        ("object", {"type": "x", "id": "x", "version": -1}, "entry's `object` has a wrong `version`"),
        ("object", {"type": "x", "id": "x", "title": "x"}, "entry's `object` has a field .*: `title`"),
    ],
)
def test_wrong_part_refuses(name, value, fault):
    with pytest.raises(MalformedError, match=fault):
        parse_entry(changed(**{name: value}))


def test_integer_beyond_canonical_json_refuses():
    with pytest.raises(MalformedError, match="not canonical JSON"):
        parse_entry(changed(bytes=2**53))
