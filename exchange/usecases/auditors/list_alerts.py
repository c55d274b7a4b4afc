"""List alerts to auditors: those whose entries are in the auditor's own slice; each look is an entry itself.

Steps: (1) the caller is an auditor; (2) what it asks for can be asked; (3) alerts behind the cursor whose entries it
may see; (4) the entry about the look is durable; (5) answer.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from exchange.audit import Detail, Entry, EventName, Outcome, fit_text
from exchange.kernel import Fault, InvalidError, parse_rfc3339, to_micros
from exchange.store.rows.alert_rows import AlertRow
from exchange.usecases.auditors.auditing import Gaze, admit_auditor, views_of
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.positions import open_position, seal_position
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.whole_entries import whole_entry

_ORDER: Final = "alert"
_LONGEST_RULE: Final = 64
_CHUNK: Final = 200


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """What an auditor asks for. `limit` is 1..500; `cursor` is `next` of an earlier page."""

    rule: str | None = None
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class FoundAlerts:
    """A page of alerts, oldest first, and the cursor behind it: more will follow."""

    items: tuple[AlertRow, ...]
    next: str


async def list_alerts(services: Services, call: Call, query: AlertQuery) -> Recorded[FoundAlerts]:
    """Return alerts that the caller may see, in the order in which they were raised.

    Raises ForbiddenError without the auditor's role, MalformedError for a foreign or forged cursor, InvalidError for
    a rule whose name no rule can have.
    """
    # (1) who
    gaze = await admit_auditor(services, call, event=EventName.ALERT_LISTED)
    asked: Detail = {"limit": query.limit}
    if query.rule is not None:
        asked["rule"] = query.rule
    # (2) can it be asked
    async with on_record(services, draft(call, gaze.client, EventName.ALERT_LISTED, Outcome.REFUSED)):
        _check(query)
        after = open_position(services, gaze.client, query.cursor, of=_ORDER)
    # (3) what it may see
    found: list[AlertRow] = []
    async for alert, is_seen in _behind(services, gaze, query.rule, after):
        after = alert.number
        found += [alert] if is_seen else []
        if len(found) == query.limit:
            break
    # (4) INVARIANT: nothing leaves before the entry about it is durable.
    ids = tuple(alert.entry_id for alert in found)
    receipt = await services.store.append(
        draft(call, gaze.client, EventName.ALERT_LISTED, Outcome.PERMITTED, detail=asked, result_ids=ids)
    )
    # (5) the answer
    return Recorded(FoundAlerts(tuple(found), seal_position(services, gaze.client, after, of=_ORDER)), receipt)


async def _behind(services: Services, gaze: Gaze, rule: str | None, after: int) -> AsyncIterator[tuple[AlertRow, bool]]:
    """Yield alerts that concern the auditor's member, and whether it may see their entries: the slice decides."""
    while True:
        page = await services.store.alerts.page(after=after, limit=_CHUNK, rule=rule, member=gaze.auditor.member)
        # One that is damaged keeps no auditor from the others.
        whole = {alert.number: entry for alert, content in page if (entry := whole_entry(content)) is not None}
        views = dict(zip(whole, await views_of(services, gaze, list(whole.values())), strict=True))
        for alert, _ in page:
            entry = whole.get(alert.number)
            told = None if entry is None else _as_recorded(alert, entry)
            yield told or alert, told is not None and views[alert.number] is not None
            after = alert.number
        if len(page) < _CHUNK:
            return


def _as_recorded(row: AlertRow, entry: Entry) -> AlertRow | None:
    """Return the alert as its entry has it: the row says where it is, and nothing of what; None for another entry."""
    detail, subject = entry.get("detail", {}), entry.get("object")
    if entry["type"] != EventName.ALERT_RAISED.value or detail.get("alert") != row.id or subject is None:
        return None  # the row was altered: the jobs and the verification tell of it
    evidence = detail.get("evidence")
    raised_at = parse_rfc3339(str(detail["raised_at"])) if "raised_at" in detail else parse_rfc3339(entry["ts"])
    return replace(
        row,
        rule=str(detail.get("rule")),
        kind=str(detail.get("kind")),
        severity=str(detail.get("severity")),
        subject_kind=subject["type"],
        subject_id=subject["id"],
        member=entry.get("member"),
        owner=entry.get("owner"),
        raised_at=to_micros(raised_at),
        evidence=tuple(evidence) if isinstance(evidence, list) else (),
    )


def _check(query: AlertQuery) -> None:
    rule = query.rule
    if rule is not None and not (0 < len(rule) <= _LONGEST_RULE and fit_text(rule) == rule):
        fault = Fault("/rule", "invalid-value", f"use 1 to {_LONGEST_RULE} characters of text")
        raise InvalidError("alerts cannot be listed so", (fault,))
