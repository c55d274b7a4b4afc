"""Class 21: what leaves for a collector of traces is names and numbers; nothing that was sent, posted or is secret."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.kernel.spans import Mark, SpanName
from tests.attacks.canaries import CLIENTS, MARKING, POSTED, TYPED, journey, secrets_of
from tests.attacks.hidden import report_body
from tests.attacks.served import Instance, client, make_instance, serving
from tests.support.collector import Collector, collecting, marks
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.journey, pytest.mark.attack, pytest.mark.timeout(120)]

CALLERS_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
WORDS = re.compile(r"[A-Za-z_-]{1,20}|/[a-z0-9/{}_.-]*")


@pytest.fixture
def instance(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Instance]:
    if backend == "sqlite":
        yield make_instance(tmp_path / "instance", None, CLIENTS)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield make_instance(tmp_path / "instance", url, CLIENTS)
    server.drop_database(url)


def traced(instance: Instance, collector: Collector) -> None:
    with (instance.folder / "exchange.toml").open("a") as settings:
        settings.write(f'traces_endpoint = "{collector.url}"\n')


async def test_21_nothing_of_a_journey_leaves_with_its_spans(instance: Instance) -> None:
    with collecting() as collector:
        traced(instance, collector)
        with serving(instance) as running:
            errors = await journey(instance, running)
            async with client(instance, running, "GBR reader") as reader:
                head = {"traceparent": f"00-{CALLERS_TRACE}-00f067aa0ba902b7-01", "baggage": "canary-value=1"}
                (await reader.get("/v1/whoami", headers=head)).raise_for_status()
                assert (await reader.request("PROPFIND", "/v1/whoami")).status_code == 405
            running.process.terminate()
            eventually(lambda: running.process.poll() is not None)
        assert running.process.returncode == 0
        sent, spans = b"".join(collector.octets), collector.spans
        requests = [marks(span) for span in collector.named(SpanName.REQUEST.value)]

    # (1) everything was measured, and each piece belongs to its request
    assert {span.name for span in spans} == {each.value for each in SpanName}
    outermost = {span.span_id: span for span in spans if span.name == SpanName.REQUEST.value}
    assert len(outermost) == len(errors) + 5
    assert {span.trace_id for span in spans} == {span.trace_id for span in outermost.values()}
    assert all(span.parent_span_id for span in spans if span.span_id not in outermost)
    assert {each["http.route"] for each in requests} >= {"/v1/reports", "/v1/reports/{id}", "unmatched"}
    assert Counter(each["exchange.outcome"] for each in requests)["refused"] >= len(errors)
    # (2) of closed lists, and nothing that a caller can choose
    allowed = {each.value for each in Mark} | {"error.type"}
    for span in spans:
        found = marks(span)
        request_id = found.pop(Mark.REQUEST_ID.value, None)
        assert (request_id is not None) == (span.span_id in outermost)
        assert set(found) <= allowed
        assert [each for each in found.values() if isinstance(each, str) and not WORDS.fullmatch(each)] == []
        assert (len(span.events), len(span.links), span.status.message, span.trace_state) == (0, 0, "", "")
    assert "_OTHER" in {each["http.request.method"] for each in requests}
    # (3) no canary, no name, no place, no secret
    told = [*POSTED, *TYPED, MARKING, *CLIENTS, *MEMBERS_AND_PLACES, instance.agreement, str(instance.folder)]
    assert [each for each in told if each.encode() in sent] == []
    assert bytes.fromhex(CALLERS_TRACE) not in {span.trace_id for span in spans}
    secrets = secrets_of(instance)
    assert len(secrets) > 6
    assert not any(each in sent for each in secrets)


MEMBERS_AND_PLACES = ("GBR", "NOR", "NCSC", "NATO", "sqlite", "postgresql", "SELECT")


@pytest.mark.parametrize("status", [400, 503])
async def test_collector_that_refuses_harms_nobody(tmp_path: Path, status: int) -> None:
    instance = make_instance(tmp_path / "instance", None, CLIENTS)
    with collecting(status=status) as collector:
        traced(instance, collector)
        with serving(instance) as running:
            async with client(instance, running, "GBR writer") as writer:
                posted = await writer.post("/v1/reports", json=report_body(instance.agreement))
                eventually(lambda: b"spans are lost" in running.log.read_bytes() or status == 503)
                again = await writer.get("/v1/whoami")
            begun = time.monotonic()
            running.process.terminate()
            eventually(lambda: running.process.poll() is not None)
            seconds = time.monotonic() - begun

    assert (posted.status_code, again.status_code, running.process.returncode) == (201, 200, 0)
    # Half a minute is what an exporter waits that nobody stops.
    assert seconds < 25
    assert collector.spans
    assert b"Traceback" not in running.log.read_bytes()
