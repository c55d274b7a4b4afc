"""Keys in a folder that this process may not look into are not missing: nobody is told to make others."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.cli.log_keys import has_log_key, make_missing_log_key
from exchange.custody import load_log_key
from exchange.kernel import UnsafeSettingError
from exchange.settings import InstanceLayout, Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An instance whose secrets lie in a folder that is another user's alone."""
    (tmp_path / "exchange.toml").touch()
    settings = load_settings(tmp_path)
    shut = InstanceLayout(tmp_path).node_key_file.parent

    def refusing(act: Callable) -> Callable:
        def refuse(path, *rest, **more):
            if isinstance(path, str | Path) and Path(path).is_relative_to(shut):
                raise PermissionError(13, "Permission denied", str(path))
            return act(path, *rest, **more)

        return refuse

    for name in ("open", "stat", "lstat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return settings


def test_key_of_the_log_that_may_not_be_looked_at_is_not_missing(settings: Settings) -> None:
    with pytest.raises(UnsafeSettingError, match=r"log\.key` cannot be read: .*permission denied"):
        load_log_key(settings.log_key_file)


def test_key_of_the_node_that_may_not_be_looked_at_is_not_missing(settings: Settings) -> None:
    with pytest.raises(UnsafeSettingError, match=r"node\.key` cannot be read: .*permission denied"):
        settings.node_key()


async def test_no_key_is_made_where_one_may_lie(settings: Settings) -> None:
    assert has_log_key(settings)
    assert await make_missing_log_key(settings) is None
