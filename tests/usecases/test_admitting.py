"""Who is admitted at all, and what its entry says of it: whatever it asks for."""

import dataclasses
from datetime import timedelta

import pytest

from exchange import usecases
from exchange.audit import EventName
from exchange.kernel import NotAuthenticatedError
from exchange.members import Role
from exchange.usecases import ListQuery
from tests.support.world import NOW, World, thumbprint_of
from tests.usecases.test_roles import token_of


async def test_host_is_no_caller_to_be_described(populated: World) -> None:
    with pytest.raises(NotAuthenticatedError, match="client certificate"):
        await usecases.describe_caller(populated.services, populated.call(None))


async def test_operator_that_asks_for_a_report_is_recorded_with_its_id(populated: World) -> None:
    report = await populated.post()
    made = await populated.attempt(usecases.pull_report(populated.services, populated.call("operator"), report))

    # Its originator sees who tried.
    assert (made.entry["object"], made.entry["owner"]) == ({"type": "report", "id": report}, "GBR")


async def test_certificate_that_was_removed_is_a_stranger_at_once(populated: World) -> None:
    reader = populated.clients["NOR reader"]
    await usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery())
    await usecases.remove_certificate(populated.services, populated.call(None), reader.id, thumbprint_of("NOR reader"))
    for act in (
        usecases.describe_caller(populated.services, populated.call("NOR reader")),
        usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery()),
    ):
        assert isinstance((await populated.attempt(act)).error, NotAuthenticatedError)


async def test_entry_says_who_called_with_the_clearance_it_had_then(populated: World) -> None:
    reader = await populated.enrol("analyst", "NOR", "reader", compartments=("ATOMAL",))
    call = populated.call("analyst")
    made = await populated.attempt(usecases.describe_caller(populated.services, call))

    assert made.value.value == reader
    assert made.entry["actor"] == {"kind": "client", "id": reader.id, "thumbprint": token_of(populated, "analyst")}
    assert (made.entry["member"], made.entry["agency"]) == ("NOR", "NCSC")
    assert made.entry["clearance"]["level"] == "SECRET"
    assert made.entry["clearance"]["compartments"] == ["ATOMAL"]
    assert (made.entry["request_id"], made.entry["source"]) == (
        call.request_id,
        usecases.search_tokens(populated.services).of_address(call.source),
    )


async def test_authenticate_alone_records_refusals_only(populated: World) -> None:
    passed = await populated.attempt(
        usecases.authenticate(
            populated.services, populated.call("NOR reader"), Role.READER, event=EventName.REPORT_READ
        )
    )
    refused = await populated.attempt(
        usecases.authenticate(
            populated.services, populated.call("NOR reader"), Role.SIGNATORY, Role.OPERATOR, event=EventName.REPORT_READ
        )
    )

    assert passed.entries == []
    assert refused.error is not None
    assert "`operator` or `signatory`" in refused.error.message
    assert refused.entry["reasons"] == ["role-missing"]


@pytest.mark.parametrize(
    ("thumbprint", "kind"),
    [(thumbprint_of("NOR reader"), "client"), (thumbprint_of("stranger"), "unknown"), (None, "host")],
)
async def test_rejection_holds_the_route_and_nothing_that_was_typed(
    populated: World, thumbprint: str | None, kind: str
) -> None:
    call = dataclasses.replace(populated.call(None), thumbprint=thumbprint)
    made = await populated.attempt(
        usecases.record_rejection(populated.services, call, method="GET", route="/v1/reports/{id}", code="malformed")
    )

    assert made.value.entry == made.entry["id"]
    assert (made.entry["type"], made.entry["decision"]) == ("route.requested", "refused")
    assert made.entry["detail"] == {"method": "GET", "route": "/v1/reports/{id}", "code": "malformed"}
    assert made.entry["actor"]["kind"] == kind
    assert "object" not in made.entry


async def test_clearance_is_no_part_of_authentication(populated: World) -> None:
    await populated.enrol("formerly cleared", "NOR", "reader", until=NOW - timedelta(days=1))
    made = await populated.attempt(usecases.describe_caller(populated.services, populated.call("formerly cleared")))

    assert made.value.value.clearance.until == NOW - timedelta(days=1)
