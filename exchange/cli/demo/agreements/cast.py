"""Who takes part in the tour of agreements, and the texts that they negotiate."""

from datetime import date

from exchange.cli.demo.cast import MEMBERS, Player

__all__ = ["MEMBERS", "PLAYERS", "text_of_two", "text_with_third"]

TITLE = "Arrangement on warning of cyber threats"
SCOPE = "cyber-threats"
WARNINGS = "warnings"
CLAUSE = "cut-cable"
MARKING = "NATO SECRET//REL TO GBR, NOR"
WIDE_MARKING = "NATO SECRET//REL TO GBR, DNK, NOR"

GBR_SIGNATORY = Player("gbr-signatory", "GBR", "FCDO", ("signatory",))
NOR_SIGNATORY = Player("nor-signatory", "NOR", "UD", ("signatory",))
DNK_SIGNATORY = Player("dnk-signatory", "DNK", "UM", ("signatory",))
GBR_DESK = Player("gbr-desk", "GBR", "NCSC", ("contributor", "reader"))
NOR_DESK = Player("nor-desk", "NOR", "NSM", ("contributor", "reader"))
DNK_DESK = Player("dnk-desk", "DNK", "CFCS", ("reader",))
ESP_DESK = Player("esp-desk", "ESP", "CCN", ("reader",))
GBR_RELEASER = Player("gbr-releaser", "GBR", "NCSC", ("releaser",))
GBR_SECOND = Player("gbr-second-releaser", "GBR", "NCSC", ("releaser",))
GBR_AUDITOR = Player("gbr-auditor", "GBR", "NCSC", ("auditor",))

PLAYERS = (
    GBR_SIGNATORY,
    NOR_SIGNATORY,
    DNK_SIGNATORY,
    GBR_DESK,
    NOR_DESK,
    DNK_DESK,
    ESP_DESK,
    GBR_RELEASER,
    GBR_SECOND,
    GBR_AUDITOR,
)


def text_of_two(first_day: date) -> str:
    """Return the text that Britain proposes to Norway, in force from `first_day` on."""
    return _text(first_day, "GBR, NOR", TITLE)


def text_with_third(first_day: date, title: str = f"{TITLE}, with Denmark") -> str:
    """Return the text by which Denmark accedes as a reader; it says nothing of older reports, so it leaves them."""
    return _text(first_day, "GBR, NOR, DNK", title, more=_WARNINGS) + _CRISIS


_WARNINGS = f"""\
  - name: {WARNINGS}
    topics: [cyber]
    regions: [EUR]
    kinds: [threat-warning]
    purposes: [defence]
    ceiling: SECRET
    compartments: []
    contributors: [GBR]
    readers: [GBR, NOR]
    onward_release: originator-consent
    retention: P5Y
"""
_CRISIS = f"""\
crisis:
  - name: {CLAUSE}
    scope: {WARNINGS}
    readers: [DNK]
    at_most: PT72H
    signatories:
      - {{member: GBR, name: {GBR_SIGNATORY.name}}}
      - {{member: NOR, name: {NOR_SIGNATORY.name}}}
"""


def _text(first_day: date, parties: str, title: str, *, more: str = "") -> str:
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
    compartments: []
    contributors: [GBR, NOR]
    readers: [{parties}]
    onward_release: originator-consent
    retention: P5Y
{more}obligations:
  - {{party: NOR, scope: {SCOPE}, acknowledge: {{PRIORITY: PT1S}}}}
termination: {{notice: P90D, shared_reports: recalled}}
"""
