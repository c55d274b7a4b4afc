"""Verifies what lies in a database, as its operator's auditor does: with public keys alone."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from exchange.audit import parse_verifier_key
from exchange.audit.verify import Expectations, KnownCheckpoint, Verification, verify_log
from exchange.audit.verify.source import KeptCheckpoint
from exchange.cli.audit_instance import InstanceLog, Waiter, beginnings_of
from exchange.crypto import VerifyingKey
from exchange.kernel import to_micros
from exchange.store.reads.log_desk import LogDesk
from tests.support.log import Log
from tests.support.store import NODE_KEY

Meanwhile = Callable[[], Coroutine[Any, Any, None]]


class _BusyLog(InstanceLog):
    """A log whose exchange goes on: `meanwhile` is what it does after the newest checkpoint and after each bundle."""

    goes_on: Callable[[], None]

    def newest(self) -> KeptCheckpoint:
        newest = super().newest()
        self.goes_on()
        return newest

    def _rows(self, path):
        is_new = self._last is None or self._last[0] != path
        rows = super()._rows(path)
        if is_new:
            self.goes_on()
        return rows


async def verified(
    log: Log,
    *known: bytes,
    node_keys: tuple[VerifyingKey, ...] = (NODE_KEY.verifying_key,),
    meanwhile: Meanwhile | None = None,
) -> Verification:
    """Verify the log in use; `known` are checkpoints that a witness holds, `meanwhile` is done all the while."""
    keys = tuple(parse_verifier_key(line) for line in log.key.verifier_keys.splitlines())
    seen = tuple(KnownCheckpoint(note, "a witness") for note in known)
    now = to_micros(log.clock.now)
    loop = asyncio.get_running_loop()

    def go_on() -> None:
        if meanwhile is not None:
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result(timeout=60)

    def work() -> Verification:
        wait = Waiter()
        desk = wait(LogDesk.open(log.url))
        try:
            beginnings = wait(beginnings_of(desk))
            state = wait(desk.reader.state())
            assert state is not None
            source = _BusyLog(desk, state, beginnings[state.log], wait)
            source.goes_on = go_on
            return verify_log(source, Expectations(keys, now_micros=now, known=seen, node_keys=node_keys))
        finally:
            wait(desk.close())
            wait.close()

    return await asyncio.to_thread(work)
