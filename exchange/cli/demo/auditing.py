"""The auditors' part of the demo: the originator's sees who read its report, another member's only its own slice."""

import asyncio
import time

from exchange.cli.demo import cast
from exchange.cli.demo.stage import Stage
from exchange.cli.instance import open_host
from exchange.client import ExchangeClient
from exchange.kernel import UnavailableError
from exchange.store.log.log_reader import LogReader
from exchange.wire import ShownEntryBody

_SEQUENCED_SECONDS = 60.0
"""An entry has its place in the log, where it can be found, within a second; a sequencer that starts on a busy machine
takes many."""

_LOOK_AGAIN_SECONDS = 0.2

_WITHHELD = ("label", "owner", "agreement", "scope")


async def await_checkpoint(stage: Stage) -> None:
    """Wait until all that was done has its place under a signed checkpoint: before it auditors see and verify nothing.

    The server must run: it is its sequencer that signs.
    """
    name = "every act has its place in the signed log"
    async with open_host(stage.folder) as host:
        with stage.script.step(name) as check:
            size = await _signed_size(host.services.store.log)
            check(f"{size} entries under the newest checkpoint", is_right=size > 0)


def look_at_the_log(stage: Stage) -> None:
    """Search as the originator's auditor and as another member's, and ask who could have read the first report."""
    with stage.script.step("the originator's auditor sees who asked for its report"):
        with stage.connect(cast.GBR_AUDITOR) as client:
            _see_all_of_a_report(stage, client)
            _see_who_could_read(stage, client)
        with stage.connect(cast.NOR_AUDITOR) as client:
            _see_own_slice(stage, client)


async def _signed_size(log: LogReader) -> int:
    """Return the size of the newest checkpoint, once there is one and nothing waits for its place."""
    deadline = time.monotonic() + _SEQUENCED_SECONDS
    while time.monotonic() < deadline:
        state, backlog = await log.state(), await log.backlog()
        if state is not None and state.note and not backlog.count:
            return state.size
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise UnavailableError(f"entries still wait for their place after {_SEQUENCED_SECONDS:.0f} s: see `serve.log`")


def _see_all_of_a_report(stage: Stage, client: ExchangeClient) -> None:
    wanted = {"GBR", "NOR", "DNK", "ESP"}
    found = _entries_of(client, stage.reports[0], wanted)
    members = {str(each.entry.get("member")) for each in found}
    refused = [each for each in found if each.entry["decision"] == "refused"]
    has_why = all(each.entry.get("reasons") for each in refused)
    told = (
        f"{len(found)} entries, {len(refused)} refusals, each with its reasons: {', '.join(sorted(members & wanted))}"
    )
    name = "the originator's auditor sees who asked for its report"
    stage.script.check(name, told, is_right=members >= wanted and bool(refused) and has_why)


def _see_who_could_read(stage: Stage, client: ExchangeClient) -> None:
    found = [client.readers_on(stage.reports[0], day.isoformat()) for day in stage.days()]
    could = {each.member for on in found for each in on.could}
    did = {each.member for on in found for each in on.did}
    told = f"could: {', '.join(sorted(could))}; did: {', '.join(sorted(did))}"
    is_right = could == {"GBR", "NOR"} and did == {"NOR"}
    stage.script.check("and who could have read it today, and who did", told, is_right=is_right)


def _see_own_slice(stage: Stage, client: ExchangeClient) -> None:
    found = list(client.audit_entries(event="report.read", outcome="refused"))
    is_own = {each.entry.get("member") for each in found} == {"NOR"}
    is_silent = not any(name in each.entry for each in found for name in _WITHHELD)
    # Only a client that was revoked was told a reason: it lies in the client alone.
    reasons = {str(each.entry["reasons"]) for each in found if "reasons" in each.entry}
    others = list(client.audit_entries(member="DNK", event="report.read"))
    told = f"{len(found)} refusals of its own clients, nothing of why; {len(others)} reads of others"
    name = "NOR's auditor sees its own slice"
    stage.script.check(
        name, told, is_right=bool(found) and is_own and is_silent and reasons == {"['client-suspended']"} and not others
    )


def _entries_of(client: ExchangeClient, report: str, members: set[str]) -> list[ShownEntryBody]:
    """Return the entries about a report, once those of all `members` have their places; what there is after a while."""
    deadline = time.monotonic() + _SEQUENCED_SECONDS
    while True:
        found = list(client.audit_entries(report=report))
        if {each.entry.get("member") for each in found} >= members or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_AGAIN_SECONDS)
