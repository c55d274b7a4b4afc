"""Who takes part in the demo, what they agree on, and how the reports are marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MEMBERS: Mapping[str, str] = {"GBR": "United Kingdom", "NOR": "Norway", "DNK": "Denmark", "ESP": "Spain"}
PARTIES = ("GBR", "NOR", "DNK")

TITLE = "Demonstration arrangement on cyber threats"
SCOPE = "cyber-threats"
COMPARTMENT = "EXERCISE-AURORA"
MARKING = "NATO SECRET//REL TO GBR, NOR"
COMPARTMENTED_MARKING = f"NATO SECRET//{COMPARTMENT}//REL TO GBR, NOR"
SUBJECT = "Signed updates of a network management product carry a backdoor"


@dataclass(frozen=True, slots=True)
class Player:
    """One client of the demo. `until_days` ends its clearance that many days from now."""

    name: str
    member: str
    agency: str
    roles: tuple[str, ...]
    level: str = "SECRET"
    compartments: tuple[str, ...] = ()
    until_days: int | None = None

    def until(self, now: datetime) -> datetime | None:
        """Return the end of its clearance."""
        return None if self.until_days is None else now + timedelta(days=self.until_days)


GBR = Player("gbr-desk", "GBR", "NCSC", ("contributor", "reader", "signatory"), compartments=(COMPARTMENT,))
NOR = Player("nor-desk", "NOR", "NSM", ("reader", "signatory"), compartments=(COMPARTMENT,))
DNK = Player("dnk-desk", "DNK", "CFCS", ("reader", "signatory"), compartments=(COMPARTMENT,))
ESP = Player("esp-desk", "ESP", "CCN", ("reader", "signatory"), compartments=(COMPARTMENT,))
NOR_EXPIRED = Player("nor-expired", "NOR", "NSM", ("reader",), compartments=(COMPARTMENT,), until_days=-1)
NOR_LOWER = Player("nor-restricted", "NOR", "NSM", ("reader",), level="RESTRICTED", compartments=(COMPARTMENT,))
NOR_PLAIN = Player("nor-no-compartment", "NOR", "NSM", ("reader",))
NOR_REVOKED = Player("nor-revoked", "NOR", "NSM", ("reader",))
OPERATOR = Player("exchange-operator", "EXCHANGE", "OPS", ("operator",), level="TOP SECRET")
GBR_AUDITOR = Player("gbr-auditor", "GBR", "NCSC", ("auditor",), compartments=(COMPARTMENT,))
NOR_AUDITOR = Player("nor-auditor", "NOR", "NSM", ("auditor",), compartments=(COMPARTMENT,))

PLAYERS = (GBR, NOR, DNK, ESP, NOR_EXPIRED, NOR_LOWER, NOR_PLAIN, NOR_REVOKED, OPERATOR, GBR_AUDITOR, NOR_AUDITOR)


def agreement_text(today: date) -> str:
    """Return the agreement of the demo as its parties would write it; in force from `today` on, once signed."""
    owed = f"{{party: all, scope: {SCOPE}, acknowledge: {{FLASH: PT10M, IMMEDIATE: PT30M}}}}"
    return treaty_text(today, TITLE, ", ".join(PARTIES), owed, compartments=COMPARTMENT)


def treaty_text(first_day: date, title: str, parties: str, owed: str, *, compartments: str = "", more: str = "") -> str:
    """Return a text in force from `first_day` on, under which `owed` is owed; `more` are scopes behind its first."""
    last = first_day.replace(year=first_day.year + 4, day=1)
    return f"""\
title: {title}
parties: [{parties}]
policy: NATO
validity: {{from: {first_day}, until: {last}, review_every: P1Y}}
scopes:
  - name: {SCOPE}
    topics: [cyber]
    regions: [EUR]
    kinds: [intrep, threat-warning]
    purposes: [defence]
    ceiling: SECRET
    compartments: [{compartments}]
    contributors: [GBR, NOR]
    readers: [{parties}]
    onward_release: originator-consent
    retention: P5Y
{more}obligations:
  - {owed}
termination: {{notice: P90D, shared_reports: recalled}}
"""
