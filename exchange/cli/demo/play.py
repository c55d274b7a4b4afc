"""The demo's story in order."""

import asyncio

from exchange.cli.demo import cast
from exchange.cli.demo.auditing import await_checkpoint, look_at_the_log
from exchange.cli.demo.convicting import convict, verify_apart
from exchange.cli.demo.evidence import check_log, search_disk
from exchange.cli.demo.exchanging import exchange_reports, sign_by_all
from exchange.cli.demo.operating import read_log, revoke, set_up
from exchange.cli.demo.refusing import refuse_everybody, refuse_revoked, refuse_strangers
from exchange.cli.demo.server import check_server, running_server
from exchange.cli.demo.stage import Stage


def perform(stage: Stage) -> None:
    """Play it; every outcome goes to the script. Raises StepFailedError where nothing sensible can follow."""
    script = stage.script
    script.chapter("The operator sets up the exchange")
    asyncio.run(set_up(stage))
    with script.step("the server starts"), running_server(stage):
        check_server(stage)
        _meet(stage)
    search_disk(stage, "server stopped")
    script.chapter("Everything is on the record")
    asyncio.run(read_log(stage))
    check_log(stage)
    script.chapter("An auditor who trusts nobody")
    verify_apart(stage)
    convict(stage)


def _meet(stage: Stage) -> None:
    script = stage.script
    script.chapter("The parties sign")
    sign_by_all(stage)
    script.chapter("Two states exchange a report")
    exchange_reports(stage)
    script.chapter("Everybody else is refused")
    refuse_everybody(stage)
    asyncio.run(revoke(stage, cast.NOR_REVOKED))
    refuse_revoked(stage)
    refuse_strangers(stage)
    script.chapter("Auditors look at the log, each at its own slice")
    asyncio.run(await_checkpoint(stage))
    look_at_the_log(stage)
    script.chapter("Nothing lies about in the clear")
    search_disk(stage, "server running")
