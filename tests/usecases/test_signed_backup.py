"""A backup is believed where the log's keys, held from before, have signed all of its lines."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exchange.custody import LogKey, create_log_key
from exchange.kernel import InvalidError, MalformedError
from exchange.usecases.log.signed_backup import (
    Signed,
    is_unverifiable,
    read_signed,
    require_signed,
    same_lines,
    signed_lines,
)

LINES = [b'{"exchange_backup":3}\n', b'{"t":"member"}\n', b'{"end":{}}\n']


@pytest.fixture
def key(tmp_path: Path) -> LogKey:
    return create_log_key(tmp_path / "log.key", "exchange.example/log/1", os.urandom)


async def made(key: LogKey, lines: list[bytes]) -> list[bytes]:
    async def each() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    return [line async for line in signed_lines(each(), key)]


def verified(lines: list[bytes], key: LogKey) -> str:
    signed = Signed()
    list(read_signed(lines, signed))
    return require_signed(signed, [signer.verifier for signer in key.signers])


async def test_signed_lines_are_read_without_the_signature_and_believed(key: LogKey) -> None:
    lines = await made(key, LINES)
    signed = Signed()

    assert list(read_signed([line.rstrip(b"\n") for line in lines], signed)) == [line.rstrip(b"\n") for line in LINES]
    assert verified(lines, key) == key.origin
    assert list(same_lines(lines, signed)) == LINES


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("change", ["left out", "changed", "twice"])
async def test_any_other_line_is_no_longer_signed(key: LogKey, number: int, change: str) -> None:
    lines = await made(key, LINES)
    now = {"left out": [], "changed": [lines[number].replace(b"{", b"{ ")], "twice": [lines[number]] * 2}[change]
    lines[number : number + 1] = now

    with pytest.raises(InvalidError, match=r"wrong signature of `exchange\.example/log/1`"):
        verified(lines, key)


async def test_each_key_of_the_log_must_have_signed(key: LogKey) -> None:
    """So that the backup is believed only while either scheme stands, whichever is broken first."""
    halves = [LogKey(key.origin, (signer,)) for signer in key.signers]

    for half in halves:
        with pytest.raises(InvalidError, match="lacks the signature of"):
            verified(await made(half, LINES), key)
        assert verified(await made(key, LINES), half) == key.origin


async def test_backup_changed_between_two_readings_is_told(key: LogKey) -> None:
    signed = Signed()
    list(read_signed(await made(key, LINES), signed))
    other = await made(key, [*LINES[:1], b'{"t":"client"}\n', *LINES[2:]])

    with pytest.raises(InvalidError, match="was changed while it was restored"):
        list(same_lines(other, signed))


async def test_lines_behind_the_signature_are_no_backup(key: LogKey) -> None:
    lines = await made(key, LINES)

    for behind in (LINES[1], lines[-1]):
        with pytest.raises(MalformedError, match="goes on behind its signature"):
            list(read_signed([*lines, behind], Signed()))


@pytest.mark.parametrize("line", [b'{"signed_by":[]}', b'{"signed_by":[7]}', b'{"signed_by":["x"]}', b'{"signed_by":'])
def test_signature_that_cannot_be_read_is_told(line: bytes) -> None:
    with pytest.raises(MalformedError, match="signature of the backup cannot be read"):
        list(read_signed([*LINES, line], Signed()))


async def test_who_is_not_known_is_another_thing_than_who_did_not_sign(key: LogKey, tmp_path: Path) -> None:
    stranger = create_log_key(tmp_path / "other.key", "another.example/log/1", os.urandom)
    signed, keys = Signed(), [signer.verifier for signer in key.signers]
    list(read_signed(await made(stranger, LINES), signed))

    assert is_unverifiable(signed, keys)
    assert is_unverifiable(Signed(), keys)
    with pytest.raises(InvalidError, match=r"whose keys are not known here \(known: `exchange\.example/log/1`\)"):
        require_signed(signed, keys)
    with pytest.raises(InvalidError, match=r"known: none"):
        require_signed(signed, [])
    with pytest.raises(InvalidError, match="is not signed, and whoever has the recipient"):
        require_signed(Signed(), keys)
