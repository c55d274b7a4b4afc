"""Generated pages say what the code says."""

from pathlib import Path

import pytest

from tests.support import generated_docs
from tests.support.generated_docs import Page, pages


def test_generated_pages_agree_with_the_code() -> None:
    stale = {str(page.path): page.difference() for page in pages()}

    assert {path: text for path, text in stale.items() if text} == {}


def test_stale_page_is_told_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(tmp_path / "page.md", lambda: "new\n")
    page.path.write_text("old\n")
    monkeypatch.setattr(generated_docs, "ROOT", tmp_path)
    monkeypatch.setattr(generated_docs, "pages", lambda: iter([page]))

    assert generated_docs.main(["--check"]) == 1
    assert generated_docs.main(["--write"]) == 0
    assert generated_docs.main(["--check"]) == 0
    assert page.path.read_text() == "new\n"


def test_missing_page_is_stale(tmp_path: Path) -> None:
    assert "+made" in Page(tmp_path / "absent.md", lambda: "made\n").difference()
