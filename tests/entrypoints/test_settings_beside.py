"""What lies beside settings and law, and is neither: it refuses no start, and is read by nobody."""

from pathlib import Path

import pytest

from exchange.settings import _refuse_misspelt_variables, read_policies


def test_law_is_the_files_of_its_kinds_and_nothing_that_lies_beside_them(tmp_path: Path) -> None:
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "a.cedar").write_text("law")
    (tmp_path / "README.md").write_bytes(b"\xff")
    (tmp_path / "folder.yaml").mkdir()

    assert read_policies(tmp_path) == {"nested/a.cedar": "law"}


def test_variable_of_something_else_is_no_setting_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRL_FOLDERS", "x")

    _refuse_misspelt_variables()
