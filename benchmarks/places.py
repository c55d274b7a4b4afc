"""Where a measured exchange lives: a temporary instance, its database, and who calls it."""

from dataclasses import dataclass, field
from pathlib import Path

_MEMBERS = """
ALB AUT BEL BGR CAN CHE CYP CZE DEU DNK ESP EST FIN FRA GBR GRC HRV HUN IRL ISL ITA JPN KOR LTU LUX
LVA MDA MKD MLT MNE NLD NOR NZL POL PRT ROU SGP SRB SVK SVN SWE TUR UKR USA AUS BRA CHL GEO IND KEN
"""
MEMBERS = tuple(_MEMBERS.split())
AGREEMENTS = 50
CONNECTIONS = 16

SCOPE = "cyber-threats"
BODY_BYTES = 8192
SMALL_BYTES = 64
BODY_EVERY = 200
"""One report in so many has a body of 8 KiB, the one that is pulled; the rest are small, for the room they take."""


@dataclass(frozen=True, slots=True)
class Person:
    """A client with its files. `number` is the place of its member in `MEMBERS`."""

    id: str
    member: str
    number: int
    thumbprint: str
    folder: Path


@dataclass(slots=True)
class Place:
    """An instance folder and who was enrolled in it; `agreements` by their place, as `parties_of` numbers them."""

    folder: Path
    agreements: list[str] = field(default_factory=list)
    readers: list[Person] = field(default_factory=list)
    contributors: list[Person] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "exchange.db"


def parties_of(agreement: int) -> tuple[str, str, str]:
    """Return the three parties of an agreement, so that every member is a party of three of the fifty."""
    first, second, third = ((agreement + step) % len(MEMBERS) for step in (0, 7, 19))
    return MEMBERS[first], MEMBERS[second], MEMBERS[third]


def agreements_of(number: int) -> tuple[int, int, int]:
    """Return the agreements to which the member at `number` is a party."""
    first, second, third = ((number - step) % AGREEMENTS for step in (0, 7, 19))
    return first, second, third
