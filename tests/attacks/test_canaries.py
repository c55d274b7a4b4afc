"""Class 21: what was posted, typed or is secret stands in no log line, metric, error or table of a whole journey."""

from pathlib import Path

import httpx2
import pytest

from tests.attacks.canaries import CLIENTS, MARKING, POSTED, TYPED, journey, secrets_of
from tests.attacks.served import client, make_instance, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.journey, pytest.mark.attack, pytest.mark.timeout(120)]


async def test_21_nothing_of_a_journey_stands_in_logs_metrics_errors_or_tables(tmp_path: Path) -> None:
    instance = make_instance(tmp_path / "instance", None, CLIENTS)
    with serving(instance, "--workers", 2) as running:
        errors = await journey(instance, running)
        address = running.log.read_text().partition('"address": "')[2].partition('"')[0]
        async with httpx2.AsyncClient(base_url=f"http://{address}") as operator:
            seen = [(await operator.get(path)).content for path in ("/metrics", "/readyz", "/healthz")]
        # A failure that is told to the operator too: the database is gone.
        (instance.folder / "exchange.db").rename(instance.folder / "away.db")
        async with client(instance, running, "GBR reader") as reader:
            gone = await reader.get("/v1/reports")
        (instance.folder / "away.db").rename(instance.folder / "exchange.db")
        running.process.terminate()
        eventually(lambda: running.process.poll() is not None)
    said = b"".join(path.read_bytes() for path in instance.folder.glob("log-*"))
    said += b"".join(path.read_bytes() for path in instance.folder.glob("out-*"))

    assert {each.status_code for each in errors} >= {400, 404, 406, 409, 422}
    assert gone.status_code == 503
    assert b"request not answered" in said
    for line in said.splitlines():
        assert line.startswith((b"{", b"ready https://")), line
    told = b"".join([said, *seen])
    assert [each for each in (*POSTED, *TYPED, MARKING) if each.encode() in told] == []
    # A caller may be told its own words; never another's, and no secret.
    answered = b"".join(each.content for each in [*errors, gone])
    assert [each for each in POSTED if each.encode() in answered] == []
    secrets = secrets_of(instance)
    assert len(secrets) > 6
    assert not any(each in told + answered for each in secrets)
    # Nor in a table, the log's entries among them. A client's key for sending once more stands in one, as it came.
    kept = b"".join(path.read_bytes() for path in instance.folder.glob("*.db*"))
    assert b"report.read" in kept
    assert [each for each in (*POSTED, *TYPED, MARKING) if each.encode() in kept] == [POSTED[3]]
    assert not any(each in kept for each in secrets)
