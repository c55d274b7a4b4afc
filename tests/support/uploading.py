"""Reports whose parts come later, begun and sent in a world, in a few words."""

from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

from exchange import usecases
from exchange.kernel import MalformedError
from exchange.reports import Awaited, PostedPart
from exchange.store.log.large_parts import POST_TIME
from exchange.usecases import Incoming, Recorded, UploadView
from tests.support.world import World

LARGE = bytes(range(256)) * 4 * 700
"""Larger than two pieces, and no text."""
BINARY = "application/octet-stream"
UPLOADS = "SELECT count(*) FROM upload_part"


def in_pieces(content: bytes, *, fault: Exception | None = None, size: int = 60_000) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]
        if fault is not None:
            raise fault

    return pieces()


def incoming(
    content: bytes, *, stated: int | None = None, fault: Exception | None = None, cut: bool = False
) -> Incoming:
    fault = MalformedError("the body ended early") if cut else fault
    return Incoming(in_pieces(content, fault=fault), stated, hold=lambda _: None)


def awaited(content: bytes, name: str = "a.bin", media_type: str = BINARY, **others: Any) -> PostedPart:
    return PostedPart(others.pop("label", None), media_type, name, Awaited(len(content), others.pop("sha256", None)))


async def begun(world: World, *parts: PostedPart, name: str = "GBR contributor", **others: Any) -> str:
    posted = world.posted(parts=parts or (awaited(LARGE),), **others)
    return (await usecases.begin_upload(world.services, world.call(name), posted)).value.declared.id


async def sent(
    world: World, upload: str, content: bytes = LARGE, number: int = 1, *, name: str = "GBR contributor", **others: Any
) -> Recorded[UploadView]:
    return await usecases.receive_part(world.services, world.call(name), upload, number, incoming(content, **others))


async def completed(world: World, upload: str, name: str = "GBR contributor") -> str:
    return (await usecases.complete_upload(world.services, world.call(name), upload)).value.report_id


async def pulled(world: World, report: str, number: int = 1, name: str = "NOR reader") -> bytes:
    read = (await usecases.read_part(world.services, world.call(name), report, number)).value
    if read.pieces is None:
        return read.content or b""
    return b"".join([piece async for piece in read.pieces(0, read.part.size_bytes)])


async def nothing_kept(world: World) -> bool:
    """Return whether nothing is left of what did not become a part."""
    world.clock.advance(POST_TIME + timedelta(seconds=1))
    while await world.services.store.large_parts.sweep():
        pass
    files = [path for path in world.folder.rglob("parts/*/*") if path.is_file()]
    counted = [world.sql(f"SELECT count(*) FROM {name}")[0][0] for name in ("part_piece", "blob_debris")]
    return counted == [0, 0] and files == []


async def acts_on(world: World, upload: str, name: str) -> list[Awaitable[Any]]:
    given_up = usecases.give_up_upload(world.services, world.call(name), upload)
    return [sent(world, upload, name=name), completed(world, upload, name=name), given_up]
