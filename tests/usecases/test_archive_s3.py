"""The archive in a bucket: the same log, in front of a server that speaks S3."""

import pytest
from obstore.store import S3Store

from exchange.audit.verify import Step
from exchange.kernel import UnavailableError
from exchange.store.log import blobs
from exchange.store.log.archived import LogDamagedError
from tests.support.archived_log import archive_all, archive_at, kept, reading, verified
from tests.support.buckets import make_bucket
from tests.support.log import Log

BUCKET = "s3://exchange-log/inst-1"
FIRST_BUNDLE = "exchange.example/log/1/tile/entries/000"


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket, as somebody else has it in hand."""
    make_bucket(s3, "exchange-log", monkeypatch)
    return S3Store.from_url(BUCKET)


async def test_old_bundles_move_to_the_bucket_and_the_log_is_whole(old: Log, bucket: S3Store) -> None:
    before = await old.store.log.contents(1, 0, 520)

    assert await archive_all(old, BUCKET) == 512

    assert await kept(old) == 8
    assert bucket.head(FIRST_BUNDLE)["size"] > 256
    async with reading(old, BUCKET) as store:
        assert await store.log.contents(1, 0, 520) == before
    found = await verified(old, BUCKET)
    assert (found.is_sound, found.entries) == (True, found.size)


async def test_nothing_in_the_bucket_is_written_over(old: Log, bucket: S3Store) -> None:
    bucket.put(FIRST_BUNDLE, b"of somebody else")

    with pytest.raises(LogDamagedError, match="holds something else"):
        await archive_all(old, BUCKET)

    assert bytes(bucket.get(FIRST_BUNDLE).bytes()) == b"of somebody else"
    assert await kept(old) == 520


async def test_bundle_changed_in_the_bucket_is_named(old: Log, bucket: S3Store) -> None:
    await archive_all(old, BUCKET)
    content = bytes(bucket.get(FIRST_BUNDLE).bytes())
    bucket.put(FIRST_BUNDLE, content[:-1] + b"x")

    async with reading(old, BUCKET) as store:
        with pytest.raises(LogDamagedError, match="was changed"):
            await store.log.contents(1, 0, 10)
    found = await verified(old, BUCKET)
    assert not found.is_sound
    assert found.findings[0].step is Step.TREE


@pytest.mark.usefixtures("bucket")
async def test_bucket_that_is_away_is_named_and_nothing_leaves(old: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CALL_SECONDS", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(UnavailableError, match=BUCKET):
        await archive_at(BUCKET).read(FIRST_BUNDLE)
    with pytest.raises(UnavailableError, match=BUCKET):
        await archive_all(old, BUCKET)
    assert await kept(old) == 520
