"""What every custodian has to pass. A custodian's own test file inherits it and makes the custodian."""

import itertools
from dataclasses import dataclass, replace

import pytest

from exchange.crypto import CryptoError, OpeningError
from exchange.custody import Custodian, CustodyStatus, KeyMissingError, Wrapped

DATA_KEY = bytes(range(100, 132))
CONTEXT = bytes(range(32))
OTHER_CONTEXT = bytes(range(1, 33))
PLACE = b"exchange header/of a report"
NAME = "0198c1f0-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Row:
    key_id: str
    key_version: int
    header_suite: str
    sealed_header: bytes


def row_of(sealed: Wrapped) -> Row:
    return Row(sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)


class CustodianContract:
    """Inherit, and give a fixture `custodian`."""

    async def test_wrapped_key_unwraps(self, custodian: Custodian):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY

    async def test_wrapped_key_names_key_version_and_suite(self, custodian):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
        status = await custodian.status()

        assert wrapped.key_id.startswith(f"{status.kind}/")
        assert wrapped.key_version == status.current
        assert wrapped.suite == "aes-256-gcm"

    async def test_wrapped_key_shows_nothing_of_the_key(self, custodian):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        assert DATA_KEY[:4] not in wrapped.blob

    async def test_wrapping_twice_gives_two_blobs(self, custodian):
        one = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
        other = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        assert one.blob != other.blob

    async def test_sealed_header_opens(self, custodian):
        sealed = await custodian.seal_header(NAME, b"header", PLACE)

        assert await custodian.open_headers([(row_of(sealed), PLACE)]) == [b"header"]
        assert b"header" not in sealed.blob
        assert sealed.suite == "aes-256-gcm+agreement-key"

    async def test_many_headers_open_in_order(self, custodian):
        headers = [b"header %d" % number for number in range(100)]
        rows = [
            (
                row_of(await custodian.seal_header(f"agreement-{number % 3}", header, b"place %d" % number)),
                b"place %d" % number,
            )
            for number, header in enumerate(headers)
        ]

        assert await custodian.open_headers(rows) == headers
        assert await custodian.open_headers([]) == []

    @pytest.mark.parametrize("place", [b"another", b"", PLACE[:-1], PLACE + b"\0"])
    async def test_header_of_another_place_never_opens(self, custodian, place):
        good, moved = [row_of(await custodian.seal_header(NAME, b"header", PLACE)) for _ in range(2)]

        with pytest.raises(OpeningError, match="do not belong together"):
            await custodian.open_headers([(good, PLACE), (moved, place)])

    async def test_header_under_another_key_never_opens(self, custodian):
        row = row_of(await custodian.seal_header(NAME, b"header", PLACE))
        kind = (await custodian.status()).kind

        for changed, error in (
            (replace(row, key_id=f"{kind}/other"), OpeningError),
            (replace(row, key_id="nowhere"), KeyMissingError),
            (replace(row, key_id=b"nowhere"), KeyMissingError),
            (replace(row, sealed_header=7), OpeningError),
            (replace(row, key_version=99), KeyMissingError),
            (replace(row, header_suite="aes-256-gcm"), CryptoError),
            (replace(row, header_suite="rot13"), CryptoError),
        ):
            with pytest.raises(error):
                await custodian.open_headers([(changed, PLACE)])

    async def test_data_key_is_no_header(self, custodian):
        # One root, two uses: what one key sealed the other does not open.
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
        row = Row(wrapped.key_id, wrapped.key_version, "aes-256-gcm+agreement-key", wrapped.blob)

        with pytest.raises(OpeningError):
            await custodian.open_headers([(row, CONTEXT)])

    @pytest.mark.parametrize("name", ["", "a/b", "é", "n" * 129])
    async def test_header_for_no_name_refuses(self, custodian, name):
        with pytest.raises(KeyMissingError):
            await custodian.seal_header(name, b"header", PLACE)

    @pytest.mark.parametrize("context", [OTHER_CONTEXT, b"", CONTEXT[:-1], CONTEXT + b"\0"])
    async def test_other_context_never_unwraps(self, custodian, context):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        with pytest.raises(OpeningError, match="do not belong together"):
            await custodian.unwrap(wrapped, context)

    async def test_forged_blob_never_unwraps(self, custodian):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
        blob = wrapped.blob
        forged = [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in range(len(blob))]
        cut = [blob[:length] for length in range(len(blob))]

        # SQLite keeps a number, too, where bytes belong.
        for one in itertools.chain(forged, cut, [blob + b"\0", blob + blob, 7]):
            with pytest.raises(OpeningError):
                await custodian.unwrap(Wrapped(wrapped.key_id, wrapped.key_version, wrapped.suite, one), CONTEXT)

    async def test_key_of_another_name_never_unwraps(self, custodian):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)
        other = await custodian.wrap("another", DATA_KEY, CONTEXT)

        with pytest.raises(OpeningError):
            await custodian.unwrap(Wrapped(other.key_id, other.key_version, other.suite, wrapped.blob), CONTEXT)

    @pytest.mark.parametrize("version", [0, -1, 999])
    async def test_unknown_version_is_missing(self, custodian, version):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        with pytest.raises(KeyMissingError):
            await custodian.unwrap(Wrapped(wrapped.key_id, version, wrapped.suite, wrapped.blob), CONTEXT)

    @pytest.mark.parametrize("key_id", ["", "elsewhere/x", "/", "x"])
    async def test_key_of_another_custodian_is_missing(self, custodian, key_id):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        with pytest.raises(KeyMissingError):
            await custodian.unwrap(Wrapped(key_id, wrapped.key_version, wrapped.suite, wrapped.blob), CONTEXT)

    @pytest.mark.parametrize("suite", ["", "none", "cobblestone-256", "AES-256-GCM", "aes-256-gcm+agreement-key"])
    async def test_other_suite_is_never_tried(self, custodian, suite):
        wrapped = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

        with pytest.raises(CryptoError, match="suite"):
            await custodian.unwrap(Wrapped(wrapped.key_id, wrapped.key_version, suite, wrapped.blob), CONTEXT)

    @pytest.mark.parametrize(("key", "context"), [(b"", 32), (bytes(16), 32), (bytes(33), 32), (bytes(32), 0)])
    async def test_wrong_size_never_wraps(self, custodian, key, context):
        with pytest.raises(CryptoError, match="a data key has 32 bytes and its context 32"):
            await custodian.wrap(NAME, key, bytes(context))

    @pytest.mark.parametrize("name", ["", "a/b", "../x", "-x", "a b", "é", "a\n", "x" * 129])
    async def test_name_that_no_key_can_have_is_missing(self, custodian, name):
        with pytest.raises(KeyMissingError):
            await custodian.wrap(name, DATA_KEY, CONTEXT)

    async def test_name_of_128_letters_wraps(self, custodian):
        wrapped = await custodian.wrap("x" * 128, DATA_KEY, CONTEXT)

        assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY

    async def test_check_passes(self, custodian):
        assert await custodian.check() is None

    async def test_status_names_versions_and_no_key(self, custodian):
        status = await custodian.status()

        assert isinstance(status, CustodyStatus)
        assert status.current in {version.version for version in status.versions}
        assert "key=" not in repr(status)
