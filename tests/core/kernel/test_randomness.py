import os
import threading

import pytest

from exchange.kernel import SystemRandomness, system_randomness


@pytest.mark.parametrize("size", [0, 1, 10, 12, 32, 4095, 4096, 4097, 70_000])
def test_as_many_bytes_as_asked_for(size):
    assert len(SystemRandomness()(size)) == size


def test_no_bytes_are_given_twice():
    give = SystemRandomness()
    given = b"".join(give(size) for size in (10, 12, 32, 4096, 1000) for _ in range(40))
    windows = [given[at : at + 8] for at in range(0, len(given) - 8, 8)]

    assert len(set(windows)) == len(windows)


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the operating system, which gives the number of the question, again and again."""
    sizes = []

    def urandom(size):
        sizes.append(size)
        return bytes([len(sizes)]) * size

    monkeypatch.setattr(os, "urandom", urandom)
    return sizes


def test_blocks_come_from_the_operating_system(asked):
    give = SystemRandomness()

    assert give(4000) == b"\1" * 4000
    assert give(96) == b"\1" * 96
    assert give(1) == b"\2"
    assert give(4096) == b"\3" * 4096  # what is left of a block is not put together with the next one
    assert give(5000) == b"\4" * 5000
    assert asked == [4096, 4096, 4096, 5000]


@pytest.mark.parametrize("is_child", [False, True])
def test_first_byte_comes_from_there_too(asked, is_child):
    give = SystemRandomness()
    if is_child:
        give(10)
        give.forget()

    assert give(1) == bytes([len(asked)])
    assert len(asked) == 1 + is_child


def test_what_is_left_of_a_block_is_forgotten_with_whoever_held_the_lock(asked):
    give = SystemRandomness()
    give(10)
    # As a fork finds it while another thread was inside: nobody will release it.
    give._lock.acquire()
    give.forget()

    assert give(10) == b"\2" * 10
    assert give(4086) == b"\2" * 4086
    assert asked == [4096, 4096]


def test_child_begins_a_block_of_its_own():
    system_randomness(10)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, system_randomness(32))
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 32) != system_randomness(32)
    os.close(reading)
    os.close(writing)


def test_threads_never_share_bytes():
    give, given = SystemRandomness(), []

    def take():
        given.extend([give(16) for _ in range(500)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(given)) == 2000
