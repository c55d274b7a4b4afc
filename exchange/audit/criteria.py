"""What an auditor looks for. A filter finds what the view shows and nothing else: what is withheld cannot be probed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import cast

from exchange.audit.slice import EntryView
from exchange.kernel import parse_rfc3339, rfc3339

CRISIS_POLICY = "crisis/"
"""How a crisis is named among the policies of an entry: what it tells of would not have been released without it."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Filters, all of which must hold; None asks for nothing.

    `since` is inclusive, `until` exclusive; `subject` is the id of what was acted on (a report, client, agreement);
    `client` the id of who acted; `text` stands in at least one reason code. `source` and `thumbprint` are the search
    tokens of an address and of a certificate. `crisis` is the id of one without which nothing, or less, would have been
    released.
    """

    since: datetime | None = None
    until: datetime | None = None
    member: str | None = None
    agency: str | None = None
    client: str | None = None
    subject: str | None = None
    owner: str | None = None
    agreement: str | None = None
    event: str | None = None
    outcome: str | None = None
    level: str | None = None
    reason: str | None = None
    text: str | None = None
    source: str | None = None
    thumbprint: str | None = None
    crisis: str | None = None

    @property
    def asks_for_judgement(self) -> bool:
        """Return whether a filter is about what only a judged access has, which a refusal's view withholds."""
        return any(given is not None for given in (self.owner, self.agreement, self.level, self.crisis))

    @property
    def asks_for_reasons(self) -> bool:
        """Return whether a filter is about why something was refused."""
        return self.reason is not None or self.text is not None

    def as_detail(self) -> dict[str, str | int | list[str]]:
        """Return the filters for the entry about the search."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in given.items()
            if value is not None
        }


def matches(view: EntryView, criteria: Criteria) -> bool:
    """Return whether what the view shows meets every filter."""
    shown = view.fields
    moment = parse_rfc3339(str(shown["ts"]))
    if criteria.since is not None and moment < criteria.since:
        return False
    if criteria.until is not None and moment >= criteria.until:
        return False
    return _equals(shown, criteria) and _gives_reason(shown, criteria) and _is_of_crisis(shown, criteria)


def _equals(shown: Mapping[str, object], criteria: Criteria) -> bool:
    asked = (
        (criteria.member, shown.get("member")),
        (criteria.agency, shown.get("agency")),
        (criteria.client, _within(shown, "actor", "id")),
        (criteria.subject, _within(shown, "object", "id")),
        (criteria.owner, shown.get("owner")),
        (criteria.agreement, shown.get("agreement")),
        (criteria.event, shown.get("type")),
        (criteria.outcome, shown.get("decision")),
        (criteria.level, _within(shown, "label", "classification")),
        (criteria.source, shown.get("source")),
        (criteria.thumbprint, _within(shown, "actor", "thumbprint")),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _gives_reason(shown: Mapping[str, object], criteria: Criteria) -> bool:
    reasons = _listed(shown, "reasons")
    if criteria.reason is not None and criteria.reason not in reasons:
        return False
    return criteria.text is None or any(criteria.text in reason for reason in reasons)


def _is_of_crisis(shown: Mapping[str, object], criteria: Criteria) -> bool:
    return criteria.crisis is None or f"{CRISIS_POLICY}{criteria.crisis}" in _listed(shown, "policies")


def _listed(shown: Mapping[str, object], name: str) -> list[str]:
    return cast("list[str]", shown.get(name, []))


def _within(shown: Mapping[str, object], name: str, inner: str) -> object:
    value = shown.get(name)
    return value.get(inner) if isinstance(value, Mapping) else None
