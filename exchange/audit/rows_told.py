"""What entries say of rows: how far a report, a client, a consent had come, and that it had ended.

A row only goes on from there: versions grow, and what has ended stays ended. A row that does not stand where the log
says was changed in the database, or an older one was put back in its place.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from exchange.audit.events import EventName, Outcome
from exchange.audit.shape import Entry
from exchange.kernel import LAST_MOMENT, MalformedError, parse_rfc3339

CLIENT_SAYS: Final = (
    *("member", "standing", "roles", "level", "compartments"),
    *("agency", "nationality", "purposes", "until"),
)
"""What an entry about a client says of its row; the older ones say the first five, and the first one as its owner."""


ALERT_SAYS: Final = ("rule", "kind", "severity", "member", "owner", "entry")
"""What the entry of an alert says of its row: by the last three it is found, and to whom it is shown."""

CRISIS_SAYS: Final = ("agreement", "opened", "edition", "clause", "until")
"""What the entry of a crisis says of its row: all that decides what is open, and when."""

BREACH_SAYS: Final = ("agreement", "scope", "kind", "party", "owed_to", "label", "due", "report")
"""What the entry of a breach says of its row, which never changes."""

_PARTY: Final = "party "
_LEAVING: Final = "leaving "
TEXT_PLACE: Final = "text"
"""Where it is said under which text an agreement stands."""

NO_ENTRY: Final = cast("Entry", {"id": "none", "type": "none"})
"""Stands for what tells of a row that nothing tells of."""


class RowKind(Enum):
    """What kind of thing a row is of."""

    REPORT = "report"
    CLIENT = "client"
    MEMBER = "member"
    AGREEMENT = "agreement"
    SIGNATORY_KEY = "signatory-key"
    PROXY = "proxy"
    ONWARD = "onward"
    DERIVATION = "derivation"
    CRISIS = "crisis"
    REQUEST = "request"
    SUBSCRIPTION = "subscription"
    ALERT = "alert"
    BREACH = "breach"
    CAVEATS = "caveats"
    """A member's national caveats, by its code; the version is the number of the set in force."""
    ERASED = "personal"
    """Keys of personal data by subject and period, with a space between; the version is how many are destroyed."""


class RowName(NamedTuple):
    """Of what a row is, and its id."""

    kind: RowKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}"


ALTERED_CLASS: Final = "facts of the release class"
"""Stands for the column that cannot be read where a report's release class is not what its digest names."""


class TextTold(NamedTuple):
    """Which text of an agreement: the number of its edition, and its digest."""

    edition: int
    digest: object


def party_place(member: str) -> str:
    """Return where it is said how a party of an agreement stands."""
    return f"{_PARTY}{member}"


@dataclass(frozen=True, slots=True)
class RowTold:
    """What one entry, `by`, says of one row.

    The row is at `version` or further; `is_over` where it has ended for good. `says` is what stands in the version
    itself, and where that is the last word, in each one after it as well, to the one that it `holds_to`: the newest one
    that entries tell of. `not_for` is a member that the originator's consent was taken back from, at that version.
    `is_newest`: no entry makes a later version.
    """

    name: RowName
    by: Entry
    version: int = 0
    is_over: bool = False
    says: Mapping[str, object] = field(default_factory=dict)
    not_for: str | None = None
    holds_to: int | None = None
    is_newest: bool = False

    @property
    def event(self) -> str:
        """Return what happened to it then."""
        return self.by["type"]

    def tells_of_party(self, member: str) -> bool:
        """Return whether this tells where `member` stands in an agreement, or of its text, which binds all parties."""
        return not self.says.keys().isdisjoint({TEXT_PLACE, party_place(member), f"{_LEAVING}{member}"})


@dataclass(frozen=True, slots=True)
class RowKept:
    """What the database holds under a name: the current version (-1 for none), and what stands in each.

    `lets` are the members that it is released to beyond its clause without a consent that stands. `unread` is, by
    version, a column that holds nothing of its kind: what somebody wrote there cannot be read. Of a report whose
    release class was altered that is `ALTERED_CLASS` alone, and nothing that it `says` is believed.
    """

    version: int
    is_over: bool = False
    says: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    lets: frozenset[str] = frozenset()
    unread: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_of_altered_class(self) -> bool:
        """Return whether the class that a report stands in is what cannot be read, and not the report."""
        return ALTERED_CLASS in self.unread.values()


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row that is not what the log says. `is_current`: what is decided on is wrong, and not only what was before.

    `certificate` is the thumbprint of one in use that is not the client's; it stands in nothing that is told of it.
    `is_unread` where all that the log tells of stands there, and something else cannot be read; `is_of_altered_class`
    where that is the release class which a report stands in.
    """

    told: RowTold
    why: str
    is_current: bool = True
    certificate: str | None = None
    is_unread: bool = False
    is_of_altered_class: bool = False


def is_settled(recorded_at: object, before: int, now: int | None) -> bool:
    """Return whether the entry that made a row is in its place, where all are that came `before`, in microseconds.

    A row from after `now` is no newer than one that lies.
    """
    is_new = isinstance(recorded_at, int) and before <= recorded_at and (now is None or recorded_at <= now)
    return not is_new


def contradiction(told: RowTold, kept: RowKept | None) -> Contradiction | None:
    """Return in what a row contradicts an entry; None where it does not. Read the row after the entry."""
    if kept is None:
        return Contradiction(told, f"its row is gone, and `{told.event}` is in the log")
    if told.is_newest and kept.version != told.version:
        return Contradiction(told, f"no entry tells of its version {kept.version}")
    return _not_as_far(told, kept) or _other_said(told, kept) or _unread(told, kept)


def _not_as_far(told: RowTold, kept: RowKept) -> Contradiction | None:
    """Return where a row has not come as far as an entry says."""
    if told.is_over and not kept.is_over:
        return Contradiction(told, f"`{told.event}` ended it, and its row says that it goes on")
    if kept.version < told.version and not kept.is_over:
        if told.name.kind is RowKind.ERASED:
            return Contradiction(told, f"{told.version} keys were erased by two persons, and {kept.version} are gone")
        why = f"its row is of version {kept.version}: `{told.event}` made version {told.version}"
        return Contradiction(told, why)
    if told.not_for is not None and kept.version == told.version:
        if told.not_for in kept.lets:
            return Contradiction(told, f"it goes to {told.not_for}: `{told.event}` took that back")
        if kept.is_of_altered_class and not kept.is_over:
            why = f"nothing in its row says that it goes to {told.not_for} no more: `{told.event}` took that back"
            return Contradiction(told, why, is_of_altered_class=True)
    return None


def _unread(told: RowTold, kept: RowKept) -> Contradiction | None:
    """Return what cannot be read in the version that an entry tells of, where all that it says stands there."""
    column = kept.unread.get(told.version)
    if column is None:
        return None
    why = f"`{column}` in version {told.version} cannot be read"
    is_current = kept.version == told.version
    return Contradiction(told, why, is_current, is_unread=True, is_of_altered_class=column == ALTERED_CLASS)


def _other_said(told: RowTold, kept: RowKept) -> Contradiction | None:
    """Return in what a version of a row, or the current one, says something else."""
    # Of a report the version of now alone is there, and what an altered class says is not the report's.
    is_report = told.name.kind is RowKind.REPORT
    if not told.says or (is_report and (kept.version != told.version or kept.is_of_altered_class)):
        return None
    # A row that has gone on further than the entries that were read is looked at when they tell of it.
    if told.holds_to is not None and kept.version <= told.holds_to:
        now = kept.says.get(kept.version, {})
        other = next((name for name, value in told.says.items() if not _goes_on(now.get(name, value), value)), None)
        if other is not None:
            return Contradiction(told, f"`{other}` is another than its last word, `{told.event}`")
    there = kept.says.get(told.version)
    is_current = kept.version == told.version
    if there is None:
        return Contradiction(told, f"version {told.version}, of `{told.event}`, is gone", is_current)
    other = next((name for name, value in told.says.items() if there.get(name) != value), None)
    if other is None:
        return None
    return Contradiction(
        told, f"`{other}` in version {told.version} is another than `{told.event}` put there", is_current
    )


def _goes_on(now: object, said: object) -> bool:
    """Return whether a row says now what was said last, or stands under a text of which no whole entry tells."""
    # A later text is there by the signatures of all whom it binds; which entry of it was damaged, is told apart.
    is_later = isinstance(now, TextTold) and isinstance(said, TextTold) and now.edition > said.edition
    return is_later or now == said


class LastWords:
    """Is told what entries say of agreements, in any order, and says in the end what holds of text and parties still.

    Other parties' acts and amendments make new versions, in which a party keeps its own standing and its notice; one
    that has left and that an amended text names again begins anew. The text is that of the highest edition, whoever
    acted under another one since.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[RowName, str], RowTold] = {}
        self._notices: dict[tuple[RowName, str], list[datetime]] = {}
        self._amended: dict[RowName, list[RowTold]] = {}
        self._texts: dict[RowName, RowTold] = {}
        self._newest: dict[RowName, int] = {}

    def take(self, told: RowTold) -> None:
        """Take what one entry says."""
        if told.name.kind is not RowKind.AGREEMENT:
            return
        self._newest[told.name] = max(told.version, self._newest.get(told.name, told.version))
        # One of the service names those that a text names no more, beside the entry for whom it binds.
        is_of_leavers = told.by.get("actor", {}).get("kind") == "service"
        if told.event == EventName.AGREEMENT_AMENDED.value and not is_of_leavers:
            self._amended.setdefault(told.name, []).append(told)
        if text := _text_acted_under(told.by):
            last, new = self._texts.get(told.name), replace(told, says=text)
            if last is None or _edition(last) < _edition(new):
                self._texts[told.name] = new
        for place, value in told.says.items():
            if place == TEXT_PLACE:
                continue
            before = self._last.get((told.name, place))
            if before is None or before.version < told.version:
                self._last[told.name, place] = told
            if place.startswith(_LEAVING):
                self._notices.setdefault((told.name, place.removeprefix(_LEAVING)), []).append(_at(value))

    def found(self) -> list[RowTold]:
        """Return the last words that suspended a party, or by which it withdrew, and the last texts."""
        words = [
            replace(told, says={place: told.says[place]})
            for (_, place), told in self._last.items()
            if told.event in _NARROWING and not self._began_anew(told, place.partition(" ")[2])
        ]
        return [replace(told, holds_to=self._newest[told.name]) for told in (*self._texts.values(), *words)]

    def _began_anew(self, told: RowTold, member: str) -> bool:
        """Return whether a party left, by a notice or a text, and acceded again since `told`."""
        since, is_named = _at(told.by.get("ts")), True
        notices = [leaves_at for leaves_at in self._notices.get((told.name, member), ()) if leaves_at >= since]
        for amended in sorted(self._amended.get(told.name, ()), key=lambda each: each.version):
            if amended.version < told.version:
                continue
            has_left = not is_named or any(leaves_at <= _at(amended.by.get("ts")) for leaves_at in notices)
            parties = amended.by.get("detail", {}).get("parties")
            is_named = not isinstance(parties, list) or member in parties
            if has_left and is_named:
                return True
        return False


def rows_told(entry: Entry) -> tuple[RowTold, ...]:
    """Return what an entry says of rows; nothing where it tells of something else, or of what did not come to pass."""
    read = _TELLING.get(entry["type"])
    if read is None or entry["decision"] != outcome_telling(entry["type"]).value:
        return ()
    return tuple(read(entry))


def outcome_telling(event: str) -> Outcome:
    """Return with which outcome entries of `event` say something of rows."""
    return Outcome.FAILED if event in _TELLING_OF_FAILURES else Outcome.PERMITTED


def _report(entry: Entry) -> Iterator[RowTold]:
    # A post is recorded under its own label, a new version under the one before, with the new one beside it.
    label, detail = entry.get("label", {}), entry.get("detail", {})
    says = {
        "agreement": entry.get("agreement"),
        "scope": entry.get("scope"),
        "originator": entry.get("owner"),
        "level": detail.get("to_level", label.get("classification")),
        "policy": detail.get("to_policy", label.get("policy")),
    }
    yield _subject(entry, RowKind.REPORT, says=_said(says))


def _client(entry: Entry) -> Iterator[RowTold]:
    of_member = {"member": entry["owner"]} if "owner" in entry else {}
    yield _subject(entry, RowKind.CLIENT, says=of_member | _given(entry, CLIENT_SAYS))


def _signatory_key(entry: Entry) -> Iterator[RowTold]:
    subject, detail = entry.get("object"), entry.get("detail", {})
    pieces = detail.get("ml_dsa_65")
    if subject is None:
        return
    says = {
        "client": subject["id"],
        "member": entry.get("owner"),
        "ed25519": detail.get("ed25519"),
        "ml_dsa_65": "".join(pieces) if isinstance(pieces, list) else pieces,
    }
    yield from _named(entry, RowKind.SIGNATORY_KEY, "key", says=_said(says))


def _member(entry: Entry) -> Iterator[RowTold]:
    yield _subject(entry, RowKind.MEMBER, says=_given(entry, ("standing",)))


def _agreement(entry: Entry) -> Iterator[RowTold]:
    yield _subject(entry, RowKind.AGREEMENT, says=_text_acted_under(entry))


def _party(entry: Entry) -> Iterator[RowTold]:
    detail = entry.get("detail", {})
    # What a restore did again for a party names it apart.
    member = detail.get("on_behalf_of", entry.get("member"))
    state = _PARTY_STATES[entry["type"]]
    leaves_at = detail.get("leaves_at")
    # Who gave notice stands as it stood until then; each of its later acts says besides when it leaves.
    is_notice = entry["type"] == EventName.AGREEMENT_WITHDRAWN.value and leaves_at is not None
    says = {f"{_LEAVING}{member}": leaves_at} if is_notice else {party_place(str(member)): state}
    yield _subject(entry, RowKind.AGREEMENT, says=says)


def _text(entry: Entry) -> dict[str, object]:
    detail = entry.get("detail", {})
    edition, digest = detail.get("edition", 1), detail.get("text")
    return {TEXT_PLACE: TextTold(edition, digest)} if isinstance(edition, int) and isinstance(digest, str) else {}


def _text_acted_under(entry: Entry) -> dict[str, object]:
    """Return the text that stood as this was done; nothing where it bound nobody, or was only signed."""
    # Who leaves what all others have not signed may have left what somebody wrote into a row.
    is_unsigned = entry["type"] in _PARTY_STATES and entry.get("detail", {}).get("state") in _BINDING_NOBODY
    is_other = is_unsigned or entry["type"] == EventName.AGREEMENT_SIGNED.value
    return {} if is_other else _text(entry)


def _edition(told: RowTold) -> tuple[int, int]:
    text = told.says[TEXT_PLACE]
    return (text.edition if isinstance(text, TextTold) else 0), told.version


def _ended(kind: RowKind, place: str | None) -> Callable[[Entry], Iterator[RowTold]]:
    def read(entry: Entry) -> Iterator[RowTold]:
        if place is None:
            yield _subject(entry, kind, is_over=True)
        else:
            yield from _named(entry, kind, place, is_over=True)

    return read


def _withdrawn_request(entry: Entry) -> Iterator[RowTold]:
    # Of one that was closed whoever is asked still reads: what was withdrawn is that for good.
    yield _subject(entry, RowKind.REQUEST, is_over=True, says={"ended": "withdrawn"})


def _alert(entry: Entry) -> Iterator[RowTold]:
    whose = {"member": entry.get("member"), "owner": entry.get("owner"), "entry": entry["id"]}
    said = {**entry.get("detail", {}), **whose}
    yield from _named(entry, RowKind.ALERT, "alert", says={name: said.get(name) for name in ALERT_SAYS})


def _crisis(entry: Entry) -> Iterator[RowTold]:
    said = {**entry.get("detail", {}), "agreement": entry.get("agreement"), "opened": entry.get("ts")}
    yield from _named(entry, RowKind.CRISIS, "crisis", says={name: said.get(name) for name in CRISIS_SAYS})


def _subscription(entry: Entry) -> Iterator[RowTold]:
    yield _subject(entry, RowKind.SUBSCRIPTION, says={"client": entry.get("actor", {}).get("id")})


def _breach(entry: Entry) -> Iterator[RowTold]:
    said = {**entry.get("detail", {}), **{name: entry.get(name) for name in ("agreement", "scope", "label")}}
    yield from _named(entry, RowKind.BREACH, "breach", says={name: said.get(name) for name in BREACH_SAYS})


def _erased(entry: Entry) -> Iterator[RowTold]:
    subject, detail = entry.get("object"), entry.get("detail", {})
    period, keys = detail.get("period"), detail.get("keys")
    if subject is not None and isinstance(period, str) and isinstance(keys, int) and keys:
        yield RowTold(RowName(RowKind.ERASED, f"{subject['id']} {period}"), entry, keys)


def _caveats(entry: Entry) -> Iterator[RowTold]:
    subject, detail = entry.get("object"), entry.get("detail", {})
    if subject is not None and "owner" in entry:
        yield from _set_in_force(entry, entry["owner"], detail.get("number"), subject["id"])


def _set_in_force(entry: Entry, member: str, number: object, set_id: object) -> Iterator[RowTold]:
    if isinstance(number, int):
        says = {"set": set_id, "digest": entry.get("detail", {}).get("digest"), "in_force_beside": ()}
        yield RowTold(RowName(RowKind.CAVEATS, member), entry, number, says=says)


def _made_by_jobs(entry: Entry) -> Iterator[RowTold]:
    # What the jobs made of a client, a member, an agreement or caveats that were put back may not be put back either.
    subject, detail = entry.get("object"), entry.get("detail", {})
    version, standing = detail.get("put"), detail.get("done")
    if subject is not None and subject["type"] == RowKind.CAVEATS.value:
        yield from _set_in_force(entry, subject["id"], version, detail.get("set"))
        return
    if subject is None or not isinstance(version, int):
        return
    if subject["type"] == RowKind.AGREEMENT.value:
        parties = detail.get("parties")
        says = {party_place(member): standing for member in (parties if isinstance(parties, list) else ())}
        yield RowTold(RowName(RowKind.AGREEMENT, subject["id"]), entry, version, says=says)
        return
    if subject["type"] not in _PARTIES:
        return
    yield RowTold(RowName(RowKind(subject["type"]), subject["id"]), entry, version, says={"standing": standing})


def _granted(kind: RowKind) -> Callable[[Entry], Iterator[RowTold]]:
    def read(entry: Entry) -> Iterator[RowTold]:
        deed = entry.get("detail", {}).get("deed")
        # Older entries do not name what was signed.
        if isinstance(deed, str):
            yield from _named(entry, kind, "request", says={"deed": deed})

    return read


def _onward_revoked(entry: Entry) -> Iterator[RowTold]:
    yield from _ended(RowKind.ONWARD, "request")(entry)
    recipient = entry.get("detail", {}).get("recipient")
    yield _subject(entry, RowKind.REPORT, not_for=recipient if isinstance(recipient, str) else None)


def _subject(
    entry: Entry,
    kind: RowKind,
    *,
    is_over: bool = False,
    says: Mapping[str, object] = MappingProxyType({}),
    not_for: str | None = None,
) -> RowTold:
    subject = entry.get("object")
    if subject is None:
        return RowTold(RowName(kind, ""), entry, is_over=is_over)
    return RowTold(RowName(kind, subject["id"]), entry, subject.get("version", 0), is_over, says, not_for)


def _named(
    entry: Entry, kind: RowKind, place: str, *, is_over: bool = False, says: Mapping[str, object] = MappingProxyType({})
) -> Iterator[RowTold]:
    """Yield what is told of the row that the detail names at `place`; nothing where it names none."""
    named = entry.get("detail", {}).get(place)
    if isinstance(named, str):
        yield RowTold(RowName(kind, named), entry, is_over=is_over, says=says)


def _said(says: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in says.items() if value is not None}


def _given(entry: Entry, names: tuple[str, ...]) -> dict[str, object]:
    detail = entry.get("detail", {})
    return {name: _as_set(detail[name]) for name in names if name in detail}


def _as_set(value: object) -> object:
    return tuple(sorted(value)) if isinstance(value, list) else value


def _at(value: object) -> datetime:
    """Return the moment that an entry names; what is none never comes."""
    with suppress(MalformedError):
        return parse_rfc3339(str(value))
    return LAST_MOMENT


_TELLING_OF_FAILURES: Final = frozenset({EventName.ROW_CONTRADICTED.value, EventName.DUTY_BREACHED.value})

_PARTIES: Final = frozenset({RowKind.CLIENT.value, RowKind.MEMBER.value})

_PARTY_STATES: Final = {
    EventName.AGREEMENT_SUSPENDED.value: "suspended",
    EventName.AGREEMENT_RESUMED.value: "signed",
    EventName.AGREEMENT_WITHDRAWN.value: "withdrawn",
}

_BINDING_NOBODY: Final = frozenset({"draft", "withdrawn"})
"""States of an agreement."""

_NARROWING: Final = frozenset(
    {EventName.AGREEMENT_SUSPENDED.value, EventName.AGREEMENT_WITHDRAWN.value, EventName.ROW_CONTRADICTED.value}
)

_TELLING: Final[Mapping[str, Callable[[Entry], Iterator[RowTold]]]] = {
    EventName.REPORT_POSTED.value: _report,
    EventName.REPORT_AMENDED.value: _report,
    EventName.REPORT_DOWNGRADED.value: _report,
    EventName.REPORT_DECLASSIFIED.value: _report,
    EventName.REPORT_RECALLED.value: _ended(RowKind.REPORT, None),
    EventName.REPORT_ENDED.value: _ended(RowKind.REPORT, None),
    EventName.CLIENT_ENROLLED.value: _client,
    EventName.CLIENT_CHANGED.value: _client,
    EventName.CLIENT_REVOKED.value: _client,
    EventName.MEMBER_ADDED.value: _member,
    EventName.MEMBER_SUSPENDED.value: _member,
    EventName.MEMBER_RESUMED.value: _member,
    EventName.AGREEMENT_PROPOSED.value: _agreement,
    EventName.AGREEMENT_SIGNED.value: _agreement,
    EventName.AGREEMENT_AMENDED.value: _agreement,
    EventName.AGREEMENT_SUSPENDED.value: _party,
    EventName.AGREEMENT_RESUMED.value: _party,
    EventName.AGREEMENT_WITHDRAWN.value: _party,
    EventName.SIGNATORY_KEY_ENROLLED.value: _signatory_key,
    EventName.SIGNATORY_KEY_RETIRED.value: _ended(RowKind.SIGNATORY_KEY, "key"),
    EventName.PROXY_REFUSED.value: _ended(RowKind.PROXY, "consent"),
    EventName.PROXY_REVOKED.value: _ended(RowKind.PROXY, "consent"),
    EventName.ONWARD_GRANTED.value: _granted(RowKind.ONWARD),
    EventName.ONWARD_REFUSED.value: _ended(RowKind.ONWARD, "request"),
    EventName.ONWARD_WITHDRAWN.value: _ended(RowKind.ONWARD, "request"),
    EventName.ONWARD_REVOKED.value: _onward_revoked,
    EventName.DERIVATION_GRANTED.value: _granted(RowKind.DERIVATION),
    EventName.DERIVATION_REFUSED.value: _ended(RowKind.DERIVATION, "request"),
    EventName.DERIVATION_WITHDRAWN.value: _ended(RowKind.DERIVATION, "request"),
    EventName.DERIVATION_REVOKED.value: _ended(RowKind.DERIVATION, "request"),
    EventName.CRISIS_DECLARED.value: _crisis,
    EventName.CRISIS_ENDED.value: _ended(RowKind.CRISIS, "crisis"),
    EventName.REQUEST_CLOSED.value: _ended(RowKind.REQUEST, None),
    EventName.REQUEST_WITHDRAWN.value: _withdrawn_request,
    EventName.PERSONAL_ERASED.value: _erased,
    EventName.SUBSCRIPTION_ADDED.value: _subscription,
    EventName.SUBSCRIPTION_REMOVED.value: _ended(RowKind.SUBSCRIPTION, None),
    EventName.CAVEATS_ACTIVATED.value: _caveats,
    EventName.ALERT_RAISED.value: _alert,
    EventName.DUTY_BREACHED.value: _breach,
    EventName.ROW_CONTRADICTED.value: _made_by_jobs,
}

AGREEMENT_EVENTS: Final = (
    *(EventName.AGREEMENT_PROPOSED, EventName.AGREEMENT_SIGNED, EventName.AGREEMENT_AMENDED),
    *(EventName.AGREEMENT_SUSPENDED, EventName.AGREEMENT_RESUMED, EventName.AGREEMENT_WITHDRAWN),
    EventName.ROW_CONTRADICTED,
)
"""What makes another version of an agreement."""

TELLING_EVENTS: Final = tuple(map(EventName, _TELLING))
"""The events whose entries say something of rows."""
