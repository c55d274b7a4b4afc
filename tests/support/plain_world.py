"""A world in plain words: who may read what, written down a second time, without classes, editions or anything kept.

What is done in a real world is told here as well. The answer to "may this reader read that part now?" is then worked out
from all that was told, each time anew. Shares no code with the exchange.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

LEVELS = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
FEWEST_PARTIES = 2


@dataclass(frozen=True)
class Text:
    """What differs between the texts of the one agreement, which has one scope and one crisis clause for it."""

    parties: frozenset[str]
    readers: frozenset[str]
    contributors: frozenset[str] = frozenset({"GBR", "NOR"})
    ceiling: str = "SECRET"
    compartments: frozenset[str] = frozenset({"ATOMAL"})
    topic: str = "cyber"
    purposes: frozenset[str] = frozenset({"defence", "law-enforcement"})
    reaches_older: bool = False
    crisis_reaches_older: bool = False
    tells_asked: bool = False
    """Whether whoever is asked for information is told of the answers of others."""

    @property
    def crisis_readers(self) -> frozenset[str]:
        """The parties that read in a crisis alone."""
        return self.parties - self.readers

    @property
    def crisis_ceiling(self) -> str | None:
        """What a crisis raises the ceiling to; no text may name one that is no higher."""
        return None if self.ceiling == LEVELS[-1] else LEVELS[-1]


@dataclass
class Reader:
    """A client that reads, and its clearance."""

    member: str
    level: str = "SECRET"
    compartments: frozenset[str] = frozenset()
    until: datetime | None = None
    purposes: tuple[str, ...] = ("defence",)
    is_active: bool = True


@dataclass(frozen=True)
class Marking:
    """The marking of a report, or of a part; ORCON where the originator keeps control."""

    level: str
    compartments: frozenset[str]
    releasable_to: frozenset[str]
    is_controlled: bool = False


@dataclass
class Consent:
    """Onward release to a member of what stands under these markings."""

    member: str
    markings: frozenset[Marking]
    until: datetime | None
    is_over: bool = False


@dataclass
class Report:
    """A report: the number of the text it was posted under, the crises that were open then, and its place in lists."""

    originator: str
    edition: int
    topic: str
    marking: Marking
    parts: tuple[Marking, ...]
    until: datetime | None
    crises: frozenset[int] = frozenset()
    supersedes: str | None = None
    references: tuple[str, ...] = ()
    place: int = 0
    version: int = 1
    is_recalled: bool = False
    consents: list[Consent] = field(default_factory=list)


@dataclass
class Crisis:
    """A crisis that was opened under the text of this number."""

    edition: int
    since: datetime
    until: datetime
    is_over: bool = False


@dataclass
class PlainWorld:
    """All that was told, and what follows from it at a moment."""

    texts: list[Text]
    readers: dict[str, Reader]
    others: dict[str, Reader] = field(default_factory=dict)
    """Clients that pull nothing: they post, and act on what they may read."""
    reports: dict[str, Report] = field(default_factory=dict)
    """In the order in which a list has them."""
    stopped_members: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    """Parties that have suspended their part."""
    leaves: dict[str, datetime] = field(default_factory=dict)
    came_back: set[tuple[str, int]] = field(default_factory=set)
    """Who had left by notice and acceded again, with the number of the text it did so by."""
    crises: list[Crisis] = field(default_factory=list)
    barred: dict[str, frozenset[str]] = field(default_factory=dict)
    not_on_to: dict[str, frozenset[str]] = field(default_factory=dict)
    """Originator -> whom its national caveats keep its reports from."""
    last_place: int = 0

    @property
    def text(self) -> Text:
        """The text that binds."""
        return self.texts[-1]

    def client(self, name: str) -> Reader:
        """Return a client by its name."""
        return self.others.get(name) or self.readers[name]

    def remaining(self, now: datetime) -> set[str]:
        """Return the parties that have not left."""
        return {each for each in self.text.parties if each not in self.leaves or now < self.leaves[each]}

    def active(self, now: datetime) -> set[str]:
        """Return the parties that take part."""
        return self.remaining(now) - self.suspended

    def open_crises(self, now: datetime) -> Iterator[int]:
        """Yield the numbers of the crises that are open: another text ends what was opened under the one before."""
        for number, crisis in enumerate(self.crises):
            if crisis.edition == len(self.texts) and not crisis.is_over and crisis.since <= now < crisis.until:
                yield number

    def bar(self, member: str, others: frozenset[str], *, is_onward: bool = False) -> None:
        """Keep the reports of a member from `others`, or from going on to them, and no more from those before."""
        nobody = frozenset[str]()
        self.barred[member], self.not_on_to[member] = (nobody, others) if is_onward else (others, nobody)

    def come_anew(self, report_id: str) -> None:
        """Put a report behind all others, where whoever reads on finds it."""
        self.last_place += 1
        report = self.reports[report_id] = self.reports.pop(report_id)
        report.place = self.last_place

    def come_as_another(self, report_id: str) -> None:
        """Put a new version in the place of a report: what was consented to is the one before."""
        self.come_anew(report_id)
        self.reports[report_id].consents.clear()
        self.reports[report_id].version += 1

    def sweep(self, now: datetime) -> None:
        """Recall what time recalls: all texts here say so of whoever leaves, and of whoever left and came back."""
        for report in self.reports.values():
            has_left = report.originator not in self.remaining(now) or self._was_away(report)
            report.is_recalled |= has_left or len(self.remaining(now)) < FEWEST_PARTIES

    def readable(self, name: str, now: datetime, purpose: str | None = None) -> list[str]:
        """Return the reports of which a reader may read something, in order."""
        return [report_id for report_id in self.reports if self.parts_for(name, report_id, now, purpose)]

    def parts_for(self, name: str, report_id: str, now: datetime, purpose: str | None = None) -> list[Marking]:
        """Return the markings of the parts that a reader may read."""
        reader, report = self.client(name), self.reports[report_id]
        stated = purpose or reader.purposes[0]
        if stated not in reader.purposes or not self._is_for(reader, report, now, stated):
            return []
        return [each for each in report.parts if self._is_marked_for(reader, report, each, now)]

    def links_for(
        self, name: str, report_id: str, now: datetime, purpose: str | None = None
    ) -> tuple[str | None, tuple[str, ...]]:
        """Return what a reader is told that a report supersedes and refers to: nothing that it may not know itself."""
        report = self.reports[report_id]
        if not self.knows(name, report_id, now, purpose):
            return None, ()
        shown = [each for each in report.references if self.knows(name, each, now, purpose)]
        older = report.supersedes
        is_shown = older is not None and self.knows(name, older, now, purpose)
        return older if is_shown else None, tuple(shown)

    def knows(self, name: str, report_id: str, now: datetime, purpose: str | None = None) -> bool:
        """Return whether a reader may read a report under its own marking, and not its tear-line alone."""
        report = self.reports[report_id]
        some = self.parts_for(name, report_id, now, purpose)
        return bool(some) and self._is_marked_for(self.client(name), report, report.marking, now)

    def binding(self, report: Report) -> list[tuple[int, Text]]:
        """Return the texts that a report stands under, all of them: its own and those since, or from one that reaches it."""
        binding = [(report.edition, self.texts[report.edition - 1])]
        for number, text in enumerate(self.texts[report.edition :], start=report.edition + 1):
            if text.reaches_older:
                binding.clear()
            binding.append((number, text))
        return binding

    def _was_away(self, report: Report) -> bool:
        """Return whether the originator was no party for a time since, and no text has reached its reports since then."""
        away = False
        first = self.texts[report.edition - 1]
        for number, text in enumerate(self.texts[report.edition :], start=report.edition + 1):
            away = (away or (report.originator, number) in self.came_back) and not text.reaches_older
            away = away or (report.originator in first.parties and report.originator not in text.parties)
        return away

    def _reads_by_text(self, reader: Reader, report: Report, now: datetime) -> bool:
        binding = self.binding(report)
        is_named = all(reader.member in text.readers for _, text in binding)
        has_stayed = not any((reader.member, number) in self.came_back for number, _ in binding[1:])
        is_own = reader.member == report.originator
        return reader.member in self.active(now) and (is_own or (is_named and has_stayed))

    def _reads_in_crisis(self, reader: Reader, report: Report, now: datetime) -> bool:
        is_named = reader.member in self.text.crisis_readers & self.active(now)
        return is_named and self._is_in_crisis(report, now)

    def _is_in_crisis(self, report: Report, now: datetime) -> bool:
        return any(each in report.crises or self.text.crisis_reaches_older for each in self.open_crises(now))

    def _consented(self, reader: Reader, report: Report, now: datetime) -> set[Marking]:
        if reader.member in self.not_on_to.get(report.originator, ()):
            return set()
        standing = (each for each in report.consents if not each.is_over and (each.until is None or now < each.until))
        return {marking for each in standing if each.member == reader.member for marking in each.markings}

    def _is_for(self, reader: Reader, report: Report, now: datetime, purpose: str) -> bool:
        """Return whether a report as a whole may go to a reader."""
        is_named = (
            self._reads_by_text(reader, report, now)
            or self._reads_in_crisis(reader, report, now)
            or self._consented(reader, report, now)
        )
        is_over = report.is_recalled or (report.until is not None and report.until <= now)
        return bool(is_named) and not is_over and self.may_deal(reader, report, now, purpose)

    def may_deal(self, reader: Reader, report: Report, now: datetime, purpose: str) -> bool:
        """Return whether nothing but what a report is marked, and whom its clause names, keeps it from a reader."""
        is_own, texts = reader.member == report.originator, [text for _, text in self.binding(report)]
        return all(
            (
                reader.is_active and reader.member not in self.stopped_members,
                reader.until is None or now < reader.until,
                len(self.active(now)) >= FEWEST_PARTIES,
                report.originator in self.active(now),
                is_own or not self._was_away(report),
                all(purpose in text.purposes for text in texts),
                all(_covers(text.topic, report.topic) for text in texts),
                is_own or reader.member not in self.barred.get(report.originator, ()),
            )
        )

    def _is_marked_for(self, reader: Reader, report: Report, marking: Marking, now: datetime) -> bool:
        """Return whether what stands under a marking may go to a reader."""
        is_given = marking in self._consented(reader, report, now)
        texts = [text for _, text in self.binding(report)]
        in_crisis = self._reads_in_crisis(reader, report, now) and not marking.is_controlled
        return all(
            (
                is_given or self._reads_by_text(reader, report, now) or in_crisis,
                is_given or reader.member in {report.originator, *marking.releasable_to},
                LEVELS.index(marking.level) <= self._ceiling(report, marking, now),
                LEVELS.index(marking.level) <= LEVELS.index(reader.level),
                marking.compartments <= reader.compartments,
                all(marking.compartments <= text.compartments for text in texts),
            )
        )

    def _ceiling(self, report: Report, marking: Marking, now: datetime) -> int:
        lifted = self.text.crisis_ceiling
        if lifted is not None and self._is_in_crisis(report, now) and not marking.is_controlled:
            return LEVELS.index(lifted)
        return min(LEVELS.index(text.ceiling) for _, text in self.binding(report))


def written(base: str, text: Text) -> str:
    """Return the YAML of a text: `base` with what differs."""
    crisis = f"{_CRISIS}    readers: {_listed(text.crisis_readers)}\n" if text.crisis_readers else _CRISIS
    if text.crisis_ceiling is not None:
        crisis += f"    ceiling: {text.crisis_ceiling}\n"
    if text.crisis_reaches_older:
        crisis += "    older_reports: included\n"
    changes = {
        "parties: [GBR, NOR, DNK]": f"parties: {_listed(text.parties)}",
        "readers: [GBR, NOR, DNK]": f"readers: {_listed(text.readers)}",
        "contributors: [GBR, NOR]": f"contributors: {_listed(text.contributors)}",
        "ceiling: SECRET": f"ceiling: {text.ceiling}",
        "compartments: [ATOMAL]": f"compartments: {_listed(text.compartments)}",
        "topics: [cyber]": f"topics: [{text.topic}]",
        "purposes: [defence, law-enforcement]": f"purposes: {_listed(text.purposes)}",
    }
    for before, after in changes.items():
        base = base.replace(before, after)
    if text.tells_asked:
        base = base.replace("    retention: P5Y", "    retention: P5Y\n    answers: asked")
    if text.reaches_older:
        base += "older_reports: included\n"
    opens_something = text.crisis_readers or text.crisis_ceiling is not None
    return base + crisis if opens_something else base


_CRISIS = """\
crisis:
  - name: storm-watch
    scope: cyber-threats
    at_most: PT72H
    signatories:
      - {member: GBR, name: GBR signatory}
      - {member: NOR, name: NOR signatory}
"""


def _covers(topic: str, other: str) -> bool:
    return other == topic or other.startswith(f"{topic}.")


def _listed(words: Iterable[str]) -> str:
    return f"[{', '.join(sorted(words))}]"
