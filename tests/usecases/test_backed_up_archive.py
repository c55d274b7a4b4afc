"""Files of the log's archive in a backup: one after the other, none of them in memory beside another."""

import json
from collections.abc import Iterator

import pytest

from exchange.kernel import MalformedError
from exchange.usecases.upkeep.backups import backup_lines, files_of, read_contents
from tests.support.world import World

BUNDLES = {f"log/archive/tile/entries/00{number}": bytes([number]) * 100 for number in range(3)}


async def backed_up(world: World, read: list[str] | None = None) -> list[bytes]:
    """Return the lines; `read` takes down what is read of the archive, and which of it has been told."""
    noted = [] if read is None else read

    def bundles() -> Iterator[tuple[str, bytes]]:
        for path, content in BUNDLES.items():
            noted.append(path)
            yield path, content

    lines, files = [], {"log/witnesses": b"none"}
    async for line in backup_lines(world.url, node="test", clock=world.clock, files=files, archived=bundles):
        lines.append(line)
        if "file" in (told := json.loads(line)):
            noted.append(f"told {told['file']}")
    return lines


async def test_each_file_of_the_archive_is_told_before_the_next_one_is_read(populated: World) -> None:
    read: list[str] = []
    lines = await backed_up(populated, read)
    contents = read_contents(lines)

    assert read == [each for path in BUNDLES for each in (path, f"told {path}")]
    assert contents.files == {"log/witnesses": b"none"}
    assert (contents.archived, dict(files_of(lines))) == (list(BUNDLES), BUNDLES)


async def test_backup_that_lacks_a_file_of_the_archive_is_not_whole(populated: World) -> None:
    lines = await backed_up(populated)
    (lost, *_) = [line for line in lines if b'"file":' in line]

    with pytest.raises(MalformedError, match="not whole"):
        read_contents([line for line in lines if line != lost])
