"""The page that says what guards each invariant names tests that exist."""

import re
from pathlib import Path

import pytest

from exchange.members import ACT_KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_page_names_tests() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_named_test_exists(file: str, test: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")

    assert not test or re.search(rf"^ *(async )?def {test}\(", source, re.MULTILINE)


def test_page_names_every_act_of_two_persons_and_how_long_it_waits() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| (\d+) (days|hours) \|$", PAGE, re.MULTILINE)
    waits = {name: int(count) * (24 if unit == "days" else 1) for name, count, unit in rows}

    assert waits == {name: kind.waits.total_seconds() / 3600 for name, kind in ACT_KINDS.items()}
