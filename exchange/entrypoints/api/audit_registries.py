"""Registries for auditors: who received what, and who could have read a report on a day."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from starlette.responses import Response

from exchange.entrypoints.api.parameters import AFTER, CLIENT_ID, LIMIT, REPORT_ID, page_limit
from exchange.entrypoints.http.routing import Operation, Parameter, answered
from exchange.entrypoints.http.visit import Visit, query_fault
from exchange.kernel import Fault, InvalidError, MalformedError, first_moment, parse_day, parse_rfc3339
from exchange.release import View
from exchange.usecases import CouldRead, FoundEntry, Leaf, ReadersOn, client_registry, readers_on, report_registry
from exchange.wire import (
    ClientRegistryBody,
    LabelBody,
    ReaderBody,
    ReadersBody,
    ReadingAgencyBody,
    ReadingClientBody,
    RegistryLineBody,
    ReportRegistryBody,
)


@Operation(
    method="GET",
    path="/v1/audit/reports/{id}/registry",
    action="audit.report-registry",
    answer=ReportRegistryBody,
    parameters=(REPORT_ID, AFTER, LIMIT),
)
async def of_report(visit: Visit) -> Response:
    """Who was given what of a report, and when: for its originator's auditor and the exchange's."""
    recorded = await report_registry(visit.services, visit.call, visit.path["id"], _leaf(visit))
    told = recorded.value
    body = ReportRegistryBody(
        id=told.report.id,
        version=told.report.version,
        originator=told.facts.originator,
        agreement=told.facts.agreement,
        scope=told.facts.scope,
        kind=told.facts.kind,
        topic=told.facts.topic,
        label=LabelBody.of(told.facts.label),
        posted_at=told.report.posted_at,
        valid_until=told.report.valid_until,
        status=told.status.value,
        items=[_line(found) for found in told.lines],
        next=told.next,
    )
    return answered(recorded, body)


@Operation(
    method="GET",
    path="/v1/audit/clients/{id}/registry",
    action="audit.client-registry",
    answer=ClientRegistryBody,
    parameters=(CLIENT_ID, AFTER, LIMIT),
)
async def of_client(visit: Visit) -> Response:
    """What a client was given, and when: for its own member's auditor and the exchange's."""
    recorded = await client_registry(visit.services, visit.call, visit.path["id"], _leaf(visit))
    told = recorded.value
    body = ClientRegistryBody(
        id=told.client.id,
        name=told.client.name,
        member=told.client.member,
        agency=told.client.agency,
        standing=told.client.standing.value,
        items=[_line(found) for found in told.lines],
        next=told.next,
    )
    return answered(recorded, body)


@Operation(
    method="GET",
    path="/v1/audit/reports/{id}/readers",
    action="audit.readers",
    answer=ReadersBody,
    parameters=(
        REPORT_ID,
        Parameter(
            "on", "query", "A date (UTC) or a moment.", {"type": "string", "example": "2026-06-01"}, required=True
        ),
    ),
)
async def readers(visit: Visit) -> Response:
    """Who could have read a report on a day or at a moment, and who did, answered from history."""
    query = visit.read_query()
    since, until = _period(query.get("on"))
    recorded = await readers_on(visit.services, visit.call, visit.path["id"], since, until)
    told = recorded.value
    body = ReadersBody(
        id=told.report.id,
        since=told.since,
        until=told.until,
        could=_agencies(told),
        did=[
            ReaderBody(
                client=each.client,
                member=each.member,
                agency=each.agency,
                count=each.count,
                first=each.first,
                last=each.last,
                entry=each.entry,
            )
            for each in told.did
        ],
        laws=list(told.laws),
        law=told.law,
    )
    return answered(recorded, body)


def _leaf(visit: Visit) -> Leaf:
    query = visit.read_query()
    return Leaf(query.get("after"), page_limit(query))


def _line(found: FoundEntry) -> RegistryLineBody:
    shown: Mapping[str, Any] = found.view.fields
    label, held, detail = shown.get("label"), shown.get("object", {}), shown.get("detail", {})
    is_report = held.get("type") == "report"
    return RegistryLineBody(
        at=parse_rfc3339(shown["ts"]),
        event=shown["type"],
        how=detail.get("how"),
        client=shown["actor"].get("id"),
        member=shown.get("member"),
        agency=shown.get("agency"),
        report=held["id"] if is_report else None,
        version=held.get("version") if is_report else None,
        part=detail.get("part"),
        size_bytes=shown.get("bytes"),
        purpose=shown.get("purpose"),
        agreement=shown.get("agreement"),
        label=None if label is None else LabelBody.model_validate(label),
        reports=shown.get("result_ids"),
        entry=found.receipt.entry,
        leaf=found.receipt.leaf,
    )


def _agencies(told: ReadersOn) -> list[ReadingAgencyBody]:
    grouped = groupby(told.could, key=lambda each: (each.member, each.agency))
    return [_agency(member, agency, list(group), told.shows_clients) for (member, agency), group in grouped]


def _agency(member: str, agency: str, could: list[CouldRead], shows_clients: str | None) -> ReadingAgencyBody:
    # As in a simulation: how many clients another member has, not which.
    shown = [ReadingClientBody(id=each.client, view=each.view.value, since=each.since) for each in could]
    return ReadingAgencyBody(
        member=member,
        agency=agency,
        full=sum(each.view is View.FULL for each in could),
        tear_line=sum(each.view is View.TEAR_LINE for each in could),
        clients=shown if shows_clients in {None, member} else None,
    )


def _period(on: str | None) -> tuple[datetime, datetime | None]:
    """Return the day or the moment that is asked about."""
    if on is None:
        raise InvalidError("the query has faults", (Fault("/on", "missing-field", "give a date, such as 2026-06-01"),))
    try:
        day = first_moment(parse_day(on))
    except MalformedError:
        try:
            return parse_rfc3339(on), None
        except MalformedError as exc:
            why = f"`{on[:40]}` is neither a day nor a moment: write 2026-01-31 or 2026-01-31T12:00:00Z"
            raise query_fault("on", why) from exc
    # The calendar's last day has no end in it; like every other day to come it is refused for that.
    return day, None if day.date() == date.max else day + timedelta(days=1)


OPERATIONS = (of_report, of_client, readers)
