"""What a page points to is there: its links, the files and tests that it names, the list of decisions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "adr"
PAGES = [ROOT / "README.md", ROOT / "exchange" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
HEADING_LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
# Files of an instance have such names too; they stand in no folder of the checkout.
NAMED = re.compile(r"`((?:tests|exchange|migrations|deploy|benchmarks|policies)/[\w./-]*\w)`")
TEST = re.compile(r"`(test_\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_a_heading_find_it(page: Path) -> None:
    links = [link for link in HEADING_LINK.findall(page.read_text("utf-8")) if "://" not in link[0]]

    assert [link for link in links if link[1] not in headings(page.parent / link[0] if link[0] else page)] == []


def headings(page: Path) -> set[str]:
    """Return the names that renderers of Markdown give to the headings of `page`."""
    found = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in found}


def test_files_that_pages_name_are_there() -> None:
    named = {(page.name, name) for page in PAGES for name in NAMED.findall(page.read_text("utf-8"))}

    assert sorted((page, name) for page, name in named if not (ROOT / name).exists()) == []


def test_tests_that_pages_name_are_there() -> None:
    known = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = {name for page in PAGES for name in TEST.findall(page.read_text("utf-8"))}

    assert names
    assert sorted(name for name in names if f"def {name}(" not in known) == []


def test_every_decision_stands_in_the_list_under_its_own_words() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.*?)(?: \(.*\))? \|$",
        (DECISIONS / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    pages = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    headings = [path.read_text("utf-8").partition("\n")[0] for path in pages]

    assert [name for _, name, _ in listed] == [path.name for path in pages]
    assert [f"# {number}: {words}" for number, _, words in listed] == headings
