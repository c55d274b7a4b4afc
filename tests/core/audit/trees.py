"""Trees to test against: RFC 9162's own recursive definitions, written down as they stand there."""

import hashlib


def leaves(count):
    return [hashlib.sha256(b"leaf %d" % number).digest() for number in range(count)]


def largest_power_below(number):
    return 1 << (number - 1).bit_length() - 1


def root(hashes):
    """§2.1.1, over leaf hashes."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = largest_power_below(len(hashes))
    return hashlib.sha256(b"\x01" + root(hashes[:k]) + root(hashes[k:])).digest()


def path(index, hashes):
    """§2.1.3.1."""
    if len(hashes) == 1:
        return []
    k = largest_power_below(len(hashes))
    if index < k:
        return [*path(index, hashes[:k]), root(hashes[k:])]
    return [*path(index - k, hashes[k:]), root(hashes[:k])]


def subproof(size, hashes, whole=True):
    """§2.1.4.1."""
    if size == len(hashes):
        return [] if whole else [root(hashes)]
    k = largest_power_below(len(hashes))
    if size <= k:
        return [*subproof(size, hashes[:k], whole), root(hashes[k:])]
    return [*subproof(size - k, hashes[k:], False), root(hashes[:k])]


def nodes(hashes):
    """A reader of whole nodes over leaf hashes; any other node is a fault of who asks."""

    def read(level, index):
        span = hashes[index << level : (index + 1) << level]
        assert len(span) == 1 << level, f"node ({level}, {index}) is not whole"
        return root(span)

    return read
