"""The jobs give up what nobody completed in time."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from exchange import services
from exchange.settings import load_settings

ROW = (
    "INSERT INTO upload (id, client_id, originator, agreement, begun_at, due_at, revision, key_id, key_version,"
    " header_suite, sealed_header) VALUES (?, 'client', 'GBR', 'agreement', 0, ?, 0, 'file/agreement', 1, 'suite', ?)"
)
DUE, LATER = "01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"


def asked(instance, statement, *words):
    with closing(sqlite3.connect(instance / "exchange.db", timeout=60)) as connection, connection:
        return connection.execute(statement, words).fetchall()


@pytest.fixture
def waiting(instance):
    """An instance with two uploads, the time of one of them over."""
    asked(instance, ROW, DUE, 1, b"sealed")
    asked(instance, ROW, LATER, 2**60, b"sealed")
    return instance


def run_jobs(instance, is_done):
    async def run():
        stopping = asyncio.Event()
        running = asyncio.create_task(services.sequence(load_settings(instance), stopping))
        async with asyncio.timeout(30):
            while not is_done():  # noqa: ASYNC110  another task of ours writes the database
                await asyncio.sleep(0.05)
        stopping.set()
        await running

    asyncio.run(run())


def test_jobs_give_up_what_was_not_completed_in_time(waiting):
    def ends():
        return asked(waiting, "SELECT ended FROM upload ORDER BY id")

    run_jobs(waiting, lambda: ends() != [(None,), (None,)])

    assert ends() == [("abandoned",), (None,)]
    assert asked(waiting, "SELECT sealed_header FROM upload ORDER BY id") == [(b"",), (b"sealed",)]
    (content,) = [row for (row,) in asked(waiting, "SELECT content FROM audit_entry") if b"upload.abandoned" in row]
    assert DUE.encode() in content
