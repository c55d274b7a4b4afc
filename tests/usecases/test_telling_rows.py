"""What was told of a row that is not what the log says is told once a day, and says nothing of another."""

from dataclasses import replace
from datetime import timedelta

from exchange.audit.rows_told import Contradiction, RowKind, RowName, RowTold
from exchange.usecases.life.telling_rows import NOTHING_DONE, TellingRows, contradicted_draft
from tests.support.placing import place_entries
from tests.support.world import World


async def test_row_that_was_told_of_by_another_process_is_told_anew_by_another_entry_or_a_day_later(
    populated: World,
) -> None:
    report = await populated.post()
    (posted,) = [entry for entry in await populated.entries() if entry["type"] == "report.posted"]
    told = RowTold(RowName(RowKind.REPORT, report), posted)
    found = Contradiction(told, "it was moved")
    made = await populated.attempt(
        populated.services.store.append(contradicted_draft(populated.services, found, NOTHING_DONE, {}))
    )
    await place_entries(populated, is_searchable=True)
    now, besides = populated.clock.now, replace(told, by={**posted, "id": report})

    assert [await TellingRows(populated.services).is_told(each, now) for each in (told, besides)] == [True, False]
    assert not await TellingRows(populated.services).is_told(told, now + timedelta(days=1, seconds=1))
    # Whoever may know of the report may know of this.
    for name in ("owner", "agreement", "label"):
        assert made.entry[name] == posted[name]
