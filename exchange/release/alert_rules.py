"""Reads `policies/alerts.yaml`: every fault at once, each with its line.

It stands here because a level is the catalogue's to rank; what the rules mean is `exchange.audit.alerts`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from enum import Enum
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from exchange.agreements.reading import MISSING, Reading, quoted
from exchange.agreements.strict_yaml import read_yaml
from exchange.audit import EventName, Outcome, alerts
from exchange.audit.alerts import AlertRules, Condition, Hours, Rule, Severity, WorkingHours
from exchange.kernel import Canonical, InvalidError, canonical_bytes, pointer_token
from exchange.markings import Catalogue, UnknownMarkingError
from exchange.members import ASSIGNED_ALPHA3, ORGANISATIONS


class Kind(Enum):
    """The kinds of rules, as the file names them."""

    MASS_PULLS = "mass-pulls"
    REFUSAL_BURST = "refusal-burst"
    AFTER_REVOCATION = "after-revocation"
    OUT_OF_HOURS = "out-of-hours"
    TWO_ADDRESSES = "two-addresses"
    FIRST_CERTIFICATE = "first-certificate"
    FIRST_ADDRESS = "first-address"
    READ_AFTER_CHANGE = "read-after-change"
    OCCURRENCE = "occurrence"
    LOG_BEHIND = "log-behind"
    LOG_FROZEN = "log-frozen"
    NODE_SILENT = "node-silent"
    WITNESS_BEHIND = "witness-behind"


class _Day(Enum):
    """Days of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.MASS_PULLS: ("minimum", "deviations", "baseline_days"),
    Kind.REFUSAL_BURST: ("count", "window"),
    Kind.AFTER_REVOCATION: (),
    Kind.OUT_OF_HOURS: ("level",),
    Kind.TWO_ADDRESSES: ("window",),
    Kind.FIRST_CERTIFICATE: ("level",),
    Kind.FIRST_ADDRESS: ("level",),
    Kind.READ_AFTER_CHANGE: ("events", "window"),
    Kind.OCCURRENCE: ("events", "outcomes"),
    Kind.LOG_BEHIND: ("objective",),
    Kind.LOG_FROZEN: (),
    Kind.NODE_SILENT: ("objective",),
    Kind.WITNESS_BEHIND: ("objective",),
}
_COMMON = ("name", "kind", "severity", "cooldown")
_HOURS_FIELDS = ("zone", "days", "from", "until")

# An alert about an alert would never end.
_NEVER = frozenset({"alert.raised", "alert.undelivered"})

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_DURATION = re.compile(r"P(?=[\dT])(?:(\d{1,4})D)?(?:T(?=\d)(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:(\d{1,4})S)?)?", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_LONGEST_NAME = 64
_LONGEST_SPAN = timedelta(days=366)
# The marks of four bursts are kept with the client: at most some 240 KiB.
_MOST_REFUSALS = 1000
_MOST_READS = 65_536
_MOST_DEVIATIONS = 100
_MOST_BASELINE_DAYS = 366


def load_alert_rules(text: str, catalogue: Catalogue) -> AlertRules:
    """Return the rules written in `text`; InvalidError lists every fault with its line."""
    document = read_yaml(text)
    reading = Reading(document.faults, document.line_of)
    rules: tuple[Rule, ...] = ()
    if document.value is not None or not document.faults:
        rules = _RulesReader(reading, catalogue).read(document.value)
    if reading.faults:
        raise InvalidError("the rules for alerts are not valid", tuple(reading.faults))
    return AlertRules(rules, hashlib.sha256(canonical_bytes(cast("Canonical", document.value))).hexdigest())


class _RulesReader:
    def __init__(self, reading: Reading, catalogue: Catalogue) -> None:
        self._reading = reading
        self._catalogue = catalogue
        self._names: set[str] = set()

    def read(self, value: object) -> tuple[Rule, ...]:
        fields = self._reading.mapping(value, "", required=("hours", "rules"))
        hours = self._working_hours(fields["hours"])
        listed = self._reading.sequence(fields["rules"], "/rules", least=0)
        return tuple(self._rule(item, f"/rules/{index}", hours) for index, item in enumerate(listed))

    def _working_hours(self, value: object) -> WorkingHours:
        fields = self._reading.mapping(value, "/hours", required=("default", "members"))
        members = self._reading.mapping(fields["members"], "/hours/members")
        for code in members:
            if code not in ASSIGNED_ALPHA3 and code not in ORGANISATIONS:
                place = f"/hours/members/{pointer_token(code)}"
                self._reading.fault(place, "bad-code", f"`{quoted(code)}` is no code that a member can have")
        own = {code: self._hours(each, f"/hours/members/{pointer_token(code)}") for code, each in members.items()}
        return WorkingHours(self._hours(fields["default"], "/hours/default"), own)

    def _hours(self, value: object, place: str) -> Hours:
        fields = self._reading.mapping(value, place, required=_HOURS_FIELDS)
        listed = self._reading.sequence(fields["days"], f"{place}/days", least=0)
        order = list(_Day)
        days = frozenset(
            order.index(self._reading.choice(each, f"{place}/days/{index}", _Day)) for index, each in enumerate(listed)
        )
        opens, closes = self._clock(fields["from"], f"{place}/from"), self._clock(fields["until"], f"{place}/until")
        if opens is not None and opens == closes:
            self._reading.fault(place, "bad-hours", "`from` and `until` are one: for no hours leave `days` empty")
        return Hours(self._zone(fields["zone"], f"{place}/zone"), days, opens or time(), closes or time())

    def _rule(self, value: object, place: str, hours: WorkingHours) -> Rule:
        # Which fields belong here only the kind can say.
        named = value if isinstance(value, Mapping) else {}
        kind = self._reading.choice(named.get("kind", MISSING), f"{place}/kind", Kind)
        is_known = any(named.get("kind") == each.value for each in Kind)
        known = (*_COMMON, *_FIELDS[kind]) if is_known else tuple(dict.fromkeys((*_COMMON, *named)))
        fields = self._reading.mapping(value, place, required=known)
        return Rule(
            name=self._name(fields["name"], f"{place}/name"),
            kind=kind.value,
            severity=self._reading.choice(fields["severity"], f"{place}/severity", Severity),
            cooldown=self._span(fields["cooldown"], f"{place}/cooldown"),
            condition=self._condition(kind, fields, place, hours) if is_known else alerts.LogFrozen(),
        )

    def _condition(self, kind: Kind, fields: Mapping[str, object], place: str, hours: WorkingHours) -> Condition:
        def number(name: str, most: int) -> int:
            return self._number(fields[name], f"{place}/{name}", most=most)

        def span(name: str) -> timedelta:
            return self._span(fields[name], f"{place}/{name}")

        def levels() -> frozenset[tuple[str, str]]:
            return self._levels(fields["level"], f"{place}/level")

        made: Mapping[Kind, Callable[[], Condition]] = {
            Kind.MASS_PULLS: lambda: alerts.MassPulls(
                number("minimum", _MOST_READS),
                number("deviations", _MOST_DEVIATIONS),
                number("baseline_days", _MOST_BASELINE_DAYS),
            ),
            Kind.REFUSAL_BURST: lambda: alerts.RefusalBurst(number("count", _MOST_REFUSALS), span("window")),
            Kind.AFTER_REVOCATION: alerts.AfterRevocation,
            Kind.OUT_OF_HOURS: lambda: alerts.OutOfHours(levels(), hours),
            Kind.TWO_ADDRESSES: lambda: alerts.TwoAddresses(span("window")),
            Kind.FIRST_CERTIFICATE: lambda: alerts.FirstCertificate(levels()),
            Kind.FIRST_ADDRESS: lambda: alerts.FirstAddress(levels()),
            Kind.READ_AFTER_CHANGE: lambda: alerts.ReadAfterChange(
                self._events(fields["events"], f"{place}/events"), span("window")
            ),
            Kind.OCCURRENCE: lambda: self._occurrence(fields, place),
            Kind.LOG_BEHIND: lambda: alerts.LogBehind(span("objective")),
            Kind.LOG_FROZEN: alerts.LogFrozen,
            Kind.NODE_SILENT: lambda: alerts.NodeSilent(span("objective")),
            Kind.WITNESS_BEHIND: lambda: alerts.WitnessBehind(span("objective")),
        }
        return made[kind]()

    def _occurrence(self, fields: Mapping[str, object], place: str) -> alerts.Occurrence:
        events = self._events(fields["events"], f"{place}/events")
        outcomes = self._reading.sequence(fields["outcomes"], f"{place}/outcomes")
        return alerts.Occurrence(events, self._words(outcomes, f"{place}/outcomes", Outcome))

    def _events(self, value: object, place: str) -> frozenset[str]:
        events = self._reading.sequence(value, place)
        for index, event in enumerate(events):
            if isinstance(event, str) and event in _NEVER:
                self._reading.fault(f"{place}/{index}", "endless", f"`{event}` would raise itself: leave it out")
        return self._words(events, place, EventName)

    def _words(self, values: list[object], place: str, choices: type[EventName] | type[Outcome]) -> frozenset[str]:
        return frozenset(
            self._reading.choice(each, f"{place}/{index}", choices).value for index, each in enumerate(values)
        )

    def _name(self, value: object, place: str) -> str:
        name = self._reading.text(value, place)
        if name and (not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME):
            self._reading.fault(place, "bad-name", f"`{quoted(name)}` is no name: use lower case, digits and hyphens")
        if name and name in self._names:
            self._reading.fault(place, "repeated", f"`{quoted(name)}` stands on two rules: give each its own")
        self._names.add(name)
        return name

    def _number(self, value: object, place: str, *, most: int) -> int:
        if type(value) is int and 1 <= value <= most:
            return value
        if value is not MISSING:
            self._reading.fault(place, "bad-number", f"write a whole number from 1 to {most}")
        return 1

    def _span(self, value: object, place: str) -> timedelta:
        text = self._reading.text(value, place)
        found = _DURATION.fullmatch(text)
        if found is None:
            if text:
                message = f"`{quoted(text)}` is no duration of days, hours, minutes and seconds: write P1D or PT30M"
                self._reading.fault(place, "bad-duration", message)
            return timedelta(0)
        days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not timedelta(0) < span <= _LONGEST_SPAN:
            self._reading.fault(place, "bad-duration", f"`{quoted(text)}`: write more than nothing, at most P366D")
        return span

    def _clock(self, value: object, place: str) -> time | None:
        text = self._reading.text(value, place)
        found = _CLOCK.fullmatch(text)
        if found is not None:
            return time(int(found[1]), int(found[2]))
        if text:
            self._reading.fault(place, "bad-time", f"`{quoted(text)}` is no time of day: write 07:00")
        return None

    def _zone(self, value: object, place: str) -> ZoneInfo:
        name = self._reading.text(value, place)
        try:
            return ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f"`{quoted(name)}` is no time zone that this host knows: write one such as Europe/Oslo"
            self._reading.fault(place, "unknown-zone", message)
            return ZoneInfo("UTC")

    def _levels(self, value: object, place: str) -> frozenset[tuple[str, str]]:
        """Return every level, of whatever policy, that the named one of the base policy does not exceed."""
        name = self._reading.text(value, place)
        try:
            least = self._catalogue.clearance_rank(name)
        except UnknownMarkingError:
            if name:
                known = ", ".join(level.name for level in self._catalogue.base.levels)
                self._reading.fault(place, "unknown-level", f"`{quoted(name)}` is not one of {known}")
            return frozenset()
        return frozenset(level for level, rank in self._catalogue.protection.items() if rank >= least)
