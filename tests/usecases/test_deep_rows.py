"""JSON in a row that is nested deeper than anything reads: one row that cannot be read, as any other."""

from exchange.store.log.alert_reader import ALERT_COLUMNS, alert_row
from tests.support.onward import LOW, ask, listed_requests, with_releasers
from tests.support.world import World
from tests.usecases.test_consultations import DISPUTE, listed, opened

DEEP = "[" * 100_000


async def test_deep_row_takes_no_other_from_who_lists(populated: World) -> None:
    world = await with_releasers(populated)
    deep, other = await ask(world, await world.post(label=LOW)), await ask(world, await world.post(label=LOW))
    world.sql("UPDATE onward_release SET asked = $1 WHERE id = $2", DEEP, deep)
    assert [view.row.id for view in await listed_requests(world, "GBR releaser")] == [other]

    matter, dispute = await opened(world), await opened(world, DISPUTE)
    world.sql("UPDATE consultation SET members = $1 WHERE id = $2", DEEP, matter.id)
    assert [each.id for each in await listed(world, "GBR signatory")] == [dispute.id]
    entries = [entry for entry in await world.entries() if entry["type"] == "key.opened"]
    assert {f"onward {deep}", f"consultation {matter.id}"} <= {entry["detail"]["place"] for entry in entries}


def test_alert_whose_evidence_is_that_deep_is_an_alert_still() -> None:
    assert alert_row([DEEP] * len(ALERT_COLUMNS)).evidence == ()
