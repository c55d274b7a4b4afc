"""Reports for the tests of this room."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from exchange.agreements import OnwardRelease, Scope, load_vocabulary
from exchange.kernel import Fault
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.reports import Header, PostedPart, PostedReport, PostingRules, Precedence, ReportId, compose_header

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
ID = ReportId("01980000-0000-7000-8000-000000000001")
OTHER_ID = ReportId("01980000-0000-7000-8000-000000000002")
THIRD_ID = ReportId("01980000-0000-7000-8000-000000000003")
LEVELS = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
SCOPE = Scope(
    name="cyber-threats",
    topics=("cyber",),
    regions=("EUR", "NSE"),
    kinds=("intrep", "indicator-set"),
    purposes=("defence",),
    ceiling="SECRET",
    compartments=("ATOMAL",),
    contributors=(MemberCode("GBR"), MemberCode("NOR")),
    readers=(MemberCode("GBR"), MemberCode("NOR"), MemberCode("DNK")),
    onward_release=OnwardRelease.ORIGINATOR_CONSENT,
    retention="P5Y",
)
SECRET = Label("NATO", "SECRET", (), ("GBR", "NOR"), ("ORCON",))
RESTRICTED = Label("NATO", "RESTRICTED", (), ("GBR", "NOR"), ())
UNCLASSIFIED = Label("NATO", "UNCLASSIFIED", (), ("GBR", "NOR"), ())
TOP_SECRET = Label("NATO", "TOP SECRET", (), ("GBR", "NOR"), ())


def rank(label: Label) -> int:
    return LEVELS.index(label.classification)


def check_label(label: Label) -> tuple[Fault, ...]:
    faults = []
    if label.policy != "NATO":
        faults.append(Fault("/policy", "unknown-policy", "no such policy"))
    elif label.classification not in LEVELS:
        faults.append(Fault("/classification", "unknown-level", "no such level"))
    return tuple(faults)


RULES = PostingRules(
    scope=SCOPE,
    vocabulary=load_vocabulary((ROOT / "policies/vocabulary.yaml").read_text("utf-8")),
    check_label=check_label,
    # Raises for labels that have faults, as the catalogue does.
    dominates=lambda upper, lower: rank(upper) >= rank(lower),
    above_ceiling=lambda label: rank(label) > LEVELS.index("SECRET"),
    is_member={"GBR", "NOR", "DNK"}.__contains__,
)

BUNDLE = b'{"type": "bundle", "id": "bundle--1", "objects": []}'
STIX_PART = PostedPart(None, "application/stix+json;version=2.1", "apt1.json", BUNDLE)
TEXT_PART = PostedPart(RESTRICTED, "text/plain", "warning.txt", "Vær på vakt.\n".encode())

POSTED = PostedReport(
    agreement="0198",
    scope="cyber-threats",
    kind="intrep",
    topic="cyber.apt",
    regions=("EUR",),
    precedence=Precedence.PRIORITY,
    subject="APT1 infrastructure",
    label=SECRET,
    valid_until=LATER,
    declassify_on=LATER.date(),
    supersedes=OTHER_ID,
    references=(THIRD_ID,),
    parts=(STIX_PART, TEXT_PART),
)


def compose(posted: PostedReport = POSTED, **changes: object) -> Header:
    changed = replace(posted, **changes)  # type: ignore[arg-type]
    return compose_header(changed, report_id=ID, originator=MemberCode("GBR"), now=NOW, rules=RULES)
