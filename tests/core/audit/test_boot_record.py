import hashlib

from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import BootRecord


def leaf(number):
    return hashlib.sha256(bytes([number])).digest()


def given_to(record, count):
    for number in range(1, count + 1):
        record.give(f"entry-{number}", leaf(number))
    return record


def hash_of(boot, *leaves):
    return hashlib.sha256(b"exchange boot\n" + boot.encode() + b"\n" + b"".join(leaves)).digest()


def test_record_of_a_boot_begins_empty():
    record = BootRecord("b")

    assert (record.last, record.upto, record.unsettled) == (0, 0, 0)
    assert record.digest() == hash_of("b")


def test_hash_covers_the_settled_numbers_without_a_gap():
    record = given_to(BootRecord("b"), 4)
    record.settle(1, leaf(1))
    record.settle(3, leaf(3))

    assert (record.last, record.upto, record.unsettled) == (4, 1, 2)
    assert record.digest() == hash_of("b", leaf(1))

    record.settle(2, leaf(2))

    assert (record.upto, record.unsettled) == (3, 1)
    assert record.digest() == hash_of("b", leaf(1), leaf(2), leaf(3))


@given(st.permutations(range(1, 20)))
def test_order_of_settling_is_of_no_matter(order):
    record = given_to(BootRecord("b"), 19)
    for number in order:
        record.settle(number, leaf(number))

    assert record.upto == 19
    assert record.digest() == hash_of("b", *(leaf(number) for number in range(1, 20)))


def test_number_is_settled_once():
    record = given_to(BootRecord("b"), 1)
    record.settle(1, leaf(1))
    record.settle(1, leaf(9))
    record.doubt(1)

    assert record.digest() == hash_of("b", leaf(1))
    assert record.doubtful(beats=0) == []


def test_number_that_was_voided_is_hashed_as_its_void():
    record = given_to(BootRecord("b"), 1)
    record.settle(1, leaf(9))

    assert record.digest() == hash_of("b", leaf(9))


def test_doubted_numbers_come_at_once_and_silent_ones_with_time():
    record = given_to(BootRecord("b"), 3)
    record.doubt(3)
    record.settle(1, leaf(1))

    asked = [[each.number for each in record.doubtful(beats=2)] for _ in range(3)]

    assert asked == [[3], [3], [2, 3]]
    (first, _) = record.doubtful(beats=2)
    assert (first.entry, first.leaf_hash) == ("entry-2", leaf(2))

    record.settle(3, leaf(3))

    assert [each.number for each in record.doubtful(beats=2)] == [2]


def test_number_that_is_settled_is_doubted_no_more_under_the_next_of_its_kind():
    record = given_to(BootRecord("b"), 2)
    record.doubt(1)
    record.settle(1, leaf(1))

    assert [each.number for each in record.doubtful(beats=0)] == [2]


def test_number_given_later_is_waited_for_from_then_on():
    record = given_to(BootRecord("b"), 1)
    assert record.doubtful(beats=1) == []
    record.give("entry-2", leaf(2))

    asked = [[each.number for each in record.doubtful(beats=1)] for _ in range(2)]

    assert asked == [[1], [1, 2]]
