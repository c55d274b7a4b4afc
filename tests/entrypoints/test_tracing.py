"""Traces: off unless a collector is named, and then one that nobody on the way can listen to."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args
from unittest.mock import AsyncMock, Mock

import pytest

from exchange.app import _require_tracing, create_app
from exchange.kernel import UnsafeSettingError
from exchange.kernel.spans import UNTRACED, Mark, SpanName
from exchange.settings import Settings, load_settings
from exchange.store.writer.batch import Job
from exchange.store.writer.traced import TracedDatabase
from exchange.tracing import Collector, collected
from tests.support.collector import collecting, marks

OFF = """
import json, sys
from pathlib import Path
from exchange.app import create_app
from exchange.settings import load_settings
create_app(load_settings(Path(sys.argv[1])))
print(json.dumps([name for name in sys.modules if name == "exchange.tracing" or name.startswith("opentelemetry.sdk")
                  or name.startswith("opentelemetry.exporter")]))
"""


def with_endpoint(folder: Path, endpoint: str) -> Settings:
    (folder / "exchange.toml").write_text(f"traces_endpoint = {json.dumps(endpoint)}\n")
    return load_settings(folder)


def test_nothing_is_imported_while_no_collector_is_named(settings: Settings, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", OFF, str(tmp_path)], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == []


def test_framework_exports_nothing_by_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")

    app = create_app(settings)

    told = app._telemetry
    assert [name for name in ("tracing", "metrics", "logs", "operation_spans", "auto_configure") if told[name]] == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://collector.example", "https://collector.example/v1/traces"),
        ("https://collector.example:4318/otlp/traces", "https://collector.example:4318/otlp/traces"),
        ("https://10.1.2.3/", "https://10.1.2.3/v1/traces"),
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("http://collector:4318", "http://collector:4318/v1/traces"),
    ],
)
def test_collector_is_taken(tmp_path: Path, given: str, meant: str) -> None:
    assert with_endpoint(tmp_path, given).traces_endpoint == meant


def test_empty_endpoint_is_none(tmp_path: Path) -> None:
    assert with_endpoint(tmp_path, "").traces_endpoint is None


@pytest.mark.parametrize(
    "given",
    [
        "collector:4318",
        "http://collector.example:4318",
        "http://8.8.8.8/v1/traces",
        "grpc://localhost:4317",
        "https://name:secret@collector.example",
        "http://name:secret@localhost",
        "https://collector.example/#canary",
    ],
)
def test_collector_that_others_could_listen_to_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(UnsafeSettingError, match="traces_endpoint") as refused:
        with_endpoint(tmp_path, given)

    assert "secret" not in refused.value.message


@pytest.mark.parametrize("ratio", ["0", "1.5", "-1"])
def test_part_of_traces_is_more_than_none_and_no_more_than_all(tmp_path: Path, ratio: str) -> None:
    (tmp_path / "exchange.toml").write_text(f"traces_ratio = {ratio}\n")

    with pytest.raises(UnsafeSettingError, match="traces_ratio"):
        load_settings(tmp_path)


def test_start_is_refused_where_what_sends_them_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_endpoint(tmp_path, "http://localhost:4318")
    _require_tracing(settings)
    monkeypatch.setattr("exchange.app.find_spec", lambda name: None)

    with pytest.raises(UnsafeSettingError, match=r"requirements-traces\.txt"):
        _require_tracing(settings)


async def test_span_tells_the_class_of_an_error_and_never_its_message() -> None:
    with collecting() as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "here")) as tracer:
            with pytest.raises(ValueError, match="canary"), tracer.span(SpanName.REQUEST) as span:
                raise ValueError(span.note(Mark.ACT, "read") or "canary")

    (failed,) = collector.named("request")
    assert marks(failed) == {"exchange.act": "read", "error.type": "ValueError"}
    assert b"canary" not in b"".join(collector.octets)


async def test_work_outside_a_request_is_no_span() -> None:
    with collecting() as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "here")) as tracer:
            assert tracer is not UNTRACED
            for name in SpanName:
                with tracer.span(name) as span:
                    span.note(Mark.COUNT, 1)

    assert [span.name for span in collector.spans] == ["request"]


async def test_part_of_the_traces_is_kept_whole() -> None:
    with collecting() as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "here", ratio=0.2)) as tracer:
            for _ in range(400):
                with tracer.span(SpanName.REQUEST), tracer.span(SpanName.STORE):
                    pass

    assert 30 < len(collector.named("request")) < 150
    assert len(collector.named("store")) == len(collector.named("request"))


async def test_environment_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "canary.key=canary-value")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a-token")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with collecting() as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "node-7")) as tracer:
            with tracer.span(SpanName.REQUEST):
                pass

    assert collector.spans
    sent = b"".join(collector.octets)
    assert b"node-7" in sent
    assert b"canary" not in sent
    assert sent.count(b"a-token") == len(collector.octets) / 2  # in the head, where it belongs


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_collector_that_sends_spans_elsewhere_is_followed_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a-token")
    with collecting() as inside, collecting(status=status, elsewhere=f"{inside.url}/v1/traces") as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "node-7")) as tracer:
            with tracer.span(SpanName.REQUEST):
                pass

    assert (len(collector.requests), inside.octets) == (1, [])
    assert "spans are lost" in caplog.text


@pytest.mark.parametrize("kind", get_args(Job))
async def test_whatever_the_store_is_given_is_measured_and_done(kind: type[Job]) -> None:
    given = kind.__new__(kind)
    done = AsyncMock(return_value=None)
    with collecting() as collector:
        async with collected(Collector(f"{collector.url}/v1/traces", "here")) as tracer:
            with tracer.span(SpanName.REQUEST):
                await TracedDatabase(Mock(submit=done), tracer).submit(given)

    done.assert_awaited_once_with(given)
    assert [marks(span)["exchange.act"] for span in collector.spans if span.name != "request"] != []
