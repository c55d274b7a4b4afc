"""Services: opens the rooms that an instance's settings name, for the server and for the command line.

Promises: what was opened is closed again, and so is its part of the log; keys that do not open and a schema that is
not at head are refused.
Does not: know the web framework, so that an operator's verb starts without it; decide anything, or serve.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from multiprocessing.connection import Connection

from exchange.crypto import CryptoError, WebhookKey
from exchange.custody import Custodian, FileCustodian, LogKey, TracedCustodian, load_log_key
from exchange.entrypoints.http.logs import log_to_stderr
from exchange.entrypoints.http.processes import watch_supervisor
from exchange.entrypoints.jobs.alerting import run_alerts, run_notices
from exchange.entrypoints.jobs.rounds import (
    ARCHIVE_SECONDS,
    DUTIES_SECONDS,
    SWEEP_SECONDS,
    WITNESS_SECONDS,
    in_rounds,
    wait_for,
)
from exchange.entrypoints.jobs.sequencer import Job, SequencerLoop, stop_on_signals
from exchange.entrypoints.jobs.webhook_line import HttpWebhookLine
from exchange.entrypoints.jobs.witness_line import HttpWitnessLine
from exchange.kernel import ExchangeError, UnsafeSettingError, system_clock, system_randomness
from exchange.kernel.spans import UNTRACED, Tracer
from exchange.kernel.steady import SteadyClock
from exchange.release import load_law
from exchange.settings import Settings, read_policies, read_secret
from exchange.store import BlobPlace, BlobStore, Store, StoreObserver
from exchange.store.books.personal_keys import PersonalCustody
from exchange.store.database.password import Password
from exchange.store.log.archive import BundleArchive
from exchange.store.log.archiving import LogArchiving
from exchange.store.log.large_parts import AT_ONCE as BLOBS_AT_ONCE
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogTree
from exchange.store.log.witness_files import WitnessedFile, WitnessPolicyFile
from exchange.store.reads.authority_files import AuthorityFiles
from exchange.usecases import (
    Recorder,
    Services,
    UploadLimits,
    Watching,
    WatchLimits,
    close_record,
    heartbeats,
    personal_custody,
)
from exchange.usecases.life.walk_reports import WALKED_EVERY
from exchange.usecases.log.archive_log import Archiver
from exchange.usecases.log.deliver_alerts import AlertDelivery, Webhook
from exchange.usecases.log.keep_time import hold_clock
from exchange.usecases.log.sequence_log import Desk, Sequencer
from exchange.usecases.log.sweep_log import Index, Sweep
from exchange.usecases.log.watch_alerts import AlertWatch
from exchange.usecases.log.watch_witnesses import WitnessWatch
from exchange.usecases.log.witnessed_log import witnessed_outside
from exchange.usecases.steps.context import Witnessing
from exchange.usecases.telling.notify_subscribers import Notifier, Reach
from exchange.usecases.upkeep.hold_rows import HELD_EVERY
from exchange.usecases.upkeep.legal_holds import HoldWatch
from exchange.usecases.upkeep.own_keys import require_shared_key
from exchange.usecases.upkeep.rounds_of_time import RoundsOfTime

_REOPEN_SECONDS = 2.0
"""The database is away, or a key is not there yet: asking more often would not bring them."""
_UNSWEPT = "reports cannot be swept"

_LAST_SECONDS = 3.0
"""How long what runs beside the sequencer may take to end: a supervisor waits longer."""


_log = logging.getLogger("exchange.sequencer")


@asynccontextmanager
async def open_services(
    settings: Settings, *, observer: StoreObserver | None = None, tracer: Tracer = UNTRACED
) -> AsyncIterator[Services]:
    """Open the rooms that `settings` name, for as long as the context lasts; `observer` and `tracer` watch them."""
    law = load_law(read_policies(settings.policies_dir))
    custodian: Custodian = FileCustodian.load(settings.roots_file, randomness=system_randomness)
    if tracer is not UNTRACED:
        custodian = TracedCustodian(custodian, tracer)
    cursor_key = settings.cursor_key()
    url = settings.database_url_with_password()
    personal = personal_custody(custodian, cursor_key, period_months=settings.personal_period_months)
    clock = SteadyClock(system_clock)
    password = password_of(settings)
    store = await _opened(settings, url, clock, personal, password=password, observer=observer, tracer=tracer)
    try:
        services = Services(
            store=store,
            custodian=custodian,
            law=law,
            clock=clock,
            randomness=system_randomness,
            cursor_key=cursor_key,
            witnessing=_witnessing(settings),
            authorities=AuthorityFiles(settings.authorities_folder),
            private_networks=settings.private_networks,
            tracer=tracer,
            uploads=UploadLimits(
                most_bytes=settings.max_upload_bytes,
                most_read_whole_bytes=settings.max_body_bytes,
                given_up_after=timedelta(hours=settings.upload_hours),
            ),
            watching=Watching(WatchLimits(per_client=settings.streams_per_client, in_all=settings.most_streams)),
        )
        try:
            yield services
        finally:
            await close_record(services)
    finally:
        await store.close()


def blob_place(settings: Settings) -> BlobPlace | None:
    """Return where large parts go; None where the database keeps them."""
    if settings.blob_store_url is None:
        return None
    return BlobPlace(BlobStore(settings.blob_store_url), settings.blob_smallest_bytes)


def password_of(settings: Settings) -> Password | None:
    """Return what connections log in with, read anew for each; None where the settings name no file of it."""
    if settings.database_password_file is None:
        return None

    def read() -> str:
        return settings.database_password() or ""

    return Password(read)


async def _opened(  # noqa: PLR0913  what wires it
    settings: Settings,
    url: str,
    clock: SteadyClock,
    personal: PersonalCustody | None = None,
    *,
    password: Password | None,
    observer: StoreObserver | None = None,
    tracer: Tracer = UNTRACED,
) -> Store:
    store = await Store.open(
        url,
        node=settings.node,
        clock=clock,
        randomness=system_randomness,
        identity=settings.node_key(),
        personal=personal,
        archive=BundleArchive(settings.audit_archive_url),
        blobs=blob_place(settings),
        observer=observer,
        tracer=tracer,
        password=password,
    )
    try:
        # Before anything is decided or recorded: this machine's clock may have been set back while nothing ran.
        await hold_clock(store, clock)
    except BaseException:
        await store.close()
        raise
    return store


@asynccontextmanager
async def ended_with_database(store: Store, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Set `stopping` once the database goes on from another moment than it was known at: whoever is begun anew knows.

    What is remembered of it is void then, and nothing is served; who keeps this process running begins another one.
    Raises UnavailableError at its end where that was so.
    """

    async def end() -> None:
        await store.lineage.has_ended.wait()
        _log.critical("%s: this process ends", store.lineage.why_ended)
        stopping.set()

    ending = asyncio.create_task(end())
    try:
        yield
    finally:
        ending.cancel()
    store.lineage.require_open()


@asynccontextmanager
async def open_desk(
    settings: Settings, stopping: asyncio.Event | None = None, *, key: LogKey | None = None, is_heard: bool = True
) -> AsyncIterator[Desk]:
    """Open what the sequencer works with, for as long as the context lasts.

    `stopping` is set where the database turns out to be another meanwhile. Without `key` the keys of this node sign.
    Where it is not to be heard, it leaves nothing in the log but what it finds, signed for at its end.
    """
    key = key or load_log_key(settings.log_key_file)
    url = settings.sequencer_url_with_password()
    clock = SteadyClock(system_clock)
    password = password_of(settings.of_sequencer())
    store = await _opened(settings, url, clock, password=password)
    try:
        archive = BundleArchive(settings.audit_archive_url)
        tree = await LogTree.open(url, archive=archive, lineage=store.lineage, password=password)
        own = Recorder(store, clock, system_randomness)
        try:
            beating = heartbeats(own, is_opening=True) if is_heard else nullcontext()
            async with ended_with_database(store, stopping or asyncio.Event()), beating:
                yield Desk(
                    tree=tree,
                    key=key,
                    file=LastSignedFile(settings.last_signed_file),
                    record=store.append,
                    clock=clock,
                    randomness=system_randomness,
                    witnessed=witnessed_outside(WitnessedFile(settings.witnessed_file)),
                )
        finally:
            await close_record(own)
            await tree.close()
    finally:
        await store.close()


@asynccontextmanager
async def open_archiver(settings: Settings, services: Services, older_than: timedelta) -> AsyncIterator[Archiver]:
    """Open what moves old entries into the archive, for as long as the context lasts."""
    archive = BundleArchive(settings.audit_archive_url)
    own = settings.of_sequencer()
    log = await LogArchiving.open(own.database_url_with_password(), archive, password=password_of(own))
    try:
        yield Archiver(
            log=log,
            archive=archive,
            record=services.store.append,
            clock=services.clock,
            randomness=services.randomness,
            older_than=older_than,
            is_held=HoldWatch(services, is_set=settings.audit_legal_hold).is_on,
        )
    finally:
        await log.close()


async def sequence(settings: Settings, stopping: asyncio.Event) -> None:
    """Sequence the log until `stopping` is set; raises ExchangeError where it cannot even begin."""
    async with open_desk(settings, stopping) as desk:
        job = Job(Sequencer(desk), Sweep(desk.tree, desk.record, desk.clock, desk.randomness), Index(desk.tree))
        beside = [
            asyncio.create_task(_kept_up(work, name, stopping), name=name)
            for name, work in (
                ("asking witnesses", lambda: _ask_witnesses(settings, stopping)),
                ("raising alerts", lambda: _raise_alerts(settings, stopping)),
                ("sweeping reports", lambda: _sweep_reports(settings, stopping)),
                ("archiving old entries", lambda: _archive(settings, stopping)),
            )
        ]
        try:
            await SequencerLoop(job).run(stopping)
        finally:
            # Told to stop, they close their part of the log: what is cancelled before it has would look killed.
            if stopping.is_set():
                await asyncio.wait(beside, timeout=_LAST_SECONDS)
            for each in beside:
                each.cancel()
            await asyncio.wait(beside)


async def look_at_log(settings: Settings) -> None:
    """Freeze the log where it contradicts what this host signed; raises ExchangeError where it cannot be looked at."""
    # A start that is refused is tried again every few seconds, for as long as nobody mends what refuses it.
    async with open_desk(settings, is_heard=False) as desk:
        await Sequencer(desk).look()


async def _archive(settings: Settings, stopping: asyncio.Event) -> None:
    """Move what is old enough into the archive until `stopping` is set; nothing without an age, or under a hold."""
    if settings.audit_retention_days is None or settings.audit_legal_hold:
        return
    older_than, trouble = timedelta(days=settings.audit_retention_days), "nothing can be archived"

    async def rounds() -> bool:
        async with (
            open_services(settings) as services,
            heartbeats(services),
            open_archiver(settings, services, older_than) as archiver,
        ):

            async def step() -> int:
                return 0 if await archiver.is_held() else await archiver.step()

            await in_rounds(step, stopping, trouble, interval_seconds=ARCHIVE_SECONDS, log="exchange.archive")
        return False

    await in_rounds(rounds, stopping, trouble, interval_seconds=_REOPEN_SECONDS)


async def _ask_witnesses(settings: Settings, stopping: asyncio.Event) -> None:
    """Ask the witnesses of the policy, while it has any, until `stopping` is set."""
    policy = WitnessPolicyFile(settings.witness_policy_file)

    def is_wanted() -> bool:
        return any(witness.url is not None for witness in policy.read().witnesses)

    async def rounds() -> None:
        # Without witnesses nothing is opened at all.
        if not is_wanted():
            return
        # With the service's own rights: a sequencer's role may not add what witnesses say.
        line = HttpWitnessLine(settings.witness_authority_file)
        async with line, open_services(settings) as services, heartbeats(services):
            watch = WitnessWatch(services, line, time.monotonic)
            while is_wanted() and not stopping.is_set():
                await watch.round()
                await wait_for(stopping, WITNESS_SECONDS)

    await in_rounds(
        rounds, stopping, "witnesses cannot be asked", interval_seconds=WITNESS_SECONDS, log="exchange.witnesses"
    )


async def _sweep_reports(settings: Settings, stopping: asyncio.Event) -> None:
    """Do what time does to reports, and look for what was not done in time, until `stopping` is set."""

    async def rounds() -> bool:
        async with open_services(settings) as services, heartbeats(services):
            # With another one each consent to posting on behalf would look forged, and be ended.
            await require_shared_key(services)
            rounds_of = RoundsOfTime(services, is_held=settings.audit_legal_hold)

            async def one_clearing() -> bool:
                has_more = await rounds_of.uploads()
                return await services.store.large_parts.sweep() >= BLOBS_AT_ONCE or has_more

            async with asyncio.TaskGroup() as group:
                for work, trouble, seconds in (
                    (rounds_of.reports, _UNSWEPT, SWEEP_SECONDS),
                    (rounds_of.rows, "rows cannot be held against the log", HELD_EVERY.total_seconds()),
                    (rounds_of.walk, "reports cannot be held against the log", WALKED_EVERY.total_seconds()),
                    (one_clearing, "blobs cannot be cleared away", SWEEP_SECONDS),
                    (rounds_of.duties, "duties cannot be watched", DUTIES_SECONDS),
                ):
                    group.create_task(in_rounds(work, stopping, trouble, interval_seconds=seconds))
        return False

    # Where the rooms cannot be opened yet, they are tried again.
    await in_rounds(rounds, stopping, _UNSWEPT, interval_seconds=_REOPEN_SECONDS)


async def _raise_alerts(settings: Settings, stopping: asyncio.Event) -> None:
    """Evaluate the log and deliver alerts until `stopping` is set."""
    told: str | None = None
    while not stopping.is_set():
        try:
            hooks = webhooks_of(settings)
            async with open_services(settings) as services, heartbeats(services):
                watch = AlertWatch(services, tuple(hook.name for hook in hooks))
                line = HttpWebhookLine()
                async with asyncio.TaskGroup() as group:
                    delivery = AlertDelivery(services, line, hooks, WebhookSecrets(settings, hooks).renewed)
                    group.create_task(run_alerts(watch, delivery, stopping))
                    group.create_task(run_notices(Notifier(services, line, _reach(settings)), stopping))
        except ExchangeError as exc:
            if told != exc.message:
                told = exc.message
                _log.error("no alerts are raised: %s", exc.message)
            await wait_for(stopping, _REOPEN_SECONDS)


def _reach(settings: Settings) -> Reach:
    authority = settings.webhook_authority_file
    return Reach(settings.private_networks, None if authority is None else str(authority))


def webhooks_of(settings: Settings) -> tuple[Webhook, ...]:
    """Return the webhooks with their secrets; UnsafeSettingError where one is missing, shared or none."""
    hooks = []
    for hook in settings.alert_webhooks:
        path = settings.instance_folder / hook.secret_file
        try:
            key = WebhookKey(read_secret(path).decode(errors="replace").strip())
        except CryptoError as exc:
            raise UnsafeSettingError(f"`{path}` is {exc}") from exc
        authority = None if hook.authority_file is None else str(settings.instance_folder / hook.authority_file)
        hooks.append(Webhook(hook.name, hook.url, key, is_private=hook.private, authority=authority))
    return tuple(hooks)


class WebhookSecrets:
    """Secrets of webhooks, read anew for each alert that is sent; one that is broken leaves the one before in use."""

    def __init__(self, settings: Settings, hooks: Sequence[Webhook]) -> None:
        self._settings = {
            each.name: settings.model_copy(update={"alert_webhooks": (each,)}) for each in settings.alert_webhooks
        }
        self._in_use = {each.name: each for each in hooks}
        self._told: dict[str, str] = {}

    def renewed(self, hook: Webhook) -> Webhook:
        """Return the webhook with the secret that lies there, or with the one that did last."""
        try:
            (self._in_use[hook.name],) = webhooks_of(self._settings[hook.name])
            self._told.pop(hook.name, None)
        except ExchangeError as exc:
            if self._told.get(hook.name) != exc.message:
                self._told[hook.name] = exc.message
                _log.error("the secret of webhook %s stays what it was: %s", hook.name, exc.message)
        return self._in_use[hook.name]


async def _kept_up(work: Callable[[], Awaitable[None]], name: str, stopping: asyncio.Event) -> None:
    """Do `work` to its end; where a fault ends it before, say so, and begin it again after a while."""
    while not stopping.is_set():
        try:
            await work()
        except Exception:  # noqa: BLE001  told, and begun again
            # A fault of ours there must not end the sequencer, nor go unseen, nor leave alerts unsent from then on.
            _log.exception("a fault ended what was beside the sequencer: %s", name)
            await wait_for(stopping, _REOPEN_SECONDS)
        else:
            return


def _witnessing(settings: Settings) -> Witnessing:
    return Witnessing(
        policy=WitnessPolicyFile(settings.witness_policy_file),
        witnessed=WitnessedFile(settings.witnessed_file),
        last_signed=LastSignedFile(settings.last_signed_file),
        quorum_seconds=settings.witness_quorum_seconds,
    )


def be_sequencer(settings: Settings, line: Connection) -> None:
    """Be the sequencer beside the workers, in a process of its own, until whoever started it ends it or is gone."""
    log_to_stderr()
    import uvloop  # noqa: PLC0415  an operator's verb starts without it

    uvloop.run(_sequence_beside(settings, line))


async def _sequence_beside(settings: Settings, line: Connection) -> None:
    stopping = asyncio.Event()
    stop_on_signals(stopping, interrupts=False)
    watch_supervisor(line, stopping)
    told: str | None = None
    while not stopping.is_set():
        try:
            await sequence(settings, stopping)
        except ExchangeError as exc:
            # Whatever keeps it from beginning may be mended while it waits: the service goes on meanwhile.
            if told != exc.message and not stopping.is_set():
                told = exc.message
                _log.error("the sequencer cannot begin: %s", exc.message)
            await wait_for(stopping, _REOPEN_SECONDS)
