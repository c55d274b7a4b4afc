"""Head and body of an answer leave in one write; nothing waits longer than a turn of the loop, and all in order."""

import asyncio
import ssl
from unittest.mock import Mock, call

import pytest
from uvicorn.server import ServerState

from exchange.entrypoints.http.joined import JoinedWriter
from exchange.entrypoints.http.server import service_config


@pytest.fixture
def transport() -> Mock:
    return Mock(spec=asyncio.Transport, **{"is_closing.return_value": False})


@pytest.fixture
async def writer(transport: Mock) -> JoinedWriter:
    return JoinedWriter(transport, asyncio.get_running_loop())


async def test_head_leaves_with_the_body_and_the_rest_behind_them(writer: JoinedWriter, transport: Mock) -> None:
    for piece in (b"head", b"body", b"", b"more"):
        writer.write(piece)
    await asyncio.sleep(0)

    assert transport.mock_calls == [call.writelines((b"head", b"body")), call.write(b"more")]


async def test_head_of_a_stream_leaves_though_nothing_follows(writer: JoinedWriter, transport: Mock) -> None:
    writer.write(b"head")
    await asyncio.sleep(0)
    assert transport.mock_calls == [call.write(b"head")]

    writer.write(b"line")
    assert transport.mock_calls[1:] == [call.write(b"line")]


async def test_answer_without_a_body_is_out_before_what_comes_behind_it(writer: JoinedWriter, transport: Mock) -> None:
    writer.write(b"head")
    writer.end()
    assert transport.mock_calls == [call.write(b"head")]

    writer.write(b"next")
    writer.close()
    assert transport.mock_calls[1:] == [call.write(b"next"), call.close()]


async def test_each_answer_of_a_connection_is_one_write(transport: Mock) -> None:
    async def answer(_scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"body"})

    config = service_config(answer, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    config.load()
    connection = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})
    transport.get_extra_info.return_value = None
    connection.connection_made(transport)

    for _ in range(2):
        connection.data_received(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await asyncio.sleep(0)
    connection.connection_lost(None)

    assert [bytes(body) for _, body in (each.args[0] for each in transport.writelines.call_args_list)] == [b"body"] * 2
    transport.write.assert_not_called()
