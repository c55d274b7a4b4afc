"""Watches over the witnesses of the log: asks those that are due, and puts on the record what changed with one.

Promises: a slow or dead witness keeps no other one waiting, and is asked less often the longer it is so; a refusal is
an entry once, not at every question: entries make checkpoints, and checkpoints make questions.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

from exchange.audit import Detail, EntryDraft, EventName, KnownWitness, Outcome, Subject
from exchange.kernel import ExchangeError
from exchange.usecases.log.ask_witness import Asked, AskedState, WitnessLine, ask_witness
from exchange.usecases.log.quorum import enrolled
from exchange.usecases.log.witnessed_log import Contradiction, keep_contradiction
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.service_entries import service_draft
from exchange.usecases.steps.troubles import Causes

BACKOFF_SECONDS: Final = (0.0, 5.0, 15.0, 60.0, 300.0)
"""After so many failures in a row; a witness that is back is seen within five minutes."""

_FAILURES = frozenset({AskedState.UNREACHABLE, AskedState.REFUSED, AskedState.CONTRADICTED})

_log = logging.getLogger("exchange.witnesses")


@dataclass(slots=True)
class _Memory:
    """What is known of one witness from earlier questions of this process."""

    failures: int = 0
    due_at: float = 0.0
    state: AskedState = AskedState.NOTHING_NEW
    has_forgotten: bool = False
    untold: list[EntryDraft] = field(default_factory=list)
    """What is to be put on the record yet: it may not show again."""


@dataclass(slots=True)
class WitnessWatch:
    """Asks the witnesses of the policy. `monotonic` gives seconds that never go back."""

    services: Services
    line: WitnessLine
    monotonic: Callable[[], float]
    _known: dict[str, _Memory] = field(default_factory=dict)
    _trouble: Causes = field(default_factory=Causes)

    async def round(self) -> None:
        """Ask every witness with an address that is due, all at once."""
        try:
            witnesses = enrolled(self.services).witnesses
            asking = (self._ask(witness) for witness in witnesses if self._is_due(witness))
            # To the end of all: none is asked twice at a time.
            for fault in await asyncio.gather(*asking, return_exceptions=True):
                if fault is not None:
                    raise fault
        except ExchangeError as exc:
            # The log or the file is away; it is said once, and tried again in the next round.
            if self._trouble.take(exc.message):
                _log.error("witnesses cannot be asked: %s", exc.message)
        else:
            self._trouble.end()

    def _is_due(self, witness: KnownWitness) -> bool:
        memory = self._known.setdefault(str(witness.key), _Memory())
        return witness.url is not None and memory.due_at <= self.monotonic()

    async def _ask(self, witness: KnownWitness) -> None:
        memory = self._known[str(witness.key)]
        await self._record(memory)
        asked = await ask_witness(self.services, witness, self.line)
        before, had_forgotten = memory.state, memory.has_forgotten
        if asked.state is not AskedState.NOTHING_NEW:
            memory.state, memory.has_forgotten = asked.state, asked.has_forgotten
        memory.failures = memory.failures + 1 if asked.state in _FAILURES else 0
        memory.due_at = self.monotonic() + BACKOFF_SECONDS[min(memory.failures, len(BACKOFF_SECONDS) - 1)]
        if asked.state is not before:
            self._tell(memory, witness, asked)
        if asked.has_forgotten and not had_forgotten:
            _log.error("witness %s holds less than it cosigned: its memory was set back", witness.name)
            memory.untold.append(self._entry(witness, EventName.WITNESS_FORGOT, Outcome.FAILED, {"size": asked.size}))
        if asked.contradiction is not None:
            keep_contradiction(self.services, asked.contradiction)
        await self._record(memory)

    def _tell(self, memory: _Memory, witness: KnownWitness, asked: Asked) -> None:
        match asked.state:
            case AskedState.COSIGNED:
                _log.info("witness %s cosigns", witness.name)
            case AskedState.UNREACHABLE:
                _log.warning("witness %s does not answer: %s", witness.name, asked.told)
            case AskedState.REFUSED | AskedState.CONTRADICTED:
                _log.critical("witness %s refuses: %s", witness.name, asked.told)
                outcome = Outcome.REFUSED if asked.contradiction is None else Outcome.FAILED
                detail = refusal_detail(asked.told, asked.size, asked.contradiction)
                memory.untold.append(self._entry(witness, EventName.WITNESS_REFUSED, outcome, detail))
            case AskedState.NOTHING_NEW:
                pass
            case other:
                assert_never(other)

    async def _record(self, memory: _Memory) -> None:
        while memory.untold:
            await self.services.store.append(memory.untold[0])
            del memory.untold[0]

    def _entry(self, witness: KnownWitness, event: EventName, outcome: Outcome, detail: Detail) -> EntryDraft:
        return service_draft(self.services, event, outcome, subject=Subject("witness", witness.name), detail=detail)


def refusal_detail(told: str, size: int, contradiction: Contradiction | None) -> Detail:
    """Return what the entry of a refusing witness says: what it says, of which size, and what it holds instead."""
    detail: Detail = {"told": told, "size": size}
    if contradiction is not None:
        detail["held_size"] = contradiction.checkpoint.size
        detail["held_root"] = contradiction.checkpoint.root.hex()
    return detail
