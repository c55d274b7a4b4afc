"""The archive of the log: entry bundles in a folder or a blob store, each written once.

Does not: believe what it reads (whoever reads compares), delete, or know what belongs there.
"""

from typing import ClassVar

from exchange.audit import LARGEST_ENTRY_BYTES
from exchange.audit.tile_paths import TILE_WIDTH
from exchange.store.log.blobs import BlobStore


class BundleArchive(BlobStore):
    """The archive at a URL. A bundle replaces what leaves the database."""

    _SETTING: ClassVar[str] = "audit_archive_url"
    _NOUN: ClassVar[str] = "archive"
    _THING: ClassVar[str] = "bundle"
    # C2SP tlog-tiles: before each entry stands its length, in two bytes.
    _MOST_BYTES: ClassVar[int | None] = TILE_WIDTH * (LARGEST_ENTRY_BYTES + 2)

    async def add(self, location: str, content: bytes) -> None:
        """Put a bundle at `location`, as every blob is put, and leave nothing there of one that was killed at it."""
        await super().add(location, content)
        await self.remove_begun(location)
