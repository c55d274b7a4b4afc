"""What a report builds on: what is gone consents to nothing, and its originator and who stands lower are not asked."""

from dataclasses import replace
from datetime import timedelta

from exchange import usecases
from exchange.kernel import ConflictError, NotFoundError
from tests.support import onward
from tests.support.deriving import LOW, MIDDLE, ask, derive, grant
from tests.support.world import World


def remove(world: World, report: str) -> None:
    """Take a report out of the database, as nobody but its owner can."""
    for table in ("report_part", "report"):
        world.unguard(table)
        world.sql(f"DELETE FROM {table} WHERE {'id' if table == 'report' else 'report_id'} = $1", report)


async def test_what_builds_on_a_report_that_is_gone_is_passed_on_and_marked_lower_by_nobody(deriving: World) -> None:
    await deriving.enrol("GBR analyst", "GBR", "contributor", "reader")
    source = await deriving.post(label=MIDDLE)
    derived = await derive(deriving, source, label=MIDDLE)
    further = await onward.ask(deriving, derived, "GBR analyst", recipient="ESP")
    lower = await ask(deriving, derived, "GBR analyst", lowest=replace(LOW, releasable_to=("GBR", "NOR")))
    remove(deriving, source)
    refused = [
        await deriving.attempt(act)
        for act in (onward.grant(deriving, further, "NOR analyst"), grant(deriving, lower, "NOR analyst"))
    ]

    for each in refused:
        assert isinstance(each.error, ConflictError)
        assert (each.error.code, each.entry["decision"]) == ("originator-control", "refused")


async def test_originator_of_a_source_is_given_what_was_made_of_it_without_its_consent(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    await grant(deriving, await ask(deriving, source, until=deriving.clock.now + timedelta(hours=1)))
    derived = await derive(deriving, source, label=replace(LOW, releasable_to=("DNK", "NOR")))
    deriving.clock.advance(timedelta(hours=2))
    for recipient in ("GBR", "ESP"):
        request = await onward.ask(deriving, derived, "DNK reader", recipient=recipient)
        made = await deriving.attempt(onward.grant(deriving, request, "NOR analyst"))
        assert (made.error is None) == (recipient == "GBR"), recipient

    assert (await onward.read(deriving, derived, "GBR reader")).parts


async def test_what_stands_no_higher_than_the_label_is_not_asked_about(deriving: World) -> None:
    await deriving.enrol("GBR analyst", "GBR", "contributor", "reader")
    root = await deriving.post(label=LOW)
    middle = await derive(deriving, root, label=MIDDLE)
    request = await ask(deriving, middle, "GBR analyst")
    await grant(deriving, request, "NOR analyst")
    body = deriving.posted(label=LOW, references=(middle,))
    made = await deriving.attempt(usecases.post_report(deriving.services, deriving.call("GBR analyst"), body))

    assert made.entry["detail"] == {"consents": [request]}


async def test_request_about_a_report_that_is_gone_is_as_absent_to_who_made_it(deriving: World) -> None:
    source = await deriving.post(label=MIDDLE)
    request = await ask(deriving, source)
    remove(deriving, source)
    act = usecases.withdraw_derivation(deriving.services, deriving.call("NOR analyst"), request)
    made = await deriving.attempt(act)

    assert isinstance(made.error, NotFoundError)
    assert (made.entry["type"], made.entry["decision"]) == ("derivation.withdrawn", "refused")
