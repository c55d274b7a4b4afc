"""Verifies what lies in a database, as its operator's auditor does: with public keys alone."""

import asyncio

from exchange.audit import parse_verifier_key
from exchange.audit.verify import Expectations, KnownCheckpoint, Verification, verify_log
from exchange.cli.audit_instance import InstanceLog, Waiter
from exchange.crypto import VerifyingKey
from exchange.kernel import to_micros
from exchange.store.log_desk import LogDesk
from tests.support.log import Log
from tests.support.store import NODE_KEY


async def verified(
    log: Log, *known: bytes, node_keys: tuple[VerifyingKey, ...] = (NODE_KEY.verifying_key,)
) -> Verification:
    """Verify the log in use; `known` are checkpoints that a witness holds."""
    keys = tuple(parse_verifier_key(line) for line in log.key.verifier_keys.splitlines())
    seen = tuple(KnownCheckpoint(note, "a witness") for note in known)
    now = to_micros(log.clock.now)

    def work() -> Verification:
        wait = Waiter()
        desk = wait(LogDesk.open(log.url))
        try:
            state = wait(desk.reader.state())
            assert state is not None
            return verify_log(
                InstanceLog(desk, state, wait), Expectations(keys, now_micros=now, known=seen, node_keys=node_keys)
            )
        finally:
            wait(desk.close())
            wait.close()

    return await asyncio.to_thread(work)
