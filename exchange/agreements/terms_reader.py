"""The form and the sense of an agreement's terms, checked field by field in the contract's order."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice

from exchange.agreements.durations import moved_by
from exchange.agreements.model import (
    AnswersTo,
    CrisisClause,
    NamedSignatory,
    Obligation,
    OlderReports,
    OnwardRelease,
    Scope,
    SharedReports,
    Termination,
    Terms,
    Validity,
)
from exchange.agreements.reading import E, Reading, quoted
from exchange.agreements.vocabulary import Vocabulary, covers
from exchange.kernel import EPOCH, MalformedError, parse_day, pointer_token
from exchange.members import MemberCode

# Urgencies for which an obligation may set a time, most urgent first; reports own the enum of the same words.
PRECEDENCES = ("FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
EVERY_PARTY = "all"

_LONGEST_TITLE = 200
_LONGEST_SCOPE_NAME = 64
_SCOPE_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
# ISO 8601 §5.5.2.2 and weeks; at most four digits, so that no sum leaves the calendar.
_DURATION = re.compile(
    r"P(?:\d{1,4}W|(?=[\dT])(?:\d{1,4}Y)?(?:\d{1,4}M)?(?:\d{1,4}D)?(?:T(?=\d)(?:\d{1,4}H)?(?:\d{1,4}M)?(?:\d{1,4}S)?)?)",
    re.ASCII,
)
_HOURS = re.compile(r"PT([1-9]\d{0,2})H", re.ASCII)
# A month: what lasts longer is no emergency, and is agreed on by an amendment.
_LONGEST_CRISIS_HOURS = 720
_LONGEST_NAME = 255
# More than an agreement has parties. A text may choose wrongly thousands of times, among hundreds of names.
_MOST_TOLD = 30
_FIELDS = ("title", "parties", "policy", "validity", "scopes", "termination")
_SCOPE_FIELDS = (
    *("name", "topics", "regions", "kinds", "purposes", "ceiling"),
    *("contributors", "readers", "onward_release", "retention"),
)
_CRISIS_FIELDS = ("name", "scope", "at_most", "signatories")
_CRISIS_WIDENINGS = ("ceiling", "readers", "older_reports")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What terms may refer to: the words, the levels and compartments of a policy, the members.

    `levels(policy)` is None for an unknown policy; `compartments` are asked of known ones alone.
    """

    vocabulary: Vocabulary
    levels: Callable[[str], tuple[str, ...] | None]
    compartments: Callable[[str], frozenset[str]]
    is_member: Callable[[str], bool]


class TermsReader:
    """Reads terms, noting every fault; without `around` only their form and inner references."""

    def __init__(self, reading: Reading, around: Surroundings | None) -> None:
        self._reading = reading
        self._around = around
        self._parties: tuple[str, ...] = ()
        self._policy = ""
        self._scope_names: frozenset[str] = frozenset()

    def read(self, value: object) -> Terms:
        """Return the terms in `value`; without meaning where a fault was noted."""
        fields = self._reading.mapping(value, "", required=_FIELDS, optional=("obligations", "older_reports", "crisis"))
        title = self._reading.shown(fields["title"], "/title", "title", longest=_LONGEST_TITLE)
        # Parties, policy and scope names first: what follows refers to them.
        self._parties = self._party_list(fields["parties"])
        self._policy = self._known_policy(fields["policy"])
        scopes = self._scopes(fields["scopes"])
        self._scope_names = frozenset(scope.name for scope in scopes if scope.name)
        return Terms(
            title=title,
            parties=_codes(self._parties),
            policy=self._policy,
            validity=self._validity(fields["validity"]),
            scopes=scopes,
            obligations=self._obligations(fields.get("obligations", ()), scopes),
            termination=self._termination(fields["termination"]),
            older_reports=self._optional_choice(fields.get("older_reports"), "/older_reports", OlderReports),
            crisis=self._crisis(fields.get("crisis", ()), scopes),
        )

    def _party_list(self, value: object) -> tuple[str, ...]:
        parties = self._reading.texts(value, "/parties", least=2)
        if self._around is not None:
            unknown = (code for code in parties if code and not self._around.is_member(code))
            self._refuse_each(parties, "/parties", unknown, ("unknown-member", "is no member of the exchange"))
        return parties

    def _known_policy(self, value: object) -> str:
        policy = self._reading.text(value, "/policy")
        if policy and self._around is not None and self._around.levels(policy) is None:
            self._reading.fault("/policy", "unknown-policy", f"`{quoted(policy)}` is no security policy known here")
        return policy

    def _validity(self, value: object) -> Validity:
        fields = self._reading.mapping(value, "/validity", required=("from", "until"), optional=("review_every",))
        first_day = self._day(fields["from"], "/validity/from")
        last_day = self._day(fields["until"], "/validity/until")
        if first_day is not None and last_day is not None and last_day < first_day:
            message = f"the last day {last_day} lies before the first day {first_day}"
            self._reading.fault("/validity/until", "bad-validity", message)
        review_every = self._review_every(fields.get("review_every"), "/validity/review_every")
        return Validity(first_day or date.min, last_day or date.max, review_every)

    def _review_every(self, value: object, place: str) -> str | None:
        text = self._optional_duration(value, place)
        # A review falls due on a day: more often than daily none ever does. What was signed so before this stays.
        if self._around is None or text is None or not _DURATION.fullmatch(text):
            return text
        if EPOCH < moved_by(EPOCH, text) < moved_by(EPOCH, "P1D"):
            self._reading.fault(place, "bad-duration", f"`{quoted(text)}` is less than a day: write P1D or longer")
        return text

    def _scopes(self, value: object) -> tuple[Scope, ...]:
        scopes: list[Scope] = []
        for index, item in enumerate(self._reading.sequence(value, "/scopes")):
            scope = self._scope(item, f"/scopes/{index}")
            self._require_new(scope.name, {other.name for other in scopes}, f"/scopes/{index}/name", "scope")
            scopes.append(scope)
        return tuple(scopes)

    def _scope(self, value: object, place: str) -> Scope:
        fields = self._reading.mapping(value, place, required=_SCOPE_FIELDS, optional=("compartments", "answers"))
        return Scope(
            name=self._scope_name(fields["name"], f"{place}/name"),
            topics=self._topics(fields["topics"], f"{place}/topics"),
            regions=self._words(fields["regions"], f"{place}/regions"),
            kinds=self._words(fields["kinds"], f"{place}/kinds"),
            purposes=self._words(fields["purposes"], f"{place}/purposes"),
            ceiling=self._ceiling(fields["ceiling"], f"{place}/ceiling"),
            compartments=self._compartments(fields.get("compartments", ()), f"{place}/compartments"),
            contributors=self._among_parties(fields["contributors"], f"{place}/contributors"),
            readers=self._among_parties(fields["readers"], f"{place}/readers"),
            onward_release=self._reading.choice(fields["onward_release"], f"{place}/onward_release", OnwardRelease),
            retention=self._duration(fields["retention"], f"{place}/retention"),
            answers=self._optional_choice(fields.get("answers"), f"{place}/answers", AnswersTo),
        )

    def _scope_name(self, value: object, place: str) -> str:
        name = self._reading.text(value, place)
        if name and not (_SCOPE_NAME.fullmatch(name) and len(name) <= _LONGEST_SCOPE_NAME):
            message = (
                f"`{quoted(name)}` is no scope name: use lower-case letters, digits and single hyphens, "
                f"at most {_LONGEST_SCOPE_NAME}"
            )
            self._reading.fault(place, "bad-name", message)
        return name

    def _require_new(self, name: str, names: Collection[str], place: str, word: str) -> None:
        if name and name in names:
            message = f"`{quoted(name)}` names another {word} already: choose another name"
            self._reading.fault(place, "repeated", message)

    def _topics(self, value: object, place: str) -> tuple[str, ...]:
        topics = self._words(value, place)
        for index, topic in enumerate(topics):
            if any(other != topic and covers((other,), topic) for other in topics):
                message = f"`{quoted(topic)}` is covered by a wider topic of this scope: leave it out"
                self._reading.fault(f"{place}/{index}", "repeated", message)
        return topics

    def _words(self, value: object, place: str) -> tuple[str, ...]:
        words = self._reading.texts(value, place)
        if self._around is not None:
            field = place.rpartition("/")[2]
            known: Mapping[str, str] = getattr(self._around.vocabulary, field)
            unknown = (word for word in words if word and word not in known)
            self._refuse_each(words, place, unknown, (f"unknown-{field[:-1]}", "is not in the vocabulary"))
        return words

    def _ceiling(self, value: object, place: str) -> str:
        ceiling = self._reading.text(value, place)
        levels = self._around.levels(self._policy) if self._around is not None else None
        if ceiling and levels is not None and ceiling not in levels:
            message = f"`{quoted(ceiling)}` is no level of `{self._policy}`: use one of {', '.join(levels)}"
            self._reading.fault(place, "unknown-level", message)
        return ceiling

    def _compartments(self, value: object, place: str) -> tuple[str, ...]:
        compartments = self._reading.texts(value, place, least=0)
        if self._around is not None and self._around.levels(self._policy) is not None:
            known = self._around.compartments(self._policy)
            unknown = (name for name in compartments if name and name not in known)
            reason = ("unknown-compartment", f"is no compartment of `{self._policy}`")
            self._refuse_each(compartments, place, unknown, reason)
        return compartments

    def _among_parties(self, value: object, place: str) -> tuple[MemberCode, ...]:
        members = self._reading.texts(value, place)
        strangers = (code for code in members if code and self._parties and code not in self._parties)
        self._refuse_each(members, place, strangers, ("not-a-party", "is not among the parties"))
        return _codes(members)

    def _obligations(self, value: object, scopes: tuple[Scope, ...]) -> tuple[Obligation, ...]:
        found: list[Obligation] = []
        by_name = {scope.name: scope for scope in scopes}
        for index, item in enumerate(self._reading.sequence(value, "/obligations", least=0)):
            place = f"/obligations/{index}"
            found.append(self._obligation(item, place))
            self._require_owable(found[-1], by_name.get(found[-1].scope), place)
        return tuple(found)

    def _require_owable(self, obligation: Obligation, scope: Scope | None, place: str) -> None:
        """Note what a party would sign and nothing could hold it to; what was signed before this was asked stays."""
        party = obligation.party
        if self._around is None or scope is None or party not in self._parties:
            return
        duties = (
            ("report_every", obligation.report_every, scope.contributors, "contributor"),
            ("acknowledge", obligation.acknowledge, scope.readers, "reader"),
        )
        for field, owed, members, word in duties:
            # Who stands in a list that is faulty itself cannot be said: that is reported, what follows from it is not.
            if owed and members and party not in members and set(self._parties).issuperset(members):
                message = f"`{party}` is no {word} of the scope and cannot owe it: make it one, or leave this out"
                self._reading.fault(f"{place}/{field}", "not-owed", message)

    def _obligation(self, value: object, place: str) -> Obligation:
        owed = ("report_every", "acknowledge")
        fields = self._reading.mapping(value, place, required=("party", "scope"), optional=owed)
        if not any(fields.get(field) for field in owed) and isinstance(value, Mapping):
            self._reading.fault(place, "missing-field", f"nothing is owed: add {' or '.join(owed)}")
        parties = (EVERY_PARTY, *self._parties) if self._parties else ()
        party = self._one_of(parties, fields["party"], f"{place}/party")
        scope = self._one_of(sorted(self._scope_names), fields["scope"], f"{place}/scope")
        return Obligation(
            party=party,
            scope=scope,
            report_every=self._optional_duration(fields.get("report_every"), f"{place}/report_every"),
            acknowledge=self._acknowledge(fields.get("acknowledge"), f"{place}/acknowledge"),
        )

    def _acknowledge(self, value: object, place: str) -> tuple[tuple[str, str], ...]:
        if value is None:
            return ()
        fields = self._reading.mapping(value, place, required=(), optional=PRECEDENCES)
        # One order whatever the author's: equal obligations are equal values.
        given = (precedence for precedence in PRECEDENCES if precedence in fields)
        return tuple((each, self._duration(fields[each], f"{place}/{pointer_token(each)}")) for each in given)

    def _termination(self, value: object) -> Termination:
        fields = self._reading.mapping(value, "/termination", required=("notice", "shared_reports"))
        return Termination(
            notice=self._duration(fields["notice"], "/termination/notice", least_is_zero=True),
            shared_reports=self._reading.choice(fields["shared_reports"], "/termination/shared_reports", SharedReports),
        )

    def _crisis(self, value: object, scopes: tuple[Scope, ...]) -> tuple[CrisisClause, ...]:
        clauses: list[CrisisClause] = []
        for index, item in enumerate(self._reading.sequence(value, "/crisis", least=0)):
            clause = self._crisis_clause(item, f"/crisis/{index}", scopes)
            self._require_new(clause.name, {other.name for other in clauses}, f"/crisis/{index}/name", "crisis clause")
            clauses.append(clause)
        return tuple(clauses)

    def _crisis_clause(self, value: object, place: str, scopes: tuple[Scope, ...]) -> CrisisClause:
        fields = self._reading.mapping(value, place, required=_CRISIS_FIELDS, optional=_CRISIS_WIDENINGS)
        clause = CrisisClause(
            name=self._scope_name(fields["name"], f"{place}/name"),
            scope=self._one_of(sorted(self._scope_names), fields["scope"], f"{place}/scope"),
            ceiling=self._ceiling(fields["ceiling"], f"{place}/ceiling") if "ceiling" in fields else None,
            readers=self._among_parties(fields["readers"], f"{place}/readers") if "readers" in fields else (),
            at_most=self._hours(fields["at_most"], f"{place}/at_most"),
            signatories=self._signatories(fields["signatories"], f"{place}/signatories"),
            older_reports=self._optional_choice(fields.get("older_reports"), f"{place}/older_reports", OlderReports),
        )
        if isinstance(value, Mapping):
            self._require_widening(clause, next((each for each in scopes if each.name == clause.scope), None), place)
        return clause

    def _require_widening(self, clause: CrisisClause, scope: Scope | None, place: str) -> None:
        if clause.ceiling is None and not clause.readers:
            self._reading.fault(place, "missing-field", "nothing is widened: add `ceiling` or `readers`")
        if scope is None:
            return
        readers = (code for code in clause.readers if code and code in scope.readers)
        already = ("repeated", "reads the scope already: leave it out")
        self._refuse_each(clause.readers, f"{place}/readers", readers, already)
        levels = (self._around.levels(self._policy) if self._around is not None else None) or ()
        ranks = [levels.index(level) for level in (clause.ceiling, scope.ceiling) if level in levels]
        if ranks[1:] and ranks[0] <= ranks[1]:
            message = f"`{clause.ceiling}` is not above the ceiling of the scope: leave it out"
            self._reading.fault(f"{place}/ceiling", "not-above", message)

    def _signatories(self, value: object, place: str) -> tuple[NamedSignatory, ...]:
        found: list[NamedSignatory] = []
        for index, item in enumerate(self._reading.sequence(value, place, least=2)):
            spot = f"{place}/{index}"
            fields = self._reading.mapping(item, spot, required=("member", "name"))
            member = self._one_of(self._parties, fields["member"], f"{spot}/member")
            name = self._reading.shown(fields["name"], f"{spot}/name", "name", longest=_LONGEST_NAME)
            found.append(NamedSignatory(MemberCode(member), name))
        # Whose member cannot be read may be of another one: that is reported, what follows from it is not.
        if len({each.member for each in found}) == 1 and found[0].member:
            self._reading.fault(place, "one-member", "all are of one member: name people of at least two")
        return tuple(found)

    def _hours(self, value: object, place: str) -> str:
        text = self._reading.text(value, place)
        found = _HOURS.fullmatch(text)
        if text and not (found and int(found[1]) <= _LONGEST_CRISIS_HOURS):
            told = f"write hours, PT1H to PT{_LONGEST_CRISIS_HOURS}H"
            self._reading.fault(place, "bad-duration", f"`{quoted(text)}` is no length of a crisis: {told}")
        return text

    def _one_of(self, names: Collection[str], value: object, place: str) -> str:
        name = self._reading.text(value, place)
        # Without names the list itself was faulty: that is reported, what follows from it is not.
        if name and names and name not in names:
            field = place.rpartition("/")[2]
            self._reading.fault(place, f"unknown-{field}", f"`{quoted(name)}` is not one of {_told(names)}")
        return name

    def _optional_choice(self, value: object, place: str, choices: type[E]) -> E:
        # Where a text says nothing, the first one holds.
        return next(iter(choices)) if value is None else self._reading.choice(value, place, choices)

    def _day(self, value: object, place: str) -> date | None:
        text = self._reading.text(value, place)
        try:
            return parse_day(text)
        except MalformedError:
            if text:
                self._reading.fault(place, "bad-date", f"`{quoted(text)}` is no date: write 2026-01-31")
            return None

    def _optional_duration(self, value: object, place: str) -> str | None:
        return None if value is None else self._duration(value, place)

    def _duration(self, value: object, place: str, *, least_is_zero: bool = False) -> str:
        text = self._reading.text(value, place)
        if text and not _DURATION.fullmatch(text):
            self._reading.fault(place, "bad-duration", f"`{quoted(text)}` is no ISO 8601 duration: write P5Y or PT30M")
        elif text and not least_is_zero and not re.search("[1-9]", text):
            self._reading.fault(place, "bad-duration", f"`{quoted(text)}` is no time at all: write a longer one")
        return text

    def _refuse_each(self, words: tuple[str, ...], place: str, wrong: Iterable[str], reason: tuple[str, str]) -> None:
        code, message = reason
        for word in wrong:
            self._reading.fault(f"{place}/{words.index(word)}", code, f"`{quoted(word)}` {message}")


def _told(names: Collection[str]) -> str:
    told = [quoted(each) for each in islice(names, _MOST_TOLD)]
    rest = len(names) - len(told)
    return ", ".join(told) + (f" and {rest} more" if rest else "")


def _codes(members: tuple[str, ...]) -> tuple[MemberCode, ...]:
    return tuple(MemberCode(member) for member in members)
