"""Rows that the database's owner put back: found by a verification, told by the jobs, and ended again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from exchange import usecases
from exchange.audit.verify import Step
from exchange.custody import load_log_key
from exchange.kernel import ConflictError, ForbiddenError, NotFoundError
from exchange.markings import Label
from exchange.members import Standing
from exchange.store.books.report_book import ReportBook
from exchange.store.books.row_mending import RowMending
from exchange.store.log.archived import LogDamagedError
from exchange.store.reads.rows_kept import RowsKept
from exchange.usecases.members.clients import ClearanceChange, change_clearance, change_standing
from exchange.usecases.upkeep import hold_rows
from exchange.usecases.upkeep.hold_rows import RowWatch
from tests.support.deriving import ask as derive_asked
from tests.support.deriving import grant as derive_granted
from tests.support.lived import MakeLived
from tests.support.meanwhile import looked_at_before
from tests.support.onward import ask as onward_asked
from tests.support.onward import grant as onward_granted
from tests.support.onward import with_releasers
from tests.support.placing import place_entries
from tests.support.put_back import columns_of
from tests.support.verified_log import verified
from tests.support.world import World
from tests.usecases.test_proxies import given
from tests.usecases.test_report_life import amend, downgrade, pull, recall


@pytest.fixture
async def living(make_lived: MakeLived) -> World:
    return (await make_lived(with_releasers))[0]


class Report:
    """The rows of a report as they were, and how they are written back over what it has become."""

    def __init__(self, world: World, report: str) -> None:
        self._world, self._report = world, report
        self._row = world.sql("SELECT * FROM report WHERE id = $1", report)[0]
        self._names = columns_of(world, "report")
        self._parts = world.sql("SELECT * FROM report_part WHERE report_id = $1", report)

    def put_back(self) -> None:
        world = self._world
        world.sql("DELETE FROM report_part WHERE report_id = $1", self._report)
        for name, value in zip(self._names, self._row, strict=True):
            world.sql(f"UPDATE report SET {name} = $1 WHERE id = $2", value, self._report)
        for row in self._parts:
            marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            world.sql(f"INSERT INTO report_part VALUES ({marks})", *row)


async def found_in(world: World) -> list[tuple[str, str]]:
    """Place every entry, verify the log with the rows, and return what is wrong with these."""
    await place_entries(world, is_searchable=True)
    key = load_log_key(world.folder / "log.key")
    log: Any = SimpleNamespace(url=world.url, key=key, clock=world.clock)
    verification = await verified(log, node_keys=())
    assert {each.step for each in verification.findings} <= {Step.ROWS}
    return [(each.place, each.why) for each in verification.findings]


async def held(world: World) -> list[dict[str, Any]]:
    """Let the jobs hold the rows against the log; return the entries that this makes."""
    await place_entries(world, is_searchable=True)
    made = await world.attempt(RowWatch(world.services).round())
    assert made.error is None
    return [entry for entry in made.entries if entry["type"] == "row.contradicted"]


def begun_behind(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, act: Callable[[], Coroutine[Any, Any, Any]]
) -> list[asyncio.Task[Any]]:
    """Begin `act` behind the first call of the function `name` of `owner`, before whoever called goes on."""
    called, begun = getattr(owner, name), list[asyncio.Task[Any]]()

    async def and_then(*asked: Any) -> Any:
        found = await called(*asked)
        if not begun:
            begun.append(asyncio.create_task(act()))
            await asyncio.wait(begun, timeout=0.3)
        return found

    monkeypatch.setattr(owner, name, and_then)
    return begun


async def test_nothing_is_wrong_with_a_report_that_lived(living: World) -> None:
    for act in (recall, amend, downgrade):
        await act(living, await living.post())
    await change_standing(living.services, living.call(None), living.clients["DNK reader"].id, Standing.REVOKED)

    assert await found_in(living) == []
    assert await held(living) == []


@pytest.mark.parametrize("act", [recall, amend, downgrade])
async def test_rows_of_a_report_from_before_an_act_are_found_and_shown_to_nobody(
    living: World, act: Callable[..., Awaitable[Any]]
) -> None:
    report = await living.post()
    before = Report(living, report)
    await act(living, report)
    before.put_back()

    assert await pull(living, report)  # so it is read until somebody looks
    ((place, why),) = await found_in(living)
    assert place == f"report {report}"
    assert "`report." in why

    (entry,) = await held(living)
    assert (entry["object"]["id"], entry["owner"], entry["decision"]) == (report, "GBR", "failed")
    assert entry["detail"]["done"] in {"its keys are destroyed again", "withheld from everybody"}
    with pytest.raises(NotFoundError):
        await pull(living, report)


async def test_what_was_recalled_and_put_back_has_no_key_again(living: World) -> None:
    report = await living.post()
    before = Report(living, report)
    await recall(living, report)
    for is_part_alone in (False, True):
        before.put_back()
        if is_part_alone:
            living.sql("UPDATE report SET status = 'recalled', sealed_header = $1", b"")
        await held(living)

        assert living.sql("SELECT length(sealed_header), status FROM report") == [(0, "recalled")]
        assert living.sql("SELECT length(wrapped_key), length(ciphertext) FROM report_part") == [(0, 0)]
        assert await found_in(living) == []


@pytest.mark.parametrize("act", [recall, amend])
async def test_report_that_is_put_back_a_second_time_is_shown_to_nobody_again(
    living: World, act: Callable[..., Awaitable[Any]]
) -> None:
    report = await living.post()
    before = Report(living, report)
    await act(living, report)
    for _ in range(2):
        before.put_back()
        assert len(await held(living)) == 1
        with pytest.raises(NotFoundError):
            await pull(living, report)


async def test_who_recalls_a_report_while_it_is_withheld_waits_for_nobody_who_waits_for_it(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each held what the other wanted: PostgreSQL ended one of them, and the recall was answered 503."""
    report = await living.post()
    before = Report(living, report)
    await amend(living, report)
    before.put_back()
    recalled = begun_behind(monkeypatch, RowMending, "withhold", lambda: recall(living, report))
    (entry,) = await held(living)

    assert entry["detail"]["done"] == "withheld from everybody"
    await recalled[0]
    assert living.sql("SELECT status FROM report") == [("recalled",)]


async def test_it_is_told_once_a_day_and_not_by_every_process(living: World) -> None:
    report = await living.post()
    before = Report(living, report)
    await amend(living, report)
    before.put_back()

    assert [len(await held(living)) for _ in range(2)] == [1, 0]
    living.clock.advance(timedelta(days=1, minutes=1))
    assert len(await held(living)) == 1


@pytest.mark.parametrize("act", ["revoke", "lower"])
async def test_older_version_of_a_client_reads_nothing_once_it_is_found(living: World, act: str) -> None:
    report, client = await living.post(), living.clients["NOR reader"]
    if act == "revoke":
        await change_standing(living.services, living.call(None), client.id, Standing.REVOKED)
    else:
        change = ClearanceChange(level="RESTRICTED")
        await change_clearance(living.services, living.call(None), client.id, change)
    living.sql("DELETE FROM client WHERE id = $1 AND version = 2", client.id)
    living.sql("UPDATE client SET superseded_at = NULL WHERE id = $1", client.id)
    async with living.another_node() as fresh:
        assert (await usecases.pull_report(fresh, living.call("NOR reader"), report)).value

    ((place, _),) = await found_in(living)
    assert place == f"client {client.id}"
    (entry,) = await held(living)
    assert entry["detail"]["done"] == {"revoke": "revoked", "lower": "suspended"}[act]
    async with living.another_node() as fresh:
        with pytest.raises(ForbiddenError):
            await usecases.pull_report(fresh, living.call("NOR reader"), report)
    assert await held(living) == []


@pytest.mark.parametrize(
    "put_back",
    [
        ("DELETE FROM client WHERE id = $1 AND version = 3", "UPDATE client SET superseded_at = NULL WHERE id = $1"),
        ("UPDATE client SET standing = 'active' WHERE id = $1 AND version = 3",),
    ],
    ids=["the version before", "the one that the jobs made"],
)
async def test_client_that_is_put_back_a_second_time_reads_nothing_again(
    living: World, put_back: tuple[str, ...]
) -> None:
    client = living.clients["NOR reader"]
    await change_standing(living.services, living.call(None), client.id, Standing.REVOKED)
    living.sql("DELETE FROM client WHERE id = $1 AND version = 2", client.id)
    living.sql("UPDATE client SET superseded_at = NULL WHERE id = $1", client.id)
    assert len(await held(living)) == 1
    for statement in put_back:
        living.sql(statement, client.id)

    assert {entry["object"]["id"] for entry in await held(living)} == {client.id}
    async with living.another_node() as fresh:
        with pytest.raises(ForbiddenError):
            await usecases.list_reports(fresh, living.call("NOR reader"), usecases.ListQuery())
    assert await held(living) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("level", "COSMIC TOP SECRET"), ("roles", '["reader","releaser"]'), ("nationality", "GBR"), ("member", "GBR")],
)
async def test_client_that_was_given_more_in_its_row_is_suspended(living: World, column: str, value: str) -> None:
    client = living.clients["NOR reader"]
    living.sql(f"UPDATE client SET {column} = $1 WHERE id = $2", value, client.id)

    ((place, why),) = await found_in(living)
    assert (place, column in why) == (f"client {client.id}", True)
    assert [entry["detail"]["done"] for entry in await held(living)] == ["suspended"]


async def test_client_that_the_jobs_stopped_is_not_resumed_by_its_member_s_operator(living: World) -> None:
    client = living.clients["NOR reader"]
    await living.enrol("NOR operator", "NOR", "operator")
    living.sql("UPDATE client SET level = 'COSMIC TOP SECRET' WHERE id = $1", client.id)
    assert [entry["detail"]["done"] for entry in await held(living)] == ["suspended"]
    operator = living.call("NOR operator")
    await change_clearance(living.services, operator, client.id, ClearanceChange("SECRET"))

    with pytest.raises(ConflictError, match="ask the exchange's operator"):
        await change_standing(living.services, operator, client.id, Standing.ACTIVE)


async def test_entry_that_was_changed_ends_nothing(living: World) -> None:
    client = living.clients["NOR reader"]
    await place_entries(living, is_searchable=True)
    rows = [(each, bytes(content)) for each, content in living.sql("SELECT id, content FROM audit_entry")]
    ((entry, content),) = [
        row for row in rows if b'"client.enrolled"' in row[1] and f'"id":"{client.id}"'.encode() in row[1]
    ]
    living.unguard("audit_entry")
    forged = content.replace(b'"standing":"active"', b'"standing":"ACTIVE"')
    assert forged != content
    living.sql("UPDATE audit_entry SET content = $1 WHERE id = $2", forged, entry)

    with pytest.raises(LogDamagedError):
        await RowWatch(living.services).round()
    assert "row.contradicted" not in {each["type"] for each in await living.entries()}
    assert living.sql("SELECT max(version) FROM client WHERE id = $1", client.id) == [(1,)]


async def test_client_that_moved_on_while_it_was_looked_at_is_left(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = living.clients["NOR reader"]
    living.sql("UPDATE client SET nationality = 'GBR' WHERE id = $1", client.id)
    await place_entries(living, is_searchable=True)
    found = await looked_at_before(monkeypatch, living.services)
    assert sum(map(len, found)) == 1
    await change_clearance(living.services, living.call(None), client.id, ClearanceChange(level="RESTRICTED"))
    assert await held(living) == []


async def test_client_that_is_revoked_while_its_row_is_mended_is_revoked_for_good(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = living.clients["NOR reader"].id
    living.sql("UPDATE client SET nationality = 'GBR' WHERE id = $1", client)
    await place_entries(living, is_searchable=True)
    await looked_at_before(monkeypatch, living.services)

    def revoke() -> Coroutine[Any, Any, Any]:
        return change_standing(living.services, living.call(None), client, Standing.REVOKED)

    revoked = begun_behind(monkeypatch, RowsKept, "of", revoke)
    await held(living)
    await asyncio.wait(revoked)
    if isinstance(revoked[0].exception(), ConflictError):  # it came second, and is told so
        await revoke()

    assert living.sql("SELECT standing FROM client WHERE id = $1 AND superseded_at IS NULL", client) == [("revoked",)]


async def test_report_that_was_moved_where_nobody_finds_it_is_found(living: World) -> None:
    report = await living.post()
    await living.post(label=Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    living.sql("UPDATE report SET class_id = (SELECT max(id) FROM release_class) WHERE id = $1", report)

    ((place, why),) = await found_in(living)
    assert (place, "`level`" in why) == (f"report {report}", True)
    if living.url.startswith("sqlite"):
        # Of a class that never was: such a class was not lost, so the row is what was altered.
        living.sql("UPDATE report SET class_id = 99 WHERE id = $1", report)
        ((_, why),) = await found_in(living)
        assert why.startswith("its row is of version -1")


async def test_row_that_is_gone_is_found(living: World) -> None:
    report = await living.post()
    for table, column in (("report_part", "report_id"), ("report", "id")):
        living.sql(f"DELETE FROM {table} WHERE {column} = $1", report)

    assert [place for place, _ in await found_in(living)] == [f"report {report}"]


async def test_client_that_no_entry_tells_of_is_told(living: World) -> None:
    client = living.clients["NOR reader"]
    living.clock.advance(timedelta(hours=1))
    await usecases.list_clients(living.services, living.call(None))
    columns = [name for name in columns_of(living, "client") if name not in {"id", "version"}]
    listed = ", ".join(columns)
    untold = client.id[:-1] + ("1" if client.id.endswith("0") else "0")
    living.sql(
        f"INSERT INTO client (id, version, {listed}) SELECT $1, 1, {listed} FROM client WHERE id = $2",
        untold,
        client.id,
    )

    (entry,) = await held(living)
    assert entry["object"]["id"] == untold
    assert entry["detail"]["why"] == "no entry tells of its version 1"


async def test_client_whose_entry_waits_since_long_for_its_place_is_not_told(living: World) -> None:
    living.clock.advance(timedelta(minutes=10))
    assert await place_entries(living, begins_only=True) == 0

    made = await living.attempt(RowWatch(living.services).round())

    assert [entry["type"] for entry in made.entries if entry["type"] == "row.contradicted"] == []


@pytest.mark.parametrize(
    ("behind", "goes_on_after", "is_told", "looks"),
    [(2, 1, True, 3), (9, 1, True, 10), (1, 4, True, 5), (1000, 1, False, 10), (1000, 1000, False, 6)],
)
async def test_rows_are_looked_at_once_the_search_has_come_where_the_log_was(
    living: World, monkeypatch: pytest.MonkeyPatch, behind: int, goes_on_after: int, is_told: bool, looks: int
) -> None:
    living.clock.advance(timedelta(hours=1))
    await usecases.list_clients(living.services, living.call(None))
    living.sql("UPDATE client SET version = 2 WHERE id = $1", living.clients["NOR reader"].id)
    await place_entries(living, is_searchable=True)
    log, looked = type(living.services.store.log), 0
    searched = log.searched

    async def lagging(self: Any, of: int) -> int:
        nonlocal looked
        looked += 1
        return await searched(self, of) - max(0, behind - (looked - 1) // goes_on_after)

    monkeypatch.setattr(log, "searched", lagging)
    monkeypatch.setattr(hold_rows, "_BETWEEN_LOOKS_SECONDS", 0)
    found = [
        each.why for page in [page async for page in hold_rows.contradicted_rows(living.services)] for each in page
    ]

    assert (("no entry tells of its version 2" in found), looked) == (is_told, looks)


@pytest.mark.parametrize("recorded_at", [0, 4_102_444_800_000_000])
async def test_version_of_a_client_that_no_entry_tells_of_is_suspended(living: World, recorded_at: int) -> None:
    report, client = await living.post(), living.clients["NOR reader"]
    living.clock.advance(timedelta(hours=1))
    await usecases.list_clients(living.services, living.call(None))
    names = columns_of(living, "client")
    (row,) = living.sql("SELECT * FROM client WHERE id = $1", client.id)
    living.sql("UPDATE client SET superseded_at = 1 WHERE id = $1", client.id)
    # From the future it is as little told of as now.
    written = dict(zip(names, row, strict=True)) | {"version": 2, "recorded_at": recorded_at, "level": "TOP SECRET"}
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    living.sql(f"INSERT INTO client ({', '.join(names)}) VALUES ({marks})", *written.values())

    assert await found_in(living) == [(f"client {client.id}", "no entry tells of its version 2")]
    assert [(entry["detail"]["why"], entry["detail"]["done"]) for entry in await held(living)] == [
        ("no entry tells of its version 2", "suspended")
    ]
    async with living.another_node() as fresh:
        with pytest.raises(ForbiddenError):
            await usecases.pull_report(fresh, living.call("NOR reader"), report)
    assert (await held(living), await found_in(living)) == ([], [])


@pytest.mark.parametrize(
    ("column", "value"),
    [("client_id", "'other'"), ("member", "'GBR'"), ("ed25519", "ml_dsa_65"), ("ml_dsa_65", "ed25519")],
)
async def test_key_of_a_signatory_that_was_made_another_one_is_ended(living: World, column: str, value: str) -> None:
    ((key,),) = living.sql("SELECT key_id FROM signatory_key WHERE member = 'NOR'")
    living.unguard("signatory_key")
    living.sql(f"UPDATE signatory_key SET {column} = {value} WHERE key_id = $1", key)

    said = column.removesuffix("_id")
    ((place, why),) = await found_in(living)
    assert (place, f"`{said}` in version 0" in why) == (f"signatory-key {key}", True)
    assert [entry["detail"]["done"] for entry in await held(living)] == ["ended again"]
    assert living.sql("SELECT count(*) FROM signatory_key WHERE key_id = $1 AND retired_at IS NULL", key) == [(0,)]


async def test_key_of_a_signatory_that_nobody_enrolled_is_told_of(living: World) -> None:
    living.clock.advance(timedelta(hours=1))
    await usecases.list_clients(living.services, living.call(None))
    names = ", ".join(name for name in columns_of(living, "signatory_key") if name != "key_id")
    copied = f"SELECT 'another', {names} FROM signatory_key WHERE member = 'NOR'"
    living.sql(f"INSERT INTO signatory_key (key_id, {names}) {copied}")

    assert await found_in(living) == [("signatory-key another", "no entry enrolled it")]
    (entry,) = await held(living)
    assert (entry["object"]["id"], entry["detail"]["done"]) == ("another", "nothing")


async def test_consent_and_key_that_were_ended_are_ended_again(living: World) -> None:
    view = await given(living)
    await usecases.revoke_proxy(living.services, living.call("NOR releaser"), view.row.id)
    living.sql("UPDATE proxy_consent SET state = 'given'")
    (key,) = living.sql("SELECT client_id, key_id FROM signatory_key WHERE member = 'NOR'")
    await usecases.retire_signatory_key(living.services, living.call(None), *key)
    living.unguard("signatory_key")
    living.sql("UPDATE signatory_key SET retired_at = NULL")

    assert {entry["object"]["type"]: entry["detail"]["done"] for entry in await held(living)} == {
        "proxy": "ended again",
        "signatory-key": "ended again",
    }
    assert await held(living) == []
    assert living.sql("SELECT state FROM proxy_consent") == [("revoked",)]


@pytest.mark.parametrize("kind", ["onward", "derivation"])
async def test_grant_that_was_written_anew_on_other_conditions_is_ended(living: World, kind: str) -> None:
    label = Label("NATO", "CONFIDENTIAL", releasable_to=("GBR", "NOR"), handling=("ORCON",))
    report = await living.post(label=label)
    if kind == "onward":
        request = await onward_asked(living, report)
        await onward_granted(living, request)
        assert (await pull(living, report, "ESP reader")).released_under
    else:
        await living.enrol("NOR analyst", "NOR", "contributor", "reader")
        request = await derive_asked(living, report)
        await derive_granted(living, request)
    table, quiet = {"onward": "onward_release", "derivation": "derivation_consent"}[kind], await held(living)
    ((note,),) = living.sql(f"SELECT note FROM {table}")
    said = b'"not to be quoted"' if kind == "onward" else b'"not the vessel"'
    assert said in note
    living.sql(f"UPDATE {table} SET conditions = 'as you like', note = $1", note.replace(said, b'"as you like"'))
    told = await held(living)

    assert quiet == []
    assert [(each["object"]["id"], each["detail"]["done"]) for each in told] == [(request, "the consent is ended")]
    assert await held(living) == []
    assert [place for place, _ in await found_in(living)] == [f"{kind} {request}"]
    assert living.sql(f"SELECT state FROM {table}") == [("revoked",)]


async def test_grant_that_has_ended_stays_as_it_ended_whatever_its_row_says(living: World) -> None:
    label = Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR"), handling=("ORCON",))
    report = await living.post(label=label)
    await onward_granted(living, await onward_asked(living, report))
    await recall(living, report)
    living.sql("UPDATE onward_release SET conditions = 'as you like'")

    assert [each["detail"]["done"] for each in await held(living)] == ["nothing"]
    assert living.sql("SELECT state FROM onward_release") == [("lapsed",)]


async def test_recalled_report_goes_to_nobody_whatever_its_last_consents_were(living: World) -> None:
    report = await living.post(label=Label("NATO", "RESTRICTED", releasable_to=("GBR", "NOR")))
    for _ in range(2):
        request = await onward_asked(living, report)
        await onward_granted(living, request)
    await usecases.revoke_onward(living.services, living.call("GBR releaser"), request)
    assert await held(living) == []
    await recall(living, report)

    assert (await found_in(living), await held(living)) == ([], [])


@pytest.mark.parametrize("put_back", ["NULL", "'closed'"])
async def test_request_for_information_that_was_withdrawn_is_again_absent_for_whoever_was_asked(
    living: World, put_back: str
) -> None:
    services, asker = living.services, living.call("GBR reader")
    request, closed = [
        (await usecases.request_information(services, asker, living.wanted())).value.row.id for _ in range(2)
    ]
    for each in (request, closed):
        await usecases.close_request(services, asker, each)
    await usecases.withdraw_request(services, asker, request)
    before = await held(living)
    living.sql(f"UPDATE information_request SET ended = {put_back} WHERE id = $1", request)
    assert (await usecases.show_request(services, living.call("NOR contributor"), request)).value.row.id == request

    assert {place for place, _ in await found_in(living)} == {f"request {request}"}
    assert before == []
    assert {(each["object"]["id"], each["detail"]["done"]) for each in await held(living)} == {(request, "ended again")}
    with pytest.raises(NotFoundError):
        await usecases.show_request(services, living.call("NOR contributor"), request)
    assert living.sql("SELECT id, ended FROM information_request ORDER BY number") == [
        (request, "withdrawn"),
        (closed, "closed"),
    ]
    assert (await found_in(living), await held(living)) == ([], [])


async def test_who_answers_a_request_while_it_is_ended_again_waits_for_nobody_who_waits_for_it(
    living: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, asker, report = living.services, living.call("GBR reader"), await living.post("NOR contributor")
    request = (await usecases.request_information(services, asker, living.wanted())).value.row.id
    await usecases.close_request(services, asker, request)
    living.sql("UPDATE information_request SET ended = NULL")
    await place_entries(living, is_searchable=True)
    await looked_at_before(monkeypatch, services)
    ended = begun_behind(monkeypatch, ReportBook, "hold_order", lambda: RowWatch(services).round())
    answering = usecases.answer_request(services, living.call("NOR contributor"), request, report)
    made = await living.attempt(answering)
    await ended[0]

    assert made.error is None or isinstance(made.error, ConflictError)
    assert living.sql("SELECT ended FROM information_request") == [("closed",)]


async def test_request_that_was_refused_or_taken_back_is_ended_again_as_it_was(living: World) -> None:
    await living.enrol("NOR analyst", "NOR", "contributor", "reader")
    report, services = await living.post(), living.services
    refused, withdrawn = await derive_asked(living, report), await onward_asked(living, report)
    await usecases.refuse_derivation(services, living.call("GBR releaser"), refused, "not of this")
    await usecases.withdraw_onward(services, living.call("NOR reader"), withdrawn)
    living.sql("UPDATE derivation_consent SET state = 'granted'")
    living.sql("UPDATE onward_release SET state = 'asked'")
    places = {f"derivation {refused}", f"onward {withdrawn}"}

    assert {place for place, _ in await found_in(living)} <= places
    assert {f"{entry['object']['type']} {entry['object']['id']}" for entry in await held(living)} == places
    assert living.sql("SELECT state FROM derivation_consent") == [("refused",)]
    assert living.sql("SELECT state FROM onward_release") == [("withdrawn",)]
    assert (await found_in(living), await held(living)) == ([], [])
