"""Whoever misspells a word is told which one is near."""

import pytest

from exchange.kernel import meant

WORDS = frozenset({"cyber", "cyber.apt", "report.read", "report.received", "SECRET"})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("report.reads", "is `report.read` or `report.received` meant? "),
        ("secret", "is `SECRET` meant? "),
        ("cyber.ap", "is `cyber.apt` or `cyber` meant? "),
        ("x", ""),
        ("", ""),
        ("report.read" + "x" * 100_000, ""),
    ],
)
def test_nearest_words_are_told(written: str, told: str) -> None:
    assert meant(written, WORDS) == told
