"""Auditors: each finds its slice, complete and no more; what is withheld cannot be probed; each look is an entry."""

import base64
import hashlib
import json
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from exchange import usecases
from exchange.audit import Auditor, Criteria, EventName, Extent, Outcome, parse_entry, view_of, without_hidden
from exchange.crypto import seal_token
from exchange.kernel import ExchangeError, InvalidError, MalformedError, NotFoundError, new_id
from exchange.markings import Label
from exchange.release import Reason
from exchange.usecases import ClearanceChange, EntryQuery, FoundEntry, ListQuery
from exchange.usecases.auditors import auditing
from exchange.usecases.auditors.search_entries import check_criteria
from exchange.usecases.steps.entry_labels import label_of
from tests.support.lived import IN_ONE_WORLD, MakeLived
from tests.support.uploading import awaited, begun
from tests.support.world import AGREEMENT, NOW, World, thumbprint_of

SECRET_TO_NOR = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
SECRET_TO_NOBODY = Label("NATO", "SECRET", releasable_to=("GBR",))
RESTRICTED = Label("NATO", "RESTRICTED", releasable_to=("DNK", "GBR", "NOR"))
ABSENT = new_id(NOW, bytes)
AUDITORS = ("auditor", "GBR auditor", "NOR auditor", "DNK auditor", "ESP auditor", "NOR low auditor")
AGREEMENT_OF_TWO = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, ESP]").replace("[GBR, NOR]", "[GBR, ESP]")


@dataclass
class Audited:
    """A world in which something has happened, and what."""

    world: World
    shared: str
    hidden: str
    low: str
    foreign: str
    treaty: str


@pytest.fixture
async def audited(make_lived: MakeLived) -> Audited:
    world, told = await make_lived(what_happened)
    return Audited(world, *told)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def looked_at(share_lived: MakeLived) -> Audited:
    """The same, for tests that only look."""
    world, told = await share_lived(what_happened)
    return Audited(world, *told)


async def what_happened(world: World) -> tuple[str, ...]:
    for member in ("GBR", "NOR", "DNK", "ESP"):
        await world.enrol(f"{member} auditor", member, "auditor", level="TOP SECRET", compartments=("ATOMAL",))
    await world.enrol("NOR low auditor", "NOR", "auditor", level="RESTRICTED")
    await usecases.change_clearance(
        world.services, world.call(None), world.clients["auditor"].id, ClearanceChange("TOP SECRET", ("ATOMAL",))
    )
    shared = await world.post(label=SECRET_TO_NOR)
    hidden = await world.post(label=SECRET_TO_NOBODY)
    low = await world.post(label=RESTRICTED)
    main = world.agreement_id
    treaty = await world.agree(AGREEMENT_OF_TWO, signatories=("GBR", "ESP"))
    foreign = await world.post(label=Label("NATO", "SECRET", releasable_to=("ESP", "GBR")))
    world.agreement_id = main
    for reader in ("GBR reader", "NOR reader", "DNK reader", "ESP reader", "stranger", "operator"):
        for report in (shared, hidden, low, foreign, ABSENT):
            await world.attempt(usecases.pull_report(world.services, world.call(reader), report))
        await world.attempt(usecases.read_part(world.services, world.call(reader), shared, 1))
        await world.attempt(usecases.list_reports(world.services, world.call(reader), ListQuery()))
    await world.attempt(
        usecases.post_report(world.services, world.call("NOR contributor"), world.posted(topic="none", agreement=main))
    )
    for agreement in (main, treaty, ABSENT):
        for name in ("NOR signatory", "ESP signatory"):
            await world.attempt(usecases.show_agreement(world.services, world.call(name), agreement))
    await usecases.record_service(world.services, EventName.SERVICE_STARTED)
    world.sequence()
    return shared, hidden, low, foreign, treaty


async def search(world: World, name: str, *, limit: int = 500, **asked: Any) -> list[FoundEntry]:
    """Return all that `name` finds, page by page."""
    found: list[FoundEntry] = []
    query = EntryQuery(Criteria(**asked), limit=limit)
    while True:
        page = (await usecases.search_entries(world.services, world.call(name), query)).value
        found += page.items
        if page.next is None:
            return found
        query = replace(query, cursor=page.next)


def auditor_facts(world: World, name: str) -> Auditor:
    client = world.clients[name]
    ranks = world.services.law.catalogue
    held = "TOP SECRET" if name == "auditor" else client.clearance.level

    def covers(label: Any) -> bool:
        return ranks.clearance_rank(held) >= ranks.protection_rank(label_of(label))

    return Auditor(None if client.member == "EXCHANGE" else client.member, covers)


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_slice_is_complete_and_no_more(looked_at: Audited, name: str) -> None:
    store = looked_at.world.services.store
    waiting = await store.waiting_entries()
    everything = [parse_entry(content) for content in await store.entries(5_000) if content not in waiting]
    views = {entry["id"]: view_of(entry, auditor_facts(looked_at.world, name)) for entry in everything}
    if name == "NOR low auditor":
        hidden = {looked_at.shared, looked_at.hidden, looked_at.foreign}
        views = {
            entry["id"]: without_hidden(entry, view, hidden) for entry in everything if (view := views[entry["id"]])
        }
    expected = {entry_id: view for entry_id, view in views.items() if view is not None}

    found = await search(looked_at.world, name)

    assert {each.receipt.entry: each.view for each in found} == expected
    assert len(found) == len(expected) > 5
    times = [str(each.view.fields["ts"]) for each in found]
    assert times == sorted(times, reverse=True)


async def test_reports_of_an_altered_class_are_hidden_from_every_list_and_others_are_not(audited: Audited) -> None:
    world = audited.world
    class_of = "SELECT class_id FROM report WHERE id = $1"
    ((altered,),), ((other,),) = world.sql(class_of, audited.shared), world.sql(class_of, audited.low)
    assert altered != other
    world.sql(
        "UPDATE release_class SET facts = replace(facts, 'SECRET', 'RESTRICTED'), digest = '0' WHERE id = $1", altered
    )
    async with world.another_node() as services:
        found = await search(replace(world, services=services), "NOR auditor", event="report.listed")
    shown = [each.view for each in found if each.view.fields.get("result_ids")]

    assert {view.extent for view in shown} == {Extent.CLEARED}
    assert {report for view in shown for report in view.fields["result_ids"]} == {audited.low}


async def test_altered_row_of_the_index_takes_no_entry_from_any_search(audited: Audited) -> None:
    world, names = audited.world, ("auditor", "GBR auditor")
    before = [await search(world, name) for name in names]
    # Of a kind for which GBR has many; `GBR|` begins what its own auditors are looked for under. By its owner it is
    # found all the same: it has none, or another one.
    world.sql(
        "UPDATE audit_search SET facet = 'GBR|x' WHERE position = (SELECT max(position) FROM audit_search"
        " WHERE member = 'GBR' AND (owner IS NULL OR owner <> 'GBR'))"
    )
    after = [await search(world, name) for name in names]

    assert after == before


@IN_ONE_WORLD
async def test_originator_sees_every_reader_of_its_reports_and_the_refused_ones_with_why(looked_at: Audited) -> None:
    found = await search(looked_at.world, "GBR auditor", subject=looked_at.hidden)
    reads = [each.view for each in found if each.view.fields["type"] == "report.read"]
    by_member = {view.fields.get("member"): view for view in reads}

    # Nobody has a member who called with a certificate that is not enrolled.
    assert set(by_member) == {"GBR", "NOR", "DNK", "ESP", "EXCHANGE", None}
    assert by_member["NOR"].extent is Extent.OTHERS
    assert by_member["NOR"].fields["reasons"] == ["not-releasable"]
    assert "source" not in by_member["NOR"].fields


@IN_ONE_WORLD
async def test_refusal_of_an_own_client_is_the_same_for_invisible_and_absent(looked_at: Audited) -> None:
    shapes = []
    for report in (looked_at.hidden, looked_at.foreign, ABSENT):
        (found,) = await search(
            looked_at.world, "NOR auditor", subject=report, client=client_id(looked_at, "NOR reader")
        )
        assert found.view.extent is Extent.REFUSAL
        told = {name: value for name, value in found.view.fields.items() if name not in {"id", "ts", "request_id"}}
        told.pop("node_seq")
        shapes.append(json.dumps(told, sort_keys=True).replace(report, "*"))

    assert len(set(shapes)) == 1
    assert '"decision": "refused"' in shapes[0]


async def test_originator_sees_who_asked_for_its_report_without_the_role(audited: Audited) -> None:
    world = audited.world
    found = await search(world, "GBR auditor", subject=audited.hidden, client=client_id(audited, "operator"))
    assert [(each.view.extent, each.view.fields["reasons"]) for each in found] == [(Extent.OTHERS, ["role-missing"])]

    await world.enrol("NOR operator", "NOR", "operator")
    for report in (audited.hidden, ABSENT):
        await world.attempt(usecases.pull_report(world.services, world.call("NOR operator"), report))
    world.sequence()
    shown = []
    for asked in ({"subject": audited.hidden}, {"subject": ABSENT}, {"reason": "role-missing"}, {"text": "role"}):
        for each in await search(world, "NOR auditor", client=client_id(audited, "NOR operator"), **asked):
            assert each.view.extent is Extent.REFUSAL
            assert each.view.fields["reasons"] == ["role-missing"]
            shown.append(each.view.fields.keys())
    assert len(shown) == 6
    assert all(keys == shown[0] for keys in shown)
    assert {"owner", "label"}.isdisjoint(shown[0])


async def test_refused_post_is_found_by_its_reasons(audited: Audited) -> None:
    world = audited.world
    await world.attempt(
        usecases.post_report(world.services, world.call("NOR contributor"), world.posted(topic="terrorism"))
    )
    world.sequence()
    found = await search(world, "auditor", reason="outside-scope-topic")

    assert [each.view.fields["type"] for each in found] == ["report.posted"]
    assert await search(world, "NOR auditor", reason="outside-scope-topic") == []


def client_id(audited: Audited, name: str) -> str:
    return audited.world.clients[name].id


@IN_ONE_WORLD
async def test_no_filter_finds_what_a_refusal_withholds(looked_at: Audited) -> None:
    world = looked_at.world
    own = {each.receipt.entry for each in await search(world, "NOR auditor", client=client_id(looked_at, "NOR reader"))}
    refused = {each.receipt.entry for each in await search(world, "NOR auditor", outcome="refused")} & own
    assert len(refused) >= 3
    probes: list[dict[str, str]] = [
        *({"owner": member} for member in ("GBR", "ESP")),
        *({"agreement": each} for each in (world.agreement_id, looked_at.treaty)),
        *({"level": level} for level in ("SECRET", "RESTRICTED")),
        *({"reason": reason.value} for reason in Reason if reason is not Reason.ROLE_MISSING),
        *({"text": text} for text in ("releasable", "party", "o")),
    ]
    for probe in probes:
        for more in ({}, {"client": client_id(looked_at, "NOR reader")}, {"outcome": "refused"}, {"member": "NOR"}):
            found = await search(world, "NOR auditor", **{**probe, **more})
            assert refused.isdisjoint(each.receipt.entry for each in found), probe


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_every_filter_finds_within_the_slice_what_the_view_shows(looked_at: Audited, name: str) -> None:
    whole = {each.receipt.entry: each.view.fields for each in await search(looked_at.world, name)}
    world, tokens = looked_at.world, usecases.search_tokens(looked_at.world.services)
    asked: dict[str, list[str]] = {
        "member": ["GBR", "NOR", "ESP", "EXCHANGE"],
        "agency": ["NCSC", "none"],
        "client": [client_id(looked_at, each) for each in ("NOR reader", "GBR contributor", "ESP reader")],
        "subject": [
            looked_at.shared,
            looked_at.hidden,
            looked_at.foreign,
            ABSENT,
            world.agreement_id,
            looked_at.treaty,
        ],
        "owner": ["GBR", "NOR", "ESP"],
        "agreement": [world.agreement_id, looked_at.treaty],
        "event": ["report.read", "agreement.signed", "service.started", "audit.searched"],
        "outcome": [outcome.value for outcome in Outcome],
        "level": ["SECRET", "RESTRICTED", "TOP SECRET"],
        "reason": [Reason.NOT_RELEASABLE.value, Reason.ROLE_MISSING.value, Reason.RECALLED.value],
        "text": ["role", "not-"],
        "source": [tokens.of_address(each) for each in ("192.0.2.7", "192.0.2.8")],
        "thumbprint": [tokens.of_thumbprint(thumbprint_of(each)) for each in ("NOR reader", "ESP reader", "stranger")],
        # What was released in one: test_crisis_review.py.
        "crisis": [ABSENT],
    }
    assert asked.keys() == {each.name for each in fields(Criteria)} - {"since", "until"}
    places = {
        "client": ("actor", "id"),
        "subject": ("object", "id"),
        "event": ("type", None),
        "outcome": ("decision", None),
        "level": ("label", "classification"),
        "thumbprint": ("actor", "thumbprint"),
    }
    for filter_name, values in asked.items():
        for value in values:
            found = await search(world, name, **{filter_name: value})
            outer, inner = places.get(filter_name, (filter_name, None))
            for each in found:
                if filter_name in {"reason", "text"}:
                    assert value in " ".join(each.view.fields["reasons"])  # type: ignore[call-overload]  # a list
                    continue
                shown = each.view.fields[outer]
                assert (shown if inner is None else shown[inner]) == value  # type: ignore[index]  # a mapping
            fresh = {each.receipt.entry for each in found} - whole.keys()
            assert all(each.view.fields["type"] == "audit.searched" for each in found if each.receipt.entry in fresh)


async def what_was_asked(world: World) -> None:
    await what_happened(world)
    made = await usecases.request_information(world.services, world.call("GBR reader"), world.wanted())
    asked = made.value.row.id
    for member in ("GBR", "ESP"):
        await world.attempt(usecases.show_request(world.services, world.call(f"{member} reader"), asked))
    await world.attempt(usecases.show_request(world.services, world.call("NOR contributor"), asked))
    await begun(world, awaited(b"x"))
    world.sequence()


@pytest.mark.parametrize("name", AUDITORS)
@IN_ONE_WORLD
async def test_whatever_an_entry_of_the_slice_is_about_it_is_found_by(share_lived: MakeLived, name: str) -> None:
    world, _ = await share_lived(what_was_asked)
    about: dict[str, list[str]] = {}
    for each in await search(world, name):
        subject: Any = each.view.fields.get("object", {"id": ""})
        about.setdefault(subject["id"], []).append(each.receipt.entry)
    assert len(about) > 3

    for subject_id in about.keys() - {""}:
        found = await search(world, name, subject=subject_id)
        assert [each.receipt.entry for each in found] == about[subject_id]


@IN_ONE_WORLD
async def test_auditor_that_is_not_cleared_sees_no_stub_and_no_count(looked_at: Audited) -> None:
    high = await search(looked_at.world, "NOR auditor")
    low = await search(looked_at.world, "NOR low auditor")
    shown = {each.receipt.entry for each in low}

    assert shown < {each.receipt.entry for each in high}
    assert {each.view.fields.get("label", {}).get("classification") for each in low} == {None, "RESTRICTED"}  # type: ignore[attr-defined]  # a mapping
    assert looked_at.shared not in json.dumps([each.view.fields for each in low if "label" in each.view.fields])
    for level in ("SECRET", "TOP SECRET"):
        assert await search(looked_at.world, "NOR low auditor", level=level) == []


@pytest.mark.parametrize("name", ["auditor", "NOR auditor"])
async def test_clearance_that_has_run_out_covers_no_label(audited: Audited, name: str) -> None:
    world = audited.world
    change = ClearanceChange("TOP SECRET", until=NOW - timedelta(days=1))
    await usecases.change_clearance(world.services, world.call(None), world.clients[name].id, change)
    found = await search(world, name)

    assert found
    assert all("label" not in each.view.fields for each in found)


async def test_compartment_that_is_not_held_hides_the_entry(audited: Audited) -> None:
    world = audited.world
    await world.enrol("NOR plain auditor", "NOR", "auditor", level="TOP SECRET")
    await world.enrol("NOR cleared", "NOR", "reader", compartments=("ATOMAL",))
    label = Label("NATO", "SECRET", ("ATOMAL",), ("GBR", "NOR"))
    report = await world.post(label=label)
    await usecases.pull_report(world.services, world.call("NOR cleared"), report)
    world.sequence()

    assert [each.view.fields["type"] for each in await search(world, "NOR auditor", subject=report)] == ["report.read"]
    assert await search(world, "NOR plain auditor", subject=report) == []


@pytest.mark.parametrize("newest_first", [True, False])
@IN_ONE_WORLD
async def test_pages_hold_each_entry_once_and_in_order(looked_at: Audited, newest_first: bool) -> None:
    world, found = looked_at.world, []
    whole = [each.receipt.entry for each in await search(world, "NOR auditor", until=NOW + timedelta(days=1))]
    query = EntryQuery(Criteria(), limit=3, newest_first=newest_first)
    for _ in range(len(whole)):
        page = (await usecases.search_entries(world.services, world.call("NOR auditor"), query)).value
        found += [each.receipt.entry for each in page.items]
        if not page.items or page.next is None:
            break
        assert len(page.items) == 3 or not newest_first or page.next is None
        query = replace(query, cursor=page.next)

    assert found == (whole if newest_first else whole[::-1])


async def test_oldest_first_goes_on_where_it_ended(audited: Audited) -> None:
    world = audited.world
    query = EntryQuery(Criteria(event="report.posted"), newest_first=False)
    empty = EntryQuery(Criteria(event="audit.read"), newest_first=False)
    first = (await usecases.search_entries(world.services, world.call("GBR auditor"), query)).value
    nothing = (await usecases.search_entries(world.services, world.call("GBR auditor"), empty)).value
    world.clock.advance(timedelta(seconds=1))
    report = await world.post()
    world.sequence()
    again = replace(query, cursor=first.next)
    (found,) = (await usecases.search_entries(world.services, world.call("GBR auditor"), again)).value.items

    assert found.view.fields["object"]["id"] == report  # type: ignore[index]  # a mapping
    assert nothing.items == ()
    assert nothing.next is not None
    from_start = (
        await usecases.search_entries(world.services, world.call("GBR auditor"), replace(query, cursor=nothing.next))
    ).value
    assert len(from_start.items) == len(first.items) + 1


@IN_ONE_WORLD
async def test_search_is_an_entry_with_its_filters_and_what_it_showed(looked_at: Audited) -> None:
    world = looked_at.world
    query = EntryQuery(Criteria(event="report.read", since=NOW), limit=2)
    made = await world.attempt(usecases.search_entries(world.services, world.call("NOR auditor"), query))

    assert made.entry["type"] == "audit.searched"
    assert made.value.receipt.entry == made.entry["id"]
    assert made.entry["detail"] == {
        "event": "report.read",
        "since": "2026-06-01T12:00:00Z",
        "limit": 2,
        "order": "newest",
    }
    assert made.entry["result_ids"] == [each.receipt.entry for each in made.value.value.items]
    assert made.entry["member"] == "NOR"


@IN_ONE_WORLD
async def test_entry_is_shown_as_the_search_shows_it_and_its_leaf_proves_it(looked_at: Audited) -> None:
    world = looked_at.world
    contents = {parse_entry(each)["id"]: each for each in await world.services.store.entries(5_000)}
    for found in await search(world, "NOR auditor"):
        entry_id = found.receipt.entry
        made = await world.attempt(usecases.show_entry(world.services, world.call("NOR auditor"), entry_id))

        assert made.value.value == found
        assert (made.entry["type"], made.entry["object"]) == ("audit.read", {"type": "entry", "id": entry_id})
        leaf = hashlib.sha256(b"\0" + contents[entry_id]).digest()
        assert found.receipt.leaf == base64.b64encode(leaf).decode()


@IN_ONE_WORLD
async def test_entry_of_others_is_absent(looked_at: Audited) -> None:
    world = looked_at.world
    own = {each.receipt.entry for each in await search(world, "NOR auditor")}
    others = [each.receipt.entry for each in await search(world, "auditor") if each.receipt.entry not in own]
    told = set()
    for entry_id in (*others[:20], ABSENT, "no id at all", ""):
        made = await world.attempt(usecases.show_entry(world.services, world.call("NOR auditor"), entry_id))
        assert isinstance(made.error, NotFoundError)
        assert made.entry["decision"] == "refused"
        told.add(made.error.message)

    assert len(others) > 20
    assert len(told) == 1


@pytest.mark.parametrize("thief", ["NOR auditor", "auditor", "GBR auditor"])
@IN_ONE_WORLD
async def test_cursor_serves_whom_it_was_given_to(looked_at: Audited, thief: str) -> None:
    world, query = looked_at.world, EntryQuery(limit=2)
    page = (await usecases.search_entries(world.services, world.call("DNK auditor"), query)).value
    assert page.next is not None
    forged = seal_token(world.services.cursor_key, "log cursor of nobody", bytes(16), bytes(12))
    for cursor in (page.next, page.next[:-1], forged, "", "x" * 80):
        made = await world.attempt(
            usecases.search_entries(world.services, world.call(thief), replace(query, cursor=cursor))
        )
        assert isinstance(made.error, MalformedError)
        assert made.entry["decision"] == "refused"


NOTHING_FOUND: list[tuple[dict[str, Any], str]] = [
    ({"event": "report.pulled"}, "unknown-event"),
    ({"outcome": "allowed"}, "unknown-outcome"),
    ({"level": "secret"}, "unknown-level"),
    ({"reason": "not-releas"}, "unknown-reason"),
    ({"text": ""}, "invalid-value"),
    ({"member": "GBR\0"}, "invalid-value"),
    ({"subject": "x" * 129}, "invalid-value"),
    ({"client": "\ud800"}, "invalid-value"),
    ({"client": "desk"}, "not-an-id"),
    ({"agreement": ABSENT[:-1]}, "not-an-id"),
    ({"crisis": ABSENT.upper()}, "not-an-id"),
    ({"member": "NRO"}, "unknown-code"),
    ({"owner": "gbr"}, "bad-code"),
    ({"since": NOW, "until": NOW}, "invalid-value"),
]


@IN_ONE_WORLD
async def test_filter_that_can_find_nothing_is_a_fault(looked_at: Audited, subtests: pytest.Subtests) -> None:
    world = looked_at.world
    for asked, code in NOTHING_FOUND:
        query = EntryQuery(Criteria(**asked))
        made = await world.attempt(usecases.search_entries(world.services, world.call("NOR auditor"), query))

        with subtests.test(asked=asked):
            assert isinstance(made.error, InvalidError)
            assert [fault.code for fault in made.error.faults] == [code]
            assert made.entry["detail"] == {"codes": [code]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("report.pulled", "meant? use one of report.amended, "),
        ("report", "use one of report.amended, "),
        ("reading", "begin with one of act, agreement, "),
    ],
)
def test_who_misspells_an_event_is_told_on_one_screen_what_there_is(given: str, told: str) -> None:
    services: Any = SimpleNamespace(law=SimpleNamespace(catalogue=SimpleNamespace(protection={})))

    with pytest.raises(InvalidError) as refused:
        check_criteria(services, Criteria(event=given))
    (fault,) = refused.value.faults

    # An answer is cut behind 500 characters of a fault.
    assert (told in fault.message, len(fault.message) <= 500) == (True, True)


@pytest.mark.parametrize(
    "fields_of_label",
    [
        {"policy": "NATO"},
        {"classification": "SECRET"},
        {"policy": "NATO", "classification": "SECRET", "handling": ["B", "A"]},
    ],
)
@IN_ONE_WORLD
async def test_label_that_is_none_is_covered_by_nobody(looked_at: Audited, fields_of_label: dict[str, Any]) -> None:
    world = looked_at.world
    gaze = await auditing.admit_auditor(world.services, world.call("auditor"), event=EventName.AUDIT_READ)

    assert gaze.auditor.covers(fields_of_label) is False
    with pytest.raises(ExchangeError):
        label_of(fields_of_label)


async def test_without_the_log_nothing_is_shown(audited: Audited) -> None:
    world = audited.world
    world.sql("ALTER TABLE audit_outbox RENAME TO gone")
    for act in (
        usecases.search_entries(world.services, world.call("auditor"), EntryQuery()),
        usecases.show_entry(world.services, world.call("auditor"), ABSENT),
    ):
        with pytest.raises(ExchangeError):
            await act
