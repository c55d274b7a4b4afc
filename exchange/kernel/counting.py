"""How many of what, in words."""


def counted(number: int, one: str, many: str) -> str:
    """Return `number` with the words that go with it: `1 entry waits`, `2 entries wait`."""
    return f"{number} {one if number == 1 else many}"
