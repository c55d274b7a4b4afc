"""Watches the log: evaluates what got its place in it, and the log as it stands, and raises alerts.

One round: (1) how far was the log evaluated, and under which rules; (2) the next entries, what is remembered about
them, what comes of it; (3) the log as it stands, every few seconds; (4) alerts, their entries, memory and position
become durable together. Several processes may watch: the database lets one of them write.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from exchange.audit import Actor, Detail, EntryDraft, EventName, Outcome, Subject, are_fit, parse_entry
from exchange.audit.alerts import (
    Alert,
    Counted,
    Evaluation,
    LogBehind,
    LogFrozen,
    NodeSilent,
    Sight,
    WitnessBehind,
    counted,
    evaluate,
    keys_of,
    observe,
)
from exchange.audit.shape import Entry
from exchange.kernel import ConflictError, MalformedError, from_micros, rfc3339, to_micros
from exchange.store.rows.alert_rows import MOST_COUNTED, AlertPosition
from exchange.store.rows.log_rows import LogState
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.standing_alone import StandingAlone

BATCH: Final = 1000
"""Entries evaluated in one go where so many wait: what is remembered is read and written once for all of them."""

_AT_ONCE: Final = 100
"""Entries read before whatever else the process has to do has its turn: some 3 ms."""

OBSERVED_EVERY_MICROS: Final = 5_000_000
"""How often the log is looked at as it stands: half of the shortest objective that makes sense."""

_STOOD_STILL_MICROS: Final = 300_000_000
"""For so long nothing was evaluated under another node's rules: it is gone, for whoever runs signs every minute."""

_TIMES: Final = ("1970", "9999")
"""No id names a moment before, and the last one is another year's somewhere on earth."""

_NOTHING = Evaluation((), {})
_STANDING = (LogBehind, LogFrozen, NodeSilent, WitnessBehind)

_log = logging.getLogger("exchange.alerts")


@dataclass(slots=True)
class AlertWatch:
    """Evaluates the log under the rules of the law. `hooks` are the webhooks that every alert is sent to.

    Of nodes with different rules the one that put its own in force last evaluates, and the others stand by.
    """

    services: Services
    hooks: tuple[str, ...] = ()
    _alone: StandingAlone = field(default_factory=StandingAlone)
    _observed_at: int = field(default=0)
    _has_put_in_force: bool = field(default=False)
    _seen_of_others: tuple[int, int] | None = field(default=None)
    """The newest revision under other rules, and since when it stands."""

    async def round(self) -> bool:
        """Do one round; return whether more entries wait to be evaluated."""
        # (1) how far, under which rules
        position = await self.services.store.alerts.position()
        if position is None or position.digest != self.services.law.alerts.digest:
            if position is not None and self._stands_by(position):
                return False
            await self._begin(position)
            return True
        self._has_put_in_force, self._seen_of_others = True, None
        state = await self.services.store.log.state_of(position.log)
        if state is None:
            return await self._set_back(position)
        # No further than there are places, whatever size somebody has written down: what comes there is to be seen.
        state = replace(state, size=min(state.size, await self.services.store.log.places(state.log)))
        has_more, is_at_end = False, position.position >= state.size
        if is_at_end and (following := await self.services.store.log.state_of(position.log + 1)) is not None:
            # The log that recovery began in place of this one: all of it came after the rules, its entry 0 above all.
            moved = replace(position, log=following.log, position=0, learned_to=0)
            return await self._write(position, moved, _NOTHING)
        if position.reaches > state.size or position.position < 0:
            return await self._set_back(position)
        # (2) the next entries
        if not is_at_end:
            has_more = await self._take(position, state)
        await self._look_in_time()
        return has_more

    async def _look_in_time(self) -> None:
        # (3) the log as it stands
        if not 0 <= to_micros(self.services.clock()) - self._observed_at < OBSERVED_EVERY_MICROS:
            await self.look()

    async def look(self) -> None:
        """Evaluate the log as it stands: what stands still makes no entry."""
        store, rules = self.services.store, self.services.law.alerts
        position, state = await store.alerts.position(), await store.log.state()
        self._observed_at = to_micros(self.services.clock())
        if position is None or state is None:
            return
        known = await store.alerts.memory_of(rule.name for rule in rules.rules if isinstance(rule.condition, _STANDING))
        evaluation = observe(rules, await self._sight(position, state), known)
        if evaluation.alerts:
            await self._write(position, position, evaluation)

    def _stands_by(self, position: AlertPosition) -> bool:
        """Return whether another node, which put other rules in force after these, evaluates under them.

        Two that each put theirs in force again would do nothing else, and every time is an entry.
        """
        if not self._has_put_in_force:
            return False
        now = to_micros(self.services.clock())
        if self._seen_of_others is None:
            _log.error("another node has put other rules for alerts in force: this one stands by until it is gone")
        revision, since = self._seen_of_others or (position.revision, now)
        # A clock that was set back begins to count anew.
        if revision != position.revision or now < since:
            revision, since = position.revision, now
        self._seen_of_others = revision, since
        return now - since < _STOOD_STILL_MICROS

    async def _begin(self, position: AlertPosition | None) -> None:
        """Begin the evaluation, or go on under other rules; both are on the record."""
        services, digest = self.services, self.services.law.alerts.digest
        state = await services.store.log.state()
        size = 0 if state is None else state.size
        begun = position or AlertPosition(1 if state is None else state.log, 0, size, 0, 0, digest)
        try:
            async with services.store.unit_of_work() as unit:
                book = unit.alerts()
                held = await book.held_position()
                if held != position:
                    return  # another process was quicker
                if held is None:
                    await book.begin(begun)
                await book.move(replace(begun, revision=begun.revision + 1, digest=digest))
                rules = Subject("alert-rules", digest)
                await unit.record(service_draft(services, EventName.ALERT_RULES_CHANGED, subject=rules))
        except ConflictError:
            return  # another process began it in the same moment

    async def _set_back(self, position: AlertPosition) -> bool:
        """Evaluate the end of the log in use again where a position lies outside of it: somebody else wrote that.

        What was raised already is raised no second time.
        """
        log = self.services.store.log
        state = await log.state()
        if state is None or state.log > MOST_COUNTED:
            # A number that no position takes is no log's: to be set back there once more would have no end.
            await self._look_in_time()
            return False
        end = min(state.size, await log.places(state.log))
        last = max(0, end - BATCH)
        moved = replace(position, log=state.log, position=last, learned_to=max(0, min(position.learned_to, last)))
        _log.critical("the position of alerts was moved to where the log has not come: it is set back")
        return await self._write(position, moved, _NOTHING, told=_position_entry(self.services, position, moved))

    async def _take(self, position: AlertPosition, state: LogState) -> bool:
        rules, store = self.services.law.alerts, self.services.store
        stop = min(state.size, position.position + BATCH)
        contents = await store.log.contents_there_are(state.log, position.position, stop)
        entries: list[Entry] = []
        under: list[Counted] = []
        for first in range(0, len(contents), _AT_ONCE):
            read = _parsed(contents[first : first + _AT_ONCE])
            entries += read
            under += counted(rules, read)
            await asyncio.sleep(0)
        evaluation = evaluate(under, await store.alerts.memory(keys_of(under)))
        if position.position < position.learned_to:
            evaluation = Evaluation(_after(evaluation, entries, position), evaluation.memory)
        await self._write(position, replace(position, position=stop), evaluation)
        return stop < state.size

    async def _write(
        self, base: AlertPosition, position: AlertPosition, evaluation: Evaluation, *, told: EntryDraft | None = None
    ) -> bool:
        """Make what came of it durable, if nobody else has done it meanwhile; return whether it was done."""
        async with self.services.store.unit_of_work() as unit:
            book = unit.alerts()
            # (4) all of it, or nothing where another process was quicker
            if await book.held_position() != base:
                return False
            if told is not None:
                await unit.record(told)
            number = await book.last_number(base) if evaluation.alerts else base.last_number
            for alert in evaluation.alerts:
                if await book.has(alert.id):
                    continue  # somebody set the position back
                number += 1
                receipt = await unit.record(_alert_entry(self.services, alert))
                await book.add(alert, number, entry_id=receipt.entry, hooks=self.hooks)
            await book.remember(evaluation.memory)
            await book.move(replace(position, revision=base.revision + 1, last_number=number))
        for alert in evaluation.alerts:
            _log.warning("alert %s (%s)", alert.rule, alert.severity.value, extra={"alert": alert.id})
        return True

    async def _sight(self, position: AlertPosition, state: LogState) -> Sight:
        log, now = self.services.store.log, self.services.clock()
        waiting = (await log.backlog()).oldest_at
        is_caught_up = position.log == state.log and position.position >= state.size and state.frozen_why is None
        cosigned = await log.cosigned_checkpoint(state.log)
        unwitnessed = [] if cosigned is None else await log.checkpoints(state.log, after=cosigned.size, limit=1)
        return Sight(
            now=to_micros(now),
            origin=state.origin,
            waiting_since=waiting,
            unwitnessed_since=self._alone.since(unwitnessed[0], now) if unwitnessed else None,
            is_frozen=state.frozen_why is not None,
            heard_until=(waiting or to_micros(now)) if is_caught_up else None,
        )


def _parsed(contents: Sequence[bytes | None]) -> list[Entry]:
    entries = []
    for content in contents:
        try:
            # Of one that is gone there is nothing to read, as of one that is damaged.
            entry = parse_entry(content or b"")
            if not _TIMES[0] <= entry["ts"] < _TIMES[1] or not are_fit(entry):
                raise MalformedError("it holds what no entry has")
            entries.append(entry)
        except MalformedError:
            _log.critical("an entry in the log is damaged: `exchange audit verify` tells which")
    return entries


def _after(evaluation: Evaluation, entries: Sequence[Entry], position: AlertPosition) -> tuple[Alert, ...]:
    """Return the alerts that rest on entries which came after the rules were first in force."""
    late = {entry["id"] for place, entry in enumerate(entries, position.position) if place >= position.learned_to}
    return tuple(alert for alert in evaluation.alerts if alert.evidence[-1] in late)


def _alert_entry(services: Services, alert: Alert) -> EntryDraft:
    """Return the entry of an alert: whose it is and its label decide who may see it, as for every entry."""
    entry = service_draft(services, EventName.ALERT_RAISED)
    actor = Actor(kind="service", member=alert.member, agency=alert.agency)
    detail: Detail = {
        "alert": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity.value,
        "raised_at": rfc3339(from_micros(alert.at)),
        "evidence": list(alert.evidence),
    }
    label = None if alert.label is None else dict(alert.label)
    return replace(entry, actor=actor, subject=alert.subject, owner=alert.owner, label=label, detail=detail)


def _position_entry(services: Services, was: AlertPosition, moved: AlertPosition) -> EntryDraft:
    place = was.reaches if was.position >= 0 else was.position
    why = f"it is {place} of log {was.log}, where no entry is"
    done = f"set back to {moved.position} of log {moved.log}"
    subject = Subject("alert-position", str(moved.log))
    entry = service_draft(services, EventName.ROW_CONTRADICTED, Outcome.FAILED, subject=subject)
    return replace(entry, detail={"why": why, "done": done})
