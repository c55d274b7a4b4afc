"""What each handling caveat means here: which base rules read it. The page `docs/handling.md` is made from this.

INVARIANT: a caveat that no rule reads is refused by rule 23, never passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from exchange.markings.families import NO_FOREIGNERS
from exchange.reports.posting import CONDITIONS_CAVEAT

EYES_ONLY: Final = "EYES ONLY"
OWN_NATIONALS: Final = "NATIONALS ONLY"

# Europol's handling codes; H3 is `CONDITIONS_CAVEAT`.
CRIME_ONLY: Final = "H0"
NOT_IN_COURT: Final = "H1"
NOT_ONWARD: Final = "H2"

JUDICIAL_PURPOSE: Final = "judicial"
CRIME_PURPOSES: Final = frozenset({"law-enforcement", "counter-terrorism", JUDICIAL_PURPOSE})

# Purposes whose use shows itself: PAP:RED allows nothing that who is looked at could notice.
OPEN_PURPOSES: Final = frozenset({JUDICIAL_PURPOSE, "sanctions"})

TLP_RED: Final = "TLP:RED"
PAP_RED: Final = "PAP:RED"

# Onward release is the originator's alone.
ORIGINATOR_CONTROLLED: Final = frozenset({"ORCON", NOT_ONWARD, TLP_RED, "TLP:AMBER+STRICT", "TLP:AMBER"})


@dataclass(frozen=True, slots=True)
class CaveatMeaning:
    """What the exchange does because of a caveat: the numbers of the rules, and the same in a sentence."""

    rules: tuple[int, ...]
    enforced: str


_CONTROLLED = "Passing it on needs the originator's signed consent for that member."

CAVEATS: Final[Mapping[str, CaveatMeaning]] = {
    "ORCON": CaveatMeaning((22,), _CONTROLLED),
    EYES_ONLY: CaveatMeaning((21,), "Read by nationals of the originator or of a member that the label names."),
    NO_FOREIGNERS: CaveatMeaning(
        (20, 21),
        "Read by the originator's own nationals there. REL TO beside it is refused; no consent lifts it.",
    ),
    OWN_NATIONALS: CaveatMeaning((21,), "Read by nationals of the reading member, not by others whom it employs."),
    CRIME_ONLY: CaveatMeaning((23,), "Read for law-enforcement, counter-terrorism or judicial purposes only."),
    NOT_IN_COURT: CaveatMeaning(
        (23,), "Not read for judicial purposes, unless the originator consents to that purpose for the member."
    ),
    NOT_ONWARD: CaveatMeaning((22,), _CONTROLLED),
    CONDITIONS_CAVEAT: CaveatMeaning(
        (23,), "Posted only with its text, `conditions`, which every reader of it is shown."
    ),
    TLP_RED: CaveatMeaning((16, 22), f"Never given to a token, at any level. {_CONTROLLED}"),
    "TLP:AMBER+STRICT": CaveatMeaning((22,), f"Stays inside the members named. {_CONTROLLED}"),
    "TLP:AMBER": CaveatMeaning((22,), f"{_CONTROLLED} Whom a reader serves is the reader's to know."),
    "TLP:GREEN": CaveatMeaning((22,), "Sets no limit in the community; passing it on takes consent, as of any report."),
    "TLP:CLEAR": CaveatMeaning((22,), "Sets no limit of its own; label and scope hold as ever."),
    PAP_RED: CaveatMeaning((23,), "Not read for judicial purposes or sanctions: their use shows itself."),
    "PAP:AMBER": CaveatMeaning((23,), "Shown with every part: passive checks only. Acting on it is the reader's duty."),
    "PAP:GREEN": CaveatMeaning((23,), "Shown with every part: active use is allowed."),
    "PAP:CLEAR": CaveatMeaning((23,), "Sets no limit."),
}

KNOWN_CAVEATS: Final = frozenset(CAVEATS)
