"""The operations address and the logs: what the operator sees, and nothing else."""

import asyncio
import errno
import io
import json
import logging
import os
import sys
import time

import httpx2
import pytest

from exchange.entrypoints.http.logs import JsonLines, Lines
from exchange.entrypoints.http.operations import operations_app
from exchange.entrypoints.http.service import Service
from exchange.kernel import UnavailableError, is_uuid7


def asking(app: Service) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=operations_app(app))
    return httpx2.AsyncClient(transport=transport, base_url="http://operations.test")


async def test_ready_names_every_check(service: Service) -> None:
    async with asking(service) as operator:
        answer = await operator.get("/readyz")

    assert answer.status_code == 200
    assert {check["name"] for check in answer.json()["checks"]} >= {"store", "policy", "custody"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/nothing"])
async def test_every_answer_has_an_id_and_is_not_kept(service: Service, path: str) -> None:
    async with asking(service) as operator:
        first, second = await operator.get(path), await operator.get(path)

    assert first.headers["cache-control"] == "no-store"
    assert is_uuid7(first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_not_ready_names_the_failing_check(service: Service, world, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_store) -> None:
        raise UnavailableError("the database is gone")

    monkeypatch.setattr(type(world.services.store), "ping", away)

    async with asking(service) as operator:
        answer = await operator.get("/readyz")

    assert answer.status_code == 503
    assert [check["name"] for check in answer.json()["checks"] if not check["works"]] == ["store"]


async def test_service_that_is_starting_is_not_ready() -> None:
    async with asking(Service()) as operator:
        assert (await operator.get("/readyz")).status_code == 503
        assert (await operator.get("/healthz")).status_code == 200


def test_log_line_has_type_and_place_of_an_error_and_not_its_message() -> None:
    try:
        raise ValueError("canary")
    except ValueError:
        record = logging.LogRecord("exchange", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    record.request_id, record.subject = "id-1", "canary"

    line = json.loads(JsonLines().format(record))

    assert (line["cause"], line["request_id"], line["message"]) == ("ValueError", "id-1", "failed")
    assert "test_operations.py" in line["where"][0]
    assert "canary" not in json.dumps(line)


def test_line_of_the_log_is_in_utc_wherever_its_node_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """In local time the hour after the clocks went back would sort before what came earlier."""
    record = logging.LogRecord("exchange", logging.ERROR, __file__, 1, "failed", (), None)
    record.created = 1_792_890_000.0
    with monkeypatch.context() as there:
        there.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        line = json.loads(JsonLines().format(record))
    time.tzset()

    assert line["time"] == "2026-10-25T01:00:00Z"


async def test_error_that_nobody_waited_for_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("canary")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    told = {"message": "Task exception was never retrieved", "exception": task.exception(), "task": task}
    asyncio.get_running_loop().call_exception_handler(told)
    (record,) = caplog.records

    line = json.loads(JsonLines().format(record))

    assert "canary" in record.getMessage()
    assert (line["from"], line["message"], line["cause"]) == ("asyncio", told["message"], "ValueError")
    assert "canary" not in json.dumps(line)


class Disk(io.StringIO):
    """Takes ten letters more where it is nearly full, and no line."""

    is_full = False

    def write(self, text: str) -> int:
        if not self.is_full:
            return super().write(text)
        super().write(text[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_log_on_a_full_disk_tells_no_text_of_errors_and_goes_on_whole(capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk()
    handler = Lines(disk)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("exchange.full-disk")
    log.propagate = False
    log.addHandler(handler)
    log.warning("before")

    disk.is_full = True
    try:
        raise ValueError("canary")
    except ValueError:
        log.warning("amid")
    disk.is_full = False
    log.warning("after")
    log.warning("later")
    log.removeHandler(handler)

    lines = disk.getvalue().splitlines()
    assert [json.loads(line)["message"] for line in (lines[0], *lines[2:])] == ["before", "after", "later"]
    assert capsys.readouterr().err == ""


class Unspeakable:
    """Raises what says who it is where it is written out."""

    def __str__(self) -> str:
        raise ValueError("canary")


@pytest.mark.parametrize(
    ("arguments", "extra", "cause"),
    [
        (("canary",), {}, "TypeError"),
        (("canary", Unspeakable()), {}, "ValueError"),
        (("canary", "more"), {"code": Unspeakable()}, "TypeError"),
    ],
)
def test_line_that_cannot_be_written_out_is_told_of_by_its_place_alone(
    arguments: tuple[object, ...], extra: dict[str, object], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = io.StringIO()
    handler = Lines(lines)
    handler.setFormatter(JsonLines())
    told = {"name": "exchange.lost", "levelname": "WARNING", "pathname": "desk.py", "lineno": 7, "funcName": "told"}
    handler.handle(logging.makeLogRecord({**told, "msg": "%s was lost, and %s", "args": arguments, **extra}))
    handler.handle(logging.makeLogRecord({**told, "msg": "after"}))

    lost, after = map(json.loads, lines.getvalue().splitlines())
    assert (lost["from"], lost["level"], lost["cause"]) == ("exchange.lost", "warning", cause)
    assert (lost["message"], after["message"]) == ("a line is lost: it cannot be written out", "after")
    assert lost["where"] == ["desk.py:7 told"]
    assert "canary" not in lines.getvalue() + capsys.readouterr().err
