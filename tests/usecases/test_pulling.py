"""Pulling: identical bytes to whom every rule lets through; to all others one answer, and the true reasons in the log."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.kernel import InvalidError, NotFoundError, UnavailableError, new_id
from exchange.markings import Label
from exchange.release import Assurance
from exchange.reports import PostedPart
from exchange.store import Parts
from exchange.usecases import Call, ClearanceChange
from tests.support.in_turn import InTurn
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import NOW, World

ABSENT = new_id(NOW, bytes)
SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
LOW = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
PARTS = (
    PostedPart(None, "text/plain", "secret.txt", b"the whole story"),
    PostedPart(LOW, "text/plain", "low.txt", b"what all may know"),
)


async def pull(world: World, call: Call, report: str) -> Any:
    return await world.attempt(usecases.pull_report(world.services, call, report))


async def test_bytes_come_back_identical_and_on_the_record(populated: World) -> None:
    content = bytes(range(256)) * 300
    parts = (
        PostedPart(None, "application/octet-stream", "a.bin", content),
        PostedPart(None, "text/plain", "empty.txt", b""),
    )
    report = await populated.post(parts=parts)
    call = populated.call("NOR reader")
    made = await pull(populated, call, report)

    assert made.value.value.parts == ((1, content), (2, b""))
    header = json.loads(made.value.value.header_json)
    assert (header["id"], header["subject"], header["status"]) == (report, "Canary subject 4711", "current")
    entry = made.entry
    assert entry["id"] == made.value.receipt.entry
    assert (entry["type"], entry["decision"], entry["owner"], entry["member"]) == (
        "report.read",
        "permitted",
        "GBR",
        "NOR",
    )
    assert (entry["purpose"], entry["bytes"], entry["request_id"]) == ("defence", len(content), call.request_id)
    assert entry["object"] == {"type": "report", "id": report, "version": 1}
    assert entry["policies"][:2] == [f"agreement/{populated.agreement_id}/4", "scope/cyber-threats"]
    assert "reasons" not in entry
    assert "canary" not in json.dumps(entry).lower()


async def test_no_entry_names_a_release_class(populated: World) -> None:
    # A reader that is shown a part would test by the digest which labels the others have.
    report = await populated.post(parts=PARTS)
    for name in ("NOR reader", "DNK reader", "ESP reader"):
        await pull(populated, populated.call(name), report)
    await usecases.list_reports(populated.services, populated.call("NOR reader"), usecases.ListQuery())
    await usecases.explain_report(populated.services, populated.call("NOR reader"), report)
    digests = [digest for (digest,) in populated.sql("SELECT digest FROM release_class")]
    entries = await populated.entries()

    assert len(digests) == 1
    assert {entry["type"] for entry in entries} > {"report.posted", "report.read", "report.listed", "report.explained"}
    assert not any(digest in json.dumps(entry) for digest in digests for entry in entries)
    assert not any("class" in entry or "class" in entry.get("detail", {}) for entry in entries)


async def test_header_of_a_pull_is_the_header_of_its_post(populated: World) -> None:
    posted = await usecases.post_report(populated.services, populated.call("GBR contributor"), populated.posted())
    pulled = await usecases.pull_report(populated.services, populated.call("NOR reader"), posted.value.report_id)

    assert json.loads(pulled.value.header_json) == json.loads(posted.value.header_json)


async def test_originator_s_readers_read_their_own_under_the_same_rules(populated: World) -> None:
    report = await populated.post(label=Label("NATO", "SECRET"))
    await populated.enrol("GBR junior", "GBR", "reader", level="CONFIDENTIAL")

    assert (await pull(populated, populated.call("GBR reader"), report)).error is None
    refused = await pull(populated, populated.call("GBR junior"), report)
    assert refused.entry["reasons"] == ["above-clearance"]


SetUp = Callable[[World], Awaitable[tuple[dict[str, Any], Callable[[World], Call]]]]


def as_client(name: str, **stated: Any) -> Callable[[World], Call]:
    return lambda world: world.call(name, **stated)


async def enrolled(world: World, member: str = "NOR", **fields: Any) -> Callable[[World], Call]:
    name = f"odd reader {len(world.clients)}"
    await world.enrol(name, member, "reader", **fields)
    return as_client(name)


async def not_releasable(world: World) -> Any:
    return {}, as_client("DNK reader")


async def releasable_to_nobody_else(world: World) -> Any:
    return {"label": Label("NATO", "SECRET")}, as_client("NOR reader")


async def no_party(world: World) -> Any:
    return {}, as_client("ESP reader")


async def no_party_though_named(world: World) -> Any:
    return {"label": Label("NATO", "SECRET", releasable_to=("ESP", "GBR"))}, as_client("ESP reader")


async def clearance_expired(world: World) -> Any:
    return {}, await enrolled(world, until=NOW)


async def above_clearance(world: World) -> Any:
    return {}, await enrolled(world, level="CONFIDENTIAL")


async def missing_compartment(world: World) -> Any:
    return {"label": replace(SECRET, compartments=("ATOMAL",))}, as_client("NOR reader")


async def other_compartment(world: World) -> Any:
    return {"label": replace(SECRET, compartments=("ATOMAL",))}, await enrolled(world, compartments=("BOHEMIA",))


async def purpose_outside_the_scope(world: World) -> Any:
    return {}, await enrolled(world, purposes=("judicial",))


async def purpose_not_registered(world: World) -> Any:
    return {}, as_client("NOR reader", purpose="law-enforcement")


async def eyes_of_another_nation(world: World) -> Any:
    return {"label": replace(SECRET, handling=("EYES ONLY",))}, await enrolled(world, nationality="DNK")


async def reader_s_member_suspended_its_part(world: World) -> Any:
    return {"after": usecases.suspend_agreement, "by": "NOR signatory"}, as_client("NOR reader")


async def originator_suspended_its_part(world: World) -> Any:
    return {"after": usecases.suspend_agreement, "by": "GBR signatory"}, as_client("NOR reader")


async def originator_withdrew(world: World) -> Any:
    return {
        "after": usecases.withdraw_agreement,
        "by": "GBR signatory",
        "moment": NOW + timedelta(days=90),
    }, as_client("NOR reader")


async def agreement_expired(world: World) -> Any:
    return {"moment": datetime(2031, 1, 1, tzinfo=UTC)}, as_client("NOR reader")


async def report_expired(world: World) -> Any:
    return {"valid_until": NOW + timedelta(hours=1), "moment": NOW + timedelta(hours=1)}, as_client("NOR reader")


async def recalled(world: World) -> Any:
    return {"sql": "UPDATE report SET status = 'recalled' WHERE id = $1"}, as_client("NOR reader")


async def client_of_the_exchange(world: World) -> Any:
    return {}, await enrolled(world, "EXCHANGE", level="TOP SECRET")


async def token(world: World) -> Any:
    return {}, lambda world: replace(world.call("NOR reader"), assurance=Assurance.TOKEN)


async def everything_at_once(world: World) -> Any:
    label = Label("NATO", "SECRET", ("ATOMAL",), ("GBR",), ("EYES ONLY",))
    return {"label": label}, await enrolled(world, "ESP", level="RESTRICTED", until=NOW, purposes=("judicial",))


IN_ANOTHER_STATE: list[tuple[SetUp, list[str]]] = [
    (reader_s_member_suspended_its_part, ["not-a-party"]),
    (originator_suspended_its_part, ["agreement-not-in-force"]),
    (originator_withdrew, ["agreement-not-in-force"]),
    (agreement_expired, ["agreement-not-in-force"]),
    (report_expired, ["expired"]),
]
"""Of the agreement, or of the clock."""
REFUSALS: list[tuple[SetUp, list[str]]] = [
    (not_releasable, ["not-releasable"]),
    (releasable_to_nobody_else, ["not-releasable"]),
    (no_party, ["not-a-party", "not-releasable"]),
    (no_party_though_named, ["not-a-party"]),
    (clearance_expired, ["clearance-expired"]),
    (above_clearance, ["above-clearance"]),
    (missing_compartment, ["missing-compartment"]),
    (other_compartment, ["missing-compartment"]),
    (purpose_outside_the_scope, ["purpose-not-allowed"]),
    (purpose_not_registered, ["purpose-not-allowed"]),
    (eyes_of_another_nation, ["nationality"]),
    (recalled, ["recalled"]),
    (client_of_the_exchange, ["not-a-party", "not-releasable", "national-caveat"]),
    (token, ["weak-assurance"]),
    (
        everything_at_once,
        [
            "not-a-party",
            "purpose-not-allowed",
            "above-clearance",
            "clearance-expired",
            "missing-compartment",
            "not-releasable",
            "nationality",
            "national-caveat",
        ],
    ),
]


async def test_refusal_looks_like_absence_and_the_log_knows_why(
    populated: World, in_turn: InTurn, subtests: pytest.Subtests
) -> None:
    for set_up, reasons in in_turn(REFUSALS):
        with subtests.test(set_up.__name__):
            await require_refusal_like_absence(populated, set_up, reasons)


@pytest.mark.parametrize(("set_up", "reasons"), IN_ANOTHER_STATE, ids=[row[0].__name__ for row in IN_ANOTHER_STATE])
async def test_refusal_in_another_state_looks_like_absence_and_the_log_knows_why(
    populated: World, set_up: SetUp, reasons: list[str]
) -> None:
    await require_refusal_like_absence(populated, set_up, reasons)


async def require_refusal_like_absence(populated: World, set_up: SetUp, reasons: list[str]) -> None:
    fields, caller = await set_up(populated)
    moment, after, sql = fields.pop("moment", NOW), fields.pop("after", None), fields.pop("sql", None)
    by = fields.pop("by", None)
    report = await populated.post(**fields)
    if after is not None:
        await after(populated.services, populated.call(by), populated.agreement_id)
    if sql is not None:
        populated.sql(sql, report)
    populated.clock.now = moment
    acts: list[tuple[str, Callable[[str], Awaitable[object]]]] = [
        ("report.read", lambda report: usecases.pull_report(populated.services, caller(populated), report)),
        ("report.part_read", lambda report: usecases.read_part(populated.services, caller(populated), report, 1)),
        ("report.explained", lambda report: usecases.explain_report(populated.services, caller(populated), report)),
    ]
    for event, act in acts:
        refused, absent = [await populated.attempt(act(each)) for each in (report, ABSENT)]

        assert isinstance(refused.error, NotFoundError)
        assert (type(refused.error), str(refused.error), refused.error.code) == (
            type(absent.error),
            str(absent.error),
            absent.error.code,  # type: ignore[union-attr]  # an error, as its type says
        )
        assert (refused.entry["type"], refused.entry["decision"]) == (event, "refused")
        assert refused.entry["reasons"] == reasons
        assert (refused.entry["object"]["id"], refused.entry["owner"]) == (report, "GBR")
        assert refused.error.receipt.entry == refused.entry["id"]
        assert "bytes" not in refused.entry
        assert absent.entry["object"] == {"type": "report", "id": ABSENT}
        assert absent.entry["detail"] == {"finding": "absent"}


@pytest.mark.parametrize(
    "report_id", ["", "1", "\x00", ABSENT.upper(), "019e0000-0000-4000-8000-000000000000", "\ud800"]
)
@IN_ONE_WORLD
async def test_what_is_no_id_is_answered_like_an_absent_one(unchanged: World, report_id: str) -> None:
    absent = await pull(unchanged, unchanged.call("NOR reader"), ABSENT)
    malformed = await pull(unchanged, unchanged.call("NOR reader"), report_id)

    assert isinstance(malformed.error, NotFoundError)
    assert str(malformed.error) == str(absent.error)
    assert malformed.entry["object"] == {"type": "report", "id": "malformed"}


async def test_unknown_purpose_does_not_tell_an_invisible_report_from_an_absent_one(populated: World) -> None:
    report = await populated.post()
    call = populated.call("DNK reader", purpose="curiosity")
    for act in (
        lambda report: usecases.pull_report(populated.services, call, report),
        lambda report: usecases.read_part(populated.services, call, report, 1),
        lambda report: usecases.explain_report(populated.services, call, report),
    ):
        hidden, absent = [await populated.attempt(act(each)) for each in (report, ABSENT)]

        assert isinstance(hidden.error, InvalidError)
        assert (type(hidden.error), str(hidden.error)) == (type(absent.error), str(absent.error))
        assert [attempt.entry["detail"] for attempt in (hidden, absent)] == [{"codes": ["unknown-purpose"]}] * 2


async def test_other_law_does_not_tell_an_invisible_report_from_an_absent_one(populated: World) -> None:
    report = await populated.post()
    populated.sql("UPDATE policy_state SET policy_digest = 'other'")
    for each in (report, ABSENT):
        made = await pull(populated, populated.call("DNK reader"), each)
        assert isinstance(made.error, UnavailableError)
        assert "other policy files" in made.error.message


async def test_registered_purpose_that_is_stated_is_the_one_on_the_record(populated: World) -> None:
    report = await populated.post()
    await populated.enrol("police", "NOR", "reader", purposes=("defence", "law-enforcement"))
    made = await pull(populated, populated.call("police", purpose="law-enforcement"), report)

    assert made.entry["purpose"] == "law-enforcement"


async def test_client_without_purposes_pulls_for_defence(populated: World) -> None:
    report = await populated.post()
    populated.sql("UPDATE client SET purposes = '[]' WHERE name = 'NOR reader'")
    first = await pull(populated, populated.call("NOR reader"), report)
    stated = await pull(populated, populated.call("NOR reader", purpose="defence"), report)

    assert [attempt.entry["purpose"] for attempt in (first, stated)] == ["defence", "defence"]


async def test_report_is_readable_up_to_the_moment_it_expires(populated: World) -> None:
    report = await populated.post(valid_until=NOW + timedelta(hours=1))
    for moment, is_readable in ((timedelta(minutes=59), True), (timedelta(hours=1), False)):
        populated.clock.now = NOW + moment
        assert ((await pull(populated, populated.call("NOR reader"), report)).error is None) is is_readable


async def test_clearance_ends_on_time_though_the_decision_was_remembered(populated: World) -> None:
    report = await populated.post()
    await populated.enrol("short", "NOR", "reader", until=NOW + timedelta(hours=1))
    assert (await pull(populated, populated.call("short"), report)).error is None

    populated.clock.advance(timedelta(hours=1))
    assert (await pull(populated, populated.call("short"), report)).entry["reasons"] == ["clearance-expired"]


@pytest.mark.parametrize(("count", "size"), [(1, 100_000), (9, 10), (3, 40_000)])
async def test_large_and_many_parts_come_back_identical(populated: World, count: int, size: int) -> None:
    contents = [bytes([number]) * size for number in range(count)]
    parts = tuple(
        PostedPart(None, "application/octet-stream", f"{number}.bin", content)
        for number, content in enumerate(contents)
    )
    report = await populated.post(parts=parts)
    made = await pull(populated, populated.call("NOR reader"), report)

    assert [content for _, content in made.value.value.parts] == contents
    assert made.entry["bytes"] == count * size


async def test_permit_that_changes_before_large_parts_are_loaded_releases_nothing(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = PostedPart(LOW, "application/octet-stream", "low.bin", bytes(100_000))
    report = await populated.post(parts=(*PARTS, low))
    store, real = populated.services.store, populated.services.store.report_for

    async def report_for(*arguments: Any, **named: Any) -> Any:
        if named["parts"] is Parts.ALL:
            change = ClearanceChange("RESTRICTED")
            client = populated.clients["NOR reader"]
            await usecases.change_clearance(populated.services, populated.call(None), client.id, change)
        return await real(*arguments, **named)

    monkeypatch.setattr(store, "report_for", report_for)
    made = await populated.attempt(usecases.pull_report(populated.services, populated.call("NOR reader"), report))

    assert isinstance(made.error, UnavailableError)
    (entry,) = [entry for entry in made.entries if entry["type"] == "report.read"]
    assert entry["decision"] == "failed"


# ── parts and tear-lines ─────────────────────────────────────────────────────────────────────────────────────


async def test_reader_of_the_report_s_own_label_gets_every_part(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    pulled = (await pull(populated, populated.call("NOR reader"), report)).value.value

    assert pulled.parts == tuple((number, part.content) for number, part in enumerate(PARTS, start=1))
    assert [part["number"] for part in json.loads(pulled.header_json)["parts"]] == [1, 2]


async def test_tear_line_tells_nothing_of_what_was_withheld(populated: World) -> None:
    source = await populated.post()
    report = await populated.post(parts=PARTS, supersedes=source, references=(source,))
    made = await pull(populated, populated.call("DNK reader"), report)

    header = json.loads(made.value.value.header_json)
    assert made.value.value.parts == ((1, b"what all may know"),)
    assert (header["subject"], header["supersedes"], header["references"]) == (None, None, [])
    assert header["marking"] == "NATO RESTRICTED//REL TO GBR, DNK, NOR"
    assert header["label"] == LOW.as_json()
    assert [(part["number"], part["name"]) for part in header["parts"]] == [(1, "low.txt")]
    for withheld in (b"SECRET", b"Canary", b"secret.txt", source.encode()):
        assert withheld not in made.value.value.header_json
    # Nor does its entry, which the auditors of its reader's member see.
    assert (made.entry["label"], made.entry["detail"]) == (LOW.as_json(), {"shown": "tear-line"})


async def test_tear_line_goes_to_a_lower_clearance_of_the_same_member(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    await populated.enrol("junior", "NOR", "reader", level="RESTRICTED")
    made = await pull(populated, populated.call("junior"), report)

    assert made.value.value.parts == ((1, b"what all may know"),)


async def test_report_whose_parts_are_all_low_is_torn_off_nevertheless(populated: World) -> None:
    """What is marked high then is its subject: who may read every part is not shown it."""
    report, call = await populated.post(parts=PARTS[1:], subject="canary"), populated.call("DNK reader")
    pulled = (await pull(populated, call, report)).value.value
    (listed,) = (await usecases.list_reports(populated.services, call, usecases.ListQuery())).value.items

    assert pulled.parts == ((1, b"what all may know"),)
    assert b"canary" not in pulled.header_json + listed


async def test_keys_of_withheld_parts_are_never_unwrapped(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await populated.post(parts=PARTS)
    real, count = populated.services.custodian.unwrap, []

    async def counted(*arguments: Any) -> bytes:
        count.append(1)
        return await real(*arguments)

    monkeypatch.setattr(populated.services.custodian, "unwrap", counted)
    await pull(populated, populated.call("DNK reader"), report)

    assert len(count) == 1


async def test_part_is_read_by_its_number_with_what_its_header_says(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    made = await populated.attempt(usecases.read_part(populated.services, populated.call("NOR reader"), report, 2))

    read = made.value.value
    assert (read.content, read.part.number, read.part.name) == (b"what all may know", 2, "low.txt")
    assert (made.entry["type"], made.entry["decision"]) == ("report.part_read", "permitted")
    assert (made.entry["bytes"], made.entry["detail"]) == (17, {"part": 2, "asked": 2})


async def test_parts_are_numbered_without_a_gap_for_who_may_not_read_all(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    made = await populated.attempt(usecases.read_part(populated.services, populated.call("DNK reader"), report, 1))

    assert (made.value.value.part.name, made.value.value.content) == ("low.txt", b"what all may know")


async def test_parts_are_numbered_as_the_reader_sees_them(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    made = await populated.attempt(usecases.read_part(populated.services, populated.call("DNK reader"), report, 1))

    assert (made.value.value.content, made.value.value.part.number) == (b"what all may know", 1)
    assert made.entry["decision"] == "permitted"
    assert (made.entry["label"], made.entry["detail"]) == (LOW.as_json(), {"shown": "tear-line", "part": 2, "asked": 1})


async def test_permit_that_changes_between_header_and_part_releases_nothing(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await populated.post(parts=PARTS)
    store, real = populated.services.store, populated.services.store.report_for

    async def report_for(*arguments: Any, **named: Any) -> Any:
        if named["parts"] == 2:
            change = ClearanceChange("RESTRICTED")
            client = populated.clients["NOR reader"]
            await usecases.change_clearance(populated.services, populated.call(None), client.id, change)
        return await real(*arguments, **named)

    monkeypatch.setattr(store, "report_for", report_for)
    with pytest.raises(UnavailableError, match="changed"):
        await usecases.read_part(populated.services, populated.call("NOR reader"), report, 2)


async def test_withheld_part_and_absent_part_are_the_same(populated: World, subtests: pytest.Subtests) -> None:
    report = await populated.post(parts=PARTS)
    call = populated.call("DNK reader")
    absent = await populated.attempt(usecases.read_part(populated.services, call, ABSENT, 1))
    for number in (2, 3, 0, -1, 10_001, 2**70):
        made = await populated.attempt(usecases.read_part(populated.services, call, report, number))

        with subtests.test(number=number):
            assert isinstance(made.error, NotFoundError)
            assert str(made.error) == str(absent.error)
            asked = number if number in {2, 3} else 0
            assert (made.entry["decision"], made.entry["detail"]) == ("refused", {"part": asked, "finding": "withheld"})
            assert "policies" not in made.entry


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_links_to_what_a_reader_may_not_see_are_left_out(populated: World) -> None:
    shared = await populated.post()
    hidden = await populated.post(label=Label("NATO", "SECRET"))
    narrow = await populated.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)), references=(hidden, shared))
    report = await populated.post(references=(shared,))
    populated.sql("UPDATE report SET status = 'recalled' WHERE id = $1", shared)
    british = json.loads((await pull(populated, populated.call("GBR reader"), narrow)).value.value.header_json)
    norwegian = json.loads((await pull(populated, populated.call("NOR reader"), report)).value.value.header_json)

    assert british["references"] == [hidden]
    assert norwegian["references"] == []


async def test_left_out_link_leaves_the_bytes_of_a_report_without_links(populated: World) -> None:
    source = await populated.post()
    linked, plain = await populated.post(references=(source,)), await populated.post()
    populated.sql("UPDATE report SET status = 'recalled' WHERE id = $1", source)
    call = populated.call("NOR reader")
    headers = [(await pull(populated, call, report)).value.value.header_json for report in (linked, plain)]

    assert headers[0].replace(linked.encode(), b"") == headers[1].replace(plain.encode(), b"")


async def test_tear_line_has_the_fields_of_a_whole_report_in_their_order(populated: World) -> None:
    torn, whole = await populated.post(parts=PARTS), await populated.post(label=LOW, parts=PARTS[1:])
    call = populated.call("DNK reader")
    headers = [json.loads((await pull(populated, call, each)).value.value.header_json) for each in (torn, whole)]

    assert list(headers[0].items())[1:8] == list(headers[1].items())[1:8]
    assert list(headers[0]) == list(headers[1])


async def test_link_to_a_superseded_report_is_shown_to_who_may_read_it(populated: World) -> None:
    first = await populated.post()
    second = await populated.post(supersedes=first)
    header = json.loads((await pull(populated, populated.call("NOR reader"), second)).value.value.header_json)

    assert header["supersedes"] == first


async def test_link_to_a_report_that_is_gone_is_left_out(populated: World) -> None:
    first = await populated.post()
    second = await populated.post(references=(first,))
    populated.sql("DELETE FROM report_part WHERE report_id = $1", first)
    populated.sql("DELETE FROM report WHERE id = $1", first)
    header = json.loads((await pull(populated, populated.call("NOR reader"), second)).value.value.header_json)

    assert header["references"] == []


# ── explanation ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_reader_that_may_read_is_told_every_rule(populated: World) -> None:
    report = await populated.post()
    made = await populated.attempt(usecases.explain_report(populated.services, populated.call("NOR reader"), report))

    assert {rule.outcome.value for rule in made.value.value.rules} == {"passed"}
    assert [rule.number for rule in made.value.value.rules] == sorted(range(1, 25))
    assert (made.entry["type"], made.entry["decision"]) == ("report.explained", "permitted")
    assert made.entry["detail"] == {"viewer": "reader", "decision": "permitted"}


async def test_explanation_of_a_tear_line_is_about_what_is_shown(populated: World) -> None:
    report = await populated.post(parts=PARTS)
    made = await usecases.explain_report(populated.services, populated.call("DNK reader"), report)

    assert {rule.label for rule in made.value.rules if rule.label is not None} == {LOW}


async def test_originator_s_contributor_is_told_why_it_does_not_read(populated: World) -> None:
    report = await populated.post()
    for name in ("GBR contributor", "GBR releaser"):
        if name not in populated.clients:
            await populated.enrol(name, "GBR", "releaser")
        made = await populated.attempt(usecases.explain_report(populated.services, populated.call(name), report))

        assert [reason.value for reason in made.value.value.reasons] == ["role-missing"]
        assert made.entry["decision"] == "permitted"
        assert made.entry["detail"] == {"viewer": "originator", "decision": "refused"}


async def test_nobody_else_gets_an_explanation(populated: World, subtests: pytest.Subtests) -> None:
    report = await populated.post()
    for name in ("NOR contributor", "DNK reader", "ESP contributor", "ESP reader"):
        made = await populated.attempt(usecases.explain_report(populated.services, populated.call(name), report))

        with subtests.test(name):
            assert isinstance(made.error, NotFoundError)
            assert made.entry["decision"] == "refused"
