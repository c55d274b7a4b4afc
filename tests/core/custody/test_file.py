import base64
import hashlib
import json
import secrets
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.crypto import HeaderCipher, OpeningError, derive_key
from exchange.custody import (
    CustodyStatus,
    CustodyUnavailableError,
    FileCustodian,
    KeyMissingError,
    KeyVersion,
    TracedCustodian,
    Wrapped,
    add_root_version,
    create_root_file,
    file,
)
from exchange.custody.roots import load_roots
from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.kernel.spans import UNTRACED
from tests.core.custody.contract import CONTEXT, DATA_KEY, NAME, PLACE, CustodianContract, row_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 4, 1, tzinfo=UTC)
ROOT = hashlib.sha256(b"a root for tests").digest()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "roots.json"
    create_root_file(path, NOW, secrets.token_bytes)
    return path


class TestFileCustodian(CustodianContract):
    @pytest.fixture
    def custodian(self, path):
        return FileCustodian.load(path)


class TestTracedCustodian(CustodianContract):
    @pytest.fixture
    def custodian(self, path):
        return TracedCustodian(FileCustodian.load(path), UNTRACED)


class TestFileCustodianAfterRotation(CustodianContract):
    @pytest.fixture
    def custodian(self, path):
        add_root_version(path, LATER, secrets.token_bytes)
        return FileCustodian.load(path)


class Script:
    """Randomness that was written down before."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, size):
        answer = self.answers.pop(0)
        assert len(answer) == size
        return answer


def written(path, *keys):
    roots = [
        {"version": number, "created_at": "2026-03-01T00:00:00Z", "key": base64.b64encode(key).decode()}
        for number, key in enumerate(keys, start=1)
    ]
    path.write_text(json.dumps({"format": 1, "kind": "file", "roots": roots}))
    path.chmod(0o600)
    return path


async def test_wrap_is_aes_256_gcm_under_the_key_of_the_name(tmp_path):
    nonce = bytes(range(12))
    custodian = FileCustodian.load(written(tmp_path / "r", ROOT), randomness=Script(nonce))

    kek = AESGCM(derive_key(ROOT, f"exchange kek {NAME}"))
    expected = nonce + kek.encrypt(nonce, DATA_KEY, CONTEXT)
    assert await custodian.wrap(NAME, DATA_KEY, CONTEXT) == Wrapped(f"file/{NAME}", 1, "aes-256-gcm", expected)


async def test_header_is_sealed_under_the_header_key_of_the_name(tmp_path):
    nonce = bytes(range(12))
    custodian = FileCustodian.load(written(tmp_path / "r", ROOT), randomness=Script(nonce))

    expected = HeaderCipher(derive_key(ROOT, f"exchange header {NAME}")).seal(PLACE, b"header", nonce)
    sealed = Wrapped(f"file/{NAME}", 1, "aes-256-gcm+agreement-key", expected)
    assert await custodian.seal_header(NAME, b"header", PLACE) == sealed


async def test_key_is_derived_once_however_often_it_is_used(path, monkeypatch):
    custodian = FileCustodian.load(path)
    derived = []

    def derive(root, use):
        derived.append(use)
        return derive_key(root, use)

    monkeypatch.setattr(file, "derive_key", derive)
    for _ in range(2):
        for name in ("a", "b"):
            await custodian.unwrap(await custodian.wrap(name, DATA_KEY, CONTEXT), CONTEXT)
            await custodian.open_headers([(row_of(await custodian.seal_header(name, b"header", PLACE)), PLACE)])

    assert derived == [f"exchange {use} {name}" for name in ("a", "b") for use in ("kek", "header")]


async def test_key_wrapped_by_another_process_unwraps(path):
    wrapped = await FileCustodian.load(path).wrap(NAME, DATA_KEY, CONTEXT)

    assert await FileCustodian.load(path).unwrap(wrapped, CONTEXT) == DATA_KEY


async def test_other_instances_key_never_unwraps(path, tmp_path):
    wrapped = await FileCustodian.load(path).wrap(NAME, DATA_KEY, CONTEXT)
    other = FileCustodian.load(written(tmp_path / "other", ROOT))

    with pytest.raises(OpeningError):
        await other.unwrap(wrapped, CONTEXT)


async def test_rotation_wraps_with_the_new_version_and_unwraps_both(path):
    old = await FileCustodian.load(path).wrap(NAME, DATA_KEY, CONTEXT)
    add_root_version(path, LATER, secrets.token_bytes)
    custodian = FileCustodian.load(path)
    new = await custodian.wrap(NAME, DATA_KEY, CONTEXT)

    assert (old.key_version, new.key_version) == (1, 2)
    assert [await custodian.unwrap(each, CONTEXT) for each in (old, new)] == [DATA_KEY, DATA_KEY]


async def test_version_exchanged_on_the_row_never_unwraps(path):
    old = await FileCustodian.load(path).wrap(NAME, DATA_KEY, CONTEXT)
    add_root_version(path, LATER, secrets.token_bytes)

    with pytest.raises(OpeningError):
        await FileCustodian.load(path).unwrap(Wrapped(old.key_id, 2, old.suite, old.blob), CONTEXT)


async def test_status_tells_versions_and_their_times(path):
    add_root_version(path, LATER, secrets.token_bytes)

    first, second = (root.fingerprint for root in load_roots(path))
    assert await FileCustodian.load(path).status() == CustodyStatus(
        "file", 2, (KeyVersion(1, NOW, first), KeyVersion(2, LATER, second))
    )


async def test_fingerprint_tells_keys_apart_and_nothing_of_them(path):
    add_root_version(path, LATER, secrets.token_bytes)
    status, roots = await FileCustodian.load(path).status(), load_roots(path)

    assert [status.fingerprint(root.version) for root in roots] == [root.fingerprint for root in roots]
    assert len({root.fingerprint for root in roots}) == 2
    for root in roots:
        # HKDF of the key, under a name that no key-encryption key has: names have a use before them.
        assert root.fingerprint == derive_key(root.key, "exchange fingerprint").hex()
        assert root.key.hex() not in root.fingerprint
    with pytest.raises(KeyMissingError, match="version 3"):
        status.fingerprint(3)


def test_missing_file_refuses_with_the_way_to_mend_it(tmp_path):
    path = tmp_path / "gone.json"

    with pytest.raises(UnsafeSettingError, match=f"key file `{path}` is missing: put it back from the escrow"):
        FileCustodian.load(path)


async def test_version_that_is_no_number_is_told_as_altered(path):
    with pytest.raises(KeyMissingError, match="a key's version is no number: the row was altered"):
        await FileCustodian.load(path).unwrap(Wrapped(f"file/{NAME}", "1", "aes-256-gcm", bytes(60)), CONTEXT)


async def test_missing_version_says_how_to_mend_it(path):
    custodian = FileCustodian.load(path)

    with pytest.raises(
        KeyMissingError, match="root version 7 is not in the key file: put it back from the escrow"
    ) as caught:
        await custodian.unwrap(Wrapped(f"file/{NAME}", 7, "aes-256-gcm", bytes(60)), CONTEXT)
    assert isinstance(caught.value, UnavailableError)
    assert caught.value.code == "key-missing"


async def test_strange_key_is_quoted_in_brief(path):
    with pytest.raises(KeyMissingError, match=f"^`{'x' * 80}` is no key of the file custodian$"):
        await FileCustodian.load(path).unwrap(Wrapped("x" * 100, 1, "aes-256-gcm", b""), CONTEXT)


async def test_forged_key_ids_fill_no_memory(path, monkeypatch):
    monkeypatch.setattr(file, "_MOST_CIPHERS", 3)
    custodian = FileCustodian.load(path)
    sizes = []
    for number in range(10):
        wrapped = await custodian.wrap(f"name-{number}", DATA_KEY, CONTEXT)
        assert await custodian.unwrap(wrapped, CONTEXT) == DATA_KEY
        sealed = row_of(await custodian.seal_header(f"name-{number}", b"header", PLACE))
        assert await custodian.open_headers([(sealed, PLACE)]) == [b"header"]
        sizes.append((len(custodian._ciphers), len(custodian._header_ciphers)))

    assert sizes == [(size, size) for size in (1, 2, 3, 1, 2, 3, 1, 2, 3, 1)]


async def test_check_fails_when_there_is_no_randomness(tmp_path):
    def dry(size):
        raise OSError(5, "input/output error")

    with pytest.raises(CustodyUnavailableError, match=r"cannot wrap and unwrap: .*input/output error"):
        await FileCustodian.load(written(tmp_path / "r", ROOT), randomness=dry).check()


async def test_check_fails_when_a_key_is_short(tmp_path):
    with pytest.raises(CustodyUnavailableError, match="cannot wrap and unwrap: a data key has 32 bytes"):
        await FileCustodian.load(written(tmp_path / "r", ROOT), randomness=lambda size: bytes(size - 1)).check()


async def test_check_fails_when_something_else_comes_back(path):
    class Broken(FileCustodian):
        async def unwrap(self, wrapped, context):
            return bytes(32)

    with pytest.raises(CustodyUnavailableError, match="unwraps something else than it wrapped"):
        await Broken.load(path).check()


def test_custodian_shows_no_key_in_its_text(path):
    custodian = FileCustodian.load(path)
    key = json.loads(path.read_text())["roots"][0]["key"]

    assert key not in repr(custodian)
    assert repr(base64.b64decode(key)) not in repr(vars(custodian))
