"""Tracing: sends spans to a collector by OTLP over HTTP, where the operator names one.

Promises: what leaves is names and marks of the closed lists in `kernel.spans`, times, and which error class ended a
span, never its message; the environment adds nothing to that (to the head of the request,
`OTEL_EXPORTER_OTLP_HEADERS` may: a collector's token); spans are sent from a thread of their own, a
bounded number waits and the rest is dropped, and nothing waits for the collector but two seconds at the end.
Does not: begin where no collector is named: only then is this module imported (`requirements-traces.txt`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from exchange import __version__
from exchange.kernel.spans import Mark, Span, SpanName, Tracer

_WAITING = 4096
"""Spans that wait for the collector: about 4 MB. More are dropped, and the log says so."""
_AT_ONCE = 512
_DELAY_MILLIS = 1000.0
_ANSWER_SECONDS = 3.0
_LAST_SECONDS = 2.0
"""How long the end waits for the collector: a supervisor waits longer."""
_TOLD_EVERY_SECONDS = 60.0
_ELSEWHERE = range(300, 400)

_log = logging.getLogger("exchange.tracing")


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go: the whole address; of every request's trace the part `ratio` is kept."""

    endpoint: str
    node: str
    ratio: float = 1.0
    authority: Path | None = None


@asynccontextmanager
async def collected(collector: Collector) -> AsyncIterator[Tracer]:
    """Send spans to `collector` for as long as the context lasts."""
    # A session of our own: no proxy of the environment and no password of a .netrc.
    session = requests.Session()
    session.trust_env = False
    session.hooks["response"].append(_refuse_elsewhere)
    exporter = OTLPSpanExporter(
        endpoint=collector.endpoint,
        certificate_file=None if collector.authority is None else str(collector.authority),
        timeout=_ANSWER_SECONDS,
        compression=Compression.Gzip,
        session=session,
    )
    provider = _provider(collector)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_WAITING, schedule_delay_millis=_DELAY_MILLIS, max_export_batch_size=_AT_ONCE
        )
    )
    with _told_in_our_words() as telling:
        try:
            yield _OtlpTracer(provider.get_tracer("exchange", __version__))
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(provider.force_flush), _LAST_SECONDS)
            telling.setLevel(logging.CRITICAL)  # it is shut down twice, and would warn of that
            # Before the provider's own, which would wait half a minute for a collector that is away.
            exporter.shutdown()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
            provider.shutdown()


def _refuse_elsewhere(answer: requests.Response, *_: object, **__: object) -> None:
    """Raise where the collector sends spans elsewhere: nobody goes there, and the library would take them for taken."""
    if answer.status_code in _ELSEWHERE:
        answer.close()
        raise requests.TooManyRedirects("the collector sends spans elsewhere")


def _provider(collector: Collector) -> TracerProvider:
    return TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(collector.ratio)),
        # Not `Resource.create`: that adds what the environment and the host tell of themselves.
        resource=Resource(
            {"service.name": "exchange", "service.version": __version__, "service.instance.id": collector.node}
        ),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_span_attributes=len(Mark) + 1, max_events=0, max_links=0),
    )


class _OtlpTracer:
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: SpanName) -> Iterator[Span]:
        is_request = name is SpanName.REQUEST
        if not is_request and not trace.get_current_span().is_recording():
            yield _UNKEPT
            return
        with self._tracer.start_as_current_span(
            name.value,
            context=Context() if is_request else None,
            kind=trace.SpanKind.SERVER if is_request else trace.SpanKind.INTERNAL,
            # INVARIANT: an exception's message may quote what was sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _Kept(span)
            except Exception as exc:
                span.set_attribute("error.type", type(exc).__name__)
                span.set_status(trace.StatusCode.ERROR)
                raise


class _Kept:
    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, mark: Mark, value: str | int) -> None:
        self._span.set_attribute(mark.value, value)


_UNKEPT = _Kept(trace.INVALID_SPAN)


@contextmanager
def _told_in_our_words() -> Iterator[logging.Handler]:
    """Say that spans are lost, and not what the library says of it: that quotes what the collector answered."""
    library, telling = logging.getLogger("opentelemetry"), _Telling()
    before, library.propagate = library.propagate, False
    library.addHandler(telling)
    try:
        yield telling
    finally:
        library.removeHandler(telling)
        library.propagate = before


class _Telling(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told_at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._told_at is None or record.created - self._told_at > _TOLD_EVERY_SECONDS:
            self._told_at = record.created
            _log.warning("spans are lost: the collector is away, refuses them, or is too slow")
