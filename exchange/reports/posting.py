"""From what a contributor posts to a header: every fault at once, or a header that holds.

Promises: a part never exceeds its report; the label, the words and the members are known; the report lies inside its
scope; contents are of their declared type.
Does not: look up agreements or other reports; the caller brings the scope and checks `supersedes` and `references`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from exchange.agreements import AgreementId, Scope, Vocabulary, covers
from exchange.kernel.counting import counted
from exchange.kernel.errors import Fault, InvalidError
from exchange.kernel.ids import is_uuid7
from exchange.kernel.meant import meant
from exchange.markings import Label
from exchange.markings.families import is_as_strict
from exchange.members import MemberCode, text_problem
from exchange.reports.contents import Found, Reading, media_type_fault, name_fault
from exchange.reports.model import Header, PartHeader, Precedence, Protection, ReportId

LONGEST_SUBJECT = 300
LONGEST_CONDITIONS = 1000
CONDITIONS_CAVEAT = "H3"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A content that does not come with its post: what is said of it, `sha256` in lower-case hex where it is known."""

    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class PostedPart:
    """One part as posted, decoded; `label` None means the report's."""

    label: Label | None
    media_type: str
    name: str
    content: bytes | Awaited


@dataclass(frozen=True, slots=True)
class PostedReport:
    """A report as posted: nothing in it is checked yet."""

    agreement: str
    scope: str
    kind: str
    topic: str
    regions: tuple[str, ...]
    precedence: Precedence
    subject: str | None
    label: Label
    valid_until: datetime | None
    declassify_on: date | None
    supersedes: ReportId | None
    references: tuple[ReportId, ...]
    parts: tuple[PostedPart, ...]
    conditions: str | None = None
    """The text that Europol's handling code H3 demands; None without it."""
    on_behalf_of: str | None = None
    """The member whose report it is, where another one posts it; None: the poster's own."""


@dataclass(frozen=True, slots=True)
class PostingRules:
    """What a post is checked against: the scope it names, the words, the labels, the members.

    `check_label` answers the faults of a label with pointers into it; `dominates(upper, lower)` and `above_ceiling`
    are asked about labels without faults only.
    """

    scope: Scope
    vocabulary: Vocabulary
    check_label: Callable[[Label], tuple[Fault, ...]]
    dominates: Callable[[Label, Label], bool]
    above_ceiling: Callable[[Label], bool]
    is_member: Callable[[str], bool]


def whole_contents(posted: PostedReport) -> list[bytes]:
    """Return the contents of the parts in order; InvalidError points at each that is not there."""
    contents, faults = [], []
    for index, part in enumerate(posted.parts):
        if isinstance(part.content, Awaited):
            faults.append(Fault(f"/parts/{index}/content", "missing-content", "has no content: send it along"))
        else:
            contents.append(part.content)
    if faults:
        raise InvalidError("the report is not whole", tuple(faults))
    return contents


def check_report(posted: PostedReport, *, now: datetime, rules: PostingRules) -> tuple[Fault, ...]:
    """Return every fault of `posted` with JSON Pointers into the body of the post; none means it may be composed."""
    label_faults = tuple(_label_faults(posted.label, "/label", rules))
    return (
        *_word_faults(posted, rules),
        *_subject_faults(posted.subject),
        *label_faults,
        *(() if label_faults else _scope_label_faults(posted.label, rules)),
        *_time_faults(posted, now),
        *_reference_faults(posted),
        *_condition_faults(posted),
        *_parts_faults(posted, rules, label_is_known=not label_faults),
    )


def compose_header(
    posted: PostedReport, *, report_id: ReportId, originator: MemberCode, now: datetime, rules: PostingRules
) -> Header:
    """Return the header of `posted`, posted at `now`; InvalidError lists every fault."""
    if faults := check_report(posted, now=now, rules=rules):
        message = f"the report has {counted(len(faults), 'fault', 'faults')}"
        raise InvalidError(message, faults)
    return Header(
        id=report_id,
        agreement=AgreementId(posted.agreement),
        scope=posted.scope,
        originator=originator,
        kind=posted.kind,
        topic=posted.topic,
        regions=posted.regions,
        precedence=posted.precedence,
        subject=posted.subject,
        label=posted.label,
        posted_at=now,
        valid_until=posted.valid_until,
        declassify_on=posted.declassify_on,
        supersedes=posted.supersedes,
        references=posted.references,
        parts=tuple(_part_header(part, number, posted.label) for number, part in enumerate(posted.parts, start=1)),
        conditions=posted.conditions,
    )


def _part_header(part: PostedPart, number: int, report_label: Label) -> PartHeader:
    content = part.content
    if not isinstance(content, Awaited):
        content = Awaited(len(content), hashlib.sha256(content).hexdigest())
    return PartHeader(
        number=number,
        label=report_label if part.label is None else part.label,
        media_type=part.media_type,
        name=part.name,
        size_bytes=content.size_bytes,
        protection=Protection.EXCHANGE,
        # Empty where nobody knows it yet: such a header is never shown as that of a report.
        sha256=content.sha256 or "",
    )


def _word_faults(posted: PostedReport, rules: PostingRules) -> Iterator[Fault]:
    # Unknown before outside: a topic below one of the scope's is inside even where nobody ever defined it.
    scope, vocabulary = rules.scope, rules.vocabulary
    if posted.scope != scope.name:
        yield Fault("/scope", "unknown-scope", "the agreement has no such scope")
    if posted.kind not in vocabulary.kinds:
        yield Fault("/kind", "unknown-kind", _unknown(posted.kind, vocabulary.kinds))
    elif posted.kind not in scope.kinds:
        yield Fault("/kind", "outside-scope-kind", f"is outside the scope: use one of {', '.join(scope.kinds)}")
    if posted.topic not in vocabulary.topics:
        yield Fault("/topic", "unknown-topic", _unknown(posted.topic, vocabulary.topics))
    elif not covers(scope.topics, posted.topic):
        yield Fault("/topic", "outside-scope-topic", f"is outside the scope: use one below {', '.join(scope.topics)}")
    if not posted.regions:
        yield Fault("/regions", "empty", "no region: name at least one")
    for index, region in enumerate(posted.regions):
        yield from _region_faults(region, f"/regions/{index}", rules)
        if region in posted.regions[:index]:
            yield Fault(f"/regions/{index}", "repeated", "stands twice: keep one")


def _region_faults(region: str, place: str, rules: PostingRules) -> Iterator[Fault]:
    if region not in rules.vocabulary.regions:
        yield Fault(place, "unknown-region", _unknown(region, rules.vocabulary.regions))
    elif region not in rules.scope.regions:
        allowed = ", ".join(rules.scope.regions)
        yield Fault(place, "outside-scope-region", f"is outside the scope: use one of {allowed}")


def _unknown(word: str, words: Collection[str]) -> str:
    return f"is not in the vocabulary: {meant(word, words)}see /v1/vocabulary"


def _subject_faults(subject: str | None) -> Iterator[Fault]:
    if subject is not None and (problem := text_problem(subject, longest=LONGEST_SUBJECT)) is not None:
        yield Fault("/subject", "bad-text", f"the subject {problem}")


def _label_faults(label: Label, place: str, rules: PostingRules) -> Iterator[Fault]:
    for fault in rules.check_label(label):
        yield replace(fault, pointer=f"{place}{fault.pointer}")
    for index, member in enumerate(label.releasable_to):
        if not rules.is_member(member):
            yield Fault(f"{place}/releasable_to/{index}", "unknown-member", "is no member of the exchange")


def _scope_label_faults(label: Label, rules: PostingRules) -> Iterator[Fault]:
    if rules.above_ceiling(label):
        message = f"is above the ceiling of the scope, `{rules.scope.ceiling}`"
        yield Fault("/label/classification", "above-ceiling", message)
    for index, compartment in enumerate(label.compartments):
        if compartment not in rules.scope.compartments:
            place = f"/label/compartments/{index}"
            yield Fault(place, "missing-compartment", "is no compartment of the scope")


def _time_faults(posted: PostedReport, now: datetime) -> Iterator[Fault]:
    if posted.valid_until is not None and posted.valid_until <= now:
        yield Fault("/valid_until", "expired", "lies in the past: name a later moment or leave it out")
    if posted.declassify_on is not None and posted.declassify_on <= now.date():
        yield Fault("/declassify_on", "in-the-past", "is not after today: name a later day or leave it out")


def _reference_faults(posted: PostedReport) -> Iterator[Fault]:
    if posted.supersedes is not None and not is_uuid7(posted.supersedes):
        yield Fault("/supersedes", "not-an-id", "is no report id")
    for index, reference in enumerate(posted.references):
        if not is_uuid7(reference):
            yield Fault(f"/references/{index}", "not-an-id", "is no report id")
        if reference in posted.references[:index]:
            yield Fault(f"/references/{index}", "repeated", "stands twice: keep one")


def _condition_faults(posted: PostedReport) -> Iterator[Fault]:
    labels = (posted.label, *(part.label for part in posted.parts if part.label is not None))
    is_asked_for = any(CONDITIONS_CAVEAT in label.handling for label in labels)
    if posted.conditions is None:
        if is_asked_for:
            message = f"`{CONDITIONS_CAVEAT}` says that there are conditions: write them here"
            yield Fault("/conditions", "missing-conditions", message)
        return
    if not is_asked_for:
        yield Fault("/conditions", "unasked-conditions", f"no label has `{CONDITIONS_CAVEAT}`: mark the report with it")
    if (problem := text_problem(posted.conditions, longest=LONGEST_CONDITIONS)) is not None:
        yield Fault("/conditions", "bad-text", f"the text {problem}")


def _parts_faults(posted: PostedReport, rules: PostingRules, *, label_is_known: bool) -> Iterator[Fault]:
    if not posted.parts:
        yield Fault("/parts", "empty", "no part: a report has at least one")
    names: set[str] = set()
    reading = Reading()
    for index, part in enumerate(posted.parts):
        place = f"/parts/{index}"
        found = Found(None) if isinstance(part.content, Awaited) else reading.look(part.media_type, part.content)
        yield from _content_faults(part, place, found)
        # Case folded: some file systems would let one part overwrite the other.
        if part.name.casefold() in names:
            yield Fault(f"{place}/name", "repeated", "names another part already: choose another name")
        names.add(part.name.casefold())
        label = posted.label if part.label is None else part.label
        yield from content_marking_faults(found, f"{place}/label", label)
        yield from _part_label_faults(part, f"{place}/label", posted.label if label_is_known else None, rules)


def _content_faults(part: PostedPart, place: str, found: Found) -> Iterator[Fault]:
    if (problem := name_fault(part.name)) is not None:
        yield Fault(f"{place}/name", "bad-name", f"the name {problem}")
    if (problem := media_type_fault(part.media_type)) is not None:
        yield Fault(f"{place}/media_type", "bad-media-type", f"the media type {problem}")
    elif found.fault is not None:
        yield Fault(f"{place}/content", "wrong-content", f"the content {found.fault}")


def content_marking_faults(found: Found, place: str, label: Label) -> Iterator[Fault]:
    """Yield what `label`, which stands at `place`, lacks of how a content is marked inside."""
    if found.borne is not None and not is_as_strict(label.handling, (found.borne,)):
        yield Fault(place, "below-content", f"the bundle is marked `{found.borne}`: the label must say so too")


def _part_label_faults(
    part: PostedPart, place: str, report_label: Label | None, rules: PostingRules
) -> Iterator[Fault]:
    if part.label is None:
        return
    faults = tuple(_label_faults(part.label, place, rules))
    yield from faults
    # INVARIANT: a part never exceeds its report; what cannot be compared was refused above.
    if not faults and report_label is not None and not rules.dominates(report_label, part.label):
        yield Fault(place, "above-report", "exceeds the report's label: raise the report's or lower the part's")
