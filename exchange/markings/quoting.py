"""Input shown back in an error: short, on one line, nothing that a terminal or a log would obey."""

_LONGEST = 60


def quoted(text: str) -> str:
    """Return `text` in backticks, cut after 60 characters, with unprintable characters escaped."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "`" + "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in shown) + "`"
