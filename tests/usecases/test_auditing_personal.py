"""Auditors find personal data beside the entries that they see, as far as it is theirs to read and not erased."""

from exchange import usecases
from exchange.audit import Criteria, PersonalData, Unrevealed
from exchange.usecases import EntryQuery, FoundEntry, WantedErasure
from tests.support.world import World, thumbprint_of


async def found(world: World, auditor: str, client: str) -> FoundEntry:
    """Return the newest entry of a client, by search and by its id alike."""
    world.sequence()
    query = EntryQuery(Criteria(client=world.clients[client].id), limit=1)
    page = await usecases.search_entries(world.services, world.call(auditor), query)
    (entry,) = page.value.items
    shown = await usecases.show_entry(world.services, world.call(auditor), entry.receipt.entry)

    assert shown.value == entry
    return entry


async def test_auditor_reads_personal_data_until_it_is_erased(populated: World) -> None:
    await usecases.describe_caller(populated.services, populated.call("NOR reader"))
    before = await found(populated, "auditor", "NOR reader")
    wanted = WantedErasure(populated.clients["NOR reader"].id, "2026-06", "because")
    asked = await usecases.request_erasure(populated.services, populated.call("operator"), wanted)
    await usecases.approve_erasure(populated.services, populated.call("auditor"), asked.value.act.id)
    after = await found(populated, "auditor", "NOR reader")

    assert before.personal == PersonalData("NOR reader", "192.0.2.7", thumbprint_of("NOR reader"))
    assert after.personal is Unrevealed.ERASED
    assert (after.view, after.receipt) == (before.view, before.receipt)


async def test_originator_s_auditor_reads_who_read_and_not_from_where(populated: World) -> None:
    await populated.enrol("GBR auditor", "GBR", "auditor")
    report = await populated.post()
    await usecases.pull_report(populated.services, populated.call("NOR reader"), report)

    foreign = await found(populated, "GBR auditor", "NOR reader")
    own = await found(populated, "GBR auditor", "GBR contributor")
    assert (foreign.view.fields["type"], foreign.personal) == ("report.read", None)
    assert own.personal == PersonalData("GBR contributor", "192.0.2.7", thumbprint_of("GBR contributor"))
