"""Personal data in the log: nobody reads it but who may, it outlives no erasure, and the log verifies after one."""

import asyncio
import dataclasses
import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from exchange import usecases
from exchange.audit import STRANGER, PersonalData, Unrevealed, columns_of, hash_leaf, root_of
from exchange.custody import CustodyUnavailableError
from exchange.kernel import ConflictError, InvalidError, NotFoundError, UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.reports import Downgrade
from exchange.usecases import Enrolment, ListQuery, Services, WantedErasure, personal_as_json, search_tokens
from tests.support.onward import with_releasers
from tests.support.world import Entry, World, certificate_of, thumbprint_of

PERIOD = "2026-06"
CANARY = "Canary Person 4711"
ADDRESS = "198.51.100.77"
CANARY_SUBJECT, CANARY_AGENT = "CN=canary-desk,O=NOR/NSM", "canary-browser/7.1"


async def act(world: World, name: str, services: Services | None = None, **changes: Any) -> Entry:
    """Let a client do something harmless, and return its entry."""
    call = dataclasses.replace(world.call(name), **changes)
    recorded = await usecases.describe_caller(services or world.services, call)
    return next(entry for entry in await world.entries() if entry["id"] == recorded.receipt.entry)


async def revealed(world: World, *entries: Entry, auditor: str = "auditor") -> list[object]:
    """Return what an auditor reads in the entries."""
    client = (await world.services.store.caller(thumbprint_of(auditor))).client
    assert client is not None
    return list(await usecases.reveal_personal(world.services, entries, client))


async def erased(world: World, subject: str, *, period: str = PERIOD) -> usecases.Erasure:
    """Erase by two persons."""
    wanted = WantedErasure(subject, period, "asked for by the data subject")
    asked = await usecases.request_erasure(world.services, world.call("operator"), wanted)
    return (await usecases.approve_erasure(world.services, world.call("auditor"), asked.value.act.id)).value


def refused(made: Any, code: str) -> bool:
    return made.error is not None and made.error.code == code and made.entry["decision"] == "refused"


async def asked_for(world: World, subject: str, period: str = PERIOD, *, by: str = "operator") -> str:
    wanted = WantedErasure(subject, period, "because")
    return (await usecases.request_erasure(world.services, world.call(by), wanted)).value.act.id


# ── who reads it ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_exchange_s_auditor_reads_who_and_from_where(populated: World) -> None:
    entry = await act(populated, "NOR reader", source=ADDRESS)

    assert await revealed(populated, entry) == [PersonalData("NOR reader", ADDRESS, thumbprint_of("NOR reader"))]


async def test_stranger_is_read_too(populated: World) -> None:
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))

    assert await revealed(populated, made.entry) == [PersonalData(None, "192.0.2.7", thumbprint_of("stranger"))]


async def test_member_s_auditor_reads_its_own_clients_only(populated: World) -> None:
    await populated.enrol("NOR auditor", "NOR", "auditor")
    own, foreign = await act(populated, "NOR reader"), await act(populated, "GBR reader")
    stranger = await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))
    host = next(entry for entry in await populated.entries() if entry["actor"]["kind"] == "host")
    told = await revealed(populated, own, foreign, stranger.entry, host, auditor="NOR auditor")

    assert told == [PersonalData("NOR reader", "192.0.2.7", thumbprint_of("NOR reader")), None, None, None]


@pytest.mark.parametrize("name", ["operator", "NOR reader"])
async def test_who_is_no_auditor_reads_none(populated: World, name: str) -> None:
    entry = await act(populated, "NOR reader")

    assert await revealed(populated, entry, auditor=name) == [None]


async def test_suspended_auditor_reads_none(populated: World) -> None:
    entry, auditor = await act(populated, "NOR reader"), populated.clients["auditor"]
    await usecases.change_standing(populated.services, populated.call(None), auditor.id, Standing.SUSPENDED)

    assert await revealed(populated, entry) == [None]


@pytest.mark.parametrize("name", ["NOR reader", "stranger"])
async def test_certificate_and_program_of_whoever_acted_are_kept(populated: World, name: str) -> None:
    seen = {"certificate_subject": CANARY_SUBJECT, "user_agent": CANARY_AGENT}
    call = dataclasses.replace(populated.call(name), **seen)
    attempt = await populated.attempt(usecases.list_reports(populated.services, call, usecases.ListQuery()))
    (personal,) = await revealed(populated, attempt.entry)

    assert isinstance(personal, PersonalData)
    assert (personal.certificate_subject, personal.user_agent) == (CANARY_SUBJECT, CANARY_AGENT)


async def test_address_and_thumbprint_are_found_without_being_read(populated: World) -> None:
    entry = await act(populated, "NOR reader", source=ADDRESS)
    tokens = search_tokens(populated.services)

    assert entry["source"] == tokens.of_address(ADDRESS)
    assert entry["actor"]["thumbprint"] == tokens.of_thumbprint(thumbprint_of("NOR reader"))


@pytest.mark.parametrize(
    ("read", "shown"),
    [
        (None, None),
        (Unrevealed.ERASED, "erased"),
        (Unrevealed.DAMAGED, "damaged"),
        (PersonalData("n", None, "t"), {"name": "n", "thumbprint": "t"}),
        (PersonalData(source="s"), {"source": "s"}),
    ],
)
def test_personal_data_as_json(read: usecases.Revealed, shown: object) -> None:
    assert personal_as_json(read) == shown


# ── nothing in the clear ────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_row_and_no_log_line_holds_a_canary(populated: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen = {"source": ADDRESS, "certificate_subject": CANARY_SUBJECT, "user_agent": CANARY_AGENT}
    call = dataclasses.replace(populated.call(None), source=ADDRESS)
    enrolment = Enrolment(CANARY, "NOR", "NSM", ("reader",), "SECRET", certificate_of(CANARY))
    client = (await usecases.enrol_client(populated.services, call, enrolment)).value.client
    report = await populated.post()
    for name in (CANARY, "canary stranger"):
        for refused_or_not in (
            usecases.describe_caller(populated.services, dataclasses.replace(populated.call(name), **seen)),
            usecases.pull_report(populated.services, dataclasses.replace(populated.call(name), **seen), report),
            usecases.add_member(populated.services, dataclasses.replace(populated.call(name), **seen), "X", "Y"),
        ):
            await populated.attempt(refused_or_not)
    await erased(populated, client.id)
    everything = await dump(populated)

    # Who is enrolled stands where it is enrolled, and nowhere else; a stranger and an address stand nowhere.
    secret = (CANARY, thumbprint_of(CANARY), ADDRESS, thumbprint_of("canary stranger"), CANARY_SUBJECT, CANARY_AGENT)
    for canary in secret:
        holding = {name for name, rows in everything.items() if canary in rows or canary.encode().hex() in rows}
        assert holding <= {"client", "client_certificate"}, (canary, holding)
        assert canary not in caplog.text
    assert "audit_entry" in everything
    assert CANARY in everything["client"]


async def dump(world: World) -> dict[str, str]:
    """Return every table as text, bytes as text and as hex."""
    if world.url.startswith("postgresql"):
        names = world.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    else:
        names = world.sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    told = {}
    for (name,) in names:
        rows = world.sql(f'SELECT * FROM "{name}"')  # a name of ours
        cells = [cell for row in rows for cell in row]
        octets = [cell for cell in cells if isinstance(cell, bytes | memoryview)]
        texts = [bytes(cell).decode(errors="replace") + bytes(cell).hex() for cell in octets]
        told[name] = repr([cell for cell in cells if not isinstance(cell, bytes | memoryview)]) + repr(texts)
    return told


# ── erasure ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_erased_data_is_gone_and_every_byte_is_as_it_was(populated: World) -> None:
    before = [await act(populated, "NOR reader"), await act(populated, "GBR reader")]
    contents = {columns_of(content).id: content for content in await populated.services.store.entries(10_000)}
    root = root_of([hash_leaf(content) for content in contents.values()])
    done = await erased(populated, populated.clients["NOR reader"].id)
    after = {columns_of(content).id: content for content in await populated.services.store.entries(10_000)}

    assert done.keys == 1
    assert await revealed(populated, *before) == [
        Unrevealed.ERASED,
        PersonalData("GBR reader", "192.0.2.7", thumbprint_of("GBR reader")),
    ]
    # The tree over the same entries has the same root: who verified it before verifies it now.
    assert {entry_id: after[entry_id] for entry_id in contents} == contents
    assert root_of([hash_leaf(after[entry_id]) for entry_id in contents]) == root


async def test_both_acts_are_entries_that_say_who_asked_and_who_approved(populated: World) -> None:
    await act(populated, "NOR reader")
    reader = populated.clients["NOR reader"]
    await erased(populated, reader.id)
    asked, done = [entry for entry in await populated.entries() if entry["type"].startswith("personal.")]

    assert (asked["type"], done["type"]) == ("personal.erasure_requested", "personal.erased")
    assert asked["actor"]["id"] == populated.clients["operator"].id
    assert done["actor"]["id"] == populated.clients["auditor"].id
    for entry in (asked, done):
        assert (entry["object"], entry["owner"]) == ({"type": "client", "id": reader.id}, "NOR")
        assert (entry["detail"]["period"], entry["detail"]["reason"]) == (PERIOD, "asked for by the data subject")
    assert asked["detail"]["digest"] == done["detail"]["digest"]
    assert done["detail"]["keys"] == 1


async def test_entries_after_an_erasure_have_a_new_key(populated: World) -> None:
    old = await act(populated, "NOR reader")
    await erased(populated, populated.clients["NOR reader"].id)
    new = await act(populated, "NOR reader")

    assert new["pii"]["kid"] != old["pii"]["kid"]
    assert [type(each) for each in await revealed(populated, old, new)] == [Unrevealed, PersonalData]


async def test_another_node_forgets_a_destroyed_key_at_its_next_request(populated: World) -> None:
    async with populated.another_node() as node:
        old = await act(populated, "NOR reader", node)
        kept = await act(populated, "GBR reader", node)
        assert (await act(populated, "NOR reader", node))["pii"]["kid"] == old["pii"]["kid"]
        await erased(populated, populated.clients["NOR reader"].id)
        new = await act(populated, "NOR reader", node)

        assert new["pii"]["kid"] != old["pii"]["kid"]
        assert (await act(populated, "GBR reader", node))["pii"]["kid"] == kept["pii"]["kid"]
        assert await revealed(populated, old) == [Unrevealed.ERASED]


async def test_another_period_stays(populated: World) -> None:
    june = await act(populated, "NOR reader")
    populated.clock.advance(timedelta(days=31))
    july = await act(populated, "NOR reader")
    await erased(populated, populated.clients["NOR reader"].id)

    assert june["pii"]["kid"] != july["pii"]["kid"]
    assert [type(each) for each in await revealed(populated, june, july)] == [Unrevealed, PersonalData]


async def test_one_who_erases_itself_is_still_read_in_the_entry_of_it(populated: World) -> None:
    await act(populated, "auditor")
    await erased(populated, populated.clients["auditor"].id)
    (done,) = [entry for entry in await populated.entries() if entry["type"] == "personal.erased"]

    assert await revealed(populated, done) == [PersonalData("auditor", "192.0.2.7", thumbprint_of("auditor"))]


async def test_strangers_are_erased_together(populated: World) -> None:
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))
    await erased(populated, STRANGER)

    assert await revealed(populated, made.entry) == [Unrevealed.ERASED]


async def test_wrapped_key_is_gone_from_the_row_and_from_sqlite_s_files(
    populated: World, caplog: pytest.LogCaptureFixture
) -> None:
    kid = (await act(populated, "NOR reader"))["pii"]["kid"]
    ((wrapped,),) = populated.sql("SELECT wrapped_key FROM personal_key WHERE kid = $1", kid)
    await erased(populated, populated.clients["NOR reader"].id)
    ((left, destroyed_at),) = populated.sql("SELECT wrapped_key, destroyed_at FROM personal_key WHERE kid = $1", kid)

    assert (bytes(left), destroyed_at is not None) == (b"", True)
    assert "not written over" not in caplog.text
    if populated.url.startswith("sqlite"):
        files = [path for path in populated.folder.glob("exchange.db*") if path.name != "exchange.db-shm"]
        assert not [path for path in files if bytes(wrapped) in path.read_bytes()]


# ── two persons ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["operator", "auditor"])
async def test_one_person_alone_erases_nothing(populated: World, name: str) -> None:
    entry = await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id, by=name)
    made = await populated.attempt(usecases.approve_erasure(populated.services, populated.call(name), asked))

    assert refused(made, "second-person-needed")
    assert made.entry["detail"] == {"codes": ["second-person-needed"]}
    assert isinstance((await revealed(populated, entry))[0], PersonalData)


async def test_host_neither_asks_nor_approves(populated: World) -> None:
    await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    wanted = WantedErasure(populated.clients["NOR reader"].id, PERIOD, "because")
    for attempt in (
        usecases.request_erasure(populated.services, populated.call(None), wanted),
        usecases.approve_erasure(populated.services, populated.call(None), asked),
    ):
        made = await populated.attempt(attempt)
        assert made.error is not None
        assert made.error.code == "not-authenticated"


async def test_second_approval_is_a_conflict_and_destroys_nothing_more(populated: World) -> None:
    await act(populated, "NOR reader")
    await populated.enrol("second auditor", "EXCHANGE", "auditor")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    await usecases.approve_erasure(populated.services, populated.call("auditor"), asked)
    entry = await act(populated, "NOR reader")
    made = await populated.attempt(
        usecases.approve_erasure(populated.services, populated.call("second auditor"), asked)
    )

    assert refused(made, "approved-already")
    assert isinstance((await revealed(populated, entry))[0], PersonalData)


async def test_of_two_approvals_at_once_one_succeeds(populated: World) -> None:
    await act(populated, "NOR reader")
    await populated.enrol("second auditor", "EXCHANGE", "auditor")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    async with populated.another_node() as node:
        outcomes = await asyncio.gather(
            usecases.approve_erasure(populated.services, populated.call("auditor"), asked),
            usecases.approve_erasure(node, populated.call("second auditor"), asked),
            return_exceptions=True,
        )
    failures = [each for each in outcomes if isinstance(each, BaseException)]

    assert [getattr(each, "code", each) for each in failures] == ["approved-already"]
    done = [e for e in await populated.entries() if e["type"] == "personal.erased" and e["decision"] == "permitted"]
    assert len(done) == 1


async def test_approval_comes_too_late_after_seven_days(populated: World) -> None:
    await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    populated.clock.advance(timedelta(days=7))
    made = await populated.attempt(usecases.approve_erasure(populated.services, populated.call("auditor"), asked))

    assert refused(made, "request-expired")


async def test_what_was_altered_behind_the_exchange_s_back_is_not_approved(populated: World) -> None:
    await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    other = json.dumps({"subject": populated.clients["GBR reader"].id, "period": PERIOD, "reason": "because"})
    name = (
        "ALTER TABLE pending_act DISABLE TRIGGER ALL"
        if "postgresql" in populated.url
        else "DROP TRIGGER pending_act_no_update"
    )
    populated.sql(name)
    populated.sql("UPDATE pending_act SET payload = $1", other)
    made = await populated.attempt(usecases.approve_erasure(populated.services, populated.call("auditor"), asked))

    assert refused(made, "request-altered")


async def test_database_refuses_to_alter_a_request_or_to_bring_a_key_back(populated: World) -> None:
    await act(populated, "NOR reader")
    await erased(populated, populated.clients["NOR reader"].id)
    for change in (
        "UPDATE pending_act SET payload = '{}'",
        "UPDATE pending_act SET approver = 'somebody else'",
        "DELETE FROM pending_act",
        "UPDATE personal_key SET destroyed_at = NULL",
        "UPDATE personal_key SET subject = 'x'",
        "UPDATE personal_key SET wrapped_key = 'x', key_version = key_version + 1",
        "UPDATE personal_key SET wrapped_key = 'x', key_version = key_version + 1, destroyed_at = NULL",
        "DELETE FROM personal_key",
    ):
        with pytest.raises(Exception, match=r"once|stays"):
            populated.sql(change)


# ── whom one may erase ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_member_s_own_people_erase_their_own_clients(populated: World) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    await populated.enrol("NOR auditor", "NOR", "auditor")
    entry = await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id, by="NOR operator")
    await usecases.approve_erasure(populated.services, populated.call("NOR auditor"), asked)

    assert await revealed(populated, entry) == [Unrevealed.ERASED]


@pytest.mark.parametrize("whose", ["GBR reader", "operator", STRANGER, "nobody", "no id"])
async def test_member_s_own_people_find_nobody_else(populated: World, whose: str) -> None:
    await populated.enrol("NOR operator", "NOR", "operator")
    found = populated.clients.get(whose)
    if found is not None:
        await act(populated, whose)
    subject = {"nobody": "01980000-0000-7000-8000-00000000000f"}.get(whose, whose if found is None else found.id)
    wanted = WantedErasure(subject, PERIOD, "because")
    made = await populated.attempt(usecases.request_erasure(populated.services, populated.call("NOR operator"), wanted))

    assert isinstance(made.error, NotFoundError)
    assert str(made.error) == "no such client or erasure, or none that you may see"
    assert populated.sql("SELECT count(*) FROM pending_act") == [(0,)]


async def test_foreign_request_is_answered_like_an_absent_one(populated: World) -> None:
    await populated.enrol("NOR auditor", "NOR", "auditor")
    await act(populated, "GBR reader")
    asked = await asked_for(populated, populated.clients["GBR reader"].id)
    for act_id in (asked, "01980000-0000-7000-8000-00000000000f", "no id"):
        for attempt in (usecases.approve_erasure, usecases.show_erasure):
            made = await populated.attempt(attempt(populated.services, populated.call("NOR auditor"), act_id))
            assert isinstance(made.error, NotFoundError)
            assert refused(made, "not-found")


async def test_act_of_another_kind_is_no_erasure(populated: World) -> None:
    await with_releasers(populated)
    lower = Downgrade(Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    report, releaser = await populated.post(), populated.call("GBR releaser")
    asked = (await usecases.downgrade_report(populated.services, releaser, report, lower)).value.act
    absent = "01980000-0000-7000-8000-00000000000f"
    for attempt in (usecases.approve_erasure, usecases.show_erasure):
        tries = [
            await populated.attempt(attempt(populated.services, populated.call("auditor"), each))
            for each in (asked, absent)
        ]
        assert [(type(made.error), str(made.error)) for made in tries] == [(NotFoundError, str(tries[1].error))] * 2
        assert all(refused(made, "not-found") for made in tries)


async def test_who_may_approve_sees_what_it_would_approve(populated: World) -> None:
    await act(populated, "NOR reader")
    asked = await asked_for(populated, populated.clients["NOR reader"].id)
    shown = await usecases.show_erasure(populated.services, populated.call("auditor"), asked)

    said = {"subject": populated.clients["NOR reader"].id, "period": PERIOD, "reason": "because"}
    assert dict(shown.value.act.asked) == said
    assert (shown.value.act.requester, shown.value.act.approver) == (populated.clients["operator"].id, None)


async def test_what_is_no_period_is_named(populated: World, subtests: pytest.Subtests) -> None:
    for period in ("2026-13", "June", "2026-6", ""):
        wanted = WantedErasure(populated.clients["NOR reader"].id, period, "because")
        made = await populated.attempt(usecases.request_erasure(populated.services, populated.call("operator"), wanted))
        with subtests.test(period=period):
            assert isinstance(made.error, InvalidError)
            assert [fault.pointer for fault in made.error.faults] == ["/period"]


async def test_where_nothing_is_kept_there_is_nothing_to_ask_for(populated: World) -> None:
    wanted = WantedErasure(populated.clients["NOR reader"].id, "2020-01", "because")
    made = await populated.attempt(usecases.request_erasure(populated.services, populated.call("operator"), wanted))

    assert isinstance(made.error, ConflictError)
    assert refused(made, "nothing-to-erase")


# ── custody and store ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def custody_gone(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        raise CustodyUnavailableError("gone")

    for name in ("wrap", "unwrap"):
        monkeypatch.setattr(populated.services.custodian, name, gone)


async def test_without_custody_nobody_new_is_served(populated: World, custody_gone: None) -> None:
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("NOR reader")))

    assert isinstance(made.error, UnavailableError)
    assert made.entries == []


async def test_without_custody_a_refusal_is_recorded_without_what_is_personal(
    populated: World, custody_gone: None
) -> None:
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))

    assert made.error is not None
    assert made.error.code == "not-authenticated"
    assert made.entry["decision"] == "refused"
    assert "pii" not in made.entry
    assert made.entry["source"] == search_tokens(populated.services).of_address("192.0.2.7")


async def test_without_custody_a_change_is_not_made(populated: World, custody_gone: None) -> None:
    made = await populated.attempt(usecases.add_member(populated.services, populated.call("operator"), "FRA", "France"))

    assert isinstance(made.error, UnavailableError)
    assert populated.sql("SELECT count(*) FROM member WHERE code = 'FRA'") == [(0,)]


async def test_key_at_hand_needs_no_custody(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await act(populated, "NOR reader")
    monkeypatch.setattr(populated.services.custodian, "wrap", None)

    assert "pii" in await act(populated, "NOR reader")


async def test_without_custody_personal_data_is_not_read(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = await act(populated, "NOR reader")

    async def gone(*_: object) -> None:
        raise CustodyUnavailableError("gone")

    monkeypatch.setattr(populated.services.custodian, "unwrap", gone)
    with pytest.raises(UnavailableError):
        await revealed(populated, entry)


@pytest.mark.parametrize("damage", ["key", "bytes", "row", "ciphertext"])
async def test_what_does_not_open_is_called_damaged(populated: World, damage: str) -> None:
    entry, other = await act(populated, "NOR reader"), await act(populated, "NOR reader")
    if damage == "ciphertext":
        entry["pii"] = other["pii"]
    elif damage == "row":
        entry["pii"] = {**entry["pii"], "kid": "01980000-0000-7000-8000-00000000000f"}
    else:
        stop = (
            "ALTER TABLE personal_key DISABLE TRIGGER ALL"
            if "postgresql" in populated.url
            else "DROP TRIGGER personal_key_no_update"
        )
        populated.sql(stop)
        written = "x'ff'" if damage == "bytes" and "sqlite" in populated.url else "'2026-07'"
        populated.sql(f"UPDATE personal_key SET period = {written}")

    assert (await revealed(populated, entry))[0] is Unrevealed.DAMAGED


async def test_many_at_once_share_one_key(populated: World) -> None:
    async with populated.another_node() as node:
        await asyncio.gather(
            *(usecases.describe_caller(node, populated.call("NOR reader")) for _ in range(20)),
        )
    kids = {e["pii"]["kid"] for e in await populated.entries() if e["node"] == "second"}

    assert len(kids) == 1


async def test_key_is_durable_before_the_entry_that_uses_it(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(row: object) -> None:
        raise UnavailableError("disk full")

    monkeypatch.setattr(populated.services.store._personal, "_keep", full)
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("NOR reader")))
    stranger = await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))

    assert isinstance(made.error, UnavailableError)
    assert made.entries == []
    # A refusal is no exception where it is the store that fails.
    assert isinstance(stranger.error, UnavailableError)


async def test_key_of_a_unit_that_was_rolled_back_is_not_used(populated: World) -> None:
    async with populated.another_node() as node:
        made = await populated.attempt(usecases.add_member(node, populated.call("operator"), "GBR", "Again"))
        assert isinstance(made.error, ConflictError)
        entry = await act(populated, "operator", node)

        assert isinstance((await revealed(populated, entry))[0], PersonalData)


async def test_every_kid_in_the_log_has_its_row(populated: World) -> None:
    await populated.post()
    await populated.attempt(usecases.describe_caller(populated.services, populated.call("stranger")))
    async with populated.another_node() as node:
        await usecases.list_reports(node, populated.call("NOR reader"), ListQuery())
    kids = {entry["pii"]["kid"] for entry in await populated.entries() if "pii" in entry}

    assert kids == {row[0] for row in populated.sql("SELECT kid FROM personal_key")} & kids
    assert len(kids) > 3


async def test_bounded_cache_makes_a_key_anew(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.store.books.personal_keys._MOST_GUARDS", 1)
    async with populated.another_node() as node:
        entries = [await act(populated, name, node) for name in ("NOR reader", "GBR reader", "NOR reader")]

        assert len({entry["pii"]["kid"] for entry in entries}) == 3
        assert all(isinstance(each, PersonalData) for each in await revealed(populated, *entries))


async def test_upkeep_that_fails_does_not_undo_an_erasure(
    populated: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = await act(populated, "NOR reader")
    monkeypatch.setattr("exchange.store.database.scrubbing._STATEMENTS", {"sqlite": "no sql", "postgresql": "no sql"})
    await erased(populated, populated.clients["NOR reader"].id)

    assert await revealed(populated, entry) == [Unrevealed.ERASED]
    assert "not written over" in caplog.text
