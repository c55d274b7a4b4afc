"""What an operator sets is what the rooms get."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing, nullcontext
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock

import pytest

from exchange import app as app_room
from exchange import services
from exchange.app import create_app
from exchange.entrypoints.http.board import ROW_PLACES, shared_row
from exchange.entrypoints.http.errors import OverloadedError
from exchange.entrypoints.http.inspection import Shown
from exchange.entrypoints.http.processes import open_line
from exchange.entrypoints.http.routing import OperationRoute
from exchange.entrypoints.http.strangers import Wrong
from exchange.entrypoints.http.trust import Kind, Trust
from exchange.entrypoints.http.workers import CANNOT_START, OUTGROWN
from exchange.kernel import UnavailableError, UnsafeSettingError, from_micros
from exchange.settings import load_settings
from exchange.store import Store
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archiving import LogArchiving
from exchange.store.log.large_parts import LargeParts
from exchange.store.log.sequencing import LogTree
from exchange.usecases.log import heartbeat
from exchange.usecases.telling.notify_subscribers import Reach

OF_ONE_THAT_IS_ASKED = Mock(witnesses=(Mock(url=None), Mock(url="https://witness")))


@pytest.fixture
def settings_with(instance):
    """Read the settings of the instance with these lines in its file, before all others."""

    def read(*lines):
        path = instance / "exchange.toml"
        path.write_text("\n".join([*lines, path.read_text()]))
        return load_settings(instance)

    return read


def test_rooms_get_what_is_set(settings_with, instance):
    settings = settings_with(
        "max_upload_bytes = 3000",
        "max_body_bytes = 2000",
        "upload_hours = 3",
        "streams_per_client = 4",
        "most_streams = 5",
        "personal_period_months = 6",
        "witness_quorum_seconds = 7",
        f'blob_store_url = "{(instance / "blobs").as_uri()}"',
        "blob_smallest_bytes = 8",
        'webhook_private_networks = ["10.1.0.0/16"]',
    )

    async def given():
        async with services.open_services(settings) as opened:
            return {
                "uploads": (opened.uploads.most_bytes, opened.uploads.most_read_whole_bytes),
                "given up after": opened.uploads.given_up_after,
                "streams": (opened.watching.limits.per_client, opened.watching.limits.in_all),
                "period": opened.store._personal._custody.period_months,
                "smallest blob": opened.store.large_parts._place.smallest_bytes,
                "quorum": opened.witnessing.quorum_seconds,
                "networks": opened.private_networks,
            }

    assert asyncio.run(given()) == {
        "uploads": (3000, 2000),
        "given up after": timedelta(hours=3),
        "streams": (4, 5),
        "period": 6,
        "smallest blob": 8,
        "quorum": 7,
        "networks": (ip_network("10.1.0.0/16"),),
    }


def test_connections_log_in_with_what_lies_there_and_are_of_one_history(settings_with, instance, monkeypatch):
    for name in ("service", "sequencer"):
        (instance / name).write_text(f"{name}-word")
        (instance / name).chmod(0o600)
    settings = settings_with(
        *('database_url = "postgresql+asyncpg://service@db/x"', 'database_password_file = "service"'),
        'sequencer_database_url = "postgresql+asyncpg://sequencer@db/x"',
        'sequencer_database_password_file = "sequencer"',
    )
    store = Mock(**{"lineage.has_ended": asyncio.Event(), "close": AsyncMock()})
    room = Mock(close=AsyncMock())
    opened = {each: AsyncMock(return_value=room) for each in (Store, LogTree, LogArchiving)}
    opened[Store].return_value = store
    for each, opening in opened.items():
        monkeypatch.setattr(each, "open", opening)
    for name in ("hold_clock", "close_record"):
        monkeypatch.setattr(services, name, AsyncMock())

    async def open_all():
        async with (
            services.open_services(settings) as of_service,
            services.open_desk(settings, is_heard=False),
            services.open_archiver(settings, of_service, timedelta(days=1)),
        ):
            pass

    asyncio.run(open_all())

    def word(call):
        """Of the file as it is by now: it is exchanged while connections are open."""
        (instance / "service").write_text("another service-word")
        return call.kwargs["password"].newest()

    assert [word(call) for opening in opened.values() for call in opening.await_args_list] == [
        *("another service-word", "sequencer-word"),
        *("sequencer-word", "sequencer-word"),
    ]
    assert opened[LogTree].await_args.kwargs["lineage"] is store.lineage
    assert isinstance(opened[LogTree].await_args.kwargs["archive"], BundleArchive)
    assert (store.close.await_count, room.close.await_count) == (2, 2)


@pytest.mark.parametrize(("lines", "of_member"), [((), 2), (("member_requests_per_second = 5",), 5)])
def test_rates_are_asked_of_the_database_as_they_are_set(settings_with, lines, of_member):
    app, asked = create_app(settings_with("requests_per_second = 1", *lines)), []

    async def lease(name, tokens, *, per_second):
        asked.append((name, per_second))
        return False

    async def ask():
        await app.door.rates.clients.admit_later("a client")
        await app.door.rates.members.admit_later("GBR")

    app.state.services = SimpleNamespace(store=SimpleNamespace(lease=lease))
    asyncio.run(ask())

    assert asked == [("a client", 1), ("member GBR", of_member)]
    assert [app.door.rates.strangers.admit("of nobody") for _ in range(2)] == [True, False]


def test_body_may_be_as_large_and_as_slow_as_is_set(settings_with):
    app = create_app(settings_with("max_body_bytes = 2000", "body_timeout_seconds = 3"))

    limits = [route._limits for route in app.router.routes if isinstance(route, OperationRoute)]
    assert {(each.largest_bytes, each.seconds) for each in limits} == {(2000, 3)}
    assert len({id(each.room) for each in limits}) == 1


def test_largest_body_that_is_set_has_room(settings_with):
    app = create_app(settings_with(f"max_body_bytes = {2**30}"))

    (room,) = {route._limits.room for route in app.router.routes if isinstance(route, OperationRoute)}
    room.take({}, 2**30)
    with pytest.raises(OverloadedError):
        room.take({}, 1)


def served(settings):
    """Begin a service and end it, without a server."""

    async def serve():
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(serve())


def told(instance, query="SELECT content FROM audit_entry"):
    with closing(sqlite3.connect(instance / "exchange.db")) as database:
        return [row[0] for row in database.execute(query)]


def test_service_puts_its_law_in_force_and_says_that_it_starts_and_stops(settings_with, instance):
    with closing(sqlite3.connect(instance / "exchange.db")) as database, database:
        database.execute("UPDATE policy_state SET policy_digest = 'of another law'")
    before = len(told(instance))
    served(settings_with())

    types = [json.loads(content)["type"] for content in told(instance)[before:]]
    own = [each for each in types if each.startswith(("service.", "policy."))]
    assert own == ["policy.changed", "service.started", "service.stopped"]


def test_database_that_may_not_be_served_stays_as_it_is(settings_with, instance):
    with closing(sqlite3.connect(instance / "exchange.db")) as database, database:
        database.execute("INSERT INTO restore_claim (id, kind, subject, told) VALUES ('a', 'client', 's', 't')")
    before = told(instance)

    with pytest.raises(UnavailableError, match="cannot work: restore"):
        served(settings_with())

    assert told(instance) == before
    assert told(instance, "SELECT fingerprint FROM shared_key") == []


def test_node_with_another_cursor_key_neither_serves_nor_judges(settings_with, instance, monkeypatch, caplog):
    """Each consent to posting on behalf would look forged to it."""
    settings, begun = settings_with(), []
    served(settings)
    (instance / "secrets" / "cursor.key").write_bytes(bytes(range(32)))

    with pytest.raises(UnavailableError, match="is not the one that nodes of this database hold"):
        served(settings)

    async def sweep():
        stopping = asyncio.Event()
        sweeping = asyncio.create_task(services._sweep_reports(settings, stopping))
        while "is not the one that nodes of this database hold" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stopping.set()
        await sweeping

    monkeypatch.setattr(services, "RoundsOfTime", lambda *_given, **_named: begun.append(1))
    asyncio.run(asyncio.wait_for(sweep(), 30))
    assert begun == []


def test_all_that_time_brings_about_is_done_and_told_of_a_hold(settings_with, monkeypatch):
    done = set()

    class Rounds:
        def __init__(self, _services, *, is_held):
            done.add(("held", is_held))

        def __getattr__(self, name):
            async def note():
                done.add(name)
                return False

            return note

    async def swept(_parts):
        done.add("blobs")
        return 0

    expected = {("held", True), "reports", "uploads", "duties", "rows", "walk", "blobs"}
    monkeypatch.setattr(services, "RoundsOfTime", Rounds)
    monkeypatch.setattr(LargeParts, "sweep", swept)
    until(lambda: done == expected, services._sweep_reports, settings_with("audit_legal_hold = true"))


def test_all_that_is_to_run_beside_the_sequencer_does(settings_with, instance, monkeypatch):
    begun = set()
    for name in ("_ask_witnesses", "_raise_alerts", "_sweep_reports", "_archive"):

        async def run(_settings, stopping, name=name):
            begun.add(name)
            await stopping.wait()
            await asyncio.sleep(0.05)
            begun.add(f"{name} ended")

        monkeypatch.setattr(services, name, run)
    monkeypatch.setattr(services, "SequencerLoop", lambda _job: SimpleNamespace(run=lambda stopping: stopping.wait()))
    until(lambda: len(begun) == 4, services.sequence, settings_with())

    assert len(begun) == 8
    # Who has said that it runs, and then nothing, was killed.
    assert len(running(instance)) == 1
    assert running(instance) <= beating(instance, "closed")


def test_entries_leave_at_the_age_that_is_set(settings_with, monkeypatch):
    given = []

    @asynccontextmanager
    async def archiver(_settings, _services, older_than):
        given.append(older_than)
        yield Mock(is_held=AsyncMock(return_value=True))

    monkeypatch.setattr(services, "open_archiver", archiver)
    until(lambda: given, services._archive, settings_with("audit_retention_days = 30"))

    assert given == [timedelta(days=30)]


@pytest.mark.parametrize("lines", [(), ("audit_retention_days = 30", "audit_legal_hold = true")])
def test_nothing_is_opened_to_archive_without_an_age_or_under_a_hold(settings_with, monkeypatch, lines):
    monkeypatch.setattr(services, "open_services", Mock(side_effect=AssertionError))
    monkeypatch.setattr(services, "timedelta", Mock(side_effect=AssertionError))

    asyncio.run(services._archive(settings_with(*lines), asyncio.Event()))


def test_alerts_and_notices_go_where_the_settings_let_them(settings_with, monkeypatch):
    given = {}

    async def alerts(watch, delivery, stopping):
        given["alerts"] = True
        await stopping.wait()

    async def notices(notifier, stopping):
        given["reach"] = notifier._reach
        await stopping.wait()

    monkeypatch.setattr(services, "run_alerts", alerts)
    monkeypatch.setattr(services, "run_notices", notices)
    lines = ('webhook_private_networks = ["10.1.0.0/16"]', 'webhook_authority_file = "/ca.pem"')
    until(lambda: len(given) == 2, services._raise_alerts, settings_with(*lines))

    assert given["reach"] == Reach((ip_network("10.1.0.0/16"),), "/ca.pem")


def test_alerts_that_cannot_be_raised_are_told_of_once_and_tried_again(settings_with, monkeypatch, caplog):
    tried = Mock(side_effect=UnsafeSettingError("`soc.hook` is missing"))
    monkeypatch.setattr(services, "webhooks_of", tried)
    monkeypatch.setattr(services, "_REOPEN_SECONDS", 0.01)
    until(lambda: tried.call_count == 3, services._raise_alerts, settings_with())

    assert caplog.messages == ["no alerts are raised: `soc.hook` is missing"]


def test_sequencer_that_cannot_begin_says_so_once_and_is_begun_until_its_supervisor_is_gone(monkeypatch, caplog):
    supervisor, line = open_line()
    begun = []

    async def sequence(_settings, _stopping):
        begun.append(1)
        if len(begun) == 3:
            supervisor.close()
        raise UnavailableError("no login of its own")

    monkeypatch.setattr(services, "sequence", sequence)
    monkeypatch.setattr(services, "stop_on_signals", Mock())
    monkeypatch.setattr(services, "_REOPEN_SECONDS", 0.01)
    with line:
        asyncio.run(asyncio.wait_for(services._sequence_beside(None, line), 30))

    assert len(begun) >= 3
    assert caplog.messages == ["the sequencer cannot begin: no login of its own"]


def until(is_so, work, settings):
    """Let something of the jobs run until this is so, and end it."""

    async def run():
        stopping = asyncio.Event()
        running = asyncio.create_task(work(settings, stopping))
        while not is_so() and not running.done():  # noqa: ASYNC110  what is waited for calls nobody
            await asyncio.sleep(0.01)
        was_so = is_so()
        stopping.set()
        await running
        assert was_so

    asyncio.run(asyncio.wait_for(run(), 30))


def process_of(settings, monkeypatch, during, order=None):
    """Be a process that serves, with `during(app, service, stopping)` in place of its sockets."""

    async def run_servers(service, _operations, _listening, *, on_ready, stopping):
        await during(service.app, service, stopping)
        on_ready()

    monkeypatch.setattr(app_room, "run_servers", run_servers)
    if order is not None:
        app_room._work(settings, order)
    else:
        asyncio.run(asyncio.wait_for(app_room._serve_one(settings, Mock(), on_ready=Mock()), 30))


def test_connections_are_held_to_all_that_a_process_knows(settings_with, instance, monkeypatch):
    async def during(app, service, _stopping):
        protocol = service.http
        assert isinstance(protocol.trust, Trust)
        assert protocol.gate is app.gate
        assert app.state.services.store._sealer.observer is app.metrics
        assert protocol.edges is protocol.trust.edges
        assert protocol.clock == app.state.services.clock
        assert {"looking at files of TLS", "sampling"} <= {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.sleep(0)
        assert app.metrics._row[app.metrics._pool_limit] == app.state.services.store.load.limit > 0
        protocol.strangers.count("192.0.2.7", Wrong.REVOKED)
        protocol.trust._news.note("authorities", ["a new one"], is_taken=True)

    # A file of certificates is what it is: any will do for an edge's.
    process_of(settings_with('edge_certificates_file = "tls/server.pem"'), monkeypatch, during)

    entries = [json.loads(content) for content in told(instance)]
    assert [entry["detail"] for entry in entries if entry["type"] == "connection.refused"] == [
        {"codes": ["certificate-revoked"], "count": 1}
    ]
    taken_up = [entry["detail"] for entry in entries if entry["type"] == "trust.taken_up"]
    assert [(each["file"], each.get("at")) for each in taken_up] == [
        ("authorities", "start"),
        ("edges", "start"),
        ("authorities", None),
    ]


def test_streams_end_as_soon_as_a_process_is_told_to_stop(settings_with, monkeypatch):
    async def during(app, _service, stopping):
        await asyncio.sleep(0.01)
        assert not app.state.services.watching.is_ending
        stopping.set()
        while not app.state.services.watching.is_ending:  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.01)

    process_of(settings_with(), monkeypatch, during)


def test_service_listens_only_after_all_that_can_refuse_it(settings_with, monkeypatch):
    done = []
    before = ("outlive_hangup", "raise_file_limit", "_require_safe", "load_log_key", "bind", "_serve_one")
    for name in before:

        async def serve(*_given, **_named):
            done.append("_serve_one")

        note = serve if name == "_serve_one" else lambda *_given, name=name: done.append(name)
        monkeypatch.setattr(app_room, name, note)
    monkeypatch.setattr(app_room, "kept_running", lambda *_given, **_named: nullcontext())
    monkeypatch.setattr(app_room, "address_of", str)
    app_room.serve(settings_with(), host="127.0.0.1", port=0)

    assert done == [*before[:5], "bind", "_serve_one"]


OF_A_SERVER = 'database_url = "postgresql+asyncpg://service@db/x"\n'


@pytest.mark.parametrize(
    ("lines", "gone"),
    [
        ("", "secrets/cursor.key"),
        ("", "secrets/node.key"),
        ("", "custody/roots.json"),
        ("", "tls/server.key"),
        (f'{OF_A_SERVER}database_password_file = "password"', "password"),
        ('traces_endpoint = "https://collector.example/v1/traces"', "requirements-traces"),
    ],
)
def test_what_is_not_there_refuses_the_start_before_anything_is_begun(
    settings_with, instance, monkeypatch, lines, gone
):
    monkeypatch.setattr(app_room, "find_spec", Mock(return_value=None))
    settings = settings_with(lines)
    (instance / gone).unlink(missing_ok=True)

    with pytest.raises(UnsafeSettingError, match=gone):
        app_room._require_safe(settings)


def test_sequencer_whose_password_is_gone_refuses_the_start(settings_with, monkeypatch):
    for name in ("outlive_hangup", "raise_file_limit", "_require_safe", "kept_running"):
        monkeypatch.setattr(app_room, name, lambda *_given, **_named: nullcontext())
    monkeypatch.setattr(app_room, "bind", Mock(side_effect=AssertionError))
    own = 'sequencer_database_url = "postgresql+asyncpg://sequencer@db/x"\nsequencer_database_password_file = "word"'

    with pytest.raises(UnsafeSettingError, match=r"`.*/word` is missing"):
        app_room.serve(settings_with(OF_A_SERVER, own), host="127.0.0.1", port=0)


def test_worker_counts_in_its_own_row_and_holds_as_many_connections_as_there_are_files_for(settings_with, monkeypatch):
    monkeypatch.setattr(app_room, "connections_allowed", lambda: 7)
    counts = shared_row(2)
    app = create_app(settings_with(), counts=counts, worker=1)

    assert app.gate._most == 7
    assert (any(counts[:ROW_PLACES]), any(counts[ROW_PLACES:])) == (False, True)


def test_clock_that_is_refused_leaves_nothing_open(settings_with, monkeypatch):
    closed, close = [], Store.close

    async def note(store):
        closed.append(store)
        await close(store)

    monkeypatch.setattr(services, "hold_clock", AsyncMock(side_effect=UnavailableError("the clock was set back")))
    monkeypatch.setattr(Store, "close", note)
    with pytest.raises(UnavailableError, match="was set back"):
        served(settings_with())

    assert len(closed) == 1


def test_operator_is_shown_the_files_that_the_service_goes_by(settings_with, instance):
    places = app_room._places(settings_with('edge_certificates_file = "tls/server.pem"'))

    assert (places.edges, places.revocations) == (instance / "tls" / "server.pem", instance / "tls" / "crl")


@pytest.mark.parametrize(
    ("password", "told"),
    [(None, {}), (Mock(trouble=None), {"database-password": 0}), (Mock(trouble="gone"), {"database-password": 1})],
)
def test_operator_is_shown_what_is_refused_and_when_what_is_in_use_ends(password, told):
    trust = Mock(refused={Kind.SERVER: ["one", "two"]}, server_ends=[from_micros(1_000_000)], lists_end=[])
    app = SimpleNamespace(state=SimpleNamespace(services=Mock(**{"store.password": password})))

    assert app_room._in_use(trust, app) == Shown([1], [], {"server": 2, **told})


@pytest.mark.parametrize(("is_outgrown", "code"), [(True, OUTGROWN), (False, CANNOT_START)])
def test_process_ends_with_the_database_that_it_knew(settings_with, monkeypatch, capsys, is_outgrown, code):
    async def during(app, _service, stopping):
        lineage = app.state.services.store.lineage
        lineage.outgrow("it is newer") if is_outgrown else lineage._close("it is newer", UnavailableError)
        await stopping.wait()

    order, watch = Mock(number=0, counts=None), Mock()
    monkeypatch.setattr(app_room, "watch_supervisor", watch)
    with pytest.raises(SystemExit) as ended:
        process_of(settings_with(), monkeypatch, during, order)

    assert ended.value.code == code
    told = capsys.readouterr().err
    assert '"level": "error", "from": "exchange.app", "message": "it is newer"' in told
    assert '"level": "critical", "from": "exchange.sequencer", "message": "it is newer: this process ends"' in told
    assert watch.call_args.args[0] is order.line


def test_sequencer_ends_with_the_database_that_it_knew(settings_with):
    async def sequence():
        stopping = asyncio.Event()
        async with services.open_desk(settings_with(), stopping, is_heard=False) as desk:
            desk.record.__self__.lineage.outgrow("it is newer")
            await asyncio.wait_for(stopping.wait(), 30)

    with pytest.raises(UnavailableError, match="it is newer"):
        asyncio.run(sequence())


def test_every_process_signs_that_it_runs(settings_with, instance, monkeypatch):
    """By the same beat it sees that its clock, its password and its schema are still good."""

    async def during(_app, _service, _stopping):
        while not running(instance):  # noqa: ASYNC110  nobody tells of a beat
            await asyncio.sleep(0.01)

    settings = settings_with("audit_retention_days = 30")
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "IDLE_BEATS", 2)
    monkeypatch.setattr(services, "WitnessPolicyFile", lambda _path: Mock(read=Mock(return_value=OF_ONE_THAT_IS_ASKED)))
    watch = Mock(round=AsyncMock())
    monkeypatch.setattr(services, "WitnessWatch", Mock(return_value=watch))
    process_of(settings, monkeypatch, during)
    for work in (services._sweep_reports, services._raise_alerts, services._archive, services._ask_witnesses):
        before = running(instance)
        until(lambda before=before: running(instance) > before, work, settings)

    watch.round.assert_awaited()


def running(instance):
    """Return which processes have signed that they run."""
    return beating(instance, "running")


def beating(instance, state):
    """Return which processes have signed that they are in this state."""
    entries = [json.loads(content) for content in told(instance)]
    beats = [entry for entry in entries if entry["type"] == "node.heartbeat"]
    return {entry["boot"] for entry in beats if entry["detail"]["state"] == state}
