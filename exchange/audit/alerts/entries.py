"""The rules about entries: one pass over them in the order of the log.

Steps for each entry and rule: (1) is the entry of the kind that the rule counts, and about whom; (2) what that adds to
what is remembered, and whether it is too much now; (3) whether the rule has spoken about this subject lately.

INVARIANT: nothing here looks at a clock, at other entries, or at where a batch begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from exchange.audit.alerts.memory import MOST_SEEN, Key, Mark, Memory
from exchange.audit.alerts.model import Alert, Evaluation, alert_id
from exchange.audit.alerts.rules import (
    AfterRevocation,
    AlertRules,
    Condition,
    FirstAddress,
    FirstCertificate,
    MassPulls,
    NodeSilent,
    Occurrence,
    OutOfHours,
    ReadAfterChange,
    RefusalBurst,
    Rule,
    TwoAddresses,
)
from exchange.audit.alerts.sought import CHANGE, obtained_by, waited_on
from exchange.audit.draft import Subject
from exchange.audit.events import EventName, Outcome
from exchange.audit.node_evidence import EVIDENCE_EVENTS
from exchange.audit.personal import LOCAL_SOURCES, STRANGER, WITHHELD
from exchange.audit.shape import Entry
from exchange.kernel import MICROSECOND, parse_micros, parse_rfc3339

MOST_EVIDENCE: Final = 20
"""Refusals that an alert about a burst names: enough to begin with."""

_PERMITTED: Final = Outcome.PERMITTED.value
_REFUSED: Final = Outcome.REFUSED.value
_REVOKED: Final = "client-suspended"
"""The reason with which whoever was revoked or suspended is refused, whatever it asks for."""
_MEMBER: Final = "member"
"""What such an entry says in `inactive` where it was not the client itself."""
_READS: Final = frozenset({EventName.REPORT_READ.value, EventName.REPORT_PART_READ.value})
_DAY_MICROS: Final = 86_400_000_000
_LATE: Final = timedelta(minutes=15)
"""An entry bears the time at which its request came in, and a large upload takes minutes. By so much one may be behind
the others: what is newer is not forgotten over it."""
_WINDOWS: Final = 4
"""So many times the refusals of one burst are remembered: one window's, and those of three others that come late."""
_MOST_ADDRESSES: Final = 16


@dataclass(frozen=True, slots=True)
class Counted:
    """An entry, `at` its time in microseconds since 1970, and the rules that it counts under, each with about whom."""

    entry: Entry
    at: int
    under: tuple[tuple[Rule, Key], ...]


def counted(rules: AlertRules, entries: Iterable[Entry]) -> list[Counted]:
    """Return those of `entries` that count under any rule, in their order."""
    found = []
    listening: dict[str, list[Rule]] = {}
    for entry in entries:
        event = entry["type"]
        if event not in listening:
            listening[event] = [rule for rule in rules.rules if _listens(rule.condition, event)]
        # (1) about whom
        under = tuple(
            (rule, Key(rule.name, subject)) for rule in listening[event] for subject in _subjects(rule.condition, entry)
        )
        if under:
            found.append(Counted(entry, parse_micros(entry["ts"]), under))
    return found


def keys_of(entries: Iterable[Counted]) -> frozenset[Key]:
    """Return what must be remembered to evaluate `entries`."""
    return frozenset(key for each in entries for _, key in each.under)


def evaluate(entries: Iterable[Counted], known: Mapping[Key, str]) -> Evaluation:
    """Return the alerts of `entries`, given what is known of those that came before; it holds every key of `keys_of`.

    Entries in two batches give what they give in one, with the memory of the first known to the second.
    """
    memories: dict[Key, Memory | None] = {}
    alerts: list[Alert] = []
    for each in entries:
        for rule, key in each.under:
            memory = memories.get(key) or Memory.of(known.get(key) if key not in memories else None)
            # (2) too much, (3) and not told lately
            memories[key], alert = _taken(rule, memory, each, key.subject)
            alerts += [] if alert is None else [alert]
    texts = {key: None if memory is None else memory.text() for key, memory in memories.items()}
    return Evaluation(tuple(alerts), {key: text for key, text in texts.items() if text != known.get(key)})


def has_cooled(rule: Rule, memory: Memory, at: int) -> bool:
    """Return whether the rule may speak again; a clock that goes back does not silence it for good."""
    return memory.told is None or abs(at - memory.told) >= micros(rule.cooldown)


def micros(span: timedelta) -> int:
    """Return a span in microseconds."""
    return span // MICROSECOND


def _listens(condition: Condition, event: str) -> bool:
    """Return whether entries of this event can count under `condition` at all: most rules are about few events."""
    match condition:
        case MassPulls() | OutOfHours() | FirstCertificate() | FirstAddress():
            return event in _READS
        case Occurrence():
            return event in condition.events
        case ReadAfterChange():
            return event in condition.events or event in _READS
        case NodeSilent():
            return event in EVIDENCE_EVENTS
        case RefusalBurst() | AfterRevocation() | TwoAddresses():
            return True
        case _:
            return False


def _subjects(condition: Condition, entry: Entry) -> tuple[str, ...]:
    """Return the subjects for which `entry` counts under `condition`, which listens to its event."""
    if isinstance(condition, ReadAfterChange):
        return _seekers(condition, entry)
    subject = _counted(condition, entry)
    return () if subject is None else (subject,)


def _counted(condition: Condition, entry: Entry) -> str | None:
    """Return the one subject for which `entry` counts under `condition`, None where it does not count."""
    match condition:
        case MassPulls():
            return _reader(entry) if "object" in entry else None
        case RefusalBurst():
            return _refused(entry)
        case AfterRevocation():
            return _inactive(entry) if _REVOKED in entry.get("reasons", ()) else None
        case OutOfHours():
            return _reader(entry) if _is_out_of_hours(condition, entry) else None
        case TwoAddresses():
            return _client(entry) if _has_address(entry) else None
        case FirstCertificate():
            has_certificate = bool(entry["actor"].get("thumbprint"))
            return _reader(entry) if has_certificate and _is_at(condition.levels, entry) else None
        case FirstAddress():
            return _reader(entry) if _has_address(entry) and _is_at(condition.levels, entry) else None
        case Occurrence():
            return _occurred(condition, entry)
        case _:
            # A node that falls silent: nothing else listens.
            return entry["boot"] if "state" in entry.get("detail", {}) else None


def _taken(rule: Rule, memory: Memory, found: Counted, subject: str) -> tuple[Memory | None, Alert | None]:
    entry, at = found.entry, found.at
    mark = Mark("", at, entry["id"])
    match rule.condition:
        case MassPulls() as condition:
            evidence = _pulled(condition, memory, entry, mark)
        case RefusalBurst() as condition:
            evidence = _burst(condition, memory, mark)
        case TwoAddresses() as condition:
            evidence = _met(condition, memory, mark._replace(word=entry["source"]))
        case FirstCertificate():
            evidence = _first(rule, memory, mark._replace(word=entry["actor"]["thumbprint"]))
        case FirstAddress():
            evidence = _first(rule, memory, mark._replace(word=entry["source"]))
        case ReadAfterChange() as condition:
            evidence = _obtained(condition, memory, entry, mark)
        case NodeSilent():
            return _heard(memory, entry, mark), None
        case _:
            evidence = (mark,)
    if not evidence or not has_cooled(rule, memory, at):
        return memory, None
    memory.told = at
    return memory, _alert(rule, found, subject, evidence)


def _pulled(condition: MassPulls, memory: Memory, entry: Entry, mark: Mark) -> Sequence[Mark]:
    memory.turn_to(mark.at // _DAY_MICROS, baseline_days=condition.baseline_days)
    is_new = memory.see(entry["object"]["id"])
    days = min(condition.baseline_days, memory.day - memory.first)
    limit = min(condition.limit(memory.counts, days), MOST_SEEN)
    return (mark,) if is_new and len(memory.seen) >= limit else ()


def _burst(condition: RefusalBurst, memory: Memory, mark: Mark) -> Sequence[Mark]:
    memory.marks = _within(condition.window + _LATE, memory.marks, mark.at)
    memory.mark(mark, most=_WINDOWS * condition.count)
    found = _within(condition.window, memory.marks, mark.at)
    return found if len(found) >= condition.count else ()


def _met(condition: TwoAddresses, memory: Memory, mark: Mark) -> Sequence[Mark]:
    held = _within(condition.window + _LATE, memory.marks, mark.at)
    others = [each for each in held if each.word != mark.word]
    newest = max([mark, *(each for each in held if each.word == mark.word)], key=lambda each: each.at)
    memory.marks = others
    memory.mark(newest, most=_MOST_ADDRESSES)
    return (mark,) if _within(condition.window, others, mark.at) else ()


def _first(rule: Rule, memory: Memory, mark: Mark) -> Sequence[Mark]:
    # INVARIANT: none is known before it was told; one that comes while the rule is silent is new still behind that.
    return (mark,) if has_cooled(rule, memory, mark.at) and memory.see(mark.word) else ()


def _obtained(condition: ReadAfterChange, memory: Memory, entry: Entry, mark: Mark) -> Sequence[Mark]:
    memory.marks = _within(condition.window, memory.marks, mark.at)
    is_change = entry["type"] in condition.events
    if is_change or entry["decision"] != _PERMITTED:
        memory.marks = waited_on([*memory.marks, mark._replace(word=CHANGE if is_change else entry["object"]["id"])])
        return ()
    word = obtained_by(memory.marks, entry["object"]["id"])
    memory.marks = [each for each in memory.marks if each.word != word]
    return () if word is None else (mark,)


def _heard(memory: Memory, entry: Entry, mark: Mark) -> Memory | None:
    if entry["detail"]["state"] != "running":
        return None
    memory.marks = [Mark(entry["node"], mark.at, mark.entry)]
    return memory


def _alert(rule: Rule, found: Counted, subject: str, evidence: Sequence[Mark]) -> Alert:
    entry, at = found.entry, found.at
    is_permitted = entry["decision"] == _PERMITTED
    # What is about one permitted entry may be known by whoever may know that entry; all else by the client's member.
    has_owner = is_permitted and isinstance(rule.condition, OutOfHours | Occurrence)
    about = _subject(rule.condition, entry, subject)
    return Alert(
        id=alert_id(rule, subject, entry["id"], at),
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        at=at,
        subject=about,
        evidence=tuple(mark.entry for mark in evidence[-MOST_EVIDENCE:]),
        member=entry.get("member"),
        agency=None if about.kind == "member" else entry.get("agency"),
        owner=entry.get("owner") if has_owner else None,
        label=entry.get("label") if is_permitted else None,
    )


def _subject(condition: Condition, entry: Entry, subject: str) -> Subject:
    if isinstance(condition, AfterRevocation) and subject != _client(entry):
        return Subject("member", subject)
    if not isinstance(condition, Occurrence):
        # What is remembered of a member is told of the client that made the rule speak.
        return Subject("client", subject if not isinstance(condition, ReadAfterChange) else entry["actor"]["id"])
    found = entry.get("object")
    return Subject("entry", entry["id"]) if found is None else Subject(found["type"], found["id"])


def _client(entry: Entry) -> str | None:
    return entry["actor"].get("id") if entry["actor"]["kind"] == "client" else None


def _reader(entry: Entry) -> str | None:
    return _client(entry) if entry["decision"] == _PERMITTED else None


def _refused(entry: Entry) -> str | None:
    if entry["decision"] != _REFUSED:
        return None
    return STRANGER if entry["actor"]["kind"] == "unknown" else _client(entry)


def _inactive(entry: Entry) -> str | None:
    """Return who is not active: the client, or its member where the entry says that it is the member's standing.

    INVARIANT: a client that is revoked or suspended itself is a subject of its own: what is told of its member, whose
    clients go on asking, never silences what is told of a key in other hands. Entries from before do not say it.
    """
    client = _client(entry)
    is_members = client is not None and entry.get("detail", {}).get("inactive") == _MEMBER
    return entry.get("member", client) if is_members else client


def _seekers(condition: ReadAfterChange, entry: Entry) -> tuple[str, ...]:
    """Return the members whose change, refusal or read `entry` is."""
    member = entry.get("member")
    if entry["type"] in condition.events:
        if entry["decision"] != _PERMITTED:
            return ()
        # A change of an agreement may open something to any of its parties, whoever made it.
        if parties := _parties(entry):
            return parties
        # A change of a client is its member's, whoever made it.
        member = entry.get("owner", member)
    elif "object" not in entry or not _client(entry):
        return ()
    return () if member is None else (member,)


def _parties(entry: Entry) -> tuple[str, ...]:
    parties = entry.get("detail", {}).get("parties")
    return tuple(parties) if isinstance(parties, list) else ()


def _has_address(entry: Entry) -> bool:
    return entry["source"] not in LOCAL_SOURCES and entry["source"] != WITHHELD


def _is_at(levels: frozenset[tuple[str, str]], entry: Entry) -> bool:
    label = entry.get("label", {})
    return (label.get("policy"), label.get("classification")) in levels


def _is_out_of_hours(condition: OutOfHours, entry: Entry) -> bool:
    if not _is_at(condition.levels, entry):
        return False
    return not condition.hours.is_open(entry.get("member"), parse_rfc3339(entry["ts"]))


def _occurred(condition: Occurrence, entry: Entry) -> str | None:
    if entry["decision"] not in condition.outcomes:
        return None
    # Without an object it is about who did it: what one did must not silence what the next one does.
    return entry["object"]["id"] if "object" in entry else entry["actor"].get("id", "")


def _within(window: timedelta, marks: Sequence[Mark], at: int) -> list[Mark]:
    return [mark for mark in marks if abs(at - mark.at) <= micros(window)]
