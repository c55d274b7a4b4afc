"""A server that speaks S3, and buckets in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from moto.server import ThreadedMotoServer

_REGION = "eu-north-1"
_PLACE = f"<CreateBucketConfiguration><LocationConstraint>{_REGION}</LocationConstraint></CreateBucketConfiguration>"


@contextmanager
def bucket_server() -> Iterator[str]:
    """Give the address of a server that keeps what is put there in memory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def make_bucket(server: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an empty bucket, the only one there, and put what opens it where its own tools look for it."""
    opening = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": _REGION,
        "AWS_ACCESS_KEY_ID": "exchange",
        "AWS_SECRET_ACCESS_KEY": "of a test",
    }
    for variable, value in opening.items():
        monkeypatch.setenv(variable, value)
    httpx2.post(f"{server}/moto-api/reset").raise_for_status()
    httpx2.put(f"{server}/{name}", content=_PLACE).raise_for_status()
