"""Requests for information in plain words: who reads one, and who learns of which answer (docs/requests.md).

Shares no code with the exchange, as `plain_world` does not: a request is told here when it is made, answered or ended,
and what follows is worked out anew each time.
"""

from dataclasses import dataclass, field
from datetime import datetime

from tests.support.plain_world import LEVELS, PlainWorld, Reader, Report


@dataclass(frozen=True)
class Answer:
    """A report that was given, and by which client."""

    report: str
    client: str
    member: str


@dataclass
class Request:
    """A request; what decides about it stands in `like`, as in a report of the asker's."""

    like: Report
    asked: frozenset[str]
    deadline: datetime
    place: int
    """Among the reports, in the order in which all of them came."""
    answers: list[Answer] = field(default_factory=list)
    ended: str | None = None


@dataclass
class PlainAsking:
    """All requests, in the order in which they were made, in the world whose reports answer them.

    Among the asked contributors read, who pull no report: they are to answer.
    """

    world: PlainWorld
    requests: dict[str, Request] = field(default_factory=dict)

    def readable(self, name: str, now: datetime, purpose: str | None = None) -> list[str]:
        """Return the requests that a client may read, in order."""
        return [each for each, request in self.requests.items() if self._reads(name, request, now, purpose)]

    def told_behind(self, name: str, place: int, now: datetime) -> dict[int, str]:
        """Return what a reader that follows is told of behind a place: reports, and what its member is asked for."""
        readable, member = self.readable(name, now), self.world.client(name).member
        requests = {self.requests[each].place: each for each in readable if self._asks(member, self.requests[each])}
        reports = {self.world.reports[each].place: each for each in self.world.readable(name, now)}
        found = requests | reports
        return {each: found[each] for each in sorted(found) if each > place}

    def answers_for(self, name: str, request_id: str, now: datetime, purpose: str | None = None) -> list[str]:
        """Return the answers that a client which reads the request is told of."""
        given = self.requests[request_id].answers
        return [each.report for each in given if self._learns(name, self.requests[request_id], each, now, purpose)]

    def state_for(self, name: str, request_id: str, now: datetime, purpose: str | None = None) -> str:
        """Return where a request stands for a client."""
        request = self.requests[request_id]
        if request.ended is not None:
            return request.ended
        if self.answers_for(name, request_id, now, purpose):
            return "answered"
        return "overdue" if request.deadline < now else "open"

    def asked_for(self, name: str, request_id: str) -> set[str]:
        """Return who a client is told is asked: the asker all of them, who is asked itself alone."""
        member, request = self.world.client(name).member, self.requests[request_id]
        return set(request.asked) if member == request.like.originator else {member}

    def _asks(self, member: str, request: Request) -> bool:
        return member in request.asked and request.ended is None

    def _reads(self, name: str, request: Request, now: datetime, purpose: str | None) -> bool:
        reader, like = self.world.client(name), request.like
        stated = purpose or reader.purposes[0]
        if stated not in reader.purposes or not self.world.may_deal(reader, like, now, stated):
            return False
        is_own = reader.member == like.originator
        if is_own and name in self.world.others:
            return False
        is_named = is_own or (request.ended != "withdrawn" and self._is_asked(reader, request))
        return is_named and reader.member in self.world.active(now) and self._is_marked_for(reader, like)

    def _is_asked(self, reader: Reader, request: Request) -> bool:
        """Return whether a member was asked, and has contributed in all texts since, as readers of reports have read."""
        binding = self.world.binding(request.like)
        has_stayed = not any((reader.member, number) in self.world.came_back for number, _ in binding[1:])
        is_named = all(reader.member in text.contributors for _, text in binding)
        return reader.member in request.asked and is_named and has_stayed

    def _is_marked_for(self, reader: Reader, like: Report) -> bool:
        """Return whether a request's marking lets a client read it: no crisis lifts a ceiling for it."""
        marking, texts = like.marking, [text for _, text in self.world.binding(like)]
        level = LEVELS.index(marking.level)
        return all(
            (
                reader.member in {like.originator, *marking.releasable_to},
                level <= min(LEVELS.index(text.ceiling) for text in texts),
                level <= LEVELS.index(reader.level),
                marking.compartments <= reader.compartments,
                all(marking.compartments <= text.compartments for text in texts),
            )
        )

    def _learns(self, name: str, request: Request, answer: Answer, now: datetime, purpose: str | None) -> bool:
        member, report = self.world.client(name).member, self.world.reports[answer.report]
        goes_to_all = all(text.tells_asked for _, text in self.world.binding(request.like))
        if member not in {request.like.originator, answer.member} and not goes_to_all:
            return False
        if name == answer.client:
            return not report.is_recalled and (report.until is None or now < report.until)
        return name not in self.world.others and bool(self.world.parts_for(name, answer.report, now, purpose))
