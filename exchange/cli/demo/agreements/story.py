"""The tour's story in order."""

import asyncio

from exchange.cli.demo.agreements import cast
from exchange.cli.demo.agreements.crisis import open_and_close
from exchange.cli.demo.agreements.falling_out import consult
from exchange.cli.demo.agreements.negotiating import amend, negotiate, suspend
from exchange.cli.demo.agreements.releasing import release_onward
from exchange.cli.demo.agreements.reporting import post, require_pulled
from exchange.cli.demo.convicting import verify_apart
from exchange.cli.demo.operating import enrol_everybody, make_stage, read_log
from exchange.cli.demo.server import check_server, running_server
from exchange.cli.demo.stage import Stage
from exchange.cli.instance import open_host


def perform_agreements(stage: Stage) -> None:
    """Play it; every outcome goes to the script. Raises StepFailedError where nothing sensible can follow."""
    script = stage.script
    script.chapter("The operator sets up the exchange")
    asyncio.run(_set_up(stage))
    with script.step("the server starts"), running_server(stage):
        check_server(stage)
        _meet(stage)
    script.chapter("Everything is on the record, and verified by who trusts nobody")
    asyncio.run(read_log(stage))
    verify_apart(stage)


async def _set_up(stage: Stage) -> None:
    await make_stage(stage)
    async with open_host(stage.folder) as host:
        with stage.script.step("members and clients are enrolled"):
            await enrol_everybody(stage, host, cast.MEMBERS, cast.PLAYERS)


def _meet(stage: Stage) -> None:
    script = stage.script
    script.chapter("Two states negotiate a treaty")
    negotiate(stage)
    script.chapter("They exchange a report under it")
    with script.step("a report is exchanged"):
        require_pulled(stage, cast.NOR_DESK, post(stage, cast.GBR_DESK, cast.MARKING))
    script.chapter("A third state asks for onward release")
    release_onward(stage)
    script.chapter("The treaty is amended, and a third state accedes")
    amend(stage)
    script.chapter("A crisis clause opens and closes")
    open_and_close(stage)
    script.chapter("A promise is broken, and the states consult")
    consult(stage)
    script.chapter("A state suspends its part")
    suspend(stage)
