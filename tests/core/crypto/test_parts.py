import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.crypto import CryptoError, OpeningError, PartDecryptor, PartEncryptor, decrypt_part, encrypt_part
from exchange.crypto.parts import _room_for

KEY = bytes(range(32))
CONTEXT = bytes(range(32, 64))
SEGMENT = 16 * 1024
PIECE = 16 * SEGMENT
SIZES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17]

# Made once with version 50 of the library: what was stored must open for ever.
STORED = bytes.fromhex(
    "fa184bd45ad30a8ff6d26c83c52259d8d9221131b9a116a6a4808b5037b893b72764790c81435cf873a980d7625ef24e35a30021b167abb1279c7bd8607cef48efb2af1c00a0a56f15bc58e45ea7cc0ce4ca4f317bd744c71ddf71ac5c5896"
)


def body(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def flipped(blob, index):
    return blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :]


def streamed(plaintext, step):
    encryptor = PartEncryptor(KEY, CONTEXT)
    pieces = [bytes(encryptor.update(plaintext[at : at + step])) for at in range(0, len(plaintext), step)]
    return b"".join(pieces) + encryptor.finish()


def test_stored_part_opens():
    assert decrypt_part(KEY, CONTEXT, STORED) == b"a report from the field"
    assert read_on(STORED, 7) == b"a report from the field"


@pytest.mark.parametrize("size", SIZES)
def test_part_opens_to_what_went_in(size):
    ciphertext = encrypt_part(KEY, CONTEXT, body(size))

    assert decrypt_part(KEY, CONTEXT, ciphertext) == body(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1000, SEGMENT, SEGMENT + 1, PIECE, 10 * PIECE])
def test_streamed_part_opens_to_what_went_in(size, step):
    assert decrypt_part(KEY, CONTEXT, streamed(body(size), step)) == body(size)


def read_on(ciphertext, step, key=KEY, context=CONTEXT):
    decryptor = PartDecryptor(key, context)
    pieces = [decryptor.update(ciphertext[at : at + step]) for at in range(0, len(ciphertext), step)]
    return b"".join(pieces) + decryptor.finish()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1000, SEGMENT, SEGMENT + 17, PIECE, 10 * PIECE])
def test_part_read_in_pieces_is_what_went_in(size, step):
    assert read_on(encrypt_part(KEY, CONTEXT, body(size)), step) == body(size)


@pytest.mark.parametrize("step", [1000, PIECE])
@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: flipped(blob, 10),
        lambda blob: flipped(blob, len(blob) // 2),
        lambda blob: flipped(blob, len(blob) - 1),
        lambda blob: blob[:-1],
        lambda blob: blob[: 56 + 2 * (SEGMENT + 16)],
        lambda blob: blob[:20],
        lambda blob: blob + b"x",
        lambda blob: blob[:56] + blob[56 + SEGMENT + 16 : 56 + 2 * (SEGMENT + 16)] + blob[56 + SEGMENT + 16 :],
        lambda _: b"",
    ],
)
def test_damaged_part_read_in_pieces_never_comes_to_its_end(step, damage):
    ciphertext = damage(encrypt_part(KEY, CONTEXT, body(3 * SEGMENT + 5)))
    with pytest.raises(OpeningError):
        read_on(ciphertext, step)


@pytest.mark.parametrize(("key", "context"), [(bytes(32), CONTEXT), (KEY, bytes(32))])
def test_part_read_under_another_key_or_place_does_not_open(key, context):
    with pytest.raises(OpeningError):
        read_on(encrypt_part(KEY, CONTEXT, body(SEGMENT + 5)), PIECE, key, context)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3 * SEGMENT), max_size=8))
def test_part_streamed_in_uneven_pieces_opens(steps):
    encryptor = PartEncryptor(KEY, CONTEXT)
    plaintext = body(sum(steps))
    ciphertext, at = b"", 0
    for step in steps:
        ciphertext += encryptor.update(memoryview(plaintext)[at : at + step])
        at += step

    assert decrypt_part(KEY, CONTEXT, ciphertext + encryptor.finish()) == plaintext


@pytest.mark.parametrize("segments", [0, 1, 2, 16, 640])
@pytest.mark.parametrize("held", [0, 1, SEGMENT - 1])
@pytest.mark.parametrize("more", [0, 1, 2, SEGMENT - 1])
def test_room_is_enough_whatever_was_held_back(segments, held, more):
    plaintext = body(held + segments * SEGMENT + more)
    encryptor = PartEncryptor(KEY, CONTEXT)
    ciphertext = bytes(encryptor.update(plaintext[:held])) + encryptor.update(plaintext[held:]) + encryptor.finish()

    assert decrypt_part(KEY, CONTEXT, ciphertext) == plaintext


@pytest.mark.parametrize(
    ("size", "room"),
    [(0, SEGMENT + 16), (1, SEGMENT + 17), (SEGMENT, 2 * SEGMENT + 32), (PIECE, PIECE + SEGMENT + 272)],
)
def test_room_is_for_the_octets_a_segment_held_back_and_the_tags(size, room):
    assert _room_for(size) == room


def test_view_of_an_update_is_read_only():
    view = PartEncryptor(KEY, CONTEXT).update(body(PIECE))

    assert view.readonly


def test_view_still_held_survives_a_larger_update():
    encryptor = PartEncryptor(KEY, CONTEXT)
    view = encryptor.update(body(SEGMENT))
    before = bytes(view)
    encryptor.update(body(PIECE))

    assert bytes(view) == before


def test_two_encryptions_share_no_bytes():
    assert encrypt_part(KEY, CONTEXT, b"x") != encrypt_part(KEY, CONTEXT, b"x")


def test_ciphertext_shows_nothing_of_the_plaintext():
    assert b"\0" * 8 not in encrypt_part(KEY, CONTEXT, bytes(100_000))


def test_what_is_no_bytes_opens_nowhere():
    # SQLite keeps a number, too, where bytes belong.
    with pytest.raises(OpeningError, match="do not belong together"):
        decrypt_part(KEY, CONTEXT, 7)


@pytest.mark.parametrize("opened", [decrypt_part, lambda key, context, stored: read_on(stored, PIECE, key, context)])
@pytest.mark.parametrize("size", [0, 1, SEGMENT, 3 * PIECE + 17])
@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda c: (bytes(32), CONTEXT, c), id="other key"),
        pytest.param(lambda c: (KEY, bytes(32), c), id="other context"),
        pytest.param(lambda c: (KEY, CONTEXT, b""), id="nothing"),
        pytest.param(lambda c: (KEY, CONTEXT, c[:1]), id="one octet"),
        pytest.param(lambda c: (KEY, CONTEXT, c[:-1]), id="an octet too few"),
        pytest.param(lambda c: (KEY, CONTEXT, c + b"\0"), id="an octet too many"),
        pytest.param(lambda c: (KEY, CONTEXT, c + c), id="twice"),
        pytest.param(lambda c: (KEY, CONTEXT, flipped(c, 0)), id="salt"),
        pytest.param(lambda c: (KEY, CONTEXT, flipped(c, 40)), id="commitment"),
        pytest.param(lambda c: (KEY, CONTEXT, flipped(c, 60)), id="first segment"),
        pytest.param(lambda c: (KEY, CONTEXT, flipped(c, len(c) - 1)), id="last tag"),
    ],
)
def test_what_does_not_belong_together_never_opens(opened, size, forge):
    ciphertext = encrypt_part(KEY, CONTEXT, body(size))

    with pytest.raises(OpeningError, match=r"^ciphertext, key, label or place do not belong together$") as caught:
        opened(*forge(ciphertext))
    assert caught.value.__cause__ is not None


def test_part_cut_between_segments_never_opens():
    ciphertext = encrypt_part(KEY, CONTEXT, body(2 * SEGMENT + 5))

    with pytest.raises(OpeningError):
        decrypt_part(KEY, CONTEXT, ciphertext[: 56 + SEGMENT + 16])


def test_segments_exchanged_never_open():
    ciphertext = encrypt_part(KEY, CONTEXT, body(2 * SEGMENT + 5))
    first, second, third = 56, 56 + SEGMENT + 16, 56 + 2 * (SEGMENT + 16)
    swapped = ciphertext[:first] + ciphertext[second:third] + ciphertext[first:second] + ciphertext[third:]

    with pytest.raises(OpeningError):
        decrypt_part(KEY, CONTEXT, swapped)


# ── memory ──


def test_memory_stays_flat_however_long_the_part():
    piece, encryptor = bytes(PIECE), PartEncryptor(KEY, CONTEXT)
    encryptor.update(piece)
    tracemalloc.start()
    for _ in range(256):
        encryptor.update(piece)
    _, encrypting = tracemalloc.get_traced_memory()
    ciphertext = encrypt_part(KEY, CONTEXT, bytes(16 * PIECE))
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    decryptor = PartDecryptor(KEY, CONTEXT)
    total = sum(len(decryptor.update(ciphertext[at : at + PIECE])) for at in range(0, len(ciphertext), PIECE))
    total += len(decryptor.finish())
    _, decrypting = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total == 16 * PIECE
    assert encrypting < PIECE
    assert decrypting - before < 4 * PIECE


# ── sizes ──


@pytest.mark.parametrize(
    "act", [encrypt_part, decrypt_part, lambda k, c, _: PartEncryptor(k, c), lambda k, c, _: PartDecryptor(k, c)]
)
@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_or_context_of_another_size_refuses(act, size):
    with pytest.raises(CryptoError, match=f"key has {size} bytes: 32 are needed"):
        act(bytes(size), CONTEXT, b"")
    with pytest.raises(CryptoError, match=f"context has {size} bytes: use a digest of 32"):
        act(KEY, bytes(size), b"")
