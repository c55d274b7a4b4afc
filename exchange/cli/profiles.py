"""Saved connections: where an exchange is, and with which certificate one goes there.

A file of names and paths, `~/.config/exchange/profiles.toml`; it holds no key and no secret.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exchange.cli.usage import UsageError
from exchange.client import Endpoint
from exchange.kernel import InvalidError
from exchange.kernel.files import held_alone, keep_file

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELDS = ("url", "cert", "key", "ca")


@dataclass(frozen=True, slots=True)
class Door:
    """What was said about the connection: each may be missing until the others were asked."""

    url: str | None = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    profile: str | None = None
    receipts: Path | None = None

    @property
    def is_named(self) -> bool:
        """Return whether the caller named a connection at all."""
        return any(value is not None for value in (self.url, self.cert, self.key, self.ca, self.profile))


def endpoint_of(door: Door) -> Endpoint:
    """Return the connection: an option counts before the profile, the profile before the environment.

    Raises InvalidError naming every value that none of the three gave.
    """
    saved = read_profile(door.profile) if door.profile is not None else {}
    given: dict[str, str] = {}
    for name in _FIELDS:
        value = getattr(door, name) or saved.get(name) or os.environ.get(f"EXCHANGE_{name.upper()}")
        if value:
            given[name] = str(value)
    missing = [name for name in _FIELDS if name not in given]
    if missing:
        options = ", ".join(f"`--{name}`" for name in missing)
        raise UsageError(
            f"which exchange? missing {options}: give them, a saved `--profile`, or EXCHANGE_URL and so on"
        )
    return Endpoint(
        given["url"], Path(given["cert"]), Path(given["key"]), Path(given["ca"]), receipts=receipts_path(door)
    )


def receipts_path(door: Door) -> Path | None:
    """Return where receipts are kept: the option, EXCHANGE_RECEIPTS, or the profile's own file beside the profiles."""
    named = door.receipts or os.environ.get("EXCHANGE_RECEIPTS")
    if named:
        return Path(named)
    if door.profile is None:
        return None
    return receipts_of(door.profile)


def receipts_of(profile: str) -> Path:
    """Return where the receipts of what a saved connection asked are kept."""
    return profiles_path().parent / "receipts" / f"{profile}.ndjson"


def profiles_path() -> Path:
    """Return where profiles are saved (XDG base directory specification)."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "exchange" / "profiles.toml"


def read_profiles() -> dict[str, dict[str, str]]:
    """Return every saved profile by name; none where nothing was saved."""
    path = profiles_path()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise InvalidError(f"the profiles in `{path}` cannot be read: {exc}") from exc
    return {name: _profile(path, name, table) for name, table in tables.items()}


def read_profile(name: str) -> dict[str, str]:
    """Return the profile `name`; raises InvalidError, naming those that exist."""
    profiles = read_profiles()
    if name not in profiles:
        known = ", ".join(f"`{one}`" for one in sorted(profiles)) or "none"
        raise InvalidError(f"there is no profile `{name}`: saved are {known}; add one with `exchange profile add`")
    return profiles[name]


def save_profile(name: str, endpoint: Endpoint) -> Path:
    """Save the connection under `name`, in place of an earlier one; returns the file."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"`{name}` is no name of a profile: use letters, digits, `_`, `.` and `-`")
    paths = {"cert": endpoint.cert, "key": endpoint.key, "ca": endpoint.ca}
    fields = {"url": endpoint.url, **{field: str(path.resolve()) for field, path in paths.items()}}
    # Of two profiles that were saved at once one was lost.
    with held_alone(_own_folder()):
        return _write({**read_profiles(), name: fields})


def remove_profile(name: str) -> Path | None:
    """Remove the profile `name`, and return where its receipts are kept, which stay; raises as `read_profile`."""
    read_profile(name)
    with held_alone(_own_folder()):
        _write({kept: fields for kept, fields in read_profiles().items() if kept != name})
    receipts = receipts_of(name)
    return receipts if receipts.exists() else None


def _own_folder() -> Path:
    folder = profiles_path().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _write(profiles: Mapping[str, Mapping[str, str]]) -> Path:
    try:
        content = "\n".join(_as_toml(*item) for item in sorted(profiles.items())).encode()
    except UnicodeEncodeError as exc:
        raise InvalidError("an address or a path of the profile is not text in UTF-8: rename the file") from exc
    path = profiles_path()
    keep_file(path, content)
    return path


def _profile(path: Path, name: str, table: object) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise InvalidError(f"profile `{name}` in `{path}` is wrong: it holds url, cert, key and ca, each a text")
    return {field: value for field, value in table.items() if field in _FIELDS}


def _as_toml(name: str, fields: Mapping[str, str]) -> str:
    lines = [f"[{_quoted(name)}]", *(f"{field} = {_quoted(value)}" for field, value in fields.items())]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL and for the halves in which JSON escapes what lies above U+FFFF.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
