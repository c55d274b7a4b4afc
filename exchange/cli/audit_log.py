"""`exchange audit sequence`, `resume` and `recover`: the log as its operator runs it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.cli import output
from exchange.cli.asking import YesOption, ask_meanwhile, is_asked
from exchange.cli.audit_group import audits
from exchange.cli.instance import Host, folder_of, read_bytes
from exchange.cli.log_keys import is_log_key_prepared, next_log_key, take_log_key
from exchange.cli.verbs import DirOption, JsonOption, host_verb, lasting_host_verb
from exchange.custody import load_log_key
from exchange.kernel import UnavailableError, to_micros
from exchange.settings import Settings, load_settings

if TYPE_CHECKING:
    from exchange.store import LogState
    from exchange.store.log.log_reader import LogReader

_ALIVE_AGAIN = (
    "what was ended after its last entry is alive again (revoked clients, recalled reports, erased personal data): end "
    "it again, and confirm it (`exchange restored list`), before which nothing serves: docs/log.md, Where it "
    "is frozen"
)
_LATE_SECONDS = 30.0
"""An entry waits a second at most; one that waits so long waits for a sequencer that is not there."""


@audits.command()
def sequence(
    dir: DirOption = None,  # noqa: A002  what the option is called
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether it is done: exit 1 where entries wait too long.")
    ] = False,
) -> None:
    """Give entries their places in the log and sign checkpoints, until stopped (`exchange serve` does it too)."""
    import uvloop

    from exchange.entrypoints.http.logs import log_to_stderr
    from exchange.kernel.hangup import outlive_hangup

    settings = load_settings(folder_of(dir))
    if check:
        asyncio.run(_require_sequenced(settings))
        output.show_line("entries have their places")
        return
    log_to_stderr()
    outlive_hangup()
    uvloop.run(_sequence(settings))


@audits.command()
@host_verb
async def resume(host: Host, as_json: JsonOption = False) -> None:
    """Let a frozen log sign again, where nothing contradicts it any more: the right database is back in its place."""
    from exchange.services import open_desk
    from exchange.usecases.log.recover_log import resume_log

    async with open_desk(host.settings) as desk:
        state = await resume_log(host.services, host.call(), desk)
    told = f"the log {state.origin} signs again, from {state.size} entries on"
    output.show_done({"id": state.origin, "size": state.size}, told, as_json=as_json)


@audits.command()
@lasting_host_verb
async def recover(
    host: Host,
    witnessed: Annotated[
        Path | None, typer.Option("--witnessed", help="The last checkpoint of the lost log that a witness holds.")
    ] = None,
    new_keys: Annotated[
        str | None,
        typer.Option(
            "--new-keys",
            metavar="WHY",
            help="Of a log that is not frozen too, as its keys are lost or were stolen; why, for the record.",
        ),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Begin a new log in place of a frozen one whose database is lost; its entry 0 tells what is known of the old."""
    from exchange.services import open_desk
    from exchange.usecases.log.recover_log import frozen_log, give_up_keys, log_with_keys, next_origin, recover_log

    note, log = None if witnessed is None else read_bytes(witnessed), host.services.store.log
    if (begun := await _begun_already(host.settings, log, is_prepared_alone=new_keys is not None)) is not None:
        await _tell_begun(host, *begun, as_json=as_json)
        return
    call = host.call()
    key = None
    if new_keys is not None:
        await log_with_keys(host.services, call)
        # The keys of the log that is given up may be on no disk any more.
        key = next_log_key(host.settings, await next_origin(log))
    async with open_desk(host.settings, key=key) as desk:
        old = await (frozen_log(call, desk) if new_keys is None else log_with_keys(host.services, call))
        origin = await next_origin(log)
        if is_asked(yes=yes):
            await ask_meanwhile("ends this log and begins another one, with new keys", _outlook(old, origin, new_keys))
            call = host.call()
        if new_keys is not None:
            await give_up_keys(host.services, call, desk, new_keys)
        if key is None:
            key = load_log_key(host.settings.log_key_file)
        if key.origin != origin:
            key = next_log_key(host.settings, origin)
        recovered = await recover_log(host.services, call, desk, key=key, witnessed=note)
    take_log_key(host.settings, origin)
    await _tell_begun(host, recovered.origin, recovered.old.origin, as_json=as_json)


def _outlook(old: "LogState", origin: str, new_keys: str | None) -> dict[str, object]:
    told: dict[str, object] = {"ends": old.origin, "at": f"{old.size} entries", "begins": origin}
    if new_keys is None:
        instead = "`exchange audit resume`, where the right database can be put back in its place"
        return {**told, "frozen because": old.frozen_why, "instead": instead}
    instead = "`log.key` from the escrow or another node, where it is lost and nobody else has it"
    return {**told, "its keys": f"sign nothing more: {new_keys}", "instead": instead}


async def _begun_already(settings: Settings, log: "LogReader", *, is_prepared_alone: bool) -> tuple[str, str] | None:
    """Finish a recovery that was stopped once its log had begun; return that log and the one before it.

    With `is_prepared_alone` only where its keys wait: those in use are the ones to be given up.
    """
    if is_prepared_alone and not is_log_key_prepared(settings):
        return None
    *_, old, new = (None, None, *await log.states())
    if old is None or new is None or new.frozen_why is not None or not take_log_key(settings, new.origin):
        return None
    return new.origin, old.origin


async def _tell_begun(host: Host, origin: str, old: str, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"id": origin, "old": old})
        return
    output.show_line(
        f"the log {origin} begins; nodes beside this one need its key file, witnesses and auditors `log/verifier-keys`"
    )
    # After a restore each of it may be confirmed already, and of keys that were given up nothing came back.
    if await host.services.store.open_restore_claims():
        output.show_line(_ALIVE_AGAIN)


async def _require_sequenced(settings: Settings) -> None:
    from exchange.services import open_services

    async with open_services(settings) as services:
        state, backlog = await services.store.log.state(), await services.store.log.backlog()
        now_micros = to_micros(services.clock())
    if state is not None and state.frozen_why is not None:
        raise UnavailableError(f"the log is frozen and signs nothing: {state.frozen_why}")
    if backlog.oldest_at is not None and now_micros - backlog.oldest_at > _LATE_SECONDS * 1_000_000:
        raise UnavailableError("entries wait for their places: no sequencer is at work")


async def _sequence(settings: Settings) -> None:
    from exchange.entrypoints.jobs.sequencer import stop_on_signals
    from exchange.services import sequence

    stopping = asyncio.Event()
    stop_on_signals(stopping, interrupts=True)
    output.show_line("sequencing")
    await sequence(settings, stopping)
