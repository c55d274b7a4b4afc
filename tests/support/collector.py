"""A collector of traces: takes OTLP over HTTP as a real one does, and keeps what it was sent, octet by octet."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What came in: the octets of every request with its head, and the spans in them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.octets: list[bytes] = []
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def marks(span: Span) -> dict[str, str | int]:
    """Return the attributes of a span."""
    return {
        each.key: each.value.int_value if each.value.HasField("int_value") else each.value.string_value
        for each in span.attributes
    }


@contextmanager
def collecting(*, status: int = 200, elsewhere: str = "") -> Iterator[Collector]:
    """Be a collector for as long as the context lasts; one that answers `status`, and sends to `elsewhere`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.octets += [str(self.headers).encode(), body]
            collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(status if self.path == "/v1/traces" else 404)
            if elsewhere:
                self.send_header("location", elsewhere)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
