"""Listing: exactly what a pull would permit, in pages that never skip, and true as of now on every node."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange import usecases
from exchange.agreements import covers
from exchange.crypto import seal_token
from exchange.kernel import ForbiddenError, InvalidError, MalformedError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.release import Assurance
from exchange.reports import Downgrade, PostedPart, Precedence
from exchange.store.rows.unread import Unread
from exchange.usecases import ClearanceChange, ListQuery, Services
from exchange.usecases.steps import knowledge
from tests.support.lived import IN_ONE_WORLD
from tests.support.world import AGREEMENT, NOW, World

SECRET = Label("NATO", "SECRET", releasable_to=("GBR", "NOR"))
EVERYTHING = ListQuery()
ON_ONE_WORLD = settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)

levels = st.sampled_from(["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET"])
members = st.sampled_from(["GBR", "NOR", "DNK", "ESP"])


@st.composite
def labels(draw: st.DrawFn) -> Label:
    return Label(
        "NATO",
        draw(levels),
        draw(st.sampled_from([(), ("ATOMAL",)])),
        tuple(sorted(draw(st.sets(members)))),
        draw(st.sampled_from([(), (), ("ORCON",), ("EYES ONLY",), ("EYES ONLY", "ORCON")])),
    )


reports = st.fixed_dictionaries(
    {
        "label": labels(),
        "parts": st.lists(st.none() | labels(), min_size=1, max_size=2),
        "topic": st.sampled_from(["cyber", "cyber.apt", "cyber.crime"]),
        "kind": st.sampled_from(["intrep", "indicator-set"]),
        "precedence": st.sampled_from(Precedence),
        "valid_until": st.sampled_from([None, NOW + timedelta(days=1), NOW + timedelta(microseconds=1)]),
    }
)
readers = st.fixed_dictionaries(
    {
        "member": members,
        "level": levels,
        "compartments": st.sampled_from([(), ("ATOMAL",)]),
        "nationality": st.sampled_from([None, "GBR", "DNK"]),
        "until": st.sampled_from([None, NOW + timedelta(days=1), NOW]),
        "purposes": st.sampled_from([("defence",), ("judicial",), ("law-enforcement",)]),
    }
)


async def listed(world: World, name: str, query: ListQuery = EVERYTHING, *, by: Services | None = None) -> list[str]:
    """Return the ids of all pages from `query` on."""
    found: list[str] = []
    while True:
        page = (await usecases.list_reports(by or world.services, world.call(name), query)).value
        found += [json.loads(item)["id"] for item in page.items]
        query = replace(query, cursor=page.next)
        if len(page.items) < query.limit:
            return found


async def post_drawn(world: World, drawn: dict[str, Any]) -> None:
    """Post what was drawn; a part above its report takes the report's label."""
    catalogue = world.services.law.catalogue
    parts = [
        PostedPart(
            None if label is None or not catalogue.dominates(drawn["label"], label, originator="GBR") else label,
            "text/plain",
            f"{number}.txt",
            b"x",
        )
        for number, label in enumerate(drawn["parts"])
    ]
    await world.post(**{**drawn, "parts": tuple(parts)})


@ON_ONE_WORLD
@given(drawn=st.lists(reports, min_size=1, max_size=4), reader=readers, step=st.integers(0, 2), limit=st.integers(1, 4))
async def test_list_is_exactly_what_pull_permits(
    populated: World, drawn: list[dict[str, Any]], reader: dict[str, Any], step: int, limit: int
) -> None:
    populated.clock.now = NOW
    for each in drawn:
        await post_drawn(populated, each)
    name = f"reader {len(populated.clients)}"
    await populated.enrol(name, reader["member"], "reader", **{k: v for k, v in reader.items() if k != "member"})
    populated.clock.advance(timedelta(microseconds=step))
    headers = {}
    for (report,) in populated.sql("SELECT id FROM report ORDER BY seq"):
        try:
            pulled = await usecases.pull_report(populated.services, populated.call(name), report)
        except NotFoundError:
            continue
        headers[report] = json.loads(pulled.value.header_json)

    assert await listed(populated, name, ListQuery(limit=limit)) == list(headers)
    async with populated.another_node() as second:
        page = (await usecases.list_reports(second, populated.call(name), ListQuery(limit=500))).value
    assert [json.loads(item) for item in page.items] == list(headers.values())
    for query in (
        ListQuery(topic="cyber.apt"),
        ListQuery(kind="intrep"),
        ListQuery(precedence="FLASH"),
        ListQuery(topic="cyber", kind="intrep", precedence="ROUTINE"),
    ):
        expected = [
            report
            for report, header in headers.items()
            if (query.topic is None or covers((query.topic,), header["topic"]))
            and query.kind in {None, header["kind"]}
            and query.precedence in {None, header["precedence"]}
        ]
        assert await listed(populated, name, query) == expected
    # What is not this reader's was not even looked for: what is found and has no Permit is put on record as damaged.
    assert "key.opened" not in {entry["type"] for entry in await populated.entries()}


async def test_entry_of_a_list_names_every_report_shown(populated: World) -> None:
    shown = [await populated.post(), await populated.post()]
    await populated.post(label=Label("NATO", "SECRET"))
    made = await populated.attempt(usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery()))

    assert made.entry["id"] == made.value.receipt.entry
    assert (made.entry["type"], made.entry["decision"], made.entry["purpose"]) == (
        "report.listed",
        "permitted",
        "defence",
    )
    assert (made.entry["result_ids"], made.entry["result_count"]) == (shown, 2)


async def test_empty_list_has_a_cursor_and_an_entry(populated: World) -> None:
    await populated.post()
    made = await populated.attempt(usecases.list_reports(populated.services, populated.call("ESP reader"), ListQuery()))

    assert made.value.value.items == []
    assert made.value.value.next
    assert made.entry["result_count"] == 0


async def test_list_is_the_same_with_and_without_invisible_reports(populated: World) -> None:
    await populated.post()
    query = ListQuery(limit=1)
    before = (await usecases.list_reports(populated.services, populated.call("NOR reader"), query)).value
    for _ in range(3):
        await populated.post(label=Label("NATO", "SECRET"))
    after = (await usecases.list_reports(populated.services, populated.call("NOR reader"), query)).value

    assert before.items == after.items
    assert len(before.next) == len(after.next)


async def test_who_names_classes_is_shown_none_that_it_may_not_read(populated: World) -> None:
    await populated.post(label=Label("NATO", "SECRET", releasable_to=("GBR",)))
    shown = await populated.post()
    named = frozenset(class_id for (class_id,) in populated.sql("SELECT id FROM release_class"))

    listing = usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery(only=named))
    made = await populated.attempt(listing)

    listed = made.value.value
    assert ([row.id for row in listed.rows], listed.unopened, len(named)) == ([shown], (), 2)
    # Nor is anything on record as damaged, which it would be if its row came along.
    assert made.entry["type"] == "report.listed"


async def test_filters_by_agreement_and_moment(populated: World) -> None:
    first_agreement = populated.agreement_id
    first = await populated.post()
    second_agreement = await populated.agree()
    populated.clock.advance(timedelta(hours=1))
    second = await populated.post()

    assert await listed(populated, "NOR reader", ListQuery(agreement=first_agreement)) == [first]
    assert await listed(populated, "NOR reader", ListQuery(agreement=second_agreement)) == [second]
    assert await listed(populated, "NOR reader", ListQuery(agreement="01980000-0000-7000-8000-00000000000a")) == []
    assert await listed(populated, "NOR reader", ListQuery(since=NOW + timedelta(minutes=1))) == [second]
    assert await listed(populated, "NOR reader", ListQuery(since=NOW)) == [first, second]


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        (ListQuery(topic="astrology"), ["unknown-topic"]),
        (ListQuery(kind="rumour"), ["unknown-kind"]),
        (ListQuery(agreement="North Sea"), ["not-an-id"]),
        (ListQuery(precedence="flash"), ["unknown-precedence"]),
        (
            ListQuery(topic="' OR 1=1", kind="\x00", precedence=""),
            ["unknown-topic", "unknown-kind", "unknown-precedence"],
        ),
    ],
)
@IN_ONE_WORLD
async def test_filter_that_names_nothing_is_refused_with_every_fault(
    unchanged: World, query: ListQuery, codes: list[str]
) -> None:
    made = await unchanged.attempt(usecases.list_reports(unchanged.services, unchanged.call("NOR reader"), query))

    assert isinstance(made.error, InvalidError)
    assert [fault.code for fault in made.error.faults] == codes
    assert (made.entry["type"], made.entry["decision"], made.entry["detail"]) == (
        "report.listed",
        "refused",
        {"codes": codes},
    )


async def test_unknown_purpose_is_refused_and_recorded(populated: World) -> None:
    call = populated.call("NOR reader", purpose="curiosity")
    made = await populated.attempt(usecases.list_reports(populated.services, call, ListQuery()))

    assert isinstance(made.error, InvalidError)
    assert made.entry["detail"] == {"codes": ["unknown-purpose"]}


async def test_foreign_and_forged_cursors_are_malformed(populated: World) -> None:
    await populated.post()
    own = (await usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery())).value.next
    await populated.enrol("NOR colleague", "NOR", "reader")
    tampered = own[:-2] + ("AA" if own[-2:] != "AA" else "BB")
    for name, cursor in (
        ("NOR colleague", own),
        ("GBR reader", own),
        ("NOR reader", tampered),
        ("NOR reader", ""),
        ("NOR reader", "\x00"),
    ):
        made = await populated.attempt(
            usecases.list_reports(populated.services, populated.call(name), ListQuery(cursor=cursor))
        )

        assert isinstance(made.error, MalformedError)
        assert (made.entry["type"], made.entry["decision"]) == ("report.listed", "refused")


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(9), b"\xff" * 8])
@IN_ONE_WORLD
async def test_sealed_cursor_that_holds_no_position_is_malformed(unchanged: World, payload: bytes) -> None:
    services, client = unchanged.services, unchanged.clients["NOR reader"]
    cursor = seal_token(services.cursor_key, f"list cursor of {client.id}", payload, bytes(12))
    made = await unchanged.attempt(
        usecases.list_reports(services, unchanged.call("NOR reader"), ListQuery(cursor=cursor))
    )

    assert isinstance(made.error, MalformedError)


async def test_cursor_of_one_node_holds_on_another(populated: World) -> None:
    await populated.post()
    cursor = (await usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery())).value.next
    later = await populated.post()
    async with populated.another_node() as second:
        assert await listed(populated, "NOR reader", ListQuery(cursor=cursor), by=second) == [later]


async def test_cursor_passes_over_what_a_change_of_rights_opened_and_not_over_what_was_opened_itself(
    populated: World,
) -> None:
    await populated.enrol("NOR junior", "NOR", "reader", level="RESTRICTED")
    await populated.enrol("GBR releaser", "GBR", "releaser")
    raised, lowered = [
        await populated.post(label=Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"))) for _ in range(2)
    ]

    async def listed(cursor: str | None = None) -> tuple[list[str], str]:
        call = populated.call("NOR junior")
        page = (await usecases.list_reports(populated.services, call, ListQuery(cursor))).value
        return [json.loads(item)["id"] for item in page.items], page.next

    nothing, cursor = await listed()
    down = Downgrade(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    await usecases.downgrade_report(populated.services, populated.call("GBR releaser"), lowered, down)
    junior = populated.clients["NOR junior"].id
    await usecases.change_clearance(populated.services, populated.call(None), junior, ClearanceChange("SECRET"))

    assert nothing == []
    assert (await listed(cursor))[0] == [lowered]
    assert (await listed())[0] == [raised, lowered]


async def test_cursor_never_skips_what_is_committed_meanwhile(populated: World) -> None:
    found: list[str] = []

    async def follow(node: Services, posts: asyncio.Task[Any]) -> None:
        query = ListQuery(limit=3)
        while True:
            is_last = posts.done()
            page = (await usecases.list_reports(node, populated.call("NOR reader"), query)).value
            found.extend(json.loads(item)["id"] for item in page.items)
            query = replace(query, cursor=page.next)
            if is_last and not page.items:
                return

    async with populated.another_node() as second:
        nodes = [populated.services, second]

        async def post(number: int) -> str:
            label = SECRET if number % 3 else replace(SECRET, classification="RESTRICTED")
            posted = populated.posted(label=label, subject=str(number))
            made = await usecases.post_report(nodes[number % 2], populated.call("GBR contributor"), posted)
            return made.value.report_id

        posts = asyncio.ensure_future(asyncio.gather(*(post(number) for number in range(24))))
        await asyncio.gather(posts, follow(second, posts))  # type: ignore[arg-type]  # a future is all that is asked of it

    assert sorted(found) == sorted(posts.result())


async def test_new_class_is_seen_at_once_on_every_node(populated: World) -> None:
    async with populated.another_node() as second:
        assert await listed(populated, "NOR reader", by=second) == []
        first = await populated.post()
        assert await listed(populated, "NOR reader", by=second) == [first]
        new_class = await populated.post(label=replace(SECRET, handling=("ORCON",)), kind="threat-warning")
        assert await listed(populated, "NOR reader", by=second) == [first, new_class]


Change = Callable[[World], Awaitable[object]]


async def revoke(world: World) -> None:
    client = world.clients["NOR reader"]
    await usecases.change_standing(world.services, world.call(None), client.id, Standing.REVOKED)


async def suspend_its_member(world: World) -> None:
    await usecases.suspend_member(world.services, world.call(None), "NOR")


@pytest.mark.parametrize("change", [revoke, suspend_its_member])
async def test_revocation_holds_on_every_node_from_the_next_call_on(populated: World, change: Change) -> None:
    report = await populated.post()
    async with populated.another_node() as second:
        assert await listed(populated, "NOR reader", by=second) == [report]
        await usecases.pull_report(second, populated.call("NOR reader"), report)
        await change(populated)
        for act in (
            usecases.list_reports(second, populated.call("NOR reader"), ListQuery()),
            usecases.list_reports(second, populated.call("NOR reader"), ListQuery(cursor="forged")),
            usecases.list_reports(second, populated.call("NOR reader"), ListQuery(topic="none")),
            usecases.list_reports(second, populated.call("NOR reader", purpose="none"), ListQuery()),
            usecases.pull_report(second, populated.call("NOR reader"), report),
            usecases.read_part(second, populated.call("NOR reader"), report, 1),
            usecases.explain_report(second, populated.call("NOR reader"), report),
        ):
            made = await populated.attempt(act)
            assert isinstance(made.error, ForbiddenError)
            assert made.entry["reasons"] == ["client-suspended"]


async def lower_clearance(world: World) -> None:
    change = ClearanceChange("CONFIDENTIAL")
    await usecases.change_clearance(world.services, world.call(None), world.clients["NOR reader"].id, change)


async def suspend_agreement(world: World) -> None:
    await usecases.suspend_agreement(world.services, world.call("NOR signatory"), world.agreement_id)


async def suspend_for_the_originator(world: World) -> None:
    await usecases.suspend_agreement(world.services, world.call("GBR signatory"), world.agreement_id)


@pytest.mark.parametrize("change", [lower_clearance, suspend_agreement, suspend_for_the_originator])
async def test_narrowing_holds_on_every_node_from_the_next_call_on(populated: World, change: Change) -> None:
    report = await populated.post()
    async with populated.another_node() as second:
        assert await listed(populated, "NOR reader", by=second) == [report]
        await usecases.pull_report(second, populated.call("NOR reader"), report)
        await change(populated)

        assert await listed(populated, "NOR reader", by=second) == []
        with pytest.raises(NotFoundError):
            await usecases.pull_report(second, populated.call("NOR reader"), report)


async def test_time_alone_ends_what_was_remembered(populated: World) -> None:
    await populated.agree(AGREEMENT.replace("2030-12-31", "2026-06-30"))
    await populated.post()
    await populated.enrol("short", "NOR", "reader", until=NOW + timedelta(days=1))
    seen = []
    for _ in range(2):
        seen.append((len(await listed(populated, "NOR reader")), len(await listed(populated, "short"))))
        populated.clock.advance(timedelta(days=1))
    populated.clock.now = NOW + timedelta(days=30)
    seen.append((len(await listed(populated, "NOR reader")), len(await listed(populated, "short"))))

    assert seen == [(1, 1), (1, 0), (0, 0)]


async def test_clock_that_was_ahead_leaves_nothing_remembered_of_that_time(populated: World) -> None:
    """Set right, the node decides as of now: what has not begun opens nothing, and what is not over yet ends nothing."""
    await populated.agree(AGREEMENT.replace("2030-12-31", "2026-06-30"))
    kept = await populated.post()
    await populated.agree(AGREEMENT.replace("from: 2026-01-01", "from: 2026-07-02"))
    populated.clock.now = NOW + timedelta(days=40)
    coming = await populated.post()

    async def given() -> list[bool]:
        shown = await listed(populated, "NOR reader")
        pulls = [
            await populated.attempt(usecases.pull_report(populated.services, populated.call("NOR reader"), report))
            for report in (kept, coming)
        ]
        return [*(report in shown for report in (kept, coming)), *(pull.error is None for pull in pulls)]

    ahead = await given()
    populated.clock.now = NOW

    assert (ahead, await given()) == ([False, True] * 2, [True, False] * 2)


@pytest.mark.parametrize("change", [lower_clearance, suspend_for_the_originator])
async def test_change_while_the_page_is_read_is_obeyed(
    populated: World, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    await populated.post()
    await listed(populated, "NOR reader")
    store, real, calls = populated.services.store, populated.services.store.page, []

    async def page(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            await change(populated)
        return await real(*arguments, **named)

    monkeypatch.setattr(store, "page", page)
    assert await listed(populated, "NOR reader") == []
    assert len(calls) == 2


async def test_revocation_while_the_page_is_read_is_obeyed(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await populated.post()
    store, real = populated.services.store, populated.services.store.page

    async def page(*arguments: Any, **named: Any) -> Any:
        await revoke(populated)
        return await real(*arguments, **named)

    monkeypatch.setattr(store, "page", page)
    with pytest.raises(ForbiddenError):
        await listed(populated, "NOR reader")


async def test_list_gives_up_when_the_policy_never_rests(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real = populated.services.store, populated.services.store.page
    versions: list[int] = []

    async def page(*arguments: Any, **named: Any) -> Any:
        found = await real(*arguments, **named)
        versions.append(found.state.policy_version + len(versions) + 1)
        return replace(found, state=replace(found.state, policy_version=versions[-1]))

    monkeypatch.setattr(store, "page", page)
    with pytest.raises(UnavailableError, match="faster"):
        await listed(populated, "NOR reader")
    assert len(versions) == 5


async def test_list_under_another_law_is_unavailable(populated: World) -> None:
    await populated.post()
    await listed(populated, "NOR reader")
    populated.sql("UPDATE policy_state SET policy_digest = 'other', policy_version = policy_version + 1")
    with pytest.raises(UnavailableError, match="other policy files"):
        await listed(populated, "NOR reader")


async def test_what_is_remembered_holds_for_its_purpose_and_assurance_alone(populated: World) -> None:
    await populated.post()
    await populated.enrol("police", "NOR", "reader", purposes=("defence", "judicial"))
    call = populated.call("police")
    calls = (call, populated.call("police", purpose="judicial"), replace(call, assurance=Assurance.TOKEN))
    pages = [
        (await usecases.list_reports(populated.services, each, EVERYTHING)).value for each in (*calls, *calls[::-1])
    ]

    assert [len(page.items) for page in pages] == [1, 0, 0, 0, 0, 1]


async def test_only_so_many_readers_are_remembered(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "_READERS_KEPT", 1)
    report = await populated.post()
    for name in ("NOR reader", "GBR reader", "NOR reader"):
        assert await listed(populated, name) == [report]
        assert len(populated.services.knowledge.last_seen) == len(populated.services.knowledge.readable) == 1


async def test_answer_that_comes_late_does_not_bring_an_old_agreement_back(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, kept = populated.services.store, populated.services.knowledge
    old_state, real, old = (await store.caller("")).state, store.agreements, await store.agreements()

    async def late(_unread: Unread) -> Any:
        monkeypatch.setattr(store, "agreements", real)
        await suspend_for_the_originator(populated)
        await kept.agreements(store, (await store.caller("")).state)
        return old

    monkeypatch.setattr(store, "agreements", late)
    await kept.agreements(store, old_state)

    scope = kept.scope(populated.agreement_id, "cyber-threats", NOW, 1)
    assert scope is not None
    assert scope.active_parties == {"NOR", "DNK"}


async def test_answer_that_comes_late_does_not_forget_a_new_member(
    populated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, kept = populated.services.store, populated.services.knowledge
    old_state, real, old = (await store.caller("")).state, store.members, await store.members()

    async def late(_: Unread) -> Any:
        monkeypatch.setattr(store, "members", real)
        await usecases.add_member(populated.services, populated.call(None), "FIN", "Finland")
        await kept.member_codes(store, (await store.caller("")).state)
        return old

    monkeypatch.setattr(store, "members", late)

    assert "FIN" in await kept.member_codes(store, old_state)


async def test_scope_of_an_agreement_that_is_not_there_is_none(populated: World) -> None:
    kept = populated.services.knowledge
    await kept.agreements(populated.services.store, (await populated.services.store.caller("")).state)

    assert kept.scope("none", "cyber-threats", NOW, 1) is None
    assert kept.scope(populated.agreement_id, "none", NOW, 1) is None
    assert kept.scope("none", "cyber-threats", NOW + timedelta(days=9999), 1) is None
