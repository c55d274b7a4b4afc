"""The floor: `python -m benchmarks.floor DIR BYTES`, our server in front of an endpoint that touches nothing.

Same uvicorn subclass, TLS context, event loop and certificates as the instance in DIR; every answer has BYTES bytes.
`/` is an `async def` endpoint of FastAPI as one writes it, with a response model: the floor. `/bare` sends bytes made
beforehand, past model and serialisation: the least that this server can do, told beside it.
"""

import asyncio
import sys
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from exchange.entrypoints.http.server import address_of, bind, service_config
from exchange.entrypoints.http.tls import server_context
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


async def main(folder: Path, size_bytes: int) -> None:
    """Serve until ended; prints `ready https://HOST:PORT` like the exchange."""
    settings = load_settings(folder)
    context = server_context(
        settings.server_certificate_file, settings.server_key_file, authorities=settings.authorities_folder
    )
    server = uvicorn.Server(service_config(floor_app(size_bytes), context))
    bound = bind("127.0.0.1", 0)
    serving = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started:  # noqa: ASYNC110  uvicorn sets a flag, no event
        await asyncio.sleep(0.01)
    print(f"ready https://{address_of(bound)}", flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
