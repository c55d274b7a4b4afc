"""Who takes part in the tour of agreements, and the texts that they negotiate."""

from datetime import date

from exchange.cli.demo.cast import MARKING, MEMBERS, SCOPE, Player, treaty_text

__all__ = ["MARKING", "MEMBERS", "PLAYERS", "SCOPE", "text_of_two", "text_with_third"]

TITLE = "Arrangement on warning of cyber threats"
WARNINGS = "warnings"
CLAUSE = "cut-cable"
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
    return treaty_text(first_day, TITLE, "GBR, NOR", _OWED)


def text_with_third(first_day: date, title: str = f"{TITLE}, with Denmark") -> str:
    """Return the text by which Denmark accedes as a reader; it says nothing of older reports, so it leaves them."""
    return treaty_text(first_day, title, "GBR, NOR, DNK", _OWED, more=_WARNINGS) + _CRISIS


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


_OWED = f"{{party: NOR, scope: {SCOPE}, acknowledge: {{PRIORITY: PT1S}}}}"
