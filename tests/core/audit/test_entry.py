import base64
import dataclasses
import hashlib
import json
from datetime import datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.audit import (
    LARGEST_ENTRY_BYTES,
    LARGEST_RESULT_IDS_BYTES,
    Actor,
    EntryDraft,
    EventName,
    Guard,
    Outcome,
    Receipt,
    Subject,
    are_fit,
    columns_of,
    fit_text,
    parse_entry,
    seal_entry,
)
from exchange.audit.personal import seal_personal
from exchange.crypto import PersonalKey, SearchTokens
from exchange.kernel import CanonicalError, canonical_bytes, to_micros
from tests.core.audit.export.exported import AT, BARE, FULL, LABEL

TOKENS = SearchTokens(bytes(32))
GUARD = Guard(TOKENS, PersonalKey("kid-1", bytes(range(32))))
PLACE = {"entry_id": "entry-1", "node": "node-a", "boot": "boot-1", "node_seq": 7, "guard": GUARD}


def sealed(draft, **changes):
    return seal_entry(dataclasses.replace(draft, **changes), **PLACE)


def fields(draft, **changes):
    return json.loads(sealed(draft, **changes).content)


def test_full_entry_has_every_field_of_the_record():
    assert fields(FULL) == {
        "v": 1,
        "id": "entry-1",
        "ts": "2026-03-01T12:00:00.250000Z",
        "node": "node-a",
        "boot": "boot-1",
        "node_seq": 7,
        "type": "report.read",
        "decision": "refused",
        "actor": {"kind": "client", "id": "client-1", "thumbprint": TOKENS.of_thumbprint("ab" * 32)},
        "member": "NOR",
        "agency": "NOR/NSM",
        "clearance": {"level": "SECRET", "compartments": ["ATOMAL"], "as_of": "2026-03-01T12:00:00.250000Z"},
        "object": {"type": "report", "id": "report-1", "version": 2},
        "owner": "GBR",
        "label": LABEL,
        "agreement": "agreement-1",
        "scope": "cyber-threats",
        "policies": ["agreement-1", "guards@3"],
        "reasons": ["not-a-party", "recalled"],
        "purpose": "defence",
        "request_id": "request-1",
        "source": TOKENS.of_address("10.0.0.9"),
        "bytes": 8192,
        "result_count": 2,
        "result_ids": ["r1", "r2"],
        "detail": {"note": "n", "count": 3, "names": ["a", "b"]},
        "pii": seal_personal(FULL, GUARD.key, entry_id="entry-1", boot="boot-1", node_seq=7),
    }


def test_absent_fields_are_left_out():
    assert fields(BARE) == {
        "v": 1,
        "id": "entry-1",
        "ts": "2026-03-01T12:00:00.250000Z",
        "node": "node-a",
        "boot": "boot-1",
        "node_seq": 7,
        "type": "caller.authenticated",
        "decision": "refused",
        "actor": {"kind": "unknown"},
        "request_id": "request-1",
        "source": TOKENS.of_address("10.0.0.9"),
        "pii": seal_personal(BARE, GUARD.key, entry_id="entry-1", boot="boot-1", node_seq=7),
    }


def test_columns_of_a_full_entry():
    assert dataclasses.asdict(columns_of(sealed(FULL).content)) == {
        "id": "entry-1",
        "at_micros": to_micros(AT),
        "node": "node-a",
        "boot": "boot-1",
        "node_seq": 7,
        "event": "report.read",
        "outcome": "refused",
        "actor_kind": "client",
        "actor_id": "client-1",
        "thumbprint": TOKENS.of_thumbprint("ab" * 32),
        "member": "NOR",
        "agency": "NOR/NSM",
        "subject_kind": "report",
        "subject_id": "report-1",
        "subject_version": 2,
        "owner": "GBR",
        "agreement": "agreement-1",
        "scope": "cyber-threats",
        "label_policy": "NATO",
        "level": "SECRET",
        "reasons": "not-a-party,recalled",
        "purpose": "defence",
        "request_id": "request-1",
        "source": TOKENS.of_address("10.0.0.9"),
        "size_bytes": 8192,
        "result_count": 2,
        "facet": "NOR|report.read|refused|SECRET",
        "owner_facet": "GBR|report.read|refused|SECRET",
        "owner_member": "GBR|NOR",
        "owner_client": "GBR|client-1",
        "member_subject": "NOR|report-1",
        "owner_reasons": "GBR|not-a-party,recalled",
        "member_reasons": None,
        "source_member": f"{TOKENS.of_address('10.0.0.9')}|NOR",
        "thumbprint_member": f"{TOKENS.of_thumbprint('ab' * 32)}|NOR",
    }


def test_columns_of_a_bare_entry_are_none_where_nothing_is_said():
    columns = dataclasses.asdict(columns_of(sealed(BARE).content))

    present = {name for name, value in columns.items() if value is not None}
    assert present == {
        "id",
        "at_micros",
        "node",
        "boot",
        "node_seq",
        "event",
        "outcome",
        "actor_kind",
        "request_id",
        "source",
        "facet",
        "source_member",
    }


def test_slices_of_a_stranger_and_of_a_member_before_anything_was_judged():
    stranger = columns_of(sealed(BARE).content)
    refused = columns_of(sealed(BARE, actor=Actor("client", "c", "NOR"), reasons=("role-missing",)).content)

    assert stranger.facet == "|caller.authenticated|refused|"
    assert stranger.source_member == f"{TOKENS.of_address('10.0.0.9')}|"
    assert (refused.facet, refused.member_reasons) == ("NOR|caller.authenticated|refused|", "NOR|role-missing")
    assert (refused.owner_facet, refused.owner_reasons, refused.member_subject) == (None, None, None)


def test_stranger_is_found_by_the_certificate_that_it_came_with():
    columns = columns_of(sealed(BARE, actor=Actor("unknown", thumbprint="ab" * 32)).content)

    assert columns.thumbprint_member == f"{TOKENS.of_thumbprint('ab' * 32)}|"


@pytest.mark.parametrize(
    ("changes", "pairs"),
    [
        ({"owner": "NOR"}, (None, None, None)),
        ({"owner": "NOR", "subject": None}, (None, None, None)),
        ({"subject": None}, ("GBR|NOR", "GBR|client-1", None)),
        ({"owner": None}, (None, None, "NOR|report-1")),
        ({"actor": Actor("client", "client-1")}, (None, "GBR|client-1", None)),
        ({"actor": Actor("unknown"), "owner": None}, (None, None, None)),
    ],
)
def test_pairs_are_of_what_one_member_did_to_another_s(changes, pairs):
    columns = columns_of(sealed(FULL, **changes).content)

    assert (columns.owner_member, columns.owner_client, columns.member_subject) == pairs
    assert columns.owner_reasons == (columns.owner and f"{columns.owner}|not-a-party,recalled")


@pytest.mark.parametrize(("source", "guard"), [("host", GUARD), ("local", GUARD), ("", GUARD), ("10.0.0.9", None)])
def test_nobody_is_found_by_what_is_no_address(source, guard):
    kept = dataclasses.replace(BARE, source=source, actor=Actor("unknown", thumbprint=""))
    sealed = seal_entry(kept, entry_id="entry-1", node="n", boot="b", node_seq=1, guard=guard)
    columns = columns_of(sealed.content)

    assert (columns.source_member, columns.thumbprint_member) == (None, None)


def test_sealed_entry_carries_its_id():
    assert sealed(BARE).id == "entry-1"


def test_time_is_utc_whatever_the_drafts_offset():
    there = AT.astimezone(timezone(timedelta(hours=-5)))

    assert sealed(BARE, at=there) == sealed(BARE)


def test_subject_without_a_version_has_none():
    assert fields(BARE, subject=Subject("client", "c"))["object"] == {"type": "client", "id": "c"}


def test_list_of_nothing_is_recorded_as_nothing():
    entry = fields(BARE, result_ids=())

    assert (entry["result_count"], entry["result_ids"]) == (0, [])


@pytest.mark.parametrize("zero", [{"size_bytes": 0}, {"detail": {"count": 0}}, {"label": {}}])
def test_zero_and_empty_are_not_absent(zero):
    assert set(fields(BARE, **zero)) - set(fields(BARE)) == {{"size_bytes": "bytes"}.get(*(list(zero) * 2))}


# ── what a caller may send ──

HOSTILE = ["a\0b", "\ud800", "\udfff\ud800", "e\u0301", "\x1b[2J\r\n", "\u202e", '"},{"', "\\u0000", "x" * 70_000]
TEXT_FIELDS = ["request_id", "source", "owner", "agreement", "scope", "purpose"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", TEXT_FIELDS)
def test_hostile_text_cannot_keep_an_entry_off_the_record(name, text):
    entry = sealed(FULL, **{name: text})

    assert columns_of(entry.content).id == entry.id


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_everywhere_at_once_still_fits(text):
    entry = seal_entry(
        EntryDraft(
            EventName.REPORT_POSTED,
            Outcome.FAILED,
            AT,
            Actor(text, text, text, text, text, text, (text,)),
            text,
            text,
            subject=Subject(text, text),
            owner=text,
            label={"policy": text, "classification": text, "compartments": [text]},
            agreement=text,
            scope=text,
            purpose=text,
            policies=(text,),
            reasons=(text,),
            result_ids=(text,),
            detail={"sent": text, "list": [text]},
        ),
        **PLACE | {"node": text},
    )

    assert columns_of(entry.content).id == entry.id
    assert b"\\u0000" not in entry.content or text == "\\u0000"


def test_worst_escapes_in_every_text_still_fit():
    worst = "\x01" * 512
    draft = dataclasses.replace(
        FULL,
        actor=Actor(worst, worst, worst, worst, worst, worst),
        request_id=worst,
        source=worst,
        subject=Subject(worst, worst),
        owner=worst,
        agreement=worst,
        scope=worst,
        purpose=worst,
    )

    assert len(seal_entry(draft, **PLACE).content) <= LARGEST_ENTRY_BYTES


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (1 - 2**53, 1 - 2**53),
        (10**80, "1" + "0" * 80),
        (True, True),
        ("a\0", "a\ufffd"),
        (["a\0"], ["a\ufffd"]),
    ],
)
def test_detail_is_made_fit(sent, kept):
    assert fields(BARE, detail={"sent": sent})["detail"] == {"sent": kept}


@pytest.mark.parametrize("name", ["größe", "\ud800"])
@pytest.mark.parametrize("where", ["detail", "label"])
def test_key_outside_ascii_refuses(where, name):
    with pytest.raises(CanonicalError, match="is no field of an entry: name it in ASCII"):
        sealed(BARE, **{where: {name: "x"}})


# ── size ──


def ids_of_json_bytes(total):
    whole, rest = divmod(total - 1, 103)
    ids = ["i" * 100] * whole
    return (*ids[:-1], "i" * (100 + rest))


def test_result_ids_of_32_kib_are_listed():
    ids = ids_of_json_bytes(LARGEST_RESULT_IDS_BYTES)

    assert len(orjson.dumps(ids)) == LARGEST_RESULT_IDS_BYTES
    assert fields(BARE, result_ids=ids)["result_ids"] == list(ids)


def test_result_ids_over_32_kib_leave_their_digest_and_count():
    ids = ids_of_json_bytes(LARGEST_RESULT_IDS_BYTES + 1)

    entry = fields(BARE, result_ids=ids)
    assert "result_ids" not in entry
    assert entry["result_count"] == len(ids)
    assert entry["result_ids_sha256"] == hashlib.sha256(canonical_bytes(ids)).hexdigest()


def test_result_ids_give_way_when_the_entry_is_too_long():
    ids = ids_of_json_bytes(LARGEST_RESULT_IDS_BYTES)

    sealed_entry = sealed(BARE, result_ids=ids, detail={"names": ["n" * 500] * 80})
    entry = parse_entry(sealed_entry.content)
    assert columns_of(sealed_entry.content).id == sealed_entry.id
    assert "result_ids" not in entry
    assert entry["result_ids_sha256"] == hashlib.sha256(canonical_bytes(ids)).hexdigest()


def filled(size, **changes):
    room = size - len(sealed(BARE, detail={"fill": []}, **changes).content)
    count = room // 400
    # A list of texts costs three bytes per text less one, besides the letters.
    each, rest = divmod(room + 1 - 3 * count, count)
    return sealed(BARE, detail={"fill": ["f" * each] * (count - 1) + ["f" * (each + rest)]}, **changes)


def test_entry_of_65_535_bytes_fits():
    entry = filled(LARGEST_ENTRY_BYTES)

    assert len(entry.content) == LARGEST_ENTRY_BYTES
    assert columns_of(entry.content).id == entry.id


def test_result_ids_stay_where_the_entry_just_fits():
    entry = filled(LARGEST_ENTRY_BYTES, result_ids=("r",))

    assert len(entry.content) == LARGEST_ENTRY_BYTES
    assert json.loads(entry.content)["result_ids"] == ["r"]


def test_entry_of_65_536_bytes_refuses():
    with pytest.raises(CanonicalError, match="the entry has 65536 bytes: at most 65535 fit, shorten `detail`"):
        filled(LARGEST_ENTRY_BYTES + 1)


def test_entry_too_long_even_without_its_result_ids_refuses():
    with pytest.raises(CanonicalError, match="at most 65535 fit"):
        sealed(BARE, result_ids=("r",), detail={"names": ["n" * 500] * 140})


# ── laws ──

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
TEXTS = st.lists(ANY_TEXT, max_size=3)
MAYBE = st.none() | ANY_TEXT
KEYS = st.text(st.characters(codec="ascii"), max_size=8)
COUNTS = st.integers(0, 2**53 - 1)
LABELS = st.fixed_dictionaries(
    {}, optional={"policy": ANY_TEXT, "classification": ANY_TEXT, "compartments": TEXTS, "releasable_to": TEXTS}
)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DRAFTS = st.builds(
    EntryDraft,
    event=st.sampled_from(EventName),
    outcome=st.sampled_from(Outcome),
    at=st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS),  # noqa: DTZ001  hypothesis adds the offset
    actor=st.builds(Actor, ANY_TEXT, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE, TEXTS.map(tuple)),
    request_id=ANY_TEXT,
    source=ANY_TEXT,
    subject=st.none() | st.builds(Subject, ANY_TEXT, ANY_TEXT, st.none() | COUNTS),
    owner=MAYBE,
    label=st.none() | LABELS,
    agreement=MAYBE,
    scope=MAYBE,
    purpose=MAYBE,
    policies=TEXTS.map(tuple),
    reasons=TEXTS.map(tuple),
    size_bytes=st.none() | COUNTS,
    result_ids=st.none() | TEXTS.map(tuple),
    detail=st.dictionaries(KEYS, ANY_TEXT | st.integers() | st.booleans() | TEXTS, max_size=3),
)


@given(DRAFTS)
@settings(deadline=None)
def test_columns_say_what_was_sealed(draft):
    columns = columns_of(seal_entry(draft, **PLACE).content)

    assert columns.at_micros == to_micros(draft.at)
    assert (columns.event, columns.outcome) == (draft.event.value, draft.outcome.value)
    assert (columns.size_bytes, columns.actor_kind) == (draft.size_bytes, fit_text(draft.actor.kind))


@given(DRAFTS)
@settings(deadline=None)
def test_what_is_sealed_is_fit(draft):
    assert are_fit(parse_entry(sealed(draft).content))


@pytest.mark.parametrize("field", ["member", "actor", "label", "result_ids"])
@pytest.mark.parametrize("text", ["x" * 513, "a\0b"])
def test_what_nobody_sealed_is_unfit(field, text):
    entry = parse_entry(sealed(FULL, result_ids=("one", "two")).content)
    held = entry[field]
    match held:
        case str():
            forged = text
        case list():
            forged = [*held, text]
        case _:
            forged = {**held, min(held): text}

    assert are_fit(entry)
    assert not are_fit({**entry, field: forged})
    assert are_fit({**entry, "member": "x" * 512, "pii": {"kid": "kid-1", "ciphertext": "x" * 600}})


def test_label_that_leaves_no_room_for_what_is_said_about_it_is_unfit():
    entry = parse_entry(sealed(FULL).content)
    label = {"policy": "NATO", "classification": "SECRET"}

    assert are_fit({**entry, "label": {**label, "releasable_to": ["x" * 509] * 63}})
    assert not are_fit({**entry, "label": {**label, "releasable_to": ["x" * 509] * 64}})


@given(DRAFTS)
@settings(deadline=None)
def test_sealed_bytes_are_the_canonical_bytes(draft):
    content = seal_entry(draft, **PLACE).content

    assert canonical_bytes(json.loads(content)) == content
    assert parse_entry(content) == json.loads(content)


def test_receipt_names_the_entry_and_its_leaf_hash_in_padded_base64():
    entry = sealed(FULL)
    receipt = entry.receipt

    assert receipt.entry == "entry-1"
    assert (len(receipt.leaf), receipt.leaf[-1]) == (44, "=")
    assert base64.b64decode(receipt.leaf, validate=True) == hashlib.sha256(b"\x00" + entry.content).digest()


def test_receipts_of_other_bytes_differ():
    assert sealed(FULL).receipt != sealed(FULL, scope="other").receipt
    # Both letters in which the two alphabets of base64 differ.
    assert Receipt.of("entry-1", b"\xfb\xff" * 16).leaf.startswith("+/")
