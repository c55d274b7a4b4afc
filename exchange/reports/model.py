"""What a report holds: header, parts, precedence, status."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NewType

from exchange.agreements import AgreementId
from exchange.markings import Label
from exchange.members import MemberCode

ReportId = NewType("ReportId", str)


class Precedence(Enum):
    """Urgency, not importance; the order here is from least to most urgent."""

    ROUTINE = "ROUTINE"
    PRIORITY = "PRIORITY"
    IMMEDIATE = "IMMEDIATE"
    FLASH = "FLASH"


class ReportStatus(Enum):
    """Where a report stands. `expired` follows from `valid_until` and the time; stored, it has been destroyed too."""

    CURRENT = "current"
    SUPERSEDED = "superseded"
    RECALLED = "recalled"
    EXPIRED = "expired"


class Protection(Enum):
    """Who can open a part: the exchange (encryption at rest) or only its recipients."""

    EXCHANGE = "exchange"
    END_TO_END = "end-to-end"


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What is said of a part without opening it. `label` is the effective one: the report's where the part has none."""

    number: int
    label: Label
    media_type: str
    name: str
    size_bytes: int
    protection: Protection
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What decisions and readers need of a report; parts are numbered from 1."""

    id: ReportId
    agreement: AgreementId
    scope: str
    originator: MemberCode
    kind: str
    topic: str
    regions: tuple[str, ...]
    precedence: Precedence
    subject: str | None
    label: Label
    posted_at: datetime
    valid_until: datetime | None
    declassify_on: date | None
    supersedes: ReportId | None
    references: tuple[ReportId, ...]
    parts: tuple[PartHeader, ...]
    version: int = 1
    conditions: str | None = None
