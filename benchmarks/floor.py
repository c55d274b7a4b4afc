"""The floor: `python -m benchmarks.floor DIR BYTES [WORKERS]`, our server in front of an endpoint that touches nothing.

Same uvicorn subclass, TLS context, event loop and certificates as the instance in DIR; every answer has BYTES bytes.
`/` is an `async def` endpoint of FastAPI as one writes it, with a response model: the floor. `/bare` sends bytes made
beforehand, past model and serialisation: the least that this server can do, told beside it.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from exchange.entrypoints.http.contexts import context_of, read_authority_files, read_pair
from exchange.entrypoints.http.server import address_of, bind, service_config
from exchange.settings import load_settings


class Answer(BaseModel):
    """As many bytes as the answer that it stands for."""

    content: str


def floor_app(size_bytes: int) -> FastAPI:
    """Return an app that answers `GET /` and `POST /`, the latter once it has read the body."""
    app = FastAPI(openapi_url=None)
    answer = Answer(content="x" * (size_bytes - len(Answer(content="").model_dump_json())))
    content = answer.model_dump_json().encode()

    @app.get("/")
    async def get() -> Answer:
        return answer

    @app.post("/", status_code=201)
    async def post(request: Request) -> Answer:
        await request.body()
        return answer

    @app.get("/bare")
    async def get_bare() -> Response:
        return Response(content, media_type="application/json")

    @app.post("/bare")
    async def post_bare(request: Request) -> Response:
        await request.body()
        return Response(content, status_code=201, media_type="application/json")

    return app


async def serve(folder: Path, size_bytes: int, bound: socket.socket, started: int) -> None:
    """Serve until ended; writes an octet to `started` when it answers."""
    settings = load_settings(folder)
    pair = read_pair(settings.server_certificate_file, settings.server_key_file)
    context = context_of(pair, read_authority_files(settings.authorities_folder), {}, checks_lists=False)
    server = uvicorn.Server(service_config(floor_app(size_bytes), context))
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started:  # noqa: ASYNC110  uvicorn sets a flag, no event
        await asyncio.sleep(0.01)
    os.write(started, b".")
    await serving


def main(folder: Path, size_bytes: int, workers: int = 1) -> None:
    """Serve from as many processes on one socket; prints `ready https://HOST:PORT` like the exchange."""
    bound = bind("127.0.0.1", 0)
    started, tell = os.pipe()
    # As one is served by the process itself, whose processor time is told beside the figure.
    if workers == 1:
        threading.Thread(target=_announce, args=(bound, started, workers), daemon=True).start()
        uvloop.run(serve(folder, size_bytes, bound, tell))
        return
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_work, args=(folder, size_bytes, bound, tell)) for _ in range(workers)]
    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in processes])
    _announce(bound, started, workers)
    for process in processes:
        process.join()


def _work(folder: Path, size_bytes: int, bound: socket.socket, tell: int) -> None:
    uvloop.run(serve(folder, size_bytes, bound, tell))


def _announce(bound: socket.socket, started: int, workers: int) -> None:
    while workers:
        workers -= len(os.read(started, workers))
    print(f"ready https://{address_of(bound)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
